"""The table itself: every state is left, every end reached, and what is drawn is what is held."""

import pytest

from evenkeel.messages.position import ExitReason
from evenkeel.messages.recovery import ChainState
from evenkeel.rules.recovery import (
    ENDED,
    NO_CHAIN,
    TRANSITIONS,
    ChainEvent,
    Meaning,
    diagram,
    is_allowed,
    meaning_of,
    public_status,
)


def test_every_state_is_reached_and_every_live_one_is_left():
    reached = {after for afters in TRANSITIONS.values() for after in afters}
    left = {before for before, _ in TRANSITIONS}
    assert reached == set(ChainState)
    assert left == {NO_CHAIN} | {state.value for state in ChainState if state not in ENDED}


def test_from_every_live_state_an_end_can_be_reached():
    for state in ChainState:
        seen, next_ones = set[str](), {state.value}
        while next_ones - seen:
            seen |= next_ones
            next_ones = {after.value for (before, _), afters in TRANSITIONS.items() if before in seen for after in afters}
        assert state in ENDED or seen & {end.value for end in ENDED}, state


def test_nothing_leaves_an_ended_chain():
    assert not any(is_allowed(end, event, after) for end in ENDED for event in ChainEvent for after in ChainState)


def test_the_diagram_has_an_arrow_for_each_transition_and_no_other():
    drawn = set()
    for line in diagram().splitlines()[1:]:
        between, _, events = line.strip().partition(": ")
        before, _, after = between.partition(" --> ")
        drawn |= {(before.replace("[*]", ""), event, after) for event in events.split(", ") if event}
    assert drawn == {
        (str(before), event.value, after.value) for (before, event), afters in TRANSITIONS.items() for after in afters
    }


@pytest.mark.parametrize("reason", ExitReason)
def test_d3_what_follows_a_close_is_said_by_its_cause_alone(reason):
    """prevents: a close booked by the sign of its profit, and a person's close taken for a target"""
    following = {ExitReason.TARGET: Meaning.TARGET, ExitReason.STOP: Meaning.STOP}
    assert {Meaning.TARGET, Meaning.STOP} & {meaning_of(reason)} == ({following[reason]} if reason in following else set())


def test_the_public_status_has_the_words_of_the_store():
    words = {public_status(state).value for state in ChainState}
    assert words == {"active", "recovery_mode", "stopped", "completed"}
