"""Reading the configuration of a run again while it goes on: what may come into force at once, and what a new segment takes."""

import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from loguru import logger

from evenkeel.adapters import control_channel as channel
from evenkeel.commands.segment import note_lowering
from evenkeel.config.load import ConfigInvalid
from evenkeel.config.schema import Config
from evenkeel.messages.operator import LimitsLowered, SegmentAsked
from evenkeel.messages.system import Message
from evenkeel.rules.lineage import plugins
from evenkeel.rules.reload import Answer, Change, Kind, Outcome, answer, changes, lowered, lowering

CHANGES_SAID_CHARACTERS = 300
"""Of the keys of a segment, in the journal."""


class Again(NamedTuple):
    """Where a run's configuration comes from. `read` raises ConfigInvalid; `unfit` is what stands against one before a segment
    begins with it, a line each; `symbols` are those that it trades."""

    read: Callable[[], Config]
    unfit: Callable[[Config], Sequence[str]]
    symbols: Callable[[Config], Sequence[str]]


class Next(NamedTuple):
    """The segment that a person asked for. `raised` are the keys by which more may be risked."""

    config: Config
    command_id: str
    by: str
    raised: str


class Reloaded(NamedTuple):
    """How a segment came to be. `refused`: why another one did not, whose place it takes."""

    command_id: str
    raised: str = ""
    refused: str = ""


class Reloading:
    """`opened_with` is what the actors are made of, `lowering` what is in force beside it. `adapted` is what the outside makes
    of a configuration. `say` publishes; `child` gives a child to look at; `begin` is told of the segment to come."""

    def __init__(
        self,
        again: Again | None,
        *,
        opened_with: Config,
        lowering: str,
        adapted: Callable[[Config], Config],
        segment_file: Path,
        say: Callable[[Sequence[Message]], None],
        child: Callable[[str], Any],
        begin: Callable[[Next], None],
    ) -> None:
        self.lowering = lowering
        self._again, self._opened_with, self._adapted = again, opened_with, adapted
        self._segment_file, self._say, self._child, self._begin = segment_file, say, child, begin
        self._lock = threading.Lock()
        self._has_begun = False

    def reload(self, asked: channel.Reload) -> Answer:
        """From any thread; one after the other. Nothing changes unless the answer says so."""
        if self._again is None:
            return answer(Outcome.REFUSED, problems=["this run has no configuration of its own to read again"])
        with self._lock:
            if self._has_begun:
                return answer(Outcome.REFUSED, problems=["another segment is about to begin"])
            try:
                wanted = self._again.read()
            except ConfigInvalid as invalid:
                return answer(Outcome.INVALID, problems=[str(problem) for problem in invalid.problems])
            return self._judged(self._again, asked, wanted)

    def _judged(self, again: Again, asked: channel.Reload, wanted: Config) -> Answer:
        in_force, adapted = lowered(self._opened_with, self.lowering), self._adapted(wanted)
        found = changes(in_force, adapted)
        kinds = {change.kind for change in found}
        if asked.dry_run or not found:
            against = self._against(again, wanted, found) if kinds & {Kind.SEGMENT, Kind.RAISE, Kind.NEVER} else []
            return answer(Outcome.LOOKED if found else Outcome.NOTHING, found, against)
        if not asked.segment or kinds == {Kind.FREE}:
            self._lower(asked, lowering(self._opened_with, lowered(in_force, lowering(in_force, adapted))))
            return answer(Outcome.LOWERED if kinds == {Kind.FREE} else Outcome.LEFT, found)
        if against := self._against(again, wanted, found):
            return answer(Outcome.REFUSED, found, against)
        raised = ", ".join(change.key for change in found if change.kind is Kind.RAISE)
        keys = ", ".join(change.key for change in found)
        self._say([SegmentAsked(asked.command_id, asked.by, keys[:CHANGES_SAID_CHARACTERS])])
        self._has_begun = True
        self._begin(Next(wanted, asked.command_id, asked.by, raised[:CHANGES_SAID_CHARACTERS]))
        return answer(Outcome.SEGMENT, found)

    def _lower(self, asked: channel.Reload, lowering: str) -> None:
        if lowering == self.lowering:
            return
        note_lowering(self._segment_file, lowering)
        self.lowering = lowering
        self._say([LimitsLowered(asked.command_id, asked.by, lowering)])

    def _against(self, again: Again, wanted: Config, found: Sequence[Change]) -> list[str]:
        """Why no segment may begin with `wanted` now."""
        never = [f"{change.key}: {change.why}" for change in found if change.kind is Kind.NEVER]
        return never or [*self._left_alone(again, wanted), *again.unfit(wanted)]

    def _left_alone(self, again: Again, wanted: Config) -> list[str]:
        """What is open, and would have nobody in the next segment."""
        operator, before = self._child("operator"), self._opened_with
        symbols, strategies = dict(operator.state.symbols), dict(operator.state.strategies)
        lines = [
            f"position {ticket} in {symbol} is open, and {symbol} would not be traded any more: close it first"
            for ticket, symbol in symbols.items()
            if symbol not in again.symbols(wanted)
        ]
        chained = self._with_chains()
        for name in plugins(before):
            after = wanted.strategy.get(name)
            if after is not None and after.chain_type != before.strategy[name].chain_type:
                lines.append(f"strategy.{name}.chain_type: the store of its chains was made for another type")
            is_busy = name in chained or name in strategies.values()
            if is_busy and (after is None or after.orders != before.strategy[name].orders):
                lines.append(f"strategy.{name}: a chain of it is not over: wait, or end it with evenkeel chains")
        return lines

    def _with_chains(self) -> set[str]:
        recovery, booking = self._child("recovery"), self._child("profit_booking")
        sagas = [] if recovery is None else list(recovery.state.sagas.values())
        bookings = [] if booking is None else list(booking.state.bookings.values())
        return {saga.chain.plugin for saga in sagas} | {one.pyramid.plugin for one in bookings}


def log_left(told: Answer) -> None:
    """Of a reload that nobody waits for."""
    for problem in told.problems:
        logger.error("the configuration is not reloaded: {}", problem)
    left = [change.key for change in told.changes if change.kind is not Kind.FREE]
    done: Mapping[Outcome, str] = {Outcome.LOWERED: "in force", Outcome.LEFT: "what was lowered is in force"}
    if told.outcome in done:
        logger.info("the configuration was read again: {}", done[told.outcome])
    if left:
        logger.warning("left as before, for evenkeel reload --segment or a start: {}", ", ".join(left))
