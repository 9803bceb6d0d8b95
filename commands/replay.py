"""`evenkeel replay`: a recorded run is decided again by the present code; what it decides otherwise is shown.

Only reads, so it works while the supervisor runs, and on a copy of the account's folder.
"""

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

from evenkeel.adapters.lmdb_files import DayFiles
from evenkeel.adapters.os import StateError, state_root
from evenkeel.adapters.state_folder import StateFolder
from evenkeel.commands import exit_codes
from evenkeel.commands.flags import add_set_flag, count
from evenkeel.commands.recorded_runs import NotRecorded, RecordedRun, RecordedRuns, first_needed, runs_of, states_before
from evenkeel.commands.why import by_name, text_of
from evenkeel.commands.why.records import record_at, said_of
from evenkeel.config.load import ConfigInvalid, load
from evenkeel.config.schema import Config
from evenkeel.messages.codec import decode
from evenkeel.rules.instants import utc_text
from evenkeel.rules.view_state import ViewState
from evenkeel.runtime.journal import JournalError
from evenkeel.runtime.redecide import Difference, Redecision, Tally
from evenkeel.runtime.shell import ChildSpec
from evenkeel.supervisor import CODEC

SHOWN: Final = 50


class Side(msgspec.Struct, frozen=True):
    """One of the two answers. `seq` is null for what is said now."""

    seq: int | None
    kind: str
    text: str
    message: dict[str, Any]


class ShownDifference(msgspec.Struct, frozen=True):
    """`recorded` null: nothing was said then; `now` null: nothing is said now, or `error` is the crash.

    `is_first`: the first of this actor; later ones may follow from it.
    """

    child: str
    input_seq: int
    time_utc_ms: int
    input_kind: str
    input_text: str
    index: int
    recorded: Side | None
    now: Side | None
    error: str
    is_first: bool


class RunRow(msgspec.Struct, frozen=True):
    """`crashed`: it began after a crash; `continued`: with the build and the configuration of the run before."""

    number: int
    from_seq: int
    to_seq: int
    from_utc_ms: int
    build: str
    crashed: bool
    continued: bool


class RunList(msgspec.Struct, frozen=True):
    """What `--list --json` prints."""

    runs: list[RunRow]
    v: int = 1


class ReplayReport(msgspec.Struct, frozen=True):
    """What `--json` prints. `by_actor` has every actor that heard something; `left_out` are not in `differences`."""

    run: int
    from_seq: int
    to_seq: int
    recorded_build: str
    inputs: int
    equal: int
    differing: int
    unanswered: int
    by_actor: dict[str, Tally]
    differences: list[ShownDifference]
    left_out: int
    is_other_configuration: bool
    v: int = 1


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = "Ends with 0 when everything is decided as recorded, with 9 when something is not."
    where = parser.add_mutually_exclusive_group()
    where.add_argument(
        "--segment", type=count, metavar="N", help="the run to decide again, as --list numbers them (default: the last)"
    )
    where.add_argument(
        "--from", dest="from_seq", type=count, metavar="SEQ", help="from this record on, to the end of the journal"
    )
    where.add_argument("--list", action="store_true", help="name the runs of the journal and end")
    parser.add_argument("--config", type=Path, metavar="FILE", help="decide with this configuration, not with the recorded one")
    add_set_flag(parser)
    parser.add_argument("--account", default="simulated", help="the account's name (default: %(default)s)")
    parser.add_argument(
        "--folder", type=Path, metavar="DIR", help="a copy of the journal's folder, in place of the account's own"
    )
    parser.add_argument(
        "--show", type=count, default=SHOWN, metavar="N", help="so many differences at most (default: %(default)s)"
    )
    parser.add_argument("--json", action="store_true", help="one JSON object")


