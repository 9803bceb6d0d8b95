import numpy as np

from evenkeel.messages.market import Direction, PointWorth, SymbolSpec
from evenkeel.rules.bar_columns import Bars
from evenkeel.rules.equity_curve import Day, EquityCurve, Held, equity_curve

DAY_MS = 86_400_000
MINUTE_MS = 60_000
SPEC = SymbolSpec(1, "EURUSD", 5, 100_000, 100, 1, 10_000, 0, PointWorth(100, 1), 1, 10)
"""A point of one lot is worth a dollar: of 10 steps, ten cents."""


def minutes(closes: list[int], start_utc_ms: int = 0) -> Bars:
    column = np.array(closes, np.int64)
    opens = start_utc_ms + MINUTE_MS * np.arange(len(closes))
    return Bars(opens, column, column, column, column, column + 10, np.full(len(closes), 10), np.ones(len(closes), np.int64))


def held(**changed: object) -> Held:
    usual = Held("EURUSD", Direction.BUY, 10, 1_000, MINUTE_MS + 5, 4 * MINUTE_MS + 5, -300)
    return usual._replace(**changed)


def test_a_buy_floats_at_the_bid_and_is_settled_by_its_net():
    found = equity_curve(100_000, [held()], {"EURUSD": SPEC}, {"EURUSD": minutes([1_000, 1_020, 990, 960, 900, 900])})
    assert found == EquityCurve(200 + 400, [Day("1970-01-01", 1, -300, 99_700)])


def test_a_sell_floats_at_the_ask():
    sold = held(direction=Direction.SELL, closed_utc_ms=None, net_cents=0)
    found = equity_curve(100_000, [sold], {"EURUSD": SPEC}, {"EURUSD": minutes([1_000, 1_000, 1_030, 1_020])})
    assert found == EquityCurve(400, [Day("1970-01-01", 0, 0, 99_600)])


def test_the_open_bar_marks_nothing():
    still = held(closed_utc_ms=None, net_cents=0)
    assert equity_curve(0, [still], {"EURUSD": SPEC}, {"EURUSD": minutes([1_000, 9_000])}) == EquityCurve(0, [])


def test_each_day_ends_with_its_own_equity():
    over_night = held(opened_utc_ms=DAY_MS - 3 * MINUTE_MS + 1, closed_utc_ms=DAY_MS + MINUTE_MS + 1, net_cents=500)
    bars = minutes([1_000, 1_000, 1_040, 1_050, 1_060, 1_060], DAY_MS - 4 * MINUTE_MS)
    found = equity_curve(100_000, [over_night], {"EURUSD": SPEC}, {"EURUSD": bars})
    assert found.days == [Day("1970-01-01", 0, 0, 100_400), Day("1970-01-02", 1, 500, 100_500)]


def test_two_symbols_fall_together():
    specs = {"EURUSD": SPEC, "GBPUSD": SPEC}
    bars = {"EURUSD": minutes([1_000, 990, 980, 980, 980]), "GBPUSD": minutes([1_000, 980, 990, 990, 990])}
    both = [held(closed_utc_ms=None, net_cents=0, opened_utc_ms=5, symbol=symbol) for symbol in specs]
    assert equity_curve(100_000, both, specs, bars).drawdown_max_cents == 400


def test_nothing_held_is_no_day():
    assert equity_curve(100_000, [], {"EURUSD": SPEC}, {"EURUSD": minutes([1, 2])}) == EquityCurve(0, [])
