"""`evenkeel bench`: measure this machine, on the real parts, and say which aims it meets."""

import argparse
import itertools
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

from evenkeel.commands import exit_codes

if TYPE_CHECKING:
    from evenkeel.commands.bench.figures import Figure

SECONDS: Final = 4.0
SECONDS_MAX: Final = 3_600.0
PARTS: Final = ("runtime", "replay", "terminal", "kill", "flatten", "restart", "all")
STDOUT: Final = Path("-")
EXPLANATION: Final = """\
Latencies count from the time at which something was planned to happen, whether or not anybody was late for it:
  publish to handle      from the publishing of a message to the handler of its receiver
  quote to CallTerminal  from the quote to the terminal edge's hearing of the call, through market_feed, position/SYMBOL
                         and broker_gateway (exits), and a strategy and risk_limit too (entries); writing the call to the
                         journal is not in it: the next figure is that
  kill to first refusal  from the kill to the first open that the gate refuses, while 10,000 messages wait for the gateway;
                         after_return: from when the kill has returned; opens_on_their_way: had passed the gate before
Rates are those of the median round and of the best one; ratio_to_bare_loop compares with a loop that calls the same
handlers and does nothing else. The p99.9 of fewer than 1,000 samples is the largest of them. An indicator's figure is its
state after one more closed bar, and its reading.

replay, in processes of their own, on a file of ticks twice, the second time 21 days later:
  job                    the first strategy that one tries, with stop and target on ticks, every child running; run only is
                         without the first reading of the file; its journal must equal that of --every-tick
  rare, guarded          the same with fewer signals; with every limit of profile personal and the circuit breaker
  floor                  what reading, and making bars and the search's extremes, take alone
  on_bar, on_tick        strategies in Python that say something one time in thousands
  trade                  run only, over the number of trades
  trade.settled          no journal, 20 symbols: all quotes of a symbol that made anybody hear something, from one close to
                         the next; flat: the last tenth of the trades over the first
  import                 in a new interpreter, minus a bare one
  year (--long)          ten synthetic symbols, a year each

terminal:
  ticks                  into the simulated terminal, server and bars, in-process; 10 million with --long
  read, order            through a terminal host in a process of its own; order is an open, a reading and a close

kill:
  hung                   from the kill to its epoch on disk, from where on nothing new is let through, while the terminal edge
                         stands in a call that does not return; after_release: from that call's return to the first refusal

flatten:
  first, last            from the command to the first and to the last of ten close requests handed to the terminal; its own
                         time to answer is not in it, and a call that hangs there delays them until it is given up

restart:
  restart                `evenkeel run` writes a journal of so many records with so many open positions, and is killed; then
                         it is started in real time and killed again, as often as there are rounds. Two readings that agree,
                         two seconds apart, are in it

exit status: 0 measured, whatever was found; 1 nothing could be measured, a child crashed, or an open passed the gate
after a kill; 2 bad flags
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = EXPLANATION
    parser.add_argument(
        "what",
        nargs="?",
        choices=PARTS,
        default="runtime",
        help="what to measure (%(default)s)",
    )
    parser.add_argument(
        "--seconds", type=_seconds, default=SECONDS, metavar="S", help="for each latency (%(default)s); other figures take less"
    )
    parser.add_argument(
        "--ticks", type=Path, metavar="FILE", help="for replay: parquet with time_msc, bid, ask; else synthetic"
    )
    parser.add_argument("--symbol", default="EURUSD", help="for replay: what those ticks are of (%(default)s)")
    parser.add_argument("--rounds", type=_rounds, default=5, metavar="N", help="of each back-test, or starts (%(default)s)")
    parser.add_argument(
        "--long",
        action="store_true",
        help="for replay: also 100,000 trades and a year of ten symbols; for terminal: 10 million ticks",
    )
    parser.add_argument(
        "--records", type=_records, default=1_000_000, metavar="N", help="for restart: in the journal (%(default)s)"
    )
    parser.add_argument(
        "--positions", type=_positions, default=10, metavar="N", help="for restart: open, up to 10 (%(default)s)"
    )
    parser.add_argument("--profile", action="store_true", help="for replay: where the time of the job goes, and nothing else")
    parser.add_argument(
        "--json",
        type=_out,
        nargs="?",
        const=STDOUT,
        metavar="OUT",
        help="one JSON object on standard output, the figures as they come on standard error; with OUT it is written there",
    )


def run(arguments: argparse.Namespace) -> int:
    """The flags of `add_arguments`; figures go to stdout as they are measured, what went wrong to stderr."""
    import msgspec

    from evenkeel.adapters import logs
    from evenkeel.adapters.history import HistoryUnreadable
    from evenkeel.adapters.os import write_durably
    from evenkeel.commands.bench import flatten, kill, replay, restart, runtime, terminal
    from evenkeel.commands.bench.figures import BenchFailed, in_conditions
    from evenkeel.runtime.journal import JournalError
    from evenkeel.runtime.threaded import BootFailed

    logs.set_up(None, console_level="WARNING")
    machine = _machine()
    to_stdout = arguments.json == STDOUT
    talk = sys.stderr if to_stdout else sys.stdout
    print("  ".join(f"{name} {value}" for name, value in machine.items()), flush=True, file=talk)
    found: list[Figure] = []
    try:
        if arguments.profile:
            profile = replay.profile(arguments.ticks, arguments.symbol)
            print(msgspec.json.encode({"machine": machine, "profile": profile, "v": 1}).decode() if to_stdout else profile)
            return exit_codes.OK
        parts: list[Iterator[Figure]] = []
        if arguments.what in ("runtime", "all"):
            parts.append(runtime.figures(arguments.seconds))
        if arguments.what in ("replay", "all"):
            parts.append(replay.figures(arguments.ticks, arguments.symbol, rounds=arguments.rounds, long=arguments.long))
        if arguments.what in ("terminal", "all"):
            parts.append(terminal.figures(arguments.seconds, long=arguments.long))
        if arguments.what == "kill":
            parts.append(in_conditions(kill.kill_to_refusal(arguments.seconds)))
        if arguments.what in ("kill", "all"):
            parts.append(in_conditions(kill.kill_while_a_call_hangs(arguments.seconds)))
        if arguments.what in ("flatten", "all"):
            parts.append(in_conditions(flatten.flatten(arguments.seconds)))
        if arguments.what in ("restart", "all"):
            parts.append(restart.figures(records=arguments.records, positions=arguments.positions, rounds=arguments.rounds))
        for figure in itertools.chain.from_iterable(parts):
            found.append(figure)
            print(_told(figure), flush=True, file=talk)
        if arguments.json is not None:
            written = {"machine": machine, "seconds": arguments.seconds, "figures": found, "v": 1}
            body = msgspec.json.format(msgspec.json.encode(written)) + b"\n"
            if to_stdout:
                print(body.decode(), end="")
            else:
                write_durably(arguments.json, body)
    except HistoryUnreadable as error:
        print(f"bench: {error}", file=sys.stderr)
        return exit_codes.USAGE
    except (BenchFailed, BootFailed, JournalError, OSError) as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return exit_codes.FAILED
    return exit_codes.OK


def _machine() -> dict[str, str]:
    import os
    import platform

    from evenkeel.adapters.build import build_id

    return {
        "system": platform.platform(),
        "cpus": str(os.cpu_count()),
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "build": build_id(),
        "load": f"{os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else "unknown",
    }


def _told(figure: "Figure") -> str:
    """What was measured, and under it the numbers."""
    values = "  ".join(f"{name} {_number(value)}" for name, value in figure.values.items())
    aim = "" if figure.aim is None else f"\n    aim: {figure.aim.text}: {'met' if figure.aim.is_met else 'MISSED'}"
    return f"{figure.what}\n    n {figure.n}  {values}{aim}"


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 1_000 or value == int(value) else f"{value:.3g}"


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds <= SECONDS_MAX:
        raise argparse.ArgumentTypeError(f"{text!r}: not a number above 0 and up to {SECONDS_MAX:.0f}")
    return seconds


def _rounds(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 1_000:
        raise argparse.ArgumentTypeError(f"{text!r}: not a number of rounds from 1 to 1000")
    return int(text)


def _records(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 100_000_000:
        raise argparse.ArgumentTypeError(f"{text!r}: not a number of records from 1 to 100000000")
    return int(text)


def _positions(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 10:
        raise argparse.ArgumentTypeError(f"{text!r}: not a number from 1 to 10")
    return int(text)


def _out(text: str) -> Path:
    out = Path(text)
    if out == STDOUT:
        return out
    if text in PARTS:
        raise argparse.ArgumentTypeError(f"{text!r} is what to measure, and comes first: evenkeel bench {text} --json")
    if not out.parent.is_dir() or out.is_dir():
        raise argparse.ArgumentTypeError(f"{text!r}: not a file in a folder that is there")
    return out
