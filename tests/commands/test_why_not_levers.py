"""For a refusal by one threshold: the change that is named lets it pass, and one unit less of it does not."""

from functools import cache

import msgspec
import pytest
from builders import MONDAY_UTC_MS, config_of, specs_of
from hypothesis import given, settings
from hypothesis import strategies as st

from evenkeel.actors.broker_gateway import BrokerGatewayState
from evenkeel.commands.why_not.levers import levers_for, nearest_passing, passes, reliefs
from evenkeel.commands.why_not.moment import Moment, gate_refusals
from evenkeel.messages.entry import DenialReason, Lineage, OrderKind, SignalRaised
from evenkeel.messages.market import Direction, Quote
from evenkeel.messages.operator import HoldPlaced, Mode
from evenkeel.messages.shield import ShieldRaised, ShieldReason
from evenkeel.rules import guard_table
from evenkeel.rules.chain_risk import ChainRisk
from evenkeel.rules.guard_table import GuardTable
from evenkeel.rules.loss_tiers import TierLosses
from evenkeel.rules.position import PositionState, Trade, Waiting
from evenkeel.rules.recovery_safety import Kept, RecoverySafety
from evenkeel.rules.risk_limit import EquityMarks, Fall, RiskState, TradeCounts
from evenkeel.rules.sizing import Book, Reservation

configured = cache(config_of)
NOW = MONDAY_UTC_MS + 10 * 3_600_000
SPEC = specs_of(config_of(), ["EURUSD"])["EURUSD"]
HOUR = NOW // 3_600_000


def moment(
    *, spread: int = 10, median: int = 10, confidence: float = 1.0, kind: OrderKind = OrderKind.SINGLE, **config: object
) -> Moment:
    """Nothing stands against it; of any other kind it comes after the trade of ticket 7."""
    lineage = Lineage("strategy", "ma_cross", confidence=confidence)
    if kind is not OrderKind.SINGLE:
        lineage = msgspec.structs.replace(lineage, order_kind=kind.value, chain_id="c", parent_ticket=7, level=1)
    signal = SignalRaised(
        "EURUSD",
        SPEC.spec_id,
        Direction.BUY,
        Quote(NOW, 110_000, 110_000 + spread),
        NOW,
        median,
        lineage,
    )
    risk = RiskState(
        book=Book(specs={"EURUSD": SPEC}),
        balance_cents=1_000_000,
        marks=EquityMarks(1_000_000, 1_000_000, 1_000_000),
        daily_atr_points={"EURUSD": 500},
        day_ends_utc_ms=NOW + 12 * 3_600_000,
        leverage=100,
    )
    gateway = BrokerGatewayState(guards=GuardTable(mode=Mode.RUN, agreed=True))
    return Moment(configured(**config), signal, PositionState(spec=SPEC, mode=Mode.RUN), risk, gateway, NOW, NOW, NOW)


def with_risk(of: Moment, **changes: object) -> Moment:
    return of._replace(risk=msgspec.structs.replace(of.risk, **changes))


def reserved(count: int) -> Book:
    return Book(
        specs={"EURUSD": SPEC},
        reservations={f"EURUSD-{n}": Reservation("EURUSD", Direction.BUY, 1, 1, is_fresh=True) for n in range(count)},
    )


def recovery(kept_besides: int = 0, **counted: int) -> Moment:
    """The stopped trade of ticket 7 is to be recovered, on a day with so many recoveries."""
    kept = {f"c/{7 + n}": Kept("ma_cross", "c") for n in range(kept_besides + 1)}
    return with_risk(moment(kind=OrderKind.SL_RECOVERY), recoveries=RecoverySafety(kept=kept, **counted))


def held() -> Moment:
    of = moment()
    of.gateway.guards.holds["circuit_breaker EURUSD"] = HoldPlaced("circuit_breaker", "EURUSD", "spread", NOW + 90_000)
    return of


def chained(**known: object) -> Moment:
    """Of a strategy with chains."""
    return moment(strategy__ma_cross__orders="trend")._replace(position=PositionState(spec=SPEC, mode=Mode.RUN, **known))


def shielded() -> Moment:
    of = moment()
    raised = ShieldRaised("EURUSD", Direction.BUY, ShieldReason.AWAY, 101, 100, NOW + 90_000, ())
    guard_table.raise_shield(of.gateway.guards, raised)
    return of


