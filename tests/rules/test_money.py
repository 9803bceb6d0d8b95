from typing import Any

import msgspec
import pytest
from orders import deal_in, deal_out

from evenkeel.messages.broker_gateway import AccountRead, Cash, CashKind, MoneyAgreed, MoneyDisagreed
from evenkeel.messages.operator import HoldEnded, HoldPlaced
from evenkeel.rules import money
from evenkeel.rules.money import MoneyBook

GAP_MS = 2_000


def account(balance_cents: int, **changed: Any) -> AccountRead:
    return msgspec.structs.replace(AccountRead(balance_cents, balance_cents, 0, "USD", 2, 100), **changed)


def cash(kind: CashKind, amount_cents: int) -> Cash:
    return Cash(1, kind, amount_cents, "", 0)


def read(book: MoneyBook, balance_cents: int, at_utc_ms: int = 0) -> list:
    return money.account_read(book, account(balance_cents), at_utc_ms, GAP_MS)


@pytest.fixture
def book() -> MoneyBook:
    """10,000.00 were there at the first reading."""
    book = MoneyBook()
    read(book, 1_000_000)
    return book


def test_the_first_reading_is_what_everything_later_is_measured_from():
    book = MoneyBook()
    money.book_money(book, deal_out(profit_cents=-500))  # before anybody looked at the account
    assert read(book, 1_000_000) == []
    assert book.expected_cents == 1_000_000


def test_every_part_of_a_deal_and_every_kind_of_cash_but_credit_moves_the_balance(book):
    money.book_money(book, deal_in(commission_cents=-7))
    money.book_money(book, deal_out(profit_cents=-500, commission_cents=-7, swap_cents=-3))
    for amount_cents, kind in enumerate(CashKind, start=1):
        money.book_money(book, cash(kind, amount_cents))
    expected = 1_000_000 - 7 - 510 + sum(range(1, len(CashKind) + 1)) - (list(CashKind).index(CashKind.CREDIT) + 1)
    assert read(book, expected) == []
    assert book.unexplained_since_utc_ms is None


def test_a_cent_that_no_deal_explains_is_said_when_it_is_still_there_in_a_second_reading(book):
    assert read(book, 1_000_001, 10_000) == []
    assert money.is_asked(book)
    assert read(book, 1_000_001, 11_999) == []
    disagreed, hold = read(book, 1_000_001, 12_000)
    assert disagreed == MoneyDisagreed(1_000_000, 1_000_001)
    assert hold == HoldPlaced("money", "account", "the balance is 10000.01 USD, by the deals 10000.00 USD", 0)
    assert (read(book, 1_000_001, 20_000), money.is_asked(book)) == ([], False)


def test_a_deal_that_the_history_shows_late_explains_it_and_nothing_is_said(book):
    read(book, 999_500, 10_000)
    money.book_money(book, deal_out(profit_cents=-500))
    assert read(book, 999_500, 12_000) == []


def test_when_the_deals_explain_the_balance_again_the_hold_ends(book):
    read(book, 999_500, 0)
    read(book, 999_500, GAP_MS)
    money.book_money(book, cash(CashKind.CHARGE, -500))
    assert read(book, 999_500, 60_000) == [MoneyAgreed(999_500), HoldEnded("money", "account")]


def test_a_person_who_rearms_accepts_the_balance_as_it_is(book):
    read(book, 999_500, 0)
    read(book, 999_500, GAP_MS)
    money.accept_measured(book)
    assert read(book, 999_500, 60_000) == []


@pytest.mark.parametrize(
    "kind, is_capital",
    [
        (CashKind.BALANCE, True),
        (CashKind.CREDIT, True),
        (CashKind.CORRECTION, True),
        (CashKind.BONUS, True),
        (CashKind.CHARGE, False),
        (CashKind.COMMISSION, False),
        (CashKind.INTEREST, False),
        (CashKind.DIVIDEND, False),
        (CashKind.TAX, False),
        (CashKind.CANCELED, False),
        (CashKind.UNKNOWN_SYMBOL, False),
        (CashKind.OTHER, False),
    ],
)
def test_what_is_capital_is_neither_profit_nor_loss_and_everything_else_is(kind, is_capital):
    assert money.capital_cents_of(cash(kind, 250)) == (250 if is_capital else 0)
