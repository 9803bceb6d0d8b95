"""position/EURUSD by itself: stop 5 pips, target 10, emergency at -1.5 R, time stop of an hour, cooldown of 15 minutes."""

import msgspec
import pytest
from orders import SPEC, closed, opened
from position_builders import BUY, SELL, Told, denial

from evenkeel.config.limits import PERSONAL, PLAIN
from evenkeel.config.schema import BrokerGatewayConfig, Config, EntryConfig, ExitConfig
from evenkeel.messages.broker_gateway import OrderOutcomeResolved, OrderOutcomeUnknown, OrderRejected
from evenkeel.messages.entry import DenialReason, EntryProposed, Lineage, OrderDenied
from evenkeel.messages.market import ArmWatches, DisarmWatches, Quote, SymbolSpecified
from evenkeel.messages.operator import Mode, ModeChanged
from evenkeel.messages.position import (
    CloseFailure,
    ClosePosition,
    CloseScope,
    ExitReason,
    PositionPriced,
    PositionReduced,
    ReducePosition,
)
from evenkeel.messages.system import CancelTimer, SetTimer
from evenkeel.runtime.actor import restore, snapshot_of

MINUTE_MS = 60_000
ROLLOVER_UTC_MS = 1_767_736_800_000
"""2026-01-06 22:00 UTC, 17:00 in New York."""


def config(**exits) -> Config:
    return Config(
        profile="plain",
        limits=PLAIN,
        entry=EntryConfig(stop_pips=5.0, target_pips=10.0),
        exit=msgspec.structs.replace(ExitConfig(time_stop_minutes=60.0), **exits),
    )


@pytest.fixture
def told() -> Told:
    return Told(config())


@pytest.fixture
def held(told: Told) -> Told:
    return told.hold()


def close(generation: int, reason: ExitReason, remaining_steps: int = 0, quote: Quote | None = None) -> ClosePosition:
    return ClosePosition(1001, "EURUSD", remaining_steps, reason, generation, quote)


# The way in


def test_a_signal_on_a_free_slot_is_proposed_with_the_configured_distances(told):
    said = told.signal()
    assert isinstance(said, EntryProposed)
    assert (said.proposal_id, said.stop_distance_points, said.target_distance_points) == ("EURUSD-1", 50, 100)
    assert (said.lineage.proposal_id, said.lineage.chain_id) == ("EURUSD-1", "EURUSD-1")


def test_a_second_signal_finds_the_slot_taken_until_the_first_is_refused(told):
    first = told.signal()
    assert denial(told.signal(SELL)) == (DenialReason.SLOT_TAKEN, 1, 1, "count")
    told.hear(OrderDenied("EURUSD-1", "EURUSD", BUY, "risk_limit", DenialReason.POSITIONS, 5, 5, "count", first.lineage))
    assert isinstance(told.signal(), EntryProposed)


def test_a_refusal_of_another_proposal_frees_nothing(told):
    told.signal()
    told.hear(OrderDenied("EURUSD-9", "EURUSD", BUY, "gate", DenialReason.EXPIRED, 0, 0, "", Lineage("", "", slot=0)))
    assert denial(told.signal())[0] is DenialReason.SLOT_TAKEN


def test_a_slot_waits_for_an_unknown_outcome_until_somebody_knows(told):
    lineage = told.signal().lineage
    told.hear(OrderOutcomeUnknown("EURUSD-1", "EURUSD", BUY, 1, "lost", lineage))
    assert denial(told.signal())[0] is DenialReason.SLOT_TAKEN
    told.hear(OrderOutcomeResolved("EURUSD-1", "EURUSD", BUY, 1, lineage))
    assert isinstance(told.signal(), EntryProposed)


def test_a_rejection_frees_the_slot(told):
    lineage = told.signal().lineage
    told.hear(OrderRejected("EURUSD-1", "EURUSD", BUY, 1, 10006, "no", lineage))
    assert isinstance(told.signal(), EntryProposed)


def requoted(told: Told, lineage: Lineage, *, ask: int = 110_012) -> list:
    quote = Quote(1_000, ask - 10, ask)
    return told.hear(OrderRejected(lineage.proposal_id, "EURUSD", BUY, 1, 10004, "requote", lineage, quote))


def test_a_requoted_order_is_proposed_anew_at_the_price_of_now_in_the_same_slot_and_chain(told):
    lineage = told.signal().lineage
    (again,) = requoted(told, lineage)
    assert (again.proposal_id, again.quote.ask_points) == ("EURUSD-2", 110_012)
    assert (again.lineage.slot, again.lineage.chain_id) == (lineage.slot, "EURUSD-1")


