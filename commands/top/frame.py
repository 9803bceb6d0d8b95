"""One picture of a View for a terminal of any size: lines of text, what matters most first when there is no room for all."""

from collections.abc import Callable, Iterable, Sequence
from typing import Final, NamedTuple

from rich.console import Group
from rich.text import Text

from evenkeel.commands.drawn import CAUTION, GAIN, LOSS, QUIET, TITLE, color, money, way
from evenkeel.commands.drawn import room as room_color
from evenkeel.commands.top.sight import Room, Sight, report_of
from evenkeel.messages.market import Direction
from evenkeel.messages.operator import Mode
from evenkeel.rules.instants import clock_of, duration_text, utc_text
from evenkeel.rules.limit_words import EFFECTS, amount_words
from evenkeel.rules.view import ChildView, LimitView, PositionView, View, decimal_of

COLUMNS_FOR_TWO: Final = 110
WAY_CELLS: Final = 11
BAR_CELLS: Final = 10
TROUBLE_ROWS: Final = 3
ROWS_FOR_AIR: Final = 24
GAP: Final = "  "
ELASTIC: Final = ("then", "by")
"""Columns, always the last, that are cut rather than left out."""
ELASTIC_CELLS: Final = 16
_WITHOUT_UNICODE: Final = str.maketrans("─┼●○█░…", "-+o.#._")


class Cell(NamedTuple):
    """`text` in a column called `name`; those that are `left` begin together, the others end together."""

    name: str
    text: Text | str
    left: bool = False


class Band(NamedTuple):
    """A part of the picture that may be shown in fewer lines than the `most` it has, but of `least` before others get more.
    `rank` says who is asked first."""

    rank: int
    least: int
    most: int
    lines: Callable[[int], list[Text]]


def frame(sight: Sight, account: str, columns: int, rows: int, *, ascii_only: bool = False) -> Group:
    """At most `rows` lines of at most `columns` cells."""
    lines = _lines(sight, account, columns, rows)
    for line in lines:
        if ascii_only:
            line.plain = line.plain.translate(_WITHOUT_UNICODE)
        line.truncate(columns, overflow="ellipsis" if not ascii_only else "crop")
        line.no_wrap = True
    return Group(*lines[:rows])


def _lines(sight: Sight, account: str, columns: int, rows: int) -> list[Text]:
    view = sight.view
    head = [_title(sight, account, columns), *_trouble(sight, columns)]
    if view is None:
        return head
    head += [*_standing(view, columns), *_dangers(view)]
    air = [Text()] if rows >= ROWS_FOR_AIR else []
    return [*head, *air, *_stacked(_bands(sight, view, columns), max(0, rows - len(head) - len(air)))]


def _bands(sight: Sight, view: View, columns: int) -> list[Band]:
    positions, limits = _positions(sight, view, columns), _listed(1, 4, "limits", _limits(view, columns))
    events, children = _events(view), _children(view, columns)
    chains, holds = _listed(3, 3, "chains", _chains(view)), _listed(2, 3, "holds", _holds(view))
    if columns < COLUMNS_FOR_TWO:
        return [positions, limits, holds, chains, events, children]
    half = (columns - len(GAP)) // 2
    left = [_listed(1, 4, "limits", _limits(view, half)), chains]
    right = [holds, _children(view, half)]
    return [positions, _beside(left, right, half), events]


def _title(sight: Sight, account: str, columns: int) -> Text:
    view = sight.view
    title = Text.assemble(("evenkeel ", TITLE) if columns >= 60 else "", (account, "bold"))
    if view is None:
        return title
    title.append(GAP).append(view.mode.value.replace("_", " "), GAIN if view.mode is Mode.RUN else CAUTION)
    if not view.agreed:
        title.append(GAP).append("broker does not agree" if columns >= 60 else "no agreement", CAUTION)
    title.append(GAP).append(utc_text(view.now_utc_ms) if columns >= 70 else clock_of(view.now_utc_ms))
    age = _age(sight)
    title.append(GAP).append(age, QUIET if sight.is_fresh else f"bold {LOSS}")
    return title


def _age(sight: Sight) -> str:
    age_ms = sight.age_ms or 0
    return f"{age_ms / 1000:.1f} s old" if age_ms < 60_000 else f"{duration_text(age_ms)} old"


