"""`evenkeel demo` as a stranger meets it, and what its exit status says."""

import os
import re
import signal
import subprocess
import sys
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from evenkeel.commands.demo import START_UTC_MS, Killed, faults
from evenkeel.commands.demo.screen import frame
from evenkeel.commands.demo.stage import Line, Moment
from evenkeel.messages.market import Direction
from evenkeel.messages.operator import Mode
from evenkeel.rules.view import AccountView, ChildView, LimitView, PositionView, Today, View

ESCAPE = "\x1b"
posix = pytest.mark.skipif(sys.platform == "win32", reason="signals and terminals of POSIX")


def demo(folder: Path, seconds: float, stdout: int = subprocess.PIPE) -> subprocess.Popen[str]:
    """Started with `folder` for temporary files and a home that nobody can write to."""
    temporary = dict.fromkeys(("TMPDIR", "TEMP", "TMP"), str(folder))
    environment = {**os.environ, **temporary, "HOME": str(folder / "nowhere"), "LANG": "C"}
    environment |= {"TERM": "xterm", "COLUMNS": "100", "LINES": "30"}
    command = [sys.executable, "-m", "evenkeel.cli", "demo", "--seconds", str(seconds)]
    return subprocess.Popen(command, env=environment, stdout=stdout, stderr=subprocess.PIPE, text=True)


def test_in_a_pipe_it_trades_kills_an_actor_and_brings_it_back_in_plain_lines(tmp_path: Path) -> None:
    with demo(tmp_path, seconds=3) as process:
        out, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (0, "")
    assert ESCAPE not in out
    assert re.search(r"^\d\d:\d\d:\d\d position 1001 opened", out, re.MULTILINE)
    killed = re.search(r"\*\*\* (position/[A-Z]{6}), which held ticket (\d+), was killed on purpose", out)
    assert killed is not None
    assert f"*** {killed[1]} is back as incarnation 2 with ticket {killed[2]} and its stop after" in out
    assert re.search(r"journal +\d+ records in \d+ commits, every digest checked", out)
    assert list(tmp_path.iterdir()) == []


@posix
def test_an_interrupt_ends_it_in_order_and_leaves_nothing(tmp_path: Path) -> None:
    with demo(tmp_path, seconds=30) as process:
        assert process.stdout is not None
        assert any("the broker agrees" in line for line in process.stdout)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=30)
    assert (process.returncode, errors) == (130, "interrupted; everything stopped in order, nothing is left behind\n")
    assert list(tmp_path.iterdir()) == []


@posix
def test_a_reader_that_goes_away_leaves_nothing_behind(tmp_path: Path) -> None:
    with demo(tmp_path, seconds=30) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.wait(timeout=30) == 1
    assert list(tmp_path.iterdir()) == []


@posix
def test_a_terminal_gets_a_screen_of_its_own_and_its_old_one_back(tmp_path: Path) -> None:
    import pty

    ours, theirs = pty.openpty()
    with demo(tmp_path, seconds=30, stdout=theirs) as process, open(ours, "rb", buffering=0) as screen:
        os.close(theirs)
        shown = b""
        while b"room left" not in shown:
            shown += screen.read(4096)
        process.send_signal(signal.SIGINT)
        while b"\x1b[?1049l" not in shown:
            shown += screen.read(4096)
        assert process.wait(timeout=30) == 130
    assert b"\x1b[?1049h" in shown


def picture(columns: int, rows: int) -> list[str]:
    console = Console(width=columns, height=rows, file=StringIO(), color_system=None)
    lines = console.render_lines(frame(moment(), rows=rows, columns=columns), pad=False)
    return ["".join(segment.text for segment in line).rstrip() for line in lines]


def test_a_picture_shows_positions_limits_children_and_events() -> None:
    text = "\n".join(picture(100, 30))
    assert re.search(r"1001 +EURUSD +buy +0\.18 +1\.10000 +1\.10035 +1\.09920 +────┼●───── +1\.10140 +\+0\.44 +\+6\.30", text)
    assert re.search(r"positions +\S+ +4 of 5 ", text)
    assert "● position/EURUSD +1" in text
    assert text.endswith("08:00:08 event 8")


