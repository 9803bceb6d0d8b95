"""How trades of position/EURUSD end when it has chains: stop 50 points, trailing from 25 in steps of 12.5."""

import pytest
from builders import config_of
from orders import QUOTE, SPEC
from position_builders import BUY, MINUTE_MS, PLACES, SELL, Told, at, chained, closes, denial, levels, of_chain, reach, trade

from evenkeel.messages.circuit_breaker import BreakerChanged, BreakerLevel
from evenkeel.messages.entry import DenialReason, Lineage, OrderKind, SignalRaised
from evenkeel.messages.market import Direction, DisarmWatches, Quote, SymbolSpecified
from evenkeel.messages.operator import Mode, ModeChanged
from evenkeel.messages.position import (
    CloseScope,
    ExitReason,
    PositionPriced,
    StopTightened,
    TightenStop,
)
from evenkeel.messages.recovery import ChainWaits
from evenkeel.messages.risk_limit import BalanceTierReached
from evenkeel.messages.shield import ShieldLowered, ShieldRaised, ShieldReason
from evenkeel.messages.system import SetTimer
from evenkeel.runtime.actor import restore, snapshot_of

# The stop of order A follows the price


@pytest.mark.parametrize("direction", [BUY, SELL])
def test_a_stop_goes_to_the_entry_and_follows_whichever_way_the_trade_is(direction):
    """Never by the letters of a word: a bought trade is not followed downwards."""
    told, s = Told(chained()), PLACES[direction]
    assert levels(told.hear(trade(direction)))["trail"] == 110_010 + 25 * s
    assert reach(told, direction, -25) == []
    moved, disarmed, *armed = reach(told, direction, 25)
    assert moved == StopTightened(1001, "EURUSD", 1, 110_010, 110_010 - 50 * s)
    assert isinstance(disarmed, DisarmWatches)
    assert levels(armed) == {
        "emergency": 110_010 - 75 * s, "stop": 110_010, "target": 110_010 + 100 * s, "trail": 110_010 + 38 * s,
    }  # fmt: skip
    moved, *rest = reach(told, direction, 38)
    assert (moved.stop_points, levels(rest)["trail"]) == (110_010 + 12 * s, 110_010 + 50 * s)


def test_a_jump_over_steps_moves_the_stop_once_to_where_the_last_of_them_puts_it():
    told = Told(chained())
    told.hear(trade())
    moved, *rest = reach(told, BUY, 90)
    assert moved.stop_points == 110_010 + 62
    assert "trail" not in levels(rest)  # the next step lies at the target


def test_a_quote_that_reaches_the_target_as_well_closes_the_trade():
    told = Told(chained())
    told.hear(trade())
    assert closes(reach(told, BUY, 100)) == [(1001, ExitReason.TARGET)]


def test_a_followed_stop_ends_the_trade_as_a_stop():
    told = Told(chained())
    told.hear(trade())
    reach(told, BUY, 25)
    assert closes(reach(told, BUY, 0)) == [(1001, ExitReason.STOP)]


@pytest.mark.parametrize("kind", [kind for kind in OrderKind if kind not in (OrderKind.TP_TRAIL, OrderKind.TP_CONTINUATION)])
def test_no_other_order_is_followed(kind):
    told = Told(chained())
    assert "trail" not in levels(told.hear(trade(kind=kind)))


def test_trailing_off_by_name_arms_nothing_for_it():
    assert "trail" not in levels(Told(chained(trailing_start_ratio="off")).hear(trade()))


def test_the_knob_that_a_file_sets_is_the_one_that_counts():
    """A setting was written under one key and read under another once, and its default ruled for ever."""
    config = config_of(**{"recovery.trailing_start_ratio": 1.0, "recovery.trailing_step_ratio": 0.5})
    assert levels(Told(config).hear(trade()))["trail"] == 110_060


def test_the_deal_moves_the_levels_but_no_stop_backwards():
    told = Told(chained())
    told.hear(trade())
    reach(told, BUY, 25)
    moved = levels(told.hear(PositionPriced(1001, "EURUSD", 1, 110_004, 10, 0)))
    assert (moved["stop"], moved["target"], moved["trail"]) == (110_010, 110_104, 110_004 + 38)


