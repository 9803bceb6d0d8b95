"""The witness's own fold of what became durable."""

import pytest
from orders import order

from evenkeel.commands.simulate.chronicle import Chronicle
from evenkeel.messages.broker_gateway import CallTerminal
from evenkeel.messages.market import Direction
from evenkeel.messages.shield import ShieldLowered, ShieldRaised, ShieldReason
from evenkeel.rules.order_intents import request_for

BUY, SELL = Direction.BUY, Direction.SELL


@pytest.mark.parametrize(
    "blocked, symbol, is_shielded", [(BUY, "EURUSD", True), (SELL, "EURUSD", False), (BUY, "GBPUSD", False)]
)
def test_an_order_that_is_passed_into_a_blocked_direction_is_noticed(blocked, symbol, is_shielded):
    chronicle = Chronicle()
    chronicle.hear(ShieldRaised(symbol, blocked, ShieldReason.AWAY, 2, 1, 60_000, ()), 0)
    assert sent(chronicle) is is_shielded
    chronicle.hear(ShieldLowered(symbol, blocked, "time"), 0)
    assert sent(chronicle) is False


def test_one_that_was_passed_before_the_shield_was_raised_is_on_its_way():
    chronicle = Chronicle()
    chronicle.hear(order(), 0)
    chronicle.hear(ShieldRaised("EURUSD", BUY, ShieldReason.AWAY, 2, 1, 60_000, ()), 0)
    chronicle.hear(CallTerminal(1, 7, 0, 0, request_for(order())), 0)
    assert not chronicle.asked[7].is_shielded


def sent(chronicle: Chronicle) -> bool:
    """Whether an order that is passed now is one into a shield."""
    chronicle.hear(order(), 0)
    chronicle.hear(CallTerminal(1, 7, 0, 0, request_for(order())), 0)
    return chronicle.asked[7].is_shielded