def run(arguments: argparse.Namespace) -> int:
    """0 everything as recorded, 9 something differs, 1 the journal cannot be read or does not hold it, 6 wrong --config."""
    try:
        config = load(arguments.config, flags=arguments.flags) if arguments.config or arguments.flags else None
        folder = arguments.folder or StateFolder(state_root(), arguments.account).journal
        if arguments.folder is not None and not folder.is_dir():
            print(f"replay: --folder {folder}: there is no such folder", file=sys.stderr)
            return exit_codes.USAGE
        with DayFiles(folder) as files:
            runs = runs_of(files)
            if arguments.list:
                print(_json_of(runs) if arguments.json else "\n".join(map(_run_line, runs.runs)))
                return exit_codes.OK
            report = decided_again(files, runs, arguments.segment, arguments.from_seq, config, shown_max=arguments.show)
    except ConfigInvalid as error:
        print(error, file=sys.stderr)
        return exit_codes.CONFIG_INVALID
    except StateError as error:
        print(f"replay: {error}", file=sys.stderr)
        return exit_codes.USAGE
    except NotRecorded as error:
        print(f"replay: {error}", file=sys.stderr)
        return exit_codes.FAILED
    except (JournalError, msgspec.DecodeError) as error:
        print(f"replay: the journal cannot be read: {error}", file=sys.stderr)
        return exit_codes.FAILED
    if arguments.json:
        print(msgspec.json.encode(report).decode())
    else:
        print("\n".join(_lines(report)))
    return exit_codes.DIFFERS if report.differing else exit_codes.OK


def decided_again(
    files: DayFiles,
    runs: RecordedRuns,
    segment: int | None,
    from_seq: int | None,
    config: Config | None,
    *,
    shown_max: int = SHOWN,
) -> ReplayReport:
    """A run by its number, or all from a record on. Raises NotRecorded, JournalError, or msgspec's for an unknown message."""
    chosen = _chosen(runs, segment, from_seq)
    compare_from_seq, to_seq = (chosen.from_seq, chosen.to_seq) if from_seq is None else (from_seq, runs.runs[-1].to_seq)
    specs = chosen.actors(chosen.config(config))
    states = states_before(files, compare_from_seq, specs)
    first_seq = first_needed(files, [spec.name for spec in specs], states)
    other = config if chosen.settings else None

    def remade(recorded: Sequence[ChildSpec]) -> Sequence[ChildSpec]:
        return recorded if other is None else chosen.actors(other)

    again = Redecision(
        CODEC,
        snapshots=states,
        parked=runs.parked,
        compare_from_seq=compare_from_seq,
        remade=None if other is None else remade,
    )
    again.begin(runs.at(first_seq).actors(runs.at(first_seq).config(config)))
    shown: list[Difference] = []
    for difference in _differences(files, runs, again, first_seq, to_seq, config):
        if len(shown) < shown_max:
            shown.append(difference)
    heard = {name: tally for name, tally in again.tallies.items() if tally.inputs or tally.differing}
    differing = sum(tally.differing for tally in heard.values())
    return ReplayReport(
        run=chosen.number,
        from_seq=compare_from_seq,
        to_seq=to_seq,
        recorded_build=chosen.started.build,
        inputs=sum(tally.inputs for tally in heard.values()),
        equal=sum(tally.equal for tally in heard.values()),
        differing=differing,
        unanswered=sum(tally.unanswered for tally in heard.values()),
        by_actor=heard,
        differences=_shown(files, shown, to_seq),
        left_out=differing - len(shown),
        is_other_configuration=other is not None,
    )


def _chosen(runs: RecordedRuns, segment: int | None, from_seq: int | None) -> RecordedRun:
    if not runs.runs:
        raise NotRecorded("the journal holds no run")
    if from_seq is not None:
        if from_seq > runs.runs[-1].to_seq:
            raise NotRecorded(f"the journal ends with record {runs.runs[-1].to_seq}")
        return runs.at(from_seq)
    if segment is None:
        return runs.runs[-1]
    if not 1 <= segment <= len(runs.runs):
        raise NotRecorded(f"there is no run {segment}: the journal holds {len(runs.runs)}")
    return runs.runs[segment - 1]


