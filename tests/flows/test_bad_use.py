"""What people, shells and disks do to the commands: clear words, the documented status, nothing half done, no traceback."""

import contextlib
import json
import os
import pwd
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from live import until
from walk import TICKS, contents, ended

from evenkeel.commands import exit_codes

EVENKEEL = (sys.executable, "-m", "evenkeel.cli")
CONFIG = """
[strategy.quick]
kind = "ma_cross"
symbols = ["EURUSD"]
fast = 2
slow = 3
"""
OLD_BREAKER = """
[circuit_breaker]
spread_ratio = 3.0
atr_ratio = 2.0
hold_minutes = 15
baseline_bars = 100
"""
WITHOUT_STATE = ("status", "limits", "positions", "start", "kill", "history", "logs", "chains", "controls", "backup", "verify")
READERS = (*WITHOUT_STATE, "drill", "why trade", "why-not EURUSD", "replay", "report --html out.html", "completion accounts")
STARTERS = ("run --config quick.toml", "watchdog --config quick.toml", "terminal --simulated")


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("EVENKEEL_STATE", str(tmp_path / "state"))
    (tmp_path / "quick.toml").write_text(CONFIG, encoding="utf-8")
    (tmp_path / "ticks.csv").write_text(TICKS, encoding="utf-8")
    return tmp_path


