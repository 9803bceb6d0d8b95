"""Liveness L2 from outside: what is gravest has arrived in time, or the mode was low by then.

It shares nothing with the notifier: which messages are grave is said here again.
"""

from collections.abc import Callable, Collection
from typing import Final

from evenkeel.messages.broker_gateway import MoneyDisagreed, OrderOutcomeUnknown, WitnessesDisagree
from evenkeel.messages.circuit_breaker import BreakerChanged, BreakerLevel
from evenkeel.messages.health import HealthAlarmed
from evenkeel.messages.operator import Mode, ModeChanged
from evenkeel.messages.protection import PositionUnprotected, SymbolTakenOver
from evenkeel.messages.storage import StorageStrained
from evenkeel.messages.system import ChildDown, ChildServing, Message, MessageParked, RunStarted

WITHIN_MS: Final = 5_000
NOTIFIER: Final = "notifier"
PERSON: Final = "person"


class Alerts:
    """`waiting` are the numbers of grave records that nobody outside has heard of, with until when somebody must.

    `see` judges. While the notifier is down for good nothing is demanded but that nothing is opened, which the witness sees.
    """

    def __init__(self, see: Callable[[bool, str], None]) -> None:
        self.is_down = False
        self._see = see
        self._durable_seq = 0
        self._waiting: dict[int, tuple[int, str]] = {}
        self._early: set[int] = set()
        self._mode, self._low_since_utc_ms, self._was_low_until_utc_ms = Mode.CLOSE_ONLY, 0, 0

    def durable(self, seq: int, message: Message, at_utc_ms: int) -> None:
        """`message` is in the journal for good; it was said at `at_utc_ms`."""
        self._durable_seq = seq
        match message:
            case ChildDown(child=child) if child == NOTIFIER:
                self.is_down = True
            case ChildServing(child=child) if child == NOTIFIER:
                self.is_down = False
            case _:
                pass
        is_there = seq in self._early
        self._early.discard(seq)
        if self._is_grave(message):
            if is_there:
                self._see(True, "")
            else:
                self._waiting[seq] = at_utc_ms + WITHIN_MS, type(message).__name__
        if isinstance(message, ModeChanged):
            self._has_mode(message.mode, at_utc_ms)

    def arrived(self, seqs: Collection[int]) -> None:
        """A notice is there that tells of these records; 0 is one that was found by a restart."""
        for seq in seqs:
            known = next(iter(self._waiting), 0) if seq == 0 else seq
            if self._waiting.pop(known, None) is not None:
                self._see(True, "")
            elif known > self._durable_seq:
                self._early.add(known)

    def look(self, now_utc_ms: int) -> None:
        """Whose time is over."""
        for seq, (until_utc_ms, kind) in list(self._waiting.items()):
            if now_utc_ms > until_utc_ms:
                del self._waiting[seq]
                is_low = self.is_down or self._was_low_at(until_utc_ms)
                self._see(is_low, f"nobody outside has heard of record {seq}, {kind}, and the mode is {self._mode.value}")

    def lapse(self, until_utc_ms: int) -> None:
        """Nobody is there who could tell anything: time begins anew then."""
        self._waiting = {seq: (until_utc_ms + WITHIN_MS, kind) for seq, (_, kind) in self._waiting.items()}

    def died(self, born_utc_ms: int) -> None:
        """What was not durable never was."""
        self._early.clear()
        self.is_down = False
        self.lapse(born_utc_ms)

    def go_back(self, upto_seq: int, mode: Mode) -> None:
        """The journal lost its newest records."""
        self._waiting.clear()
        self._durable_seq, self._mode = upto_seq, mode

    def _has_mode(self, mode: Mode, at_utc_ms: int) -> None:
        if self._mode is Mode.RUN and mode is not Mode.RUN:
            self._low_since_utc_ms = at_utc_ms
        elif self._mode is not Mode.RUN and mode is Mode.RUN:
            self._was_low_until_utc_ms = at_utc_ms
        self._mode = mode

    def _was_low_at(self, utc_ms: int) -> bool:
        """As far back as the last change: looks are seconds apart, and nobody raises the mode as soon as it has dropped."""
        if self._mode is Mode.RUN:
            return self._low_since_utc_ms <= utc_ms <= self._was_low_until_utc_ms
        return self._low_since_utc_ms <= utc_ms

    def _is_grave(self, message: Message) -> bool:
        match message:
            case OrderOutcomeUnknown() | PositionUnprotected() | SymbolTakenOver() | WitnessesDisagree() | MoneyDisagreed():
                return True
            case MessageParked() | RunStarted(crashed=True) | StorageStrained(stops_entries=True) | HealthAlarmed(severity=1):
                return True
            case BreakerChanged(level=BreakerLevel.BLACK) | ModeChanged(reason="kill"):
                return True
            case ModeChanged(mode=mode, by=by):
                return self._mode is Mode.RUN and mode is not Mode.RUN and by not in (PERSON, NOTIFIER)
            case _:
                return False
