"""position/EURUSD and a strategy whose signals open chains: stop 50 points, target 2 R, trailing from 25 in steps of 12.5."""

import msgspec
import pytest
from builders import config_of
from orders import QUOTE, SPEC, closed, opened
from position_builders import BUY, SELL, Told, denial

from evenkeel.config.limits import PLAIN
from evenkeel.config.schema import Config, EntryConfig, MaCrossConfig
from evenkeel.messages.broker_gateway import OrderOutcomeUnknown, OrderRejected
from evenkeel.messages.circuit_breaker import BreakerChanged, BreakerLevel
from evenkeel.messages.entry import DenialReason, EntryProposed, Lineage, OrderDenied, OrderKind, ReentryRaised, SignalRaised
from evenkeel.messages.market import ArmWatches, Direction, DisarmWatches, PricesReached, Quote, SymbolSpecified
from evenkeel.messages.operator import Mode, ModeChanged
from evenkeel.messages.position import (
    ClosePosition,
    CloseScope,
    ExitReason,
    PositionOpened,
    PositionPriced,
    StopTightened,
    TightenStop,
)
from evenkeel.messages.recovery import ChainWaitOver, ChainWaits, ReentrySignalled
from evenkeel.messages.risk_limit import BalanceTierReached
from evenkeel.messages.shield import ShieldLowered, ShieldRaised, ShieldReason
from evenkeel.messages.system import SetTimer
from evenkeel.runtime.actor import restore, snapshot_of

MINUTE_MS = 60_000
PLACES = {BUY: 1, SELL: -1}


def chained(orders: str = "trend", *, entry: EntryConfig | None = None, logic: str = "off", **knobs) -> Config:
    plain = Config(profile="plain", limits=PLAIN)
    return msgspec.structs.replace(
        plain,
        entry=entry or EntryConfig(stop_pips=5.0, target_pips=10.0, cooldown_minutes=0.0),
        recovery=msgspec.structs.replace(plain.recovery, **knobs),
        exit=msgspec.structs.replace(plain.exit, time_stop_minutes="off"),
        strategy={"trend": MaCrossConfig(symbols=("EURUSD",), orders=orders, logic=logic), "plain": MaCrossConfig()},
    )


def of_chain(kind: OrderKind = OrderKind.TP_TRAIL, chain_id: str = "X", **more) -> Lineage:
    return Lineage("strategy", "trend", chain_id=chain_id, order_kind=kind.value, **more)


def at(direction: Direction, gain_points: int) -> Quote:
    """The quote at which a trade entered at 110010 would be closed with that gain; the spread is 10."""
    price = 110_010 + PLACES[direction] * gain_points
    return Quote(2_000, price, price + 10) if direction is BUY else Quote(2_000, price - 10, price)


def trade(direction: Direction = BUY, ticket: int = 1001, kind: OrderKind = OrderKind.TP_TRAIL, **changed) -> PositionOpened:
    s = PLACES[direction]
    changed = {"lineage": of_chain(kind), "stop_points": 110_010 - 50 * s, "target_points": 110_010 + 100 * s, **changed}
    return opened(ticket, direction=direction, **changed)


def reach(told: Told, direction: Direction, gain_points: int) -> list:
    return told.hear(PricesReached("position/EURUSD", "EURUSD", 1, at(direction, gain_points), ("1001/trail/1",)))


def levels(said: list) -> dict[str, int]:
    (armed,) = [message for message in said if isinstance(message, ArmWatches)]
    return {watch.name.split("/")[1]: watch.level_points for watch in armed.watches}


def closes(said: list) -> list[tuple[int, ExitReason]]:
    return [(message.ticket, message.reason) for message in said if isinstance(message, ClosePosition)]


def reentry(kind: OrderKind = OrderKind.SL_RECOVERY, parent_ticket: int = 1001, number: int = 0, **signal) -> ReentryRaised:
    lineage = of_chain(kind, parent_ticket=parent_ticket, level=1, number=number)
    raised = SignalRaised("EURUSD", 1, BUY, signal.get("quote", QUOTE), 0, 10, lineage)
    return ReentryRaised("EURUSD", raised, stop_distance_points=25, target_distance_points=50, volume_steps=7)


def alone(said: list) -> EntryProposed | OrderDenied:
    (message,) = said
    return message


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


# What a signal opens


def test_a_signal_opens_order_a_with_a_chain_of_its_own_and_a_target_in_r():
    said = Told(chained()).signal()
    assert (said.lineage.order_kind, said.lineage.chain_id) == ("tp_trail", "EURUSD-rs-1")
    assert (said.stop_distance_points, said.target_distance_points, said.second) == (50, 100, None)


