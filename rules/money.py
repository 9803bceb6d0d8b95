"""Every cent of the balance has a line of the broker's history: what was there, plus every deal and cash movement since."""

from typing import Final

import msgspec

from evenkeel.messages.broker_gateway import AccountRead, Cash, CashKind, Deal, MoneyAgreed, MoneyDisagreed
from evenkeel.messages.operator import ACCOUNT, HoldEnded, HoldPlaced
from evenkeel.messages.system import Message
from evenkeel.rules.texts import money_text

MONEY: Final = "money"
"""Who holds the account while balance and deals differ."""

CAPITAL: Final = frozenset({CashKind.BALANCE, CashKind.CREDIT, CashKind.CORRECTION, CashKind.BONUS})
"""Neither earned nor lost by trading: marks of profit and loss move with it. Everything else counts as a result."""


class MoneyBook(msgspec.Struct):
    """`expected_cents` is the balance by the deals, None before the first reading of the account; `measured_cents` the last
    reading, `difference_cents` by how much it was more. `unexplained_since_utc_ms`: since when, None while they agree; `said`:
    that it was said."""

    expected_cents: int | None = None
    measured_cents: int = 0
    difference_cents: int = 0
    unexplained_since_utc_ms: int | None = None
    said: bool = False


def balance_cents_of(moved: Deal | Cash) -> int:
    """By how much it moves the balance."""
    if isinstance(moved, Cash):
        return 0 if moved.kind is CashKind.CREDIT else moved.amount_cents
    return moved.profit_cents + moved.commission_cents + moved.swap_cents


def capital_cents_of(cash: Cash) -> int:
    """By how much it moves equity without being profit or loss."""
    return cash.amount_cents if cash.kind in CAPITAL else 0


def book_money(book: MoneyBook, moved: Deal | Cash) -> None:
    """A line of the history, once. What came before the first reading of the account is in that reading."""
    if book.expected_cents is not None:
        book.expected_cents += balance_cents_of(moved)


def account_read(book: MoneyBook, account: AccountRead, now_utc_ms: int, gap_ms: int) -> list[Message]:
    """A reading of the account; the first one is what everything later is measured from.

    One difference may be a deal that the history does not show yet: it is said when it is still there `gap_ms` later.
    """
    book.measured_cents = account.balance_cents
    if book.expected_cents is None:
        book.expected_cents = account.balance_cents
    book.difference_cents = account.balance_cents - book.expected_cents
    if not book.difference_cents:
        was_said, book.said, book.unexplained_since_utc_ms = book.said, False, None
        return [MoneyAgreed(account.balance_cents), HoldEnded(MONEY, ACCOUNT)] if was_said else []
    if book.unexplained_since_utc_ms is None:
        book.unexplained_since_utc_ms = now_utc_ms
    if book.said or now_utc_ms - book.unexplained_since_utc_ms < gap_ms:
        return []
    book.said = True
    measured, expected = (money_text(cents, account) for cents in (book.measured_cents, book.expected_cents))
    told = f"the balance is {measured}, by the deals {expected}"
    return [MoneyDisagreed(book.expected_cents, book.measured_cents), HoldPlaced(MONEY, ACCOUNT, told, 0)]


def is_asked(book: MoneyBook) -> bool:
    """They differ, and the account must be read once more before that is said."""
    return book.unexplained_since_utc_ms is not None and not book.said


def accept_measured(book: MoneyBook) -> None:
    """A person has looked: the balance is what it is."""
    if book.expected_cents is not None:
        book.expected_cents += book.difference_cents
    book.difference_cents, book.unexplained_since_utc_ms, book.said = 0, None, False