def test_a_moved_stop_outlives_a_restart():
    told, again = Told(chained()), Told(chained())
    told.hear(trade())
    reach(told, BUY, 25)
    restore(again.actor, snapshot_of(told.actor))
    assert closes(reach(again, BUY, 0)) == [(1001, ExitReason.STOP)]


# Others move it


@pytest.mark.parametrize("direction", [BUY, SELL])
def test_a_stop_is_only_ever_moved_nearer(direction):
    told, s = Told(chained()), PLACES[direction]
    told.hear(trade(direction, kind=OrderKind.SINGLE))
    assert told.hear(TightenStop(1001, "EURUSD", 1, 110_010 - 50 * s)) == []
    assert told.hear(TightenStop(1001, "EURUSD", 1, 110_010 - 60 * s)) == []
    assert told.hear(TightenStop(1001, "EURUSD", 2, 110_010)) == []
    moved, *rest = told.hear(TightenStop(1001, "EURUSD", 1, 110_010 - 20 * s))
    assert (moved.stop_points, levels(rest)["stop"]) == (110_010 - 20 * s, 110_010 - 20 * s)


def test_a_stop_of_a_trade_that_is_gone_is_not_moved():
    assert Told(chained()).hear(TightenStop(1001, "EURUSD", 1, 110_000)) == []


# What ends a trade besides its levels


@pytest.mark.parametrize("direction", [BUY, SELL])
def test_an_opposite_signal_ends_the_strategys_own_trade_whichever_way_it_is(direction):
    told = Told(chained())
    told.hear(trade(direction))
    against = SELL if direction is BUY else BUY
    raised = SignalRaised("EURUSD", 1, against, QUOTE, 0, 10, Lineage("strategy", "trend"))
    close, answer = told.hear(raised, after_ms=5 * MINUTE_MS)
    assert closes([close]) == [(1001, ExitReason.SIGNAL)]
    assert denial(answer)[0] is DenialReason.CLOSING


@pytest.mark.parametrize(
    "direction, after_ms, knobs, strategy, lineage",
    [
        (BUY, 5 * MINUTE_MS, {}, "trend", of_chain()),
        (SELL, 5 * MINUTE_MS - 1, {}, "trend", of_chain()),
        (SELL, 5 * MINUTE_MS, {"reversal_exit": "off"}, "trend", of_chain()),
        (SELL, 5 * MINUTE_MS, {}, "plain", Lineage("strategy", "plain")),
        (SELL, 5 * MINUTE_MS, {}, "trend", Lineage("strategy", "plain")),
        (SELL, 5 * MINUTE_MS, {}, "trend", of_chain(OrderKind.SHIELD_A, parent_ticket=9)),
    ],
    ids=["same way", "too young", "off", "no chains", "another's", "hedge"],
)
def test_other_signals_end_nothing(direction, after_ms, knobs, strategy, lineage):
    told = Told(chained(**knobs))
    told.hear(trade(BUY, lineage=lineage, opened_utc_ms=1_000))
    raised = SignalRaised("EURUSD", 1, direction, QUOTE, 0, 10, Lineage("strategy", strategy))
    assert closes(told.hear(raised, after_ms)) == []


def test_a_frozen_account_keeps_what_a_signal_would_end_until_it_is_not():
    told = Told(chained())
    told.hear(trade(opened_utc_ms=1_000))
    told.hear(ModeChanged(Mode.FREEZE, "person", "", 0))
    raised = SignalRaised("EURUSD", 1, SELL, QUOTE, 0, 10, Lineage("strategy", "trend"))
    assert closes(told.hear(raised, 5 * MINUTE_MS)) == []
    assert closes(told.hear(ModeChanged(Mode.RUN, "person", "", 0))) == [(1001, ExitReason.SIGNAL)]


def shield(direction: Direction) -> ShieldRaised:
    return ShieldRaised("EURUSD", direction, ShieldReason.AWAY, 110, 100, 0, ())


