"""Settings in flags: `--set KEY=VALUE` goes before every other layer, and what is wrong with one is said at the flag."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from evenkeel.config.load import ConfigInvalid, load, settings


def complaints(*flags: str, environment: Mapping[str, str] = {}) -> list[str]:
    with pytest.raises(ConfigInvalid) as caught:
        load(None, environment=environment, flags=flags)
    return [str(problem) for problem in caught.value.problems]


def test_a_flag_wins_over_the_environment_and_the_later_of_two_flags_over_the_first(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text("[exit]\nretry_min_s = 3\n", "utf-8")
    environment = {"EVENKEEL_SET__exit__retry_min_s": "2"}
    flags = ["exit.retry_min_s=5", "exit.retry_min_s=4"]
    assert load(path, environment=environment, flags=flags).exit.retry_min_s == 4.0


@pytest.mark.parametrize("text, seen", [("off", "off"), ('"off"', "off"), ("45", 45.0), (" 45 ", 45.0)])
def test_a_value_is_toml_or_else_text_as_in_a_variable(text: str, seen: object) -> None:
    assert load(None, flags=[f"exit.time_stop_minutes={text}"]).exit.time_stop_minutes == seen


def test_a_name_that_holds_a_dot_or_an_equals_sign_is_quoted_as_in_the_file() -> None:
    flags = ['symbols."EURUSD.r".digits = 5', "strategy.mine={kind='python', object='my.Own', parameters={\"a=b\" = 1}}"]
    config = load(None, flags=flags)
    assert config.symbols["EURUSD.r"].digits == 5
    assert getattr(config.strategy["mine"], "parameters") == {"a=b": 1}  # noqa: B009  the kinds differ in it


def test_what_is_wrong_with_a_flag_is_said_at_the_flag_together_with_all_else() -> None:
    found = complaints(
        "exit.time_stop=60", "limits.positions_max=0", "limits", environment={"EVENKEEL_SET__exit__nothing": "1"}
    )
    assert found == [
        "--set exit.time_stop: is unknown; did you mean 'time_stop_minutes'?",
        "--set limits: is not TABLE.KEY=VALUE, as exit.time_stop_minutes=60",
        "--set limits.positions_max: 0 is not >= 1",
        "EVENKEEL_SET__exit__nothing: exit.nothing: is unknown",
    ]


def test_a_line_break_brings_no_second_key_in_and_tears_no_message() -> None:
    assert complaints("entry.cooldown_minutes=1\nlimits.positions_max=99") == [
        "--set entry.cooldown_minutes: '1\\nlimits.positions_max=99' is not a number"
    ]
    assert complaints("entry\n.cooldown_minutes=1") == [
        "--set 'entry\\n.cooldown_minutes=1': is not TABLE.KEY=VALUE, as exit.time_stop_minutes=60"
    ]


def test_the_origin_of_a_flag_is_the_command_line() -> None:
    found = {one.path: one for one in settings(None, flags=["exit.retry_min_s=4"])}
    assert found["exit", "retry_min_s"][1:] == (4.0, "command line", "--set exit.retry_min_s")
