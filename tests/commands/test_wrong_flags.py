"""Every flag of every command, wrong once: one clear line that names the value, the status that is documented, nothing made.

The flags come from the parsers, so a new one is tried without a word here; where it takes more than the parser to see that a
value is wrong, the tables below must know it, and a test says which they lack.
"""

import argparse
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from walk import LEAVES, TICKS, contents, ended

from evenkeel.cli import JSON_FLAG
from evenkeel.commands import exit_codes

PATHS = ("FILE", "OUT", "DIR", "FOLDER", "BACKUP")
GARBAGE = b"\x00\xff\xfegarbage\n" * 50
STRATEGY = "--symbol EURUSD --strategy ma_cross:fast=2,slow=3"
REST = {
    "backtest": f"--ticks ticks.csv {STRATEGY}",
    "check-strategy": f"--ticks ticks.csv {STRATEGY}",
    "data import": "ticks.csv --symbol EURUSD --to out.csv",
    "data check": "ticks.csv --symbol EURUSD",
    "data convert": "ticks.csv --symbol EURUSD --to out.csv",
    "strategy": "new my_own",
    "signal": "EURUSD buy",
    "close": "1",
    "adopt": "1",
    "why": "seq 1",
    "why-not": "EURUSD",
    "restore": "folder",
    "config": "check",
    "report": "--html out.html",
    "simulate": "--seeds 1 --account-days 0.01 --controls 0",
    "run": "--symbol EURUSD --force-strategy nope",
    "completion": "bash",
    "service": "install --systemd --print",
    "promote": "--config none.toml",
    "bench": "replay",
}
"""What a command needs beside the flag that is wrong: by itself it would do something that is quick, or refuse it later."""
CONFIGURATION = (exit_codes.CONFIG_INVALID,)
REFUSED = (exit_codes.USAGE, exit_codes.REFUSED)
WRONG_PATHS = {
    "--config": ("none.toml", "folder", "garbage"),
    "--ticks": ("none.csv", "folder", "garbage"),
    "--bars": ("none.csv", "folder", "garbage"),
    "--ask": ("none.csv", "folder", "garbage"),
    "files": ("none.csv", "folder", "garbage"),
    "--html": ("none/out.html", "folder"),
    "--json": ("none/out.json", "folder"),
    "--folder": ("none", "garbage"),
    "--backup": ("none", "folder", "garbage"),
    "backup": ("none", "folder", "garbage"),
    "--resume": ("none/kept", "folder", "garbage"),
    "backup --to": ("garbage",),
    "data import --to": ("none/out.csv", "folder", "garbage"),
    "data convert --to": ("none/out.csv", "folder", "garbage"),
    "strategy --to": ("none", "garbage"),
    "file": ("none/out.toml", "folder", "garbage"),
    "signal --file": ("none", "folder"),
    "promote --proof": (),
    "--resolved": ("none", "folder", "garbage"),
}
OUT_OF_RANGE = {
    "--seconds": "0",
    "--digits": "9",
    "--seed": "-1",
    "--samples": "-1",
    "--speed": "nan",
    "--confidence": "1.01",
    "--lines": "-1",
    "--last": "-1",
    "--for": "0",
    "--segment": "-1",
    "--from": "-1",
    "--show": "-1",
    "--hourly": "0",
    "--daily": "0",
    "--account-days": "0",
    "--seeds": "0",
    "--first-seed": "-1",
    "--jobs": "0",
    "--controls": "-1",
    "--quote-every-s": "0",
    "--rounds": "0",
    "--records": "0",
    "--positions": "11",
    "--spread": "-1",
    "--gap-minutes": "0",
    "--bad-lines-max": "-1",
    "ticket": "0",
    "--age": "-1",
    "--every": "0",
    "--listen": "nowhere:99999",
}
WRONG_WORDS = {
    "run": ("--force-strategy nope",),
    "backtest": ("--strategy nope", "--strategy ma_cross:fast=x", "--from x", "--to x", "--symbol NOPE"),
    "data import": ("--utc-offset 99", "--server-zone No/Where", "--symbol NOPE"),
    "data check": ("--utc-offset 99", "--server-zone No/Where", "--symbol NOPE"),
    "data convert": ("--symbol NOPE",),
    "terminal": ("--play nope", "--listen nope"),
    "why": ("nonsense",),
    "report": ("--html out.html none.json",),
    "chains": ("--stop x",),
    "shields": ("--lower EURUSD sideways",),
    "close-all": ("--symbol EUR/USD", "--strategy EUR/USD"),
    "pause": ("--symbol EUR/USD", "--strategy EUR/USD", "--id é"),
    "strategy": ("new Bad-Name", "new json"),
    "config": ("--origin",),
}
"""Of words that the parser takes: what only the command can judge."""


