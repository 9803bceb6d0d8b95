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
