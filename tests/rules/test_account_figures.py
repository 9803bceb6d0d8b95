"""The account's figures over its minute snapshots."""

from collections.abc import Iterator

import pytest

from evenkeel.rules.account_figures import HOUR_MS, account_figures
from evenkeel.rules.snapshots import Decisions, Loop, Snapshot

MINUTE_MS = 60_000


def snapshot(minute: int, equity: int | None, *, net: int = 0, trades: int = 0, opened: int = 0, quotes: int = 0) -> Snapshot:
    return Snapshot(
        utc_ms=minute * MINUTE_MS,
        written_utc_ms=0,
        balance_cents=equity,
        equity_cents=equity,
        currency="USD",
        currency_digits=2,
        positions=1,
        trading_day="2026-01-05",
        day_cents=0,
        day_net_cents=net,
        total_net_cents=net,
        trades=trades,
        won=trades,
        day_trades=trades,
        win_ratio=0.5,
        drawdown_ppm=1,
        drawdown_max_ppm=2,
        decisions=Decisions(opened=opened, denied={"position": opened}),
        loop=Loop(quotes=quotes),
    )


def three_hours() -> Iterator[Snapshot]:
    """A cent of equity and of net a minute, a trade each hour."""
    return (snapshot(minute, 1_000 + minute, net=minute, trades=minute // 60) for minute in range(181))


def test_without_snapshots_there_are_no_figures() -> None:
    assert account_figures([]) is None


def test_capital_is_what_equity_was() -> None:
    found = account_figures([snapshot(0, None), *(snapshot(at, cents) for at, cents in ((1, 100), (2, 300), (3, 110)))])
    assert found is not None
    assert found.capital is not None
    assert (found.capital.snapshots, found.capital.mean_cents, found.capital.median_cents) == (3, 170, 110)
    assert (found.capital.min_cents, found.capital.max_cents) == (100, 300)
    assert found.capital.stdev_cents == pytest.approx(112.69427669584645)
    assert found.snapshots == 4


def test_the_last_hour_is_against_the_snapshot_an_hour_ago() -> None:
    found = account_figures(three_hours())
    assert found is not None
    hour, day, week = found.recent
    assert (hour.window, hour.is_whole, hour.from_utc_ms) == ("1 h", True, 2 * HOUR_MS)
    assert (hour.net_cents, hour.equity_change_cents, hour.trades, hour.snapshots) == (60, 60, 1, 61)
    assert hour.net_ratio == pytest.approx(60 / 1_120)
    assert (day.is_whole, day.from_utc_ms, day.net_cents, day.trades) == (False, 0, 180, 3)
    assert (week.window, week.snapshots) == ("7 d", 181)


def test_a_restart_begins_to_count_quotes_anew_and_loses_no_decision() -> None:
    loops = ((0, 4_000), (2, 6_000), (2, 500), (4, 1_500))
    found = account_figures(snapshot(at, 100, opened=opened, quotes=quotes) for at, (opened, quotes) in enumerate(loops))
    assert found is not None
    assert (found.decisions, found.quotes, found.decisions_per_1000_quotes) == (8, 3_500, pytest.approx(8 / 3.5))


def test_a_clock_that_goes_back_stands_still() -> None:
    found = account_figures([snapshot(50, 100), snapshot(3, 110), snapshot(51, 120)])
    assert found is not None
    assert [one.net_cents for one in found.recent] == [0, 0, 0]
    assert found.to_utc_ms == 51 * MINUTE_MS
