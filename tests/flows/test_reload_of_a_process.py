"""A person edits the file of a running supervisor and reloads: a real process, one story, of which each test reads a part."""

import contextlib
import io
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest
from house import House, houses, still_open
from live import until

from evenkeel.adapters.control_channel import ControlError, Reload, ask
from evenkeel.cli import main
from evenkeel.commands import exit_codes
from evenkeel.messages.operator import LimitsLowered, ModeChanged
from evenkeel.messages.system import RunStarted, RunStopped

CONFIG = """
profile = "demo"
[account]
name = "test"
[trading]
enabled = true
[entry]
stop_pips = 300
target_pips = 300
[exit]
time_stop_minutes = "off"
[limits]
intent_expiry_s = "off"
positions_max = 4
[broker_gateway]
reconcile_s = 0.2
[strategy.quick]
kind = "ma_cross"
symbols = ["EURUSD"]
fast = 999
slow = 1000
"""


class Ended(NamedTuple):
    status: int
    out: str
    err: str


class Told(NamedTuple):
    looked: Ended
    invalid: Ended
    lowered: Ended
    left: Ended
    hung_up: str
    changed: Ended
    raised: Ended
    waited: list[str]
    starts: list[RunStarted]
    modes: list[str]
    lowerings: list[str]
    stops: list[str]
    opened: set[int]
    after_kill: list[dict[str, Any]]
    restarted: Ended


