"""Numbers as the page shows them, each with its unit."""

from functools import partial
from typing import Final, NamedTuple

from evenkeel.commands.backtest.report import Account
from evenkeel.commands.report.markup import Cell

NONE: Final = "–"


class Money(NamedTuple):
    """Cents of one account as text."""

    account: Account

    def text(self, cents: float | None) -> str:
        if cents is None:
            return NONE
        digits = self.account.currency_digits
        amount = round(cents / 10**digits, digits) + 0.0  # no "-0.00"
        return f"{amount:,.{digits}f} {self.account.currency}"

    def cell(self, cents: float | None) -> Cell:
        """Coloured; the sign says the same to who sees no colour."""
        return Cell(self.text(cents), tone_of(cents))


def tone_of(number: float | None) -> str:
    return "" if not number else "gain" if number > 0 else "loss"


def _with(form: str, number: float | None) -> str:
    return NONE if number is None else format(number, form)


percent = partial(_with, ".1%")
plain = partial(_with, ".2f")
count = partial(_with, ",")


def r_text(r: float | None) -> str:
    return NONE if r is None else f"{r:.2f} R"
