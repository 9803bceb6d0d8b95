"""`evenkeel config show` and `schema`, as they are typed."""

import json
import tomllib
from pathlib import Path

import pytest

from evenkeel.cli import main
from evenkeel.config.load import load


@pytest.fixture
def mine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file with a strategy and a symbol of a strange name, and one setting in the environment."""
    path = tmp_path / "mine.toml"
    path.write_text(
        'profile = "prop"\n[exit]\nretry_max_s = 20\n[limits]\npositions_max = 2\n'
        '[strategy.trend]\nkind = "ma_cross"\nsymbols = ["EURUSD.r"]\n[symbols]\n"EURUSD.r" = { digits = 5 }\n',
        "utf-8",
    )
    monkeypatch.setenv("EVENKEEL_SET__exit__retry_min_s", "2")
    return path


def lines_of(text: str) -> dict[str, str]:
    """What stands in front of a comment, and the comment."""
    parts = [line.partition("  # ") for line in text.splitlines()]
    return {before.strip(): origin for before, _, origin in parts}


def test_show_names_the_origin_of_every_value(mine: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["config", "show", "--origin", "--config", str(mine), "--account", "paper"]) == 0
    shown = lines_of(capsys.readouterr().out)
    assert shown['profile = "prop"'] == f"{mine}:1"
    assert shown["retry_max_s = 20.0"] == f"{mine}:3"
    assert shown["retry_min_s = 2.0"] == "EVENKEEL_SET__exit__retry_min_s"
    assert shown['name = "paper"'] == "command line"
    assert shown["positions_max = 2"] == f"{mine}:5"
    assert shown["day_loss_pct = 2.0"] == "profile prop"
    assert shown["leverage = 100"] == "default"
    assert shown["digits = 5"] == f"{mine}:10"


def test_what_show_prints_is_the_same_configuration(
    mine: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert main(["config", "show", "--config", str(mine)]) == 0
    again = tmp_path / "again.toml"
    again.write_text(capsys.readouterr().out, "utf-8")
    monkeypatch.delenv("EVENKEEL_SET__exit__retry_min_s")
    assert load(again) == load(mine, overrides={"exit.retry_min_s": 2})
    assert "# volume_lots is absent" in again.read_text("utf-8").splitlines()


def test_show_answers_in_json(mine: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["config", "show", "--json", "--config", str(mine)]) == 0
    shown = json.loads(capsys.readouterr().out)
    rows = {row["key"]: row for row in shown["settings"]}
    assert (shown["v"], shown["valid"], shown["problems"]) == (1, True, [])
    assert rows["exit.retry_max_s"] == {"key": "exit.retry_max_s", "value": 20.0, "source": "file", "place": f"{mine}:3"}
    assert rows["entry.volume_lots"] == {"key": "entry.volume_lots", "value": None, "source": "default", "place": ""}
    assert rows["strategy.trend.kind"]["value"] == "ma_cross"
    assert rows["symbols.'EURUSD.r'.digits"]["source"] == "file"


@pytest.mark.parametrize("what", ["show", "check"])
def test_a_wrong_variable_ends_with_6_and_the_variable_s_name(
    what: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EVENKEEL_SET__exit__retry_min_s", "0")
    assert main(["config", what]) == 6
    printed = capsys.readouterr()
    assert (printed.out, printed.err) == ("", "EVENKEEL_SET__exit__retry_min_s: exit.retry_min_s: 0 is not > 0\n")
    assert main(["config", what, "--json"]) == 6
    printed = capsys.readouterr()
    assert (json.loads(printed.out)["problems"][0]["key"], printed.err) == ("exit.retry_min_s", "")


@pytest.mark.parametrize("command", ["run", "watchdog", "terminal", "doctor", "drill"])
def test_each_command_of_an_account_reads_the_environment(
    command: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EVENKEEL_SET__exit__retry_mi_s", "2")
    assert main([command]) == 6
    expected = "EVENKEEL_SET__exit__retry_mi_s: exit.retry_mi_s: is unknown; did you mean 'retry_min_s'?\n"
    assert capsys.readouterr().err == expected


def test_schema_is_one_json_object_on_stdout(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["config", "schema"]) == 0
    assert json.loads(capsys.readouterr().out)["$schema"].startswith("http://json-schema.org/draft-07/")


def test_an_unknown_word_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["config", "shwo"])
    assert ended.value.code == 2
    assert "invalid choice: 'shwo'" in capsys.readouterr().err


def test_a_flag_out_of_place_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["config", "check", "--origin"]) == 2
    assert capsys.readouterr() == ("", "config: --origin is of show\n")


def test_show_prints_toml_without_a_file(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["config", "show"]) == 0
    assert tomllib.loads(capsys.readouterr().out)["profile"] == "personal"


def test_a_flag_is_shown_with_its_origin_and_a_wrong_one_ends_with_6(mine: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["config", "show", "--origin", "--config", str(mine), "--set", "exit.retry_min_s=4"]) == 0
    assert lines_of(capsys.readouterr().out)["retry_min_s = 4.0"] == "command line"
    assert main(["config", "check", "--config", str(mine), "--set", "exit.retry_min=4"]) == 6
    assert capsys.readouterr().err == "--set exit.retry_min: is unknown; did you mean 'retry_min_s'?\n"
