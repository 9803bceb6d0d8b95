"""Famous days with a chain on its way: nothing is recovered out of a market that broke, and no chain loses more than it may.

A trend of some hours leads up to each, and somebody wants to buy, in the name of a strategy with chains.
"""

from collections.abc import Iterator
from typing import Any

from builders import MONDAY_UTC_MS
from famous_days import EVERY_S, PRICES, Day

from evenkeel.messages.entry import ReentryRaised
from evenkeel.messages.market import Direction, Quote
from evenkeel.messages.position import ClosePosition, ExitReason, PositionClosed, PositionOpened
from evenkeel.messages.recovery import ChainEnded, ChainStepped

PLUGIN = "trend"
TREND_S = 28_800


class ChainDay(Day):
    warm_s = TREND_S

    def __init__(self, name: str, symbol: str, **config: Any) -> None:
        plugin = {"kind": "ma_cross", "symbols": [symbol], "fast": 9_999, "slow": 10_000, "orders": "trend", "slots": 4}
        usual = {"strategy": {PLUGIN: plugin}, "limits.per_symbol_slots": 4, "exit.time_stop_minutes": "off"}
        super().__init__(name, symbol, **usual | config)

    def _calm(self) -> Iterator[tuple[str, Quote]]:
        """Up by a pip every five minutes, and to and fro by two meanwhile; from the pack's beginning on only that."""
        number, steps = 0, TREND_S // EVERY_S
        while True:
            bid = PRICES[self.symbol] + min(number - steps, 0) // 6 + abs(number % 40 - 20)
            yield self.symbol, Quote(MONDAY_UTC_MS + number * EVERY_S * 1000, bid, bid + 10)
            number += 1

    def bought(self) -> "ChainDay":
        self.until(30)
        self.signal(Direction.BUY, PLUGIN)
        assert self.opened() == 1
        return self

    def ends(self) -> list[tuple[str, str]]:
        return [(end.status.value, end.reason) for end in self.said(ChainEnded)]

    def causes(self) -> list[str]:
        return [closed.reason.value for closed in self.said(PositionClosed)]

    def orders(self) -> list[str]:
        return [opened.lineage.order_kind for opened in self.said(PositionOpened)]


def test_pm2_a_floor_that_falls_ends_the_chain_with_one_gap_and_nothing_hammers_at_it() -> None:
    day = ChainDay("chf-2015", "EURUSD").bought()
    day.until(9_000)
    assert day.ends() == [("stopped", "catastrophe")]
    assert day.said(ReentryRaised) == []
    assert day.orders() == ["tp_trail"]
    assert len(day.said(ClosePosition)) <= 1


def test_pm3_a_chain_that_was_stopped_in_the_first_phase_is_not_recovered_in_the_others() -> None:
    day = ChainDay("gbp-2016", "GBPUSD").bought()
    day.until(3_600)
    assert day.causes() == ["stop"]
    assert "recovery_mode" in [step.after for step in day.said(ChainStepped)]
    assert day.ends() == [("stopped", "the direction is shielded")]
    assert day.orders() == ["tp_trail"]


def test_pm3_without_a_shield_the_breaker_alone_lets_no_recovery_out() -> None:
    day = ChainDay("gbp-2016", "GBPUSD", **{"shield.enabled": False}).bought()
    day.until(3_600)
    assert day.orders() == ["tp_trail"]
    assert [status for status, _ in day.ends()] == ["stopped"]


def test_pm4_a_trade_that_the_broker_stopped_out_ends_its_chain() -> None:
    untouched = {"entry.stop_pips": 600.0, "circuit_breaker.tighten_atr": "off", "limits.risk_per_trade_pct": 5.0}
    day = ChainDay("jpy-2019", "USDJPY", **untouched).bought()
    day.until(1_500)
    assert day.causes() == ["stop_out"]
    assert day.ends() == [("stopped", "stop_out")]
    assert "recovery_mode" not in [step.after for step in day.said(ChainStepped)]
    assert day.said(ReentryRaised) == []


def test_pm10_a_market_that_eats_every_recovery_eats_one_a_chain_until_the_day_s_limit() -> None:
    """Stops are just near enough to be jumped over by each fall, and each rise is enough for a recovery."""
    free = {"entry.stop_pips": 25.0, "recovery.duplicate_minutes": 0.0, "circuit_breaker.enabled": False}
    day = ChainDay("whipsaw", "EURUSD", **free | {"shield.enabled": False, "recovery.wait_s": 5.0}).bought()
    while day.now_s < 3_600:
        day.until(day.now_s + 30)
        day.signal(Direction.BUY, PLUGIN)
    day.until(5_400)
    recovered = [one.lineage.chain_id for one in day.said(PositionOpened) if one.lineage.order_kind == "sl_recovery"]
    assert len(recovered) >= 2
    assert len(recovered) == len(set(recovered))
    assert day.ends()[-1] == ("stopped", "loss_tier_day")
    lost = [-closed.net_cents for closed in day.said(PositionClosed) if closed.net_cents < 0]
    assert sum(lost) < 10_000 + max(lost)


def test_pm13_a_wide_spread_at_the_rollover_ends_no_trade_of_a_chain_and_begins_none() -> None:
    day = ChainDay("rollover", "EURUSD").bought()
    day.until(3_600)
    assert (day.causes(), day.ends(), day.orders()) == ([], [], ["tp_trail"])


def test_pm15_a_weekend_s_gap_beyond_every_stop_is_lost_once_and_recovered_never() -> None:
    day = ChainDay("weekend-gap", "EURUSD").bought()
    day.until(120)
    day.every_s = 600
    day.until(176_400)
    day.every_s = EVERY_S
    day.until(180_000)
    [closed] = day.said(PositionClosed)
    assert closed.reason is ExitReason.CATASTROPHE
    assert day.ends() == [("stopped", "catastrophe")]
    assert day.orders() == ["tp_trail"]


def test_pm15_a_gap_beyond_the_app_s_stop_alone_is_an_emergency_and_recovered_never() -> None:
    """The broker's stop lies further away than the gap."""
    day = ChainDay("weekend-gap", "EURUSD", **{"catastrophe_stop.at_broker": "off"}).bought()
    day.until(120)
    day.every_s = 600
    day.until(176_400)
    day.every_s = EVERY_S
    day.until(180_000)
    assert day.ends() == [("stopped", "emergency")]
    assert day.orders() == ["tp_trail"]
