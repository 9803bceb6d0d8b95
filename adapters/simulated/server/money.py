"""Profit and margin by calculation mode, exchanged through the quotes of other symbols.

Formulas: MQL5 book (profit) and the symbol properties table (margin), as metatrader5.md 3.6 and 3.7 collect them. Exact
ratios, rounded once: profit half away from zero, margin upward.
"""

from collections.abc import Mapping, Sequence
from typing import Final, Protocol

import msgspec

from evenkeel.adapters.mt5 import constants as mt5
from evenkeel.adapters.simulated.server.prices import Price
from evenkeel.adapters.simulated.server.records import Position
from evenkeel.adapters.simulated.server.terms import AccountTerms, SymbolTerms

Ratio = tuple[int, int]
_PPM: Final = 1_000_000

_BY_TICK_VALUE: Final = (mt5.SYMBOL_CALC_MODE_FUTURES, mt5.SYMBOL_CALC_MODE_EXCH_FUTURES)
_WITHOUT_PROFIT: Final = (mt5.SYMBOL_CALC_MODE_SERV_COLLATERAL,)
_LEVERAGED: Final = (mt5.SYMBOL_CALC_MODE_FOREX, mt5.SYMBOL_CALC_MODE_CFDLEVERAGE)
_BY_PRICE: Final = (
    mt5.SYMBOL_CALC_MODE_CFD,
    mt5.SYMBOL_CALC_MODE_CFDLEVERAGE,
    mt5.SYMBOL_CALC_MODE_CFDINDEX,
    mt5.SYMBOL_CALC_MODE_EXCH_STOCKS,
    mt5.SYMBOL_CALC_MODE_EXCH_STOCKS_MOEX,
)
SUPPORTED: Final = frozenset(
    {mt5.SYMBOL_CALC_MODE_FOREX, mt5.SYMBOL_CALC_MODE_FOREX_NO_LEVERAGE, *_BY_TICK_VALUE, *_BY_PRICE, *_WITHOUT_PROFIT}
)
"""Bonds and options are not: their formulas are unverified."""


class Money(Protocol):
    """What a server must know of money. Amounts in cents of the account."""

    def profit_cents(self, symbol: str, point_steps: int, parts: int, close_points: int) -> int:
        """The worth of `point_steps / parts` points times steps, at a close at `close_points`."""
        ...

    def margin_rate(self, symbol: str) -> Ratio | None:
        """What the margin currency is worth now; None: there is no quote to exchange it by."""
        ...

    def margin_cents(self, symbol: str, volume_steps: int, cost: int, parts: int, rate: Ratio) -> int:
        """What `volume_steps` opened at `cost / parts` points block by themselves."""
        ...

    def held_cents(self, positions: Sequence[Position]) -> int:
        """What all positions of one symbol block together."""
        ...

    def worth_of(self, currency: str) -> Ratio | None:
        """What one unit of a currency costs in the account's; None without quotes."""
        ...

    def relies_on(self, symbol: str) -> frozenset[str]:
        """Other symbols whose quotes decide what a move of this one is worth."""
        ...


