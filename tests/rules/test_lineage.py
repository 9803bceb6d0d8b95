import msgspec
import pytest
from builders import config_of

from evenkeel.messages.entry import Lineage, OrderKind
from evenkeel.rules.lineage import has_chains, is_fresh, is_recovery, plugins, starts_recovery

SIGNAL = Lineage("signal", "ma_cross")


@pytest.mark.parametrize(
    ("kind", "starts", "recovers"),
    [
        (OrderKind.SINGLE, False, False),
        (OrderKind.TP_TRAIL, True, False),
        (OrderKind.PROFIT_TRAIL, False, False),
        (OrderKind.TP_CONTINUATION, True, False),
        (OrderKind.SL_RECOVERY, False, True),
        (OrderKind.EXIT_CONTINUATION, False, False),
        (OrderKind.PROFIT_RECOVERY, False, True),
        (OrderKind.SHIELD_A, False, False),
        (OrderKind.SHIELD_B, False, False),
    ],
)
def test_each_kind_of_order_says_what_may_follow(kind, starts, recovers):
    assert (starts_recovery(kind), is_recovery(kind)) == (starts, recovers)


def test_no_kind_is_left_out():
    assert len(OrderKind) == 9


@pytest.mark.parametrize(("parent", "level", "fresh"), [(0, 0, True), (7, 0, False), (0, 1, False), (7, 2, False)])
def test_an_order_is_fresh_when_no_trade_came_before_it(parent, level, fresh):
    assert is_fresh(msgspec.structs.replace(SIGNAL, parent_ticket=parent, level=level)) is fresh


def test_only_strategies_with_other_than_single_orders_have_chains():
    trend = {"kind": "ma_cross", "symbols": ["EURUSD"], "orders": "trend"}
    single = {"kind": "ma_cross", "symbols": ["EURUSD"]}
    assert not has_chains(config_of(strategy={"plain": single}))
    assert plugins(config_of(strategy={"plain": single, "chained": trend})) == ("chained",)
    assert has_chains(config_of(strategy={"chained": trend}))
