import pytest
from orders import INSTALLATION, deal_in, deal_out, opened, order, seen

from evenkeel.messages.broker_gateway import BrokerPosition, DealReason, ForeignPositionGone, ForeignPositionSeen
from evenkeel.messages.market import Direction
from evenkeel.messages.position import (
    ClosedBy,
    ClosePosition,
    ExitReason,
    PositionClosed,
    PositionOpened,
    PositionPriced,
    PositionReduced,
)
from evenkeel.rules import broker_book
from evenkeel.rules.adoption import NO_PLAN, Plan
from evenkeel.rules.broker_book import LAPSED_KEPT, BrokerBook
from evenkeel.rules.magic import magic_for
from evenkeel.rules.order_intents import CloseIntent, Life, OpenIntent

MAGIC = magic_for(INSTALLATION, 1)


def no_plan(position: BrokerPosition) -> Plan:
    """As before the terms of its symbol are known."""
    return NO_PLAN


@pytest.fixture
def book() -> BrokerBook:
    """Order 1 is on its way."""
    return BrokerBook(opens={1: OpenIntent(order(), MAGIC)})


@pytest.fixture
def held(book: BrokerBook) -> BrokerBook:
    """Order 1 has become position 1001; no deal has come yet."""
    fill(book)
    return book


def fill(book: BrokerBook, price_points: int = 110_010) -> list:
    intent = next(iter((*book.opens.values(), *book.lapsed)))
    return broker_book.fill(book, intent, ticket=1001, price_points=price_points, volume_steps=10, opened_utc_ms=1_000)


def ask_close(book: BrokerBook, number: int, reason: ExitReason, remaining_steps: int = 0) -> int:
    """A close that was asked for; its magic."""
    magic = magic_for(INSTALLATION, number)
    book.closes[number] = CloseIntent(ClosePosition(1001, "EURUSD", remaining_steps, reason, 1), magic)
    book.positions[1001].asked = reason
    return magic


def hear_in(book: BrokerBook, **changed) -> list:
    return broker_book.deal_in(book, deal_in(**changed), INSTALLATION, no_plan)


def hear_out(book: BrokerBook, **changed) -> list:
    return broker_book.deal_out(book, deal_out(**changed), "2026-01-05")


# Fills


def test_a_fill_opens_the_position_with_levels_around_its_own_price(book):
    assert fill(book, 110_013) == [opened(entry_points=110_013, stop_points=109_963, target_points=110_113)]
    assert book.opens == {}


def test_the_stop_at_the_broker_stays_where_the_request_put_it(book):
    (said,) = fill(book, 110_013)
    assert said.broker_stop_points == 109_660


def test_a_short_position_has_its_levels_the_other_way_round(book):
    book.opens[1].order = order(Direction.SELL)
    (said,) = fill(book, 110_000)
    assert (said.stop_points, said.target_points, said.broker_stop_points) == (110_050, 109_900, 110_350)


@pytest.mark.parametrize("life, late", [(Life.SENT, False), (Life.UNKNOWN, True)])
def test_a_fill_is_late_when_nobody_knew_of_it(book, life, late):
    book.opens[1].life = life
    (said,) = fill(book)
    assert said.late is late


def test_a_fill_of_an_order_that_was_given_up_is_late_and_keeps_its_lineage(book):
    broker_book.lapse(book, 1)
    assert broker_book.appear(book, seen(), INSTALLATION, no_plan) == [opened(late=True)]
    assert book.lapsed == []


def test_a_fill_that_is_heard_of_twice_opens_once(held):
    assert hear_in(held) == [PositionPriced(1001, "EURUSD", 1, 110_010, 10, 0)]
    assert broker_book.is_news(held, seen()) is False


def test_only_so_many_given_up_orders_are_remembered():
    book = BrokerBook()
    for number in range(1, LAPSED_KEPT + 2):
        book.opens[number] = OpenIntent(order(), magic_for(INSTALLATION, number))
        broker_book.lapse(book, number)
    assert [intent.magic for intent in book.lapsed][:1] == [magic_for(INSTALLATION, 2)]
    assert len(book.lapsed) == LAPSED_KEPT