CASES: dict[str, tuple[Moment, DenialReason, set[str]]] = {
    "spread": (
        moment(spread=31),
        DenialReason.SPREAD,
        {"spread_points", "entry.spread_multiple_max", "entry.spread_points_floor"},
    ),
    "no usual spread": (moment(median=0), DenialReason.SPREAD, set()),
    "cooldown": (
        moment()._replace(position=PositionState(spec=SPEC, cooldown_until_utc_ms=NOW + 312_345)),
        DenialReason.COOLDOWN,
        {"wait_ms"},
    ),
    "the same signal again": (
        chained(trades={"ma_cross/buy": Trade("EURUSD-0-1", NOW - 60_000)}),
        DenialReason.DUPLICATE,
        {"wait_ms", "recovery.duplicate_minutes"},
    ),
    "a chain takes it": (chained(waiting={"X": Waiting("ma_cross", Direction.BUY)}), DenialReason.CHAIN_WAITS, set()),
    "confidence": (moment(confidence=0.65), DenialReason.CONFIDENCE, {"confidence", "limits.confidence_min"}),
    "positions": (with_risk(moment(), book=reserved(5)), DenialReason.POSITIONS, {"limits.positions_max"}),
    "trades in the hour": (
        with_risk(moment(limits__trades_per_hour=5), counts=TradeCounts(5, HOUR, 5)),
        DenialReason.TRADES_PER_HOUR,
        {"wait_ms", "limits.trades_per_hour"},
    ),
    "trades in the day": (
        with_risk(moment(limits__trades_per_day=5), counts=TradeCounts(5, 0, 0)),
        DenialReason.TRADES_PER_DAY,
        {"wait_ms", "limits.trades_per_day"},
    ),
    "loss of the day": (with_risk(moment(), day_loss=Fall(30_000, 30_000)), DenialReason.DAY_LOSS, {"wait_ms"}),
    "drawdown": (
        with_risk(moment(limits__day_loss_soft_pct="off"), marks=EquityMarks(870_000, 870_000, 1_000_000)),
        DenialReason.DRAWDOWN,
        {"equity_cents"},
    ),
    "hold": (held(), DenialReason.HOLD, {"wait_ms"}),
    "shield": (shielded(), DenialReason.SHIELD, {"wait_ms"}),
    "round the rollover": (
        moment()._replace(**dict.fromkeys(("signal_utc_ms", "proposal_utc_ms", "order_utc_ms"), NOW + 12 * 3_600_000)),
        DenialReason.SESSION,
        {"wait_ms"},
    ),
    "free margin": (
        with_risk(moment(limits__free_margin_after_pct=60.0), margin_cents=399_999),
        DenialReason.VOLUME_BELOW_MINIMUM,
        {"equity_cents", "limits.free_margin_after_pct"},
    ),
    "volume": (
        with_risk(moment(entry__stop_pips=50.0), marks=EquityMarks(10_000, 10_000, 10_000)),
        DenialReason.VOLUME_BELOW_MINIMUM,
        {"equity_cents"},
    ),
    "recoveries of the day": (
        recovery(attempts=10),
        DenialReason.RECOVERY_ATTEMPTS,
        {"wait_ms", "limits.recovery_attempts"},
    ),
    "lost recoveries": (recovery(losses=5), DenialReason.RECOVERY_LOSSES, {"wait_ms", "limits.recovery_losses"}),
    "recoveries at once": (recovery(3), DenialReason.RECOVERY_CONCURRENT, {"limits.recovery_concurrent"}),
    "profit of the day": (
        recovery(booked_cents=12_345),
        DenialReason.PROFIT_PROTECTION,
        {"wait_ms", "limits.profit_protection"},
    ),
    "a chain's budget": (
        with_risk(moment(kind=OrderKind.TP_CONTINUATION, strategy__ma_cross__orders="trend"), chains={"c": ChainRisk(600)}),
        DenialReason.CHAIN_RISK_BUDGET,
        {"limits.chain_risk_budget_r"},
    ),
    "losses by tier": (
        with_risk(moment(limits__loss_tiers__applies_to="all"), tier_losses=TierLosses(20_000, 20_000, is_day_reached=True)),
        DenialReason.LOSS_TIER_DAY,
        {"wait_ms"},
    ),
    "risk of the trade": (
        with_risk(moment(entry__stop_pips=50.0, limits__risk_per_trade_pct=0.01)),
        DenialReason.VOLUME_BELOW_MINIMUM,
        {"equity_cents", "limits.risk_per_trade_pct", "entry.stop_pips"},
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_the_change_that_is_named_is_the_smallest_that_passes(case: str) -> None:
    of, reason, names = CASES[case]
    (gate,) = gate_refusals(of)
    assert gate.refusal.reason is reason
    found = {relief.lever: relief.value for relief in reliefs(of, gate.refusal, None)}
    assert set(found) == names
    for lever in levers_for(of, gate.refusal, None):
        if lever.name in found:
            value, way = found[lever.name], 1 if lever.farthest > lever.start else -1
            assert passes(lever.at(of, value))
            assert not passes(lever.at(of, value - way)), lever.name


def test_what_is_named_is_said_in_words_and_units() -> None:
    of, _, _ = CASES["spread"]
    (gate,) = gate_refusals(of)
    assert [relief.text for relief in reliefs(of, gate.refusal, None)] == [
        "with a spread of 30 points or less",
        "with entry.spread_multiple_max = 3.1",
        "with entry.spread_points_floor = 31",
    ]


def test_a_wait_is_said_with_its_end() -> None:
    of, _, _ = CASES["cooldown"]
    (gate,) = gate_refusals(of)
    (relief,) = reliefs(of, gate.refusal, None)
    assert relief.text == "5 min 13 s later, from 2026-01-05 10:05:13 UTC on"


def test_every_gate_that_stands_against_it_is_named_in_their_order() -> None:
    of = with_risk(moment(spread=31, confidence=0.1), book=reserved(5))
    of.gateway.guards.mode = Mode.CLOSE_ONLY
    assert [(one.by, one.refusal.reason.value) for one in gate_refusals(of)] == [
        ("position/EURUSD", "spread"),
        ("risk_limit", "confidence"),
        ("risk_limit", "positions"),
        ("broker_gateway", "mode"),
    ]


@settings(max_examples=60, deadline=None)
@given(spread=st.integers(0, 200), median=st.integers(1, 60), confidence_ppm=st.integers(0, 1_000_000))
def test_whatever_is_refused_by_one_threshold_passes_with_what_is_named_and_not_with_less(
    spread: int, median: int, confidence_ppm: int
) -> None:
    of = moment(spread=spread, median=median, confidence=confidence_ppm / 1_000_000)
    gates = gate_refusals(of)
    if len(gates) != 1:
        return
    for lever in levers_for(of, gates[0].refusal, None):
        value = nearest_passing(of, lever)
        assert value is not None
        assert passes(lever.at(of, value))
        assert not passes(lever.at(of, value + (1 if lever.start > value else -1)))
