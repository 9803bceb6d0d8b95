"""Stops by symbol and by what the account holds (trading_rules 1.4)."""

import pytest

from evenkeel.rules.stop_systems import table_stop_pips, tier_of


@pytest.mark.parametrize(("symbol", "pips"), [("EURUSD", 150), ("EURUSD.raw", 150), ("XAUUSDm", 1000), ("XAUUSD", 1000)])
def test_what_a_broker_adds_to_the_name_of_a_pair_changes_no_stop(symbol, pips):
    assert table_stop_pips("sl_1", symbol, 5_000) == pips


@pytest.mark.parametrize(("system", "symbol"), [("pips", "EURUSD"), ("sl_1", "BTCUSD")])
def test_there_is_no_stop_of_a_table_where_none_is_asked_for_or_it_lacks_the_symbol(system, symbol):
    assert table_stop_pips(system, symbol, 5_000) is None


@pytest.mark.parametrize(
    ("balance", "tier"), [(0, 5_000), (9_999, 5_000), (10_000, 10_000), (24_999, 10_000), (10**9, 100_000)]
)
def test_a_balance_belongs_to_the_tier_that_it_has_reached(balance, tier):
    assert tier_of(balance) == tier
