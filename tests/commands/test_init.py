"""The first minutes: `evenkeel init` asks, writes one file, and what it wrote runs."""

import io
import subprocess
import sys
from pathlib import Path

import pytest

from evenkeel.cli import main
from evenkeel.commands.init import write_new
from evenkeel.config.load import load
from evenkeel.config.schema import MaCrossConfig

Captured = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to stand in; the state of accounts lies beside it."""
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setenv("EVENKEEL_STATE", str(tmp_path / "state"))
    return folder


def typed(monkeypatch: pytest.MonkeyPatch, *lines: str) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("".join(f"{line}\n" for line in lines)))


def test_yes_writes_a_file_that_is_fit_to_run(here: Path, capsys: Captured) -> None:
    assert main(["init", "--yes"]) == 0
    assert capsys.readouterr().out == "evenkeel.toml\n"
    assert main(["config", "check", "--config", "evenkeel.toml"]) == 0
    config = load(here / "evenkeel.toml")
    assert (config.terminal.kind, config.trading.enabled, config.terminal.real_login) == ("simulated", True, None)
    assert config.strategy["trend"] == MaCrossConfig(symbols=("EURUSD",))


def test_every_setting_of_the_file_has_words(here: Path) -> None:
    main(["init", "--yes"])
    lines = (here / "evenkeel.toml").read_text("utf-8").splitlines()
    settings = [line for line in lines if " = " in line and line[0] != "#"]
    assert len(settings) >= 8
    assert [line for line in settings if " # " not in line and not line.startswith("profile")] == []


def test_answers_come_from_standard_input_a_line_each(here: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured) -> None:
    typed(monkeypatch, "paper", "prop", "2500", "GBPUSD, XAUUSD", "")
    assert main(["init", "mine.toml"]) == 0
    config = load(here / "mine.toml")
    assert (config.account.name, config.profile, config.account.start_balance) == ("paper", "prop", 2500.0)
    assert config.strategy["trend"].symbols == ("GBPUSD", "XAUUSD")
    told = capsys.readouterr()
    assert told.out == "mine.toml\n"
    assert "symbols [EURUSD]: " in told.err
    assert "evenkeel start --account paper" in told.err


@pytest.mark.parametrize(
    "lines, words",
    [
        (["1st"], "account: '1st' is not text like"),
        (["", "plain"], "profile: 'plain' is not personal or prop or demo"),
        (["", "", "-5"], "start_balance: -5.0 is not > 0"),
        (["", "", "nan"], "start_balance: is not a finite number"),
        (["", "", "ten"], "start_balance: 'ten' is not a number"),
        (["", "", "", "EURUSD 7UP"], "symbols: item 2: '7UP' is not text like"),
        (["", "", "", "DAX"], "symbols: "),
        (["", "", "", ","], "symbols: it cannot be left out"),
        (["", "", "", "", "ma_crss"], "strategy: 'ma_crss' is not ma_cross"),
        (["", ""], "no answer to start_balance"),
    ],
)
def test_an_answer_that_cannot_be_taken_leaves_nothing_behind(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured, lines: list[str], words: str
) -> None:
    typed(monkeypatch, *lines)
    assert main(["init"]) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert f"init: {words}" in told.err
    assert told.err.endswith("nothing was written\n")
    assert list(here.iterdir()) == []


class AtATerminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_person_may_try_again(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", AtATerminal("1st\nfirst\n\n\n\n\n"))
    assert main(["init"]) == 0
    assert load(here / "evenkeel.toml").account.name == "first"


def test_but_not_for_ever(here: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured) -> None:
    monkeypatch.setattr("sys.stdin", AtATerminal("1\n2\n3\n4\n"))
    assert main(["init"]) == 2
    assert "3 answers could not be taken" in capsys.readouterr().err
    assert list(here.iterdir()) == []


@pytest.mark.parametrize("is_link", [False, True])
def test_what_is_there_is_not_overwritten(here: Path, capsys: Captured, is_link: bool) -> None:
    path = here / "evenkeel.toml"
    if is_link:
        path.symlink_to(here / "nowhere")
    else:
        path.write_text("mine", "utf-8")
    assert main(["init", "--yes"]) == 4
    assert "exists, and nothing is overwritten" in capsys.readouterr().err
    assert path.is_symlink() or path.read_text("utf-8") == "mine"


def test_a_missing_folder_is_named(capsys: Captured) -> None:
    assert main(["init", "no/such/my.toml", "--yes"]) == 2
    assert capsys.readouterr().err == f"init: {Path('no/such/my.toml')}: {Path('no/such')} is no folder; make it first\n"


class Interrupted(io.StringIO):
    """Ctrl-C at the third question."""

    asked = 0

    def readline(self, *_: object) -> str:
        self.asked += 1
        if self.asked == 3:
            raise KeyboardInterrupt
        return "\n"


def test_ctrl_c_leaves_nothing_behind(here: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured) -> None:
    monkeypatch.setattr("sys.stdin", Interrupted())
    assert main(["init"]) == 130
    assert capsys.readouterr().err.endswith("init: nothing was written\n")
    assert list(here.iterdir()) == []


def test_a_file_that_cannot_be_finished_is_taken_away(here: Path) -> None:
    with pytest.raises(UnicodeEncodeError):
        write_new(here / "half.toml", "profile = '\udc80'")
    assert list(here.iterdir()) == []


def test_a_real_terminal_is_offered_where_its_package_is_and_never_live(
    here: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "MetaTrader5.py").write_text("raise ImportError('looked for, not loaded')", "utf-8")
    monkeypatch.syspath_prepend(tmp_path / "site")
    program = tmp_path / "Program Files" / "Broker MT5" / "terminal64.exe"
    program.parent.mkdir(parents=True)
    program.touch()
    monkeypatch.setenv("ProgramFiles", str(program.parent.parent))
    typed(monkeypatch, "mt5", "", "", "", "5001234", "Broker-Demo", "EURUSD.r", "")
    assert main(["init"]) == 0
    config = load(here / "evenkeel.toml")
    terminal = config.terminal
    assert (terminal.kind, terminal.path, terminal.login, terminal.server) == ("mt5", str(program), 5001234, "Broker-Demo")
    assert (config.trading.enabled, terminal.real_login, config.account.name) == (False, None, "demo")
    assert "evenkeel doctor --config evenkeel.toml" in capsys.readouterr().err


def test_what_it_wrote_runs_and_trading_can_be_started(here: Path) -> None:
    def evenkeel(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([*program, *words], capture_output=True, text=True, timeout=60, check=False)

    program = [sys.executable, "-m", "evenkeel.cli"]
    assert evenkeel("init", "--yes").returncode == 0
    run_words = [*program, "run", "--config", "evenkeel.toml"]
    with subprocess.Popen(run_words, stderr=subprocess.PIPE, text=True) as run:
        assert run.stderr is not None
        try:
            assert "serves EURUSD; trading is on: evenkeel start" in next(line for line in run.stderr if "serves" in line)
            assert evenkeel("start").stdout == "start: done: trading\n"
            assert evenkeel("stop").returncode == 0
            run.communicate(timeout=60)
        finally:
            run.kill()
    assert run.returncode == 0
