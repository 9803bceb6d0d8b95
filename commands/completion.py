"""`evenkeel completion SHELL`: a script that completes commands, flags and their values, made from the parsers themselves.

Keep it in a file, which costs a shell's start nothing, and write it anew after an update:

    bash        evenkeel completion bash > ~/.local/share/bash-completion/completions/evenkeel
    zsh         evenkeel completion zsh > ~/.evenkeel.zsh, and in ~/.zshrc after compinit: source ~/.evenkeel.zsh
    fish        evenkeel completion fish > ~/.config/fish/completions/evenkeel.fish
    powershell  evenkeel completion powershell > evenkeel.ps1, and in $PROFILE: . PATH/evenkeel.ps1
"""

import argparse
from collections.abc import Callable
from typing import Final, NamedTuple

from evenkeel.cli import COMMANDS, PROGRAM, Command, parser_of
from evenkeel.commands import exit_codes


class Flag(NamedTuple):
    """`names` as it may be written; `takes_value` what follows it, one of `choices` where there are any."""

    names: tuple[str, ...]
    help: str
    takes_value: bool
    choices: tuple[str, ...]


class Known(NamedTuple):
    """What there is to say after one command. `choices` are those of its words without a flag."""

    command: Command
    flags: tuple[Flag, ...]
    choices: tuple[str, ...]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = (__doc__ or "").split("\n", 2)[2]
    parser.add_argument("shell", choices=SHELLS)


def run(arguments: argparse.Namespace) -> int:
    print(SHELLS[arguments.shell]([known(command) for command in COMMANDS]))
    return exit_codes.OK


def known(command: Command) -> Known:
    flags: list[Flag] = []
    words: list[str] = []
    for action in parser_of(command)._actions:  # argparse tells of its arguments nowhere else
        choices = tuple(str(choice) for choice in action.choices or ())
        if action.help == argparse.SUPPRESS:
            continue
        if action.option_strings:
            takes_value = action.nargs != 0
            flags.append(Flag(tuple(action.option_strings), _plain(action.help), takes_value, choices))
        else:
            words += choices
    return Known(command, tuple(flags), tuple(words))


def bash(commands: list[Known]) -> str:
    cases = "\n".join(f"    {one.command.name}) words={_quoted(_words_of(one))} ;;" for one in commands)
    values = "\n".join(
        f"    {one.command.name}:{name}) values={_quoted(flag.choices)} ;;" for one, flag, name in _valued(commands)
    )
    takers = " ".join(sorted({name for one in commands for flag in one.flags if flag.takes_value for name in flag.names}))
    return f"""\
# bash completion of {PROGRAM}
_{PROGRAM}() {{
  local word=${{COMP_WORDS[COMP_CWORD]}} before=${{COMP_WORDS[COMP_CWORD-1]}} words= values=
  COMPREPLY=()
  if [ "$COMP_CWORD" -eq 1 ]; then
    COMPREPLY=($(compgen -W {_quoted([one.command.name for one in commands])} -- "$word"))
    return
  fi
  case "${{COMP_WORDS[1]}}:$before" in
{values}
  esac
  if [ -n "$values" ]; then
    COMPREPLY=($(compgen -W "$values" -- "$word"))
    return
  fi
  case " {takers} " in *" $before "*) return ;; esac
  case "${{COMP_WORDS[1]}}" in
{cases}
  esac
  COMPREPLY=($(compgen -W "$words" -- "$word"))
}}
complete -o default -F _{PROGRAM} {PROGRAM}"""


def zsh(commands: list[Known]) -> str:
    """Through zsh's own layer for bash's completions, so that there is one script to be wrong."""
    return f"autoload -U +X bashcompinit && bashcompinit\n{bash(commands)}"


def fish(commands: list[Known]) -> str:
    lines = [f"# fish completion of {PROGRAM}", f"complete -c {PROGRAM} -f -n __fish_use_subcommand"]
    for one in commands:
        name = one.command.name
        lines.append(f"complete -c {PROGRAM} -f -n __fish_use_subcommand -a {name} -d {_quoted([one.command.help])}")
        seen = f"complete -c {PROGRAM} -n '__fish_seen_subcommand_from {name}'"
        if one.choices:
            lines.append(f"{seen} -a {_quoted(one.choices)}")
        for flag in one.flags:
            said = " ".join(f"-l {text[2:]}" if text.startswith("--") else f"-s {text[1:]}" for text in flag.names)
            value = f" -x -a {_quoted(flag.choices)}" if flag.choices else " -r" if flag.takes_value else ""
            lines.append(f"{seen} {said}{value} -d {_quoted([flag.help])}")
    return "\n".join(lines)


def powershell(commands: list[Known]) -> str:
    table = "\n".join(f"    {_single(one.command.name)} = {_array(_words_of(one))}" for one in commands)
    values = "\n".join(
        f"    {_single(f'{one.command.name}:{name}')} = {_array(flag.choices)}" for one, flag, name in _valued(commands)
    )
    return f"""\
# PowerShell completion of {PROGRAM}
Register-ArgumentCompleter -Native -CommandName {PROGRAM} -ScriptBlock {{
  param($word, $line, $position)
  $words = @{{
{table}
  }}
  $values = @{{
{values}
  }}
  $said = @($line.CommandElements | Where-Object {{ $_.Extent.EndOffset -lt $position }} | ForEach-Object {{ $_.ToString() }})
  if ($said.Count -le 1) {{ $offered = $words.Keys | Sort-Object }}
  elseif ($values.ContainsKey("$($said[1]):$($said[-1])")) {{ $offered = $values["$($said[1]):$($said[-1])"] }}
  else {{ $offered = $words[$said[1]] }}
  $found = $offered | Where-Object {{ $_ -like "$word*" }}
  $found | ForEach-Object {{ [System.Management.Automation.CompletionResult]::new($_) }}
}}"""


SHELLS: Final[dict[str, Callable[[list[Known]], str]]] = {"bash": bash, "zsh": zsh, "fish": fish, "powershell": powershell}


def _words_of(one: Known) -> list[str]:
    return [*one.choices, *(name for flag in one.flags for name in flag.names)]


def _valued(commands: list[Known]) -> list[tuple[Known, Flag, str]]:
    return [(one, flag, name) for one in commands for flag in one.flags if flag.choices for name in flag.names]


def _plain(text: str | None) -> str:
    """Without argparse's placeholders."""
    return " ".join((text or "").split("(default")[0].replace("%%", "%").split())


def _quoted(words: list[str] | tuple[str, ...]) -> str:
    """As one word of a shell, bash's and fish's alike."""
    text = " ".join(words).replace("\\", "").replace("'", "")
    return f"'{text}'"


def _single(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _array(words: list[str] | tuple[str, ...]) -> str:
    return f"@({', '.join(_single(word) for word in words)})"
