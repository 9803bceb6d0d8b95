"""Completion, asked of bash itself; the other shells' scripts are looked at."""

import shutil
import subprocess

import pytest

from evenkeel.cli import COMMANDS, main
from evenkeel.commands import completion, exit_codes
from evenkeel.commands.completion import Known, known

BASH = shutil.which("bash")


@pytest.fixture(scope="module")
def commands() -> list[Known]:
    return [known(command) for command in COMMANDS]


@pytest.mark.skipif(BASH is None, reason="needs bash")
@pytest.mark.parametrize(
    "line, offered",
    [
        ("evenkeel posi", ["positions"]),
        ("evenkeel close", ["close", "close-all", "close-only"]),
        ("evenkeel logs --er", ["--errors"]),
        ("evenkeel performance --by m", ["month"]),
        ("evenkeel logs --level W", ["WARNING"]),
        ("evenkeel signal EURUSD s", ["sell"]),
        ("evenkeel completion f", ["fish"]),
        ("evenkeel positions --account ", []),
        ("evenkeel nonsense --", []),
    ],
)
def test_bash_offers_what_may_come_next(commands: list[Known], line: str, offered: list[str]) -> None:
    words = line.split(" ")
    asked = "COMP_WORDS=({}); COMP_CWORD={}; _evenkeel; printf '%s\\n' \"${{COMPREPLY[@]}}\"".format(
        " ".join(f"'{word}'" for word in words), len(words) - 1
    )
    script = f"set -u\n{completion.bash(commands)}\n{asked}"
    done = subprocess.run([str(BASH), "--norc", "-c", script], capture_output=True, text=True, check=True, timeout=10)
    assert (done.stdout.split(), done.stderr) == (offered, "")


@pytest.mark.skipif(BASH is None, reason="needs bash")
def test_a_bash_that_loads_it_completes_evenkeel(commands: list[Known]) -> None:
    script = f"{completion.bash(commands)}\ncomplete -p evenkeel"
    done = subprocess.run([str(BASH), "--norc", "-c", script], capture_output=True, text=True, check=True, timeout=10)
    assert done.stdout == "complete -o default -F _evenkeel evenkeel\n"


@pytest.mark.parametrize("shell", completion.SHELLS)
def test_every_command_and_every_long_flag_is_in_every_script(commands: list[Known], shell: str) -> None:
    script = completion.SHELLS[shell](commands)
    flags = {name.removeprefix("--") for one in commands for flag in one.flags for name in flag.names if name[:2] == "--"}
    missing = [word for word in (*(one.command.name for one in commands), *flags) if word not in script]
    assert missing == []
    assert script.count("'") % 2 == 0


@pytest.mark.parametrize("shell", completion.SHELLS)
def test_the_script_comes_on_standard_output(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", shell]) == exit_codes.OK
    told = capsys.readouterr()
    assert "evenkeel" in told.out
    assert told.err == ""
