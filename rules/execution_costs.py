"""What a trade paid beside commission and swap: half the spread at each end, and what a fill was worse than its quote.

With both, `profit - spread - slippage` is what the move made from middle to middle.
"""

from collections.abc import Iterable

import msgspec

from evenkeel.messages.market import Direction, Quote, SymbolSpec
from evenkeel.messages.position import PositionClosed


class ExecutionCosts(msgspec.Struct, frozen=True):
    """In cents, negative where it was paid, a better fill than the quote positive. None: nobody knows the quote.

    The quote of an end is the one that it was decided on; each amount is rounded down, so a cost is never shown smaller.
    """

    entry_spread_cents: int | None = None
    entry_slippage_cents: int | None = None
    exit_spread_cents: int | None = None
    exit_slippage_cents: int | None = None


class CostSums(msgspec.Struct, frozen=True):
    """`fills_known` of `fills` have a quote: each trade has two. The sums are over those."""

    spread_cents: int
    slippage_cents: int
    fills_known: int
    fills: int


def execution_costs(
    closed: PositionClosed, spec: SymbolSpec, entry: Quote | None = None, exit_: Quote | None = None
) -> ExecutionCosts:
    """`entry` and `exit_` are the quotes that it was opened and closed on, in points of `spec`; the volume is that at the
    close."""
    is_buy = closed.direction is Direction.BUY
    entry_costs = _end(closed.entry_points, entry, spec, closed.volume_steps, buys=is_buy)
    return ExecutionCosts(*entry_costs, *_end(closed.close_points, exit_, spec, closed.volume_steps, buys=not is_buy))


def cost_sums(costs: Iterable[ExecutionCosts]) -> CostSums:
    spread_cents = slippage_cents = known = fills = 0
    for one in costs:
        ends = (one.entry_spread_cents, one.entry_slippage_cents), (one.exit_spread_cents, one.exit_slippage_cents)
        for spread, slippage in ends:
            fills += 1
            if spread is not None and slippage is not None:
                spread_cents, slippage_cents, known = spread_cents + spread, slippage_cents + slippage, known + 1
    return CostSums(spread_cents, slippage_cents, known, fills)


def _end(
    fill_points: int, quote: Quote | None, spec: SymbolSpec, volume_steps: int, *, buys: bool
) -> tuple[int | None, int | None]:
    """Spread and slippage of one fill."""
    if quote is None or not fill_points:
        return None, None
    slipped_points = quote.ask_points - fill_points if buys else fill_points - quote.bid_points
    worth, lot = volume_steps * spec.worth.numerator, spec.worth.denominator * spec.steps_per_lot
    spread_points = quote.ask_points - quote.bid_points
    return -spread_points * worth // (2 * lot), slipped_points * worth // lot
