"""What `evenkeel doctor` finds, on a simulated terminal that is as broken as the account file says."""

from pathlib import Path

import msgspec
import pytest

from evenkeel.adapters.rehearsals import MEASURED, noted
from evenkeel.adapters.state_folder import StateFolder
from evenkeel.cli import main
from evenkeel.commands import exit_codes

WITH_FILE = '[account]\nname = "test"\n[terminal]\naccount_file = "{path}"\n'


def asked(
    folder: Path, capsys: pytest.CaptureFixture[str], account: str, *words: str
) -> tuple[int, dict[str, tuple[str, str]], dict[str, tuple[str, str]]]:
    """The exit status, findings by name, and assumptions with what was found instead."""
    (folder / "account.toml").write_text(account)
    (folder / "config.toml").write_text(WITH_FILE.format(path=folder / "account.toml"))
    status = main(["doctor", "--config", str(folder / "config.toml"), "--symbol", "EURUSD", "--json", *words])
    report = msgspec.json.decode(capsys.readouterr().out)
    findings = {one["name"]: (one["state"], one["text"]) for one in report["findings"]}
    return status, findings, {one["name"]: (one["assumed"], one["found"]) for one in report["measured"]}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("EVENKEEL_STATE", str(tmp_path / "state"))
    return tmp_path


def test_a_terminal_that_is_ready_is_fit_to_trade(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, findings, _ = asked(folder, capsys, "")
    assert status == exit_codes.OK
    assert {name for name, (state, _) in findings.items() if state == "bad"} == set()
    assert "FOK filling" in findings["EURUSD"][1]


def test_a_secret_that_the_configuration_names_is_looked_for_and_not_shown(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EVENKEEL_SET__webhooks__token", "hooks")
    monkeypatch.setenv("EVENKEEL_SECRET_HOOKS", "canary-6d1f0b2c")
    assert asked(folder, capsys, "")[1]["secret hooks"] == ("good", "webhooks.token: EVENKEEL_SECRET_HOOKS")
    monkeypatch.setenv("EVENKEEL_SECRET_HOOKS_FILE", str(folder / "none"))
    status, findings, _ = asked(folder, capsys, "")
    assert status == exit_codes.OK, "trading needs no webhook"
    said = f"webhooks.token: EVENKEEL_SECRET_HOOKS_FILE: {folder / 'none'} cannot be read: No such file or directory"
    assert findings["secret hooks"] == ("odd", said)


@pytest.mark.parametrize(
    "account, name, text",
    [
        ("[terminal]\ntrade_allowed = false", "algo button", "automatic trading is off (10027)"),
        ("[terminal]\ntradeapi_disabled = true", "python api", "trading through Python is disabled (-8)"),
        ("[terminal]\nconnected = false", "broker link", "the terminal has no link to its broker"),
        ("[account]\ntrade_allowed = false", "trading", "forbidden for the account (10017)"),
        ("[account]\ntrade_expert = false", "experts", "forbidden by the server (10026)"),
        ("[account]\nmargin_mode = 0", "account", "the account is netting, not hedging"),
        ("[account]\ntrade_mode = 2", "account", "login 5000001 is a real account and not written in the configuration"),
        ("[symbols.EURUSD]\nfilling_mask = 0", "EURUSD", "filling mode 0 allows no market order"),
        ("[symbols.EURUSD]\nshown_tick_value = 0.0", "EURUSD", "nothing can be sized by that"),
    ],
)
def test_what_stands_in_the_way_is_named(
    folder: Path, capsys: pytest.CaptureFixture[str], account: str, name: str, text: str
) -> None:
    status, findings, _ = asked(folder, capsys, account)
    assert status == exit_codes.FAILED
    assert findings[name][0] == "bad"
    assert text in findings[name][1]


def test_a_suffix_of_the_broker_is_suggested(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["doctor", "--symbol", "EURUSD.pro"])
    assert "this broker writes it EURUSD" in capsys.readouterr().out


def test_an_account_file_that_is_none_is_named_with_the_key(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, findings, _ = asked(folder, capsys, "[account]\nleverage = 0")
    assert status == exit_codes.FAILED
    assert "account.toml" in findings["account file"][1]
    assert "leverage" in findings["account file"][1]


def test_assumptions_that_do_not_hold_at_a_broker_are_found_by_trading(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    account = """
[assumptions]
server_zone = "UTC+3"
unknown_ticket_code = 10035
position_gone_code = 10013
same_side_close_code = 10035
stops_allowed_on_open = false
pending_filling = "return"
close_keeps_magic = true
comment_characters_kept = 10
result_has_deal = false
history_lag_ms = 3000
"""
    _, _, measured = asked(folder, capsys, account, "--measure", "EURUSD")
    noted_for_promote = noted(StateFolder(folder / "state", "test").rehearsals, MEASURED)
    assert noted_for_promote is not None
    assert (noted_for_promote.odd, noted_for_promote.login) == (len([1 for was, is_ in measured.values() if was != is_]), None)
    assert int(measured.pop("history_lag_ms")[1]) > 0
    assert {name: found for name, (assumed, found) in measured.items() if assumed != found} == {
        "server_zone": "UTC+3",
        "unknown_ticket_code": "10035",
        "position_gone_code": "10013",
        "same_side_close_code": "10035",
        "stops_allowed_on_open": "False",
        "pending_filling": "return",
        "close_keeps_magic": "True",
        "comment_characters_kept": "10",
        "result_has_deal": "False",
    }


def test_a_real_account_is_never_measured(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _, findings, measured = asked(folder, capsys, "[account]\ntrade_mode = 2", "--measure", "EURUSD")
    assert findings["measure"] == ("bad", "the terminal is not on the account of the configuration")
    assert measured == {}
