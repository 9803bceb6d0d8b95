"""The wall clock is set by somebody, or everything stood still: new risk is held, timers keep their pace."""

from collections.abc import Iterator

import pytest
from builders import config_of, specs_of
from loguru import logger

from evenkeel.adapters.gate import Gate
from evenkeel.adapters.quote_board import QuoteBoard
from evenkeel.adapters.simulated.terminal import SimulatedTerminal
from evenkeel.adapters.wall_clock import WallClock
from evenkeel.adapters.world import World
from evenkeel.messages.operator import HoldEnded, HoldPlaced, TradingRearmed
from evenkeel.messages.system import Message
from evenkeel.runtime.clock import ManualClock, SteadyClock
from evenkeel.supervisor import children, guard_names, route_table

START_UTC_MS = 1_767_571_200_000
HOUR_MS = 3_600_000
ENDED = HoldEnded("wall_clock", "account")


class Machine:
    """A wall clock that anybody may set, and elapsed time that nobody can."""

    def __init__(self) -> None:
        self.wall_utc_ms, self.elapsed_ms = START_UTC_MS, 0

    def now_utc_ms(self) -> int:
        return self.wall_utc_ms

    def monotonic_ns(self) -> int:
        return self.elapsed_ms * 1_000_000

    def pass_ms(self, ms: int) -> None:
        self.wall_utc_ms += ms
        self.elapsed_ms += ms


class Watch:
    """The edge over a machine; every half second it looks, and it remembers what it says."""

    def __init__(self, machine: Machine, not_before_utc_ms: int = 0) -> None:
        self.machine = machine
        self.clock = SteadyClock(machine, not_before_utc_ms=not_before_utc_ms)
        self.edge = WallClock(self.clock, standstill_hold_ms=12_000)

    def look(self, times: int = 1) -> list[Message]:
        said: list[Message] = []
        for _ in range(times):
            self.machine.pass_ms(500)
            now = list(self.edge.poll(self.clock.now_utc_ms()))
            for message in now:
                self.edge.remember(message)  # type: ignore[arg-type]
            said += now
        return said

    @property
    def is_held(self) -> bool:
        return self.edge.state.is_held


@pytest.fixture(autouse=True)
def _silence() -> Iterator[None]:
    logger.disable("evenkeel")
    yield
    logger.enable("evenkeel")


@pytest.fixture
def watch() -> Watch:
    return Watch(Machine())


def test_a_clock_that_keeps_time_says_nothing(watch: Watch) -> None:
    assert watch.look(100) == []
    assert watch.clock.now_utc_ms() == watch.machine.wall_utc_ms


@pytest.mark.parametrize("jump_ms", [HOUR_MS, -HOUR_MS, 2_001, -2_001])
def test_a_jump_holds_new_risk_once_and_the_return_ends_it(watch: Watch, jump_ms: int) -> None:
    watch.machine.wall_utc_ms += jump_ms
    (hold,) = watch.look(10)
    assert isinstance(hold, HoldPlaced)
    assert (hold.who, hold.scope, hold.until_utc_ms) == ("wall_clock", "account", 0)
    assert hold.reason == f"the wall clock jumped: it is {jump_ms / 1000:+.1f} s off the pace of real time"
    watch.machine.wall_utc_ms -= jump_ms
    assert watch.look(10) == [ENDED]


@pytest.mark.parametrize("jump_ms", [HOUR_MS, -HOUR_MS])
def test_a_jump_moves_no_timer(watch: Watch, jump_ms: int) -> None:
    before_utc_ms = watch.clock.now_utc_ms()
    watch.machine.wall_utc_ms += jump_ms
    watch.look(20)
    assert watch.clock.now_utc_ms() == before_utc_ms + 10_000


@pytest.mark.parametrize("step_ms", [1_999, -1_999])
def test_a_small_correction_is_followed_without_ever_going_back(watch: Watch, step_ms: int) -> None:
    watch.machine.wall_utc_ms += step_ms
    seen_utc_ms = []
    for _ in range(60):
        assert watch.look() == []
        seen_utc_ms.append(watch.clock.now_utc_ms())
    assert seen_utc_ms == sorted(seen_utc_ms)
    assert watch.clock.wall_ahead_ms() == 0


def test_a_person_who_rearms_accepts_a_clock_that_was_set_forward(watch: Watch) -> None:
    watch.machine.wall_utc_ms += HOUR_MS
    watch.look()
    watch.edge.remember(TradingRearmed("me", 0))
    assert watch.look(2) == [ENDED]
    assert watch.clock.wall_ahead_ms() == 0
    assert watch.look(10) == []


def test_a_person_who_rearms_after_the_clock_was_set_back_trades_on_in_the_run_s_own_time(watch: Watch) -> None:
    watch.machine.wall_utc_ms -= HOUR_MS
    watch.look()
    watch.edge.remember(TradingRearmed("me", 0))
    before_utc_ms = watch.clock.now_utc_ms()
    assert watch.look(20) == []
    assert watch.clock.now_utc_ms() == before_utc_ms + 10_000
    watch.machine.wall_utc_ms += HOUR_MS
    assert watch.look(2) == [ENDED]


def test_a_start_behind_the_journals_end_goes_on_from_there_and_is_held() -> None:
    machine = Machine()
    watch = Watch(machine, not_before_utc_ms=START_UTC_MS + HOUR_MS)
    (hold,) = watch.edge.resume(watch.clock.now_utc_ms())
    assert isinstance(hold, HoldPlaced)
    machine.pass_ms(500)
    assert watch.clock.now_utc_ms() == START_UTC_MS + HOUR_MS + 500


def test_after_a_suspended_machine_new_risk_waits_until_the_broker_was_read_again(watch: Watch) -> None:
    watch.look()
    watch.machine.pass_ms(2 * HOUR_MS)
    (hold,) = watch.look()
    assert hold == HoldPlaced("standstill", "account", "nothing ran here for 7200.5 s", watch.clock.now_utc_ms() + 12_000)
    assert not watch.is_held
    assert watch.clock.now_utc_ms() == watch.machine.wall_utc_ms


def test_where_the_clock_is_steady_its_watch_is_a_guard_and_hears_of_a_rearm() -> None:
    config = config_of()
    specs = specs_of(config, ("EURUSD",))
    terminal = SimulatedTerminal(
        specs,
        start_balance_cents=0,
        currency="USD",
        currency_digits=2,
        leverage=1,
        profit_cents=lambda spec, points, steps, close: 0,
    )
    manual = World(config, specs, terminal, ManualClock(), QuoteBoard(), Gate(), terminal.ticks, lambda: 0)
    steady = manual._replace(clock=SteadyClock(Machine()))
    assert "wall_clock" in route_table(children(steady)).by_type[TradingRearmed]
    assert "wall_clock" in guard_names(config, tuple(specs))
    assert "wall_clock" not in [spec.name for spec in children(manual)]
