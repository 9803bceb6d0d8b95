import argparse
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from evenkeel.adapters.logs import FILE_NAME
from evenkeel.adapters.state_folder import StateFolder
from evenkeel.commands import exit_codes, logs
from evenkeel.commands.logs import Place, last_lines, rows_after

FOLLOW = "import sys; from evenkeel.cli import main; sys.exit(main(['logs', '-f', '-n', '1']))"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("EVENKEEL_STATE", str(tmp_path))
    folder = StateFolder(tmp_path, "simulated")
    folder.create()
    return folder.logs


def line(text: str, level: str = "INFO", **more: object) -> bytes:
    return json.dumps({"t": "2026-01-05T00:00:01.250Z", "level": level, "text": text} | more).encode() + b"\n"


def write(folder: Path, *lines: bytes, name: str = FILE_NAME) -> None:
    with (folder / name).open("ab") as file:
        file.writelines(lines)


def rotate(folder: Path) -> None:
    for age in (1, 0):
        newer = folder / (f"{FILE_NAME}.{age}" if age else FILE_NAME)
        if newer.exists():
            newer.rename(folder / f"{FILE_NAME}.{age + 1}")


def shown(*words: str) -> int:
    parser = argparse.ArgumentParser()
    logs.add_arguments(parser)
    return logs.run(parser.parse_args(words))


def test_a_line_is_readable(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(folder, line("position 7 opened", seq=41, extra={"symbol": "EURUSD"}, error="file.py:3 act\nValueError: x"))
    assert shown() == exit_codes.OK
    assert capsys.readouterr().out.splitlines() == [
        "2026-01-05 00:00:01.250Z  INFO      position 7 opened  symbol=EURUSD  #41",
        "    file.py:3 act",
        "    ValueError: x",
    ]


def test_the_last_lines_reach_back_into_older_files(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(folder, line("one"), line("two"), name=f"{FILE_NAME}.1")
    write(folder, line("three"))
    shown("-n", "2")
    assert [row.split()[-1] for row in capsys.readouterr().out.splitlines()] == ["two", "three"]


def test_a_level_hides_what_is_less_grave_and_does_not_count_it(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(folder, line("a", "WARNING"), line("b", "ERROR"), line("c", "INFO"), line("d", "DEBUG"))
    shown("-n", "2", "--level", "warning")
    assert [row.split()[-1] for row in capsys.readouterr().out.splitlines()] == ["a", "b"]


FOUR = (
    line("position 7 opened: buy 0.10 lots EURUSD", kind="PositionOpened", symbol="EURUSD"),
    line("buy GBPUSD refused by position/GBPUSD: cooldown", kind="OrderDenied", symbol="GBPUSD"),
    line("no quote of EURUSD.x for 9 s", "WARNING", kind="QuotesStale", symbol="EURUSD.x"),
    line("boom", "ERROR", t="2026-01-07T00:00:00.000Z", extra={"about": "nothing"}),
)


@pytest.mark.parametrize(
    "words, shown_rows",
    [
        (("--trades",), [0]),
        (("--errors",), [3]),
        (("--symbol", "EURUSD"), [0]),
        (("--symbol", "GBPUSD"), [1]),
        (("--symbol", "EURUSD.x"), [2]),
        (("--since", "2026-01-06"), [3]),
        (("--since", "2026-01-05", "--level", "warning"), [2, 3]),
        (("--trades", "--symbol", "GBPUSD"), []),
    ],
)
def test_a_flag_leaves_the_rest_out(
    folder: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], shown_rows: list[int]
) -> None:
    write(folder, *FOUR)
    assert shown("--json", *words) == exit_codes.OK
    assert capsys.readouterr().out.encode() == b"".join(FOUR[row] for row in shown_rows)


def test_since_shows_more_than_the_usual_number_of_lines(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(folder, *(line(f"{number}") for number in range(logs.LINES_SHOWN + 10)))
    shown("--since", "2026-01-05")
    assert len(capsys.readouterr().out.splitlines()) == logs.LINES_SHOWN + 10


def test_json_gives_the_lines_themselves(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(folder, line("one", seq=3))
    shown("--json")
    assert json.loads(capsys.readouterr().out) == json.loads(line("one", seq=3))


def test_a_torn_line_is_left_out(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(folder, b'{"t": "2026\n', b"\n", line("whole"), b'{"t": "not finished')
    shown()
    assert len(capsys.readouterr().out.splitlines()) == 1


def test_text_from_outside_does_not_move_the_cursor(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(folder, line("comment \x1b[2J\nforged"))
    shown()
    assert capsys.readouterr().out.rstrip("\n").endswith("comment ?[2J?forged")


def test_without_a_log_it_says_so(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert shown() == exit_codes.FAILED
    assert "no log" in capsys.readouterr().err


@pytest.mark.parametrize("words", [("-n", "-1"), ("-n", "many"), ("--level", "loud"), ("--since", "soon")])
def test_a_bad_flag_is_a_usage_error(folder: Path, words: tuple[str, ...]) -> None:
    with pytest.raises(SystemExit, match="2"):
        shown(*words)


def place_at_the_end(folder: Path) -> Place:
    return last_lines(folder, 0, logs.Wanted("DEBUG", as_json=True))[1]


def test_following_gives_each_whole_line_once(folder: Path) -> None:
    write(folder, line("old"))
    place = place_at_the_end(folder)
    write(folder, line("one"), line("two")[:10])
    rows, place = rows_after(folder, place)
    assert rows == [line("one")]
    write(folder, line("two")[10:])
    rows, place = rows_after(folder, place)
    assert rows == [line("two")]
    assert rows_after(folder, place) == ([], place)


def test_following_goes_on_over_rotations(folder: Path) -> None:
    write(folder, line("old"))
    place = place_at_the_end(folder)
    for text in ("one", "two", "three"):
        write(folder, line(f"before {text}"))
        rotate(folder)
        write(folder, line(f"after {text}"))
        if text != "one":
            continue
        rows, place = rows_after(folder, place)
        assert rows == [line("before one"), line("after one")]
    rows, place = rows_after(folder, place)
    assert rows == [line("before two"), line("after two"), line("before three"), line("after three")]


def test_following_waits_for_the_first_log(folder: Path) -> None:
    place = place_at_the_end(folder)
    assert rows_after(folder, place) == ([], place)
    write(folder, line("first"))
    assert rows_after(folder, place)[0] == [line("first")]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows sends no SIGINT to one process")
def test_following_shows_what_comes_and_ends_on_ctrl_c(folder: Path) -> None:
    write(folder, line("old"), line("last"))
    environment = os.environ | {"EVENKEEL_STATE": str(folder.parent.parent)}
    with subprocess.Popen([sys.executable, "-c", FOLLOW], env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline().rstrip("\n").endswith("last")
        write(folder, line("new"))
        assert process.stdout.readline().rstrip("\n").endswith("new")
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == exit_codes.INTERRUPTED
