"""The breaker's levels: up at once, down one step a quiet period, and after RED or BLACK in phases (trading_rules 3.7).

YELLOW and ORANGE make new orders smaller. RED opens nothing and brings stops nearer, BLACK closes the scope; both are followed
by the phases frozen, exits only, small, half, and only then all is as before. A price that comes back ends nothing: only time
below a level does, and each phase takes its time from when it is known to begin.
"""

from typing import Final

import msgspec
from msgspec.structs import replace

from evenkeel.config.circuit_breaker import CircuitBreakerConfig
from evenkeel.messages.circuit_breaker import BreakerLevel
from evenkeel.rules.circuit_breaker import LEVELS, Reading, quiet_ms
from evenkeel.rules.sizing import ppm_of_pct

FROZEN: Final = 1
EXITS_ONLY: Final = 2
LAST_PHASE: Final = 4
_ORANGE: Final = LEVELS.index(BreakerLevel.ORANGE)
_RED: Final = LEVELS.index(BreakerLevel.RED)


class Standing(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Where a scope stands. `level_utc_ms` is when the level was last measured, or stepped down to: quiet counts from there.

    `phase` 0 is no restart; `phase_utc_ms` is when it began. `unacknowledged`: BLACK was reached and no person has said
    anything since. `atr_points` is how near stops were asked to come at this level.
    """

    level: BreakerLevel = BreakerLevel.NORMAL
    level_utc_ms: int = 0
    phase: int = 0
    phase_utc_ms: int = 0
    unacknowledged: bool = False
    atr_points: int = 0
    reason: str = ""

    @property
    def rank(self) -> int:
        return LEVELS.index(self.level)

    @property
    def is_halted(self) -> bool:
        return self.phase in (FROZEN, EXITS_ONLY)

    @property
    def is_normal(self) -> bool:
        return self.level is BreakerLevel.NORMAL and self.phase == 0


def after_reading(standing: Standing, reading: Reading, now_utc_ms: int) -> Standing:
    """Up to what was measured, at once; below the level nothing changes, and quiet counts on.

    RED and BLACK begin the restart anew each time they are measured, a lower level when it is a rise.
    """
    if reading.rank < standing.rank:
        return standing
    is_rise, is_halt = reading.rank > standing.rank, reading.rank >= _RED
    is_back = is_halt or (is_rise and standing.phase > 0)
    near_points = reading.atr_points if is_halt else 0
    return Standing(
        level=reading.level,
        level_utc_ms=now_utc_ms,
        phase=FROZEN if is_back else standing.phase,
        phase_utc_ms=now_utc_ms if is_back else standing.phase_utc_ms,
        unacknowledged=standing.unacknowledged or reading.level is BreakerLevel.BLACK,
        atr_points=near_points if is_rise else standing.atr_points or near_points,
        reason=reading.reason if is_rise else standing.reason,
    )


def after_look(config: CircuitBreakerConfig, standing: Standing, now_utc_ms: int, *, is_known: bool = True) -> Standing:
    """When time has passed: one level down, one phase on, if each is due, and never two.

    Not `is_known`: whether it was quiet cannot be said, so quiet counts from now.
    """
    level_is_due = standing.rank > 0 and now_utc_ms >= standing.level_utc_ms + quiet_ms(config)
    phase_is_due = _phase_ends_utc_ms(config, standing, now_utc_ms + 1) <= now_utc_ms
    if level_is_due and not is_known:
        return replace(standing, level_utc_ms=now_utc_ms)
    if level_is_due:
        lower = LEVELS[standing.rank - 1]
        standing = replace(standing, level=lower, level_utc_ms=now_utc_ms, atr_points=0)
    if phase_is_due:
        phase = standing.phase + 1 if standing.phase < LAST_PHASE else 0
        standing = replace(standing, phase=phase, phase_utc_ms=now_utc_ms)
    return standing


def after_acknowledgement(standing: Standing) -> Standing:
    """A person has looked: after BLACK the restart may go on. What is BLACK still, or again, wants another."""
    return replace(standing, unacknowledged=False)


def next_look_utc_ms(config: CircuitBreakerConfig, standing: Standing) -> int | None:
    """When time alone may change something; None: never."""
    times_utc_ms = [standing.level_utc_ms + quiet_ms(config)] if standing.rank else []
    phase_utc_ms = _phase_ends_utc_ms(config, standing, 0)
    if phase_utc_ms:
        times_utc_ms.append(phase_utc_ms)
    return min(times_utc_ms, default=None)


def size_ppm(config: CircuitBreakerConfig, standing: Standing) -> int:
    """What new volume is multiplied by. While entries are halted it is the size at which they begin again: what refuses them
    is the hold."""
    by_level = [100.0, *config.size_pct, config.size_pct[-1], config.size_pct[-1]][standing.rank]
    small, half = config.restart_size_pct
    by_phase = [100.0, small, small, small, half][standing.phase]
    return ppm_of_pct(min(by_level, by_phase))


def halted_until_utc_ms(config: CircuitBreakerConfig, standing: Standing) -> int:
    """When entries may be made again if nothing else happens; 0: not before a person acknowledges."""
    frozen_ms, exits_only_ms = (round(minutes * 60_000) for minutes in config.restart_minutes[:2])
    if standing.phase == EXITS_ONLY:
        return standing.phase_utc_ms + exits_only_ms
    if standing.unacknowledged:
        return 0
    calm_utc_ms = standing.level_utc_ms + max(0, standing.rank - _ORANGE) * quiet_ms(config)
    return max(standing.phase_utc_ms + frozen_ms, calm_utc_ms) + exits_only_ms


def _phase_ends_utc_ms(config: CircuitBreakerConfig, standing: Standing, otherwise: int) -> int:
    """When the phase is over; `otherwise` outside a restart and where time alone does not end it: frozen is frozen at RED and
    until BLACK was acknowledged."""
    if standing.phase == 0 or (standing.phase == FROZEN and (standing.rank >= _RED or standing.unacknowledged)):
        return otherwise
    return standing.phase_utc_ms + round(config.restart_minutes[standing.phase - 1] * 60_000)