@pytest.mark.parametrize("columns, rows", [(80, 24), (100, 30), (160, 50)])
def test_a_picture_fits_its_terminal(columns: int, rows: int) -> None:
    lines = picture(columns, rows)
    assert len(lines) <= rows
    assert not any("…" in line for line in lines[1:])
    assert lines[-1] == "08:00:08 event 8"


def test_a_narrow_picture_leaves_out_rather_than_cuts() -> None:
    lines = picture(40, 24)
    text = "\n".join(lines)
    assert len(lines) <= 24
    assert re.search(r"EURUSD +buy +────┼●───── +\+0\.44 +\+6\.30", text)
    assert "1.10000" not in text
    assert "children" not in text


KILLED = Killed("position/EURUSD", tickets=(7, 8), incarnation=2, back_ms=1.5, changed=(), missing=())


@pytest.mark.parametrize(
    "killed, opened, closed, fault",
    [
        (KILLED, 2, set(), None),
        (KILLED, 0, set(), "no trade was made"),
        (None, 2, set(), "no actor was killed: none held a position"),
        (KILLED._replace(back_ms=None), 2, set(), "position/EURUSD did not come back within 5 s"),
        (KILLED._replace(missing=(8,)), 2, set(), "position/EURUSD came back without ticket 8 as before"),
        (KILLED._replace(missing=(8,)), 2, {8}, None),
        (KILLED._replace(changed=(8,)), 2, {8}, "position/EURUSD came back without ticket 8 as before"),
    ],
)
def test_it_fails_without_trades_or_without_the_state_of_the_killed(
    killed: Killed | None, opened: int, closed: set[int], fault: str | None
) -> None:
    assert list(faults(killed, opened=opened, closed=closed)) == ([] if fault is None else [fault])


def moment() -> Moment:
    """Four positions, every limit, the kill and its return, and more events than there is room for."""
    position = PositionView(
        ticket=1001,
        symbol="EURUSD",
        direction=Direction.BUY,
        volume_lots="0.18",
        entry="1.10000",
        stop="1.09920",
        target="1.10140",
        mark="1.10035",
        opened_utc_ms=START_UTC_MS,
        r=0.44,
        profit_cents=630,
        strategy="demo",
        closing=False,
    )
    names = ["clock", "operator", "trading_calendar", "risk_limit", "broker_gateway", "circuit_breaker", "position/EURUSD"]
    names += ["position/GBPUSD", "position/AUDUSD", "position/USDJPY", "reporter", "terminal", "market_feed", "strategy/demo"]
    names += ["control"]
    view = View(
        written_utc_ms=0,
        now_utc_ms=START_UTC_MS,
        run=None,
        mode=Mode.RUN,
        epoch=0,
        agreed=True,
        trading_day="2026-01-04",
        holds=(),
        children=tuple(ChildView(name=name, serving=True, incarnation=2, restarts=int("/" in name)) for name in names),
        positions=(position,) * 4,
        foreign=(),
        unknown_orders=(),
        stale=(),
        account=AccountView(balance_cents=1_000_000, equity_cents=1_000_630, currency="USD", currency_digits=2),
        today=Today(trades=12, won=5, net_cents=-1234, refusals={"slot_taken": 31, "closing": 4, "hold": 2, "spread": 1}),
        limits=(
            LimitView(name="positions_max", used=4, limit=5, room_ratio=0.2, unit="count"),
            LimitView(name="day_loss_pct", used=11_111, limit=30_000, room_ratio=0.63, unit="cents"),
            LimitView(name="drawdown", used=11_111, limit=50_000, room_ratio=0.78, unit="cents"),
            LimitView(name="open_risk_pct", used=11_111, limit=30_000, room_ratio=0.63, unit="cents"),
        ),
        events=(),
    )
    lines = [Line(START_UTC_MS + 1000 * number, f"event {number}") for number in range(9)]
    banner = ["position/EURUSD, which held ticket 1001, was killed on purpose", "position/EURUSD is back as incarnation 2"]
    return Moment(view, START_UTC_MS, lines, banner, elapsed_s=20.0, seconds=35.0, speed=300.0)
