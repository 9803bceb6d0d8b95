import argparse
import json
import os
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import msgspec
import pytest
from builders import STARTED, LiveLikeHost, Scene, sabotaged
from kept import configured, keep
from story import CONFIG, told

from evenkeel.adapters.state_folder import StateFolder
from evenkeel.commands import exit_codes, replay
from evenkeel.config.load import load
from evenkeel.messages.codec import decode, encode
from evenkeel.messages.entry import OpenPosition
from evenkeel.messages.system import Message
from evenkeel.runtime.journal import Record


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("EVENKEEL_STATE", str(tmp_path))
    folder = StateFolder(tmp_path, "simulated")
    folder.create()
    return folder.journal


@pytest.fixture(scope="module")
def scene() -> Scene:
    return told(host_of=LiveLikeHost)


def changed(records: Iterable[Record], kind: type[Message], **fields: object) -> tuple[list[Record], Record]:
    """The first message of `kind` says something else; and that record."""
    found = list(records)
    at = next(at for at, record in enumerate(found) if isinstance(decode(bytes(record.body)), kind))
    other = msgspec.structs.replace(decode(bytes(found[at].body)), **fields)
    found[at] = msgspec.structs.replace(found[at], body=msgspec.Raw(encode(other)))
    return found, found[at]


def again(**flags: object) -> int:
    usual: dict[str, object] = {"segment": None, "from_seq": None, "list": False, "config": None, "account": "simulated"}
    return replay.run(argparse.Namespace(**usual | {"folder": None, "show": 50, "json": False, "flags": []} | flags))


def config_file(tmp_path: Path, text: str) -> Path:
    """The story's configuration, and on top what `text` says."""
    lines = [
        "[trading]\nenabled = true",
        '[limits]\nquote_age_s_max = "off"\ntrades_per_hour = "off"\ntrades_per_day = "off"\ntrades_limit_days_max = "off"',
        '[strategy.ma_cross]\nkind = "ma_cross"\nsymbols = ["EURUSD", "GBPUSD"]\nfast = 2\nslow = 3',
        "[circuit_breaker]\nsample_s = 600.0\nerrors_per_hour = [50.0]",
        "[attendance]\nabsent_hours_max = 0.5",
        "[entry]\nstop_pips = 5.0\ntarget_pips = 10.0\ncooldown_minutes = 0.0",
        '[limits.consecutive_losses]\nreduce_after = "off"\nhold_after = "off"\nclose_only_after = "off"',
    ]
    path = tmp_path / "other.toml"
    path.write_text("\n".join([*lines, text]))
    return path


def test_the_same_code_decides_everything_as_recorded(folder: Path, scene: Scene, capsys: pytest.CaptureFixture[str]) -> None:
    keep(folder, configured(scene.records())).close(clean=True)
    assert again() == exit_codes.OK
    assert capsys.readouterr().out.splitlines()[-1].endswith(" equal, 0 differ")


def test_it_reads_while_the_supervisor_writes(folder: Path, scene: Scene) -> None:
    journal = keep(folder, configured(scene.records()))
    program = "import sys; from evenkeel.cli import main; sys.exit(main(['replay']))"
    done = subprocess.run([sys.executable, "-c", program], env=dict(os.environ), capture_output=True, text=True, timeout=30)
    journal.close(clean=True)
    assert (done.returncode, done.stderr) == (exit_codes.OK, "")


def test_a_copy_of_the_folder_will_do(folder: Path, scene: Scene, tmp_path: Path) -> None:
    keep(folder, configured(scene.records())).close(clean=True)
    copy = tmp_path / "copy"
    folder.rename(copy)
    assert again(folder=copy) == exit_codes.OK


@pytest.mark.parametrize("after", [True, False])
def test_a_crash_on_the_way_is_no_difference(folder: Path, after: bool) -> None:
    scene = told(sabotage=sabotaged("broker_gateway", 40, after=after), host_of=LiveLikeHost)
    keep(folder, configured(scene.records())).close(clean=True)
    assert again() == exit_codes.OK


def test_a_decision_that_differs_is_told_with_both_versions(
    folder: Path, scene: Scene, capsys: pytest.CaptureFixture[str]
) -> None:
    records, other = changed(configured(scene.records()), OpenPosition, volume_steps=26)
    keep(folder, records).close(clean=True)
    assert again() == exit_codes.DIFFERS
    first, recorded, now, *_ = capsys.readouterr().out.splitlines()
    assert f"#{other.cause_seq} " in first
    assert "risk_limit heard: proposal " in first
    assert f"recorded: #{other.seq} order for 0.26 lots" in recorded
    assert "now:      order for 0.27 lots" in now


