"""Playing a scenario: bent quotes, broker's deeds in their time, failing calls."""

from collections import Counter
from collections.abc import Iterator, Sequence
from random import Random
from typing import Final

import msgspec

from evenkeel.adapters.mt5 import constants as mt5
from evenkeel.adapters.simulated.faults import Call
from evenkeel.adapters.simulated.feeds import Quoted, shifted, widened
from evenkeel.adapters.simulated.packs import BrokerEvent, CallEvent, MarketEvent
from evenkeel.adapters.simulated.server.book import Why
from evenkeel.adapters.simulated.server.records import Request
from evenkeel.adapters.simulated.server.server import TradeServer
from evenkeel.adapters.simulated.server.terms import SymbolTerms
from evenkeel.messages.market import Quote

_TERM_NAMES: Final = {
    "trade_mode": "trade_mode",
    "execution": "execution",
    "digits": "shown_digits",
    "contract_size": "contract_size",
    "stops_level": "stops_level_points",
    "freeze_level": "freeze_level_points",
    "filling_mask": "filling_mask",
    "volume_step": "volume_step_steps",
    "margin_ratio": "margin_ratio",
    "tick_value": "shown_tick_value",
    "liquidity": "liquidity_steps",
}
_OPERATIONS: Final = {
    "deposit": mt5.DEAL_TYPE_BALANCE,
    "correction": mt5.DEAL_TYPE_CORRECTION,
    "credit": mt5.DEAL_TYPE_CREDIT,
    "dividend": mt5.DEAL_DIVIDEND,
    "commission": mt5.DEAL_TYPE_COMMISSION_DAILY,
}
_BY_PERSON: Final = Why(reason=mt5.DEAL_REASON_CLIENT)


Arriving = tuple[int, str, Quote]
"""When a quote arrives (UTC milliseconds), its symbol, and the quote with the stamp that it bears."""


def played(quotes: Iterator[Quoted], events: Sequence[MarketEvent], opened_utc_ms: int) -> Iterator[Arriving]:
    """The quotes as the events bend them, each after those before it in the list."""
    last: dict[str, Quote] = {}
    for name, original in quotes:
        elapsed_s = (original.time_utc_ms - opened_utc_ms) / 1000
        mine = [one for one in events if not one.symbols or name in one.symbols]
        shown = [original]
        for event in mine:
            shown = _bent(event, shown, elapsed_s, last.get(name))
        for at, quote in enumerate(shown):
            last[name] = quote
            yield original.time_utc_ms + (at if len(shown) > 2 else 0), name, quote


def _bent(event: MarketEvent, quotes: list[Quote], elapsed_s: float, last: Quote | None) -> list[Quote]:
    if event.kind == "shift":  # stays
        share = (elapsed_s - event.from_s) / max(1e-9, event.to_s - event.from_s)
        factor = 1 + event.percent / 100 * min(1.0, max(0.0, share))
        return quotes if factor == 1 else [shifted(quote, factor) for quote in quotes]
    if not event.from_s <= elapsed_s < event.to_s:
        return quotes
    match event.kind:
        case "spread":
            return [widened(quote, event.times) for quote in quotes]
        case "silence":
            return []
        case "frozen":
            return [] if last is None else [Quote(quote.time_utc_ms, last.bid_points, last.ask_points) for quote in quotes]
        case "crossed":
            return [Quote(quote.time_utc_ms, quote.ask_points + 1, quote.bid_points) for quote in quotes]
        case "zero":
            return [Quote(quote.time_utc_ms, 0, 0) for quote in quotes]
        case "backwards" | "future":
            ahead_ms = round(event.seconds * 1000) * (1 if event.kind == "future" else -1)
            return [Quote(quote.time_utc_ms + ahead_ms, quote.bid_points, quote.ask_points) for quote in quotes]
        case "burst":
            return [
                Quote(quote.time_utc_ms + at, quote.bid_points + at % 2, quote.ask_points + at % 2)
                for quote in quotes
                for at in range(max(1, round(event.times)))
            ]
        case "repeat":
            return [quote for quote in quotes for _ in range(2)]
        case _:
            up = int((elapsed_s - event.from_s) / max(0.001, event.seconds)) % 2 == 0
            return [shifted(quote, 1 + event.percent / 100 * (1 if up else -1)) for quote in quotes]


