from typing import Any

import pytest
from orders import INSTALLATION, order, seen

from evenkeel.messages.broker_gateway import DealReason
from evenkeel.messages.market import Direction
from evenkeel.rules.magic import OPENS_NUMBER_MAX, comment_for, magic_for
from evenkeel.rules.order_intents import Life, OpenIntent
from evenkeel.rules.witnesses import WINDOW_AFTER_MS, WINDOW_BEFORE_MS, highest_number, verdict

MAGIC, OTHER = magic_for(INSTALLATION, 1), magic_for(INSTALLATION, 2)
STRANGER = magic_for(INSTALLATION + 1, 1)
COMMENT = comment_for(MAGIC)
ASKED_UTC_MS = 100_000
FIRST = OpenIntent(order(), MAGIC, Life.UNKNOWN, asked_utc_ms=ASKED_UTC_MS)
SECOND = OpenIntent(order(), OTHER, Life.UNKNOWN, asked_utc_ms=ASKED_UTC_MS)


def at_broker(**changed: Any) -> Any:
    return seen(**{"comment": COMMENT, "opened_utc_ms": ASKED_UTC_MS + 500, **changed})


def judged(position: Any, *intents: OpenIntent) -> Any:
    return verdict(position, intents or (FIRST,), INSTALLATION)


# One witness after the other


@pytest.mark.parametrize("comment", [COMMENT, "", "[sl 1.08500]", COMMENT[:-1], f"from #7 {COMMENT}"])
def test_the_magic_is_believed_whatever_became_of_the_comment(comment):
    assert judged(at_broker(comment=comment)).intent is FIRST


@pytest.mark.parametrize("comment", [COMMENT, f"to #4711 {COMMENT}!"])
def test_the_comment_is_believed_where_the_magic_is_zero(comment):
    assert judged(at_broker(magic=0, comment=comment), FIRST, SECOND).intent is FIRST


@pytest.mark.parametrize("comment", ["", "[tp 1.1]", COMMENT[:-1], COMMENT[:-1] + "0"])
def test_shape_and_time_are_believed_where_magic_and_comment_are_lost(comment):
    assert judged(at_broker(magic=0, comment=comment)).intent is FIRST


def test_a_broker_may_fill_less_than_was_asked():
    assert judged(at_broker(magic=0, comment="", volume_steps=4)).intent is FIRST


@pytest.mark.parametrize(
    "changed",
    [
        {"symbol": "GBPUSD"},
        {"direction": Direction.SELL},
        {"volume_steps": 11},
        {"opened_utc_ms": ASKED_UTC_MS - WINDOW_BEFORE_MS - 1},
        {"opened_utc_ms": ASKED_UTC_MS + WINDOW_AFTER_MS + 1},
        {"reason": DealReason.CLIENT},
    ],
)
def test_without_marks_whatever_does_not_fit_entirely_is_foreign(changed):
    found = judged(at_broker(magic=0, comment="", **changed))
    assert (found.intent, found.ours, found.disputed) == (None, False, "")


@pytest.mark.parametrize("moved_ms", [-WINDOW_BEFORE_MS, WINDOW_AFTER_MS])
def test_both_ends_of_the_window_count(moved_ms):
    assert judged(at_broker(magic=0, comment="", opened_utc_ms=ASKED_UTC_MS + moved_ms)).intent is FIRST


@pytest.mark.parametrize("life, is_ours", [(Life.SENT, False), (Life.PENDING, True), (Life.UNKNOWN, True)])
def test_shape_and_time_are_asked_only_of_orders_whose_outcome_nobody_knows(life, is_ours):
    intent = OpenIntent(order(), MAGIC, life, asked_utc_ms=ASKED_UTC_MS)
    assert (judged(at_broker(magic=0, comment=""), intent).intent is intent) is is_ours


# Whose else


def test_marks_of_ours_without_an_order_are_ours():
    assert judged(at_broker(magic=OTHER, comment="")).ours
    assert judged(at_broker(magic=0, comment=comment_for(OTHER))).ours


@pytest.mark.parametrize("marks", [{"magic": STRANGER}, {"magic": 77}, {"magic": 0, "comment": comment_for(STRANGER)}])
def test_marks_of_somebody_else_are_foreign(marks):
    found = verdict(at_broker(**{"comment": "", **marks}), (), INSTALLATION)
    assert (found.intent, found.ours, found.disputed) == (None, False, "")


# Witnesses that contradict each other


@pytest.mark.parametrize(
    "changed, intent_ids",
    [
        ({"magic": OTHER}, (2, 1)),
        ({"magic": STRANGER}, (1,)),
        ({"magic": 77}, (1,)),
        ({"symbol": "GBPUSD"}, (1,)),
        ({"direction": Direction.SELL}, (1,)),
        ({"volume_steps": 11}, (1,)),
        ({"volume_steps": 11, "magic": 0}, (1,)),
    ],
)
def test_two_witnesses_that_disagree_prove_nothing(changed, intent_ids):
    found = judged(at_broker(**changed), FIRST, SECOND)
    assert (found.intent, found.ours, found.intent_ids) == (None, False, intent_ids)
    assert found.disputed


def test_two_orders_that_fit_alike_prove_nothing():
    found = judged(at_broker(magic=0, comment=""), FIRST, SECOND)
    assert (found.intent, found.intent_ids) == (None, (1, 2))
    assert found.disputed == "without magic and comment it fits 2 orders"


def test_a_stranger_s_comment_beside_a_magic_of_ours_is_no_witness():
    assert judged(at_broker(comment=comment_for(STRANGER))).intent is FIRST


def test_a_dispute_says_what_was_asked_and_what_is_there():
    assert judged(at_broker(volume_steps=11)).disputed == "11 steps, but order 1 asked for 10"


# Numbers that were used


@pytest.mark.parametrize(
    "shown, highest",
    [
        ((), 0),
        (({"magic": STRANGER, "comment": comment_for(STRANGER)},), 0),
        (({"magic": MAGIC}, {"magic": OTHER}), 2),
        (({"magic": 0, "comment": comment_for(OTHER)}, {"magic": MAGIC}), 2),
        (({"magic": magic_for(INSTALLATION, OPENS_NUMBER_MAX)},), OPENS_NUMBER_MAX),
        (({"magic": magic_for(INSTALLATION, OPENS_NUMBER_MAX + 1)}, {"magic": MAGIC}), 1),
    ],
)
def test_the_highest_number_of_ours_counts_by_magic_or_comment(shown, highest):
    assert highest_number([at_broker(**{"comment": "", **marks}) for marks in shown], INSTALLATION) == highest


@pytest.mark.parametrize("moved_ms, is_ours", [(-5_001, False), (-5_000, True), (180_000, True), (180_001, False)])
def test_the_window_is_as_long_as_the_model_says(moved_ms, is_ours):
    found = judged(at_broker(magic=0, comment="", opened_utc_ms=ASKED_UTC_MS + moved_ms))
    assert (found.intent is FIRST) is is_ours
