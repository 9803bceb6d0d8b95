from evenkeel.actors.circuit_breaker import CircuitBreaker
from evenkeel.config.schema import CircuitBreakerConfig
from evenkeel.messages.market import BarClosed, Quote, SampleDue, WantSamples
from evenkeel.messages.operator import HoldPlaced
from evenkeel.messages.system import RunStarted
from evenkeel.runtime.actor import restore, snapshot_of

MINUTE_MS = 60_000
CONFIG = CircuitBreakerConfig(atr_bars=2, hold_minutes=10)
STARTED = RunStarted("build", "configuration", "account", 1, True, False)


def breaker(config: CircuitBreakerConfig = CONFIG) -> CircuitBreaker:
    return CircuitBreaker(config, ("EURUSD", "XAUUSD"))


def restarted(before: CircuitBreaker) -> CircuitBreaker:
    after = breaker(before.config)
    restore(after, snapshot_of(before))
    return after


def sample(spread_points: int, symbol: str = "EURUSD") -> SampleDue:
    return SampleDue("circuit_breaker", symbol, 1, Quote(0, 110_000, 110_000 + spread_points), 0, 10)


def bar(range_points: int, *, timeframe: str = "M1", late: bool = False) -> BarClosed:
    high = 110_000 + range_points
    quote = Quote(0, 110_000, 110_010)
    return BarClosed("EURUSD", 1, timeframe, 0, 110_000, high, 110_000, 110_000, 110_010, 10, 10, 5, quote, late=late)


def quiet_bars(actor: CircuitBreaker) -> CircuitBreaker:
    for _ in range(70):
        assert actor.handle(bar(20), 0) == []
    return actor


def test_it_asks_for_samples_of_each_symbol():
    assert breaker().handle(STARTED, 0) == [
        WantSamples("circuit_breaker", "EURUSD", 5000),
        WantSamples("circuit_breaker", "XAUUSD", 5000),
    ]


def test_switched_off_it_says_nothing():
    actor = breaker(CircuitBreakerConfig(enabled=False))
    assert [actor.handle(message, 0) for message in (STARTED, sample(500), bar(500))] == [[], [], []]


def test_a_wide_spread_holds_its_symbol_only():
    [hold] = breaker().handle(sample(40), 1000)
    assert isinstance(hold, HoldPlaced)
    assert (hold.who, hold.scope, hold.until_utc_ms) == ("circuit_breaker", "EURUSD", 1000 + 10 * MINUTE_MS)


def test_a_jump_of_the_range_holds_its_symbol():
    [hold] = quiet_bars(breaker()).handle(bar(200), 0)
    assert isinstance(hold, HoldPlaced)
    assert hold.reason == "ATR of 110 points is 2 times its median 20 or more"


def test_a_hold_is_prolonged_only_when_less_than_half_is_left():
    actor = breaker()
    actor.handle(sample(40), 0)
    assert actor.handle(sample(40), 5 * MINUTE_MS) == []
    [hold] = actor.handle(sample(40), 5 * MINUTE_MS + 1)
    assert isinstance(hold, HoldPlaced)
    assert hold.until_utc_ms == 15 * MINUTE_MS + 1


def test_it_says_nothing_of_a_spread_that_came_back():
    actor = breaker()
    actor.handle(sample(40), 0)
    assert actor.handle(sample(12), 9 * MINUTE_MS) == []


def test_a_late_bar_joins_the_baseline_but_holds_nothing():
    actor = quiet_bars(breaker())
    assert actor.handle(bar(200, late=True), 0) == []
    assert actor.handle(bar(20), 0) != []  # the average is still high after it


def test_longer_bars_are_nothing_to_it():
    actor = quiet_bars(breaker())
    before = snapshot_of(actor)
    assert actor.handle(bar(500, timeframe="H1"), 0) == []
    assert snapshot_of(actor) == before


def test_a_restart_keeps_baseline_and_hold():
    actor = restarted(quiet_bars(breaker()))
    assert len(actor.handle(bar(200), 0)) == 1
    assert restarted(actor).handle(sample(40), MINUTE_MS) == []
