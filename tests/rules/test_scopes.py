import pytest

from evenkeel.rules.scopes import covers


@pytest.mark.parametrize(
    "scope, strategy, is_covered",
    [
        ("account", "trend", True),
        ("account", "", True),
        ("EURUSD", "", True),
        ("GBPUSD", "trend", False),
        ("strategy/trend", "trend", True),
        ("strategy/trend", "other", False),
        ("strategy/trend", "", False),
        ("strategy/trend", None, True),
        ("GBPUSD", None, False),
    ],
)
def test_a_scope_covers_its_symbol_its_strategy_or_everything(scope: str, strategy: str | None, is_covered: bool) -> None:
    assert covers(scope, symbol="EURUSD", strategy=strategy) == is_covered


@pytest.mark.parametrize(
    "chain_id, is_covered", [("EURUSD-rs-1", True), ("EURUSD-rs-1/b", False), ("EURUSD-rs-12", False), ("", False)]
)
def test_a_scope_covers_the_orders_of_its_chain_alone(chain_id: str, is_covered: bool) -> None:
    assert covers("chain/EURUSD-rs-1", symbol="EURUSD", strategy="trend", chain_id=chain_id) == is_covered


def test_a_chain_without_a_name_is_none() -> None:
    assert not covers("chain/", symbol="EURUSD", strategy="trend")
