"""What holds for all commands: --json is one object of a known form, talk is on standard error, light ones stay light.

The commands come from the parsers, so that none can be forgotten.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from walk import LEAVES, TICKS, ended

from evenkeel.cli import JSON_FLAG
from evenkeel.commands import exit_codes
from evenkeel.commands.demo.result import DemoReport
from evenkeel.commands.promote import PromoteReport
from evenkeel.commands.served import ServedLine
from evenkeel.commands.simulate.summary import Summary
from evenkeel.commands.webhooks import Listening

CONFIG = """
profile = "demo"
[trading]
enabled = true
[entry]
stop_pips = 3.0
target_pips = 3.0
cooldown_minutes = 0.0
[limits]
intent_expiry_s = "off"
[broker_gateway]
reconcile_s = 0.1
[strategy.quick]
kind = "ma_cross"
symbols = ["EURUSD"]
fast = 2
slow = 3
"""
STRATEGY = "--symbol EURUSD --strategy ma_cross:fast=2,slow=3"
OUTCOME = "command command_id detail end epoch confirmed_by v"
JSON_KEYS = {
    "init new.toml --yes": "file account v",
    f"backtest --ticks ticks.csv {STRATEGY}": (
        "symbol ticks bars crossed_dropped repeats_dropped trades open net_cents run_s total_s peak_mb journal_sha256 "
        "equity_drawdown_max_cents days refusals account strategy settings digits from_utc_ms to_utc_ms statistics equity "
        "drawdown prices v"
    ),
    f"check-strategy --ticks ticks.csv {STRATEGY}": "symbols v",
    "data import ticks.csv --symbol EURUSD --to out.csv": (
        "written kind rows first_utc_ms last_utc_ms zone zone_by left_out left_out_shown unmatched findings v"
    ),
    "data check ticks.csv": "files v",
    "data convert out.csv --symbol EURUSD --to out.parquet": "written kind rows first_utc_ms last_utc_ms crossed v",
    "strategy new my_own": "files object v",
    "watchdog --reactions": "reactions v",
    "service install --systemd --print --config live.toml": "action account path written text next v",
    "top --once": "supervisor why age_ms room view watchdog v",
    "terminal --list": "scenarios v",
    "completion accounts": "accounts v",
    "completion bash": "shell script v",
    "config check --config live.toml": "valid profile identity problems v",
    "config show": "valid settings problems v",
    "start": OUTCOME,
    "signal EURUSD buy": "command command_id end detail tickets v",
    "status": "supervisor why age_ms view v watchdog",
    "positions": "supervisor why age_ms positions foreign v",
    "chains": "chains unreadable v",
    "shields": "supervisor why age_ms shields v",
    "shields --lower EURUSD buy": OUTCOME,
    "limits": "supervisor why age_ms limits v",
    "health": "supervisor why age_ms well checks more v",
    "notify --config live.toml": "outlets events severity_max notices v",
    "reload --dry-run": "command_id end detail changes more problems v",
    "controls": "account controls v",
    "pause --for 1": OUTCOME,
    "resume": OUTCOME,
    "close 999": OUTCOME,
    "adopt 999": OUTCOME,
    "close-all": "command_id positions still_open command v",
    "close-only": OUTCOME,
    "freeze": OUTCOME,
    "flatten": OUTCOME,
    "kill": OUTCOME,
    "rearm": OUTCOME,
    "doctor": "fit findings measured v",
    "backup --to backups": "backup folder took_ms removed v",
    "stop": OUTCOME,
    "performance": "account currency currency_digits by total groups v",
    "history": "account currency currency_digits trades more v",
    "why trade": "ticket records v what",
    "why-not EURUSD": (
        "symbol since_utc_ms signals opened refusals newest explained last_signal_utc_ms last_bar_utc_ms "
        "stale_since_utc_ms mode v"
    ),
    "replay --list": "runs v",
    "replay": (
        "run from_seq to_seq recorded_build inputs equal differing unanswered by_actor differences left_out "
        "is_other_configuration v"
    ),
    "report": (
        "symbol trades open days refusals account strategy settings digits from_utc_ms to_utc_ms statistics "
        "equity drawdown prices journal_sha256 v"
    ),
    "verify": "journal records took_ms v",
    "drill --backup backups": "backup taken_utc_ms records children compared mode positions orders_open took_ms v",
    "restore backups": "backup taken_utc_ms records aside v",
}
"""Words, in the order of a day, and keys that their object has. Keys may be added; one that goes breaks somebody's script."""
BY_ITS_STRUCT = {
    "demo": (DemoReport, "good faults trades won net_cents average_r exits left_open refused killed back_ms records v"),
    "simulate": (Summary, "version build worlds account_days faults invariants counts control failures is_good v"),
    "run": (ServedLine, "command account state words pid status v"),
    "promote": (PromoteReport, "account proof config_file login ready accepted items v"),
    "webhooks": (Listening, "url account token v"),
}
"""What takes too long for this test and is run by another one."""
ELSEWHERE = {"bench", *BY_ITS_STRUCT}
JSON_LINES = {"logs"}


