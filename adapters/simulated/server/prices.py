"""The newest quote of a symbol at the server, and the band in which a quote changes nothing there."""

from collections import deque
from typing import Final

from evenkeel.adapters.mt5 import constants as mt5
from evenkeel.adapters.simulated.server.records import Order, Position
from evenkeel.rules.bands import Band

_FAR_POINTS: Final = 1 << 62


class Price:
    """A trigger counts with both ends: a level is reached by a quote at it."""

    __slots__ = (
        "ask_ceiling",
        "ask_floor",
        "ask_points",
        "bid_ceiling",
        "bid_floor",
        "bid_points",
        "ticks",
        "time_utc_ms",
    )

    def __init__(self, time_utc_ms: int, bid_points: int, ask_points: int, keep_ticks: int) -> None:
        self.time_utc_ms, self.bid_points, self.ask_points = time_utc_ms, bid_points, ask_points
        self.ticks: deque[tuple[int, int, int]] | None = deque(maxlen=keep_ticks) if keep_ticks else None
        self.shut_band()

    def __str__(self) -> str:
        return f"{self.bid_points}/{self.ask_points}"

    @property
    def band(self) -> Band:
        return Band(self.bid_floor, self.bid_ceiling, self.ask_floor, self.ask_ceiling)

    def entry_points(self, is_buy: bool) -> int:
        """What an order of that side is filled at."""
        return self.ask_points if is_buy else self.bid_points

    def exit_points(self, is_buy: bool) -> int:
        """What a position of that side is closed at."""
        return self.bid_points if is_buy else self.ask_points

    def exit_reason(self, position: Position) -> int | None:
        """Which of the position's own levels this quote reaches, as the reason of its deal."""
        now_points, sign = self.exit_points(position.is_buy), position.sign
        if position.sl_points and sign * (now_points - position.sl_points) <= 0:
            return mt5.DEAL_REASON_SL
        if position.tp_points and sign * (now_points - position.tp_points) >= 0:
            return mt5.DEAL_REASON_TP
        return None

    def reaches(self, order: Order) -> bool:
        """Buy orders wait for the ask, sell orders for the bid."""
        if order.on_the_way:
            return False
        now_points = self.entry_points(order.is_buy)
        if order.triggered:
            level_points, rising = order.stoplimit_points, not order.is_buy
        else:
            level_points, rising = order.price_points, order.is_buy is not is_limit(order.type)
        if order.type <= mt5.ORDER_TYPE_SELL:
            return True  # the rest of a market order: at the next quote
        return now_points >= level_points if rising else now_points <= level_points

    def shut_band(self) -> None:
        self.bid_floor = self.bid_ceiling = self.ask_floor = self.ask_ceiling = 0

    def open_band(self) -> None:
        self.bid_floor = self.ask_floor = 0
        self.bid_ceiling = self.ask_ceiling = _FAR_POINTS

    def keep_near(self, reach_points: int) -> None:
        """Leave out whatever is `reach_points` or more away, on either side."""
        self.bid_floor = max(self.bid_floor, self.bid_points - reach_points)
        self.ask_floor = max(self.ask_floor, self.ask_points - reach_points)
        self.bid_ceiling = min(self.bid_ceiling, self.bid_points + reach_points)
        self.ask_ceiling = min(self.ask_ceiling, self.ask_points + reach_points)

    def leave_out(self, position: Position, reach_points: int) -> None:
        """The position's levels, and whatever is `reach_points` or more against it."""
        if position.is_buy:
            self.bid_floor = max(self.bid_floor, position.sl_points, self.bid_points - reach_points)
            self.bid_ceiling = min(self.bid_ceiling, position.tp_points or _FAR_POINTS)
        else:
            self.ask_ceiling = min(self.ask_ceiling, position.sl_points or _FAR_POINTS, self.ask_points + reach_points)
            self.ask_floor = max(self.ask_floor, position.tp_points)

    def leave_out_order(self, order: Order) -> None:
        """The level that the order waits for."""
        if order.on_the_way:
            return
        level_points = order.stoplimit_points if order.triggered else order.price_points
        rising = not order.is_buy if order.triggered else order.is_buy is not is_limit(order.type)
        if order.type <= mt5.ORDER_TYPE_SELL:
            self.shut_band()
        elif order.is_buy and rising:
            self.ask_ceiling = min(self.ask_ceiling, level_points)
        elif order.is_buy:
            self.ask_floor = max(self.ask_floor, level_points)
        elif rising:
            self.bid_ceiling = min(self.bid_ceiling, level_points)
        else:
            self.bid_floor = max(self.bid_floor, level_points)


def is_limit(order_type: int) -> bool:
    return order_type in (mt5.ORDER_TYPE_BUY_LIMIT, mt5.ORDER_TYPE_SELL_LIMIT)
