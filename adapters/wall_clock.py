"""The wall-clock edge: holds new risk while the wall clock and the run's steady one disagree, and after a standstill."""

from collections.abc import Sequence
from typing import Final

import msgspec
from loguru import logger

from evenkeel.messages.operator import HoldEnded, HoldPlaced, TradingRearmed
from evenkeel.messages.system import Message
from evenkeel.runtime.clock import SteadyClock
from evenkeel.runtime.edge import At

NAME: Final = "wall_clock"
STANDSTILL: Final = "standstill"
LOOK_S: Final = 0.5
JUMP_MS_MAX: Final = 2_000
"""A correction up to here is followed; a greater one is a jump (control C42)."""
STANDSTILL_MS: Final = 5_000
"""Two looks so far apart: the process or the machine was suspended."""
_ACCOUNT: Final = "account"


class WallClockState(msgspec.Struct):
    """`is_held` while the clocks disagree, `is_accepted` from a person's re-arm until they agree again."""

    is_held: bool = False
    is_accepted: bool = False


class WallClock:
    """Says HoldPlaced and HoldEnded on the account; exits are never asked. A jump is not followed: timers keep their pace.

    It ends when the wall clock is back, or when a person rearms. A wall clock that is ahead is followed then; one that is
    behind is not, for prices and timers would stand still until it has caught up: this run keeps its own time. After a
    standstill the hold ends by itself `standstill_hold_ms` later: by then the broker was read and compared.
    """

    poll_s: float | None = LOOK_S

    def __init__(self, clock: SteadyClock, *, standstill_hold_ms: int, standstill_ms: int = STANDSTILL_MS) -> None:
        self.state = WallClockState()
        self._standstill_ms = standstill_ms
        self._clock = clock
        self._standstill_hold_ms = standstill_hold_ms
        self._looked_ns = clock.monotonic_ns()

    def remember(self, message: HoldPlaced | HoldEnded | TradingRearmed, /) -> None:
        state = self.state
        match message:
            case HoldPlaced(who=who):
                state.is_held = state.is_held or who == NAME
            case HoldEnded():
                state.is_held = state.is_accepted = False
            case TradingRearmed():
                state.is_held, state.is_accepted = False, state.is_held or state.is_accepted

    def act(self, message: TradingRearmed, at: At, /) -> Sequence[Message]:
        return ()

    def resume(self, now_utc_ms: int, /) -> Sequence[Message]:
        return self._compared()

    def poll(self, now_utc_ms: int, /) -> Sequence[Message]:
        slept_ms = (self._clock.monotonic_ns() - self._looked_ns) // 1_000_000
        self._looked_ns = self._clock.monotonic_ns()
        said = self._compared()
        if slept_ms > self._standstill_ms:
            reason = f"nothing ran here for {slept_ms / 1000:.1f} s"
            logger.critical("{}: no new risk until the broker was read again", reason)
            said.append(HoldPlaced(STANDSTILL, _ACCOUNT, reason, now_utc_ms + self._standstill_hold_ms))
        return said

    def close(self) -> None:
        """Holds nothing of the world."""

    def _compared(self) -> list[Message]:
        clock, state = self._clock, self.state
        ahead_ms = clock.wall_ahead_ms()
        if abs(ahead_ms) <= JUMP_MS_MAX:
            clock.follow()
            return [HoldEnded(NAME, _ACCOUNT)] if state.is_held or state.is_accepted else []
        if state.is_accepted:
            if ahead_ms > 0:
                clock.follow()
            return []
        if state.is_held:
            return []
        reason = f"the wall clock jumped: it is {ahead_ms / 1000:+.1f} s off the pace of real time"
        logger.critical("{}; no new risk until it is back, or until a person sets it right and rearms", reason)
        return [HoldPlaced(NAME, _ACCOUNT, reason, 0)]
