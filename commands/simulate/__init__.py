"""`evenkeel simulate`: whole lives of the system in seeded worlds where everything fails, judged from outside."""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

from evenkeel.commands import exit_codes

SEEDS: Final = 8
SEEDS_MAX: Final = 10_000_000
ACCOUNT_DAYS: Final = 2.0
ACCOUNT_DAYS_MAX: Final = 1_000_000.0
JOBS_MAX: Final = 256
CONTROLS: Final = 8
QUOTE_EVERY_S: Final = 5.0
TOLD_EVERY_S: Final = 60.0
EXPLANATION: Final = """\
A world is one account for a while: a market, a broker that loses, delays and refuses, a disk that fails, processes that die,
persons who interfere, all drawn from its seed, and the system itself, the same actors, edges, gates and records as in a run.
Somebody who shares nothing with the system watches the broker's books and the journal and judges every promise at each step.

The control is the same world without gates and with a gateway that sends an order again when its reply was lost, as most bots
do; replies are lost until one order has doubled. It must open positions twice; if it does not, or there is no control, the
worlds prove nothing, and that counts as a failure.

A world that fails is named with the one command that shows it again.

exit status: 0 every promise was kept and the control failed as it must; 1 not so; 2 bad flags; 130 interrupted
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = EXPLANATION
    parser.add_argument(
        "--account-days", type=_days, default=ACCOUNT_DAYS, metavar="N", help="in all, spread over the seeds (%(default)g)"
    )
    parser.add_argument("--seeds", type=_seeds, default=SEEDS, metavar="M", help="how many worlds (%(default)s)")
    parser.add_argument("--first-seed", type=_seed, default=1, metavar="S", help="the seed of the first (%(default)s)")
    parser.add_argument("--jobs", type=_jobs, default=1, metavar="J", help="worlds at a time (%(default)s)")
    parser.add_argument(
        "--controls", type=_controls, default=CONTROLS, metavar="N", help="at most so many control worlds (%(default)s)"
    )
    parser.add_argument(
        "--quote-every-s",
        type=_quote_every,
        default=QUOTE_EVERY_S,
        metavar="S",
        help="between two quotes of a symbol (%(default)g)",
    )
    parser.add_argument(
        "--resume", type=Path, metavar="FILE", help="keep each finished world there, and go on where an earlier run ended"
    )
    parser.add_argument(
        "--json",
        type=Path,
        nargs="?",
        const=Path("-"),
        metavar="OUT",
        help="the summary as JSON on standard output; with OUT there too",
    )


def run(arguments: argparse.Namespace) -> int:
    """The flags of `add_arguments`; progress goes to stderr, the summary to stdout."""
    from evenkeel.adapters.os import write_durably
    from evenkeel.commands.simulate.many import Kept, KeptDamaged, plans_for, run_all
    from evenkeel.commands.simulate.summary import as_json, summary_of, told

    plans = plans_for(
        account_days=arguments.account_days,
        seeds=arguments.seeds,
        first_seed=arguments.first_seed,
        controls=arguments.controls,
        quote_every_ms=round(arguments.quote_every_s * 1000),
    )
    try:
        kept = Kept(arguments.resume)
        out: Path | None = arguments.json
        if out is not None and (not out.absolute().parent.is_dir() or out.is_dir()):
            print(f"simulate: --json {out}: no file in a folder that is there", file=sys.stderr)
            return exit_codes.USAGE
        ended = run_all(plans, kept, jobs=arguments.jobs, on_progress=_shown if sys.stderr.isatty() else _now_and_then())
    except KeptDamaged as error:
        print(f"simulate: --resume {error}", file=sys.stderr)
        return exit_codes.USAGE
    except OSError as error:
        print(f"simulate: --resume {arguments.resume}: {error.strerror}", file=sys.stderr)
        return exit_codes.USAGE
    summary = summary_of(ended)
    if out == Path("-"):
        print(as_json(summary).decode(), end="")
    else:
        print(told(summary))
        if out is not None:
            write_durably(out, as_json(summary))
    return exit_codes.OK if summary.is_good else exit_codes.FAILED


def _shown(line: str) -> None:
    print(f"\r{line:<78}", end="", file=sys.stderr, flush=True)
    if line.endswith("."):
        print(file=sys.stderr)


def _now_and_then() -> Callable[[str], None]:
    """For a log: a line a minute, and the last one."""
    from evenkeel.runtime.clock import monotonic_s

    told_s = [monotonic_s()]

    def tell(line: str) -> None:
        if line.endswith(".") or monotonic_s() - told_s[0] >= TOLD_EVERY_S:
            told_s[0] = monotonic_s()
            print(line, file=sys.stderr, flush=True)

    return tell


def _within(text: str, least: float, most: float, kind: type[int] | type[float]) -> int | float:
    try:
        number = kind(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no number from {least:,} to {most:,}") from None
    if not least <= number <= most:
        raise argparse.ArgumentTypeError(f"{text!r} is not from {least:,} to {most:,}")
    return number


def _days(text: str) -> float:
    return _within(text, 0.01, ACCOUNT_DAYS_MAX, float)


def _seeds(text: str) -> int:
    return int(_within(text, 1, SEEDS_MAX, int))


def _seed(text: str) -> int:
    return int(_within(text, 0, 2**31 - 1, int))


def _jobs(text: str) -> int:
    return int(_within(text, 1, JOBS_MAX, int))


def _controls(text: str) -> int:
    return int(_within(text, 0, SEEDS_MAX, int))


def _quote_every(text: str) -> float:
    return _within(text, 0.1, 3600, float)
