"""The command line: names the commands and starts one. Heavy parts are imported by the command that needs them."""

import argparse
import importlib
import sys
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

PROGRAM: Final = "evenkeel"


class Command(NamedTuple):
    """`module` is in evenkeel.commands and offers `add_arguments(parser)` and `run(arguments) -> exit status`."""

    name: str
    module: str
    help: str


COMMANDS: Final = (
    Command("init", "init", "ask a few questions and write a first configuration"),
    Command("demo", "demo", "watch the whole system trade a synthetic market; no account, no network"),
    Command("backtest", "backtest", "replay recorded quotes through the same actors"),
    Command("data", "data", "bring in prices from elsewhere, and see what is wrong with them"),
    Command("report", "report", "a page for a browser about a back-test or a recorded run, or two compared"),
    Command("check-strategy", "check_strategy", "does a strategy look ahead, and are its two forms one"),
    Command("strategy", "strategy", "write a strategy of your own that runs, and its test"),
    Command("run", "run", "start the supervisor of an account"),
    Command("watchdog", "watchdog", "start the supervisor, watch over it, and hold the account when it is gone"),
    Command("terminal", "terminal", "start the process that owns the terminal, or list what the simulated one can play"),
    Command("doctor", "doctor", "what is missing for a terminal, and what it says of itself"),
    Command("service", "service", "write a systemd unit or a Windows task that starts the watchdog, or remove it"),
    Command("promote", "promote", "the checklist before a real account is traded, and your word for it"),
    Command("status", "status", "how the supervisor is doing"),
    Command("health", "health", "what is wrong with the run, each check with what it measured"),
    Command("top", "top", "the account at a glance, again and again, until q; also while the supervisor hangs"),
    Command("positions", "positions", "what is open"),
    Command("chains", "chains", "the chains of each strategy, and the word that ends one"),
    Command("signal", "raise_signal", "raise a signal by hand: it passes every gate that a strategy's does"),
    Command("webhooks", "webhooks", "take signals of other programs over HTTP, such as TradingView's alerts"),
    Command("shields", "shields", "which directions are blocked, and the word that frees one"),
    Command("limits", "limits", "how much room each limit has left, and what follows when it is reached"),
    Command("controls", "controls", "the control checklist: what implements each, and when it last did something"),
    Command("performance", "performance", "what the closed trades earned, by day, week, month, strategy, symbol, reason"),
    Command("history", "history", "the closed trades, newest first"),
    Command("notify", "notify", "who is told outside and of what, and what became of the last notices; --test tries it"),
    Command("start", "order", "turn trading on"),
    Command("pause", "order", "no new entries until resume"),
    Command("resume", "order", "end a pause"),
    Command("close", "order", "close one position"),
    Command("close-all", "close_all", "close every position of ours once; trading goes on as it is"),
    Command("close-only", "order", "no new entries until start"),
    Command("freeze", "order", "no new entries and no exit that nothing forces, until rearm"),
    Command("flatten", "order", "close every position of ours, again and again until the broker shows none"),
    Command("adopt", "order", "make a position that is not ours one of ours: protected, managed, counted"),
    Command("kill", "order", "stop all new risk now, also when the supervisor hangs"),
    Command("rearm", "order", "end a kill, a freeze, a flattening or a tripped limit"),
    Command("reload", "reload", "read the configuration again: lowered limits at once, the rest in a new segment"),
    Command("stop", "order", "end the supervisor in order"),
    Command("logs", "logs", "read the log"),
    Command("why", "why", "what led to a trade, a refusal, a mode, a hold or a restart"),
    Command("why-not", "why_not", "why nothing was opened, and what would have let it pass"),
    Command("replay", "replay", "decide a recorded run again and show what differs"),
    Command("backup", "backup", "copy the journal and check the copy; also while the supervisor runs"),
    Command("restore", "restore", "put a backup in the place of the journal"),
    Command("drill", "drill", "restore the newest backup into a temporary folder and see whether it would serve"),
    Command("verify", "verify", "check every record of the journal, or of a backup"),
    Command("config", "config_command", "check a configuration, show what holds and from where, or its schema"),
    Command("simulate", "simulate", "whole lives of the system in seeded worlds where everything fails"),
    Command("bench", "bench", "measure this machine"),
    Command("completion", "completion", "a script for your shell that completes commands, flags and their values"),
)


def main(argv: Sequence[str] | None = None) -> int:
    words = list(sys.argv[1:] if argv is None else argv)
    command = _named(words[0]) if words else None
    if command is None:
        return _without_command(words)
    parser = parser_of(command)
    try:
        status: int = _module(command).run(parser.parse_args(words[1:]))
        sys.stdout.flush()
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        sys.stderr.close()  # whoever read our output has gone; the interpreter would complain about it at exit
        return 1
    return status


def parser_of(command: Command) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=f"{PROGRAM} {command.name}", description=command.help, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.set_defaults(command=command.name)
    _module(command).add_arguments(parser)
    return parser


def _module(command: Command) -> Any:
    return importlib.import_module(f"evenkeel.commands.{command.module}")


def _named(word: str) -> Command | None:
    return next((command for command in COMMANDS if command.name == word), None)


def _without_command(words: Sequence[str]) -> int:
    """Help, the version, or one line that names what was meant."""
    parser = argparse.ArgumentParser(
        prog=PROGRAM,
        usage=f"{PROGRAM} COMMAND …",
        description="Runs a MetaTrader 5 account on its own.",
        epilog="commands:\n" + "\n".join(f"  {command.name:14} {command.help}" for command in COMMANDS),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="store_true", help="show the version and end")
    parser.add_argument("words", nargs="*", help=argparse.SUPPRESS)
    arguments = parser.parse_args(words)
    if arguments.version:
        from importlib import metadata

        print(PROGRAM, metadata.version(PROGRAM))
        return 0
    if arguments.words:
        import difflib

        meant = difflib.get_close_matches(arguments.words[0], [command.name for command in COMMANDS], n=1)
        hint = f" Did you mean {meant[0]!r}?" if meant else f" See {PROGRAM} --help."
        print(f"{PROGRAM}: no command {arguments.words[0]!r}.{hint}", file=sys.stderr)
        return 2
    parser.print_help()
    return 2


if __name__ == "__main__":
    sys.exit(main())
