"""Every state of four small models: what is unsafe has a shortest way to go wrong, what we do has none.

`pytest -s` prints how many states each has and the trace of each counter-example.
"""

from collections.abc import Hashable

import pytest
from simulation.model import gate, intent, reservation
from simulation.model.gate import GateModel
from simulation.model.intent import IntentModel, Policy
from simulation.model.kill import KillModel, KillRule
from simulation.model.reservation import ReservationModel
from simulation.model.search import Found, Model, dead_ends, search


def found(model: Model[Hashable]) -> Found:
    result = search(model)
    print(f"\n{result}")  # noqa: T201  for `pytest -s`
    return result


def assert_safe(model: Model[Hashable], *, states_min: int) -> None:
    """All well, and the model is not so small that this says nothing."""
    result = found(model)
    assert result.wrong == ""
    assert result.states >= states_min


CULPRIT = {
    "resend on a time-out": "time-out, resend",
    "query once, then resend": "query shows nothing, resend",
    "wait less than delay and lag, then resend": "query shows nothing, resend",
    "journal after the send": "crash",
    "match by a comment": "query shows nothing, resend",
    "never resend, but journal after the send": "crash",
}
"""The step without which the naive policy would not have doubled."""


@pytest.mark.parametrize("name", intent.UNSAFE)
def test_a_naive_order_policy_opens_two_positions(name: str) -> None:
    result = found(IntentModel(intent.UNSAFE[name]))
    assert result.wrong == "two positions"
    assert CULPRIT[name] in result.trace
    assert sum(label.startswith("send") for label in result.trace) == 2


def test_a_resend_on_a_time_out_needs_no_crash_and_no_delay_to_double() -> None:
    assert search(IntentModel(intent.RESEND_ON_TIMEOUT)).trace == (
        "journal",
        "send, filled (shows after 0), reply lost",
        "tick",
        "time-out, resend",
        "journal",
        "send, filled (shows after 0), reply lost",
    )


@pytest.mark.parametrize(
    "policy", [intent.WAIT_OUT_THEN_RESEND, intent.WAIT_OUT_WITH_UNIQUE_MAGIC], ids=["a magic", "a unique magic"]
)
def test_waiting_out_delay_and_lag_is_safe_and_only_while_they_hold(policy: Policy) -> None:
    assert_safe(IntentModel(policy), states_min=400)
    assert found(IntentModel(policy, delay=intent.DELAY + 1)).wrong == "two positions"
    assert found(IntentModel(policy, lag=intent.LAG + 1)).wrong == "two positions"


def test_never_sending_an_unknown_open_again_is_safe_under_any_delay_and_lag() -> None:
    assert_safe(IntentModel(intent.NEVER_RESEND), states_min=90)
    assert_safe(IntentModel(intent.NEVER_RESEND, unbounded=True), states_min=40)


def is_known(state: intent.State) -> bool:
    """Nothing is on its way any more, and what is at the broker is in the journal."""
    return not state.requests and (state.settled or not state.positions)


def test_what_an_unknown_open_came_to_can_always_still_be_found_out_unless_its_mark_is_lost() -> None:
    """Whatever was lost and whoever died: a reading shows the late fill, and it is adopted."""
    assert dead_ends(IntentModel(intent.NEVER_RESEND, unbounded=True), is_known) == []
    by_comment = intent.NEVER_RESEND._replace(mark=intent.Mark.COMMENT)
    assert dead_ends(IntentModel(by_comment, unbounded=True), is_known) != []


LOOPHOLE = {
    "a lease with a time to live": "the lease runs",
    "looking at the lease again before sending": "the lease runs",
    "a lease that does not lapse after an order": "the lease runs",
    "a fencing token that the bridge checks": "1 arrives, called",
    "a gate in the bridge's memory": "the bridge crashes",
    "a gate that is written down after the call": "the bridge crashes",
}


@pytest.mark.parametrize("name", gate.UNSAFE)
def test_whatever_is_not_written_down_in_the_bridge_before_the_call_lets_two_orders_through(name: str) -> None:
    result = found(GateModel(gate.UNSAFE[name]))
    assert result.wrong == "two orders"
    assert LOOPHOLE[name] in result.trace


def test_one_unresolved_order_written_down_in_the_bridge_before_the_call_is_safe_without_any_lease() -> None:
    assert_safe(GateModel(gate.GATE_IN_THE_BRIDGE), states_min=50)


BEFORE, UNASKED = "an order began that was decided before the kill", "an order began that nobody re-armed for"
KILLED_TOO_LATE = {
    KillRule.STOP_IN_THE_QUEUE: (BEFORE, ("decide", "kill", "check and call")),
    KillRule.CHECKED_BEFORE_WAITING: (BEFORE, ("decide", "check", "kill", "call")),
    KillRule.MODE_ALONE: (BEFORE, ("decide", "kill", "the kill is heard", "re-arm", "check and call")),
    KillRule.EPOCH_IN_MEMORY: (BEFORE, ("kill", "decide", "crash and restart", "check and call")),
    KillRule.RESTART_REARMS: (UNASKED, ("kill", "crash and restart", "decide", "check and call")),
}


@pytest.mark.parametrize(("rule", "outcome"), KILLED_TOO_LATE.items(), ids=KILLED_TOO_LATE)
def test_a_kill_that_is_not_read_from_disk_at_the_call_comes_too_late(
    rule: KillRule, outcome: tuple[str, tuple[str, ...]]
) -> None:
    result = found(KillModel(rule))
    assert (result.wrong, set(result.trace)) == (outcome[0], set(outcome[1]))
    assert len(result.trace) == len(outcome[1])


def test_the_epoch_on_disk_at_the_call_holds_through_restarts_and_a_re_arm() -> None:
    assert_safe(KillModel(KillRule.EPOCH_ON_DISK_AT_THE_CALL), states_min=50)


LEAK = {
    "check, then act": "passes the limit",
    "an unknown outcome frees its place": "its reply is lost",
    "places counted in memory": "crash and restart",
}


@pytest.mark.parametrize("name", reservation.UNSAFE)
def test_a_place_that_is_taken_late_or_forgotten_lets_more_through_than_the_limit(name: str) -> None:
    result = found(ReservationModel(reservation.UNSAFE[name]))
    assert result.wrong == f"{reservation.LIMIT + 1} positions, the limit is {reservation.LIMIT}"
    assert any(LEAK[name] in label for label in result.trace)


def test_a_place_reserved_before_the_send_and_kept_while_unknown_never_exceeds_the_limit() -> None:
    assert_safe(ReservationModel(reservation.RESERVED_AND_KEPT), states_min=1000)


def test_two_readings_may_free_a_place_while_no_request_is_later_than_they_are() -> None:
    """What the gateway concludes from two readings rests on this, as DESIGN 9.4 allows: a later fill is adopted and closed."""
    assert_safe(ReservationModel(reservation.READINGS_FREE, late=False), states_min=1000)
    late = found(ReservationModel(reservation.READINGS_FREE))
    assert late.wrong == f"{reservation.LIMIT + 1} positions, the limit is {reservation.LIMIT}"
    assert late.trace.count("a reading") == 2
    assert any("is filled late" in label for label in late.trace)
