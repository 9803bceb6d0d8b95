"""Chains, shields, breakers and the day's recoveries as a person is shown them, and in words."""

from typing import Any

import msgspec
import pytest
from chains import BEGAN_UTC_MS

from evenkeel.config.limits import PERSONAL
from evenkeel.config.schema import Config, MaCrossConfig
from evenkeel.messages.chain_store import ChainNotSaved, StoreFailure
from evenkeel.messages.circuit_breaker import BreakerChanged, BreakerLevel
from evenkeel.messages.entry import Lineage
from evenkeel.messages.market import Direction, PointWorth, SymbolSpec, SymbolSpecified
from evenkeel.messages.position import ClosedBy, ExitReason, PositionClosed, PositionOpened, StopTightened
from evenkeel.messages.recovery import ChainEnded, ChainStatus, ChainStepped, FreeRecovery, ReserveRecovery
from evenkeel.messages.risk_limit import RecoveryRefused
from evenkeel.messages.shield import ShieldLowered, ShieldRaised, ShieldReason
from evenkeel.messages.system import Message
from evenkeel.messages.trading_calendar import TradingDayStarted
from evenkeel.rules.told import told
from evenkeel.rules.view import BreakerView, ChainView, RecoveriesToday, ShieldView, View
from evenkeel.rules.view_chains import CHAINS_SHOWN
from evenkeel.rules.view_of import view_of
from evenkeel.rules.view_state import ViewState, fold

EURUSD = SymbolSpec(1, "EURUSD", 5, 100_000, 100, 1, 10_000, 0, PointWorth(100, 1), 11_000_000, 10)
CONFIG = Config(
    profile="personal",
    limits=PERSONAL,
    strategy={"alpha": MaCrossConfig(symbols=("EURUSD",), orders="dual")},
)
BUY = Direction.BUY
STEP = ChainStepped("recovery", "alpha", "EURUSD-a-1", "EURUSD", "active", "recovery_mode", "stopped", 1, 7, "gap 200 points")
ENDED = ChainEnded("alpha", "EURUSD-a-1", "EURUSD", ChainStatus.COMPLETED, "trend", 1_250)
RAISED = ShieldRaised("EURUSD", BUY, ShieldReason.GAP, 160, 100, BEGAN_UTC_MS, (7, 8))
RED = BreakerChanged("EURUSD", BreakerLevel.RED, 0, 0, 120, "spread 5.1 x its median")
RESERVED = ReserveRecovery("recovery", "EURUSD-a-1/7", "alpha", "EURUSD-a-1", "EURUSD")


def state_of(*heard: Message) -> ViewState:
    state = ViewState()
    for message in (SymbolSpecified(EURUSD), *heard):
        fold(state, message)  # type: ignore[arg-type]
    return state


def shown(*heard: Message) -> View:
    return view_of(state_of(*heard), marks={}, children=(), config=CONFIG, now_utc_ms=0, written_utc_ms=0)


def opened(ticket: int, kind: str = "sl_recovery", **told: Any) -> PositionOpened:
    lineage = Lineage("recovery", "alpha", "EURUSD-a-1", parent_ticket=7, level=1, order_kind=kind)
    made = PositionOpened(ticket, "EURUSD", 1, BUY, 10, 110_000, 109_900, 110_200, 0, 1_000, 1_000, lineage)
    return msgspec.structs.replace(made, **told)


def closed(ticket: int, net_cents: int, kind: str = "sl_recovery", reason: ExitReason = ExitReason.STOP) -> PositionClosed:
    lineage = opened(ticket, kind).lineage
    return PositionClosed(
        *(ticket, "EURUSD", 1, BUY, 10, 110_000, 109_900, 109_900, 110_200, 1_000, 2_000),
        *(reason, ClosedBy.APP, net_cents, 0, 0, net_cents, 1_000, "2026-01-05", lineage),
    )


def test_a_chain_is_shown_from_its_first_step_to_its_end() -> None:
    view = ChainView(
        chain_id="EURUSD-a-1",
        plugin="alpha",
        symbol="EURUSD",
        state="recovery_mode",
        level=1,
        step="stopped: gap 200 points",
    )
    assert shown(STEP).chains == (view,)
    assert shown(STEP, ENDED).chains == ()


