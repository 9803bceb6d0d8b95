"""The files that are shipped: they say what the schema says, and what they promise."""

import re
import tomllib
from collections.abc import Iterator
from typing import Any, get_args, get_origin

import msgspec
import pytest

from evenkeel.config import schema
from evenkeel.config.limits import DEMO, PERSONAL, PLAIN, PROFILES, LimitsConfig, Profile
from evenkeel.config.load import load, packaged

DEFAULT = packaged("default.toml").read_text("utf-8")
WITH_COMMENTED = tomllib.loads(re.sub(r"(?m)^#(?=[a-z\[])", "", DEFAULT))
ROW = re.compile(r"(?m)^#(\w+) = (\S+) +# (\S+) +(\S+) +(\S+) +(\S+) ")


def keys_of(kind: Any, table: Any) -> Iterator[tuple[str, bool]]:
    """Each key of the struct `kind` with whether `table` has it; of a dict of structs, the first entry stands for all."""
    if get_origin(kind) is dict:
        kind, table = get_args(kind)[1], next(iter(table.values()), {})
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        for field in msgspec.structs.fields(kind):
            yield f"{kind.__name__}.{field.name}", field.name in table
            yield from keys_of(field.type, table.get(field.name))


def test_default_toml_names_every_key_of_the_schema() -> None:
    assert [key for key, is_named in keys_of(schema.Config, WITH_COMMENTED) if not is_named] == []


def test_default_toml_holds_the_defaults_of_the_schema() -> None:
    defaults = schema.Config(profile="personal", limits=PERSONAL)
    assert load(packaged("default.toml")) == load(None) == defaults
    assert msgspec.convert(tomllib.loads(DEFAULT) | {"limits": msgspec.to_builtins(PERSONAL)}, schema.Config) == defaults


def test_the_limits_that_default_toml_keeps_in_comments_are_those_of_personal() -> None:
    assert msgspec.convert(WITH_COMMENTED["limits"], LimitsConfig) == PERSONAL


def test_the_examples_that_default_toml_keeps_in_comments_are_valid() -> None:
    config = msgspec.convert(WITH_COMMENTED, schema.Config)
    assert config.strategy == {
        "trend": schema.MaCrossConfig(),
        "bounce": schema.RsiConfig(),
        "break": schema.BreakoutConfig(),
    }
    assert list(config.symbols) == ["EURUSD"]


@pytest.mark.parametrize("column, profile", [(0, "plain"), (1, "personal"), (2, "prop"), (3, "demo")])
def test_the_columns_of_default_toml_are_the_profiles(column: int, profile: Profile) -> None:
    sections = re.findall(r"(?ms)^\[limits\.?(\w*)\]$(.*?)(?=^\[)", DEFAULT)
    rows = [(section, *row) for section, text in sections for row in ROW.findall(text)]
    values = {(section, key): cells[column] for section, key, _, *cells in rows}
    limits = msgspec.to_builtins(PROFILES[profile])
    tables = {key: table for key, table in limits.items() if isinstance(table, dict)}
    expected = {("", key): value for key, value in limits.items() if key not in tables}
    leaves = [(section, key, value) for section, table in tables.items() for key, value in table.items()]
    expected |= {(section, key): value for section, key, value in leaves if not isinstance(value, list | tuple)}
    assert {key: cell if cell.isalpha() else float(cell) for key, cell in values.items()} == expected


def test_the_amounts_of_each_tier_are_the_same_in_every_profile() -> None:
    assert len({(limits.loss_tiers.day, limits.loss_tiers.lifetime) for limits in PROFILES.values()}) == 1


def test_default_toml_explains_every_setting() -> None:
    settings = [line for line in DEFAULT.splitlines() if re.match(r"#?[a-z_]+ = ", line) and not line.startswith("profile")]
    assert [line for line in settings if not re.search(r" # \S", line)] == []


def test_sections_of_default_toml_stand_in_the_order_of_the_schema() -> None:
    ours = list(dict.fromkeys(re.findall(r"(?m)^#?\[(\w+)", DEFAULT)))
    assert ours == [field.name for field in msgspec.structs.fields(schema.Config) if field.name != "profile"]


def test_trading_is_off_until_somebody_turns_it_on() -> None:
    assert not load(None).trading.enabled


def test_plain_toml_leaves_only_signal_stop_and_target() -> None:
    assert load(packaged("plain.toml")) == schema.Config(
        profile="plain",
        limits=PLAIN,
        account=schema.AccountConfig(start_balance=10_000.0, currency="USD", leverage=100),
        trading=schema.TradingConfig(enabled=True),
        entry=schema.EntryConfig(
            volume_lots=0.10,
            stop_pips=10.0,
            target_pips=20.0,
            points_per_pip=10,
            cooldown_minutes=0.0,
            spread_multiple_max="off",
        ),
        exit=schema.ExitConfig(emergency_r=-1.5, time_stop_minutes="off"),
        catastrophe_stop=schema.CatastropheStopConfig(at_broker="off"),
        circuit_breaker=schema.CircuitBreakerConfig(enabled=False),
    )


def test_demo_toml_trades_four_symbols_with_the_limits_of_demo() -> None:
    config = load(packaged("demo.toml"))
    (strategy,) = config.strategy.values()
    assert strategy == schema.MaCrossConfig(symbols=("EURUSD", "GBPUSD", "AUDUSD", "USDJPY"), timeframe="M1", fast=5, slow=12)
    stricter = msgspec.structs.replace(DEMO, order_notional_max=2.0)
    assert (config.profile, config.limits, config.trading.enabled) == ("demo", stricter, True)
    assert (config.entry.stop_pips, config.entry.target_pips, config.entry.cooldown_minutes) == (8.0, 14.0, 0.0)
    assert (config.exit.time_stop_minutes, config.entry.spread_multiple_max) == (45.0, 3.0)
    assert config.simulated.speed > 100
