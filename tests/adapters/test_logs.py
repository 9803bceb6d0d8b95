import errno
import json
import os
import stat
import sys
from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from loguru import logger

from evenkeel.adapters.hidden import Hidden
from evenkeel.adapters.log_files import ERRORS_NAME, JSON_NAME, MAIN_NAME, trade_files
from evenkeel.adapters.log_lines import line_of_text
from evenkeel.adapters.logs import CHARACTERS_MAX, set_up
from evenkeel.adapters.os import FolderNotPrivate

CANARY = "canary-7c1f"
posix = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no mode bits")
full_disk = pytest.mark.skipif(not Path("/dev/full").exists(), reason="a device that is always full")


class Terminal(StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    yield
    logger.remove()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "logs"


def lines_in(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines() if line]


def words_in(path: Path) -> list[str]:
    lines = (line_of_text(row) for row in path.read_text().splitlines())
    return [line.text for line in lines if line is not None]


def lines_of(folder: Path) -> list[dict[str, Any]]:
    return lines_in(folder / JSON_NAME)


def test_a_line_says_when_how_grave_what_and_where(folder: Path) -> None:
    set_up(folder)
    logger.bind(seq=7, cause=5, kind="QuotesStale", symbol="EURUSD", age_ms=6_000).warning("no quote for {} s", 6)
    (line,) = lines_of(folder)
    assert line.pop("t").endswith("Z")
    assert line == {
        "level": "WARNING",
        "text": "no quote for 6 s",
        "name": __name__,
        "seq": 7,
        "cause": 5,
        "kind": "QuotesStale",
        "symbol": "EURUSD",
        "extra": {"age_ms": 6_000},
    }


def test_the_file_holds_more_than_the_console(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    set_up(folder)
    logger.debug("quiet")
    logger.info("loud")
    assert [line["text"] for line in lines_of(folder)] == ["quiet", "loud"]
    (shown,) = capsys.readouterr().err.splitlines()
    assert shown.endswith(" INFO     loud")


def test_without_a_folder_there_is_only_the_console(capsys: pytest.CaptureFixture[str]) -> None:
    assert set_up(None, console_level="DEBUG") is None
    logger.debug("hello")
    assert "hello" in capsys.readouterr().err


def test_a_second_set_up_replaces_the_first(folder: Path, tmp_path: Path) -> None:
    set_up(folder)
    set_up(tmp_path / "other")
    logger.info("once")
    assert list(folder.iterdir()) == []
    assert len(lines_of(tmp_path / "other")) == 1


@pytest.mark.parametrize(
    "stream, variable, colored",
    [(Terminal, "", True), (Terminal, "1", False), (StringIO, "", False)],
    ids=["a terminal", "NO_COLOR", "a pipe"],
)
def test_colours_are_for_terminals(
    monkeypatch: pytest.MonkeyPatch, stream: type[StringIO], variable: str, colored: bool
) -> None:
    shown = stream()
    monkeypatch.setattr(sys, "stderr", shown)
    monkeypatch.setenv("NO_COLOR", variable)
    set_up(None)
    logger.error("red")
    assert ("\x1b[" in shown.getvalue()) is colored


def fail_with(secret: str) -> None:
    token = secret
    raise ValueError(f"a token of {len(token)} letters was refused")


def test_a_secret_in_a_variable_is_in_no_log(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    set_up(folder, console_level="TRACE")
    try:
        fail_with(CANARY)
    except ValueError:
        logger.exception("failed")
    everything = (folder / JSON_NAME).read_text() + capsys.readouterr().err
    assert "a token of 11 letters was refused" in everything
    assert CANARY not in everything


def test_an_error_is_traced_with_what_caused_it(folder: Path) -> None:
    set_up(folder)
    try:
        try:
            fail_with("x")
        except ValueError as error:
            raise KeyError("outer") from error
    except KeyError:
        logger.exception("failed")
    trace = lines_of(folder)[0]["error"].splitlines()
    assert trace[1].endswith(" fail_with")
    assert trace[2:4] == ["ValueError: a token of 1 letters was refused", "then"]
    assert trace[-1] == "KeyError: 'outer'"


def test_the_console_tells_an_error_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    set_up(None)
    logger.bind(seq=7, cause=5).opt(exception=ValueError("{x} <red> a < b\nnext")).error("a child is down")
    (shown,) = capsys.readouterr().err.splitlines()
    assert shown.endswith("a child is down (ValueError: {x} <red> a < b next)  #7 <5")


def test_words_from_outside_do_not_move_the_cursor(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    set_up(folder)
    logger.opt(exception=ValueError("\x1b[1m\ud800")).error("comment \x1b[2J\nforged")
    assert lines_of(folder)[0]["text"] == "comment ?[2J forged"
    (shown,) = capsys.readouterr().err.splitlines()
    assert shown.endswith("comment ?[2J forged (ValueError: ?[1m\\ud800)")


def test_what_json_has_no_words_for_stands_as_its_repr(folder: Path) -> None:
    set_up(folder)
    logger.bind(what=ValueError("x")).info("odd")
    assert lines_of(folder)[0]["extra"] == {"what": "ValueError('x')"}


@posix
def test_the_files_are_for_the_user_alone(folder: Path) -> None:
    set_up(folder)
    logger.bind(kind="CloseFailed").error("x")
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}


@posix
def test_a_folder_that_is_open_to_others_is_refused(folder: Path) -> None:
    folder.mkdir()
    folder.chmod(0o755)  # whatever the umask is
    with pytest.raises(FolderNotPrivate):
        set_up(folder)


def test_a_new_process_goes_on_in_the_same_file(folder: Path) -> None:
    for text in ("first", "second"):
        set_up(folder)
        logger.info(text)
        logger.remove()
    assert [line["text"] for line in lines_of(folder)] == ["first", "second"]


def test_each_file_holds_what_it_is_for(folder: Path) -> None:
    set_up(folder, console_level="CRITICAL")
    logger.debug("quiet")
    logger.error("grave")
    logger.bind(kind="PositionOpened").info("opened")
    logger.bind(kind="OrderDenied").info("refused by us")
    (trades,) = trade_files(folder)
    assert words_in(folder / MAIN_NAME) == ["quiet", "grave", "opened", "refused by us"]
    assert words_in(folder / ERRORS_NAME) == ["grave"]
    assert words_in(trades) == ["opened"]
    assert len(lines_of(folder)) == 4


def test_a_line_without_a_record_says_so_in_every_text(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    set_up(folder)
    logger.info("process starts")
    logger.bind(seq=7, cause=0).info("cash moved")
    rows = (folder / MAIN_NAME).read_text().splitlines()
    assert [row.split("  ")[-1] for row in rows] == ["- -", "#7 -"]
    assert [set(line) & {"seq", "cause"} for line in lines_of(folder)] == [set(), {"seq"}]
    shown = capsys.readouterr().err.splitlines()
    assert [row.partition("INFO     ")[2] for row in shown] == ["process starts", "cash moved  #7 -"]


def test_a_known_secret_is_in_no_log_whoever_says_it(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    set_up(folder, hidden=Hidden({"BROKER_PASSWORD": CANARY}))
    try:
        raise ConnectionError(f"https://x/?token={CANARY}")
    except ConnectionError:
        logger.bind(url=f"/{CANARY}").exception("asked with {}", CANARY)
    everything = "".join(path.read_text() for path in folder.iterdir()) + capsys.readouterr().err
    assert CANARY not in everything
    assert "asked with ***" in everything
    assert "ConnectionError: https://x/?token=***" in everything


class Unspeakable:
    def __repr__(self) -> str:
        raise RuntimeError(CANARY)


def test_what_cannot_be_said_harms_nobody_and_shows_nothing(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    set_up(folder, console_level="CRITICAL")
    logger.bind(what=Unspeakable(), token=CANARY).info("odd")
    logger.info("next")
    assert lines_of(folder)[-1]["text"] == "next"
    assert CANARY not in capsys.readouterr().err


def test_words_without_end_are_cut(folder: Path) -> None:
    set_up(folder, console_level="CRITICAL")
    logger.opt(exception=ValueError("y" * 10**6)).error("x" * 10**6)
    (line,) = lines_of(folder)
    assert (len(line["text"]), len(line["error"])) == (CHARACTERS_MAX, len("ValueError: ") + CHARACTERS_MAX)


def is_full(folder: Path) -> None:
    """Every file that is written from now on lies on a device that is always full."""
    folder.mkdir(mode=0o700)
    for name in (MAIN_NAME, JSON_NAME, ERRORS_NAME):
        (folder / name).symlink_to("/dev/full")


def has_room(folder: Path) -> None:
    for path in folder.iterdir():
        path.unlink()


@full_disk
def test_a_full_disk_is_told_once_and_reaches_nobody_who_logs(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    is_full(folder)
    files = set_up(folder, console_level="CRITICAL")
    assert files is not None
    for _ in range(3):
        logger.error("lost")
    assert files.lost == 3
    (told,) = capsys.readouterr().err.splitlines()
    assert (
        told == f"evenkeel: {MAIN_NAME} cannot be written, lines are lost: [Errno {errno.ENOSPC}] {os.strerror(errno.ENOSPC)}"
    )


@full_disk
def test_when_there_is_room_again_each_file_and_the_person_are_told_how_many_are_missing(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    is_full(folder)
    set_up(folder, console_level="CRITICAL")
    logger.info("lost")
    logger.error("lost too")
    has_room(folder)
    logger.error("kept")
    assert [line["text"] for line in lines_of(folder)] == ["lines lost before this one: 2", "kept"]
    assert words_in(folder / MAIN_NAME) == ["lines lost before this one: 2", "kept"]
    assert words_in(folder / ERRORS_NAME) == ["lines lost before this one: 1", "kept"]
    assert capsys.readouterr().err.splitlines()[1:] == ["evenkeel: the log is written again, 2 lines were lost"]


def test_a_standard_error_that_fails_harms_nobody(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken(StringIO):
        def write(self, text: str) -> int:
            raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr(sys, "stderr", Broken())
    set_up(folder)
    logger.error("still here")
    assert words_in(folder / ERRORS_NAME) == ["still here"]
