"""The last gate before the broker: checks of its own that nothing upstream can talk it out of. Closes are never asked.

1. The kill epoch, read from where `evenkeel kill` writes it, and the mode word. 2. An intent number that was never admitted
before, for whatever resource, and above the last one for its own. 3. One unresolved open per resource, which is (symbol, slot).

The same code stands before the simulated terminal of a replay and in the terminal host, there with a file behind it.
"""

import threading
from pathlib import Path
from typing import Final

import msgspec

from evenkeel.adapters.os import write_durably
from evenkeel.messages.broker_gateway import CallTerminal, OpenRequest
from evenkeel.messages.entry import DenialReason
from evenkeel.messages.operator import Mode

Resource = tuple[str, int]
NUMBERS_KEPT: Final = 512
"""Single numbers that are remembered; of those before, every one counts as used. A supervisor that lost its newest records
counts from further back, and must find each number of then taken, whatever it asks for now."""


class GateDamaged(Exception):
    """The file is not what a gate writes: nobody knows what was admitted. A person looks at the account, then removes it."""


class Gate:
    """Shared by the terminal edge, whose thread asks, and the control edge, whose thread may shut it ahead of any queue."""

    def __init__(self) -> None:
        self.mode = Mode.CLOSE_ONLY
        self._lock = threading.RLock()
        self._shut_by: set[str] = set()
        self._admitted: dict[Resource, int] = {}
        self._used_upto = 0
        self._used: set[int] = set()
        self._unresolved: dict[Resource, int] = {}

    @property
    def unresolved(self) -> frozenset[int]:
        """Intents that left and whose answer was not definite."""
        with self._lock:
            return frozenset(self._unresolved.values())

    def shut(self, command_id: str) -> None:
        """No open passes until the command has been answered, by which time `mode` says what it came to."""
        self._shut_by.add(command_id)

    def answered(self, command_id: str) -> bool:
        """The command's end was heard; true when it had shut the gate."""
        had_shut = command_id in self._shut_by
        self._shut_by.discard(command_id)
        return had_shut

    def refusal(self, call: CallTerminal, request: OpenRequest, kill_epoch: int) -> DenialReason | None:
        """Why this open must not be sent; None: it may, once. `kill_epoch` is the one on disk now."""
        resource = (request.symbol, request.slot)
        if kill_epoch > call.epoch:
            return DenialReason.EPOCH
        if self.mode is not Mode.RUN or self._shut_by:
            return DenialReason.MODE
        number = call.intent_id
        if number <= self._used_upto or number in self._used or number <= self._admitted.get(resource, 0):
            return DenialReason.REPEATED
        if resource in self._unresolved:
            return DenialReason.SLOT_LOCKED
        return None

    def admit(self, call: CallTerminal, request: OpenRequest) -> None:
        """The call is about to leave: from now on its number is used and its resource taken."""
        resource = (request.symbol, request.slot)
        with self._lock:
            self._admitted[resource] = max(call.intent_id, self._admitted.get(resource, 0))
            self._used.add(call.intent_id)
            if len(self._used) > NUMBERS_KEPT:
                self._used_upto = sorted(self._used)[len(self._used) // 2]
                self._used = {number for number in self._used if number > self._used_upto}
            self._unresolved[resource] = call.intent_id

    def resolve(self, intent_id: int) -> None:
        """The answer was definite, or the broker's records have settled the question."""
        with self._lock:
            self._unresolved = {resource: held for resource, held in self._unresolved.items() if held != intent_id}


class _Row(msgspec.Struct, array_like=True):
    symbol: str
    slot: int
    last_intent_id: int
    unresolved_intent_id: int = 0


class _Kept(msgspec.Struct):
    rows: list[_Row]
    used: list[int]
    used_upto: int


class DurableGate(Gate):
    """A gate that survives its own process: what it admits is on disk before the call leaves.

    Raises GateDamaged when the file cannot be read, OSError when it cannot be written: then nothing may leave.
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path
        kept = _read(path)
        self._used_upto, self._used = kept.used_upto, set(kept.used)
        for row in kept.rows:
            self._admitted[row.symbol, row.slot] = row.last_intent_id
            if row.unresolved_intent_id:
                self._unresolved[row.symbol, row.slot] = row.unresolved_intent_id

    def admit(self, call: CallTerminal, request: OpenRequest) -> None:
        with self._lock:
            super().admit(call, request)
            self._write()

    def resolve(self, intent_id: int) -> None:
        with self._lock:
            if intent_id in self._unresolved.values():
                super().resolve(intent_id)
                self._write()

    def _write(self) -> None:
        rows = [_Row(*resource, last, self._unresolved.get(resource, 0)) for resource, last in self._admitted.items()]
        write_durably(self._path, msgspec.json.encode(_Kept(rows, sorted(self._used), self._used_upto)))


def _read(path: Path) -> _Kept:
    """A bare list of rows is what a gate wrote before 0.4: every number up to the last one counts as used."""
    try:
        found = msgspec.json.decode(path.read_bytes(), type=_Kept | list[_Row])
    except FileNotFoundError:
        return _Kept([], [], 0)
    except (OSError, ValueError) as error:
        raise GateDamaged(f"{path}: {error}") from error
    if isinstance(found, _Kept):
        return found
    return _Kept(found, [], max((row.last_intent_id for row in found), default=0))
