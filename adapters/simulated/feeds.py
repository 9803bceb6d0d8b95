"""The quotes of a simulated account: an endless seeded market or a recorded file, and what a calendar makes of them."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from random import Random
from typing import Final

from evenkeel.adapters.simulated.account_file import AccountFileInvalid, MarketTerms
from evenkeel.adapters.simulated.market import HOUR_MS, SyntheticMarket
from evenkeel.adapters.simulated.server.clock import ServerClock
from evenkeel.adapters.simulated.server.terms import SymbolTerms
from evenkeel.messages.market import PointWorth, Quote, SymbolSpec

Quoted = tuple[str, Quote]
IsOpen = Callable[[str, int], bool]
"""Whether a symbol trades at an instant (UTC milliseconds)."""

_COMMON_MINUTE: Final = 0.0008
_MINUTE_MS: Final = 60_000
_GAP: Final = 0.002
_ROLLOVER_MS: Final = 10 * _MINUTE_MS
_DAY_MINUTES: Final = 1440
_QUIET_HOURS: Final = (0, 1, 2, 3, 4, 5, 6, 7)
_QUIET_SPREAD: Final = 1.3
_FIRST_HOURS: Final = range(_DAY_MINUTES, _DAY_MINUTES + 120)
_FIRST_SPREAD: Final = 2.0
_LAST_HOURS: Final = range(6 * _DAY_MINUTES - 120, 6 * _DAY_MINUTES)
_LAST_SPREAD: Final = 1.6
"""By the server's week, which trades from Monday to Friday: thin at night, at the opening and before the close."""
_LOOK_AHEAD_MS: Final = 15 * _MINUTE_MS
_LOOKS_MAX: Final = 14 * 96


def quotes_of(
    terms: MarketTerms, symbols: Mapping[str, SymbolTerms], home: str, *, start_utc_ms: int, is_open: IsOpen, clock: ServerClock
) -> Iterator[Quoted]:
    """In the order of time, from `start_utc_ms` on. Raises AccountFileInvalid when a recorded file cannot be used."""
    if terms.feed != "synthetic":
        quotes = rebased(recorded(terms, symbols), start_utc_ms)
        return while_open(quotes, is_open, terms.seed, names=symbols, skip_to=lambda utc_ms: None)
    market = SyntheticMarket(
        {name: spec_like(one) for name, one in symbols.items()},
        seed=terms.seed,
        start_utc_ms=start_utc_ms,
        quote_every_ms=max(1, round(terms.quote_every_s * 1000)),
        typical_price_points={name: one.typical_price_points for name, one in symbols.items()},
    )
    together = correlated(iter(market), symbols, home, terms.correlation, terms.seed)
    hourly = with_hours(together, clock, terms.rollover_spread)
    return while_open(hourly, is_open, terms.seed, names=symbols, skip_to=market.skip_to)


def recorded(terms: MarketTerms, symbols: Mapping[str, SymbolTerms]) -> Iterator[Quoted]:
    from evenkeel.adapters.history import BarFile, HistoryUnreadable, TickFile, merged  # numpy: for recorded quotes alone

    if terms.symbol not in symbols:
        raise AccountFileInvalid(f"[market] symbol {terms.symbol!r}: not among the symbols of the account")
    kind = TickFile if terms.feed == "ticks" else BarFile
    try:
        for stretch in merged([kind(Path(terms.file), terms.symbol, spec_like(symbols[terms.symbol]), None)]):
            for _, name, *price in stretch.in_order():
                yield name, Quote(*price)
    except HistoryUnreadable as error:
        raise AccountFileInvalid(f"[market] file {terms.file}: {error}") from error


def rebased(quotes: Iterable[Quoted], start_utc_ms: int) -> Iterator[Quoted]:
    """The same market, as if it began now."""
    ahead_ms: int | None = None
    for name, quote in quotes:
        if ahead_ms is None:
            ahead_ms = start_utc_ms - quote.time_utc_ms
        yield name, Quote(quote.time_utc_ms + ahead_ms, quote.bid_points, quote.ask_points)


