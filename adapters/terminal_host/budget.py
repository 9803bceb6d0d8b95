"""How many trade requests a minute may leave, with a share that only closes and stops may use."""

from collections import deque
from collections.abc import Callable
from typing import Final

_WINDOW_S: Final = 60.0


class Budget:
    """A close is counted, never refused."""

    def __init__(self, per_minute: int, closes_ratio: float, monotonic_s: Callable[[], float]) -> None:
        self._for_opens = max(1, int(per_minute * (1 - closes_ratio)))
        self._monotonic_s = monotonic_s
        self._spent: deque[float] = deque(maxlen=per_minute)

    def spend(self) -> None:
        self._spent.append(self._monotonic_s())

    def allows_open(self) -> bool:
        now_s = self._monotonic_s()
        while self._spent and now_s - self._spent[0] >= _WINDOW_S:
            self._spent.popleft()
        return len(self._spent) < self._for_opens