def _trouble(sight: Sight, columns: int) -> list[Text]:
    """That nobody keeps the figures up to date any more, in words."""
    words = []
    old = f"; these figures are {_age(sight)}" if sight.view else "; nothing is known of this account"
    if sight.supervisor == "not_running":
        words.append(f"NO SUPERVISOR RUNS{old}")
    elif sight.supervisor == "hangs":
        words.append(f"THE SUPERVISOR HANGS{old}; what stops it all the same: evenkeel kill")
    elif not sight.is_fresh:
        words.append(f"NO NEWS{old}" if sight.view else "the supervisor has not shown a view yet")
    if sight.why and (sight.supervisor == "hangs" or sight.view is None):
        words.append(sight.why)
    if sight.watchdog is not None:
        words.append(f"watchdog {sight.watchdog.state} since {utc_text(sight.watchdog.since_utc_ms)}: {sight.watchdog.words}")
    lines = [line for text in words for line in _wrapped(text, columns)]
    return [Text(line, f"bold {LOSS}") for line in lines[:TROUBLE_ROWS]]


def _wrapped(text: str, columns: int) -> list[str]:
    import textwrap

    return textwrap.wrap(text, columns)


def _standing(view: View, columns: int) -> list[Text]:
    digits = view.account.currency_digits if view.account else 2
    equity = f"{decimal_of(view.account.equity_cents, digits)} {view.account.currency}" if view.account else "not read yet"
    open_cents = sum(position.profit_cents or 0 for position in view.positions)
    parts = [
        Text.assemble(("equity ", QUIET), (equity, "bold")),
        Text.assemble(("open ", QUIET), money(open_cents, digits)),
        Text.assemble(("today ", QUIET), money(view.today.net_cents, digits)),
        Text(f"{view.today.trades} trades, {view.today.won} won"),
    ]
    one = Text(GAP).join(parts)
    return [one] if one.cell_len <= columns else [Text(GAP).join(parts[:2]), Text(GAP).join(parts[2:])]


def _dangers(view: View) -> list[Text]:
    """What a person ought to look at now."""
    words = [f"UNPROTECTED {one.ticket} {one.symbol}: {one.gap.replace('_', ' ')}" for one in view.unprotected]
    words += [f"TAKEN OVER {symbol}: the broker holds its stops until a rearm" for symbol in view.taken_over]
    if view.unknown_orders:
        words.append(f"UNKNOWN {len(view.unknown_orders)} orders: executed or not?")
    for one in view.flattening:
        left = f"still open: {' '.join(map(str, one.tickets))}" if one.tickets else "nothing is seen open, not yet twice"
        words.append(f"FLATTENING {one.scope}, {left}")
    if view.stale:
        words.append(f"NO QUOTES {' '.join(view.stale)}")
    down = [child.name for child in view.children if not child.serving]
    if down:
        words.append(f"DOWN {' '.join(down)}")
    return [Text(text, f"bold {LOSS}") for text in words]


def _positions(sight: Sight, view: View, columns: int) -> Band:
    digits = view.account.currency_digits if view.account else 2
    room = {one.ticket: one for one in report_of(sight).room}
    rows = [_position(one, room[one.ticket], digits) for one in view.positions]
    foreign = [
        Text(f"{one.ticket} {one.symbol} {one.direction.value} {one.volume_lots or '?'}, not ours", QUIET)
        for one in view.foreign
    ]
    if not rows:
        return _listed(0, 1, "positions", foreign or [Text("none", QUIET)])
    header, *lines = _table(rows, columns, POSITION_COLUMNS)
    return _listed(0, 4, "positions", [*lines, *foreign], header)


POSITION_COLUMNS: Final = (
    ("ticket", "symbol", "side", "lots", "entry", "now", "to stop", "way", "to target", "R", "profit", "opened", "by"),
    ("ticket", "symbol", "side", "lots", "entry", "now", "to stop", "way", "to target", "R", "profit", "by"),
    ("ticket", "symbol", "side", "lots", "now", "to stop", "way", "to target", "R", "profit"),
    ("ticket", "symbol", "side", "to stop", "way", "to target", "R", "profit"),
    ("symbol", "side", "to stop", "way", "to target", "R", "profit"),
    ("symbol", "side", "to stop", "to target", "R", "profit"),
    ("symbol", "side", "stop", "tgt", "R", "profit"),
    ("symbol", "stop", "tgt", "R", "profit"),
)
"""The richest first; of distances the unit is points."""