def test_a_requoted_order_whose_slot_a_position_took_meanwhile_is_refused(told):
    lineage = told.signal().lineage
    told.hold(2002, lineage=Lineage("adopted", ""), adopted=True)
    (said,) = requoted(told, lineage)
    assert denial(said) == (DenialReason.SLOT_TAKEN, 1, 1, "count")


def test_a_requoted_order_is_refused_when_the_session_ends_meanwhile():
    told = Told(msgspec.structs.replace(config(), limits=PERSONAL))
    told.now_utc_ms = ROLLOVER_UTC_MS - 10 * MINUTE_MS - 1
    lineage = told.signal().lineage
    told.now_utc_ms += 1
    (said,) = requoted(told, lineage)
    assert denial(said)[0] is DenialReason.SESSION


def test_a_held_slot_is_taken_and_a_closing_one_says_so(held):
    assert denial(held.signal()) == (DenialReason.SLOT_TAKEN, 1, 1, "count")
    held.reached(109_960, "1001/stop/1")
    assert denial(held.signal())[0] is DenialReason.CLOSING


def test_the_cooldown_runs_from_the_fill_and_spares_the_orders_of_a_chain(held):
    held.hear(closed())
    assert denial(held.signal(after_ms=5 * MINUTE_MS)) == (DenialReason.COOLDOWN, 10 * MINUTE_MS, 0, "ms")
    assert isinstance(held.signal(level=1), EntryProposed)


def test_a_wide_spread_is_refused_with_its_numbers(told):
    assert denial(told.signal(quote=Quote(0, 110_000, 110_031))) == (DenialReason.SPREAD, 31, 30, "points")


def test_a_signal_of_other_terms_is_refused(told):
    told.hear(SymbolSpecified(msgspec.structs.replace(SPEC, spec_id=2)))
    assert denial(told.signal())[0] is DenialReason.SPEC_UNKNOWN


def test_terms_of_another_symbol_are_not_taken(told):
    told.hear(SymbolSpecified(msgspec.structs.replace(SPEC, spec_id=2, symbol="GBPUSD")))
    assert isinstance(told.signal(), EntryProposed)


# What is managed


def levels(armed: ArmWatches) -> list[tuple[str, int]]:
    return [(watch.name, watch.level_points) for watch in armed.watches]


def test_a_new_position_arms_its_levels_and_its_time_stop(told):
    armed, timer = told.hear(opened())
    assert levels(armed) == [("1001/emergency/1", 109_935), ("1001/stop/1", 109_960), ("1001/target/1", 110_110)]
    assert timer == SetTimer("position/EURUSD", "time/1001", 1_000 + 60 * MINUTE_MS)


def test_a_position_that_is_told_of_twice_is_managed_once(held):
    assert held.hear(opened()) == []


def test_an_adopted_position_without_levels_gets_the_configured_stop(told):
    armed, _ = told.hear(opened(stop_points=0, target_points=0, adopted=True, lineage=Lineage("adopted", "")))
    assert levels(armed) == [("1001/emergency/1", 109_935), ("1001/stop/1", 109_960)]


def test_the_deal_s_price_moves_the_levels(held):
    disarmed, armed = held.hear(PositionPriced(1001, "EURUSD", 1, 110_014, 10, 0))
    assert disarmed == DisarmWatches("position/EURUSD", "EURUSD", ("1001/emergency/1", "1001/stop/1", "1001/target/1"))
    assert levels(armed) == [("1001/emergency/2", 109_939), ("1001/stop/2", 109_964), ("1001/target/2", 110_114)]


def test_the_deal_s_commission_brings_the_emergency_level_nearer(held):
    _, armed = held.hear(PositionPriced(1001, "EURUSD", 1, 110_010, 10, -60))  # $6 a lot: 6 points
    assert levels(armed) == [("1001/emergency/2", 109_941), ("1001/stop/2", 109_960), ("1001/target/2", 110_110)]


def test_a_deal_that_brings_nothing_new_says_nothing(held):
    assert held.hear(PositionPriced(1001, "EURUSD", 1, 110_010, 10, 0)) == []


def test_without_emergency_and_time_stop_neither_is_armed():
    (armed,) = Told(config(emergency_r="off", time_stop_minutes="off")).hear(opened())
    assert [watch.name for watch in armed.watches] == ["1001/stop/1", "1001/target/1"]


