"""Completion, asked of the shells themselves where they are installed. PowerShell's script is only looked at."""

import json
import os
import re
import select
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from evenkeel.cli import COMMANDS, leaves, main, whole_parser
from evenkeel.commands import exit_codes
from evenkeel.commands.completion import SHELLS, script_for
from evenkeel.runtime.clock import monotonic_s

ASKED = {
    "posi": "positions",
    "logs --er": "logs --errors",
    "performance --by mon": "performance --by month",
    "logs --level W": "logs --level WARNING",
    "signal EURUSD s": "signal EURUSD sell",
    "completion f": "completion fish",
    "data conv": "data convert",
    "data import --spr": "data import --spread",
    "positions --account al": "positions --account alpha",
    "status --no-c": "status --no-color",
    "config check --config conf": "config check --config conf.toml",
}
"""What is typed before the tabulator, and what stands there afterwards."""
IN_PLACE_OF_EVENKEEL = 'evenkeel() { if [ "$1 $2" = "completion accounts" ]; then echo alpha; else echo "said<$*>"; fi; }'
START = {
    "bash": ("--norc", "--noprofile", "-i"),
    "zsh": ("-f", "-i"),
}
READY = {
    "bash": "bind 'set bell-style none'; source ./_evenkeel",
    "zsh": "unsetopt beep; fpath+=$PWD; autoload -Uz compinit; compinit -u -D",
}
ANSWER_S = 20.0


@pytest.fixture(scope="module")
def scripts() -> dict[str, str]:
    return {shell: script_for(shell) for shell in SHELLS}


@contextmanager
def terminal_of(program: str, arguments: Sequence[str], folder: Path) -> Iterator[int]:
    import pty  # not on Windows

    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(folder)
        os.execve(program, [program, *arguments], {"PATH": os.environ["PATH"], "TERM": "dumb", "HOME": str(folder)})
    yield terminal
    os.close(terminal)
    os.waitpid(pid, 0)


def heard(terminal: int, pattern: str) -> str:
    """What a shell answers, as soon as that matches."""
    text, until_s = "", monotonic_s() + ANSWER_S
    while not (found := re.search(pattern, text)):
        assert select.select([terminal], [], [], max(0.0, until_s - monotonic_s()))[0], f"no {pattern} in {text!r}"
        text += os.read(terminal, 4096).decode(errors="replace")
    return found[1]


@pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo terminal")
@pytest.mark.parametrize("shell", START)
def test_a_tabulator_completes_it_in(shell: str, scripts: dict[str, str], tmp_path: Path) -> None:
    program = shutil.which(shell)
    if program is None:
        pytest.skip(f"{shell} is not installed")
    (tmp_path / "_evenkeel").write_text(scripts[shell], encoding="utf-8")
    (tmp_path / "conf.toml").touch()
    with terminal_of(program, START[shell], tmp_path) as terminal:
        os.write(terminal, f"{IN_PLACE_OF_EVENKEEL}; {READY[shell]}; echo loa'ded'\n".encode())
        heard(terminal, "(loaded)")
        completed = {}
        for typed in ASKED:
            os.write(terminal, f"evenkeel {typed}\t\n".encode())
            completed[typed] = heard(terminal, "said<(.*?) *>")
    assert completed == ASKED


def test_a_fish_offers_what_may_come_next(scripts: dict[str, str], tmp_path: Path) -> None:
    fish = shutil.which("fish")
    if fish is None:
        pytest.skip("fish is not installed")
    (tmp_path / "conf.toml").touch()
    stand_in = 'function evenkeel; test "$argv[1..2]" = "completion accounts"; and echo alpha; end'
    asked = "\n".join(f"complete -C 'evenkeel {typed}'; echo" for typed in ASKED)
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path)}
    done = subprocess.run(
        [fish, "--no-config"],
        input=f"{stand_in}\n{scripts['fish']}\n{asked}\n",
        capture_output=True,
        text=True,
        timeout=60,
        env=environment,
        cwd=tmp_path,
    )
    offered = [[line.split("\t")[0] for line in block.splitlines()] for block in done.stdout.split("\n\n")]
    assert (dict(zip(ASKED, offered, strict=False)), done.stderr) == ({k: [v.split()[-1]] for k, v in ASKED.items()}, "")


@pytest.mark.parametrize("shell", SHELLS)
def test_every_command_and_every_flag_is_in_every_script(shell: str, scripts: dict[str, str]) -> None:
    flags = {
        text.lstrip("-")
        for leaf in leaves(whole_parser())
        for action in leaf._actions
        for text in action.option_strings
        if action.help != "==SUPPRESS=="
    }
    missing = [word for word in (*(command.name for command in COMMANDS), *flags) if word not in scripts[shell]]
    assert missing == []


def test_the_brackets_and_quotes_of_the_powershell_script_are_closed(scripts: dict[str, str]) -> None:
    bare = re.sub(r"(?m)^\s*#.*$|'(?:[^'\n]|'')*'|\"[^\"]*\"", "", scripts["powershell"])
    assert "'" not in bare
    assert '"' not in bare
    open_ones: list[str] = []
    for character in bare:
        if character in "([{":
            open_ones.append(character)
        elif character in ")]}":
            assert open_ones.pop() + character in ("()", "[]", "{}")
    assert open_ones == []
    assert "Register-ArgumentCompleter -Native -CommandName" in bare


@pytest.mark.parametrize("shell", SHELLS)
def test_the_script_comes_on_standard_output(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", shell]) == exit_codes.OK
    told = capsys.readouterr()
    assert "evenkeel" in told.out
    assert told.err == ""


def test_the_accounts_are_those_that_have_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("demo", "alpha"):
        (tmp_path / name / "control").mkdir(parents=True)
    (tmp_path / "terminals").mkdir()
    monkeypatch.setenv("EVENKEEL_STATE", str(tmp_path))
    assert main(["completion", "accounts"]) == exit_codes.OK
    assert capsys.readouterr().out.split() == ["alpha", "demo"]
    assert main(["completion", "accounts", "--json"]) == exit_codes.OK
    assert json.loads(capsys.readouterr().out) == {"accounts": ["alpha", "demo"], "v": 1}
