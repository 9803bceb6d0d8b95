"""What a fill cost against the quote that it was decided on."""

import pytest
from orders import closed

from evenkeel.messages.market import Direction, PointWorth, Quote, SymbolSpec
from evenkeel.rules.execution_costs import CostSums, ExecutionCosts, cost_sums, execution_costs

EURUSD = SymbolSpec(1, "EURUSD", 5, 100_000, 100, 1, 10_000, 0, PointWorth(100, 1), 11_000_000, 5)
USDJPY = SymbolSpec(1, "USDJPY", 3, 100_000, 100, 1, 10_000, 0, PointWorth(133, 2), 10_000_000, 5)
"""A tenth of a lot: a point of EURUSD is 10 cents, one of USDJPY 6.65."""


def quote(bid: int, ask: int) -> Quote:
    return Quote(1_000, bid, ask)


@pytest.mark.parametrize(
    ("direction", "entry", "exit_", "slipped"),
    [
        (Direction.BUY, quote(110_004, 110_010), quote(109_960, 109_966), (0, 0)),
        (Direction.BUY, quote(110_001, 110_007), quote(109_962, 109_968), (-30, -20)),
        (Direction.BUY, quote(110_008, 110_014), quote(109_955, 109_961), (40, 50)),
        (Direction.SELL, quote(110_010, 110_016), quote(109_954, 109_960), (0, 0)),
        (Direction.SELL, quote(110_013, 110_019), quote(109_951, 109_957), (-30, -30)),
    ],
)
def test_a_worse_fill_than_the_quote_is_a_cost_and_a_better_one_is_not(
    direction: Direction, entry: Quote, exit_: Quote, slipped: tuple[int, int]
) -> None:
    found = execution_costs(closed(direction=direction), EURUSD, entry, exit_)
    assert (found.entry_slippage_cents, found.exit_slippage_cents) == slipped
    assert (found.entry_spread_cents, found.exit_spread_cents) == (-30, -30), "half of six points at each end"


def test_from_the_middle_to_the_middle_is_profit_without_spread_and_slippage() -> None:
    trade = closed(direction=Direction.BUY, profit_cents=-500)  # bought at 110,010, sold at 109,960
    found = execution_costs(trade, EURUSD, quote(110_001, 110_007), quote(109_962, 109_968))
    sums = cost_sums([found])
    middles_cents = (109_965 - 110_004) * 10
    assert trade.profit_cents - sums.spread_cents - sums.slippage_cents == middles_cents


def test_a_part_of_a_cent_makes_a_cost_larger_never_smaller() -> None:
    found = execution_costs(closed(), USDJPY, quote(110_009, 110_010), quote(109_959, 109_960))
    assert (found.entry_spread_cents, found.exit_slippage_cents) == (-4, 6)


def test_without_a_quote_nothing_is_claimed() -> None:
    assert execution_costs(closed(), EURUSD) == ExecutionCosts()
    assert execution_costs(closed(entry_points=0), EURUSD, quote(1, 2)) == ExecutionCosts()
    half = execution_costs(closed(), EURUSD, quote(110_004, 110_010))
    assert cost_sums([half, ExecutionCosts()]) == CostSums(-30, 0, 1, 4)
