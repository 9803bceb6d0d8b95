import argparse
from pathlib import Path
from typing import Any

import pytest

from evenkeel.commands.run_words import farewell, greeting, prices_words, without_daily_bars
from evenkeel.config.load import load
from evenkeel.config.schema import Config
from evenkeel.messages.operator import Mode
from evenkeel.rules.view_of import view_of
from evenkeel.rules.view_state import ViewState

ON = {"trading.enabled": True}
MT5 = {"terminal.kind": "mt5", "terminal.login": 7, "terminal.server": "Broker"}


def config(**tables: object) -> Config:
    return load(None, overrides=tables)


def flags(**given: Any) -> argparse.Namespace:
    return argparse.Namespace(**{"speed": None, "ticks": None, **given})


@pytest.mark.parametrize(
    ("tables", "words"),
    [
        ({}, "paper: a simulated account"),
        (MT5, "a demo account, or nothing: account 7 at Broker; real ones are refused"),
        ({**MT5, "terminal.real_login": 7}, "REAL MONEY where it is a real account: account 7 at Broker"),
    ],
    ids=["simulated", "demo", "real"],
)
def test_a_run_begins_by_saying_whose_money_it_is_about(tables: dict[str, object], words: str) -> None:
    assert greeting(config(**tables), "prices", Mode.CLOSE_ONLY)[0].startswith(words)


@pytest.mark.parametrize(
    ("given", "tables", "words"),
    [
        ({}, {}, "a synthetic market"),
        ({"speed": 60.0}, {}, "a synthetic market, 60 times as fast as real time"),
        ({}, MT5, "the broker's prices"),
        ({"ticks": Path("a.csv")}, {}, "recorded prices of a.csv"),
    ],
)
def test_and_where_its_prices_come_from(given: dict[str, Any], tables: dict[str, object], words: str) -> None:
    assert prices_words(flags(**given), config(**tables)) == words


@pytest.mark.parametrize(
    ("tables", "mode", "words"),
    [
        ({}, Mode.CLOSE_ONLY, "set enabled = true in [trading]"),
        (ON, Mode.CLOSE_ONLY, "before you say so in another window:  evenkeel start --account mine"),
        (ON, Mode.RUN, "it goes on trading, as it did before"),
    ],
)
def test_and_what_to_type_next(tables: dict[str, object], mode: Mode, words: str) -> None:
    lines = greeting(config(**tables, **{"account.name": "mine"}), "prices", mode)
    assert words in lines[1]
    assert "evenkeel top --account mine" in lines[2]


def test_recorded_prices_without_daily_bars_are_told_before_every_order_is_refused() -> None:
    lines = without_daily_bars(config(), ("EURUSD", "GBPUSD"), "recorded prices")
    assert [line.partition(":")[0] for line in lines] == ["EURUSD", "GBPUSD"]
    known = config(symbols={"EURUSD": {"daily_atr_points": 700}})
    assert without_daily_bars(known, ("EURUSD",), "recorded prices") == []
    assert without_daily_bars(config(**{"catastrophe_stop.at_broker": "off"}), ("EURUSD",), "recorded prices") == []


def test_a_run_ends_by_saying_what_stays_open() -> None:
    view = view_of(ViewState(), marks={}, children=(), config=config(), now_utc_ms=0, written_utc_ms=0)
    assert "nothing of ours stays open" in farewell(config(), view, [], is_protected=True)
    told = farewell(config(), view, [1, 2, 3, 4, 5, 6, 7], is_protected=True)
    assert "7 stay open, each with its stop at the broker: 1, 2, 3, 4, 5 and 2 more" in told
    assert "NOT EACH WITH A STOP" in farewell(config(), view, [1], is_protected=False)[1]
    assert "evenkeel report --html run.html" in told[-1]
