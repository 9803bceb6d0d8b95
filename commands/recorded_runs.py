"""The runs (segments) of a journal: where each begins, what it was configured with, and the states that lead into it."""

from collections.abc import Collection, Mapping, Sequence
from typing import Final, NamedTuple

from evenkeel.adapters.lmdb_files import DayFiles
from evenkeel.config.load import ConfigInvalid, recorded
from evenkeel.config.schema import Config
from evenkeel.messages import codec
from evenkeel.messages.market import SymbolSpecified
from evenkeel.messages.operator import ModeChanged
from evenkeel.messages.system import MessageParked, RunConfigured, RunStarted
from evenkeel.runtime.fold import readable
from evenkeel.runtime.journal import ChildSnapshot
from evenkeel.runtime.shell import ChildSpec
from evenkeel.supervisor import actors

POSITION: Final = "position/"


class NotRecorded(Exception):
    """One line: what is asked for is not in the journal, or no longer."""


class RecordedRun(NamedTuple):
    """`to_seq` is its last record so far; `settings` "" where an older version recorded none. `symbols` have an actor."""

    number: int
    from_seq: int
    to_seq: int
    from_utc_ms: int
    started: RunStarted
    settings: str
    symbols: tuple[str, ...]

    def config(self, instead: Config | None = None) -> Config:
        """What it was configured with; `instead` where that is not recorded. Raises NotRecorded."""
        if not self.settings:
            if instead is None:
                raise NotRecorded(f"run {self.number} recorded no configuration: say --config FILE")
            return instead
        try:
            return recorded(self.settings)
        except ConfigInvalid as invalid:
            problem = invalid.problems[0]
            raise NotRecorded(f"run {self.number}: this version cannot be configured as it was: {problem}") from None

    def actors(self, config: Config) -> list[ChildSpec]:
        """The symbols in the order of the configuration, as they were when it ran."""
        configured = [symbol for strategy in config.strategy.values() for symbol in strategy.symbols]
        order = dict.fromkeys(symbol for symbol in [*configured, *self.symbols] if symbol in self.symbols)
        return actors(config, tuple(order) or tuple(dict.fromkeys(configured)))


class RecordedRuns(NamedTuple):
    """`parked` are the messages that were set aside: their children never took them in."""

    runs: list[RecordedRun]
    parked: frozenset[tuple[str, int]]

    def at(self, seq: int) -> RecordedRun:
        """The run in which a record stands. Raises NotRecorded."""
        for run in reversed(self.runs):
            if run.from_seq <= seq:
                return run
        raise NotRecorded(f"no run of the journal holds record {seq}")


def runs_of(files: DayFiles) -> RecordedRuns:
    """One pass over the journal. Raises JournalError, or msgspec's for another build's message."""
    runs: list[RecordedRun] = []
    parked: set[tuple[str, int]] = set()
    seq = 0
    for record in files.records(1):
        seq, body = record.seq, bytes(record.body)
        match codec.kind_of(body):
            case RunStarted.__name__:
                started = codec.decode(body)
                assert isinstance(started, RunStarted)
                _end_last(runs, seq - 1)
                runs.append(RecordedRun(len(runs) + 1, seq, seq, record.time_utc_ms, started, "", ()))
            case RunConfigured.__name__ if runs:
                configured = codec.decode(body)
                assert isinstance(configured, RunConfigured)
                runs[-1] = runs[-1]._replace(settings=configured.settings)
            case MessageParked.__name__:
                aside = codec.decode(body)
                assert isinstance(aside, MessageParked)
                parked.add((aside.child, aside.seq))
            case ModeChanged.__name__ | SymbolSpecified.__name__ if runs:
                names = [name.removeprefix(POSITION) for name in record.receivers if name.startswith(POSITION)]
                runs[-1] = runs[-1]._replace(symbols=tuple(dict.fromkeys([*runs[-1].symbols, *names])))
            case _:
                pass
    _end_last(runs, seq)
    return RecordedRuns(runs, frozenset(parked))


def states_before(files: DayFiles, seq: int, specs: Sequence[ChildSpec]) -> dict[str, ChildSnapshot]:
    """The newest state of each child that was written down before `seq`, where this build can take it back.

    The file of each day holds the newest one of that day, so yesterday's are looked at too.
    """
    found: dict[str, ChildSnapshot] = {}
    days = files.days()
    first = files.days_from(seq)[0] if days else ""
    for day in reversed(days[: days.index(first) + 1] if days else []):
        new = {name: one for name, one in files.file(day).snapshots().items() if one.upto_seq < seq and name not in found}
        found |= readable(new, specs)
        if all(spec.name in found for spec in specs):
            break
    return found


def first_needed(files: DayFiles, names: Collection[str], states: Mapping[str, ChildSnapshot]) -> int:
    """The record from which on all of `names` are folded. Raises NotRecorded when the journal begins later."""
    from_seq = min((states[name].upto_seq if name in states else 0 for name in names), default=0) + 1
    days = files.days()
    if days and (begins := files.file(days[0]).previous.seq + 1) > from_seq:
        raise NotRecorded(f"the journal begins with record {begins}, and what was before is needed: take a later run")
    return from_seq


def _end_last(runs: list[RecordedRun], to_seq: int) -> None:
    if runs:
        runs[-1] = runs[-1]._replace(to_seq=to_seq)
