import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from evenkeel.config.circuit_breaker import CircuitBreakerConfig
from evenkeel.messages.circuit_breaker import BreakerLevel
from evenkeel.rules.circuit_breaker import LEVELS, Reading
from evenkeel.rules.circuit_breaker_levels import (
    EXITS_ONLY,
    FROZEN,
    Standing,
    after_acknowledgement,
    after_look,
    after_reading,
    halted_until_utc_ms,
    next_look_utc_ms,
    size_ppm,
)

CONFIG = CircuitBreakerConfig()
MINUTE_MS = 60_000
QUIET_MS = 15 * MINUTE_MS
NORMAL, YELLOW, ORANGE, RED, BLACK = LEVELS
AS_USUAL = Standing()


def measured(level: BreakerLevel, at_minute: float, standing: Standing = AS_USUAL, atr_points: int = 0) -> Standing:
    return after_reading(standing, Reading(level, f"why {level}", atr_points), round(at_minute * MINUTE_MS))


def left_alone(standing: Standing, until_minute: float) -> list[tuple[int, BreakerLevel, int]]:
    """Looked at whenever time may change something: minute, level and phase after each look that changed one."""
    seen = []
    while (look_utc_ms := next_look_utc_ms(CONFIG, standing)) is not None and look_utc_ms <= until_minute * MINUTE_MS:
        before, standing = standing, after_look(CONFIG, standing, look_utc_ms)
        if (before.level, before.phase) != (standing.level, standing.phase):
            seen.append((look_utc_ms // MINUTE_MS, standing.level, standing.phase))
    return seen


@pytest.mark.parametrize("level", LEVELS[1:])
def test_a_level_is_reached_at_once_and_left_a_step_each_quiet_period(level: BreakerLevel) -> None:
    standing = measured(level, 0)
    assert standing.level is level
    steps = [below for _, below, _ in left_alone(after_acknowledgement(standing), 60)]
    assert tuple(dict.fromkeys(steps)) == LEVELS[: LEVELS.index(level)][::-1]


def test_a_level_lasts_while_it_is_measured() -> None:
    standing = measured(ORANGE, 10, measured(ORANGE, 0))
    assert after_look(CONFIG, standing, QUIET_MS) == standing
    assert left_alone(standing, 60) == [(25, YELLOW, 0), (40, NORMAL, 0)]


def test_a_lower_measure_does_not_keep_a_higher_level() -> None:
    assert left_alone(measured(YELLOW, 14, measured(ORANGE, 0)), 15) == [(15, YELLOW, 0)]


def test_a_late_look_takes_one_step_and_quiet_counts_from_there() -> None:
    standing = after_look(CONFIG, measured(RED, 0), 500 * MINUTE_MS)
    assert (standing.level, standing.level_utc_ms) == (ORANGE, 500 * MINUTE_MS)


def test_quiet_counts_from_the_look_where_nobody_knows_whether_it_was() -> None:
    standing = after_look(CONFIG, measured(YELLOW, 0), QUIET_MS, is_known=False)
    assert (standing.level, next_look_utc_ms(CONFIG, standing)) == (YELLOW, 2 * QUIET_MS)


def test_after_red_the_restart_takes_its_phases() -> None:
    assert left_alone(measured(RED, 0), 1_000) == [
        (15, ORANGE, FROZEN),
        (30, YELLOW, EXITS_ONLY),
        (45, NORMAL, 3),
        (75, NORMAL, 4),
        (105, NORMAL, 0),
    ]


def test_sizes_follow_level_and_phase_whichever_is_less() -> None:
    sizes = [
        size_ppm(CONFIG, Standing(level=level, phase=phase))
        for level, phase in [
            (NORMAL, 0),
            (YELLOW, 0),
            (ORANGE, 0),
            (RED, 1),
            (ORANGE, 2),
            (NORMAL, 3),
            (NORMAL, 4),
            (ORANGE, 4),
        ]
    ]
    assert sizes == [1_000_000, 500_000, 250_000, 250_000, 250_000, 250_000, 500_000, 250_000]


def test_black_is_frozen_until_a_person_has_looked() -> None:
    standing = measured(BLACK, 0)
    assert [step for step in left_alone(standing, 10_000) if step[2] != FROZEN] == []
    assert halted_until_utc_ms(CONFIG, standing) == 0
    assert left_alone(after_acknowledgement(standing), 60) == [
        (15, RED, FROZEN),
        (30, ORANGE, FROZEN),
        (30, ORANGE, EXITS_ONLY),
        (45, YELLOW, 3),
        (60, NORMAL, 3),
    ]


def test_black_that_is_measured_again_wants_another_look() -> None:
    standing = measured(BLACK, 5, after_acknowledgement(measured(BLACK, 0)))
    assert standing.unacknowledged


def test_any_new_trigger_in_a_restart_returns_to_its_beginning() -> None:
    small = Standing(phase=3, phase_utc_ms=45 * MINUTE_MS)
    back = measured(YELLOW, 50, small)
    assert (back.level, back.phase, back.phase_utc_ms) == (YELLOW, FROZEN, 50 * MINUTE_MS)
    assert back.is_halted


def test_red_that_goes_on_keeps_it_frozen() -> None:
    standing = measured(RED, 29, measured(RED, 0))
    assert left_alone(standing, 59) == [(44, ORANGE, FROZEN), (59, YELLOW, EXITS_ONLY)]


def test_stops_are_asked_nearer_once_by_the_first_that_says_how_near() -> None:
    by_spread = measured(RED, 0)
    by_price = measured(RED, 1, by_spread, atr_points=40)
    assert (by_spread.atr_points, by_price.atr_points, measured(RED, 2, by_price, atr_points=90).atr_points) == (0, 40, 40)
    assert measured(ORANGE, 0, atr_points=40).atr_points == 0


def test_a_hold_lasts_until_entries_may_begin() -> None:
    assert halted_until_utc_ms(CONFIG, measured(RED, 0)) == 45 * MINUTE_MS
    assert halted_until_utc_ms(CONFIG, after_acknowledgement(measured(BLACK, 0))) == 45 * MINUTE_MS
    assert halted_until_utc_ms(CONFIG, Standing(phase=EXITS_ONLY, phase_utc_ms=MINUTE_MS)) == 16 * MINUTE_MS


@given(st.lists(st.tuples(st.sampled_from(LEVELS[1:]), st.integers(0, 40)), max_size=12))
def test_left_alone_everything_ends_as_it_was(readings: list[tuple[BreakerLevel, int]]) -> None:
    standing, now_minute = Standing(), 0
    for level, minutes in readings:
        now_minute += minutes
        standing = measured(level, now_minute, standing)
    seen = left_alone(after_acknowledgement(standing), now_minute + 400)
    assert not readings or seen[-1][1:] == (NORMAL, 0)


class Breaker(RuleBasedStateMachine):
    """Anything that markets, time and persons can do to a scope, in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.standing, self.now_utc_ms = Standing(), 0
        self.steps_down_utc_ms = [-QUIET_MS]
        self.measured_utc_ms: dict[BreakerLevel, int] = {}

    @rule(level=st.sampled_from(LEVELS[1:]), atr_points=st.integers(0, 5))
    def measure(self, level: BreakerLevel, atr_points: int) -> None:
        before, self.standing = (
            self.standing,
            after_reading(self.standing, Reading(level, "why", atr_points), self.now_utc_ms),
        )
        self.measured_utc_ms[level] = self.now_utc_ms
        assert self.standing.rank == max(before.rank, LEVELS.index(level))
        if level in (RED, BLACK) and self.standing.level is level:
            assert self.standing.is_halted

    @rule(minutes=st.integers(1, 50), is_known=st.booleans())
    def wait(self, minutes: int, is_known: bool) -> None:
        self.now_utc_ms += minutes * MINUTE_MS
        look_utc_ms = next_look_utc_ms(CONFIG, self.standing)
        if look_utc_ms is None or look_utc_ms > self.now_utc_ms:
            return
        before, self.standing = self.standing, after_look(CONFIG, self.standing, self.now_utc_ms, is_known=is_known)
        assert before.rank - self.standing.rank in (0, 1)
        assert self.standing.phase - before.phase in (0, 1) or (before.phase, self.standing.phase) == (4, 0)
        if self.standing.rank < before.rank:
            recent = [at for level, at in self.measured_utc_ms.items() if LEVELS.index(level) >= before.rank]
            assert all(self.now_utc_ms - at >= QUIET_MS for at in (*recent, self.steps_down_utc_ms[-1]))
            self.steps_down_utc_ms.append(self.now_utc_ms)

    @rule()
    def acknowledge(self) -> None:
        self.standing = after_acknowledgement(self.standing)

    @invariant()
    def what_is_grave_is_halted_and_time_or_a_person_ends_it(self) -> None:
        standing = self.standing
        assert standing.rank < LEVELS.index(RED) or standing.is_halted
        assert standing.is_normal == (size_ppm(CONFIG, standing) == 1_000_000)
        assert not standing.unacknowledged or standing.phase == FROZEN
        waits_for_a_person = standing.unacknowledged and standing.level is NORMAL
        assert (next_look_utc_ms(CONFIG, standing) is None) == (standing.is_normal or waits_for_a_person)


TestBreaker = Breaker.TestCase
TestBreaker.settings = settings(max_examples=40)
