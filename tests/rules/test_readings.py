import pytest

from evenkeel.messages.broker_gateway import BrokerPosition, PositionsRead
from evenkeel.messages.entry import Lineage
from evenkeel.messages.market import Direction
from evenkeel.messages.position import ClosedBy, ExitReason, PositionClosed
from evenkeel.rules.broker_book import BrokerBook
from evenkeel.rules.readings import READINGS_TO_DISBELIEVE, concluded
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