class Troubles:
    """Which call goes wrong, and how: at most one trouble a call, the first that is written for it."""

    def __init__(self, events: Sequence[CallEvent], seed: int) -> None:
        self._events, self._draw, self._calls = events, Random(f"{seed}-calls"), Counter[Call]()

    def at(self, call: Call, elapsed_s: float) -> CallEvent | None:
        self._calls[call] += 1
        return next((event for event in self._events if self._strikes(event, call, elapsed_s)), None)

    def _strikes(self, event: CallEvent, call: Call, elapsed_s: float) -> bool:
        if call not in event.on or not event.from_s <= elapsed_s < event.to_s:
            return False
        if event.nth:
            return self._calls[call] == event.nth
        return event.rate >= 1 or self._draw.random() < event.rate


class Deeds:
    """The broker's, a person's and the terminal's, each once its time has come. `switches` are the terminal's own states."""

    def __init__(self, events: Sequence[BrokerEvent]) -> None:
        self._to_come = sorted(events, key=lambda event: event.at_s)

    @property
    def next_s(self) -> float | None:
        return self._to_come[0].at_s if self._to_come else None

    def due(self, elapsed_s: float) -> Iterator[BrokerEvent]:
        while self._to_come and self._to_come[0].at_s <= elapsed_s:
            yield self._to_come.pop(0)


def do(event: BrokerEvent, server: TradeServer) -> None:
    """What a broker or a person does at the server; what concerns the terminal is not done here."""
    if event.kind in _OPERATIONS:
        server.book.operate(_OPERATIONS[event.kind], round(float(event.value)), event.kind)
    elif event.kind in _TERM_NAMES:
        _change_terms(event, server)
    elif event.kind == "spec_removed":
        server.replace_terms(_with(server.symbols[event.symbol], "trade_mode", mt5.SYMBOL_TRADE_MODE_DISABLED))
    elif event.kind == "person_opens":
        _person_opens(event, server)
    elif event.kind in ("person_closes_all", "person_closes_half", "broker_closes_all"):
        reason = Why(reason=mt5.DEAL_REASON_SO, comment="so") if event.kind == "broker_closes_all" else _BY_PERSON
        for position in list(server.book.positions.values()):
            if not event.symbol or position.symbol == event.symbol:
                half = event.kind == "person_closes_half"
                server.book.leave(position, max(1, position.volume_steps // 2) if half else position.volume_steps, reason)
    elif event.kind in ("person_removes_stops", "person_moves_stops"):
        for position in list(server.book.positions.values()):
            if event.kind == "person_removes_stops":
                server.book.set_levels(position, 0, 0)
            elif position.sl_points:
                away_points = round(float(event.value)) * position.sign
                server.book.set_levels(position, position.sl_points - away_points, position.tp_points)
    server.arm()


def _change_terms(event: BrokerEvent, server: TradeServer) -> None:
    for name in [event.symbol] if event.symbol else list(server.symbols):
        terms, field = server.symbols[name], _TERM_NAMES[event.kind]
        value = float(event.value)
        if event.kind in ("volume_step", "liquidity"):
            value = value * terms.steps_per_lot
        server.replace_terms(_with(terms, field, value if event.kind in ("margin_ratio", "tick_value") else round(value)))
        if event.kind == "digits":  # fewer decimals: prices are kept as they are, but only some of them are prices
            coarse = server.symbols[name]
            server.replace_terms(_with(coarse, "tick_size_points", coarse.points_per_shown))


def _with(terms: SymbolTerms, field: str, value: float | int) -> SymbolTerms:
    return msgspec.convert({**msgspec.to_builtins(terms), field: value}, SymbolTerms)


def _person_opens(event: BrokerEvent, server: TradeServer) -> None:
    """`value` lots, negative to sell."""
    terms, lots = server.symbols[event.symbol], float(event.value)
    price = server.prices.get(event.symbol)
    if price is None:
        return
    side = mt5.ORDER_TYPE_BUY if lots > 0 else mt5.ORDER_TYPE_SELL
    server.send(
        Request(
            mt5.TRADE_ACTION_DEAL,
            event.symbol,
            round(abs(lots) * terms.steps_per_lot),
            price.entry_points(lots > 0),
            type=side,
            reason=mt5.ORDER_REASON_CLIENT,
        )
    )