def test_a_signal_opens_order_b_alone_where_the_strategy_wants_a_pyramid():
    said = Told(chained("pyramid")).signal()
    assert (said.lineage.order_kind, said.lineage.chain_id) == ("profit_trail", "EURUSD-rs-1/b")
    assert said.target_distance_points == 0


def test_a_signal_opens_both_orders_in_slots_beside_each_other():
    told = Told(chained("dual"))
    said = told.signal()
    assert (said.proposal_id, said.lineage.order_kind, said.lineage.slot) == ("EURUSD-1", "tp_trail", 0)
    second = said.second
    assert (second.proposal_id, second.lineage.proposal_id, second.lineage.slot) == ("EURUSD-2", "EURUSD-2", 1)
    assert (second.lineage.order_kind, second.lineage.chain_id) == ("profit_trail", f"{said.lineage.chain_id}/b")
    assert told.actor.state.pending == {0: "EURUSD-1", 1: "EURUSD-2"}


def test_both_orders_of_a_signal_are_one_trade_and_the_refusal_of_one_leaves_the_other():
    told = Told(chained("dual"))
    said = told.signal()
    second = said.second.lineage
    told.hear(OrderDenied("EURUSD-2", "EURUSD", BUY, "risk_limit", DenialReason.STOP_TOO_NEAR, 0, 0, "", second))
    assert denial(told.signal()) == (DenialReason.SLOT_TAKEN, 1, 1, "count")
    told.hear(trade(lineage=said.lineage))
    assert denial(told.signal(SELL)) == (DenialReason.SLOT_TAKEN, 1, 1, "count")


def test_a_requoted_order_of_a_pair_is_tried_again_alone_with_the_volume_that_it_had():
    told = Told(chained("dual"))
    said = told.signal()
    told.hear(trade(lineage=said.second.lineage))
    lineage = said.lineage
    again = alone(told.hear(OrderRejected("EURUSD-1", "EURUSD", BUY, 1, 10004, "requote", lineage, QUOTE, 5)))
    assert (again.lineage.order_kind, again.lineage.chain_id) == ("tp_trail", lineage.chain_id)
    assert (again.volume_steps, again.target_distance_points, again.second) == (5, 100, None)
    assert (again.lineage.slot, again.proposal_id) == (0, "EURUSD-3")


def test_strategies_without_chains_open_what_they_always_did():
    told = Told(chained("dual"))
    raised = SignalRaised("EURUSD", 1, BUY, QUOTE, 0, 10, Lineage("strategy", "plain"))
    said = alone(told.hear(raised))
    assert (said.lineage.order_kind, said.lineage.chain_id, said.target_distance_points) == ("single", "EURUSD-1", 100)


@pytest.mark.parametrize("tier, pips", [(0, 150), (5_000, 150), (25_000, 50), (100_000, 40)])
def test_the_stop_comes_from_the_table_of_the_balance(tier, pips):
    told = Told(chained(entry=EntryConfig(stop_system="sl_1")))
    if tier:
        told.hear(BalanceTierReached(tier))
    assert told.signal().stop_distance_points == pips * 10


def test_a_logic_widens_the_stop():
    assert Told(chained(logic="logic3")).signal().stop_distance_points == 125


# Nothing twice


def test_opening_a_trade_registers_no_second_one():
    """A recovery was once registered at the opening, already satisfied: three seconds later there were two trades."""
    told = Told(chained())
    lineage = told.signal().lineage
    said = told.hear(trade(lineage=lineage))
    assert not [message for message in said if isinstance(message, EntryProposed | ReentryRaised)]
    assert denial(told.signal(after_ms=3_000)) == (DenialReason.SLOT_TAKEN, 1, 1, "count")
    assert [one.ticket for one in told.actor.state.positions.values()] == [1001]


def test_the_same_signal_is_ignored_for_minutes_after_it_opened_a_trade():
    told = Told(chained())
    lineage = told.signal().lineage
    told.hear(trade(lineage=lineage, opened_utc_ms=1_000))
    told.hear(closed(lineage=lineage))
    assert denial(told.signal(after_ms=MINUTE_MS)) == (DenialReason.DUPLICATE, MINUTE_MS, 5 * MINUTE_MS, "ms")
    assert isinstance(told.signal(after_ms=4 * MINUTE_MS), EntryProposed)