def test_of_many_chains_the_newest_are_shown_and_the_others_counted() -> None:
    view = shown(*(msgspec.structs.replace(STEP, chain_id=f"EURUSD-a-{n}") for n in range(CHAINS_SHOWN + 2)))
    assert (len(view.chains), view.chains[0].chain_id, view.chains_more) == (CHAINS_SHOWN, f"EURUSD-a-{CHAINS_SHOWN + 1}", 2)


def test_a_shield_is_shown_until_it_is_lowered() -> None:
    reason = "gap, 160 against 100 points"
    assert shown(RAISED).shields == (ShieldView(symbol="EURUSD", direction=BUY, reason=reason, until_utc_ms=BEGAN_UTC_MS),)
    assert shown(RAISED, ShieldLowered("EURUSD", BUY, "time")).shields == ()


def test_a_breaker_is_shown_until_it_is_normal_and_no_phase_is_left() -> None:
    back = BreakerChanged("EURUSD", BreakerLevel.NORMAL, 2, 500_000, 0, "calm")
    assert shown(RED).breakers == (
        BreakerView(scope="EURUSD", level="red", phase=0, size_ppm=0, reason="spread 5.1 x its median"),
    )
    assert [one.phase for one in shown(RED, back).breakers] == [2]
    assert shown(RED, msgspec.structs.replace(back, phase=0)).breakers == ()


def test_the_day_counts_recoveries_by_what_they_brought() -> None:
    view = shown(
        *(opened(1), opened(1), opened(2), opened(3, "profit_recovery"), opened(4, "tp_continuation")),
        *(closed(1, -500), closed(2, 900), closed(3, 700, "profit_recovery", ExitReason.BOOKED)),
        closed(4, -100, "tp_continuation"),
    )
    assert view.recoveries == RecoveriesToday(attempts=3, successes=2, failures=1, profit_booked_cents=700, losses_cents=500)


def test_a_new_day_counts_anew() -> None:
    assert shown(opened(1), TradingDayStarted("2026-01-06", 0, 0)).recoveries == RecoveriesToday()


def test_the_limits_of_recoveries_are_shown_where_strategies_have_chains() -> None:
    used = {limit.name: (limit.used, limit.limit) for limit in shown(RESERVED, opened(1), closed(1, -500)).limits}
    assert used["recovery_attempts"] == (1, 10)
    assert used["recovery_losses"] == (1, 5)
    assert used["recovery_concurrent"] == (1, 3)
    assert used["profit_protection"] == (0, 10_000)


@pytest.mark.parametrize("end", [FreeRecovery("EURUSD-a-1/7"), ENDED])
def test_a_recovery_that_is_free_does_not_count_any_more(end: Message) -> None:
    assert {limit.name: limit.used for limit in shown(RESERVED, end).limits}["recovery_concurrent"] == 0


def test_a_stop_that_was_moved_is_shown_where_it_is() -> None:
    (position,) = shown(opened(1), StopTightened(1, "EURUSD", 1, 110_050, 109_900)).positions
    assert position.stop == "1.10050"


@pytest.mark.parametrize(
    ("message", "text"),
    [
        (
            STEP,
            "chain EURUSD-a-1 of alpha: active -> recovery mode, level 1, by stopped, position 7 (gap 200 points)",
        ),
        (ENDED, "chain EURUSD-a-1 of alpha is over: completed, trend, net 1250 cents"),
        (RAISED, "shield against buy of EURUSD until 2026-01-05 00:00:00 UTC: gap, 160 against 100 points; to be closed: 7 8"),
        (RED, "breaker of EURUSD red, new volume x 0, stops to 120 points: spread 5.1 x its median"),
        (
            StopTightened(7, "EURUSD", 1, 110_050, 109_900),
            "stop of position 7 moved to 1.10050, at the entry 1.09900",
        ),
        (
            RecoveryRefused("recovery", "EURUSD-a-1/7", "recovery_attempts", 10, 10, "count"),
            "no recovery EURUSD-a-1/7: recovery attempts 10 against 10",
        ),
        (
            ChainNotSaved("recovery", "alpha", "EURUSD-a-1", 4, StoreFailure.UNWRITABLE, "no space"),
            "chain EURUSD-a-1 of alpha was not written down, version 4: unwritable: no space",
        ),
        (RESERVED, None),
    ],
)
def test_what_happens_to_chains_is_told_with_its_numbers(message: Any, text: str | None) -> None:
    assert told(state_of(), message) == text
