"""The JSON Schema takes the files that load takes, and refuses what it refuses of single keys."""

import tomllib
from typing import Any

import pytest
from jsonschema import Draft7Validator

from evenkeel.config.json_schema import json_schema
from evenkeel.config.load import ConfigInvalid, load, packaged


@pytest.fixture(scope="module")
def validator() -> Draft7Validator:
    schema = json_schema()
    Draft7Validator.check_schema(schema)
    return Draft7Validator(schema)


@pytest.mark.parametrize("name", ["default.toml", "plain.toml", "demo.toml"])
def test_the_shipped_files_are_valid(validator: Draft7Validator, name: str) -> None:
    assert list(validator.iter_errors(tomllib.loads(packaged(name).read_text("utf-8")))) == []


STRATEGY = "strategy.x = {kind = 'ma_cross', symbols = ['EURUSD'], %s}"


@pytest.mark.parametrize(
    "text",
    [
        "profile = 'persnal'",
        "accont.name = 'x'",
        "account.leverag = 1",
        "account.name = '1st'",
        "account.currency = 'usd'",
        "entry = 3",
        "entry.stop_pips = 0",
        "entry.stop_pips = true",
        "entry.target_pips = 'of'",
        "limits.day_loss_pct = 300",
        "limits.positions_max = 1.5",
        "limits.loss_tiers.day = [1, 2]",
        "circuit_breaker.atr_ratio = 2.0",
        "trading.enabled = 1",
        "trading_calendar.day_boundary = '24:00'",
        "strategy.x = {fast = 3}",
        "strategy.x = {kind = 'other'}",
        "strategy.'a b' = {kind = 'ma_cross'}",
        "strategy.x = {kind = 'python', object = 'no dots'}",
        "strategy.x = {kind = 'python', object = 'a.B', parameters = {n = [1]}}",
        STRATEGY % "fast = 0",
        STRATEGY % "lookback = 3",
    ],
)
def test_what_load_refuses_of_a_key_the_schema_refuses(validator: Draft7Validator, text: str) -> None:
    table = tomllib.loads(text)
    with pytest.raises(ConfigInvalid):
        load(None, overrides=table)
    assert not validator.is_valid(table)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[limits]\npositions_max = 'off'",
        "[limits.drawdown]\nreduce_pct = 1",
        "[symbols.'EURUSD.r']\ndigits = 5",
        "[strategy.x]\nkind = 'python'\nobject = 'a.B'\nparameters = {n = 1, s = 'x', b = true, f = 0.5}",
        STRATEGY % "fast = 3",
    ],
)
def test_what_load_takes_the_schema_takes(validator: Draft7Validator, text: str) -> None:
    table = tomllib.loads(text)
    load(None, overrides=table)
    assert list(validator.iter_errors(table)) == []


def test_an_editor_shows_the_words_of_default_toml() -> None:
    definitions = json_schema()["definitions"]
    seen: dict[str, Any] = definitions["ExitConfig"]["properties"]["retry_min_s"]
    assert (seen["description"], seen["default"]) == ("seconds until a failed close is tried again, doubling", 1.0)
    assert definitions["MaCrossConfig"]["properties"]["slow"]["description"] == "bars, more than fast"
    assert definitions["LimitsConfig"]["properties"]["positions_max"]["description"].startswith("positions, in flight and")
    assert definitions["DrawdownConfig"]["properties"]["reduce_to_ratio"]["description"] == "0 to 1"


def test_every_key_has_words_or_its_table_has_them() -> None:
    definitions = json_schema()["definitions"]
    silent = [
        f"{name}.{key}"
        for name, one in definitions.items()
        for key, held in one["properties"].items()
        if "description" not in held and "$ref" not in held and f"`{key}`" not in one.get("description", "")
    ]
    assert silent == []


def test_no_word_is_left_that_only_python_reads() -> None:
    assert "\\\\A" not in (text := str(json_schema()))
    assert "None" not in text
