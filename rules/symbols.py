"""What a symbol is when no terminal tells: back-tests, the simulated terminal.

The configuration's [symbols.X] comes first, then what follows from the two currencies in the name. Prices derived from
the table below are approximate: good for sizing and for seeing that a file is of another scale, never for profit.
"""

import difflib
import itertools
import math
from collections.abc import Callable
from fractions import Fraction
from typing import Final

from evenkeel.config.limits import LimitsConfig
from evenkeel.config.schema import Config, SymbolConfig
from evenkeel.messages.market import PointWorth, SymbolSpec

ProfitRule = Callable[[SymbolSpec, int, int, int], int]
"""(spec, points won, volume in steps, close price in points) -> profit in cents of the account."""

CURRENCY_CONTRACT_SIZE: Final = 100_000
GOLD_CONTRACT_SIZE: Final = 100
RATIO_PART_MAX: Final = 2**53 - 1

_USD_WORTH: Final = {
    name: Fraction(worth)
    for name, worth in {
        "EUR": "1.1",
        "GBP": "1.4",
        "AUD": "0.75",
        "NZD": "0.7",
        "USD": "1",
        "CAD": "0.75",
        "CHF": "1",
        "JPY": "0.009",
        "SEK": "0.1",
        "NOK": "0.1",
        "DKK": "0.15",
        "SGD": "0.73",
        "HKD": "0.128",
        "ZAR": "0.06",
        "MXN": "0.05",
        "PLN": "0.25",
        "CZK": "0.043",
        "HUF": "0.003",
        "CNH": "0.15",
        "TRY": "0.1",
        "XAU": "1500",
        "XAG": "20",
    }.items()
}
_METALS: Final = ("XAU", "XAG")


class UnknownSymbol(ValueError):
    """Too little is known of a symbol, or it does not fit together. One line that names the key to set."""


def spec_for(symbol: str, config: Config, *, digits: int | None = None, spec_id: int = 1) -> SymbolSpec:
    """The terms of `symbol`; `digits` (0 to 8) wins over the configuration's. Raises UnknownSymbol.

    `worth` is exact when the quote currency is the account's. When the base currency is, it divides by the typical
    price: an approximation for sizing; `profit_rule` uses the price of the close. Volume bounds are rounded inward,
    notional and commission upward.
    """
    terms = _terms(symbol, config)
    digits = digits_of(symbol, config) if digits is None else digits
    cents = 10**config.account.currency_digits
    lot_cents = _contract_size(symbol, terms) * cents * _account_per_quote(symbol, config)
    step_lots = Fraction(str(terms.volume_step_lots))
    if step_lots.numerator != 1:
        raise UnknownSymbol(
            f"[symbols.{symbol}] volume_step_lots {terms.volume_step_lots}: a lot is not a whole number of steps"
        )
    return SymbolSpec(
        spec_id=spec_id,
        symbol=symbol,
        digits=digits,
        contract_size=_contract_size(symbol, terms),
        steps_per_lot=step_lots.denominator,
        volume_min_steps=math.ceil(Fraction(str(terms.volume_min_lots)) / step_lots),
        volume_max_steps=math.floor(Fraction(str(terms.volume_max_lots)) / step_lots),
        stops_level_points=terms.stops_level_points,
        worth=_point_worth(lot_cents / 10**digits),
        notional_cents_per_lot=math.ceil(lot_cents * _typical_price(symbol, config)),
        typical_spread_points=terms.typical_spread_points,
        commission_cents_per_lot=math.ceil(Fraction(str(terms.commission_per_lot)) * cents),
    )


def typical_price(symbol: str, config: Config) -> Fraction | None:
    """About what `symbol` costs, within a factor of a few; None when neither configuration nor name tells."""
    configured = config.symbols.get(symbol, SymbolConfig()).typical_price
    if configured is not None:
        return Fraction(str(configured))
    pair = _pair(symbol)
    return _USD_WORTH[pair[0]] / _USD_WORTH[pair[1]] if pair else None


def digits_of(symbol: str, config: Config) -> int:
    """Decimals of its prices. Raises UnknownSymbol."""
    terms = _terms(symbol, config)
    if terms.digits is not None:
        return terms.digits
    match _pair(symbol):
        case None:
            raise UnknownSymbol(f"set [symbols.{symbol}] digits: they do not follow from the name")
        case "XAU", _:
            return 2
        case ("XAG", _) | (_, "JPY" | "HUF"):
            return 3
        case _:
            return 5


