"""`evenkeel signal --file FILE`: signals of another program, one JSON object a line, each raised at most once.

A file is read whole first: where one line is wrong, nothing is raised. Standard input is taken line by line as it comes.
"""

import argparse
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final

import msgspec

from evenkeel.adapters.control_channel import Name
from evenkeel.adapters.os import StateError, private_folder, state_root
from evenkeel.adapters.signal_ids import FILE_NAME, IdsUnusable, SignalIds
from evenkeel.adapters.state_folder import StateFolder
from evenkeel.commands import exit_codes
from evenkeel.rules.outside_signals import NoSignal, OutsideSignal, Terms, signal_in
from evenkeel.runtime.clock import SystemClock

if TYPE_CHECKING:
    from evenkeel.adapters.signal_intake import Intake

LINE_BYTES_MAX: Final = 4 * 1024
FILE_BYTES_MAX: Final = 1024 * 1024
AGE_S: Final = 60.0
AGE_S_MAX: Final = 3600.0
STDIN: Final = "-"
EXPLANATION: Final = """\
With --file each line is one signal:

  {"id": "a-1", "time": "2026-11-20T09:30:00Z",
   "symbol": "EURUSD", "direction": "buy"}

on one line, and where wanted "strategy", "confidence"
and "position" (long, short or flat: what the sender
holds after it). Each needs an id of its own: one that
was raised is not raised again, by this command or by
evenkeel webhooks. time is when it was sent.
"""
_STATUS: Final = (  # the gravest counts
    ("unknown", exit_codes.OUTCOME_UNKNOWN),
    ("not_running", exit_codes.NOT_RUNNING),
    ("refused", exit_codes.REFUSED),
    ("conflict", exit_codes.REFUSED),
    ("wrong", exit_codes.USAGE),
)


class FileSignal(OutsideSignal, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A line, by our own name of the symbol."""

    symbol: Name


class LineOutcome(msgspec.Struct, frozen=True):
    """What `--json` prints of each line. `end` is that of the intake's Answer, or "wrong": no signal, or not one alone."""

    line: int
    id: str
    end: str
    detail: str
    repeated: bool = False
    v: int = 1


class LinesSummary(msgspec.Struct, frozen=True):
    """What `--json` prints last: how many lines came to which end."""

    ends: dict[str, int]
    v: int = 1


class Line(msgspec.Struct, frozen=True):
    """`signal` None: `wrong` says why it is none."""

    number: int
    signal: FileSignal | None
    wrong: str = ""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--file", metavar="FILE", help="signals, one JSON object a line; - reads standard input")
    parser.add_argument(
        "--age", dest="age_s", type=_age, default=AGE_S, metavar="SECONDS", help="of --file: how old one may be (default: 60)"
    )


def run(arguments: argparse.Namespace) -> int:
    """0 all raised, 4 some refused, 2 a line is wrong, 5 of some nobody knows, 3 no supervisor runs."""
    try:
        folder = StateFolder(state_root(), arguments.account)
        lines = _lines(sys.stdin.buffer) if arguments.file == STDIN else _checked(Path(arguments.file))
        if not folder.folder.is_dir():
            print(f"signal: no account {arguments.account!r} here: {folder.folder} does not exist", file=sys.stderr)
            return exit_codes.NOT_RUNNING
        ids = SignalIds(private_folder(folder.signals) / FILE_NAME)
    except (StateError, _NotRead) as error:
        print(f"signal: {error}", file=sys.stderr)
        return exit_codes.USAGE
    except (IdsUnusable, OSError) as error:
        print(f"signal: nothing was raised: {error}", file=sys.stderr)
        return exit_codes.FAILED
    from evenkeel.adapters.signal_intake import Intake, supervisor_at  # brings the log along, which one signal does not need

    intake = Intake("file", ids, supervisor_at(folder.endpoint), SystemClock().now_utc_ms)
    ends: dict[str, int] = {}
    try:
        for outcome in _outcomes(lines, intake, Terms(round(arguments.age_s * 1000))):
            ends[outcome.end] = ends.get(outcome.end, 0) + 1
            _show(outcome, as_json=arguments.json)
    except IdsUnusable as error:
        print(f"signal: this line and those after it were not raised: {error}", file=sys.stderr)
        return exit_codes.FAILED
    finally:
        ids.close()
        _sum_up(ends, as_json=arguments.json)
    return next((status for end, status in _STATUS if end in ends), exit_codes.OK)


class _NotRead(Exception):
    """One line."""


def _age(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds <= AGE_S_MAX:
        raise argparse.ArgumentTypeError(f"{text!r}: more than 0 and at most {AGE_S_MAX:g} seconds")
    return seconds


def _checked(path: Path) -> Iterable[Line]:
    """Of a whole file; where any line is wrong, only the wrong ones. Raises _NotRead."""
    try:
        if not path.is_file():  # opening a pipe would wait for ever
            raise _NotRead(f"{path} is {'no file; a pipe is read with --file -' if path.exists() else 'not there'}")
        with path.open("rb") as file:
            if len(file.read(FILE_BYTES_MAX + 1)) > FILE_BYTES_MAX:
                raise _NotRead(f"{path} is larger than {FILE_BYTES_MAX // 1024} KiB")
            file.seek(0)
            lines = list(_lines(file))
    except OSError as error:
        raise _NotRead(f"{path} cannot be read: {error.strerror}") from None
    wrong = [line for line in lines if line.signal is None]
    if wrong:
        print("signal: nothing is raised: a file is taken whole, and lines of it are wrong", file=sys.stderr)
    return wrong or lines


def _lines(file: BinaryIO) -> Iterator[Line]:
    """Empty ones are passed over. Of one that is too long the rest is passed over too."""
    number = 0
    while text := file.readline(LINE_BYTES_MAX + 1):
        number += 1
        is_too_long = len(text) > LINE_BYTES_MAX
        while len(text) > LINE_BYTES_MAX and not text.endswith(b"\n"):
            text = file.readline(LINE_BYTES_MAX + 1)
        if is_too_long:
            yield Line(number, None, f"longer than {LINE_BYTES_MAX} bytes")
        elif text.strip():
            yield _line(number, text)


def _line(number: int, text: bytes) -> Line:
    try:
        return Line(number, signal_in(text, FileSignal))
    except NoSignal as error:
        return Line(number, None, str(error))


def _outcomes(lines: Iterable[Line], intake: "Intake", terms: Terms) -> Iterator[LineOutcome]:
    """Raises IdsUnusable."""
    for line in lines:
        if line.signal is None:
            yield LineOutcome(line.number, "", "wrong", line.wrong)
        else:
            answer = intake.take(line.signal, terms)
            yield LineOutcome(line.number, line.signal.id, answer.end, answer.detail, answer.is_repeat)


def _show(outcome: LineOutcome, *, as_json: bool) -> None:
    if as_json:
        print(msgspec.json.encode(outcome).decode(), flush=True)
    else:
        named = f"line {outcome.line}{' ' + outcome.id if outcome.id else ''}"
        again = " before" if outcome.repeated else ""
        print(f"{named}: {outcome.end.replace('_', ' ')}{again}: {outcome.detail}", flush=True)


def _sum_up(ends: dict[str, int], *, as_json: bool) -> None:
    if as_json:
        print(msgspec.json.encode(LinesSummary(ends)).decode())
    else:
        counts = ", ".join(f"{count} {end.replace('_', ' ')}" for end, count in ends.items()) or "no line"
        print(f"signal: {counts}", file=sys.stderr)
