"""What a simulated account is opened from: the default one, or a TOML file of the user's.

The file has [account], [assumptions], [terminal], [market] and [symbols.NAME]; every key has the default of its struct, here
or in server/terms.py. Errors are one line that names file and key.
"""

import tomllib
from pathlib import Path
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

from evenkeel.adapters.mt5 import constants as mt5
from evenkeel.adapters.simulated.server.terms import AccountTerms, Assumptions, SymbolTerms

FILE_BYTES_MAX: Final = 1 << 20
_WEEK_SESSION: Final = ((1 * 1440, 6 * 1440),)
"""Monday 00:00 to Friday 24:00 of the server's week."""


class AccountFileInvalid(Exception):
    """One line: file, key, what is wrong."""


class _Table(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    pass


class TerminalTerms(_Table, frozen=True):
    """The terminal between script and server. `latency_ms` is of each trade request; with `hold_interpreter` it is spent as
    the real extension spends it: no other thread of the process runs meanwhile. `build` as `version()` says it.
    """

    connected: bool = True
    trade_allowed: bool = True
    tradeapi_disabled: bool = False
    maxbars: Annotated[int, Meta(ge=10, le=10_000_000)] = 100_000
    ticks_kept: Annotated[int, Meta(ge=0, le=10_000_000)] = 50_000
    latency_ms: Annotated[int, Meta(ge=0, le=600_000)] = 0
    hold_interpreter: bool = False
    build: Annotated[int, Meta(ge=1, le=100_000)] = 6199
    build_date: str = "16 Sep 2026"
    path: str = "simulated"
    unselected: tuple[str, ...] = ("EURJPY", "EURGBP", "AUDJPY")


class MarketTerms(_Table, frozen=True):
    """Where quotes come from. "synthetic" is seeded and endless; "ticks" and "bars" replay a recorded file of one symbol.

    `speed` is market time over real time. `weekends`: closed from Friday to Sunday 17:00 New York, reopened with a gap.
    `play` names a scenario (see `evenkeel terminal --list`).
    """

    feed: Literal["synthetic", "ticks", "bars"] = "synthetic"
    file: str = ""
    symbol: str = ""
    seed: Annotated[int, Meta(ge=0, le=2**31 - 1)] = 1
    quote_every_s: Annotated[float, Meta(gt=0, le=3600)] = 0.5
    speed: Annotated[float, Meta(gt=0, le=100_000)] = 1.0
    correlation: Annotated[float, Meta(ge=0, le=1)] = 0.4
    weekends: bool = False
    rollover_spread: Annotated[float, Meta(ge=1, le=1000)] = 1.0
    play: str = ""


class AccountFile(_Table, frozen=True):
    account: AccountTerms = AccountTerms()
    assumptions: Assumptions = Assumptions()
    terminal: TerminalTerms = TerminalTerms()
    market: MarketTerms = MarketTerms()
    symbols: dict[str, dict[str, object]] = {}


class Opened(msgspec.Struct, frozen=True):
    """A file, with its symbols made whole. `rates` are worths in the account's currency where no symbol exchanges one."""

    account: AccountTerms
    assumptions: Assumptions
    terminal: TerminalTerms
    market: MarketTerms
    symbols: dict[str, SymbolTerms]
    rates: dict[str, float] = {}


def _pair(name: str, price: str, spread: int, *, digits: int = 5, swaps: tuple[float, float] = (-6.2, 1.1)) -> SymbolTerms:
    base, profit = name[:3], name[3:]
    return SymbolTerms(
        name=name,
        digits=digits,
        currency_base=base,
        currency_profit=profit,
        currency_margin=base,
        swap_mode=mt5.SYMBOL_SWAP_MODE_POINTS,
        swap_long=swaps[0],
        swap_short=swaps[1],
        path=f"Forex\\{name}",
        description=f"{base} vs {profit}",
        typical_price_points=round(float(price) * 10**digits),
        typical_spread_points=spread,
    )


COMMON_SYMBOLS: Final[dict[str, SymbolTerms]] = {
    terms.name: terms
    for terms in (
        _pair("EURUSD", "1.08500", 8),
        _pair("GBPUSD", "1.27000", 12),
        _pair("USDJPY", "151.000", 9, digits=3, swaps=(4.1, -18.0)),
        _pair("USDCHF", "0.88000", 11, swaps=(3.0, -8.5)),
        _pair("AUDUSD", "0.66000", 9),
        _pair("USDCAD", "1.36000", 12),
        _pair("NZDUSD", "0.61000", 12),
        _pair("EURGBP", "0.85400", 11),
        _pair("EURJPY", "163.800", 14, digits=3),
        _pair("AUDJPY", "99.600", 15, digits=3),
        msgspec.structs.replace(
            _pair("XAUUSD", "2350.00", 20, digits=2, swaps=(-35.0, 12.0)),
            contract_size=100,
            calc_mode=mt5.SYMBOL_CALC_MODE_CFDLEVERAGE,
            currency_margin="USD",
            path="Metals\\XAUUSD",
        ),
    )
}


def default_account() -> Opened:
    """USD, hedging, leverage 100, Market execution, FOK and IOC, no lag and no faults; open at any hour."""
    return _opened(AccountFile(), {})


def read_account(path: Path) -> Opened:
    """Raises AccountFileInvalid."""
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise AccountFileInvalid(f"{path}: cannot be read: {error.strerror}") from error
    if len(raw) > FILE_BYTES_MAX:
        raise AccountFileInvalid(f"{path}: {len(raw)} bytes; the limit is {FILE_BYTES_MAX}")
    try:
        found = msgspec.convert(tomllib.loads(raw.decode()), AccountFile)
        symbols = {name: _symbol(name, changes) for name, changes in found.symbols.items()}
    except (ValueError, RecursionError) as error:
        raise AccountFileInvalid(f"{path}: {error}") from error
    return _opened(found, symbols)


def _symbol(name: str, changes: dict[str, object]) -> SymbolTerms:
    """A common symbol with changes, or a new one."""
    base = msgspec.to_builtins(COMMON_SYMBOLS[name]) if name in COMMON_SYMBOLS else {}
    try:
        return msgspec.convert({**base, **changes, "name": name}, SymbolTerms)
    except msgspec.ValidationError as error:
        raise ValueError(f"[symbols.{name}] {error}") from error


def _opened(file: AccountFile, symbols: dict[str, SymbolTerms]) -> Opened:
    whole = {**COMMON_SYMBOLS, **symbols}
    if file.market.weekends:
        whole = {
            name: terms if terms.sessions else msgspec.structs.replace(terms, sessions=_WEEK_SESSION)
            for name, terms in whole.items()
        }
    return Opened(file.account, file.assumptions, file.terminal, file.market, whole)
