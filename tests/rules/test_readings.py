from typing import Any

import msgspec
import pytest
from orders import order, seen

from evenkeel.messages.broker_gateway import (
    BrokerOrder,
    BrokerPosition,
    ForeignOrderGone,
    ForeignPositionGone,
    OrderOutcomeResolved,
    PositionsRead,
)
from evenkeel.messages.entry import Lineage
from evenkeel.messages.market import Direction
from evenkeel.messages.position import (
    ClosedBy,
    CloseFailed,
    CloseFailure,
    ClosePosition,
    ExitReason,
    PositionClosed,
)
from evenkeel.rules.broker_book import BrokerBook
from evenkeel.rules.order_intents import CloseIntent, Life, OpenIntent
from evenkeel.rules.readings import READINGS_TO_DISBELIEVE, concluded, is_unsettled, lacks_others
from evenkeel.rules.reconciliation import Believed

DAY = "2026-01-05"
NOTHING = PositionsRead(1, (), 0)
SHOWN = PositionsRead(1, (BrokerPosition(7, "EURUSD", 1, Direction.BUY, 5, 110_000, 109_000, 0, 1, 0),), 0)


def book(**changes: int) -> BrokerBook:
    """Position 7 is believed because the terminal said that it opened it."""
    believed = Believed(
        7, "EURUSD", 1, Direction.BUY, 5, 5, 110_000, 109_900, 0, 109_000, 100, 0, Lineage("person", ""), **changes
    )
    return BrokerBook(positions={7: believed})


def test_a_position_that_nothing_has_ever_shown_is_believed_for_long_and_then_no_more() -> None:
    its = book()
    said = [concluded(its, NOTHING, DAY, at) for at in range(READINGS_TO_DISBELIEVE)]
    assert not any(said[:-1])
    [closed] = said[-1]
    assert isinstance(closed, PositionClosed)
    assert (closed.ticket, closed.reason, closed.by, closed.net_cents) == (7, ExitReason.NEVER_OPENED, ClosedBy.BROKER, 0)
    assert its.positions == {}


@pytest.mark.parametrize("known", [{"held_stop_points": 109_000}, {"priced_steps": 5}], ids=["a reading", "a deal"])
def test_a_position_that_was_shown_once_is_gone_only_by_its_deal(known: dict[str, int]) -> None:
    its = book(**known)
    assert not any(concluded(its, NOTHING, DAY, at) for at in range(2 * READINGS_TO_DISBELIEVE))
    assert list(its.positions) == [7]


def test_readings_that_show_it_count_for_nothing() -> None:
    its = book()
    assert not any(concluded(its, SHOWN, DAY, at) for at in range(2 * READINGS_TO_DISBELIEVE))
    assert list(its.positions) == [7]


# Opens of which nobody knows


SENT, UNKNOWN = OpenIntent(order(), 11), OpenIntent(order(), 12, Life.UNKNOWN)
ORDER = BrokerOrder(21, "EURUSD", 1, Direction.BUY, 10, 0, 12, "")


def of_opens(*intents: OpenIntent, **kept: Any) -> BrokerBook:
    return BrokerBook(opens={intent.magic - 10: msgspec.structs.replace(intent) for intent in intents}, **kept)


def read(*positions: BrokerPosition, orders: tuple[BrokerOrder, ...] = ()) -> PositionsRead:
    return PositionsRead(1, positions, 0, orders)


def test_two_readings_in_a_row_without_it_prove_that_an_order_was_never_filled_and_one_proves_nothing() -> None:
    its = of_opens(SENT, UNKNOWN)
    assert concluded(its, NOTHING, DAY, 0) == []
    asked = order()
    resolved = OrderOutcomeResolved(asked.proposal_id, "EURUSD", Direction.BUY, 2, asked.lineage)
    assert concluded(its, NOTHING, DAY, 1) == [resolved]
    assert (list(its.opens), [lapsed.magic for lapsed in its.lapsed]) == ([1], [12])
    assert concluded(its, NOTHING, DAY, 2) == []


def test_an_order_without_an_answer_yet_is_never_absent() -> None:
    its = of_opens(SENT)
    assert [concluded(its, NOTHING, DAY, at) for at in range(5)] == [[]] * 5
    assert list(its.opens) == [1]