def test_the_same_signal_is_no_repeat_when_the_first_was_refused_or_went_the_other_way():
    told = Told(chained())
    said = told.signal()
    told.hear(OrderDenied("EURUSD-1", "EURUSD", BUY, "risk_limit", DenialReason.POSITIONS, 5, 5, "count", said.lineage))
    lineage = told.signal().lineage
    told.hear(trade(lineage=lineage))
    told.hear(closed(lineage=lineage))
    assert isinstance(told.signal(SELL), EntryProposed)


# The orders of a chain


def test_a_reentry_is_proposed_with_its_own_distances_and_at_most_its_volume():
    said = alone(Told(chained()).hear(reentry()))
    assert (said.stop_distance_points, said.target_distance_points, said.volume_steps) == (25, 50, 7)
    assert (said.lineage.chain_id, said.lineage.order_kind, said.lineage.parent_ticket) == ("X", "sl_recovery", 1001)


def test_a_reentry_heeds_no_cooldown_and_no_count_of_trades_but_the_spread():
    told = Told(chained(entry=EntryConfig(stop_pips=5.0, cooldown_minutes=15.0)))
    told.hear(trade(ticket=2002, kind=OrderKind.SINGLE))
    said = alone(told.hear(reentry()))
    assert (type(said), said.lineage.slot) == (EntryProposed, 1)
    wide = reentry(OrderKind.TP_CONTINUATION, quote=Quote(0, 110_000, 110_031))
    assert denial(alone(told.hear(wide)))[0] is DenialReason.SPREAD


def test_one_end_of_a_trade_is_answered_by_one_reentry_however_often_it_is_asked_for():
    told = Told(chained())
    lineage = alone(told.hear(reentry())).lineage
    assert denial(alone(told.hear(reentry()))) == (DenialReason.DUPLICATE, 1, 1, "count")
    told.hear(OrderOutcomeUnknown(lineage.proposal_id, "EURUSD", BUY, 1, "lost", lineage))
    assert denial(alone(told.hear(reentry())))[0] is DenialReason.DUPLICATE
    told.hear(trade(ticket=2002, lineage=lineage))
    told.hear(closed(2002, lineage=lineage))
    assert denial(alone(told.hear(reentry())))[0] is DenialReason.DUPLICATE


def test_a_refused_reentry_may_be_tried_again():
    told = Told(chained())
    lineage = alone(told.hear(reentry())).lineage
    told.hear(OrderDenied(lineage.proposal_id, "EURUSD", BUY, "risk_limit", DenialReason.POSITIONS, 5, 5, "count", lineage))
    assert isinstance(alone(told.hear(reentry())), EntryProposed)


def test_the_orders_of_a_level_are_told_apart_by_their_numbers():
    told = Told(chained("pyramid"))
    answers = [alone(told.hear(reentry(OrderKind.PROFIT_TRAIL, number=number))) for number in (2, 3, 3)]
    assert [type(answer) for answer in answers] == [EntryProposed, EntryProposed, OrderDenied]
    assert [answer.lineage.slot for answer in answers[:2]] == [0, 1]


def test_a_fresh_signal_waits_while_a_chain_has_something_open_in_any_slot():
    told = Told(chained())
    told.hear(trade(ticket=2002, lineage=of_chain(OrderKind.SL_RECOVERY, parent_ticket=1001, level=1, slot=3)))
    assert denial(told.signal()) == (DenialReason.SLOT_TAKEN, 1, 1, "count")


def test_a_signal_of_a_strategy_whose_chain_waits_for_it_becomes_that_chains_reentry():
    told = Told(chained())
    told.hear(ChainWaits("trend", "X", "EURUSD", BUY))
    raised = SignalRaised("EURUSD", 1, BUY, QUOTE, 0, 10, Lineage("strategy", "trend"))
    denied, passed_on = told.hear(raised)
    assert denial(denied)[0] is DenialReason.CHAIN_WAITS
    assert passed_on == ReentrySignalled("trend", "X", "EURUSD", QUOTE, 10)
    assert isinstance(told.signal(SELL), EntryProposed)


def test_a_chain_that_waits_no_more_takes_no_signal_and_never_one_of_another_strategy():
    told = Told(chained())
    told.hear(ChainWaits("other", "Y", "EURUSD", BUY))
    told.hear(ChainWaits("trend", "X", "EURUSD", BUY))
    told.hear(ChainWaitOver("trend", "X", "EURUSD"))
    assert isinstance(told.signal(), EntryProposed)


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