class RateMoney:
    """`prices` are the server's own and live: rates follow them. `rates` stand in for currencies that no symbol exchanges."""

    def __init__(
        self,
        account: AccountTerms,
        symbols: Mapping[str, SymbolTerms],
        prices: Mapping[str, Price],
        hedged: str,
        rates: Mapping[str, float] = {},
    ) -> None:
        self._rates = rates
        self._account, self._symbols, self._prices, self._hedged = account, symbols, prices, hedged
        self._cents = 10**account.currency_digits
        self._pairs = {(one.currency_base, one.currency_profit): one.name for one in reversed(list(symbols.values()))}
        self._paths: dict[str, tuple[str, ...] | None] = {}

    def profit_cents(self, symbol: str, point_steps: int, parts: int, close_points: int) -> int:
        terms = self._symbols[symbol]
        if terms.calc_mode in _WITHOUT_PROFIT or not point_steps:
            return 0
        if self._path(terms.currency_profit) == (symbol,):  # as brokers do: exchanged at the price of the close
            rate: Ratio | None = (10**terms.digits, max(1, close_points))
        else:
            rate = self._rate(terms.currency_profit, gain=point_steps > 0)
        if rate is None:
            return 0
        numerator, denominator = point_steps * self._cents * rate[0], parts * terms.steps_per_lot * rate[1]
        if terms.calc_mode in _BY_TICK_VALUE:
            return rounded(numerator * _ppm(terms.tick_value), denominator * terms.tick_size_points * _PPM)
        return rounded(numerator * terms.contract_size, denominator * 10**terms.digits)

    def margin_rate(self, symbol: str) -> Ratio | None:
        return self._rate(self._symbols[symbol].currency_margin, gain=False)

    def margin_cents(self, symbol: str, volume_steps: int, cost: int, parts: int, rate: Ratio) -> int:
        return self._margin(self._symbols[symbol], volume_steps, cost, parts, rate)

    def held_cents(self, positions: Sequence[Position]) -> int:
        """Hedged volume is charged by the symbol's hedged margin: a contract size or, beside an initial margin, money a lot.
        The rest is part of its own side."""
        sides = [[one for one in positions if one.is_buy is is_buy] for is_buy in (True, False)]
        margins = [sum(self._one_cents(one) for one in side) for side in sides]
        volumes = [sum(one.volume_steps for one in side) for side in sides]
        if self._hedged == "full" or not all(volumes):
            return sum(margins)
        if self._hedged == "larger_leg":
            return max(margins)
        larger = volumes.index(max(volumes))
        covered = min(volumes)
        uncovered = _ceil(margins[larger] * (volumes[larger] - covered), volumes[larger])
        first = sides[larger][0]
        terms = self._symbols[first.symbol]
        hedged = msgspec.structs.replace(terms, contract_size=int(terms.margin_hedged), margin_initial=terms.margin_hedged)
        if not terms.margin_hedged:
            return uncovered
        if not terms.margin_initial:
            hedged = msgspec.structs.replace(hedged, margin_initial=0.0)
        return uncovered + self._margin(hedged, covered, first.open_cost, first.open_parts, first.margin_rate)

    def relies_on(self, symbol: str) -> frozenset[str]:
        return frozenset(self._path(self._symbols[symbol].currency_profit) or ()) - {symbol}

    def worth_of(self, currency: str) -> Ratio | None:
        return self._rate(currency, gain=False)

    def _one_cents(self, one: Position) -> int:
        return self.margin_cents(one.symbol, one.volume_steps, one.open_cost, one.open_parts, one.margin_rate)

    def _margin(self, terms: SymbolTerms, volume_steps: int, cost: int, parts: int, rate: Ratio) -> int:
        numerator = volume_steps * self._cents * _ppm(terms.margin_ratio) * rate[0]
        denominator = terms.steps_per_lot * _PPM * rate[1]
        if terms.margin_initial:
            return _ceil(numerator * _ppm(terms.margin_initial), denominator * _PPM)
        mode = terms.calc_mode
        if mode in _BY_TICK_VALUE or mode in _WITHOUT_PROFIT:
            return 0
        numerator *= terms.contract_size
        if mode in _BY_PRICE:
            numerator, denominator = numerator * cost, denominator * parts * 10**terms.digits
        if mode == mt5.SYMBOL_CALC_MODE_CFDINDEX:
            numerator *= _ppm(terms.tick_value) * 10**terms.digits
            denominator *= terms.tick_size_points * _PPM
        if mode in _LEVERAGED:
            denominator *= self._account.leverage
        return _ceil(numerator, denominator)

    def _rate(self, currency: str, *, gain: bool) -> Ratio | None:
        """Who gains sells the currency, who loses has to buy it."""
        path = self._path(currency)
        if path is None:
            return self._declared(currency, gain=gain)
        numerator, denominator = 1, 1
        for name in path:
            price, terms = self._prices.get(name), self._symbols[name]
            if price is None:
                return None
            size = 10**terms.digits
            if currency == terms.currency_base:
                currency = terms.currency_profit
                numerator, denominator = numerator * (price.bid_points if gain else price.ask_points), denominator * size
            else:
                currency = terms.currency_base
                numerator, denominator = numerator * size, denominator * (price.ask_points if gain else price.bid_points)
        return numerator, max(1, denominator)

    def _declared(self, currency: str, *, gain: bool) -> Ratio | None:
        """A rate that somebody declared, or one symbol away from one."""
        if currency in self._rates:
            return _ppm(self._rates[currency]), _PPM
        for other, rate in self._rates.items():
            name = self._between(currency, other)
            price = None if name is None else self._prices.get(name)
            if name is not None and price is not None:
                size, points = 10 ** self._symbols[name].digits, price.bid_points if gain else price.ask_points
                ratio = (points, size) if self._symbols[name].currency_base == currency else (size, points)
                return ratio[0] * _ppm(rate), max(1, ratio[1]) * _PPM
        return None

    def _path(self, currency: str) -> tuple[str, ...] | None:
        """The symbols through which it is exchanged: none, one, or two over another currency."""
        if currency not in self._paths:
            self._paths[currency] = self._found_path(currency)
        return self._paths[currency]

    def _found_path(self, currency: str) -> tuple[str, ...] | None:
        home = self._account.currency
        if currency == home:
            return ()
        if direct := self._between(currency, home):
            return (direct,)
        others = dict.fromkeys(side for pair in self._pairs for side in pair)
        for other in others:
            first, second = self._between(currency, other), self._between(other, home)
            if first and second:
                return first, second
        return None

    def _between(self, one: str, other: str) -> str | None:
        return self._pairs.get((one, other)) or self._pairs.get((other, one))


def _ppm(number: float) -> int:
    return round(number * _PPM)


def _ceil(numerator: int, denominator: int) -> int:
    return -(-numerator // denominator)


def rounded(numerator: int, denominator: int) -> int:
    """To the nearest whole, half away from zero."""
    size = (2 * abs(numerator) + denominator) // (2 * denominator)
    return size if numerator >= 0 else -size
