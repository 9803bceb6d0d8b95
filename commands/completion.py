"""`evenkeel completion SHELL`: a script that completes commands, flags and their values, made by shtab from the parsers.

Keep it in a file, which costs a shell's start nothing, and write it anew after an update:

    bash        evenkeel completion bash > ~/.local/share/bash-completion/completions/evenkeel
    zsh         evenkeel completion zsh > ~/.zfunc/_evenkeel, and in ~/.zshrc before compinit: fpath+=~/.zfunc
    fish        evenkeel completion fish > ~/.config/fish/completions/evenkeel.fish
    powershell  evenkeel completion powershell > evenkeel.ps1, and in $PROFILE: . PATH/evenkeel.ps1

Names of accounts are asked for when they are wanted: `evenkeel completion accounts` lists them.
"""

import argparse
import sys
from pathlib import Path
from typing import Final

import msgspec

from evenkeel.adapters.os import StateError, state_root
from evenkeel.adapters.state_folder import accounts_in
from evenkeel.cli import PROGRAM, leaves, whole_parser
from evenkeel.commands import exit_codes

SHELLS: Final = ("bash", "zsh", "fish", "powershell")
ACCOUNTS: Final = "accounts"
_FILES: Final = ("FILE", "OUT")
_FOLDERS: Final = ("DIR", "FOLDER", "BACKUP")


class Script(msgspec.Struct):
    """What `--json` prints of a shell."""

    shell: str
    script: str
    v: int = 1


class Accounts(msgspec.Struct):
    """What `--json` prints of the accounts."""

    accounts: list[str]
    v: int = 1


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = (__doc__ or "").split("\n", 2)[2]
    parser.add_argument("shell", choices=(*SHELLS, ACCOUNTS), help="the shell, or the accounts that have a state folder")
    parser.add_argument("--json", action="store_true", help="one JSON object on standard output")


def run(arguments: argparse.Namespace) -> int:
    if arguments.shell == ACCOUNTS:
        try:
            names = accounts_in(state_root())
        except StateError as error:
            print(f"completion: {error}", file=sys.stderr)
            return exit_codes.USAGE
        print(msgspec.json.encode(Accounts(names)).decode() if arguments.json else "\n".join(names))
        return exit_codes.OK
    script = script_for(arguments.shell)
    print(msgspec.json.encode(Script(arguments.shell, script)).decode() if arguments.json else script)
    return exit_codes.OK


def script_for(shell: str) -> str:
    import shtab  # a twentieth of a second that no other command pays

    whole = whole_parser()
    for action in (action for leaf in leaves(whole) for action in leaf._actions):  # argparse tells of them nowhere else
        if completed := _completed(action):
            action.complete = completed  # type: ignore[attr-defined]
    return shtab.complete(whole, shell)


def _completed(action: argparse.Action) -> object:
    """What the shell offers for a value that is none of a few words; None: nothing."""
    import shtab

    if action.dest == "account":
        return shtab.cmd(f"{PROGRAM} completion {ACCOUNTS}")
    if action.metavar in _FOLDERS:
        return shtab.DIRECTORY
    return shtab.FILE if action.metavar in _FILES or action.type is Path else None
