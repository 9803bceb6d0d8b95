"""What the lines of each kind of text export mean. A format is recognised by the first line.

MetaTrader 5 writes its server's time; an empty bid or ask is as it was before. So does MetaTrader 4, whose lines HistData
writes too, by its own clock: nothing in them tells which. HistData's time is that of New York without its summer time.
Dukascopy and TrueFX write UTC, a Dukascopy header may name another zone; dukascopy-node writes milliseconds.
"""

import re
from collections.abc import Callable, Sequence
from functools import partial
from operator import itemgetter
from typing import Final, NamedTuple

from evenkeel.adapters.exports.fields import clock_ms, day_ms, epoch_ms, plain_clock_ms, points_of, spread_of
from evenkeel.adapters.exports.lines import BadField, Fault
from evenkeel.adapters.history.checks import shown
from evenkeel.rules.price_checks import QUOTES, SIDE, SPREAD_BARS
from evenkeel.rules.server_zone import ZONE_UTC, UnknownZone, Zone, zone_of

EASTERN_STANDARD: Final = Zone("UTC", -5 * 60)

Row = tuple[int, ...]
"""Time and the prices in the order of the format's names."""
Decode = Callable[[str], Row | None]
"""Of one line; None for one that says nothing of prices. Raises BadField."""


class Format(NamedTuple):
    """`names` are the columns of prices. `zone` None: the file's clock is the server's, whichever that is."""

    name: str
    names: tuple[str, ...]
    zone: Zone | None
    decode: Decode
    has_header: bool


def recognised(first_line: str, symbol: str | None, digits: int) -> Format | None:
    """The format of a file that begins with this line, for its prices in points of `digits`.

    Raises BadField for a header that is one of these and lacks something.
    """
    makers = (_mt5, _mt4, _truefx, _histdata, _dukascopy, _dukascopy_node)
    return next((made for maker in makers if (made := maker(first_line, symbol, digits))), None)


def _mt5(line: str, symbol: str | None, digits: int) -> Format | None:
    if not line.startswith("<DATE>"):
        return None
    separator = "\t" if "\t" in line else ","
    header = [cell.strip() for cell in line.split(separator)]
    if "<BID>" in header:
        places = _places(header, ("<DATE>", "<TIME>", "<BID>", "<ASK>"))
        return Format("mt5-ticks", QUOTES, None, _Mt5Ticks(separator, len(header), places, digits), has_header=True)
    wanted = ("<DATE>", *(("<TIME>",) if "<TIME>" in header else ()), "<OPEN>", "<HIGH>", "<LOW>", "<CLOSE>", "<SPREAD>")
    decode = partial(_mt5_bar, separator, len(header), _places(header, wanted), digits)
    return Format("mt5-bars", SPREAD_BARS, None, decode, has_header=True)


class _Mt5Ticks:
    """It remembers bid and ask, for what is empty is unchanged. A tick without either (a trade, a volume) is no quote."""

    def __init__(self, separator: str, count: int, places: Sequence[int], digits: int) -> None:
        self._separator, self._count, self._least, self._digits = separator, count, max(places) + 1, digits
        self._pick = itemgetter(*places)
        self._bid_points: int | None = None
        self._ask_points: int | None = None

    def __call__(self, line: str) -> Row | None:
        cells = line.split(self._separator)
        if not self._least <= len(cells) <= self._count:
            raise _miscounted(line, len(cells), self._count)
        day, clock, bid, ask = self._pick(cells)
        time_ms = day_ms(day) + clock_ms(clock)
        bid_points = points_of("bid", bid, self._digits) if bid else self._bid_points
        ask_points = points_of("ask", ask, self._digits) if ask else self._ask_points
        self._bid_points, self._ask_points = bid_points, ask_points
        if bid_points is None or ask_points is None or not (bid or ask):
            return None
        return time_ms, bid_points, ask_points


def _mt5_bar(separator: str, count: int, places: Sequence[int], digits: int, line: str) -> Row:
    cells = _cells(line, separator, count, least=max(places) + 1)
    day, *clock, opened, high, low, close, spread = (cells[place] for place in places)
    time_ms = day_ms(day) + (clock_ms(clock[0]) if clock else 0)  # daily bars have no time
    return time_ms, *_side((opened, high, low, close), digits), spread_of(spread)


def _mt4(line: str, symbol: str | None, digits: int) -> Format | None:
    if not re.match(r"[0-9]{4}\.[0-9]{2}\.[0-9]{2},[0-9]{2}:[0-9]{2},", line):
        return None
    return Format("mt4-bars", SIDE, None, partial(_mt4_bar, digits), has_header=False)


def _mt4_bar(digits: int, line: str) -> Row:
    day, clock, opened, high, low, close, _ = _cells(line, ",", 7)
    return day_ms(day) + clock_ms(clock), *_side((opened, high, low, close), digits)


def _truefx(line: str, symbol: str | None, digits: int) -> Format | None:
    if not re.match(r"[A-Z]{3}/[A-Z]{3},[0-9]{8} ", line):
        return None
    return Format("truefx", QUOTES, ZONE_UTC, partial(_truefx_row, symbol, digits), has_header=False)


