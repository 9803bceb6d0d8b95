import msgspec
import pytest
from builders import config_of

from evenkeel.messages.entry import Lineage, OrderKind
from evenkeel.rules.lineage import has_chains, is_derived, is_fresh, is_recovery, plugins, starts_recovery

SIGNAL = Lineage("signal", "ma_cross")


@pytest.mark.parametrize(
    ("kind", "derived", "starts", "recovers"),
    [
        (OrderKind.SINGLE, False, False, False),
        (OrderKind.TP_TRAIL, False, True, False),
        (OrderKind.PROFIT_TRAIL, False, False, False),
        (OrderKind.TP_CONTINUATION, True, True, False),
        (OrderKind.SL_RECOVERY, True, False, True),
        (OrderKind.EXIT_CONTINUATION, True, False, False),
        (OrderKind.PROFIT_RECOVERY, True, False, True),
        (OrderKind.SHIELD_A, True, False, False),
        (OrderKind.SHIELD_B, True, False, False),
    ],
)
def test_each_kind_of_order_says_where_it_comes_from_and_what_may_follow(kind, derived, starts, recovers):
    assert (is_derived(kind), starts_recovery(kind), is_recovery(kind)) == (derived, starts, recovers)


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
