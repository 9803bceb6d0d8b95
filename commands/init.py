"""`evenkeel init`: asks a few questions and writes a first configuration. It never overwrites, and never goes live.

Questions, and what is found, go to stderr; the name of the written file goes to stdout. Answers come from standard input, a
line each; an empty line takes what stands in brackets. Until the last answer nothing is written, and then all of it at once.
"""

import argparse
import importlib.util
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from evenkeel.adapters.os import StateError, state_root
from evenkeel.adapters.state_folder import StateFolder
from evenkeel.commands import exit_codes
from evenkeel.commands.first_file import STRATEGY, Answers, first_file
from evenkeel.commands.strategy_flag import KINDS
from evenkeel.commands.tables import folded
from evenkeel.config.load import ConfigInvalid, load
from evenkeel.rules.symbols import UnknownSymbol, spec_for

TRIES_MAX: Final = 3
PROFILES_OFFERED: Final = ("personal", "prop", "demo")
KINDS_OFFERED: Final = tuple(name for name in KINDS if name != "python")
PROGRAM: Final = "*/terminal64.exe"


class Written(msgspec.Struct, frozen=True):
    """What `--json` prints: the configuration that was written, and the name of its account."""

    file: str
    account: str
    v: int = 1


class Found(NamedTuple):
    """What there is on this machine: may the official package be used, and which programs of terminals."""

    has_package: bool
    programs: tuple[str, ...]


class Question(NamedTuple):
    """`key` is the field of Answers that it fills, `default` as one would type it, `read` gives the value or raises _Wrong."""

    key: str
    words: str
    default: str
    read: Callable[[str], object]


class _Wrong(Exception):
    """Why an answer cannot be taken; one line."""