class Flag(NamedTuple):
    command: str
    action: argparse.Action

    @property
    def name(self) -> str:
        return max(self.action.option_strings, key=len, default=self.action.dest)

    @property
    def takes_value(self) -> bool:
        return self.action.nargs not in (0, "?")

    @property
    def is_path(self) -> bool:
        return self.action.type is Path or self.action.metavar in PATHS

    @property
    def is_measured(self) -> bool:
        """Its value is read by a function, and is neither a path nor one of a few words."""
        is_read = self.action.type not in (None, Path) and not self.is_path
        return is_read and (not self.action.choices or self.action.type is int)

    def __str__(self) -> str:
        return f"{self.command} {self.name}"


FLAGS = [Flag(command, action) for command, leaf in LEAVES.items() for action in leaf._actions if action.dest != "help"]
OWN_WORDS = ("since_utc_ms", "name", "command_id")
"""Readers of words, not of numbers."""


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder to be wrong in; what is there after a test is what was there before."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("EVENKEEL_STATE", str(tmp_path / "state"))
    (tmp_path / "folder").mkdir()
    (tmp_path / "ticks.csv").write_text(TICKS, encoding="utf-8")
    (tmp_path / "garbage").write_bytes(GARBAGE)
    before = contents(tmp_path)
    yield tmp_path
    assert contents(tmp_path) == before, "nothing is made, and nothing is changed"


def flaws(capsys: pytest.CaptureFixture[str], words: list[str], *named: str, statuses: tuple[int, ...] = (2,)) -> list[str]:
    """What is wrong with how these words are refused: by a status, in one line that names what is wrong, and nothing else."""
    status, told = ended(words), capsys.readouterr()
    found = [] if status in statuses else [f"status {status}"]
    if JSON_FLAG not in words and words[0] != "bench" and told.out:
        found.append(f"on standard output: {told.out}")
    if len(told.err.splitlines()) != 1:
        found.append("not one line")
    found += [f"{name!r} is not named" for name in named if name not in told.err]
    return [f"{' '.join(words)}: {', '.join(found)}: {told.err}"] if found else []


def of(command: str) -> list[Flag]:
    return [flag for flag in FLAGS if flag.command == command]