def edited(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def command(*words: str) -> Ended:
    """In this process, which saves a start for each."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        status = main([*words, "--account", "test"])
    return Ended(status, out.getvalue(), err.getvalue())


class Typed(io.StringIO):
    """A person at a terminal."""

    def isatty(self) -> bool:
        return True


def is_served() -> bool:
    return command("status").status != exit_codes.NOT_RUNNING


def reload(*flags: str) -> Ended:
    return command("reload", *flags)


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Told]:
    """A position is opened; limits are lowered, by a word and by a signal; two segments follow; the process is killed while a
    third one begins, and started again."""
    folder = tmp_path_factory.mktemp("reload")
    homes = houses(folder, CONFIG)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EVENKEEL_STATE", str(folder / "state"))
        try:
            yield story(next(homes), folder / "test.toml")
        finally:
            for _ in homes:
                pass  # its processes end


def story(house: House, path: Path) -> Told:
    run = house.start()
    run.until("the broker agrees")
    until(is_served)
    assert command("start").status == 0
    until(lambda: command("signal", "EURUSD", "buy").status == 0)  # a requote may come first
    run.until("position 1001 opened")
    edited(path, "positions_max = 4", "positions_max = 3")
    looked = reload("--dry-run")
    edited(path, "stop_pips = 300", "stop_pipes = 300\ntarget_pip = 1")
    invalid = reload()
    edited(path, "stop_pipes = 300\ntarget_pip = 1", "stop_pips = 300")
    lowered = reload("--json")
    edited(path, "target_pips = 300", "target_pips = 200")
    left = reload()
    edited(path, "positions_max = 3", "positions_max = 2")
    hung_up = _hung_up(run.process, run.until)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.stdin", Typed("yes\n"))
        changed = reload()
    waited = [run.until("exits of ours waited")]
    edited(path, "positions_max = 2", "positions_max = 9")
    raised = reload("--segment")
    waited.append(run.until("exits of ours waited"))
    edited(path, "target_pips = 200", "target_pips = 250")
    with contextlib.suppress(ControlError):
        ask(house.folder.endpoint, Reload(command_id="last", by="test", segment=True), 10.0)
    run.process.kill()
    run.process.wait()
    again = house.start()
    again.until("the broker agrees")
    until(is_served)
    restarted = reload("--dry-run")
    shown = msgspec.json.decode(command("positions", "--json").out)
    assert command("stop").status == 0
    assert again.process.wait() == 0
    said = house.said()
    return Told(
        looked,
        invalid,
        lowered,
        left,
        hung_up,
        changed,
        raised,
        waited,
        [one for one in said if isinstance(one, RunStarted)],
        [f"{one.mode.value}: {one.reason}" for one in said if isinstance(one, ModeChanged)],
        [one.limits for one in said if isinstance(one, LimitsLowered)],
        [one.reason.partition(" by ")[0] for one in said if isinstance(one, RunStopped)],
        still_open(said),
        shown["positions"],
        restarted,
    )


def _hung_up(process: "subprocess.Popen[str]", until_said: Callable[[str], str]) -> str:
    if sys.platform == "win32":
        return ""
    process.send_signal(signal.SIGHUP)
    return until_said("left as before")


def test_a_look_shows_key_old_new_and_class_and_changes_nothing(told: Told) -> None:
    assert told.looked == Ended(0, "free     limits.positions_max: 4 -> 3\nreload: nothing was changed\n", "")


def test_a_wrong_file_is_told_with_every_line_and_changes_nothing(told: Told) -> None:
    assert (told.invalid.status, told.invalid.out) == (6, "reload: the configuration is invalid, nothing was changed\n")
    keys = [line.partition(".toml:")[2].partition(": ")[2].partition(":")[0] for line in told.invalid.err.splitlines()]
    assert keys == ["entry.stop_pipes", "entry.target_pip"]


def test_a_lowered_limit_is_in_force(told: Told) -> None:
    report = msgspec.json.decode(told.lowered.out)
    assert (told.lowered.status, report["v"], report["end"]) == (0, 1, "lowered")
    assert told.lowerings[:2] == ["", '{"limits.positions_max":3}']


def test_what_takes_a_segment_is_left_until_a_person_says_so(told: Told) -> None:
    assert told.left == Ended(
        4,
        "segment  entry.target_pips: 300.0 -> 200.0\nreload: nothing was changed; the rest takes evenkeel reload --segment\n",
        "",
    )


@pytest.mark.skipif(sys.platform == "win32", reason="there is no such signal")
def test_a_hang_up_lowers_and_the_log_tells_what_was_left(told: Told) -> None:
    assert told.hung_up.rstrip().endswith("entry.target_pips")
    assert told.lowerings[2] == '{"limits.positions_max":2}'


def test_a_segment_begins_in_the_same_process_when_a_person_types_yes_and_keeps_the_mode(told: Told) -> None:
    assert "begin another segment with it? type yes: " in told.changed.out
    assert (told.changed.status, told.changed.out.splitlines()[-1]) == (0, "reload: another segment serves with it")
    second = told.starts[1]
    assert (second.reloaded, second.raised, second.crashed, second.continued) == (True, "", False, False)
    assert told.modes[:3] == ["close_only: the process started", "run: start", "run: the process started"]


def test_a_raised_limit_takes_a_segment_and_closes_entries(told: Told) -> None:
    assert (told.raised.status, told.starts[2].raised) == (0, "limits.positions_max")
    assert told.modes[3] == "close_only: raised: limits.positions_max"


def test_exits_wait_for_a_change_no_longer_than_a_few_seconds(told: Told) -> None:
    """Far less on a machine that does nothing else: the log says it each time."""
    waited_ms = [int(line.partition("waited ")[2].partition(" ms")[0]) for line in told.waited]
    assert max(waited_ms) < 5_000


def test_a_position_lives_through_all_of_it_and_so_it_does_when_the_process_is_killed_in_between(told: Told) -> None:
    assert told.opened == {1001}
    assert [position["ticket"] for position in told.after_kill] == [1001]


def test_after_the_kill_the_process_comes_up_with_the_file_and_asks_for_a_person(told: Told) -> None:
    assert told.restarted == Ended(0, "reload: nothing differs from what is in force\n", "")
    last = told.starts[-1]
    assert last.crashed
    assert told.modes[-1].startswith("close_only")
