"""The pictures of a report, drawn as SVG when the page is written. Each has a title and says in words what it shows."""

from collections.abc import Iterator, Sequence
from itertools import count, pairwise
from math import ceil, floor
from typing import Final

from evenkeel.commands.backtest.report import OpenTrade, Trade
from evenkeel.commands.report.axes import BOTTOM, LEFT, RIGHT, TOP, WIDTH, Frame, frame_of, grid
from evenkeel.commands.report.findings import Findings, price_text
from evenkeel.commands.report.markup import Markup, element, scrollable, void
from evenkeel.commands.report.numbers import Money, r_text, tone_of
from evenkeel.rules.instants import utc_text
from evenkeel.rules.thinning import Stretch

MARKS_MAX: Final = 400
"""Trades of a symbol that are drawn; the newest."""
BINS_MAX: Final = 24


def equity_chart(findings: Findings, other: Findings | None) -> Markup:
    """Equity, and that of `other` where it is one account's currency."""
    money = Money(findings.account)
    runs = [findings] if other is None else [findings, other]
    values = [value for run in runs for one in run.equity for value in (one.low, one.high)]
    values += [run.account.start_cents for run in runs]
    frame = frame_of(min(run.from_utc_ms for run in runs), max(run.to_utc_ms for run in runs), values, 300)
    mine = _path(findings)
    base = frame.height - BOTTOM
    under = f"{frame.x(mine[0][0])},{base} {frame.points(mine)} {frame.x(mine[-1][0])},{base}"
    inside = [grid(frame, lambda cents: money.text(cents)), void("polygon", class_="under", points=under)]
    inside.append(void("polyline", class_="path", points=frame.points(mine)))
    if other is not None:
        inside.append(void("polyline", class_="other", points=frame.points(_path(other))))
    start, last = (money.text(mine[at][1]) for at in (0, -1))
    low, high = (money.text(pick(value for _, value in mine)) for pick in (min, max))
    return picture("Equity", f"From {start} to {last}; lowest {low}, highest {high}.", frame.height, inside)


def drawdown_chart(findings: Findings) -> Markup:
    """How far equity is below its highest value so far, downwards from zero."""
    money = Money(findings.account)
    falls = [(one.utc_ms, -value) for one in findings.drawdown for value in (one.low, one.high)]
    deepest = findings.statistics.equity_drawdown_max_cents
    frame = frame_of(findings.from_utc_ms, findings.to_utc_ms, [0, *(fall for _, fall in falls)], 160)
    shape = [(findings.from_utc_ms, 0), *falls, (falls[-1][0] if falls else findings.to_utc_ms, 0)]
    inside = [grid(frame, lambda cents: money.text(cents)), void("polygon", class_="fall", points=frame.points(shape))]
    return picture("Drawdown of equity", f"At most {money.text(deepest)} below the highest so far.", frame.height, inside)


def price_chart(findings: Findings, symbol: str) -> Markup:
    """The bid from lowest to highest, and the newest MARKS_MAX trades: a triangle opens, a dot closes."""
    digits = findings.digits[symbol]
    stretches = findings.prices[symbol]
    trades = trades_drawn(findings, symbol)
    open_now = [trade for trade in findings.open if trade.symbol == symbol]
    scale: int = 10**digits
    values: list[float] = [value for one in stretches for value in (one.low, one.high)]
    values += [round(price * scale) for trade in trades for price in (trade.open_price, trade.close_price)]
    values += [round(trade.open_price * scale) for trade in open_now]
    frame = frame_of(findings.from_utc_ms, findings.to_utc_ms, values, 380)
    inside = [grid(frame, lambda points: price_text(points / scale, digits))]
    for run in _runs(stretches):
        band = [*((one.utc_ms, one.high) for one in run), *((one.utc_ms, one.low) for one in reversed(run))]
        inside.append(void("polygon", class_="band", points=frame.points(band)))
        inside.append(void("polyline", class_="path", points=frame.points([(one.utc_ms, one.last) for one in run])))
    inside += [_held(frame, trade, scale, digits, Money(findings.account)) for trade in trades]
    inside += [_opened(frame, trade, scale, "none", f"still open: {_words(trade, digits)}") for trade in open_now]
    said = f"{len(trades)} closed trades are drawn, {len(open_now)} still open."
    return picture(f"Price of {symbol} with its trades", said, frame.height, inside)


def trades_drawn(findings: Findings, symbol: str) -> list[Trade]:
    return [trade for trade in findings.trades if trade.symbol == symbol][-MARKS_MAX:]