@pytest.mark.parametrize("command", LEAVES)
def test_a_wrong_flag_is_refused_by(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    words = command.split()
    assert flaws(capsys, [*words, *REST.get(command, "").split(), "--nonsense"], "--nonsense") == []
    for flag in of(command):
        text = flag.action.option_strings[-1] if flag.action.option_strings else None
        if text is not None and flag.takes_value:
            assert flaws(capsys, [*words, text], flag.name, "expected ") == []
        if text is not None and flag.takes_value and flag.action.choices:
            assert flaws(capsys, [*words, text, "NONSENSE"], flag.name, "NONSENSE") == []
        if text is not None and flag.is_measured and getattr(flag.action.type, "__name__", "") not in ("name", "command_id"):
            assert flaws(capsys, [*words, text, "x y"], flag.name, "x y") == []
    for flag in of(command):
        if flag.name == "--account" and command != "promote":  # whose file names the account too, and comes first
            rest = [*REST.get(command, "").split(), "--account", "../x"]
            assert flaws(capsys, [*words, *rest], "'../x'", statuses=(exit_codes.USAGE, exit_codes.CONFIG_INVALID)) == []


@pytest.mark.parametrize("flag", [flag for flag in FLAGS if flag.is_measured and flag.name in OUT_OF_RANGE], ids=str)
def test_out_of_range_is(flag: Flag, capsys: pytest.CaptureFixture[str]) -> None:
    words, value = flag.command.split(), OUT_OF_RANGE[flag.name]
    rest = REST.get(flag.command, "").split()
    given = [flag.name, value] if flag.action.option_strings else [value]
    assert flaws(capsys, [*words, *(rest if flag.action.option_strings else []), *given], value) == []


@pytest.mark.parametrize("flag", [flag for flag in FLAGS if flag.is_path], ids=str)
def test_a_wrong_path_is(flag: Flag, capsys: pytest.CaptureFixture[str]) -> None:
    for value in WRONG_PATHS.get(str(flag), WRONG_PATHS.get(flag.name, ())):
        statuses = CONFIGURATION if flag.name == "--config" else REFUSED
        assert flaws(capsys, [*flag.command.split(), *with_path(flag, value)], value, statuses=statuses) == []


def with_path(flag: Flag, value: str) -> list[str]:
    """The rest of the words, with the path in the place of a good one."""
    if str(flag) == "signal --file":  # in the place of a symbol and a direction
        return [flag.name, value]
    rest = REST.get(flag.command, "").split()
    if flag.action.option_strings:
        at = rest.index(flag.name) if flag.name in rest else len(rest)
        if flag.name == "--bars":
            at = rest.index("--ticks")
        return [*rest[:at], flag.name, value, *rest[at + 2 :]]
    return [value, *rest[1:]]


@pytest.mark.parametrize("command, words", [(command, words) for command, many in WRONG_WORDS.items() for words in many])
def test_what_the_parser_takes_and_the_command_does_not_is(
    command: str, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    flag, _, value = words.partition(" ")
    rest = REST.get(command, "").split() if words.startswith("--") else []
    if flag in rest:
        rest = [*rest[: rest.index(flag)], *rest[rest.index(flag) + 2 :]]
    named = flag if command == "chains" else (value or flag).split()[-1]
    assert flaws(capsys, [*command.split(), *rest, *words.split()], named) == []


@pytest.mark.skipif(sys.platform == "win32" or os.geteuid() == 0, reason="nothing is unreadable for this user")
@pytest.mark.parametrize("flag", [flag for flag in FLAGS if flag.name in ("--config", "--ticks", "files")], ids=str)
def test_an_unreadable_file_is(flag: Flag, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "ticks.csv").chmod(0)
    assert flaws(capsys, [*flag.command.split(), *with_path(flag, "ticks.csv")], "ticks.csv", statuses=(2, 6)) == []
    (here / "ticks.csv").chmod(0o600)


def test_no_flag_is_forgotten() -> None:
    """A flag with a range, or one that takes a path, is in its table."""
    measured = {flag.name for flag in FLAGS if flag.is_measured and getattr(flag.action.type, "__name__", "") not in OWN_WORDS}
    assert measured - set(OUT_OF_RANGE) - {"--alone-s"} == set()
    assert {str(flag) for flag in FLAGS if flag.is_path and flag.name not in WRONG_PATHS} - set(WRONG_PATHS) == set()


@pytest.mark.parametrize("word, meant", [("statsu", "status"), ("positons", "positions"), ("whynot", "why-not")])
def test_a_command_that_is_none_is_told_with_what_was_meant(word: str, meant: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert flaws(capsys, [word], repr(word), f"did you mean {meant!r}?") == []


def test_a_flag_that_is_none_is_told_with_what_was_meant(capsys: pytest.CaptureFixture[str]) -> None:
    assert flaws(capsys, ["status", "--acount", "demo"], "--acount", "did you mean '--account'?") == []
    assert flaws(capsys, ["--json", "status"], "flags come after the command") == []
