import argparse
import json
import os
import signal
import subprocess
import sys
from io import StringIO
from pathlib import Path

import pytest

from evenkeel.adapters.log_files import ERRORS_NAME, JSON_NAME
from evenkeel.adapters.log_lines import Line, text_of
from evenkeel.adapters.state_folder import StateFolder
from evenkeel.commands import exit_codes, logs
from evenkeel.commands.logs import Files, Place, Wanted, last_lines, rows_after

FOLLOW = "import sys; from evenkeel.cli import main; sys.exit(main(['logs', '-f', '-n', '1']))"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("EVENKEEL_STATE", str(tmp_path))
    folder = StateFolder(tmp_path, "simulated")
    folder.create()
    return folder.logs


def line(text: str, level: str = "INFO", **more: object) -> bytes:
    return json.dumps({"t": "2026-01-05T00:00:01.250Z", "level": level, "text": text} | more).encode() + b"\n"


def write(folder: Path, *lines: bytes, name: str = JSON_NAME) -> None:
    with (folder / name).open("ab") as file:
        file.writelines(lines)


def rotate(folder: Path) -> None:
    for age in (1, 0):
        newer = folder / (f"{JSON_NAME}.{age}" if age else JSON_NAME)
        if newer.exists():
            newer.rename(folder / f"{JSON_NAME}.{age + 1}")


def shown(*words: str) -> int:
    parser = argparse.ArgumentParser()
    logs.add_arguments(parser)
    return logs.run(parser.parse_args(words))


