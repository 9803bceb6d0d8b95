"""Settings in environment variables: which layer wins, how they are named, and what is said of a slip."""

from pathlib import Path

import pytest

from evenkeel.config.environment import VARIABLES_MAX
from evenkeel.config.load import ConfigInvalid, load
from evenkeel.config.locate import LINE_CHARACTERS_MAX


def complaints(environment: dict[str, str], path: Path | None = None) -> list[str]:
    with pytest.raises(ConfigInvalid) as caught:
        load(path, environment=environment)
    return [str(problem) for problem in caught.value.problems]


def test_the_environment_wins_over_the_file_and_a_flag_over_both(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text("[exit]\nretry_min_s = 3\nretry_max_s = 20\n[account]\nname = 'file'\n", "utf-8")
    environment = {"EVENKEEL_SET__exit__retry_min_s": "2", "EVENKEEL_SET__account__name": "variable"}
    config = load(path, environment=environment, overrides={"account.name": "flag"})
    assert (config.exit.retry_min_s, config.exit.retry_max_s, config.account.name) == (2.0, 20.0, "flag")


@pytest.mark.parametrize(
    "text, seen",
    [("off", "off"), ('"off"', "off"), ("45", 45.0), (" 45 # minutes", 45.0)],
)
def test_a_value_is_toml_or_else_text(text: str, seen: object) -> None:
    assert load(None, environment={"EVENKEEL_SET__exit__time_stop_minutes": text}).exit.time_stop_minutes == seen


def test_a_list_and_a_table_are_written_as_in_the_file() -> None:
    environment = {
        "EVENKEEL_SET__symbols": '{"EURUSD.r" = {digits = 5}}',
        "EVENKEEL_SET__strategy__trend": '{kind = "ma_cross", symbols = ["EURUSD.r"]}',
        "EVENKEEL_SET__strategy__trend__fast": "7",
        "EVENKEEL_SET__trading_calendar__day_boundary": "00:00",
    }
    config = load(None, environment=environment)
    assert (config.symbols["EURUSD.r"].digits, config.trading_calendar.day_boundary) == (5, "00:00")
    assert (config.strategy["trend"].symbols, config.strategy["trend"].slots) == (("EURUSD.r",), 1)
    assert getattr(config.strategy["trend"], "fast") == 7  # noqa: B009  the kinds differ in it


def test_a_value_cannot_smuggle_in_another_key() -> None:
    text = "0.5\nlimits.positions_max = 99"
    assert complaints({"EVENKEEL_SET__entry__volume_lots": text}) == [
        "EVENKEEL_SET__entry__volume_lots: entry.volume_lots: '0.5\\nlimits.positions_max = 99' is not a number or 'by_tier'"
    ]


def test_names_in_capitals_are_those_of_the_schema_and_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text("[strategy.trend]\nkind = 'ma_cross'\n", "utf-8")
    environment = {"EVENKEEL_SET__EXIT__RETRY_MIN_S": "2", "EVENKEEL_SET__STRATEGY__TREND__SLOTS": "3"}
    config = load(path, environment=environment)
    assert (config.exit.retry_min_s, config.strategy["trend"].slots) == (2.0, 3)


def test_everything_wrong_is_said_at_once_with_the_variable_and_the_line(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text("[exit]\nretry_max_s = 0\n", "utf-8")
    environment = {
        "EVENKEEL_SET__exit__retry_mi_s": "2",
        "EVENKEEL_SET__LIMITS__day_loss_pct": "300",
        "EVENKEEL_SET__telegram__token": "hunter2",
        "EVENKEEL_SET_exit_retry_min_s": "2",
        "EVENKEEL_SET__exit____x": "2",
    }
    said = complaints(environment, path)
    assert set(said) == {
        f"{path}:2: exit.retry_max_s: 0 is not > 0",
        "EVENKEEL_SET_exit_retry_min_s: is not a setting: those are named EVENKEEL_SET__TABLE__KEY",
        "EVENKEEL_SET__LIMITS__day_loss_pct: limits.day_loss_pct: 300 is not <= 100",
        "EVENKEEL_SET__exit____x: is not a setting: those are named EVENKEEL_SET__TABLE__KEY",
        "EVENKEEL_SET__exit__retry_mi_s: exit.retry_mi_s: is unknown; did you mean 'retry_min_s'?",
        "EVENKEEL_SET__telegram__token: telegram.token: looks like a secret: "
        "a configuration holds names of secrets, never secrets",
        "EVENKEEL_SET__telegram__token: telegram: is unknown",
    }
    assert not any("hunter2" in line for line in said)


def test_two_variables_of_one_key_are_refused() -> None:
    both = {"EVENKEEL_SET__EXIT__retry_min_s": "2", "EVENKEEL_SET__exit__retry_min_s": "3"}
    assert complaints(both) == ["EVENKEEL_SET__exit__retry_min_s: sets the same key as EVENKEEL_SET__EXIT__retry_min_s"]


@pytest.mark.parametrize("text, why", [("x" * (LINE_CHARACTERS_MAX + 1), "is longer than"), ("\udc80", "is not UTF-8 text")])
def test_a_value_that_nobody_writes_is_refused(text: str, why: str) -> None:
    [line] = complaints({"EVENKEEL_SET__account__name": text})
    assert line.startswith(f"EVENKEEL_SET__account__name: {why}")


def test_more_variables_than_anybody_sets_are_refused() -> None:
    environment = {f"EVENKEEL_SET__symbols__s{number}__digits": "5" for number in range(VARIABLES_MAX + 1)}
    assert complaints(environment) == [f"EVENKEEL_SET__*: {VARIABLES_MAX + 1} variables are more than {VARIABLES_MAX}"]


def test_other_variables_of_evenkeel_are_no_settings() -> None:
    assert load(None, environment={"EVENKEEL_STATE": "/tmp", "PATH": "/bin"}) == load(None)