def test_an_order_that_waits_there_in_between_is_counted_anew_and_keeps_no_other_from_its_end() -> None:
    its = of_opens(UNKNOWN, OpenIntent(order(), 13, Life.PENDING))
    assert concluded(its, NOTHING, DAY, 0) == []
    ended = concluded(its, read(orders=(ORDER,)), DAY, 1)
    assert [message.intent_id for message in ended if isinstance(message, OrderOutcomeResolved)] == [3]
    assert concluded(its, NOTHING, DAY, 2) == []
    assert [type(message) for message in concluded(its, NOTHING, DAY, 3)] == [OrderOutcomeResolved]


def test_an_order_whose_position_is_disputed_is_not_absent() -> None:
    its = of_opens(UNKNOWN, disputed={9: [7, 2]}, foreign={9: seen(9)})
    assert [concluded(its, read(seen(9)), DAY, at) for at in range(5)] == [[]] * 5
    assert list(its.opens) == [2]


# Closes


def closing(life: Life, ticket: int = 7, remaining_steps: int = 0) -> CloseIntent:
    return CloseIntent(ClosePosition(ticket, "EURUSD", remaining_steps, ExitReason.STOP, 3), 31, life)


@pytest.mark.parametrize("life", [Life.ACCEPTED, Life.UNKNOWN])
def test_a_close_whose_position_two_readings_show_has_failed_and_one_proves_nothing(life: Life) -> None:
    others = {1: closing(Life.SENT), 2: closing(life, ticket=8), 3: closing(life, remaining_steps=5)}
    its = BrokerBook(closes={**others, 4: closing(life)})
    assert concluded(its, SHOWN, DAY, 0) == []
    failed = CloseFailed(7, "EURUSD", 3, CloseFailure.STILL_OPEN, "two readings show it")
    assert concluded(its, SHOWN, DAY, 1) == [failed]
    assert list(its.closes) == [1, 2, 3]
    assert concluded(its, SHOWN, DAY, 2) == []


# What is somebody else's, and what is not settled


def test_what_is_somebody_else_s_is_gone_when_two_readings_lack_it_and_all_of_it_is_told() -> None:
    its = book()
    its.positions[7].absent_readings = READINGS_TO_DISBELIEVE - 2
    its.positions[6] = msgspec.structs.replace(its.positions[7], ticket=6, priced_steps=5)
    its.positions[5] = msgspec.structs.replace(its.positions[7], ticket=5)
    its.foreign, its.foreign_orders = {9: seen(9)}, {21: ORDER}
    assert not lacks_others(its, read(seen(9), orders=(ORDER,)))
    assert lacks_others(its, read(orders=(ORDER,)))
    assert lacks_others(its, read(seen(9)))
    assert concluded(its, NOTHING, DAY, 0) == []
    assert is_unsettled(its)
    said = concluded(its, NOTHING, DAY, 42)
    assert said[:2] == [ForeignPositionGone(9, "EURUSD"), ForeignOrderGone(21, "EURUSD")]
    closed = [message for message in said if isinstance(message, PositionClosed)]
    assert [(one.ticket, one.trading_day, one.closed_utc_ms) for one in closed] == [(7, DAY, 42), (5, DAY, 42)]
    assert (its.foreign, its.foreign_orders, list(its.positions)) == ({}, {}, [6])
    assert not is_unsettled(its)


def test_what_only_another_reading_can_settle_is_unsettled() -> None:
    assert not is_unsettled(of_opens(SENT))
    assert is_unsettled(of_opens(SENT, UNKNOWN))
    assert not is_unsettled(BrokerBook(closes={1: closing(Life.SENT)}))
    assert is_unsettled(BrokerBook(closes={1: closing(Life.ACCEPTED)}))
    assert is_unsettled(BrokerBook(foreign_unseen=[9]))
    assert is_unsettled(BrokerBook(orders_unseen=[21]))
    assert not is_unsettled(book(stop_failures=0))
    assert is_unsettled(book(stop_failures=1))


def test_a_position_of_the_terminal_s_word_is_believed_for_three_minutes_of_readings() -> None:
    assert READINGS_TO_DISBELIEVE * 2 >= 180