def test_what_comes_before_the_terms_is_managed_when_they_come():
    told = Told(config(), specified=False)
    assert told.hear(opened()) == []
    assert told.hear(PositionPriced(1001, "EURUSD", 1, 110_014, 10, 0)) == []
    said = told.hear(SymbolSpecified(SPEC))
    assert levels([message for message in said if isinstance(message, ArmWatches)][-1])[1] == ("1001/stop/2", 109_964)


def test_what_came_and_went_before_the_terms_is_not_managed():
    told = Told(config(), specified=False)
    told.hear(opened())
    told.hear(closed())
    told.hear(SymbolSpecified(SPEC))
    assert told.actor.state.positions == {}


def test_a_closed_position_leaves_no_watch_and_no_timer(held):
    assert held.hear(closed()) == [
        DisarmWatches("position/EURUSD", "EURUSD", ("1001/emergency/1", "1001/stop/1", "1001/target/1")),
        CancelTimer("position/EURUSD", "time/1001"),
    ]
    assert held.hear(closed()) == []


# The way out


@pytest.mark.parametrize(
    "bid, reason",
    [(109_960, ExitReason.STOP), (109_935, ExitReason.EMERGENCY), (110_110, ExitReason.TARGET)],
)
def test_a_level_that_is_reached_closes_with_its_reason_and_quote(held, bid, reason):
    assert held.reached(bid, f"1001/{reason.value}/1") == [close(1, reason, quote=Quote(2_000, bid, bid + 10))]


def test_a_crossing_of_levels_that_have_moved_away_closes_nothing(held):
    held.hear(PositionPriced(1001, "EURUSD", 1, 109_990, 10, 0))
    assert held.reached(109_960, "1001/stop/1") == []


def test_a_crossing_of_a_position_that_is_gone_closes_nothing(held):
    held.hear(closed())
    assert held.reached(109_960, "1001/stop/1") == []


def test_the_time_stop_closes(held):
    assert held.due("time/1001") == [close(1, ExitReason.TIME)]


def test_a_close_is_asked_for_once(held):
    held.reached(109_960, "1001/stop/1")
    assert held.reached(109_935, "1001/emergency/1") == []
    assert held.due("time/1001") == []
    assert held.hear(ReducePosition(1001, "EURUSD", 0, ExitReason.UNPROTECTED)) == []


def test_a_refused_close_is_asked_for_again_later_and_later(held):
    held.reached(109_960, "1001/stop/1")
    for generation, delay_ms in ((1, 1_000), (2, 2_000), (3, 4_000)):
        assert held.failed(generation) == [SetTimer("position/EURUSD", "retry/1001", held.now_utc_ms + delay_ms)]
        assert held.due("retry/1001") == [close(generation + 1, ExitReason.STOP)]


def test_a_close_that_did_not_happen_is_asked_for_again_at_once(held):
    held.reached(109_960, "1001/stop/1")
    assert held.failed(1, CloseFailure.STILL_OPEN) == [SetTimer("position/EURUSD", "retry/1001", held.now_utc_ms)]


def test_a_failure_of_an_earlier_ask_changes_nothing(held):
    held.reached(109_960, "1001/stop/1")
    held.failed(1)
    held.due("retry/1001")
    assert held.failed(1) == []


def test_a_close_that_waits_is_asked_for_at_once_when_the_next_level_is_reached(held):
    held.due("time/1001")
    held.failed(1)
    assert held.reached(109_960, "1001/stop/1") == [close(2, ExitReason.TIME, quote=Quote(2_000, 109_960, 109_970))]
    assert held.due("retry/1001") == []


@pytest.mark.parametrize("ask", ["close", "flatten"])
def test_a_person_may_ask_again_while_a_close_is_on_its_way(held, ask):
    held.reached(109_960, "1001/stop/1")
    word = ReducePosition(1001, "EURUSD", 0, ExitReason.OPERATOR) if ask == "close" else ModeChanged(Mode.FLATTEN, 1, "me", "")
    assert held.hear(word) == [close(2, ExitReason.STOP)]


def test_a_stop_that_is_reached_during_a_partial_close_closes_the_rest(held):
    held.hear(ReducePosition(1001, "EURUSD", 4, ExitReason.UNPROTECTED))
    assert held.reached(109_960, "1001/stop/1") == [close(2, ExitReason.STOP, quote=Quote(2_000, 109_960, 109_970))]
    held.hear(PositionReduced(1001, "EURUSD", 1, 4, 109_960, 0, ExitReason.UNPROTECTED))
    assert held.failed(2) != []  # still asked for


