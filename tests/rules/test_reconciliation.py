import msgspec
import pytest
from orders import deal_out, order, seen

from evenkeel.messages.broker_gateway import DealReason
from evenkeel.messages.position import ClosedBy, ExitReason
from evenkeel.rules.reconciliation import Believed, cause_of_close, differences, unmanaged

OURS = Believed(
    ticket=1001,
    symbol="EURUSD",
    spec_id=1,
    direction=order().direction,
    volume_steps=10,
    volume_left_steps=10,
    entry_points=110_010,
    stop_points=109_960,
    target_points=110_110,
    broker_stop_points=109_660,
    reserved_cents=700,
    opened_utc_ms=1_000,
    lineage=order().lineage,
)


def test_what_matches_says_nothing():
    assert differences({1001: OURS}, {2002: seen(2002, magic=0)}, [seen(), seen(2002, magic=0)]) == []


@pytest.mark.parametrize(
    "positions, line",
    [
        ([], "position 1001 is not at the broker"),
        ([seen(volume_steps=4)], "position 1001 has 4 steps at the broker, 10 here"),
        ([seen(), seen(3003)], "position 3003 is unknown here"),
    ],
)
def test_each_difference_is_a_line(positions, line):
    assert differences({1001: OURS}, {}, positions) == [line]


def test_a_foreign_position_that_is_not_shown_is_no_difference():
    assert differences({}, {2002: seen(2002)}, []) == []


@pytest.mark.parametrize(
    "deal_reason, asked, cause",
    [
        (DealReason.EXPERT, ExitReason.TARGET, (ExitReason.TARGET, ClosedBy.APP)),
        (DealReason.OTHER, ExitReason.TIME, (ExitReason.TIME, ClosedBy.APP)),
        (DealReason.EXPERT, None, (ExitReason.UNEXPLAINED, ClosedBy.BROKER)),
        (DealReason.STOP, None, (ExitReason.CATASTROPHE, ClosedBy.BROKER)),
        (DealReason.STOP, ExitReason.STOP, (ExitReason.CATASTROPHE, ClosedBy.BROKER)),
        (DealReason.TARGET, None, (ExitReason.TARGET, ClosedBy.BROKER)),
        (DealReason.STOP_OUT, ExitReason.STOP, (ExitReason.STOP_OUT, ClosedBy.BROKER)),
        (DealReason.CLIENT, ExitReason.STOP, (ExitReason.PERSON, ClosedBy.PERSON)),
    ],
)
def test_the_cause_of_a_close_is_the_deal_s_and_ours_only_when_it_answers_us(deal_reason, asked, cause):
    assert cause_of_close(deal_out(reason=deal_reason), OURS, asked) == cause


@pytest.mark.parametrize("profit_cents", [-500, 0, 500])
def test_the_sign_of_the_profit_says_nothing_about_the_cause(profit_cents):
    deal = deal_out(reason=DealReason.STOP, profit_cents=profit_cents)
    assert cause_of_close(deal, OURS, None)[0] is ExitReason.CATASTROPHE


def test_a_broker_stop_at_the_app_s_level_is_a_stop():
    at_app_stop = msgspec.structs.replace(OURS, broker_stop_points=OURS.stop_points)
    assert cause_of_close(deal_out(reason=DealReason.STOP), at_app_stop, None)[0] is ExitReason.STOP


def test_a_broker_stop_where_the_app_s_was_moved_to_is_a_stop_and_no_catastrophe():
    moved = msgspec.structs.replace(OURS, tight_stop_points=110_010, broker_stop_points=110_010)
    assert cause_of_close(deal_out(reason=DealReason.STOP), moved, None)[0] is ExitReason.STOP


@pytest.mark.parametrize(
    "held_stop_points, by",
    [(109_700, ClosedBy.PERSON), (109_660, ClosedBy.BROKER), (0, ClosedBy.BROKER), (None, ClosedBy.BROKER)],
)
def test_a_stop_that_was_not_ours_is_a_person_s(held_stop_points, by):
    position = msgspec.structs.replace(OURS, held_stop_points=held_stop_points)
    expected = ExitReason.PERSON if by is ClosedBy.PERSON else ExitReason.CATASTROPHE
    assert cause_of_close(deal_out(reason=DealReason.STOP), position, None) == (expected, by)


def test_a_position_whose_symbol_has_no_actor_has_nobody():
    other = msgspec.structs.replace(OURS, ticket=1002, symbol="GBPUSD")
    believed = {1001: OURS, 1002: other}
    assert unmanaged(believed, {"position/EURUSD"}) == ["position 1002 in GBPUSD has nobody who manages it"]
    assert unmanaged(believed, {"position/EURUSD", "position/GBPUSD"}) == []
