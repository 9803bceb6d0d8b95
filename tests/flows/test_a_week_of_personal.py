"""A week of the synthetic market under every limit of the personal profile: it trades, and says why it mostly does not."""

import sys
from collections.abc import Iterator
from itertools import islice
from typing import Any

import msgspec
import numpy as np
import pytest
from builders import MONDAY_UTC_MS, market_of, specs_of

from evenkeel.adapters.history import Counts, Quotes
from evenkeel.commands.backtest.plan import Plan
from evenkeel.commands.backtest.replay import Replayed, prepared, replayed
from evenkeel.commands.backtest.report import result_of, summary
from evenkeel.config.load import load

SYMBOLS = ("EURUSD", "GBPUSD", "AUDUSD", "USDJPY")
EVERY_MS = 10_000
WEEK_MS = 7 * 86_400_000
TRADES_MIN = 5


class Synthetic:
    """One symbol's quotes of the market, as if they had been recorded."""

    def __init__(self, symbol: str, rows: list[tuple[int, int, int]]) -> None:
        time, bid, ask = (np.array(column, np.int64) for column in zip(*rows, strict=True))
        self.symbol, self.sha256 = symbol, "0" * 64
        self.counts = Counts(rows_read=len(rows))
        self._quotes = Quotes(time, bid, ask, np.arange(len(rows), dtype=np.int64))

    def blocks(self) -> Iterator[Quotes]:
        yield self._quotes


@pytest.fixture(scope="module")
def week() -> tuple[Any, Replayed]:
    terms = {"typical_spread_points": 10, "daily_atr_points": 600}
    strategy = {"trend": {"kind": "ma_cross", "symbols": list(SYMBOLS), "timeframe": "M5"}}
    config = load(None, overrides={"trading.enabled": True, "strategy": strategy, "symbols": dict.fromkeys(SYMBOLS, terms)})
    specs = specs_of(config, SYMBOLS)
    rows: dict[str, list[tuple[int, int, int]]] = {symbol: [] for symbol in SYMBOLS}
    market = market_of(config, specs, seed=1, every_ms=EVERY_MS)
    for symbol, quote in islice(market, len(SYMBOLS) * WEEK_MS // EVERY_MS):
        rows[symbol].append(msgspec.structs.astuple(quote))
    given = prepared(Plan(config, specs, None, None), [Synthetic(symbol, rows[symbol]) for symbol in SYMBOLS])
    return given, replayed(given)


def test_it_trades_and_prints_the_share_of_each_gate(week: tuple[Any, Replayed]) -> None:
    given, done = week
    result = result_of(given, done)
    sys.stdout.write(summary(result, done.heard, given.plan.config.account) + "\n")
    assert given.plan.config.profile == "personal"
    assert len(result.trades) >= TRADES_MIN
    assert sum(refused.ratio for refused in result.refusals) == pytest.approx(1.0, abs=0.001)


def test_no_limit_of_the_week_was_passed(week: tuple[Any, Replayed]) -> None:
    """What equity and the trades themselves show, without asking the limits."""
    given, done = week
    result, limits = result_of(given, done), given.plan.config.limits
    by_day: dict[int, int] = {}
    for trade in result.trades:
        day = (trade.open_utc_ms - MONDAY_UTC_MS + 2 * 3_600_000) // 86_400_000  # the boundary is at 22:00 UTC
        by_day[day] = by_day.get(day, 0) + 1
    assert max(by_day.values()) <= limits.trades_per_day
    assert max(trade.volume_lots for trade in result.trades) <= limits.volume_lots_max
    open_at_once = [
        sum(one.open_utc_ms <= trade.open_utc_ms < one.close_utc_ms for one in result.trades) for trade in result.trades
    ]
    assert max(open_at_once) <= limits.positions_max
    assert result.equity_drawdown_max_cents < 0.15 * 1_000_000
