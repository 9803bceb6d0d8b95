import pytest

from evenkeel.messages.market import BarClosed, PointWorth, Quote, SymbolSpec
from evenkeel.rules.bars import PERIOD_MS, OpenBar, OpenMinute, bar_of, closed, opened_by, period_start_utc_ms, with_minute

SPEC = SymbolSpec(
    spec_id=3,
    symbol="EURUSD",
    digits=5,
    contract_size=100_000,
    steps_per_lot=100,
    volume_min_steps=1,
    volume_max_steps=10_000,
    stops_level_points=0,
    worth=PointWorth(100, 1),
    notional_cents_per_lot=11_000_000,
    typical_spread_points=10,
)


def m1(minute_of_day: int, *bids: int, spread_points: int = 10) -> BarClosed:
    open_utc_ms = minute_of_day * 60_000
    minute = OpenMinute(open_utc_ms, open_utc_ms + 60_000, list(bids), [bid + spread_points for bid in bids])
    first_later = Quote(open_utc_ms + 60_000, bids[-1], bids[-1] + 1)
    return closed(bar_of(minute), "M1", SPEC, spread_median_points=9, quote=first_later, late=False)


def m5(*minutes: BarClosed) -> OpenBar:
    bar = None
    for minute in minutes:
        bar = with_minute(bar, minute, "M5")
    assert bar is not None
    return bar


def test_a_minute_is_made_of_its_bids():
    minute = opened_by(Quote(61_500, 100, 110))
    for bid, ask in [(104, 109), (97, 117), (101, 113)]:
        minute.bids.append(bid)
        minute.asks.append(ask)
    bar = closed(bar_of(minute), "M1", SPEC, spread_median_points=9, quote=Quote(120_000, 1, 2), late=False)
    assert (bar.open_utc_ms, bar.open_points, bar.high_points, bar.low_points, bar.close_points) == (60_000, 100, 104, 97, 101)
    assert (bar.close_ask_points, bar.spread_points, bar.quotes) == (113, 10, 4)
    assert (bar.symbol, bar.spec_id, bar.spread_median_points) == ("EURUSD", 3, 9)


def test_a_longer_bar_is_made_of_the_minutes_of_its_period():
    bar = m5(m1(5, 100, 108), m1(6, 107, 90, 95, spread_points=20), m1(9, 96, spread_points=30))
    assert (bar.open_utc_ms, bar.ends_utc_ms) == (300_000, 600_000)
    assert (bar.open_points, bar.high_points, bar.low_points, bar.close_points) == (100, 108, 90, 96)
    assert (bar.quotes, bar.close_ask_points) == (6, 126)


def test_the_spread_of_a_longer_bar_is_the_median_of_its_minutes():
    bar = m5(m1(5, 100, spread_points=10), m1(6, 100, spread_points=30), m1(7, 100, spread_points=12))
    said = closed(bar, "M5", SPEC, spread_median_points=9, quote=Quote(600_000, 1, 2), late=False)
    assert said.spread_points == 12


def test_a_minute_of_a_later_period_begins_a_new_bar():
    bar = m5(m1(9, 100), m1(10, 50))
    assert (bar.open_utc_ms, bar.high_points, bar.quotes) == (600_000, 50, 1)


@pytest.mark.parametrize("timeframe", PERIOD_MS)
def test_a_period_starts_with_its_first_millisecond(timeframe):
    period_ms = PERIOD_MS[timeframe]
    assert period_start_utc_ms(7 * period_ms, timeframe) == 7 * period_ms
    assert period_start_utc_ms(7 * period_ms - 1, timeframe) == 6 * period_ms
