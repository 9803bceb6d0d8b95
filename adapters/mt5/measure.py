"""The assumptions about a server, measured on a demo account by trading the smallest volume a few times.

What cannot be provoked by an honest client is not measured: it stays an assumption, and is listed as one.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

import msgspec

from evenkeel.adapters.mt5 import constants as mt5
from evenkeel.adapters.mt5.module import Package, identity_of
from evenkeel.adapters.mt5.server_time import STEP_MS
from evenkeel.adapters.mt5.translate import Trading, filling_of

MAGIC: Final = 4_711
COMMENT: Final = "evenkeel 890123456789012345"
SEEN_WITHIN_S: Final = 30.0
_LOOK_EVERY_S: Final = 0.02


class NotMeasurable(Exception):
    """Not a demo account, or the first order did not go through. One line."""


class Measured(msgspec.Struct, frozen=True):
    """`assumed` is what the simulated server takes for granted; `found` what this broker did."""

    name: str
    assumed: str
    found: str

    @property
    def differs(self) -> bool:
        return self.assumed != self.found


def measure(
    package: Package,
    symbol: str,
    assumed: Mapping[str, object],
    *,
    now_utc_ms: Callable[[], int],
    monotonic_s: Callable[[], float],
    sleep: Callable[[float], None],
) -> Iterator[Measured]:
    """Opens and closes three positions of the smallest volume. Raises NotMeasurable; leaves nothing open that it opened."""
    identity = identity_of(package)
    if identity is None or identity.trade_mode != "demo":
        raise NotMeasurable("only a demo account is measured")
    probe = _Probe(package, symbol, monotonic_s, sleep)

    def row(name: str, found: object) -> Measured:
        return Measured(name, str(assumed.get(name, "")), str(found))

    try:
        yield row("server_zone", _zone(package, symbol, now_utc_ms()))
        opened = probe.open(comment=COMMENT)
        yield row("result_has_deal", bool(opened.deal))
        yield row("visible_lag_ms", probe.until(lambda: package.positions_get(ticket=opened.order)))
        yield row("history_lag_ms", probe.until(lambda: package.history_deals_get(position=opened.order)))
        held = package.positions_get(ticket=opened.order)[0]
        yield row("comment_characters_kept", 29 if held.comment == COMMENT else len(held.comment))
        side = mt5.ORDER_TYPE_BUY
        yield row("same_side_close_code", probe.close(opened.order, side=side).retcode)
        yield row("unknown_ticket_code", probe.send({"action": mt5.TRADE_ACTION_REMOVE, "order": 1}).retcode)
        probe.close(opened.order)
        yield row("close_keeps_magic", probe.magic_of_close(opened.order) == MAGIC)
        yield row("position_gone_code", probe.close(opened.order).retcode)
        yield row("stops_allowed_on_open", probe.opens_with_stops())
        yield row("pending_filling", probe.pending_filling())
    finally:
        probe.close_all()


def _zone(package: Package, symbol: str, now_utc_ms: int) -> str:
    tick = package.symbol_info_tick(symbol)
    if tick is None:
        return "unknown"
    hours = round((tick.time_msc - now_utc_ms) / STEP_MS) * STEP_MS / 3_600_000
    return "UTC" if hours == 0 else f"UTC{hours:+g}"


class _Probe:
    """Small orders, and what became of them."""

    def __init__(self, package: Package, symbol: str, monotonic_s: Callable[[], float], sleep: Callable[[float], None]) -> None:
        self._package, self._symbol, self._monotonic_s, self._sleep = package, symbol, monotonic_s, sleep
        info = package.symbol_info(symbol)
        if info is None:
            raise NotMeasurable(f"no symbol {symbol}")
        self._info, self._filling = info, filling_of(Trading(info.trade_exemode, info.filling_mode))

    def send(self, request: Mapping[str, Any]) -> Any:
        result = self._package.order_send(dict(request))
        if result is None:
            raise NotMeasurable(f"order_send: {self._package.last_error()}")
        return result

    def open(self, *, comment: str = "", **more: float) -> Any:
        tick = self._package.symbol_info_tick(self._symbol)
        result = self.send(self._deal(mt5.ORDER_TYPE_BUY, tick.ask) | {"comment": comment, **more})
        if result.retcode not in (mt5.TRADE_RETCODE_DONE, mt5.TRADE_RETCODE_PLACED):
            raise NotMeasurable(f"the first order was refused: {result.retcode} {result.comment}")
        return result

    def close(self, ticket: int, *, side: int = mt5.ORDER_TYPE_SELL) -> Any:
        tick = self._package.symbol_info_tick(self._symbol)
        return self.send(self._deal(side, tick.bid) | {"position": ticket, "magic": MAGIC + 1})

    def _deal(self, side: int, price: float) -> dict[str, Any]:
        return {
            "action": mt5.TRADE_ACTION_DEAL,
            "symbol": self._symbol,
            "volume": float(self._info.volume_min),
            "type": side,
            "price": price,
            "deviation": 100,
            "magic": MAGIC,
            "type_filling": self._filling,
        }

    def until(self, look: Callable[[], Any]) -> int:
        """Milliseconds until it shows something, 0 for at once."""
        began_s = self._monotonic_s()
        if look():
            return 0
        while self._monotonic_s() - began_s < SEEN_WITHIN_S:
            self._sleep(_LOOK_EVERY_S)
            if look():
                break
        return round((self._monotonic_s() - began_s) * 1000)

    def magic_of_close(self, position: int) -> int | None:
        self.until(lambda: len(self._package.history_deals_get(position=position) or ()) > 1)
        deals = [deal for deal in self._package.history_deals_get(position=position) or () if deal.entry == mt5.DEAL_ENTRY_OUT]
        return deals[-1].magic if deals else None

    def opens_with_stops(self) -> bool:
        tick, point = self._package.symbol_info_tick(self._symbol), self._info.point
        away = max(500, 3 * self._info.trade_stops_level) * point
        sl, tp = round(tick.bid - away, self._info.digits), round(tick.ask + away, self._info.digits)
        result = self.send(self._deal(mt5.ORDER_TYPE_BUY, tick.ask) | {"sl": sl, "tp": tp})
        return bool(result.retcode == mt5.TRADE_RETCODE_DONE)

    def pending_filling(self) -> str:
        """Which fillings order_check takes for a pending order far away."""
        tick = self._package.symbol_info_tick(self._symbol)
        price = round(tick.bid * 0.98, self._info.digits)
        taken = []
        for filling in (mt5.ORDER_FILLING_FOK, mt5.ORDER_FILLING_IOC, mt5.ORDER_FILLING_RETURN):
            request = self._deal(mt5.ORDER_TYPE_BUY_LIMIT, price) | {
                "action": mt5.TRADE_ACTION_PENDING,
                "type_filling": filling,
            }
            checked = self._package.order_check(request)
            if checked is not None and checked.retcode == 0:
                taken.append(filling)
        if taken == [mt5.ORDER_FILLING_RETURN]:
            return "return"
        return "any" if mt5.ORDER_FILLING_RETURN in taken else "mask"

    def close_all(self) -> None:
        for held in self._package.positions_get(symbol=self._symbol) or ():
            if held.magic == MAGIC:
                self.close(held.ticket)