def test_what_is_said_now_and_was_not_recorded_is_a_difference(
    folder: Path, scene: Scene, capsys: pytest.CaptureFixture[str]
) -> None:
    records = configured(scene.records())
    silenced = [
        msgspec.structs.replace(one, cause_seq=0) if one.sender == "risk_limit" and one.seq < 60 else one for one in records
    ]
    keep(folder, silenced).close(clean=True)
    assert again(json=True) == exit_codes.DIFFERS
    report = json.loads(capsys.readouterr().out)
    assert (report["v"], report["differences"][0]["recorded"]) == (1, None)
    assert report["differences"][0]["now"]["kind"] == "OpenPosition"


def test_another_configuration_shows_what_it_would_have_decided(
    folder: Path, scene: Scene, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    keep(folder, configured(scene.records())).close(clean=True)
    path = config_file(tmp_path, "[limits.drawdown]\nreduce_pct = 5.0\n[broker_gateway]\nlate_fill = 'keep'")
    assert again(config=path, json=True) == exit_codes.DIFFERS
    report = json.loads(capsys.readouterr().out)
    assert {(one["child"].partition("/")[0], one["recorded"]["message"]["reason"]) for one in report["differences"]} == {
        ("position", "late_fill")
    }
    assert {one["now"] for one in report["differences"]} == {None}


def test_a_difference_does_not_bring_about_the_next_one(
    folder: Path, scene: Scene, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One position at a time: the gateway numbers its orders as then, although none of the refused ones reached it."""
    keep(folder, configured(scene.records())).close(clean=True)
    path = config_file(tmp_path, "[exit]\nemergency_r = -1.5")
    path.write_text(path.read_text().replace("[limits]", "[limits]\npositions_max = 1"))
    assert again(config=path, json=True) == exit_codes.DIFFERS
    report = json.loads(capsys.readouterr().out)
    assert {(one["child"], one["now"]["message"]["reason"]) for one in report["differences"]} == {("risk_limit", "positions")}
    assert report["by_actor"]["broker_gateway"]["differing"] == 0


def test_a_record_without_its_configuration_asks_for_one(
    folder: Path, scene: Scene, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    keep(folder, scene.records()).close(clean=True)
    assert again() == exit_codes.FAILED
    assert "run 1 recorded no configuration: say --config FILE" in capsys.readouterr().err
    path = config_file(tmp_path, "")
    assert load(path) == CONFIG
    assert again(config=path) == exit_codes.OK


def test_a_later_day_goes_on_from_the_states_of_the_day_before(folder: Path, scene: Scene) -> None:
    records = configured(scene.records())
    middle_utc_ms = records[len(records) // 2].time_utc_ms
    journal = keep(folder, records, day_of=lambda utc_ms: "2026-01-05" if utc_ms < middle_utc_ms else "2026-01-06")
    journal.close(clean=True)
    first_of_second_day = next(record.seq for record in records if record.time_utc_ms >= middle_utc_ms)
    assert again(from_seq=first_of_second_day) == exit_codes.OK


def test_the_runs_of_a_journal_are_listed(folder: Path, scene: Scene, capsys: pytest.CaptureFixture[str]) -> None:
    records = configured(scene.records())
    keep(folder, records).close(clean=True)
    assert again(list=True) == exit_codes.OK
    assert f"#1 to #{len(records)}, build {STARTED.build}, anew in order" in capsys.readouterr().out


@pytest.mark.parametrize(
    "flags, words", [({"segment": 2}, "there is no run 2"), ({"from_seq": 9_999}, "ends with record {last_seq}\n")]
)
def test_what_the_journal_does_not_hold_is_one_line(
    folder: Path, scene: Scene, capsys: pytest.CaptureFixture[str], flags: dict[str, object], words: str
) -> None:
    records = configured(scene.records())
    keep(folder, records).close(clean=True)
    assert again(**flags) == exit_codes.FAILED
    assert words.format(last_seq=len(records)) in capsys.readouterr().err


def test_a_wrong_configuration_is_told_as_such(folder: Path, tmp_path: Path, scene: Scene) -> None:
    keep(folder, configured(scene.records())).close(clean=True)
    assert again(config=config_file(tmp_path, "[nonsense]\nx = 1")) == exit_codes.CONFIG_INVALID
