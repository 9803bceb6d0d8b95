"""What trading itself cost: from the move between the middles of bid and ask down to the net."""

from collections.abc import Iterable
from typing import Final

from evenkeel.commands.report.findings import Findings
from evenkeel.commands.report.markup import FORMULA, Cell, Markup, element, joined, table
from evenkeel.commands.report.numbers import Money, count, percent

HEADER: Final = ("Part", "Money", FORMULA)
SPREAD: Final = "sum of -(ask - bid) / 2 x volume x worth of a point"
SLIPPAGE: Final = "sum of (ask - price) of what bought, (price - bid) of what sold, x volume x worth of a point"


def costs_section(findings: Findings) -> Markup:
    money, found, costs = Money(findings.account), findings.statistics, findings.statistics.costs
    is_whole = bool(costs.fills) and costs.fills_known == costs.fills
    beside_cents = costs.spread_cents + costs.slippage_cents
    paid_cents = beside_cents + found.commission_cents + found.swap_cents
    ends = [one.costs for one in findings.trades]
    rows: list[list[str | Cell]] = [
        [
            *("Middle to middle", money.cell(found.profit_cents - beside_cents if is_whole else None)),
            "profit before costs - spread - slippage: what the same moves make where nothing is paid",
        ],
        ["Spread at entries", money.cell(_sum(one.entry_spread_cents for one in ends)), SPREAD],
        ["Spread at exits", money.cell(_sum(one.exit_spread_cents for one in ends)), SPREAD],
        ["Slippage at entries", money.cell(_sum(one.entry_slippage_cents for one in ends)), SLIPPAGE],
        ["Slippage at exits", money.cell(_sum(one.exit_slippage_cents for one in ends)), SLIPPAGE],
        ["Profit before costs", money.cell(found.profit_cents), "sum of what the prices made; spread and slippage are in it"],
        ["Commission", money.cell(found.commission_cents), "sum of the deals' commission, fees among it"],
        ["Swap", money.cell(found.swap_cents), "sum of the deals' swap"],
        ["Net", money.cell(found.net_cents), "profit before costs + commission + swap"],
        ["All costs", money.cell(paid_cents if is_whole else None), "spread + slippage + commission + swap"],
        [
            *("All costs, a trade", money.cell(paid_cents / found.trades if is_whole and found.trades else None)),
            "all costs / trades",
        ],
    ]
    share = percent(costs.fills_known / costs.fills) if costs.fills else "none"
    words = (
        f"Spread and slippage are measured against the quote that an order was decided on, which is known for"
        f" {count(costs.fills_known)} of {count(costs.fills)} fills ({share}). What the broker closed by itself has none in a"
        " recorded run. A back-test fills at the quote that it decides on, so it has no slippage."
    )
    return joined([element("p", words, class_="soft"), table("From the prices to the net, over closed trades", HEADER, rows)])


def _sum(cents: Iterable[int | None]) -> int | None:
    """Of those that are known; None where none is."""
    known = [one for one in cents if one is not None]
    return sum(known) if known else None
