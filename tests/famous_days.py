"""Days that became famous, as the packs of the simulated terminal play them, told to the whole system."""

from collections.abc import Iterator
from typing import Any, Final

from builders import MONDAY_UTC_MS, Scene, config_of, scene, specs_of

from evenkeel.adapters.simulated.packs import pack
from evenkeel.adapters.simulated.play import do, played
from evenkeel.messages.broker_gateway import DealDone, DealEntry, ReadTerminal
from evenkeel.messages.circuit_breaker import BreakerChanged, BreakerLevel
from evenkeel.messages.entry import DenialReason, Lineage, OrderDenied, SignalRaised
from evenkeel.messages.market import DailyRange, Direction, Quote, QuotesResumed, QuotesStale

WARM_S = 7_200
EVERY_S = 5
STALE_S = 5
"""After so long the feed of a live run says that quotes are stale (limits.quote_age_s_max)."""
PRICES = {"EURUSD": 110_000, "GBPUSD": 125_000, "USDJPY": 150_000}
BREAKER: Final = "circuit_breaker"


class Day:
    """One pack on one symbol, told to the whole system. Seconds count from where the pack begins, `warm_s` after the start."""

    warm_s = WARM_S
    every_s = EVERY_S

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
        self.opened_utc_ms = MONDAY_UTC_MS + self.warm_s * 1000
        self._quotes = played(self._calm(), self.pack.market, self.opened_utc_ms)
        self._deeds = sorted(self.pack.broker, key=lambda event: event.at_s)
        self._row, self._newest_utc_ms, self._is_stale = 0, MONDAY_UTC_MS, False
        self.now_s = -self.warm_s

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
            self.now_s += self.every_s
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

    def signal(self, direction: Direction, strategy: str = "") -> None:
        quote = self.scene.terminal.quote(self.symbol)
        assert quote is not None
        spec_id = self.specs[self.symbol].spec_id
        self.scene.host.say(
            "person", [SignalRaised(self.symbol, spec_id, direction, quote, 0, 10, Lineage("person", strategy))]
        )

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