def _position(position: PositionView, room: Room, digits: int) -> list[Cell]:
    is_buy = position.direction is Direction.BUY
    stop = Text(_or_dash(room.to_stop_points), LOSS if room.to_stop_points is not None and room.to_stop_points <= 0 else "")
    target = Text(_or_dash(room.to_target_points))
    profit = Text("?") if position.profit_cents is None else money(position.profit_cents, digits)
    return [
        Cell("ticket", str(position.ticket), left=True),
        Cell("symbol", position.symbol, left=True),
        Cell("side", Text(position.direction.value, "cyan" if is_buy else "magenta"), left=True),
        Cell("lots", position.volume_lots or "?"),
        Cell("entry", position.entry or "?"),
        Cell("now", Text(position.mark or "?", "bold")),
        *(Cell(name, stop) for name in ("to stop", "stop")),
        Cell("way", way(position, WAY_CELLS), left=True),
        *(Cell(name, target) for name in ("to target", "tgt")),
        Cell("R", Text("?") if position.r is None else Text(f"{position.r:+.2f}", color(position.r))),
        Cell("profit", profit),
        Cell("opened", clock_of(position.opened_utc_ms)),
        Cell("by", position.strategy + (", closing" if position.closing else ""), left=True),
    ]


def _or_dash(points: int | None) -> str:
    return "-" if points is None else str(points)


def _limits(view: View, columns: int) -> list[Text]:
    """The tightest first."""
    limits = sorted(view.limits, key=lambda limit: limit.room_ratio)
    digits = view.account.currency_digits if view.account else 2
    rows = [_limit(limit, digits) for limit in limits]
    return _table(rows, columns, LIMIT_COLUMNS)[1:] if rows else []


LIMIT_COLUMNS: Final = (
    ("name", "bar", "room", "used", "of", "then"),
    ("name", "bar", "room", "used", "of"),
    ("name", "bar", "room"),
)


def _limit(limit: LimitView, digits: int) -> list[Cell]:
    full = int(limit.room_ratio * BAR_CELLS)
    bar = Text.assemble(("█" * full, room_color(limit.room_ratio)), ("░" * (BAR_CELLS - full), QUIET))
    return [
        Cell("name", limit.name.removesuffix("_pct").removesuffix("_max").replace("_", " "), left=True),
        Cell("bar", bar, left=True),
        Cell("room", Text(f"{int(limit.room_ratio * 100)} %", room_color(limit.room_ratio))),
        Cell("used", amount_words(limit, limit.used, digits)),
        Cell("of", f"of {amount_words(limit, limit.limit, digits)}"),
        Cell("then", Text(EFFECTS.get(limit.name, ""), QUIET), left=True),
    ]


def _holds(view: View) -> list[Text]:
    lines = []
    for hold in view.holds:
        until = f"until {clock_of(hold.until_utc_ms)}" if hold.until_utc_ms else "until rearm"
        lines.append(Text.assemble((f"{hold.scope} {until} ", CAUTION), f"{hold.who}: {hold.reason}"))
    for shield in view.shields:
        text = f"no {shield.direction.value} of {shield.symbol} until {clock_of(shield.until_utc_ms)} "
        lines.append(Text.assemble((text, CAUTION), shield.reason))
    for breaker in view.breakers:
        phase = f" phase {breaker.phase}" if breaker.phase else ""
        lines.append(Text.assemble((f"{breaker.scope} {breaker.level}{phase} ", CAUTION), breaker.reason))
    return lines


def _chains(view: View) -> list[Text]:
    lines = [
        Text(f"{one.symbol} {one.state.replace('_', ' ')}, level {one.level}, {one.plugin} {one.chain_id}: {one.step}")
        for one in view.chains
    ]
    more = [Text(f"{view.chains_more} older ones", QUIET)] if view.chains_more else []
    return [*lines, *more]


def _events(view: View) -> Band:
    """The newest ones, at the bottom."""
    lines = []
    for event in view.events:
        at = "        " if event.time_utc_ms is None else clock_of(event.time_utc_ms)
        lines.append(Text.assemble((f"{at} ", QUIET), event.text))
    title = Text("last events", TITLE)
    return Band(2, 4, len(lines) + 1 if lines else 0, lambda rows: [title, *lines[len(lines) - rows + 1 :]] if rows > 1 else [])