@pytest.mark.parametrize("direction", [BUY, SELL])
def test_a_shield_closes_its_direction_and_no_other(direction):
    told = Told(chained())
    told.hear(trade(BUY, 1001))
    told.hear(trade(SELL, 1002))
    assert closes(told.hear(shield(direction))) == [(1001 if direction is BUY else 1002, ExitReason.SHIELD)]


def test_a_trade_that_was_on_its_way_into_a_shield_is_closed_as_soon_as_it_is_there():
    told = Told(chained())
    told.hear(shield(BUY))
    assert closes(told.hear(trade(BUY, 1001))) == [(1001, ExitReason.SHIELD)]
    assert closes(told.hear(trade(SELL, 1002))) == []
    told.hear(ShieldLowered("EURUSD", BUY, "time"))
    assert closes(told.hear(trade(BUY, 1003))) == []


def test_a_refused_close_of_a_shield_is_asked_for_again():
    told = Told(chained())
    told.hear(trade())
    told.hear(shield(BUY))
    (timer,) = told.failed(1)
    assert isinstance(timer, SetTimer)
    assert closes(told.due("retry/1001")) == [(1001, ExitReason.SHIELD)]


def breaker(level: BreakerLevel, scope: str = "EURUSD", atr_points: int = 0, quote: Quote | None = None) -> BreakerChanged:
    return BreakerChanged(scope, level, 0, 0, atr_points, "atr", quote)


@pytest.mark.parametrize("direction", [BUY, SELL])
def test_a_red_breaker_puts_stops_one_atr_from_the_price_if_that_is_nearer(direction):
    told, s = Told(chained()), PLACES[direction]
    told.hear(trade(direction))
    far, near = (breaker(BreakerLevel.RED, atr_points=atr, quote=at(direction, 0)) for atr in (60, 20))
    assert told.hear(far) == []
    assert told.hear(near)[0] == StopTightened(1001, "EURUSD", 1, 110_010 - 20 * s, 110_010 - 50 * s)


@pytest.mark.parametrize("scope", ["EURUSD", "account"])
def test_a_black_breaker_closes_all_and_what_still_comes_until_it_is_over(scope):
    told = Told(chained())
    told.hear(trade(BUY, 1001))
    told.hear(trade(SELL, 1002, kind=OrderKind.SINGLE))
    assert closes(told.hear(breaker(BreakerLevel.BLACK, scope))) == [(1001, ExitReason.BREAKER), (1002, ExitReason.BREAKER)]
    assert closes(told.hear(trade(BUY, 1003))) == [(1003, ExitReason.BREAKER)]
    told.hear(breaker(BreakerLevel.RED, scope))
    assert closes(told.hear(trade(BUY, 1004))) == []


def test_a_breaker_of_another_symbol_is_none_of_its_business():
    told = Told(chained())
    told.hear(trade())
    assert told.hear(breaker(BreakerLevel.BLACK, "GBPUSD")) == []


def test_a_chain_is_closed_by_its_own_name_and_order_b_by_its():
    told = Told(chained("dual"))
    told.hear(trade(ticket=1001))
    told.hear(trade(ticket=1002, lineage=of_chain(OrderKind.PROFIT_TRAIL, "X/b")))
    assert closes(told.hear(CloseScope("chain/X", ExitReason.CHAIN))) == [(1001, ExitReason.CHAIN)]
    assert closes(told.hear(CloseScope("chain/X/b", ExitReason.CHAIN))) == [(1002, ExitReason.CHAIN)]


def test_a_restarted_actor_knows_its_chains_shields_and_breakers_again():
    told, again = Told(chained()), Told(chained())
    for message in (
        ChainWaits("trend", "Y", "EURUSD", BUY),
        shield(SELL),
        BalanceTierReached(25_000),
        trade(lineage=of_chain(parent_ticket=7, level=2)),
    ):
        told.hear(message)
    told.signal(SELL)
    restore(again.actor, snapshot_of(told.actor))
    assert again.actor.state == told.actor.state
    assert again.hear(SymbolSpecified(SPEC)) == []