def correlated(
    quotes: Iterator[Quoted], symbols: Mapping[str, SymbolTerms], home: str, strength: float, seed: int
) -> Iterator[Quoted]:
    """One walk of the home currency moves every symbol that it stands in: down those quoted in it, up those based on it."""
    draw, level, minute = Random(f"{seed}-common"), 0.0, None
    for name, quote in quotes:
        now = quote.time_utc_ms // _MINUTE_MS
        steps = 0 if minute is None else min(60, now - minute)
        for _ in range(steps):
            level = level * 0.999 + _COMMON_MINUTE * strength * (draw.random() + draw.random() - 1)
        minute = now
        terms = symbols[name]
        sign = (terms.currency_base == home) - (terms.currency_profit == home)
        yield name, shifted(quote, 1 + sign * level)


def with_hours(quotes: Iterator[Quoted], clock: ServerClock, rollover: float) -> Iterator[Quoted]:
    """Spreads by the hour of the week, and `rollover` times as wide round the server's midnight."""
    for name, quote in quotes:
        minute = clock.week_minute(quote.time_utc_ms)
        factor = _QUIET_SPREAD if minute % _DAY_MINUTES // 60 in _QUIET_HOURS else 1.0
        if minute in _FIRST_HOURS or minute in _LAST_HOURS:
            factor = _FIRST_SPREAD if minute in _FIRST_HOURS else _LAST_SPREAD
        if rollover > 1:
            since_ms = clock.server_ms(quote.time_utc_ms) % (24 * HOUR_MS)
            if since_ms < _ROLLOVER_MS or since_ms > 24 * HOUR_MS - _ROLLOVER_MS:
                factor *= rollover
        yield name, quote if factor == 1.0 else widened(quote, factor)


def while_open(
    quotes: Iterator[Quoted], is_open: IsOpen, seed: int, *, names: Iterable[str], skip_to: Callable[[int], None]
) -> Iterator[Quoted]:
    """No quote while a symbol's sessions are closed; it opens again a gap away. `skip_to` passes over a time when all are."""
    draw, gaps, closed, all_names = Random(f"{seed}-gaps"), dict[str, float](), set[str](), tuple(names)
    for name, quote in quotes:
        if not is_open(name, quote.time_utc_ms):
            closed.add(name)
            opens_utc_ms = _opening(all_names, is_open, quote.time_utc_ms)
            if opens_utc_ms > quote.time_utc_ms:
                skip_to(opens_utc_ms)
            continue
        if name in closed:
            closed.remove(name)
            gaps[name] = gaps.get(name, 1.0) * (1 + _GAP * (draw.random() + draw.random() - 1))
        yield name, shifted(quote, gaps[name]) if name in gaps else quote


def _opening(names: tuple[str, ...], is_open: IsOpen, utc_ms: int) -> int:
    """When the first of them opens, not later than that; now, if one is open."""
    for look in range(_LOOKS_MAX):
        later_utc_ms = utc_ms + look * _LOOK_AHEAD_MS
        if any(is_open(name, later_utc_ms) for name in names):
            return utc_ms if look == 0 else later_utc_ms - _LOOK_AHEAD_MS
    return utc_ms + _LOOKS_MAX * _LOOK_AHEAD_MS


def shifted(quote: Quote, factor: float) -> Quote:
    """Another price, the same spread."""
    bid_points = max(1, round(quote.bid_points * factor))
    return Quote(quote.time_utc_ms, bid_points, bid_points + quote.ask_points - quote.bid_points)


def widened(quote: Quote, factor: float) -> Quote:
    """Another spread round the same middle."""
    spread_points = max(1, round((quote.ask_points - quote.bid_points) * factor))
    bid_points = max(1, (quote.bid_points + quote.ask_points - spread_points) // 2)
    return Quote(quote.time_utc_ms, bid_points, bid_points + spread_points)


def spec_like(terms: SymbolTerms) -> SymbolSpec:
    """As much of it as a market or a file of quotes needs."""
    return SymbolSpec(
        spec_id=1,
        symbol=terms.name,
        digits=terms.digits,
        contract_size=terms.contract_size,
        steps_per_lot=terms.steps_per_lot,
        volume_min_steps=terms.volume_min_steps,
        volume_max_steps=terms.volume_max_steps,
        stops_level_points=terms.stops_level_points,
        worth=PointWorth(1, 1),
        notional_cents_per_lot=1,
        typical_spread_points=max(1, terms.typical_spread_points),
    )