class _NoAnswer(Exception):
    """The questions ended without what is needed; one line."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "file", type=Path, nargs="?", default=Path("evenkeel.toml"), help="what to write (default: %(default)s)"
    )
    parser.add_argument("--yes", action="store_true", help="ask nothing: a simulated terminal, and what stands in brackets")
    parser.add_argument("--json", action="store_true", help="one JSON object on standard output")


def run(arguments: argparse.Namespace) -> int:
    path: Path = arguments.file
    if path.exists() or path.is_symlink():
        print(f"init: {path} exists, and nothing is overwritten; name another file", file=sys.stderr)
        return exit_codes.REFUSED
    if not path.parent.is_dir():
        print(f"init: {path}: {path.parent} is no folder; make it first", file=sys.stderr)
        return exit_codes.USAGE
    try:
        answers = Answers() if arguments.yes else _asked(found_here())
        write_new(path, first_file(answers))
    except _NoAnswer as error:
        print(f"init: {error}; nothing was written", file=sys.stderr)
        return exit_codes.USAGE
    except KeyboardInterrupt:
        print("\ninit: nothing was written", file=sys.stderr)
        raise
    except FileExistsError:
        print(f"init: {path} was made meanwhile, and nothing is overwritten", file=sys.stderr)
        return exit_codes.REFUSED
    except OSError as error:
        print(f"init: {path} cannot be written: {error.strerror}", file=sys.stderr)
        return exit_codes.FAILED
    print(msgspec.json.encode(Written(str(path), answers.account)).decode() if arguments.json else path)
    print("\n".join(_next_steps(path, answers)), file=sys.stderr)
    return exit_codes.OK


def found_here() -> Found:
    """The package is looked for, not loaded."""
    places = {os.environ.get(name, "") for name in ("ProgramFiles", "ProgramW6432", "ProgramFiles(x86)")} - {""}
    programs = sorted({str(program) for place in places for program in Path(place).glob(PROGRAM)})
    return Found(importlib.util.find_spec("MetaTrader5") is not None, tuple(programs))


def write_new(path: Path, text: str) -> None:
    """`path` is made whole, or not at all, also when it is interrupted. Raises FileExistsError or OSError."""
    try:
        with open(path, "x", encoding="utf-8", newline="\n") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
    except FileExistsError:
        raise
    except BaseException:
        path.unlink(missing_ok=True)
        raise


def questions(answers: Answers, found: Found) -> list[Question]:
    """Those that are left once the terminal is chosen."""
    asked = [
        Question("account", _account_words(answers), answers.account, _checked("account.name")),
        Question(
            "profile",
            "Limits. personal: 0.5 % risk a trade, 3 % loss a day. prop: 0.25 % and 2 %, for funded accounts.\n"
            "demo: as personal, without limits on the number and the hours of trades.",
            answers.profile,
            _one_of(PROFILES_OFFERED),
        ),
    ]
    if answers.terminal == "mt5":
        program = found.programs[0] if found.programs else ""
        more = [
            Question("path", "\n".join(["The terminal's program.", *found.programs]), program, _checked("terminal.path")),
            Question("login", "The account's number. Begin with a demo account.", "", _checked("terminal.login", int)),
            Question("server", "The broker's server, as the terminal shows it.", "", _checked("terminal.server")),
        ]
    else:
        more = [
            Question(
                "start_balance", "What lies in the simulated account, USD.", "10000", _checked("account.start_balance", float)
            ),
        ]
    return [
        *asked,
        *more,
        Question("symbols", "What is traded: names as the broker writes them, spaces between.", "EURUSD", _symbols(answers)),
        Question("strategy", f"What trades it: {', '.join(KINDS_OFFERED)}.", "ma_cross", _one_of(KINDS_OFFERED)),
    ]


def _asked(found: Found) -> Answers:
    """Raises _NoAnswer, or KeyboardInterrupt."""
    answers = Answers()
    if found.has_package:
        words = "The terminal. simulated: no broker, nothing at stake. mt5: the official package, on this machine."
        first = Question("terminal", words, "simulated", _one_of(("simulated", "mt5")))
        answers.terminal = str(_answer(first))
        answers.account = "demo" if answers.terminal == "mt5" else answers.account
    else:
        _say(
            "No MetaTrader5 package here (it is for Windows), so the terminal is the simulated one.\n"
            "How a terminal on another machine is reached: docs/connect-a-terminal.md, A Windows machine plus Linux."
        )
    for question in questions(answers, found):
        setattr(answers, question.key, _answer(question))
    return answers


def _answer(question: Question) -> object:
    """Raises _NoAnswer at the end of the input; a person may try again, a script may not."""
    _say(f"\n{question.words}")
    for _ in range(TRIES_MAX):
        print(f"{question.key}{f' [{question.default}]' if question.default else ''}: ", end="", file=sys.stderr, flush=True)
        line = sys.stdin.readline()
        if not line:
            raise _NoAnswer(f"no answer to {question.key}")
        try:
            return question.read(line.strip() or question.default)
        except _Wrong as wrong:
            if not sys.stdin.isatty():
                raise _NoAnswer(f"{question.key}: {wrong}") from None
            _say(str(wrong))
    raise _NoAnswer(f"{question.key}: {TRIES_MAX} answers could not be taken")


def _say(words: str) -> None:
    print(folded(words, indent=0, stream=sys.stderr), file=sys.stderr)


def _account_words(answers: Answers) -> str:
    words = "A name for the account. Every command takes it as --account, and means simulated without it."
    try:
        known = StateFolder(state_root(), answers.account).folder
    except StateError:
        return words
    return f"{words}\n{known} is there: under that name it goes on." if known.exists() else words


def _checked(key: str, kind: Callable[[str], object] = str) -> Callable[[str], object]:
    """Judged as the file will be."""

    def read(text: str) -> object:
        try:
            value = kind(text)
        except ValueError:
            value = text
        if value == "":
            raise _Wrong("it cannot be left out")
        try:
            load(None, overrides={key: value})
        except ConfigInvalid as invalid:
            raise _Wrong(invalid.problems[0].text) from None
        return value

    return read


def _one_of(words: Sequence[str]) -> Callable[[str], object]:
    def read(text: str) -> object:
        if text not in words:
            raise _Wrong(f"{text!r} is not {' or '.join(words)}")
        return text

    return read


def _symbols(answers: Answers) -> Callable[[str], object]:
    def read(text: str) -> object:
        names = tuple(dict.fromkeys(text.replace(",", " ").split()))
        table = {f"strategy.{STRATEGY}": {"kind": "ma_cross", "symbols": names}}
        try:
            config = load(None, overrides=table)
            for name in names if answers.terminal == "simulated" else ():
                spec_for(name, config)
        except ConfigInvalid as invalid:
            raise _Wrong(invalid.problems[0].text) from None
        except UnknownSymbol as unknown:
            raise _Wrong(str(unknown)) from None
        if not names:
            raise _Wrong("it cannot be left out")
        return names

    return read


def _next_steps(path: Path, answers: Answers) -> list[str]:
    named = "" if answers.account == "simulated" else f" --account {answers.account}"
    is_simulated = answers.terminal == "simulated"
    steps = [
        (f"evenkeel doctor --config {path}", "is everything there?" if is_simulated else "what is missing at the terminal"),
        *([] if is_simulated else [(f"edit {path}", "enabled = true in [trading]")]),
        (f"evenkeel run --config {path}", "the supervisor, until Ctrl-C"),
        (f"evenkeel start{named}", "in another window: trading is on"),
        (f"evenkeel top{named}", "how it does; q ends it"),
    ]
    width = max(len(command) for command, _ in steps)
    return ["", *(f"{command:{width}}  {words}" for command, words in steps)]
