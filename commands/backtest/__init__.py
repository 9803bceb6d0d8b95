"""`evenkeel backtest`: a strategy over recorded ticks, through the same actors as a live run.

This module is light, for the command line asks it for its flags; what the work needs is imported when there is work.
"""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

from evenkeel.commands import exit_codes, inputs
from evenkeel.commands.inputs import add_inputs

EXPLANATION: Final = f"""\
the summary:
  trades         closed positions; what is open at the end is not closed and counts under "open" only
  won            trades with net > 0
  win rate       won / trades
  net            sum of net over the trades; net of a trade = profit + commission + swap of its deals
  gross profit   sum of net over the trades with net > 0
  gross loss     sum of net over the trades with net < 0
  profit factor  gross profit / -gross loss; "-" without a loss
  average R      mean over the trades of points won / points between entry and first stop, before costs
  max drawdown   largest of (highest closed equity so far - closed equity); closed equity = start balance + net of the
                 trades closed so far, in the order of their closes
  largest loss   smallest net of a trade, 0 without a loss
  equity drawdown  largest fall of equity from an earlier peak, with what floats at M1 closes; equity_drawdown_max_cents
  days           JSON only: of each day of UTC its trades, their net, and the last equity
  closed by X    trades whose closing deal has the reason X
  refused by X   signals that one of us, or the broker, refused, with the reason and the share of all refusals; a signal
                 while the slot is taken is slot_taken by position; of the broker the reason is its code; JSON: refusals

the summary and the JSON:
  ticks          rows of the files from --from to --to, before crossed quotes (bid above ask) and repeats are dropped;
                 a bar counts as the four quotes that it becomes
  bars           closed bars of the strategy's timeframe; the last one stays open
  run_s          seconds from the first quote to the last decision, its bars and its strategy's answers included; the first
                 reading of the files is not
  total_s        seconds from the start of the process to the result
  peak_mb        largest resident memory of the process so far, in units of 1,048,576 bytes
  profit_cents   of a trade, JSON only: without commission and swap; net_cents is the net above
  costs          of a trade, JSON only, part of its profit: half the spread at each end, and slippage against the quote of the
                 decision; negative where it was paid, null where the quote is not known
  page           --html: every statistic of the page stands there with its formula, and JSON "statistics" has the same
  journal_sha256 of all decisions, JSON only; the same build, configuration, ticks and flags give the same

{inputs.EXPLANATION}
exit status: 0 done, 2 bad input, 4 the configuration keeps trading off, 6 configuration invalid, 1 anything else
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = EXPLANATION
    add_inputs(parser)
    parser.add_argument(
        "--every-tick", action="store_true", help="serve every quote by itself: slow, the same result and the same journal"
    )
    parser.add_argument("--html", type=Path, metavar="OUT", help="write a page for a browser: pictures, tables, every figure")
    parser.add_argument(
        "--json",
        type=Path,
        nargs="?",
        const=Path("-"),
        metavar="OUT",
        help='the result as JSON on standard output, without the summary; with OUT there too, and "-" is none',
    )


def run(arguments: argparse.Namespace) -> int:
    """The flags of `add_arguments`; the result goes to stdout, what went wrong in one line to stderr. Returns the exit status.

    OUT is replaced as a whole, at the end, or not at all.
    """
    known = statuses()
    try:
        _backtest(arguments)
    except tuple(known) as error:
        print(error, file=sys.stderr)
        return known[type(error)]
    return exit_codes.OK


def statuses() -> dict[type[Exception], int]:
    """The exit status of everything that may be wrong with input, configuration or strategy."""
    from evenkeel.adapters.history import HistoryUnreadable
    from evenkeel.adapters.strategy.making import StrategyUnusable
    from evenkeel.commands.backtest.plan import ResultLost, TradingOff
    from evenkeel.commands.backtest.replay import ChildCrashed
    from evenkeel.commands.strategy_flag import BadInput
    from evenkeel.config.load import ConfigInvalid
    from evenkeel.rules.strategy import StrategyBroken
    from evenkeel.rules.symbols import UnknownSymbol

    return {
        ConfigInvalid: exit_codes.CONFIG_INVALID,
        TradingOff: exit_codes.REFUSED,
        BadInput: exit_codes.USAGE,
        HistoryUnreadable: exit_codes.USAGE,
        UnknownSymbol: exit_codes.USAGE,
        StrategyUnusable: exit_codes.USAGE,
        StrategyBroken: exit_codes.FAILED,
        ChildCrashed: exit_codes.FAILED,
        ResultLost: exit_codes.FAILED,
    }


def _backtest(arguments: argparse.Namespace) -> None:
    from evenkeel.commands.backtest.plan import Input, plan_of, recorded, require_writable, write
    from evenkeel.commands.backtest.replay import prepared, replayed
    from evenkeel.commands.backtest.report import json_of, result_of, summary

    out: Path | None = arguments.json
    to_stdout = out == Path("-")
    files = [Input(*given) for given in arguments.inputs or []]
    plan = plan_of(
        config_path=arguments.config,
        flags=arguments.flags,
        symbols=arguments.symbols,
        strategy=arguments.strategy,
        digits=arguments.digits,
        from_time=arguments.from_time,
        to_time=arguments.to_time,
    )
    sources = recorded(plan, files)
    for flag, path in (("--json", None if to_stdout else out), ("--html", arguments.html)):
        if path is not None:
            require_writable(flag, path, files)
    given = prepared(plan, sources)
    done = replayed(given, _progress(), every_tick=arguments.every_tick)
    result = result_of(given, done)
    if arguments.html is not None:
        from evenkeel.commands.report.findings import findings_of
        from evenkeel.commands.report.page import page

        write("--html", arguments.html, page(findings_of(result)).encode())
    if to_stdout:
        print(json_of(result).decode(), end="")
        return
    if out is not None:
        write("--json", out, json_of(result))
    print(summary(result, done.heard, plan.config.account))


def _progress() -> Callable[[float], None]:
    """Shows the share that is done on a terminal, nothing in a pipe."""
    if not sys.stderr.isatty():
        return lambda ratio: None
    return lambda ratio: print(f"\r{ratio:4.0%}" if ratio < 1 else "\r    \r", end="", file=sys.stderr, flush=True)