def command_of(words: str) -> str:
    return max((command for command in LEAVES if f"{words} ".startswith(f"{command} ")), key=len)


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("commands")
    (folder / "ticks.csv").write_text(TICKS, encoding="utf-8")
    (folder / "live.toml").write_text(CONFIG, encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("EVENKEEL_STATE", str(folder / "state"))
        yield folder


@pytest.fixture
def supervisor(here: Path) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "evenkeel.cli", "run", "--config", "live.toml", "--speed", "600", JSON_FLAG]
    with (here / "log").open("w") as log, subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True) as process:
        yield process
        process.kill()


def test_each_command_has_it() -> None:
    lacking = [command for command, leaf in LEAVES.items() if JSON_FLAG not in leaf._option_string_actions]
    assert lacking == []
    assert set(LEAVES) - set(map(command_of, JSON_KEYS)) - ELSEWHERE - JSON_LINES == set(), "is its object known?"


def test_without_a_supervisor_there_is_always_one_object(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    statuses = {}
    for words in JSON_KEYS:
        statuses[words] = ended(
            [*words.split(), JSON_FLAG, "--account", "none"] if takes_account(words) else [*words.split(), JSON_FLAG]
        )
        told = capsys.readouterr()
        found = json.loads(told.out)
        assert found["v"] == 1, words
        assert "Traceback" not in told.err, words
        assert statuses[words] in {meaning.status for meaning in exit_codes.MEANINGS}
        if "error" in found:
            assert (found["status"], found["error"]) == (statuses[words], told.err.strip()), words
    told_no_supervisor = {words for words, status in statuses.items() if status == exit_codes.NOT_RUNNING}
    assert told_no_supervisor >= {"status", "positions", "limits", "start", "pause --for 1", "stop", "close 999"}


def takes_account(words: str) -> bool:
    return "--account" in LEAVES[command_of(words)]._option_string_actions


def test_with_a_supervisor_each_object_has_its_keys(
    here: Path, supervisor: subprocess.Popen[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert supervisor.stdout is not None
    lines = [json.loads(supervisor.stdout.readline())]
    for path in ("new.toml", "out.csv", "out.parquet", "my_own.py", "test_my_own.py"):
        (here / path).unlink(missing_ok=True)
    objects: dict[str, Any] = {}
    for words in JSON_KEYS:
        status = ended([*words.split(), JSON_FLAG])
        objects[words] = json.loads(capsys.readouterr().out)
        assert status in (exit_codes.OK, exit_codes.REFUSED, exit_codes.FAILED), words
        if words == "stop":
            lines.append(json.loads(supervisor.stdout.readline()))
            assert supervisor.wait(30) == exit_codes.OK
    lacking = {words: set(keys.split()) - set(objects[words]) for words, keys in JSON_KEYS.items()}
    assert {words: keys for words, keys in lacking.items() if keys} == {}
    assert [(line["state"], line["account"], line["status"]) for line in lines] == [
        ("serving", "simulated", None),
        ("ended", "simulated", 0),
    ]
    assert ended(["logs", JSON_FLAG, "-n", "3"]) == exit_codes.OK
    assert all("text" in json.loads(line) for line in capsys.readouterr().out.splitlines())


TABLES = ("positions", "limits", "chains", "performance", "history", "controls", "shields")


@pytest.mark.parametrize("width", [20, 40])
def test_on_a_narrow_terminal_every_cell_is_there_and_no_line_is_longer(
    width: int, here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of the account of the test before."""
    for command in TABLES:
        monkeypatch.setenv("COLUMNS", "500")
        ended([command])
        wide = capsys.readouterr().out
        monkeypatch.setenv("COLUMNS", str(width))
        ended([command])
        narrow = capsys.readouterr().out
        words = {word for word in wide.split() if len(word) <= width // 2}
        assert words - set(narrow.split()) == set(), command
        assert max(map(len, narrow.splitlines()), default=0) <= width, command


@pytest.mark.parametrize("command", BY_ITS_STRUCT)
def test_an_object_that_takes_long_to_make_has_its_keys(command: str) -> None:
    struct, keys = BY_ITS_STRUCT[command]
    assert set(keys.split()) <= set(struct.__struct_fields__)


LIGHT = (
    "status",
    "positions",
    "limits --json",
    "shields",
    "start",
    "close 1",
    "close-all",
    "stop --no-color",
    "completion accounts",
    "config check",
    "config show --json",
    "nonsense --json",
)
READERS = ("pause", "signal EURUSD buy", "controls", "history", "performance --json", "verify", "why trade")
HEAVY = {"rich", "numpy", "polars", "pykka", "loguru", "shtab", "ssl", "evenkeel.supervisor"}
RUN_ALL = """
import sys
from evenkeel.cli import main
for words in sys.argv[1:]:
    main(words.split())
print("MODULES", *sys.modules)
"""


@pytest.mark.parametrize("commands, unwanted", [(LIGHT, HEAVY | {"lmdb"}), (READERS, HEAVY)], ids=["light", "readers"])
def test_nothing_heavy_is_imported_for(commands: tuple[str, ...], unwanted: set[str], here: Path) -> None:
    done = subprocess.run([sys.executable, "-c", RUN_ALL, *commands], capture_output=True, text=True, timeout=60, check=True)
    modules = set(done.stdout.rpartition("MODULES")[2].split())
    assert "evenkeel.commands.status" in modules or "evenkeel.commands.why" in modules
    assert modules & unwanted == set()


@pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo terminal")
@pytest.mark.parametrize(
    "flags, environment, colored",
    [
        ("", {}, True),
        ("", {"NO_COLOR": "1"}, False),
        ("--no-color", {"FORCE_COLOR": "1"}, False),
    ],
)
def test_colours_are_for_terminals_and_go_when_asked(
    flags: str, environment: dict[str, str], colored: bool, tmp_path: Path
) -> None:
    import pty

    here, there = pty.openpty()
    plain = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "FORCE_COLOR")}
    done = subprocess.run(
        [sys.executable, "-m", "evenkeel.cli", "terminal", "--listen", "127.0.0.1:0", *flags.split()],
        env=plain | environment | {"EVENKEEL_STATE": str(tmp_path), "TERM": "xterm"},
        stderr=there,
        timeout=60,
    )
    os.close(there)
    told = os.read(here, 65536).decode()
    os.close(here)
    assert done.returncode == exit_codes.USAGE
    assert "a key was drawn" in told
    assert ("\x1b[" in told) == colored
