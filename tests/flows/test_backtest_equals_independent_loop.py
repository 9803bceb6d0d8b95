"""`evenkeel backtest` gives the trades of a plain loop that shares no line with it, on flawed random ticks and on real ones."""

import random
from itertools import repeat
from pathlib import Path
from typing import NamedTuple

import independent_loop
import polars as pl
import pytest
from builders import shared_data

from evenkeel.commands.backtest.plan import Input, plan_of, recorded
from evenkeel.commands.backtest.replay import prepared, replayed
from evenkeel.commands.backtest.report import BacktestResult, result_of
from evenkeel.rules.bars import PERIOD_MS

MONDAY_UTC_MS = 1_767_571_200_000

Row = tuple[int, int, int]


class Case(NamedTuple):
    symbol: str = "EURUSD"
    digits: int = 5
    start_points: int = 110_000
    cents_per_point: int = 10
    fast: int = 2
    slow: int = 5
    timeframe: str = "M1"


PAIR, SLOW_PAIR = Case(), Case(fast=3, slow=4, timeframe="M5")
GOLD = Case("XAUUSD", 3, 1_500_000, 1)
SHARED = [
    ("ticks_EURUSD_oanda_20140501_15.parquet", Case(fast=10, slow=20)),
    ("ticks_EURUSD_fxcm_20140501_15.parquet", Case(fast=10, slow=20)),
    ("ticks_NZDUSD_oanda_20140501_15.parquet", Case("NZDUSD", fast=10, slow=20)),
]


def random_rows(seed: int, count: int, start_points: int) -> list[Row]:
    """A walk with repeats, crossed quotes (repeated ones too), equal times, silent hours and jumps over a stop.

    In steps of five points, so that a price often stands exactly on a level.
    """
    dice = random.Random(seed)
    time_utc_ms, bid_points = MONDAY_UTC_MS + dice.randrange(60_000), start_points
    rows: list[Row] = []
    for _ in range(count):
        if rows and dice.random() < 0.05:
            rows.append(rows[-1])
            continue
        time_utc_ms += dice.choice((0, 1, 400, 2_000, 9_000, 60_000 if dice.random() < 0.1 else 5_000))
        bid_points += 5 * dice.randint(-8, 8)
        if dice.random() < 0.003:
            time_utc_ms += dice.randrange(36_000_000)
            bid_points += 5 * dice.randint(-52, 52)
        rows.append((time_utc_ms, bid_points, bid_points + dice.choice((0, 5, 10, 15, -5))))
    return rows


def csv_of(rows: list[Row], folder: Path, digits: int) -> Path:
    path = folder / "ticks.csv"
    lines = [f"{time},{bid / 10**digits:.{digits}f},{ask / 10**digits:.{digits}f}\n" for time, bid, ask in rows]
    path.write_text("".join(["time_msc,bid,ask\n", *lines]))
    return path


def backtest(path: Path, case: Case) -> BacktestResult:
    strategy = f"ma_cross:fast={case.fast},slow={case.slow},timeframe={case.timeframe}"
    plan = plan_of(config_path=None, symbols=[case.symbol], strategy=strategy, digits=case.digits)
    given = prepared(plan, recorded(plan, [Input("ticks", path)]))
    return result_of(given, replayed(given))


def plain_loop(rows: list[Row], case: Case) -> independent_loop.LoopResult:
    times, bids, asks = zip(*rows, strict=True)
    return independent_loop.run(
        times,
        bids,
        asks,
        fast=case.fast,
        slow=case.slow,
        period_ms=PERIOD_MS[case.timeframe],
        cents_per_point=case.cents_per_point,
    )


def assert_equal(result: BacktestResult, loop: independent_loop.LoopResult, rows: list[Row], case: Case) -> None:
    def price(points: int) -> float:
        return float(f"{points}e-{case.digits}")

    trades = [
        (t.direction, t.open_utc_ms, t.open_price, t.close_utc_ms, t.close_price, t.reason, t.profit_cents, t.volume_lots)
        for t in result.trades
    ]
    assert trades == [
        (t.direction, t.open_utc_ms, price(t.open_points), t.close_utc_ms, price(t.close_points), t.reason, t.profit_cents, 0.1)
        for t in loop.trades
    ]
    still_open = [(t.direction, t.open_utc_ms, t.open_price, t.volume_lots) for t in result.open]
    assert still_open == [(direction, time, price(points), 0.1) for direction, time, points in loop.open]
    assert result.ticks == len(rows)
    assert result.ticks - result.crossed_dropped - result.repeats_dropped == loop.quotes
    counted = (result.bars, result.crossed_dropped, result.repeats_dropped, result.net_cents)
    assert counted == (loop.bars, loop.crossed_dropped, loop.repeats_dropped, loop.net_cents)


@pytest.mark.parametrize("case", [PAIR, SLOW_PAIR, GOLD], ids=["pair", "pair M5", "gold"])
@pytest.mark.parametrize("seed", range(6))
def test_random_ticks_make_the_same_trades(tmp_path: Path, seed: int, case: Case) -> None:
    rows = random_rows(seed, 4_000, case.start_points)
    assert_equal(backtest(csv_of(rows, tmp_path, case.digits), case), plain_loop(rows, case), rows, case)


def test_the_random_ticks_hold_what_they_are_meant_to_hold() -> None:
    loops = [plain_loop(random_rows(seed, 4_000, PAIR.start_points), PAIR) for seed in range(6)]
    assert {trade.reason for loop in loops for trade in loop.trades} == {"stop", "target", "emergency"}
    assert {trade.direction for loop in loops for trade in loop.trades} == {"buy", "sell"}
    assert all(loop.crossed_dropped and loop.repeats_dropped for loop in loops)
    assert sum(len(loop.trades) for loop in loops) > 200
    assert any(loop.open for loop in loops)


@pytest.mark.parametrize("count", [1, 2, 60])
def test_few_ticks_make_no_trade_and_no_error(tmp_path: Path, count: int) -> None:
    rows = list(zip(range(MONDAY_UTC_MS, MONDAY_UTC_MS + count), repeat(110_000), repeat(110_010)))
    result = backtest(csv_of(rows, tmp_path, 5), PAIR)
    assert (result.trades, result.open, result.bars, result.net_cents) == ([], [], 0, 0)


@pytest.mark.parametrize(("name", "case"), SHARED, ids=[name.split("_20")[0] for name, _ in SHARED])
def test_real_ticks_make_the_same_trades(name: str, case: Case) -> None:
    path = shared_data(name)
    if not path.exists():
        pytest.skip(f"needs {name} in shared/data beside the project")
    frame = pl.read_parquet(path)
    points = [(frame[column] * 10**case.digits).round().cast(pl.Int64).to_list() for column in ("bid", "ask")]
    rows = list(zip(frame["time_msc"].to_list(), *points, strict=True))
    loop = plain_loop(rows, case)
    assert len(loop.trades) > 50
    assert_equal(backtest(path, case), loop, rows, case)
