"""The synthetic market and the source that serves quotes when their time has come."""

import itertools
import os
import subprocess
import sys
from collections.abc import Iterable

import msgspec
import pytest

from evenkeel.adapters.simulated.market import SimulatedSource, SyntheticMarket
from evenkeel.adapters.simulated.terminal import SimulatedTerminal
from evenkeel.messages.market import PointWorth, Quote, SymbolSpec
from evenkeel.runtime.clock import ManualClock, MarketClock

START_UTC_MS = 1_700_000_000_000
DAY_MS = 86_400_000
EURUSD = SymbolSpec(1, "EURUSD", 5, 100_000, 100, 1, 5_000, 0, PointWorth(100, 1), 11_000_000, 12)
SPECS = {"EURUSD": EURUSD, "USDJPY": msgspec.structs.replace(EURUSD, spec_id=2, symbol="USDJPY", digits=3)}
TYPICAL_PRICE_POINTS = {"EURUSD": 110_000, "USDJPY": 150_000}


def market(seed: int = 1, quote_every_ms: int = 1_000) -> SyntheticMarket:
    return SyntheticMarket(
        SPECS,
        seed=seed,
        start_utc_ms=START_UTC_MS,
        quote_every_ms=quote_every_ms,
        typical_price_points=TYPICAL_PRICE_POINTS,
    )


def first(count: int, quotes: Iterable[tuple[str, Quote]]) -> list[tuple[str, Quote]]:
    return list(itertools.islice(quotes, count))


def test_one_seed_is_one_market() -> None:
    assert first(5_000, market()) == first(5_000, market())
    assert market().daily("EURUSD") == market().daily("EURUSD")
    assert first(10, market()) != first(10, market(seed=2))


def test_the_hash_seed_of_the_process_does_not_matter() -> None:
    script = f"""
import itertools, msgspec
from evenkeel.adapters.simulated.market import SyntheticMarket
from evenkeel.messages.market import SymbolSpec
specs = msgspec.json.decode({msgspec.json.encode(SPECS)!r}, type=dict[str, SymbolSpec])
quotes = SyntheticMarket(specs, seed=1, start_utc_ms={START_UTC_MS}, quote_every_ms=1000,
    typical_price_points={TYPICAL_PRICE_POINTS!r})
print(hash("EURUSD"), *(quote for _, quote in itertools.islice(quotes, 200)))
"""
    said = []
    for hash_seed in ("1", "2"):
        environment = {**os.environ, "PYTHONHASHSEED": hash_seed}
        said.append(subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, check=True).stdout)
    hashes, quotes = zip(*(line.split(b" ", 1) for line in said), strict=True)
    assert hashes[0] != hashes[1]
    assert quotes[0] == quotes[1]


def test_time_never_goes_back_and_no_quote_is_crossed() -> None:
    quotes = [quote for _, quote in first(20_000, market())]
    assert all(earlier.time_utc_ms <= later.time_utc_ms for earlier, later in itertools.pairwise(quotes))
    assert all(0 < quote.bid_points < quote.ask_points for quote in quotes)


@pytest.mark.parametrize("symbol", SPECS)
def test_a_day_looks_like_a_day(symbol: str) -> None:
    bids, spreads = [], []
    for name, quote in market(quote_every_ms=10_000):
        if quote.time_utc_ms > START_UTC_MS + DAY_MS:
            break
        if name == symbol:
            bids.append(quote.bid_points)
            spreads.append(quote.ask_points - quote.bid_points)
    assert 0.003 < (max(bids) - min(bids)) / TYPICAL_PRICE_POINTS[symbol] < 0.015
    assert sorted(spreads)[len(spreads) // 2] in range(11, 15)
    assert max(spreads) >= 3 * 12


def test_thirty_finished_days_lead_to_the_start() -> None:
    days = market().daily("EURUSD")
    assert len(days) == 30
    assert days[-1].close_points == TYPICAL_PRICE_POINTS["EURUSD"]
    assert all(day.low_points < day.close_points < day.high_points for day in days)
    assert all(0.001 < (day.high_points - day.low_points) / day.close_points < 0.02 for day in days)


def test_a_market_skips_ahead() -> None:
    skipped = market()
    skipped.skip_to(START_UTC_MS + DAY_MS)
    quotes = first(100, skipped)
    assert {symbol for symbol, _ in quotes} == set(SPECS)
    assert all(quote.time_utc_ms >= START_UTC_MS + DAY_MS for _, quote in quotes)


def test_a_market_goes_on_near_and_after_the_last_quote() -> None:
    resumed = market()
    resumed.skip_to(START_UTC_MS + DAY_MS)
    resumed.resume("EURUSD", Quote(START_UTC_MS + DAY_MS, 123_400, 123_410))
    quote = next(quote for symbol, quote in resumed if symbol == "EURUSD")
    assert quote.time_utc_ms > START_UTC_MS + DAY_MS
    assert abs(quote.bid_points - 123_400) < 123_400 * 0.001


class Served:
    """A source over written quotes, a terminal and clocks that stand still."""

    def __init__(self, *times_utc_ms: int, speed: float = 1.0) -> None:
        self.terminal = SimulatedTerminal(
            SPECS,
            start_balance_cents=1_000_000,
            currency="USD",
            currency_digits=2,
            leverage=100,
            profit_cents=lambda spec, points, steps, close: points * steps,
        )
        self.market_clock, self.real = MarketClock(), ManualClock()
        self.quotes = [("EURUSD", Quote(time_utc_ms, 110_000, 110_012)) for time_utc_ms in times_utc_ms]
        self.source = SimulatedSource(
            iter(self.quotes), self.terminal, speed=speed, clock=self.market_clock, monotonic_ns=self.real.monotonic_ns
        )


def test_a_quote_is_served_when_it_is_due_and_not_before() -> None:
    served = Served(5_000, 5_400)

    assert served.source.take() == served.quotes[0]
    assert served.source.take() is None
    assert served.source.wait_s() == pytest.approx(0.4)
    served.real.advance_to(400)
    assert served.source.wait_s() == 0
    assert served.source.take() == served.quotes[1]


def test_speed_makes_market_time_run() -> None:
    served = Served(5_000, 65_000, speed=60)
    served.source.take()
    assert served.source.wait_s() == pytest.approx(1.0)
    served.real.advance_to(1_000)
    assert served.source.take() == served.quotes[1]


def test_terminal_and_clock_know_a_quote_before_its_taker() -> None:
    served = Served(5_000)
    served.source.take()
    assert served.terminal.quote("EURUSD") == served.quotes[0][1]
    assert served.market_clock.now_utc_ms() == 5_000


def test_a_long_wait_is_bounded() -> None:
    served = Served(5_000, 5_000 + DAY_MS)
    served.source.take()
    assert served.source.wait_s() == 1.0


def test_the_source_ends_with_its_quotes() -> None:
    served = Served(5_000)
    assert not served.source.ended
    served.source.take()
    assert served.source.ended
    assert served.source.take() is None
    assert served.source.wait_s() == 1.0