def test_a_line_is_readable(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    error = "file.py:3 act\nValueError: x"
    write(folder, line("position 7 opened", seq=41, cause=40, extra={"age_ms": 3}, kind="PositionOpened", error=error))
    write(folder, line("process starts"))
    assert shown() == exit_codes.OK
    assert capsys.readouterr().out.splitlines() == [
        "2026-01-05 00:00:01.250Z  INFO      position 7 opened age_ms=3  #41 <40",
        "    file.py:3 act",
        "    ValueError: x",
        "2026-01-05 00:00:01.250Z  INFO      process starts  - -",
    ]


def test_the_last_lines_reach_back_into_older_files(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(folder, line("one"), line("two"), name=f"{JSON_NAME}.1")
    write(folder, line("three"))
    shown("-n", "2")
    assert [row.split()[-3] for row in capsys.readouterr().out.splitlines()] == ["two", "three"]


def test_a_level_hides_what_is_less_grave_and_does_not_count_it(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(folder, line("a", "WARNING"), line("b", "ERROR"), line("c", "INFO"), line("d", "DEBUG"))
    shown("-n", "2", "--level", "warning")
    assert [row.split()[-3] for row in capsys.readouterr().out.splitlines()] == ["a", "b"]


FOUR = (
    line("buy GBPUSD refused by position/GBPUSD: cooldown", kind="OrderDenied", symbol="GBPUSD"),
    line("no quote of EURUSD.x for 9 s", "WARNING", kind="QuotesStale", symbol="EURUSD.x"),
    line("position 7 opened: buy 0.10 lots EURUSD", kind="PositionOpened", symbol="EURUSD"),
    line("boom", "ERROR", t="2026-01-07T00:00:00.000Z"),
)


@pytest.mark.parametrize(
    "words, shown_rows",
    [
        (("--symbol", "EURUSD"), [2]),
        (("--symbol", "GBPUSD"), [0]),
        (("--symbol", "EURUSD.x"), [1]),
        (("--since", "2026-01-06"), [3]),
        (("--since", "2026-01-05", "--level", "warning"), [1, 3]),
    ],
)
def test_a_flag_leaves_the_rest_out(
    folder: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], shown_rows: list[int]
) -> None:
    write(folder, *FOUR)
    assert shown("--json", *words) == exit_codes.OK
    assert [json.loads(row) for row in capsys.readouterr().out.splitlines()] == [
        {"v": 1} | json.loads(FOUR[row]) for row in shown_rows
    ]


def text(words: str, day: str, level: str = "INFO", **more: str) -> bytes:
    return text_of(Line(t=f"{day}T00:00:01.250Z", level=level, text=words, seq=3, **more)).encode() + b"\n"  # type: ignore[arg-type]


def test_trades_are_those_of_the_days_that_are_kept(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(folder, line("what is newer than the trades has pushed them out of this file"))
    for day in range(1, 31):
        trade = text(f"opened {day}", f"2026-01-{day:02}", kind="PositionOpened", symbol="EURUSD")
        write(folder, trade, name=f"trades-2026-01-{day:02}.log")
    shown("--trades", "--since", "2026-01-01")
    assert [row.split()[3:5] for row in capsys.readouterr().out.splitlines()] == [["opened", str(day)] for day in range(1, 31)]
    shown("--trades", "--json", "-n", "1", "--symbol", "EURUSD")
    assert json.loads(capsys.readouterr().out) == {
        "v": 1,
        "t": "2026-01-30T00:00:01.250Z",
        "level": "INFO",
        "text": "opened 30",
        "seq": 3,
        "kind": "PositionOpened",
        "symbol": "EURUSD",
    }


def test_errors_reach_farther_back_than_everything_else(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(folder, line("newer"))
    write(folder, text("old", "2026-01-01", "ERROR"), name=f"{ERRORS_NAME}.1")
    write(folder, text("boom", "2026-01-02", "CRITICAL", error="file.py:3 act\nValueError: x"), name=ERRORS_NAME)
    shown("--errors")
    assert capsys.readouterr().out.splitlines() == [
        "2026-01-01 00:00:01.250Z  ERROR     old  #3 -",
        "2026-01-02 00:00:01.250Z  CRITICAL  boom  #3 -",
        "    file.py:3 act",
        "    ValueError: x",
    ]
    shown("--level", "critical")
    assert "old" not in capsys.readouterr().out


def test_a_narrow_terminal_gets_lines_broken_between_words(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    write(folder, line("position 1001 opened: buy 0.10 lots EURUSD at 1.10000, stop 1.09900", seq=41, cause=40))
    shown()
    assert capsys.readouterr().out.splitlines() == [
        "2026-01-05 00:00:01.250Z  INFO",
        "    position 1001 opened: buy 0.10 lots",
        "    EURUSD at 1.10000, stop 1.09900  #41",
        "    <40",
    ]


class Terminal(StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("no_color, level", [("", "\x1b[31mERROR\x1b[0m"), ("1", "ERROR")])
def test_a_level_is_coloured_on_a_terminal(folder: Path, monkeypatch: pytest.MonkeyPatch, no_color: str, level: str) -> None:
    monkeypatch.setenv("NO_COLOR", no_color)
    monkeypatch.setenv("COLUMNS", "200")
    terminal = Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    write(folder, line("ERROR is a word here", "ERROR"))
    shown()
    assert terminal.getvalue() == f"2026-01-05 00:00:01.250Z  {level}     ERROR is a word here  - -\n"


def test_since_shows_more_than_the_usual_number_of_lines(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(folder, *(line(f"{number}") for number in range(logs.LINES_SHOWN + 10)))
    shown("--since", "2026-01-05")
    assert len(capsys.readouterr().out.splitlines()) == logs.LINES_SHOWN + 10


def test_json_gives_the_lines_themselves(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(folder, line("one", seq=3))
    shown("--json")
    assert json.loads(capsys.readouterr().out) == {"v": 1} | json.loads(line("one", seq=3))


def test_a_torn_line_is_left_out(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(folder, b'{"t": "2026\n', b"\n", line("whole"), b'{"t": "not finished')
    shown()
    assert len(capsys.readouterr().out.splitlines()) == 1


def test_text_from_outside_does_not_move_the_cursor(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(folder, line("comment \x1b[2J\nforged"))
    shown()
    assert capsys.readouterr().out.rstrip("\n").endswith("comment ?[2J forged  - -")


def test_each_process_has_a_log_of_its_own(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(folder, line("of the supervisor"))
    write(folder.parent / "terminal", line("of the terminal host"))
    shown("--of", "terminal", "--json")
    assert json.loads(capsys.readouterr().out)["text"] == "of the terminal host"
    assert shown("--of", "watchdog") == exit_codes.FAILED


def test_without_a_log_it_says_so(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert shown() == exit_codes.FAILED
    assert "no log" in capsys.readouterr().err


@pytest.mark.parametrize("words", [("-n", "-1"), ("-n", "many"), ("--level", "loud"), ("--since", "soon")])
def test_a_bad_flag_is_a_usage_error(folder: Path, words: tuple[str, ...]) -> None:
    with pytest.raises(SystemExit, match="2"):
        shown(*words)


def everything(folder: Path) -> Files:
    return logs.files_for(folder, trades=False, level="DEBUG")


def place_at_the_end(files: Files) -> Place:
    return last_lines(files, 0, Wanted("DEBUG"))[1]


def test_following_gives_each_whole_line_once(folder: Path) -> None:
    write(folder, line("old"))
    files = everything(folder)
    place = place_at_the_end(files)
    write(folder, line("one"), line("two")[:10])
    rows, place = rows_after(files, place)
    assert rows == [line("one")]
    write(folder, line("two")[10:])
    rows, place = rows_after(files, place)
    assert rows == [line("two")]
    assert rows_after(files, place) == ([], place)


def test_following_goes_on_over_rotations(folder: Path) -> None:
    write(folder, line("old"))
    files = everything(folder)
    place = place_at_the_end(files)
    for text in ("one", "two", "three"):
        write(folder, line(f"before {text}"))
        rotate(folder)
        write(folder, line(f"after {text}"))
        if text != "one":
            continue
        rows, place = rows_after(files, place)
        assert rows == [line("before one"), line("after one")]
    rows, place = rows_after(files, place)
    assert rows == [line("before two"), line("after two"), line("before three"), line("after three")]


def test_following_waits_for_the_first_log(folder: Path) -> None:
    files = everything(folder)
    place = place_at_the_end(files)
    assert rows_after(files, place) == ([], place)
    write(folder, line("first"))
    assert rows_after(files, place)[0] == [line("first")]


def test_following_trades_goes_on_over_midnight(folder: Path) -> None:
    files = logs.files_for(folder, trades=True, level="DEBUG")
    place = place_at_the_end(files)
    for day in ("2026-01-05", "2026-01-06"):
        write(folder, text("opened", day), text("closed", day), name=f"trades-{day}.log")
        rows, place = rows_after(files, place)
        assert rows == [text("opened", day), text("closed", day)]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows sends no SIGINT to one process")
def test_following_shows_what_comes_and_ends_on_ctrl_c(folder: Path) -> None:
    write(folder, line("old"), line("last"))
    environment = os.environ | {"EVENKEEL_STATE": str(folder.parent.parent)}
    with subprocess.Popen([sys.executable, "-c", FOLLOW], env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline().rstrip("\n").endswith("last  - -")
        write(folder, line("new"))
        assert process.stdout.readline().rstrip("\n").endswith("new  - -")
        write(folder, line("before"))
        rotate(folder)
        write(folder, line("after"), line("torn")[:20])
        assert [process.stdout.readline().split()[-3] for _ in range(2)] == ["before", "after"]
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == exit_codes.INTERRUPTED