def shell(line: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """`evenkeel` in a line of a shell is the command of this checkout."""
    words = line.replace("evenkeel", f"{sys.executable} -m evenkeel.cli")
    return subprocess.run(["sh", "-c", words], env=os.environ | environment, capture_output=True, text=True, timeout=60)


@pytest.fixture
def supervisor(here: Path) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        [*EVENKEEL, "run", "--config", "quick.toml", "--speed", "60", "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert json.loads(process.stdout.readline())["state"] == "serving"
        yield process
        process.kill()


def test_two_supervisors_of_one_account_and_what_a_dead_one_leaves(
    supervisor: subprocess.Popen[str], capsys: pytest.CaptureFixture[str]
) -> None:
    second = shell("evenkeel run --config quick.toml")
    assert second.returncode == exit_codes.REFUSED
    assert f"pid {supervisor.pid}" in second.stderr
    assert "a supervisor of the same build; end that one first" in second.stderr

    supervisor.kill()
    supervisor.wait()
    for words in ("status", "pause", "close 1", "signal EURUSD buy"):
        assert ended(words.split()) == exit_codes.NOT_RUNNING, words
    assert "no supervisor runs here" in capsys.readouterr().err
    with subprocess.Popen(
        [*EVENKEEL, "run", "--config", "quick.toml", "--speed", "60", "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as next_one:
        assert next_one.stdout is not None
        assert json.loads(next_one.stdout.readline())["state"] == "serving"
        next_one.send_signal(signal.SIGINT)
        assert next_one.wait(30) == exit_codes.OK


@pytest.mark.skipif(sys.platform != "linux", reason="needs a place where nobody may make a folder")
@pytest.mark.parametrize("root", ["/proc/evenkeel", "quick.toml"])
def test_a_state_folder_that_cannot_be_is_named(
    root: str, here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("EVENKEEL_STATE", root)
    before = contents(here)
    for words in (*READERS, *STARTERS):
        status, told = ended(words.split()), capsys.readouterr()
        assert status not in (exit_codes.RESTART, exit_codes.OUTCOME_UNKNOWN), words
        assert len(told.err.splitlines()) <= 1, told.err
        if words in STARTERS:
            assert status == exit_codes.FAILED
            assert "cannot be made" in told.err
            assert "EVENKEEL_STATE" in told.err
    assert contents(here) == before


def test_without_a_home_a_person_is_told_what_to_set(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def nobody(_: int) -> None:
        raise KeyError("no such user")

    for name in ("HOME", "EVENKEEL_STATE", "XDG_STATE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(pwd, "getpwuid", nobody)
    for words in READERS:
        assert ended(words.split()) == exit_codes.USAGE, words
        assert "set EVENKEEL_STATE to a folder of yours" in capsys.readouterr().err


def test_a_configuration_of_the_last_version_says_what_to_write_instead(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "old.toml").write_text(OLD_BREAKER, encoding="utf-8")
    for words in ("config check", "run", "watchdog", "terminal", "doctor"):
        assert ended([*words.split(), "--config", "old.toml"]) == exit_codes.CONFIG_INVALID
        told = capsys.readouterr().err.splitlines()
        assert [line.partition("since 0.5.0 ")[2] for line in told] == [
            "a number for each level, as [3.0, 5.0, 10.0]",
            "a number for each level and of M15 bars, as [2.0, 3.0, 5.0, 8.0]",
            "it is quiet_minutes, until a level is left downwards",
            "it is baseline_days, in days instead of bars",
        ]
        assert told[0].startswith("old.toml:3: circuit_breaker.spread_ratio: ")


def test_a_configuration_for_a_newer_version_is_refused_by_what_is_new_in_it(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (here / "new.toml").write_text("[telepathy]\nrange = 3\n", encoding="utf-8")
    assert ended(["config", "check", "--config", "new.toml"]) == exit_codes.CONFIG_INVALID
    assert capsys.readouterr().err == "new.toml:1: telepathy: is unknown\n"


@pytest.mark.skipif(sys.platform == "win32", reason="the lines are of a POSIX shell")
@pytest.mark.parametrize(
    "line, environment, status, said",
    [
        ("exec 3>&1; { evenkeel config show; echo $? >&3; } | true", {}, None, ""),
        ("evenkeel status >&-", {}, exit_codes.NOT_RUNNING, "status: no supervisor runs here"),
        ("evenkeel status --json 2>&- >&-", {}, exit_codes.NOT_RUNNING, ""),
        ("evenkeel init new.toml <&-", {}, exit_codes.USAGE, "nothing was written"),
        ("evenkeel controls", {"LC_ALL": "C", "PYTHONIOENCODING": "ascii"}, exit_codes.OK, ""),
        ("printf '\\377\\n' | evenkeel init new.toml", {}, exit_codes.USAGE, "nothing was written"),
        ("evenkeel status --account \"$(printf '\\377')\"", {"LC_ALL": "C"}, exit_codes.USAGE, "1 to 32 of A-Z"),
    ],
)
def test_streams_that_are_closed_narrow_or_odd(
    line: str, environment: Mapping[str, str], status: int | None, said: str, here: Path
) -> None:
    before = contents(here)
    done = shell(line, **environment)
    assert status is None or done.returncode == status
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr
    assert said in done.stderr
    assert contents(here) == before


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_standard_output_on_a_full_disk_is_a_failure_in_one_line(here: Path) -> None:
    done = shell("evenkeel config show > /dev/full")
    assert (done.returncode, done.stderr) == (exit_codes.FAILED, "evenkeel config: [Errno 28] No space left on device\n")


FULL = """
import resource, signal, sys
from evenkeel.cli import main
resource.setrlimit(resource.RLIMIT_FSIZE, (64, resource.RLIM_INFINITY))
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
for words in sys.argv[1:]:
    print(main(words.split()), words, file=sys.stderr)
"""
WRITERS = (
    "init new.toml --yes",
    "strategy new my_own",
    "data convert ticks.csv --symbol EURUSD --to out.csv",
    "data import ticks.csv --symbol EURUSD --to out.parquet",
    "backtest --ticks ticks.csv --symbol EURUSD --strategy ma_cross:fast=2,slow=3 --json out.json --html out.html",
)


@pytest.mark.skipif(sys.platform == "win32", reason="no limit on the size of files")
def test_a_full_disk_leaves_no_half_of_a_file(here: Path) -> None:
    before = contents(here)
    no_half_modules = os.environ | {"PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        [sys.executable, "-c", FULL, *WRITERS], env=no_half_modules, capture_output=True, text=True, timeout=60
    )
    ends = [line.partition(" ") for line in done.stderr.splitlines() if line.partition(" ")[2] in WRITERS]
    assert [(words, int(status)) for status, _, words in ends] == [(words, exit_codes.FAILED) for words in WRITERS]
    assert "Traceback" not in done.stderr
    assert contents(here) == before


INTERRUPTED = """
import faulthandler, os, pathlib, signal, sys
from evenkeel.cli import main
faulthandler.dump_traceback_later(50, exit=True)
typed = []
def ctrl_c(*_):
    typed.append(signal.SIGINT)
    os.kill(0, signal.SIGINT)
signal.signal(signal.SIGALRM, ctrl_c)
signal.setitimer(signal.ITIMER_REAL, float(sys.argv[1]))
try:
    while (status := main(sys.argv[2:])) == 0 and not typed:
        for path in pathlib.Path().glob("out.*"):
            path.unlink()
except KeyboardInterrupt:
    status = 130
sys.exit(status)
"""
"""As a terminal does on Ctrl-C: every process of the group hears it. A command that is done before that begins anew."""
LONGER = (
    "demo --seconds 20",
    "backtest --ticks big.csv --symbol EURUSD --strategy ma_cross:fast=2,slow=3 --every-tick --json out.json --html out.html",
    "check-strategy --ticks big.csv --symbol EURUSD --strategy ma_cross:fast=2,slow=3",
    "data convert big.csv --symbol EURUSD --to out.csv",
    "simulate --seeds 4 --account-days 20 --controls 0 --jobs 2 --json out.json",
    "bench all --seconds 20 --json out.json",
    "run --config quick.toml --speed 60",
    "watchdog --config quick.toml",
    "terminal --simulated",
    "logs -f",
)
IN_ORDER = {"run", "watchdog", "terminal"}
"""For these an interrupt is a request to stop, and stopping is what they did: 0."""
MOMENTS_S = (0.01, 0.25, 1.2)


@pytest.fixture(scope="module")
def big_ticks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("big") / "big.csv"
    rows = (f"{1_767_600_000_000 + 1_000 * row},1.1{row % 97:04},1.1{row % 97 + 9:04}\n" for row in range(150_000))
    path.write_text("time_msc,bid,ask\n" + "".join(rows), encoding="utf-8")
    return path


@pytest.mark.skipif(sys.platform != "linux", reason="looks for processes in /proc")
@pytest.mark.parametrize("words", LONGER, ids=lambda words: words.split()[0])
def test_ctrl_c_at_any_moment_leaves_nothing_behind(words: str, here: Path, big_ticks: Path) -> None:
    with contextlib.ExitStack() as each:
        started = [(each.enter_context(interrupted(at_s, words, here, big_ticks)), here / f"at {at_s}") for at_s in MOMENTS_S]
        for process, place in started:
            _, told = process.communicate(timeout=60)
            allowed = {exit_codes.INTERRUPTED, exit_codes.OK} if words.split()[0] in IN_ORDER else {exit_codes.INTERRUPTED}
            assert process.returncode in allowed, told
            assert "Traceback" not in told
            until(lambda pid=process.pid: not living(pid))
            assert {path.name for path in place.iterdir()} - {"state"} == {"quick.toml", "big.csv", "tmp"}
            assert list((place / "tmp").iterdir()) == []


@contextlib.contextmanager
def interrupted(at_s: float, words: str, here: Path, big_ticks: Path) -> Iterator[subprocess.Popen[str]]:
    """A command in a session and a folder of its own; nothing of the session lives on."""
    place = here / f"at {at_s}"
    (place / "tmp").mkdir(parents=True)
    (place / "quick.toml").write_text(CONFIG, encoding="utf-8")
    (place / "big.csv").symlink_to(big_ticks)
    with subprocess.Popen(
        [sys.executable, "-c", INTERRUPTED, str(at_s), *words.split()],
        cwd=place,
        env=os.environ | {"EVENKEEL_STATE": str(place / "state"), "TMPDIR": str(place / "tmp")},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            yield process
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


IMPORTING = """
import os, signal, sys
from evenkeel.cli import main
class Finder:
    def find_spec(name, *_):
        if name == "evenkeel.commands.simulate.outside":
            os.kill(os.getpid(), signal.SIGINT)
sys.meta_path.insert(0, Finder)
sys.exit(main(["simulate", "--seeds", "2", "--account-days", "60", "--controls", "0", "--jobs", "2"]))
"""


def test_ctrl_c_during_an_import_ends_the_wait_that_comes_after_it() -> None:
    done = subprocess.run([sys.executable, "-c", IMPORTING], capture_output=True, text=True, timeout=30)
    assert done.returncode == exit_codes.INTERRUPTED, done.stderr


SWALLOWED = """
import os, signal
from typing import Annotated
import msgspec
class CtrlC:
    is_typed = False
    def __hash__(self):
        if self.is_typed:
            os.kill(os.getpid(), signal.SIGINT)
        return 1
ctrl_c = CtrlC()
KIND = Annotated[int, ctrl_c]
class Deaf:
    window_bars = 2
    def __init__(self, spec):
        self.heard = 0
    def on_bar(self, bar):
        self.heard += 1
        ctrl_c.is_typed = self.heard == 2
        msgspec.convert(1, KIND)
        return 0
"""


def test_ctrl_c_that_an_extension_swallows_is_heard_all_the_same(here: Path, big_ticks: Path) -> None:
    (here / "deaf.py").write_text(SWALLOWED, encoding="utf-8")
    words = f"evenkeel backtest --ticks {big_ticks} --symbol EURUSD --strategy python:object=deaf.Deaf --every-tick"
    done = shell(words)
    assert done.returncode == exit_codes.INTERRUPTED, done.stderr


def living(session: int) -> list[str]:
    """The command lines of the processes of a session; one that only waits to be buried does not live."""
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            with contextlib.suppress(OSError):
                state, _, _, of_session = (folder / "stat").read_text("utf-8").rpartition(")")[2].split()[:4]
                if int(of_session) == session and state != "Z":
                    found.append((folder / "cmdline").read_text("utf-8"))
    return found


def test_ctrl_c_between_two_questions_writes_nothing(here: Path) -> None:
    before = contents(here)
    with subprocess.Popen([*EVENKEEL, "init", "new.toml"], stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        told = ""
        while "]: " not in told:
            told += process.stderr.read(1)
        process.send_signal(signal.SIGINT)
        told += process.stderr.read()
        assert process.wait(30) == exit_codes.INTERRUPTED
    assert told.endswith("\ninit: nothing was written\n")
    assert "Traceback" not in told
    assert contents(here) == before
