"""The live table of the demonstration: shows a View and changes nothing. The only module of a running system with rich."""

from collections.abc import Sequence
from types import TracebackType
from typing import Final, Self

from rich.console import Console, Group, JustifyMethod, RenderableType
from rich.constrain import Constrain
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from evenkeel.commands.demo.stage import Line, Moment, counted
from evenkeel.commands.drawn import CAUTION, GAIN, LOSS, QUIET, TITLE, color, money, room, way
from evenkeel.messages.market import Direction
from evenkeel.messages.operator import Mode
from evenkeel.rules.instants import clock_of
from evenkeel.rules.view import ChildView, LimitView, PositionView, View, decimal_of

POSITION_ROWS: Final = 4
LIMIT_ROWS: Final = 5
BANNER_ROWS: Final = 2
ROWS_BESIDE_EVENTS: Final = 20
ROWS_FOR_AIR: Final = 28
WIDTH_MAX: Final = 110
WAY_CELLS: Final = 11
ROOM_CELLS: Final = 12
CHILD_CELLS: Final = 20
COLUMNS_FOR_ALL: Final = 80
POSITION_COLUMNS: Final[Sequence[tuple[str, JustifyMethod]]] = (
    *((name, "left") for name in ("ticket", "symbol", "side")),
    *((name, "right") for name in ("lots", "entry", "now", "stop")),
    ("way", "center"),
    *((name, "right") for name in ("target", "R", "profit")),
)
PRICES: Final = ("ticket", "lots", "entry", "now", "stop", "target")
BANNER: Final = "bold yellow"


class Screen:
    """A stage on a terminal: a screen of its own, gone afterwards, drawn some nine times a second."""

    frame_s = 0.11

    def __init__(self) -> None:
        self._console = Console()
        self._live = Live(console=self._console, screen=True, auto_refresh=False)

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._live.stop()

    def show(self, moment: Moment) -> None:
        self._live.update(frame(moment, rows=self._console.height, columns=self._console.width), refresh=True)


def frame(moment: Moment, rows: int, columns: int = WIDTH_MAX) -> RenderableType:
    """One picture of at most `rows`, if those are 24 or more: air is left out first, then older events.

    Below COLUMNS_FOR_ALL `columns` prices and children are left out rather than cut.
    """
    view = moment.view
    air = [Text()] if rows >= ROWS_FOR_AIR else []
    event_rows = max(0, rows - ROWS_BESIDE_EVENTS - 4 * len(air))
    is_whole = columns >= COLUMNS_FOR_ALL
    left = Group(_limits(view, with_used=is_whole), Text(), _refusals(view))
    events = [_event(line) for line in moment.lines[-event_rows:]] if event_rows else []
    parts: list[RenderableType] = [
        _header(moment, is_whole=is_whole),
        Rule(style=QUIET),
        _standing(view, is_whole=is_whole),
        *air,
        _positions(view, () if is_whole else PRICES),
        *air,
        _beside(left, _children(view.children)) if is_whole else left,
        *air,
        *_banner(moment.banner),
        *air,
        Text("events", TITLE),
        *events,
    ]
    return Constrain(Group(*parts), WIDTH_MAX)


def _beside(left: RenderableType, right: RenderableType) -> RenderableType:
    middle = Table.grid(padding=(0, 1, 0, 0), expand=True)
    middle.add_column(ratio=1)
    middle.add_column(ratio=1)
    middle.add_row(left, right)
    return middle


def _header(moment: Moment, *, is_whole: bool) -> RenderableType:
    row = Table.grid(padding=(0, 1), pad_edge=False, expand=True)
    row.add_column(ratio=1, no_wrap=True)
    row.add_column(justify="right", no_wrap=True)
    left_s = max(0.0, moment.seconds - moment.elapsed_s)
    row.add_row(
        Text.assemble(("evenkeel demo", TITLE), ("  a synthetic market, no account, no network" if is_whole else "", QUIET)),
        Text.assemble(
            clock_of(moment.now_utc_ms) if is_whole else "",
            (f"  {moment.speed:.0f} x real time" if is_whole else "", QUIET),
            (f"  {left_s:2.0f} s left", QUIET),
        ),
    )
    return row