def _children(view: View, columns: int) -> Band:
    """The title tells how many serve; below it, where there is room, each of them."""
    if not view.children:
        return _listed(4, 0, "children", [])
    serving = sum(child.serving for child in view.children)
    restarts = sum(child.restarts for child in view.children)
    again = f", restarted {restarts} times" if restarts else ""
    title = Text.assemble(("children ", TITLE), f"{serving} of {len(view.children)} serve{again}")
    cells = [_child(child) for child in view.children]
    width = max(cell.cell_len for cell in cells) + len(GAP)
    across = max(1, (columns + len(GAP)) // width)
    rows = [cells[at : at + across] for at in range(0, len(cells), across)]
    lines = [Text.assemble(*(_padded(cell, width) for cell in row[:-1]), row[-1]) for row in rows]
    return _listed(4, 0, "children", lines, title)


def _child(child: ChildView) -> Text:
    restarts = (f" +{child.restarts}", f"bold {CAUTION}") if child.restarts else ""
    return Text.assemble(("● ", GAIN) if child.serving else ("○ ", LOSS), child.name, restarts)


def _listed(rank: int, least: int, name: str, lines: Sequence[Text], header: Text | None = None) -> Band:
    """A title, or the `header` in its place, and the first lines; the last one tells how many are left out. `least` of 0 is
    the header alone."""
    title = Text(name, TITLE) if header is None else header

    def shown(rows: int) -> list[Text]:
        if rows < min(2, least + 1):
            return []
        kept = list(lines[: rows - 1])
        if kept and len(kept) < len(lines):
            kept[-1:] = [Text(f"… {len(lines) - len(kept) + 1} more", QUIET)]
        return [title, *kept]

    return Band(rank, min(least + 1, len(lines) + 1), len(lines) + 1 if lines else 0, shown)


def _beside(left: Sequence[Band], right: Sequence[Band], half: int) -> Band:
    """Two columns of the same height."""

    def shown(rows: int) -> list[Text]:
        sides = _stacked(left, rows), _stacked(right, rows)
        lines = []
        for at in range(max(map(len, sides))):
            first, second = (side[at] if at < len(side) else Text() for side in sides)
            lines.append(Text.assemble(_padded(first, half), GAP, second))
        return lines

    def most(bands: Iterable[Band]) -> int:
        return sum(band.most for band in bands)

    return Band(1, 7, max(most(left), most(right)), shown)


def _stacked(bands: Sequence[Band], rows: int) -> list[Text]:
    """Below each other, in their order; an empty line between them where there is room for everything."""
    shown = [band for band in bands if band.most]
    is_airy = sum(band.most for band in shown) + len(shown) <= rows
    left = rows
    heights = [0] * len(shown)
    order = sorted(range(len(shown)), key=lambda at: shown[at].rank)
    for wanted in ([band.least for band in shown], [band.most for band in shown]):
        for at in order:
            more = min(min(wanted[at], shown[at].most) - heights[at], left)
            heights[at], left = heights[at] + more, left - more
    lines: list[Text] = []
    for band, height in zip(shown, heights, strict=True):
        lines += [*([Text()] if is_airy and lines else []), *band.lines(height)]
    return lines


def _table(rows: Sequence[Sequence[Cell]], columns: int, choices: Sequence[Sequence[str]]) -> list[Text]:
    """Header and rows with the first of the `choices` of columns that fits, or the last one."""
    widths = {
        cells[0].name: max(len(cells[0].name), *(Text.assemble(cell.text).cell_len for cell in cells))
        for cells in zip(*rows, strict=True)
    }

    def needed(names: Sequence[str]) -> int:
        return sum(min(widths[name], ELASTIC_CELLS) if name in ELASTIC else widths[name] for name in names) + len(names) - 1

    names = next((choice for choice in choices if needed(choice) <= columns), choices[-1])
    if names[-1] in ELASTIC:
        widths[names[-1]] = min(widths[names[-1]], columns - needed(names[:-1]) - 1)
    left = {cell.name for cell in rows[0] if cell.left}
    header = [_padded(Text(name, TITLE), widths[name], to_left=name in left) for name in names]
    lines = [Text(" ").join(header)]
    for row in rows:
        by_name = {cell.name: Text.assemble(cell.text) for cell in row}
        lines.append(Text(" ").join(_padded(by_name[name], widths[name], to_left=name in left) for name in names))
    return lines


def _padded(text: Text, width: int, *, to_left: bool = True) -> Text:
    """As wide as `width`; what is longer is cut."""
    padded = text.copy()
    padded.truncate(width, overflow="ellipsis")
    missing = width - padded.cell_len
    return padded.append(" " * missing) if to_left else Text(" " * missing).append_text(padded)
