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

from evenkeel.adapters.logs import FILE_NAME, FILES_KEPT, JsonLines, files_of, set_up
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


def lines_of(folder: Path) -> list[dict[str, Any]]:
    return lines_in(folder / FILE_NAME)


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
    assert lines_of(folder) == []
    assert len(lines_of(tmp_path / "other")) == 1


@pytest.mark.parametrize(
    "stream, no_color, variable, colored",
    [(Terminal, False, "", True), (Terminal, True, "", False), (Terminal, False, "1", False), (StringIO, False, "", False)],
    ids=["a terminal", "the flag", "NO_COLOR", "a pipe"],
)
def test_colours_are_for_terminals(
    monkeypatch: pytest.MonkeyPatch, stream: type[StringIO], no_color: bool, variable: str, colored: bool
) -> None:
    shown = stream()
    monkeypatch.setattr(sys, "stderr", shown)
    monkeypatch.setenv("NO_COLOR", variable)
    set_up(None, no_color=no_color)
    logger.error("red")
    assert ("\x1b[" in shown.getvalue()) is colored


def fail_with(secret: str) -> None:
    token = secret
    raise ValueError(f"a token of {len(token)} letters was refused")


def test_a_secret_in_a_variable_is_in_no_log(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    set_up(folder, console_level="TRACE", json_level="TRACE")
    try:
        fail_with(CANARY)
    except ValueError:
        logger.exception("failed")
    everything = (folder / FILE_NAME).read_text() + capsys.readouterr().err
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
    logger.opt(exception=ValueError("{x} <red>\nnext")).error("a child is down")
    (shown,) = capsys.readouterr().err.splitlines()
    assert shown.endswith("a child is down (ValueError: {x} <red> next)")


def test_what_json_has_no_words_for_stands_as_its_repr(folder: Path) -> None:
    set_up(folder)
    logger.bind(what=ValueError("x")).info("odd")
    assert lines_of(folder)[0]["extra"] == {"what": "ValueError('x')"}


@posix
def test_the_file_is_for_the_user_alone(folder: Path) -> None:
    set_up(folder)
    assert stat.S_IMODE((folder / FILE_NAME).stat().st_mode) == 0o600


@posix
def test_a_folder_that_is_open_to_others_is_refused(folder: Path) -> None:
    folder.mkdir(mode=0o755)
    with pytest.raises(FolderNotPrivate):
        set_up(folder)


def test_a_new_process_goes_on_in_the_same_file(folder: Path) -> None:
    for text in ("first", "second"):
        set_up(folder)
        logger.info(text)
        logger.remove()
    assert [line["text"] for line in lines_of(folder)] == ["first", "second"]


def test_a_full_file_becomes_an_older_one_and_the_oldest_goes(tmp_path: Path) -> None:
    logger.remove()
    logger.add(JsonLines(tmp_path, bytes_max=1_000), format=lambda record: "")
    for number in range(200):
        logger.info("line {}", number)
    files = files_of(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(path.name for path in files)
    assert len(files) == FILES_KEPT
    assert all(path.stat().st_size <= 1_000 for path in files)
    texts = [line["text"] for path in reversed(files) for line in lines_in(path)]
    assert texts == [f"line {number}" for number in range(200 - len(texts), 200)]


@full_disk
def test_a_full_disk_is_told_once_and_reaches_nobody_who_logs(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = set_up(folder, console_level="CRITICAL")
    assert lines is not None
    lines.stop()
    (folder / FILE_NAME).unlink()
    (folder / FILE_NAME).symlink_to("/dev/full")
    for _ in range(3):
        logger.info("lost")
    assert lines.lost == 3
    (told,) = capsys.readouterr().err.splitlines()
    assert os.strerror(errno.ENOSPC) in told


@full_disk
def test_when_there_is_room_again_the_gap_is_told(folder: Path) -> None:
    lines = set_up(folder, console_level="CRITICAL")
    assert lines is not None
    lines.stop()
    (folder / FILE_NAME).unlink()
    (folder / FILE_NAME).symlink_to("/dev/full")
    logger.info("lost")
    lines.stop()
    (folder / FILE_NAME).unlink()
    logger.info("kept")
    assert [line["text"] for line in lines_of(folder)] == ["lines lost before this one: 1", "kept"]
