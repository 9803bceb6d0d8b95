"""The order of one instant, on a host, a feed, a clock and a broker that note who was asked when."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import pytest

from evenkeel.adapters.replay.every_tick import FEED, TERMINAL, EveryTick
from evenkeel.runtime.clock import ManualClock

FAR_UTC_MS = 2**62


class Bar(NamedTuple):
    timeframe: str


class NotingFeed:
    """Says what lies in it, once."""

    def __init__(self, log: list[str]) -> None:
        self.log = log
        self.next_sample_utc_ms = FAR_UTC_MS
        self.crossed: list[str] = []
        self.bars: list[Bar] = []

    def samples_before(self, utc_ms: int) -> Sequence[Any]:
        self.log.append(f"samples before {utc_ms}")
        self.next_sample_utc_ms = FAR_UTC_MS
        return ()

    def reached(self, symbol: str, time_utc_ms: int, bid: int, ask: int) -> list[str]:
        self.log.append(f"watches {time_utc_ms}")
        crossed, self.crossed = self.crossed, []
        return crossed

    def closed_bars(self, symbol: str, time_utc_ms: int, bid: int, ask: int) -> list[Bar]:
        self.log.append(f"bars {time_utc_ms}")
        bars, self.bars = self.bars, []
        return bars


class NotingHost:
    """The stepped host's part, and the simulated terminal's; timers are instants."""

    due_utc_ms = 2**62

    def __init__(self) -> None:
        self.log: list[str] = []
        self.clock = ManualClock()
        self.feed = NotingFeed(self.log)
        self.timers: list[int] = []
        self.sets: list[int] = []
        self.dealing: set[int] = set()
        self.dies_of_deals = False

    def child(self, name: str) -> Any:
        return self.feed if name == FEED else self

    def next_due_utc_ms(self) -> int | None:
        return min(self.timers, default=None)

    def on_quote(self, symbol: str, time_utc_ms: int, bid: int, ask: int) -> bool:
        self.log.append(f"broker {time_utc_ms}")
        return time_utc_ms in self.dealing

    def poke(self, name: str, look: Callable[[Any], Sequence[Any]], *, row: int, derived: bool) -> None:
        if name == TERMINAL:
            self.log.append(f"news, row {row}")
            self.feed = NotingFeed(self.log) if self.dies_of_deals else self.feed
        else:
            said = look(self.feed)
            self.timers += self.sets
            self.sets = []
            self.log += [f"said {message} at {self.clock.now_utc_ms()}, row {row}" for message in said]

    def advance_to(self, utc_ms: int, *, inclusive: bool = False) -> None:
        for due in sorted(due for due in self.timers if due < utc_ms or (inclusive and due == utc_ms)):
            self.timers.remove(due)
            self.log.append(f"timer {due}")
        self.clock.advance_to(utc_ms)


@pytest.fixture
def host() -> NotingHost:
    return NotingHost()


def serve(host: NotingHost, *times_utc_ms: int) -> EveryTick:
    replay = EveryTick(host, host)  # type: ignore[arg-type]  # it stands for both
    replay.serve((row, "EURUSD", at, 1000, 1010) for row, at in enumerate(times_utc_ms))
    return replay


def test_a_quiet_quote_is_looked_at_and_wakes_nobody(host):
    serve(host, 10, 20)
    assert host.log == ["broker 10", "watches 10", "bars 10", "broker 20", "watches 20", "bars 20"]
    assert host.clock.now_utc_ms() == 0


def test_within_one_instant_the_broker_comes_first_then_exits_then_entries_then_the_timers_of_now(host):
    host.timers, host.dealing = [5, 10, 15], {10}
    host.feed.next_sample_utc_ms = 7
    host.feed.crossed, host.feed.bars = ["stop"], [Bar("M1")]
    serve(host, 10)
    assert host.log == [
        "timer 5",
        "samples before 10",
        "broker 10",
        "news, row 0",
        "watches 10",
        "said stop at 10, row 0",
        "bars 10",
        "said Bar(timeframe='M1') at 10, row 0",
        "timer 10",
    ]


def test_a_timer_that_a_quote_set_fires_before_the_next_quote(host):
    host.feed.crossed, host.sets = ["stop"], [15]
    serve(host, 10, 20)
    assert host.log[-5:] == ["timer 15", "samples before 20", "broker 20", "watches 20", "bars 20"]


def test_a_feed_that_was_restarted_has_read_the_quote_already(host):
    host.dealing, host.dies_of_deals = {10}, True
    serve(host, 10, 20)
    assert host.log == ["broker 10", "news, row 0", "broker 20", "watches 20", "bars 20"]
