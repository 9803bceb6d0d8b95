"""The clock edge: what must happen at an instant of the run's clock."""

import heapq
from collections.abc import Sequence
from typing import Final

import msgspec

from evenkeel.messages.system import CancelTimer, Message, SetTimer, TimerDue
from evenkeel.runtime.clock import Clock
from evenkeel.runtime.edge import At

LOOK_EVERY_S: Final = 0.005
HEAP_SLACK: Final = 64


class TimersState(msgspec.Struct):
    """`due_utc_ms` by "owner\\nname"."""

    due_utc_ms: dict[str, int] = {}


class Timers:
    """Edge. One-shot timers by owner and name; those of one instant fire in the order of owner and name."""

    def __init__(self, clock: Clock) -> None:
        self.state = TimersState()
        self._clock = clock
        self._heap: list[tuple[int, str]] | None = None

    @property
    def poll_s(self) -> float | None:
        return LOOK_EVERY_S if self.state.due_utc_ms else None

    def remember(self, message: SetTimer | CancelTimer | TimerDue, /) -> None:
        key = f"{message.owner}\n{message.name}"
        if isinstance(message, SetTimer):
            self.state.due_utc_ms[key] = message.due_utc_ms
            if self._heap is not None:
                heapq.heappush(self._heap, (message.due_utc_ms, key))
        elif isinstance(message, CancelTimer) or self.state.due_utc_ms.get(key) == message.due_utc_ms:
            self.state.due_utc_ms.pop(key, None)

    def act(self, message: Message, at: At, /) -> Sequence[Message]:
        return ()

    def resume(self, now_utc_ms: int, /) -> Sequence[Message]:
        """Timers that came while nobody looked fire at the next poll."""
        return ()

    def poll(self, now_utc_ms: int, /) -> Sequence[Message]:
        return self.due(now_utc_ms)

    def close(self) -> None:
        """Holds nothing of the world."""

    def next_due_utc_ms(self) -> int | None:
        heap = self._live_heap()
        return heap[0][0] if heap else None

    def due(self, now_utc_ms: int) -> list[TimerDue]:
        """Every timer due at or before `now_utc_ms`, the earliest first. They stay until they were said."""
        due = sorted((at, key) for at, key in self._live_heap() if at <= now_utc_ms and self.state.due_utc_ms.get(key) == at)
        return [TimerDue(*_owner_and_name(key), at) for at, key in dict.fromkeys(due)]

    def _live_heap(self) -> list[tuple[int, str]]:
        """The heap without timers that were cancelled, moved or have fired; made from the state when they are many."""
        if self._heap is None or len(self._heap) > 2 * len(self.state.due_utc_ms) + HEAP_SLACK:
            self._heap = [(at, key) for key, at in self.state.due_utc_ms.items()]
            heapq.heapify(self._heap)
        while self._heap and self.state.due_utc_ms.get(self._heap[0][1]) != self._heap[0][0]:
            heapq.heappop(self._heap)
        return self._heap


def _owner_and_name(key: str) -> tuple[str, str]:
    owner, _, name = key.partition("\n")
    return owner, name