# Positions that appear


def test_a_position_of_ours_without_an_order_is_adopted_with_the_stop_that_it_has():
    (said,) = broker_book.appear(BrokerBook(), seen(), INSTALLATION, no_plan)
    assert isinstance(said, PositionOpened)
    assert (said.adopted, said.late, said.stop_points, said.broker_stop_points) == (True, False, 0, 109_660)
    assert said.lineage.origin == "adopted"


@pytest.mark.parametrize("magic", [0, magic_for(INSTALLATION + 1, 1)])
def test_a_position_of_anybody_else_is_foreign(magic):
    book = BrokerBook()
    said = broker_book.appear(book, seen(2002, magic=magic), INSTALLATION, no_plan)
    assert said == [ForeignPositionSeen(2002, "EURUSD", 1, Direction.BUY, 10, 110_010)]
    assert book.positions == {}


def test_a_foreign_position_is_news_again_when_its_volume_has_changed():
    book = BrokerBook()
    broker_book.appear(book, seen(2002, magic=0), INSTALLATION, no_plan)
    assert not broker_book.is_news(book, seen(2002, magic=0))
    assert broker_book.is_news(book, seen(2002, magic=0, volume_steps=12))


def test_a_deal_that_a_person_made_with_our_magic_is_foreign():
    said = broker_book.deal_in(BrokerBook(), deal_in(2002, reason=DealReason.CLIENT), INSTALLATION, no_plan)
    assert [type(message) for message in said] == [ForeignPositionSeen]


def test_an_opening_deal_of_a_foreign_position_that_is_known_says_nothing():
    book = BrokerBook()
    broker_book.appear(book, seen(2002, magic=0), INSTALLATION, no_plan)
    assert broker_book.deal_in(book, deal_in(2002, magic=0), INSTALLATION, no_plan) == []


def test_a_foreign_position_is_gone_when_two_readings_in_a_row_do_not_show_it():
    book = BrokerBook()
    broker_book.appear(book, seen(2002, magic=0), INSTALLATION, no_plan)
    assert broker_book.foreign_gone(book, set()) == []
    assert broker_book.foreign_gone(book, {2002}) == []
    assert broker_book.foreign_gone(book, set()) == []
    assert broker_book.foreign_gone(book, set()) == [ForeignPositionGone(2002, "EURUSD")]
    assert (book.foreign, book.foreign_unseen) == ({}, [])


def test_a_foreign_position_s_own_deal_says_at_once_that_it_is_smaller_or_gone():
    book = BrokerBook()
    broker_book.appear(book, seen(2002, magic=0), INSTALLATION, no_plan)
    smaller = ForeignPositionSeen(2002, "EURUSD", 1, Direction.BUY, 6, 110_010)
    assert broker_book.deal_out(book, deal_out(2002, volume_steps=4), "") == [smaller]
    assert broker_book.deal_out(book, deal_out(2002, volume_steps=6), "") == [ForeignPositionGone(2002, "EURUSD")]


def test_a_closing_deal_of_a_position_that_nobody_knows_says_nothing():
    assert broker_book.deal_out(BrokerBook(), deal_out(9), "") == []


# Opening deals


def test_the_opening_deal_corrects_the_price_and_moves_the_levels_with_it(held):
    assert hear_in(held, price_points=110_014) == [PositionPriced(1001, "EURUSD", 1, 110_014, 10, 0)]
    position = held.positions[1001]
    assert (position.entry_points, position.stop_points, position.target_points) == (110_014, 109_964, 110_114)