def _truefx_row(symbol: str | None, digits: int, line: str) -> Row:
    pair, time, bid, ask = _cells(line, ",", 4)
    if symbol is not None and pair.replace("/", "") != symbol[:6]:
        raise BadField(Fault.SYMBOL, f"{shown(pair)!r} is not {symbol}")
    day, _, clock = time.partition(" ")
    return day_ms(day) + clock_ms(clock), *_quote(bid, ask, digits)


def _histdata(line: str, symbol: str | None, digits: int) -> Format | None:
    if re.match(r"[0-9]{8} [0-9]{9},", line):
        return Format("histdata-ticks", QUOTES, EASTERN_STANDARD, partial(_histdata_tick, digits), has_header=False)
    if re.match(r"[0-9]{8} [0-9]{6};", line):
        return Format("histdata-bars", SIDE, EASTERN_STANDARD, partial(_histdata_bar, digits), has_header=False)
    return None


def _histdata_tick(digits: int, line: str) -> Row:
    time, bid, ask, _ = _cells(line, ",", 4)
    return _plain_time_ms(time), *_quote(bid, ask, digits)


def _histdata_bar(digits: int, line: str) -> Row:
    time, opened, high, low, close, _ = _cells(line, ";", 6)
    return _plain_time_ms(time), *_side((opened, high, low, close), digits)


def _plain_time_ms(text: str) -> int:
    day, _, clock = text.partition(" ")
    return day_ms(day) + plain_clock_ms(clock)


def _dukascopy(line: str, symbol: str | None, digits: int) -> Format | None:
    header = [cell.strip().lower() for cell in line.split(",")]
    found = re.fullmatch(r"(?:(gmt|local) time|time \(([a-z/_+-]+[0-9]*)\))", header[0])
    if found is None:
        return None
    zone = ZONE_UTC  # a local time has its difference to UTC written behind it
    if found[2] and found[2] != "utc":
        try:
            zone = zone_of(line.split(",")[0].strip()[6:-1])
        except UnknownZone as error:
            raise BadField(Fault.TIME, f"header: {error}") from None
    is_ticks = "bid" in header
    wanted = QUOTES if is_ticks else SIDE
    decode = partial(_dukascopy_row, len(header), _places(header, wanted), wanted, digits)
    return Format("dukascopy-ticks" if is_ticks else "dukascopy-bars", wanted, zone, decode, has_header=True)


def _dukascopy_row(count: int, places: Sequence[int], names: tuple[str, ...], digits: int, line: str) -> Row:
    cells = _cells(line, ",", count)
    day, _, rest = cells[0].partition(" ")
    clock, _, ahead = rest.partition(" GMT")
    prices = [points_of(name, cells[place], digits) for name, place in zip(names, places, strict=True)]
    return day_ms(day) + clock_ms(clock) - _ahead_ms(ahead), *prices


def _dukascopy_node(line: str, symbol: str | None, digits: int) -> Format | None:
    header = [cell.strip() for cell in line.split(",")]
    if header[0] != "timestamp":
        return None
    is_ticks = "bidPrice" in header
    names, wanted = (QUOTES, ("bidPrice", "askPrice")) if is_ticks else (SIDE, SIDE)
    decode = partial(_dukascopy_node_row, len(header), _places(header, wanted), names, digits)
    return Format("dukascopy-node-ticks" if is_ticks else "dukascopy-node-bars", names, ZONE_UTC, decode, has_header=True)


def _dukascopy_node_row(count: int, places: Sequence[int], names: tuple[str, ...], digits: int, line: str) -> Row:
    cells = _cells(line, ",", count)
    return epoch_ms(cells[0]), *(points_of(name, cells[place], digits) for name, place in zip(names, places, strict=True))


def _ahead_ms(text: str) -> int:
    """Of +0100; nothing is none."""
    if not text:
        return 0
    found = re.fullmatch(r"([+-])([01][0-9])([0-5][0-9])", text, re.ASCII)
    if found is None:
        raise BadField(Fault.TIME, f"GMT{shown(text)} is no difference to UTC")
    return (-1 if found[1] == "-" else 1) * (int(found[2]) * 60 + int(found[3])) * 60_000


def _quote(bid: str, ask: str, digits: int) -> tuple[int, int]:
    return points_of("bid", bid, digits), points_of("ask", ask, digits)


def _side(texts: tuple[str, str, str, str], digits: int) -> tuple[int, ...]:
    return tuple(points_of(name, text, digits) for name, text in zip(SIDE, texts, strict=True))


def _cells(line: str, separator: str, count: int, *, least: int | None = None) -> list[str]:
    """`least` where what stands behind may be missing."""
    cells = line.split(separator)
    if not (count if least is None else least) <= len(cells) <= count:
        raise _miscounted(line, len(cells), count)
    return cells


def _miscounted(line: str, found: int, count: int) -> BadField:
    return BadField(Fault.FIELDS, f"{shown(line)!r} has {found} fields, not {count}")


def _places(header: Sequence[str], names: Sequence[str]) -> tuple[int, ...]:
    for name in names:
        if name not in header:
            raise BadField(Fault.FIELDS, f"the header has no {name}")
    return tuple(map(header.index, names))