def test_after_a_partial_close_the_rest_is_managed_as_before(held):
    assert held.hear(ReducePosition(1001, "EURUSD", 4, ExitReason.OPERATOR)) == [close(1, ExitReason.OPERATOR, 4)]
    assert held.hear(PositionReduced(1001, "EURUSD", 1, 4, 109_990, 0, ExitReason.OPERATOR)) == []
    (said,) = held.reached(109_960, "1001/stop/1")
    assert (said.remaining_steps, said.generation) == (0, 2)


def test_to_leave_what_is_there_is_nothing_to_do(held):
    assert held.hear(ReducePosition(1001, "EURUSD", 10, ExitReason.OPERATOR)) == []
    assert held.reached(109_960, "1001/stop/1") != []


def test_a_partial_close_that_left_too_much_stays_asked_for(held):
    held.hear(ReducePosition(1001, "EURUSD", 4, ExitReason.OPERATOR))
    held.hear(PositionReduced(1001, "EURUSD", 1, 7, 109_990, 0, ExitReason.OPERATOR))
    held.failed(1, CloseFailure.STILL_OPEN)
    assert held.due("retry/1001") == [close(2, ExitReason.OPERATOR, 4)]


def test_a_late_fill_is_closed_by_default_and_protected_until_then(told):
    said = told.hear(opened(late=True))
    assert [type(message) for message in said] == [ArmWatches, SetTimer, ClosePosition]
    assert said[-1] == close(1, ExitReason.LATE_FILL)


def test_a_late_fill_may_be_kept():
    keeping = msgspec.structs.replace(config(), broker_gateway=BrokerGatewayConfig(late_fill="keep"))
    assert [type(message) for message in Told(keeping).hear(opened(late=True))] == [ArmWatches, SetTimer]


def test_flatten_closes_every_position_and_what_opens_under_it(held):
    assert held.hear(ModeChanged(Mode.FLATTEN, 1, "me", "kill")) == [close(1, ExitReason.FLATTEN)]
    assert held.hear(opened(1002))[-1] == msgspec.structs.replace(close(1, ExitReason.FLATTEN), ticket=1002)


@pytest.mark.parametrize("mode", [Mode.RUN, Mode.CLOSE_ONLY, Mode.FREEZE])
def test_exits_are_served_in_every_mode(held, mode):
    assert held.hear(ModeChanged(mode, 1, "me", "")) == []
    (said,) = held.reached(109_960, "1001/stop/1")
    assert said.reason is ExitReason.STOP


def test_a_snapshot_forgets_nothing(held):
    held.hear(ReducePosition(1001, "EURUSD", 4, ExitReason.OPERATOR))
    held.failed(1)
    held.hear(ModeChanged(Mode.RUN, 3, "me", "start"))
    again = Told(config())
    restore(again.actor, snapshot_of(held.actor))
    assert again.actor.state == held.actor.state
    assert again.due("retry/1001") == held.due("retry/1001")
    assert again.signal() == held.signal()


# Modes


def mode(mode: Mode) -> ModeChanged:
    return ModeChanged(mode, 0, "me", "asked for")


def test_a_freeze_shelves_the_time_stop_until_it_ends(held):
    held.hear(mode(Mode.FREEZE))
    assert held.due("time/1001") == []
    assert held.hear(mode(Mode.CLOSE_ONLY)) == [close(1, ExitReason.TIME)]


def test_a_freeze_shelves_a_time_stop_that_was_refused(held):
    held.due("time/1001")
    held.failed(1)
    held.hear(mode(Mode.FREEZE))
    assert held.due("retry/1001") == []
    assert held.hear(mode(Mode.RUN)) == [close(2, ExitReason.TIME)]


def test_a_stop_is_served_in_a_freeze_although_the_time_stop_is_shelved(held):
    held.hear(mode(Mode.FREEZE))
    held.due("time/1001")
    (said,) = held.reached(109_950, "1001/stop/1")
    assert said.reason is ExitReason.STOP


def test_a_scope_is_closed_where_it_covers_the_position(held):
    assert held.hear(CloseScope("GBPUSD", ExitReason.FLATTEN)) == []
    assert held.hear(CloseScope("strategy/other", ExitReason.FLATTEN)) == []
    assert held.hear(CloseScope("strategy/trend", ExitReason.FLATTEN)) == [close(1, ExitReason.FLATTEN)]
