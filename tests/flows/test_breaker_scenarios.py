"""Days that became famous, as the packs of the simulated terminal play them: what the circuit breaker makes of each.

Two calm hours go before, and somebody wants to buy every half a minute.
"""

from collections.abc import Iterator
from typing import Any

import pytest
from builders import MONDAY_UTC_MS, Scene, config_of, scene, specs_of

from evenkeel.adapters.simulated.packs import pack
from evenkeel.adapters.simulated.play import do, played
from evenkeel.config.circuit_breaker import STEPS
from evenkeel.messages.broker_gateway import DealDone, DealEntry, ReadTerminal
from evenkeel.messages.circuit_breaker import BreakerChanged, BreakerLevel
from evenkeel.messages.entry import DenialReason, Lineage, OrderDenied, SignalRaised
from evenkeel.messages.market import DailyRange, Direction, Quote, QuotesResumed, QuotesStale
from evenkeel.messages.operator import HoldPlaced
from evenkeel.messages.position import ClosedBy, ClosePosition, ExitReason, PositionClosed, PositionOpened

WARM_S = 7_200
EVERY_S = 5
STALE_S = 5
"""After so long the feed of a live run says that quotes are stale (limits.quote_age_s_max)."""
PRICES = {"EURUSD": 110_000, "GBPUSD": 125_000, "USDJPY": 150_000}
BREAKER = "circuit_breaker"
UNTOUCHED = {
    "entry.stop_pips": 600.0,
    "circuit_breaker.tighten_atr": "off",
    "limits.risk_per_trade_pct": 5.0,
}
"""Only the broker ends a position."""


class Day:
    """One pack on one symbol, told to the whole system. Seconds count from where the pack begins."""

    def __init__(self, name: str, symbol: str, **config: object) -> None:
        usual: dict[str, object] = {
            "strategy": {},
            "entry.volume_lots": 0.04,
            "entry.stop_pips": 40.0,
            "entry.target_pips": "off",
            "limits.session.rollover_after_minutes": "off",
            "limits.session.sunday_after_open_minutes": "off",
            f"symbols.{symbol}.typical_spread_points": 10,
        }
        config_now = config_of(**usual | config)
        self.symbol, self.pack = symbol, pack(name)
        self.specs = specs_of(config_now, [symbol])
        price = PRICES[symbol]
        daily = {symbol: [DailyRange(price + 700, price - 700, price)] * 15}
        self.scene: Scene = scene(config_now, self.specs, daily=daily)
        self.opened_utc_ms = MONDAY_UTC_MS + WARM_S * 1000
        self._quotes = played(self._calm(), self.pack.market, self.opened_utc_ms)
        self._deeds = sorted(self.pack.broker, key=lambda event: event.at_s)
        self._row, self._newest_utc_ms, self._is_stale = 0, MONDAY_UTC_MS, False
        self.now_s = -WARM_S

    def _calm(self) -> Iterator[tuple[str, Quote]]:
        """Up and down by two pips within five minutes, for ever."""
        number = 0
        while True:
            bid = PRICES[self.symbol] + abs(number % 40 - 20)
            yield self.symbol, Quote(MONDAY_UTC_MS + number * EVERY_S * 1000, bid, bid + 10)
            number += 1

    def until(self, seconds: float, *, wants: Direction | None = None) -> "Day":
        """Quotes, time and deeds until then; with `wants`, a signal every half a minute."""
        while self.now_s < seconds:
            self.now_s += EVERY_S
            self._serve(self.opened_utc_ms + self.now_s * 1000)
            while self._deeds and self._deeds[0].at_s <= self.now_s:
                deed = self._deeds.pop(0)
                if deed.kind == "broker_closes_all":
                    do(deed, self.scene.terminal.server)
                    self.scene.host.say("person", [ReadTerminal(99)])
            if wants and self.now_s % 30 == 0:
                self.signal(wants)
        return self

    def _serve(self, until_utc_ms: int) -> None:
        """The one quote of these seconds, unless the pack keeps it back or it is crossed: then the feed may miss it."""
        while True:
            arriving_utc_ms, _, quote = next(self._quotes) if self._held is None else self._held
            if arriving_utc_ms > until_utc_ms:
                self._held = arriving_utc_ms, self.symbol, quote
                break
            self._held = None
            if quote.bid_points <= quote.ask_points:
                self._fresh(quote)
        host = self.scene.host
        host.advance_to(max(until_utc_ms, host.clock.now_utc_ms()), inclusive=True)
        if until_utc_ms - self._newest_utc_ms > STALE_S * 1000 and not self._is_stale:
            self._is_stale = True
            host.say("market_feed", [QuotesStale(self.symbol, until_utc_ms - self._newest_utc_ms)])

    _held: Any = None

    def _fresh(self, quote: Quote) -> None:
        self._newest_utc_ms, self._row = quote.time_utc_ms, self._row + 1
        if self._is_stale:
            self._is_stale = False
            self.scene.host.say("market_feed", [QuotesResumed(self.symbol)])
        self.scene.replay.serve([(self._row, self.symbol, *quote_of(quote))])

    def signal(self, direction: Direction) -> None:
        quote = self.scene.terminal.quote(self.symbol)
        assert quote is not None
        spec_id = self.specs[self.symbol].spec_id
        self.scene.host.say("person", [SignalRaised(self.symbol, spec_id, direction, quote, 0, 10, Lineage("person", ""))])

    def said(self, *kinds: Any) -> list[Any]:
        return self.scene.said(*kinds)

    def opened(self) -> int:
        return sum(done.deal.entry is DealEntry.IN for done in self.said(DealDone))

    def reached(self) -> list[BreakerLevel]:
        """Levels that a measurement brought, with the seconds at which it was said left out."""
        return [change.level for change in self.said(BreakerChanged)]

    def denied_by_the_breaker(self) -> list[OrderDenied]:
        denials = [denied for denied in self.said(OrderDenied) if denied.reason is DenialReason.HOLD]
        return [denied for denied in denials if denied.detail.startswith(BREAKER)]


