from fractions import Fraction

import msgspec
import pytest

from evenkeel.config.limits import PLAIN
from evenkeel.config.schema import AccountConfig, Config, EntryConfig, SymbolConfig
from evenkeel.messages.market import PointWorth
from evenkeel.rules.symbols import RATIO_PART_MAX, UnknownSymbol, points_per_pip, profit_rule, spec_for, typical_price

CONFIG = Config(profile="plain", limits=PLAIN)


def with_symbol(name, **terms):
    return msgspec.structs.replace(CONFIG, symbols={name: SymbolConfig(**terms)})


@pytest.mark.parametrize(
    "symbol, digits, contract_size, worth",
    [
        ("EURUSD", 5, 100_000, PointWorth(100, 1)),
        ("NZDUSD", 5, 100_000, PointWorth(100, 1)),
        ("USDJPY", 3, 100_000, PointWorth(90, 1)),
        ("USDHUF", 3, 100_000, PointWorth(30, 1)),
        ("USDCAD", 5, 100_000, PointWorth(75, 1)),
        ("XAUUSD", 2, 100, PointWorth(100, 1)),
    ],
)
def test_a_symbol_follows_from_its_name(symbol, digits, contract_size, worth):
    spec = spec_for(symbol, CONFIG)
    assert (spec.digits, spec.contract_size, spec.worth) == (digits, contract_size, worth)


def test_the_configuration_comes_before_the_name_and_digits_asked_for_before_both():
    config = with_symbol(
        "EURUSD", digits=4, contract_size=1000, volume_step_lots=0.1, volume_min_lots=0.25, volume_max_lots=5.05
    )
    spec = spec_for("EURUSD", config)
    assert (spec.digits, spec.contract_size, spec.worth) == (4, 1000, PointWorth(10, 1))
    assert (spec.steps_per_lot, spec.volume_min_steps, spec.volume_max_steps) == (10, 3, 50)
    assert spec_for("EURUSD", config, digits=3).digits == 3


def test_a_lot_is_worth_its_contract_in_the_account_currency_rounded_up():
    assert spec_for("EURUSD", CONFIG).notional_cents_per_lot == 11_000_000
    assert spec_for("USDJPY", CONFIG).notional_cents_per_lot == 10_000_000
    assert spec_for("EURUSD", with_symbol("EURUSD", typical_price=1.23456789)).notional_cents_per_lot == 12_345_679


def test_a_cross_needs_the_worth_of_its_quote_currency():
    with pytest.raises(UnknownSymbol, match=r"\[symbols\.EURGBP\] account_per_quote"):
        spec_for("EURGBP", CONFIG)
    spec = spec_for("EURGBP", with_symbol("EURGBP", account_per_quote=1.25))
    assert spec.worth == PointWorth(125, 1)
    assert spec.notional_cents_per_lot == 9_821_429


def test_an_account_without_minor_units_counts_whole_units():
    yen = msgspec.structs.replace(CONFIG, account=AccountConfig(currency="JPY", currency_digits=0))
    assert spec_for("USDJPY", yen).worth == PointWorth(100, 1)


def test_a_long_decimal_keeps_the_worth_within_the_integers_of_a_double():
    rate = 0.006666666666666667
    worth = spec_for("EURJPY", with_symbol("EURJPY", account_per_quote=rate)).worth
    assert max(worth.numerator, worth.denominator) <= RATIO_PART_MAX
    assert worth.numerator / worth.denominator == pytest.approx(10_000 * rate, rel=1e-14)


@pytest.mark.parametrize(
    "symbol, terms, said",
    [
        ("XAGUSD", {}, "[symbols.XAGUSD] contract_size"),
        ("US30", {"contract_size": 1}, "[symbols.US30] digits"),
        ("US30", {"digits": 1}, "[symbols.US30] contract_size"),
        ("US30", {"digits": 1, "contract_size": 1}, "[symbols.US30] account_per_quote"),
        ("US30", {"digits": 1, "contract_size": 1, "account_per_quote": 1.0}, "[symbols.US30] typical_price"),
        ("EURUSD", {"volume_step_lots": 0.03}, "[symbols.EURUSD] volume_step_lots 0.03"),
    ],
)
def test_what_is_missing_is_named_by_its_key(symbol, terms, said):
    with pytest.raises(UnknownSymbol) as refusal:
        spec_for(symbol, with_symbol(symbol, **terms))
    assert said in str(refusal.value)


@pytest.mark.parametrize("symbol, meant", [("EURUDS", "EURUSD"), ("eurusd", "EURUSD"), ("XAUUSDX", "XAUUSD")])
def test_an_unknown_symbol_is_answered_with_the_nearest_known_one(symbol, meant):
    with pytest.raises(UnknownSymbol, match=f"did you mean {meant}"):
        spec_for(symbol, CONFIG)


def test_nothing_is_suggested_when_nothing_is_near():
    with pytest.raises(UnknownSymbol, match=r"unknown symbol '12345': set \[symbols\.12345\] digits, contract_size"):
        spec_for("12345", CONFIG)


def test_a_fully_configured_symbol_needs_no_known_name():
    config = with_symbol("US30", digits=1, contract_size=1, typical_price=40_000.0, account_per_quote=1.0)
    assert spec_for("US30", config).worth == PointWorth(10, 1)
    assert typical_price("US30", config) == 40_000


def test_the_typical_price_is_that_of_the_two_currencies():
    assert typical_price("EURUSD", CONFIG) == Fraction("1.1")
    assert typical_price("USDCHF", CONFIG) == 1
    assert typical_price("US30", CONFIG) is None
    assert typical_price("EURUSD", with_symbol("EURUSD", typical_price=1.3)) == Fraction("1.3")


@pytest.mark.parametrize("digits, points", [(5, 10), (3, 10), (4, 1), (2, 1)])
def test_a_pip_is_ten_points_where_a_point_is_a_tenth_of_a_pip(digits, points):
    assert points_per_pip(spec_for("EURUSD", CONFIG, digits=digits), CONFIG) == points


def test_a_configured_pip_comes_before_the_digits():
    config = msgspec.structs.replace(CONFIG, entry=EntryConfig(points_per_pip=100))
    assert points_per_pip(spec_for("EURUSD", config), config) == 100


@pytest.mark.parametrize(
    "symbol, points, volume_steps, close_points, cents",
    [
        ("EURUSD", 200, 10, 110_000, 2000),
        ("EURUSD", -103, 10, 110_000, -1030),
        ("XAUUSD", 250, 1, 180_000, 250),
        ("USDJPY", 1000, 100, 150_000, 66_667),
        ("USDJPY", -1000, 100, 150_000, -66_667),
        ("USDJPY", 3, 1, 120_000, 3),
        ("USDJPY", -3, 1, 120_000, -3),
        ("USDJPY", 0, 10, 120_000, 0),
    ],
)
def test_profit_is_rounded_once_half_away_from_zero(symbol, points, volume_steps, close_points, cents):
    profit_cents = profit_rule(symbol, CONFIG)
    assert profit_cents(spec_for(symbol, CONFIG), points, volume_steps, close_points) == cents


def test_profit_of_a_cross_uses_the_configured_worth_of_its_quote_currency():
    config = with_symbol("EURGBP", account_per_quote=1.25)
    assert profit_rule("EURGBP", config)(spec_for("EURGBP", config), -100, 10, 85_000) == -1250