def _standing(view: View, *, is_whole: bool) -> RenderableType:
    digits = view.account.currency_digits if view.account else 2
    equity = f"{decimal_of(view.account.equity_cents, digits)} {view.account.currency}" if view.account else "not read yet"
    open_cents = sum(position.profit_cents or 0 for position in view.positions)
    parts = (
        ("mode", Text(view.mode.value, GAIN if view.mode is Mode.RUN else CAUTION)),
        ("equity", Text(equity, "bold")),
        ("open", money(open_cents, digits)),
        *([("closed", money(view.today.net_cents, digits))] if is_whole else []),
        ("trades", Text(f"{view.today.trades}, {view.today.won} won")),
    )
    return Text("   ").join(Text.assemble((f"{name} ", QUIET), text) for name, text in parts)


def _positions(view: View, without: Sequence[str]) -> RenderableType:
    table = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False, expand=True, header_style=TITLE)
    shown = [at for at, (name, _) in enumerate(POSITION_COLUMNS) if name not in without]
    for name, justify in (POSITION_COLUMNS[at] for at in shown):
        table.add_column(name, justify=justify, width=WAY_CELLS if name == "way" else None)
    digits = view.account.currency_digits if view.account else 2
    for position in view.positions[:POSITION_ROWS]:
        cells = _position(position, digits)
        table.add_row(*(cells[at] for at in shown))
    for _ in range(POSITION_ROWS - len(view.positions)):
        table.add_row(Text("–", QUIET))
    return table


def _position(position: PositionView, digits: int) -> Sequence[RenderableType]:
    r = Text("") if position.r is None else Text(f"{position.r:+.2f}", color(position.r))
    return (
        str(position.ticket),
        position.symbol,
        Text(position.direction.value, "cyan" if position.direction is Direction.BUY else "magenta"),
        position.volume_lots or "",
        position.entry or "",
        Text(position.mark or "", "bold"),
        Text(position.stop or "", QUIET),
        way(position, WAY_CELLS),
        Text(position.target or "", QUIET),
        r,
        money(position.profit_cents or 0, digits),
    )


def _limits(view: View, *, with_used: bool) -> RenderableType:
    """Those with the least room left, in their own order: `evenkeel limits` shows all of them."""
    nearest = sorted(view.limits, key=lambda limit: limit.room_ratio)[:LIMIT_ROWS]
    table = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False, header_style=TITLE)
    table.add_column("limit")
    table.add_column("room left", width=ROOM_CELLS)
    if with_used:
        table.add_column("used", justify="right", no_wrap=True)
    digits = view.account.currency_digits if view.account else 2
    for limit in (limit for limit in view.limits if limit in nearest):
        bar = ProgressBar(total=1.0, completed=limit.room_ratio, width=ROOM_CELLS, complete_style=room(limit.room_ratio))
        name = limit.name.removesuffix("_pct").removesuffix("_max").replace("_", " ")
        table.add_row(name, bar, *([_used(limit, digits)] if with_used else []))
    return table


def _used(limit: LimitView, digits: int) -> str:
    if limit.unit == "count":
        return f"{limit.used} of {limit.limit}"
    return f"{decimal_of(limit.used, digits)} of {decimal_of(limit.limit, digits)}"


def _refusals(view: View) -> RenderableType:
    return Text.assemble(("refused  ", TITLE), counted(view.today.refusals))


def _children(children: Sequence[ChildView]) -> RenderableType:
    """In two columns, read downwards; of a width that a restart does not change."""
    table = Table(box=None, padding=(0, 2, 0, 0))
    title = Text.assemble(("children ", TITLE), ("+ restarts", QUIET))
    table.add_column(title, min_width=CHILD_CELLS, no_wrap=True)
    table.add_column(min_width=CHILD_CELLS, no_wrap=True)
    half = (len(children) + 1) // 2
    for left, right in zip(children[:half], [*children[half:], None], strict=False):
        table.add_row(_child(left), Text() if right is None else _child(right))
    return table


def _child(child: ChildView) -> Text:
    state = ("● ", GAIN) if child.serving else ("○ ", LOSS)
    restarts = (f" +{child.restarts}", f"bold {CAUTION}") if child.restarts else ""
    return Text.assemble(state, child.name, restarts)


def _banner(banner: Sequence[str]) -> list[Text]:
    """Always as many lines, so that nothing below moves."""
    lines = [*banner, *[""] * BANNER_ROWS][:BANNER_ROWS]
    return [Text(line, BANNER, overflow="ellipsis", no_wrap=True) for line in lines]


def _event(line: Line) -> Text:
    return Text.assemble((f"{clock_of(line.time_utc_ms)} ", QUIET), line.text, overflow="ellipsis", no_wrap=True)