def quote_of(quote: Quote) -> tuple[int, int, int]:
    return quote.time_utc_ms, quote.bid_points, quote.ask_points


def only(**steps: object) -> dict[str, object]:
    """A breaker with these triggers and no other."""
    return {f"circuit_breaker.{key}": steps.get(key, "off") for key in STEPS}


def bought(day: Day) -> Day:
    day.until(30)
    day.signal(Direction.BUY)
    assert day.opened() == 1
    return day


def test_pm2_a_floor_that_falls_costs_one_gap_and_nothing_is_opened_until_a_person_has_looked() -> None:
    day = bought(Day("chf-2015", "EURUSD"))
    day.until(2_510, wants=Direction.SELL)  # no quote since 120
    while_open = day.opened()
    day.until(9_000, wants=Direction.SELL)
    [closed] = day.said(PositionClosed)
    assert closed.close_points < 80_000
    assert len(day.said(ClosePosition)) <= 1
    assert day.opened() == while_open == 1
    assert BreakerLevel.BLACK in day.reached()
    assert [hold.until_utc_ms for hold in day.said(HoldPlaced) if hold.who == BREAKER][-1] == 0


@pytest.mark.parametrize(
    "trigger, steps, by_s",
    [("move_atr", (4.0, 6.0, 10.0), 180), ("spread_ratio", (3.0, 5.0, 10.0), 190), ("silence_s", (4.0, 6.0, 8.0), 245)],
)
def test_pm3_speed_spread_and_missing_quotes_each_halt_entries(trigger: str, steps: object, by_s: int) -> None:
    day = Day("gbp-2016", "GBPUSD", **only(**{trigger: steps})).until(by_s)
    assert day.reached()[-1] is BreakerLevel.RED
    before = day.opened()
    day.until(by_s + 600, wants=Direction.BUY)
    assert day.opened() == before
    assert day.denied_by_the_breaker()


def test_pm3_the_bounce_alone_opens_nothing_and_the_restart_is_small() -> None:
    day = Day("gbp-2016", "GBPUSD", **only(move_atr=(4.0, 6.0, 10.0), spread_ratio=(3.0, 5.0, 10.0))).until(180)
    day.until(1_800, wants=Direction.BUY)  # price is back
    assert day.scene.terminal.quote("GBPUSD").bid_points > 120_000  # type: ignore[union-attr]
    assert day.opened() == 0
    last_red_s = 415  # the spread was wide until then
    day.until(last_red_s + 44 * 60, wants=Direction.BUY)
    assert day.opened() == 0
    sizes = [change.size_ppm for change in day.until(last_red_s + 150 * 60).said(BreakerChanged) if change.phase > 2]
    assert sizes[0] == 250_000
    assert day.reached()[-1] is BreakerLevel.NORMAL


def test_pm4_what_the_broker_closes_is_the_brokers_and_is_not_bought_again() -> None:
    day = bought(Day("jpy-2019", "USDJPY", **UNTOUCHED))
    day.until(1_500, wants=Direction.BUY)
    [closed] = day.said(PositionClosed)
    assert (closed.reason, closed.by) == (ExitReason.STOP_OUT, ClosedBy.BROKER)
    assert day.opened() == 1
    assert day.denied_by_the_breaker()


def test_pm13_a_wide_spread_at_the_rollover_opens_nothing_brings_no_stop_nearer_and_costs_no_position() -> None:
    day = bought(Day("rollover", "EURUSD"))
    day.until(960, wants=Direction.SELL)
    assert BreakerLevel.RED in day.reached()
    assert {change.atr_points for change in day.said(BreakerChanged)} == {0}
    assert day.opened() == 1
    day.until(960 + 44 * 60, wants=Direction.SELL)
    assert day.opened() == 1
    assert day.said(PositionClosed) == []
    assert len(day.said(PositionOpened)) == 1
