"""What a night costs: swaps at the end of the server's day, by the mode of each symbol (metatrader5.md 3.9)."""

from fractions import Fraction
from typing import Final, Protocol

from evenkeel.adapters.mt5 import constants as mt5
from evenkeel.adapters.simulated.server.book import Book, Why
from evenkeel.adapters.simulated.server.clock import ServerClock
from evenkeel.adapters.simulated.server.money import Money
from evenkeel.adapters.simulated.server.prices import Price
from evenkeel.adapters.simulated.server.records import Position
from evenkeel.adapters.simulated.server.terms import AccountTerms, SymbolTerms

_WEEKEND: Final = (mt5.DAY_OF_WEEK_SUNDAY, mt5.DAY_OF_WEEK_SATURDAY)
_YEAR_DAYS: Final = 360  # a bank's


class Server(Protocol):
    """What a night needs of the server."""

    account: AccountTerms
    symbols: dict[str, SymbolTerms]
    prices: dict[str, Price]
    clock: ServerClock
    money: Money
    book: Book


def end_day(utc_ms: int, server: Server) -> None:
    """Swap for the night; three times on the symbol's day, for the weekend, when none is charged."""
    day = server.clock.week_day(utc_ms - 1)
    if day in _WEEKEND:
        return
    server.book.now_utc_ms = max(server.book.now_utc_ms, utc_ms)
    for position in list(server.book.positions.values()):
        terms = server.symbols[position.symbol]
        nights = 3 if day == terms.swap_triple_day else 1
        if terms.swap_mode in (mt5.SYMBOL_SWAP_MODE_REOPEN_CURRENT, mt5.SYMBOL_SWAP_MODE_REOPEN_BID):
            _reopen(server, position, terms, nights)
        elif terms.swap_mode:
            server.book.charge_swap(position, _swap_cents(server, position, terms) * nights)


def _reopen(server: Server, position: Position, terms: SymbolTerms, nights: int) -> None:
    price = server.prices[position.symbol]
    from_bid = terms.swap_mode == mt5.SYMBOL_SWAP_MODE_REOPEN_BID
    points = price.bid_points if from_bid else price.exit_points(position.is_buy)
    swap_points = round(terms.swap_long if position.is_buy else -terms.swap_short) * nights
    server.book.reopen(position, points - swap_points, Why(position.magic, mt5.DEAL_REASON_ROLLOVER, "swap"))


def _swap_cents(server: Server, position: Position, terms: SymbolTerms) -> int:
    """Of one night (metatrader5.md 3.9)."""
    swap = Fraction(str(terms.swap_long if position.is_buy else terms.swap_short))
    lots = Fraction(position.volume_steps, terms.steps_per_lot)
    cents: int = 10**server.account.currency_digits
    price = server.prices[position.symbol]
    match terms.swap_mode:
        case mt5.SYMBOL_SWAP_MODE_POINTS:
            moved = swap * position.volume_steps
            return server.money.profit_cents(
                position.symbol, moved.numerator, moved.denominator, price.exit_points(position.is_buy)
            )
        case mt5.SYMBOL_SWAP_MODE_CURRENCY_DEPOSIT:
            return round(swap * lots * cents)
        case mt5.SYMBOL_SWAP_MODE_CURRENCY_SYMBOL | mt5.SYMBOL_SWAP_MODE_CURRENCY_MARGIN:
            of_base = terms.swap_mode == mt5.SYMBOL_SWAP_MODE_CURRENCY_SYMBOL
            rate = server.money.worth_of(terms.currency_base if of_base else terms.currency_margin) or (0, 1)
            return round(swap * lots * cents * Fraction(*rate))
        case _:
            current = terms.swap_mode == mt5.SYMBOL_SWAP_MODE_INTEREST_CURRENT
            cost, parts = (price.exit_points(position.is_buy), 1) if current else (position.open_cost, position.open_parts)
            yearly = swap / 100 * position.volume_steps * Fraction(cost, parts) / _YEAR_DAYS
            return server.money.profit_cents(position.symbol, yearly.numerator, yearly.denominator, cost // parts)