def r_bins(rs: Sequence[float]) -> list[tuple[float, float, int]]:
    """From, to and number of trades; a bin holds its lower end; as narrow as BINS_MAX bins allow."""
    for width in (width * 10**power for power in count() for width in (0.25, 0.5, 1.0)):
        first, last = floor(min(rs) / width), floor(max(rs) / width)
        if last - first < BINS_MAX:
            break
    counts = [0] * (last - first + 1)
    for r in rs:
        counts[floor(r / width) - first] += 1
    return [((first + at) * width, (first + at + 1) * width, many) for at, many in enumerate(counts)]


def r_chart(bins: Sequence[tuple[float, float, int]]) -> Markup:
    height, most = 240, max(many for _, _, many in bins)
    room, base = (WIDTH - LEFT - RIGHT) / len(bins), height - BOTTOM
    inside: list[str] = [void("line", class_="grid", x1=LEFT, x2=WIDTH - RIGHT, y1=base, y2=base)]
    every = ceil(len(bins) / 12)
    for at, (low, high, many) in enumerate(bins):
        x, tall = LEFT + at * room, (base - TOP - 18) * many / most
        words = f"{low:g} to {high:g} R: {many} trades"
        place = {"x": round(x + room * 0.07, 1), "y": round(base - tall, 1), "width": round(room * 0.86, 1)}
        tone = "loss" if low < 0 else "gain"
        inside.append(element("rect", element("title", words), class_=f"bar {tone}", height=round(tall, 1), **place))
        if many:
            inside.append(
                element("text", f"{many}", x=round(x + room / 2, 1), y=round(base - tall - 5, 1), text_anchor="middle")
            )
        if at % every == 0:
            inside.append(element("text", f"{low:g} R", x=round(x, 1), y=height - 8, text_anchor="middle"))
    said = ", ".join(f"{low:g} to {high:g} R: {many}" for low, high, many in bins if many)
    return picture("Trades by R", said, height, inside)


def picture(title: str, words: str, height: int, inside: Sequence[str]) -> Markup:
    box = f"0 0 {WIDTH} {height}"
    return scrollable(title, element("svg", element("title", f"{title}. {words}"), *inside, viewBox=box, role="img"))


def _path(findings: Findings) -> list[tuple[int, int]]:
    """From the start balance; of each stretch the lowest, the highest and the last."""
    inner = [(one.utc_ms, value) for one in findings.equity for value in (one.low, one.high, one.last)]
    return [(findings.from_utc_ms, findings.account.start_cents), *inner, (findings.to_utc_ms, _last(findings))]


def _last(findings: Findings) -> int:
    return findings.equity[-1].last if findings.equity else findings.account.start_cents


def _runs(stretches: Sequence[Stretch]) -> Iterator[list[Stretch]]:
    """Parts without a hole, so that a weekend is not drawn as a price."""
    if not stretches:
        return
    usual_ms = (stretches[-1].utc_ms - stretches[0].utc_ms) / max(1, len(stretches) - 1)
    run = [stretches[0]]
    for before, one in pairwise(stretches):
        if one.utc_ms - before.utc_ms > 6 * usual_ms:
            yield run
            run = []
        run.append(one)
    yield run


def _held(frame: Frame, trade: Trade, scale: int, digits: int, money: Money) -> Markup:
    tone = tone_of(trade.net_cents) or "none"
    x1, x2 = frame.x(trade.open_utc_ms), frame.x(trade.close_utc_ms)
    y1, y2 = frame.y(trade.open_price * scale), frame.y(trade.close_price * scale)
    words = (
        f"{_words(trade, digits)}; closed {utc_text(trade.close_utc_ms)} at {price_text(trade.close_price, digits)}"
        f" by {trade.reason}: {money.text(trade.net_cents)}, {r_text(trade.r)}"
    )
    line = void("line", class_=f"held {tone}", x1=x1, x2=x2, y1=y1, y2=y2)
    dot = void("circle", class_=f"mark {tone}", cx=x2, cy=y2, r=3)
    return element("g", element("title", words), line, _triangle(x1, y1, trade.direction, tone), dot)


def _opened(frame: Frame, trade: OpenTrade, scale: int, tone: str, words: str) -> Markup:
    x, y = frame.x(trade.open_utc_ms), frame.y(trade.open_price * scale)
    return element("g", element("title", words), _triangle(x, y, trade.direction, tone))


def _triangle(x: float, y: float, direction: str, tone: str) -> Markup:
    """Upwards for a buy, downwards for a sell."""
    up = 5 if direction == "buy" else -5
    return void("polygon", class_=f"mark {tone}", points=f"{x},{y - up:.1f} {x - 5:.1f},{y + up:.1f} {x + 5:.1f},{y + up:.1f}")


def _words(trade: Trade | OpenTrade, digits: int) -> str:
    price = price_text(trade.open_price, digits)
    return f"#{trade.ticket} {trade.direction} {trade.volume_lots:g} lots, opened {utc_text(trade.open_utc_ms)} at {price}"