def test_several_deals_of_one_order_make_one_position_at_their_mean_price(held):
    first = hear_in(held, volume_steps=6, price_points=110_010, commission_cents=-21)
    second = hear_in(held, deal_ticket=5002, volume_steps=4, price_points=110_015, commission_cents=-14)
    assert first == [PositionPriced(1001, "EURUSD", 1, 110_010, 6, -21)]
    assert second == [PositionPriced(1001, "EURUSD", 1, 110_012, 10, -35)]
    assert (held.positions[1001].volume_left_steps, held.positions[1001].stop_points) == (10, 109_962)


def test_an_order_that_was_filled_in_part_is_as_large_as_its_deals(held):
    hear_in(held, volume_steps=6)
    (closed,) = hear_out(held, volume_steps=6)
    assert isinstance(closed, PositionClosed)
    assert closed.volume_steps == 6


def test_a_position_that_was_adopted_smaller_than_it_began_is_not_closed_by_its_own_history():
    book = BrokerBook()
    broker_book.appear(book, seen(volume_steps=4), INSTALLATION, no_plan)
    hear_in(book, volume_steps=10)
    (reduced,) = hear_out(book, volume_steps=6)
    assert isinstance(reduced, PositionReduced)
    assert reduced.volume_steps == 4


# Closing deals


def test_money_comes_from_deals_alone_and_in_parts(held):
    hear_in(held, commission_cents=-35)
    ask_close(held, 2, ExitReason.TARGET)
    (closed,) = hear_out(held, profit_cents=1000, commission_cents=-35, swap_cents=-7)
    assert (closed.profit_cents, closed.commission_cents, closed.swap_cents, closed.net_cents) == (1000, -70, -7, 923)
    assert (closed.reason, closed.by, closed.trading_day) == (ExitReason.TARGET, ClosedBy.APP, "2026-01-05")
    assert held.closes == {}


def test_a_partial_close_leaves_the_rest_and_its_money_is_kept_for_the_end(held):
    hear_in(held)
    ask_close(held, 2, ExitReason.OPERATOR, remaining_steps=4)
    (reduced,) = hear_out(held, volume_steps=6, profit_cents=60)
    assert reduced == PositionReduced(1001, "EURUSD", 1, 4, 109_960, 60, ExitReason.OPERATOR)
    (closed,) = hear_out(held, deal_ticket=5003, volume_steps=4, profit_cents=40, reason=DealReason.CLIENT)
    assert (closed.profit_cents, closed.volume_steps, closed.reason) == (100, 10, ExitReason.PERSON)


def test_a_close_that_came_out_smaller_than_asked_stays_asked_for(held):
    ask_close(held, 2, ExitReason.STOP)
    hear_out(held, volume_steps=6)
    assert list(held.closes) == [2]


def test_of_two_closes_the_deal_names_the_one_it_answers(held):
    partial = ask_close(held, 2, ExitReason.OPERATOR, remaining_steps=4)
    ask_close(held, 3, ExitReason.STOP)
    (reduced,) = hear_out(held, volume_steps=6, magic=partial)
    assert reduced.reason is ExitReason.OPERATOR
    assert list(held.closes) == [3]


def test_a_close_without_a_magic_of_its_own_answers_what_was_asked_last(held):
    ask_close(held, 2, ExitReason.STOP)
    (closed,) = hear_out(held, magic=0)
    assert (closed.reason, closed.by) == (ExitReason.STOP, ClosedBy.APP)


def test_a_late_deal_of_a_close_that_was_given_up_still_has_its_reason(held):
    magic = ask_close(held, 2, ExitReason.STOP)
    del held.closes[2]
    (closed,) = hear_out(held, magic=magic)
    assert (closed.reason, closed.by) == (ExitReason.STOP, ClosedBy.APP)


def test_a_reason_ends_with_the_close_that_had_it(held):
    ask_close(held, 2, ExitReason.OPERATOR, remaining_steps=4)
    hear_out(held, volume_steps=6)
    (closed,) = hear_out(held, volume_steps=4, magic=12345)
    assert (closed.reason, closed.by) == (ExitReason.UNEXPLAINED, ClosedBy.BROKER)