def _differences(
    files: DayFiles, runs: RecordedRuns, again: Redecision, first_seq: int, to_seq: int, config: Config | None
) -> Iterator[Difference]:
    starts = {run.from_seq: run for run in runs.runs}
    for record in files.records(first_seq, to_seq):
        if record.seq in starts:
            run = starts[record.seq]
            again.begin(run.actors(run.config(config)))
        yield from again.feed(record)
    yield from again.end()


def _shown(files: DayFiles, differences: Sequence[Difference], to_seq: int) -> list[ShownDifference]:
    known = ViewState()
    if differences:
        for _ in said_of(files, (), to_seq=to_seq, known=known):
            pass  # terms and account, for the words
    in_order = sorted(differences, key=lambda difference: (difference.input_seq, difference.child, difference.nth))
    return [_as_shown(files, difference, known) for difference in in_order]


def _as_shown(files: DayFiles, difference: Difference, known: ViewState) -> ShownDifference:
    heard = record_at(files, difference.input_seq)
    assert heard is not None, "what an actor heard is in the journal"
    return ShownDifference(
        child=difference.child,
        input_seq=difference.input_seq,
        time_utc_ms=heard.record.time_utc_ms,
        input_kind=type(heard.message).__name__,
        input_text=text_of(heard.message, known),
        index=difference.nth,
        recorded=_side(difference.recorded_seq, difference.recorded, known),
        now=_side(None, difference.said, known),
        error=difference.error,
        is_first=difference.is_first,
    )


def _side(seq: int | None, body: bytes | None, known: ViewState) -> Side | None:
    if body is None:
        return None
    message = decode(body)
    return Side(seq, type(message).__name__, text_of(message, known), by_name(message))


def _lines(report: ReplayReport) -> list[str]:
    lines: list[str] = []
    for one in report.differences:
        later = "" if one.is_first or report.is_other_configuration else "  (may follow from an earlier one)"
        lines.append(f"{f'#{one.input_seq}':>8}  {utc_text(one.time_utc_ms)}  {one.child} heard: {one.input_text}{later}")
        lines.append(f"{'':8}  recorded: {_said_line(one.recorded)}")
        lines.append(f"{'':8}  now:      {_said_line(one.now) if not one.error else f'crashes: {one.error}'}")
        if one.recorded and one.now and one.recorded.text == one.now.text:
            lines.append(f"{'':8}  in:       {', '.join(_fields_that_differ(one.recorded.message, one.now.message))}")
    if report.left_out:
        lines.append(f"{'':8}  … and {report.left_out} more")
    for name, tally in report.by_actor.items():
        lines.append(f"{name:<20} {tally.inputs:>8} heard {tally.equal:>8} equal {tally.differing:>6} differ")
    what = f"run {report.run}, records {report.from_seq} to {report.to_seq}, build {report.recorded_build}"
    lines.append(
        f"{what}: {report.inputs} inputs,"
        f" {report.equal + report.differing} decisions compared, {report.equal} equal, {report.differing} differ"
        + (f"; {report.unanswered} were in hand when the record ends" if report.unanswered else "")
    )
    return lines


def _said_line(side: Side | None) -> str:
    if side is None:
        return "nothing"
    return f"#{side.seq} {side.text}" if side.seq else side.text


def _fields_that_differ(one: dict[str, Any], other: dict[str, Any]) -> list[str]:
    return [f"{name} {one.get(name)} and {other[name]}" for name in other if one.get(name) != other[name]]


def _json_of(runs: RecordedRuns) -> str:
    rows = [
        RunRow(
            one.number, one.from_seq, one.to_seq, one.from_utc_ms, one.started.build, one.started.crashed, one.started.continued
        )
        for one in runs.runs
    ]
    return msgspec.json.encode(RunList(rows)).decode()


def _run_line(run: RecordedRun) -> str:
    how = "after a crash" if run.started.crashed else "in order"
    goes_on = "going on" if run.started.continued else "anew"
    configured = "" if run.settings else ", no configuration recorded"
    records = f"#{run.from_seq} to #{run.to_seq}"
    return f"{run.number:>4}  {utc_text(run.from_utc_ms)}  {records}, build {run.started.build}, {goes_on} {how}{configured}"
