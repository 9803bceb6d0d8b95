"""Trades and slots of a symbol: one trade is what one signal opened, with all that came of it."""

import pytest
from orders import SPEC, opened
from position_builders import chained, of_chain

from evenkeel.messages.entry import DenialReason, Lineage, OrderKind
from evenkeel.rules.entries import Refusal
from evenkeel.rules.position import Closing, PositionState, managed
from evenkeel.rules.slots import SLOTS_MAX, free_slots, slot_refusal

FRESH = Lineage("strategy", "trend")
CONFIG = chained("dual")


def holding(*lineages: Lineage) -> PositionState:
    state = PositionState(spec=SPEC)
    for ticket, lineage in enumerate(lineages, start=1):
        state.positions[ticket] = managed(CONFIG, SPEC, opened(ticket, lineage=lineage))
    return state


def refused(state: PositionState, lineage: Lineage = FRESH, orders: int = 2) -> Refusal | None:
    return slot_refusal(CONFIG, state, lineage, orders)


@pytest.mark.parametrize(
    "taken, asked, orders, found",
    [
        ([], 0, 1, [0]),
        ([], 0, 2, [0, 1]),
        ([0], 0, 1, [1]),
        ([1], 0, 2, [0, 2]),
        ([0, 2], 0, 2, [1, 3]),
        ([0], 5, 1, [5]),
        ([0], 5, 2, [5, 1]),
    ],
)
def test_an_order_gets_the_slot_that_it_asks_for_or_the_first_free_one_and_its_sibling_the_next(taken, asked, orders, found):
    state = holding(*(of_chain(slot=slot) for slot in taken))
    assert free_slots(state, asked, orders) == found


def test_a_symbol_has_its_trade_while_anything_of_it_is_open():
    derived = of_chain(OrderKind.PROFIT_RECOVERY, "X/b", parent_ticket=9, level=1, slot=2)
    assert refused(holding(of_chain(slot=0), of_chain(OrderKind.PROFIT_TRAIL, "X/b", slot=1), derived)) == Refusal(
        DenialReason.SLOT_TAKEN, 1, 1, "count"
    )


def test_trades_that_are_no_chains_count_each():
    assert refused(holding(Lineage("adopted", "", slot=0), Lineage("adopted", "", slot=0))).measured == 2


def test_a_slot_that_is_about_to_be_free_says_so():
    state = holding(of_chain())
    state.positions[1].closing = Closing(reason="stop", remaining_steps=0)
    assert refused(state).reason is DenialReason.CLOSING


def test_another_try_for_an_order_does_not_stand_in_the_way_of_itself():
    assert refused(holding(of_chain(OrderKind.PROFIT_TRAIL, "X/b", slot=1)), of_chain(proposal_id="p"), 1) is None


def test_derived_orders_are_held_to_the_slots_that_there_are_alone():
    derived = of_chain(OrderKind.PROFIT_TRAIL, "X/b", parent_ticket=9, level=1)
    full = holding(*(of_chain(slot=slot) for slot in range(SLOTS_MAX)))
    assert refused(holding(Lineage("strategy", "plain")), derived, 1) is None
    assert refused(full, derived, 1) == Refusal(DenialReason.SLOT_TAKEN, SLOTS_MAX, SLOTS_MAX, "count")