def points_per_pip(spec: SymbolSpec, config: Config) -> int:
    """As configured, else 10 for prices of 3 and 5 digits, where a point is a tenth of a pip, and 1 for others."""
    return config.entry.points_per_pip or (10 if spec.digits in (3, 5) else 1)


def quote_age_ms_max(symbol: str, limits: LimitsConfig) -> int | None:
    """How old a quote may be when an order leaves: metals, indices and names that tell nothing are no currency pair."""
    pair = (symbol[:3], symbol[3:6])  # some brokers add to the name
    is_currencies = all(side in _USD_WORTH and side not in _METALS for side in pair)
    age_s = limits.quote_age_s_max if is_currencies else limits.quote_age_others_s_max
    return None if age_s == "off" else round(age_s * 1000)


def profit_rule(symbol: str, config: Config) -> ProfitRule:
    """How a move of `symbol` becomes cents of the account: exact, rounded once, half away from zero.

    When the base currency is the account's, the profit in the quote currency is exchanged at the close price, as brokers
    do; otherwise the worth in the spec says it.
    """
    cents = 10**config.account.currency_digits

    def by_worth(spec: SymbolSpec, points: int, volume_steps: int, close_points: int) -> int:
        return _rounded(points * volume_steps * spec.worth.numerator, spec.worth.denominator * spec.steps_per_lot)

    def by_close_price(spec: SymbolSpec, points: int, volume_steps: int, close_points: int) -> int:
        # The size of a point stands in both the profit and the price, and cancels.
        return _rounded(points * volume_steps * spec.contract_size * cents, spec.steps_per_lot * close_points)

    pair = _pair(symbol)
    return by_close_price if pair and pair[0] == config.account.currency else by_worth


def _terms(symbol: str, config: Config) -> SymbolConfig:
    if symbol in config.symbols:
        return config.symbols[symbol]
    if _pair(symbol):
        return SymbolConfig()
    known = [*config.symbols, *map("".join, itertools.permutations(_USD_WORTH, 2))]
    near = difflib.get_close_matches(symbol.upper(), known, n=1)
    hint = f"did you mean {near[0]}? Otherwise set" if near else "set"
    keys = "digits, contract_size, typical_price, account_per_quote"
    raise UnknownSymbol(f"unknown symbol {symbol!r}: {hint} [symbols.{symbol}] {keys}")


def _pair(symbol: str) -> tuple[str, str] | None:
    base, quote = symbol[:3], symbol[3:]
    return (base, quote) if base in _USD_WORTH and quote in _USD_WORTH and base != quote else None


def _contract_size(symbol: str, terms: SymbolConfig) -> int:
    if terms.contract_size is not None:
        return terms.contract_size
    if symbol == "XAUUSD":
        return GOLD_CONTRACT_SIZE
    pair = _pair(symbol)
    if pair is None or any(side in _METALS for side in pair):
        raise UnknownSymbol(f"set [symbols.{symbol}] contract_size: it does not follow from the name")
    return CURRENCY_CONTRACT_SIZE


def _account_per_quote(symbol: str, config: Config) -> Fraction:
    pair, currency = _pair(symbol), config.account.currency
    if pair and pair[1] == currency:
        return Fraction(1)
    if pair and pair[0] == currency:
        return 1 / _typical_price(symbol, config)
    rate = _terms(symbol, config).account_per_quote
    if rate is None:
        raise UnknownSymbol(
            f"set [symbols.{symbol}] account_per_quote: its profit is not in {currency}, the account's currency"
        )
    return Fraction(str(rate))


def _typical_price(symbol: str, config: Config) -> Fraction:
    price = typical_price(symbol, config)
    if price is None:
        raise UnknownSymbol(f"set [symbols.{symbol}] typical_price: it does not follow from the name")
    return price


def _point_worth(worth: Fraction) -> PointWorth:
    """Both parts at most RATIO_PART_MAX, so that they pass unharmed through anything that holds numbers as doubles."""
    worth = worth.limit_denominator(RATIO_PART_MAX // (int(worth) + 1))
    return PointWorth(worth.numerator, worth.denominator)


def _rounded(numerator: int, denominator: int) -> int:
    size = (2 * abs(numerator) + denominator) // (2 * denominator)
    return size if numerator >= 0 else -size
