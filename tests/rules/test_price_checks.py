"""Each flaw found where it is, nothing found where none is, however the rows are cut into blocks."""

from fractions import Fraction

import numpy as np
import pytest

from evenkeel.rules.bars import PERIOD_MS
from evenkeel.rules.price_checks import BARS, QUOTES, SIDE, Checked, Example, PriceChecks, PriceRows
from evenkeel.rules.price_flaws import EXPLAINED, Flaw

MONDAY_MS = 1_767_571_200_000
MINUTE_MS, HOUR_MS = 60_000, 3_600_000
Row = tuple[int, ...]


def quotes(count: int = 200) -> list[Row]:
    """A quote each 20 s and a bit."""
    return [(MONDAY_MS + 20_007 * i, 110_000 + i % 7, 110_010 + i % 5) for i in range(count)]


def bars(count: int = 100, period_ms: int = HOUR_MS) -> list[Row]:
    return [(MONDAY_MS + period_ms * i, 100_000, 100_020, 99_990, 100_010) for i in range(count)]


def checked(names: tuple[str, ...], rows: list[Row], *, at_once: int = 1_000, typical: Fraction | None = None) -> Checked:
    checks = PriceChecks(names, 5, typical)
    for start in range(0, len(rows), at_once):
        times, *prices = (np.array(column, np.int64) for column in zip(*rows[start : start + at_once], strict=True))
        checks.take(PriceRows(times, tuple(prices), np.arange(start, start + len(times))))
    return checks.found(gap_minutes=90)


def flaws(found: Checked) -> dict[Flaw, tuple[int, int]]:
    """Count and first place."""
    return {one.flaw: (one.count, one.examples[0].place if one.examples else -1) for one in found.findings}


def test_rows_in_order_have_nothing() -> None:
    assert checked(QUOTES, quotes()).findings == []
    assert checked(SIDE, bars()).findings == []
    assert set(EXPLAINED) == set(Flaw)


QUOTE_FLAWS = [
    (Flaw.CROSSED, 5, lambda time, bid, ask: (time, ask + 1, ask)),
    (Flaw.REPEATED, 5, lambda time, bid, ask: quotes()[4]),
    (Flaw.BACK, 5, lambda time, bid, ask: (time - 60_000, bid, ask)),
    (Flaw.JUMP, 5, lambda time, bid, ask: (time, bid * 100, ask * 100)),
    (Flaw.SCALE, 5, lambda time, bid, ask: (time, bid, ask * 100)),
]


@pytest.mark.parametrize("flaw, place, spoil", QUOTE_FLAWS)
@pytest.mark.parametrize("at_once", [1, 3, 1_000])
def test_a_flaw_of_quotes_is_named_with_its_row(flaw, place, spoil, at_once) -> None:
    rows = quotes(12)
    rows[place] = spoil(*rows[place])
    found = checked(QUOTES, rows, at_once=at_once, typical=Fraction("1.1"))
    assert flaws(found)[flaw][1] == place


def test_a_pause_within_the_week_is_a_gap_and_a_week_end_is_none() -> None:
    friday_ms = MONDAY_MS + 4 * 24 * HOUR_MS + 22 * HOUR_MS
    rows = [(MONDAY_MS, 1, 2), (MONDAY_MS + HOUR_MS + 7, 1, 3), (MONDAY_MS + 3 * HOUR_MS + 9, 1, 2)]
    rows += [(friday_ms - 1_000, 1, 2), (friday_ms + 48 * HOUR_MS + 5, 1, 2)]
    found = checked(QUOTES, rows)
    [gap] = found.findings
    assert (gap.flaw, gap.count, len(found.week_ends)) == (Flaw.GAP, 2, 1)
    assert gap.examples[1] == Example(1, MONDAY_MS + HOUR_MS + 7, MONDAY_MS + 3 * HOUR_MS + 9)


def test_christmas_is_no_gap() -> None:
    christmas_ms = 1_766_620_800_001
    found = checked(QUOTES, [(christmas_ms - 3 * HOUR_MS, 1, 2), (christmas_ms + 23 * HOUR_MS, 1, 2)])
    assert (found.findings, found.holidays) == ([], 1)


def test_one_missing_bar_is_no_gap_and_two_are() -> None:
    one, two = bars(), bars()
    del one[50]
    del two[50:52]
    assert checked(SIDE, one).findings == []
    assert flaws(checked(SIDE, two)) == {Flaw.GAP: (1, 49)}


def test_daily_rows_inside_hourly_ones_are_another_time_frame() -> None:
    hours = bars(100)
    days = [(hours[-1][0] + 24 * HOUR_MS * i, *hours[0][1:]) for i in range(1, 8)]
    assert flaws(checked(SIDE, hours + days))[Flaw.TIMEFRAMES] == (7, 100)


def test_daily_rows_of_the_days_of_a_week_are_found_across_its_end() -> None:
    hours = bars(100)
    work_days = [
        day for day in range(1, 30) if (hours[-1][0] // HOUR_MS // 24 + day) % 7 not in (2, 3)
    ]  # no Saturday, no Sunday
    days = [(hours[-1][0] + 24 * HOUR_MS * day, *hours[0][1:]) for day in work_days]
    assert flaws(checked(SIDE, hours + days))[Flaw.TIMEFRAMES] == (len(days), 100)


def test_minutes_inside_hourly_rows_are_another_time_frame() -> None:
    hours = bars(100)
    minutes = [(hours[-1][0] + MINUTE_MS * i, *hours[0][1:]) for i in range(1, 4)]
    found = checked(SIDE, hours + minutes)
    assert flaws(found) == {Flaw.TIMEFRAMES: (3, 100)}
    assert found.period_ms == PERIOD_MS["H1"]


def test_bars_whose_close_is_outside_or_whose_time_comes_twice() -> None:
    rows = bars(10)
    rows[3] = (rows[3][0], 100_000, 100_020, 99_990, 100_021)
    rows[7] = (rows[6][0], *rows[7][1:])
    assert flaws(checked(SIDE, rows)) == {Flaw.EXTREMES: (1, 3), Flaw.REPEATED: (1, 7)}


def test_bars_whose_bid_is_above_the_ask() -> None:
    rows = [(time, *prices, *(price + 5 for price in prices)) for time, *prices in bars(10)]
    rows[4] = (*rows[4][:-1], rows[4][4] - 1)
    assert Flaw.CROSSED in flaws(checked(BARS, rows))


def test_quotes_on_whole_minutes_are_coarse() -> None:
    assert Flaw.COARSE in flaws(checked(QUOTES, [(MONDAY_MS + MINUTE_MS * i, 1, 2) for i in range(10)]))


def test_the_decimals_that_prices_do_have() -> None:
    assert checked(QUOTES, [(MONDAY_MS, 110_000, 110_100)]).decimals == 3
    assert checked(QUOTES, quotes()).decimals == 5
