"""The command line: names the commands and starts one. Heavy parts are imported by the command that needs them."""

import argparse
import importlib
import os
import sys
from collections.abc import Iterator, Sequence
from typing import Any, Final, NamedTuple, NoReturn

from evenkeel.commands import streams
from evenkeel.commands.exit_codes import FAILED, INTERRUPTED, OK, USAGE
from evenkeel.commands.interrupts import Interrupts

PROGRAM: Final = "evenkeel"
JSON_FLAG: Final = "--json"
COMMAND_HELP_AT: Final = 17


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
    interrupts = Interrupts()
    try:
        streams.make_usable(as_json=JSON_FLAG in words)
        if JSON_FLAG not in words:
            return _main(words, interrupts)
        with streams.answer_is_json() as answer:
            answer.status = _main(words, interrupts)
        return answer.status
    except KeyboardInterrupt:  # a moment before or after the command itself
        return INTERRUPTED
    finally:
        interrupts.end()


def parser_of(command: Command) -> argparse.ArgumentParser:
    return _filled(Parser(prog=f"{PROGRAM} {command.name}", **_manner(command)), command)


def whole_parser() -> argparse.ArgumentParser:
    """All commands with all their flags, for what has to walk over them. Imports what every command needs for its flags."""
    parser = _parser_without_command()
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", prog=PROGRAM)
    for command in COMMANDS:
        _filled(commands.add_parser(command.name, help=command.help, **_manner(command)), command)
    return parser


def leaves(parser: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    """The parsers at the ends of the words, which say what may follow: `data check` has another one than `data import`."""
    parts = [action.choices for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    if not parts:
        yield parser
    for choices in parts:
        for part in choices.values():
            yield from leaves(part)


class Parser(argparse.ArgumentParser):
    """Says what is wrong in one line, without the usage. Flags are written out: a new one changes the meaning of none."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options, allow_abbrev=False)

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message}{self._hint(message)}\n")

    def _hint(self, message: str) -> str:
        _, is_unknown, words = message.partition("unrecognized arguments: ")
        if self.prog == PROGRAM:
            return f"; flags come after the command, see {PROGRAM} --help"
        known = [text for leaf in leaves(self) for action in leaf._actions for text in action.option_strings]
        return (
            _did_you_mean(words.split()[0], known, f"{self.prog} --help")
            if is_unknown and words
            else f"; see {self.prog} --help"
        )


def _main(words: Sequence[str], interrupts: Interrupts) -> int:
    try:
        return _one(words)
    except KeyboardInterrupt:
        return INTERRUPTED
    except Exception:
        if interrupts.came:
            return INTERRUPTED
        raise


def _one(words: Sequence[str]) -> int:
    command = _named(words[0]) if words else None
    try:
        if command is None:
            return _without_command(words)
        arguments = parser_of(command).parse_args(words[1:])
        if arguments.no_color:
            os.environ["NO_COLOR"] = "1"  # what rich, loguru's sinks and the processes that are started here go by
        status: int = _module(command).run(arguments)
        sys.stdout.flush()
    except BrokenPipeError:
        streams.let_go_of_output()  # whoever read it has gone
        return FAILED
    except OSError as error:
        print(f"{PROGRAM} {words[0]}: {error}", file=sys.stderr)
        streams.let_go_of_output()
        return FAILED
    return status


def _filled(parser: argparse.ArgumentParser, command: Command) -> argparse.ArgumentParser:
    parser.set_defaults(command=command.name)
    _module(command).add_arguments(parser)
    for leaf in leaves(parser):
        leaf.add_argument("--no-color", action="store_true", help="plain text, as with NO_COLOR in the environment")
    return parser


def _manner(command: Command) -> dict[str, Any]:
    return {"description": command.help, "formatter_class": argparse.RawDescriptionHelpFormatter}


def _module(command: Command) -> Any:
    return importlib.import_module(f"evenkeel.commands.{command.module}")


def _named(word: str) -> Command | None:
    return next((command for command in COMMANDS if command.name == word), None)


def _without_command(words: Sequence[str]) -> int:
    """Help, the version, or one line that names what was meant."""
    if words and not words[0].startswith("-"):
        hint = _did_you_mean(words[0], [command.name for command in COMMANDS], f"{PROGRAM} --help")
        print(f"{PROGRAM}: no command {words[0]!r}{hint}", file=sys.stderr)
        return USAGE
    parser = _parser_without_command()
    from evenkeel.commands.tables import folded

    commands = "\n".join(f"  {command.name:14} {command.help}" for command in COMMANDS)
    parser.epilog = "commands:\n" + folded(commands, indent=COMMAND_HELP_AT)
    if parser.parse_args(words).version:
        from importlib import metadata

        print(PROGRAM, metadata.version(PROGRAM))
        return OK
    parser.print_help()
    return USAGE


def _parser_without_command() -> Parser:
    parser = Parser(
        prog=PROGRAM,
        usage=f"{PROGRAM} COMMAND …",
        description="Runs a MetaTrader 5 account on its own.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="store_true", help="show the version and end")
    return parser


def _did_you_mean(word: str, known: Sequence[str], otherwise: str) -> str:
    import difflib

    meant = difflib.get_close_matches(word.split("=")[0], known, n=1)
    return f"; did you mean {meant[0]!r}?" if meant else f"; see {otherwise}"


if __name__ == "__main__":
    sys.exit(main())
