"""How far each symbol may move without anything happening at the server.

What the account can lose before the stop-out is divided among the exposed symbols and those whose rates they rely on: no
quotes inside their bands can bring it there together. Levels of positions and orders lie outside.
"""

from collections.abc import Mapping, Sequence
from typing import Final, Protocol

from evenkeel.adapters.simulated.server.money import Money
from evenkeel.adapters.simulated.server.prices import Price
from evenkeel.adapters.simulated.server.records import Order, Position

_ROUNDING_CENTS: Final = 2
"""Of each position: its profit is rounded now and again at the quote that decides."""
_RATE_MOVE_PCT: Final = 5


class Held(Protocol):
    @property
    def orders(self) -> Mapping[int, Order]: ...

    def profit_cents(self, position: Position) -> int: ...


def arm_bands(
    prices: Mapping[str, Price], exposed: Mapping[str, Sequence[Position]], book: Held, money: Money, slack_cents: int
) -> None:
    """`exposed` are the positions by symbol, `slack_cents` what may still be lost; each price gets its band."""
    for price in prices.values():
        price.open_band()
    relied = {symbol: money.relies_on(symbol) for symbol in exposed}
    rates = set().union(*relied.values())
    shares, held = len(exposed) + len(rates), sum(map(len, exposed.values()))
    if shares:
        spent_pct = 2 * _RATE_MOVE_PCT * bool(rates)
        share_cents = (slack_cents - _ROUNDING_CENTS * held) // shares * (100 - spent_pct) // 100
        for symbol, positions in exposed.items():
            if symbol in prices:  # else its first quote is served in any case
                _narrow(symbol, prices[symbol], positions, money, share_cents)
        for rate in rates & prices.keys():
            dependents = [one for symbol, positions in exposed.items() if rate in relied[symbol] for one in positions]
            _keep_rate_near(prices[rate], sum(abs(book.profit_cents(one)) for one in dependents), share_cents)
    for order in book.orders.values():
        if order.symbol in prices:
            prices[order.symbol].leave_out_order(order)


def _narrow(symbol: str, price: Price, positions: Sequence[Position], money: Money, loss_cents: int) -> None:
    volume_steps = sum(position.volume_steps for position in positions)
    reach_points = _reach_points(symbol, price.bid_points, volume_steps, money, loss_cents)
    for position in positions:
        price.leave_out(position, reach_points)


def _reach_points(symbol: str, bid_points: int, volume_steps: int, money: Money, loss_cents: int) -> int:
    """A distance, at most half of the price, within which `volume_steps` lose at most `loss_cents`.

    Linear from the loss at half of the price, where a point is worth most if the worth depends on the price.
    """
    half_points = bid_points // 2
    worst_cents = -money.profit_cents(symbol, -half_points * volume_steps, 1, bid_points - half_points)
    return half_points * max(0, min(loss_cents, worst_cents)) // max(1, worst_cents)


def _keep_rate_near(price: Price, floating_cents: int, loss_cents: int) -> None:
    """The rate may move so far that what floats in it changes by `loss_cents` at most, and never by more than 5 %."""
    at_stake_cents = max(1, floating_cents * 11 // 10)
    farthest = price.bid_points * _RATE_MOVE_PCT // 100
    price.keep_near(min(farthest, price.bid_points * max(0, loss_cents) // at_stake_cents))
