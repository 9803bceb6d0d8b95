"""What a crash means: restart now, restart later, leave it down, or end the process. Pure: time and chance are handed in.

The words are Erlang's (child, intensity, period); back-off with jitter is ours.
"""

from collections import deque
from collections.abc import Iterable
from enum import StrEnum
from typing import Final, NamedTuple

from evenkeel.messages.system import ChildDown, Message, MessageParked
from evenkeel.runtime.shell import ChildSpec, Entry

BACK_OFF_FIRST_S: Final = 0.05
BACK_OFF_MAX_S: Final = 30.0
OWNER_RESTART_GAP_S: Final = 1.0
CRASHES_BEFORE_PARKING: Final = 2
STOOD_STILL_S: Final = 1.0
"""A look this much later than the one before it means that the whole process stood still: a suspended machine, SIGSTOP."""


class Remedy(StrEnum):
    RESTART = "restart"
    LEAVE_DOWN = "leave_down"
    ESCALATE = "escalate"


class Ruling(NamedTuple):
    remedy: Remedy
    delay_s: float
    crashes: int


class Supervision:
    def __init__(self, specs: Iterable[ChildSpec]) -> None:
        self._specs = {spec.name: spec for spec in specs}
        self._crashes_s: dict[str, deque[float]] = {name: deque() for name in self._specs}
        self._restarted_s: dict[str, float] = {}

    def ruling(self, name: str, now_s: float, chance: float) -> Ruling:
        """Count a crash at `now_s` (monotonic) and rule on it. `chance` in 0..1 spreads the back-off."""
        spec = self._specs[name]
        crashes = self._crashes_s[name]
        crashes.append(now_s)
        while crashes[0] < now_s - spec.period_s:
            crashes.popleft()
        if spec.owns_positions:
            delay_s = max(0.0, self._restarted_s.get(name, -OWNER_RESTART_GAP_S) + OWNER_RESTART_GAP_S - now_s)
            self._restarted_s[name] = now_s + delay_s
        elif len(crashes) > spec.intensity:
            return Ruling(Remedy.ESCALATE if spec.essential else Remedy.LEAVE_DOWN, 0.0, len(crashes))
        else:
            delay_s = min(BACK_OFF_MAX_S, BACK_OFF_FIRST_S * 2 ** (len(crashes) - 1)) * (0.5 + 0.5 * chance)
        return Ruling(Remedy.RESTART, delay_s, len(crashes))


class Vigil:
    """Since when the process has been awake without a break: nobody is late for the time in which nobody could run."""

    def __init__(self, now_s: float) -> None:
        self.awake_since_s = self._looked_s = now_s

    def look(self, now_s: float) -> None:
        """Note that somebody could look at `now_s` (monotonic)."""
        if now_s - self._looked_s > STOOD_STILL_S:
            self.awake_since_s = now_s
        self._looked_s = now_s


def is_poison(entry: Entry) -> bool:
    """Count a crash of the message in hand; true when it is to be parked."""
    entry.crashes += 1
    entry.parked = entry.crashes >= CRASHES_BEFORE_PARKING
    return entry.parked


def obituary(down: ChildDown, in_hand: Entry | None) -> list[Message]:
    """Count the crash on the message in hand, and what is said of it: who is down, and which message is parked for it."""
    if in_hand is None or not is_poison(in_hand):
        return [down]
    delivery = in_hand.delivery
    return [down, MessageParked(down.child, delivery.seq, type(delivery.message).__name__, down.error)]
