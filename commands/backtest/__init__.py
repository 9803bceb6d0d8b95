"""`evenkeel backtest`: a strategy over recorded ticks, through the same actors as a live run.

This module is light, for the command line asks it for its flags; what the work needs is imported when there is work.
"""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

from evenkeel.commands import exit_codes

EXPLANATION: Final = """\
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
  closed by X    trades whose closing deal has the reason X
  refused X      orders refused for the reason X; a signal while the slot is taken is slot_taken

the summary and the JSON:
  ticks          rows of the file from --from to --to, before crossed quotes (bid above ask) and repeats are dropped
  bars           closed bars of the strategy's timeframe; the last one stays open
  run_s          seconds from the first quote to the last decision, with the ticks in memory
  total_s        seconds from the start of the process to the result
  peak_mb        largest resident memory of the process so far, in units of 1,048,576 bytes
  profit_cents   of a trade, JSON only: without commission and swap; net_cents is the net above
  journal_sha256 of all decisions, JSON only; the same build, configuration, ticks and flags give the same

exit status: 0 done, 2 bad input, 4 the configuration keeps trading off, 6 configuration invalid, 1 anything else
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = EXPLANATION
    parser.add_argument("--config", type=Path, metavar="FILE", help="configuration; without it the plain.toml that is shipped")
    parser.add_argument(
        "--ticks", type=Path, metavar="FILE", required=True, help="parquet or CSV with time_msc (UTC milliseconds), bid, ask"
    )
    parser.add_argument("--symbol", required=True, help="what the ticks are of, as EURUSD")
    parser.add_argument(
        "--strategy",
        required=True,
        metavar="NAME[:KEY=VALUE,...]",
        help="as ma_cross:fast=10,slow=20,timeframe=M1; it runs alone, and keys left out are those of the configuration",
    )
    parser.add_argument("--digits", type=int, choices=range(9), metavar="N", help="decimals of the prices, 0 to 8")
    parser.add_argument("--from", dest="from_time", metavar="TIME", help="first moment, ISO date or date-time, UTC")
    parser.add_argument("--to", dest="to_time", metavar="TIME", help="the moment before which it ends, the same")
    parser.add_argument(
        "--json", type=Path, metavar="OUT", help='write the result there too; "-": to standard output, without the summary'
    )


def run(arguments: argparse.Namespace) -> int:
    """The flags of `add_arguments`; the result goes to stdout, what went wrong in one line to stderr. Returns the exit status.

    OUT is replaced as a whole, at the end, or not at all.
    """
    from evenkeel.adapters.history import HistoryUnreadable
    from evenkeel.commands.backtest.replay import BadInput, ChildCrashed, ResultLost, TradingOff
    from evenkeel.config.load import ConfigInvalid
    from evenkeel.rules.symbols import UnknownSymbol

    statuses: dict[type[Exception], int] = {
        ConfigInvalid: exit_codes.CONFIG_INVALID,
        TradingOff: exit_codes.REFUSED,
        BadInput: exit_codes.USAGE,
        HistoryUnreadable: exit_codes.USAGE,
        UnknownSymbol: exit_codes.USAGE,
        ChildCrashed: exit_codes.FAILED,
        ResultLost: exit_codes.FAILED,
    }
    try:
        _backtest(arguments)
    except tuple(statuses) as error:
        print(error, file=sys.stderr)
        return statuses[type(error)]
    return exit_codes.OK


def _backtest(arguments: argparse.Namespace) -> None:
    from evenkeel.commands.backtest.replay import plan_of, replayed, require_writable, ticks_of, write
    from evenkeel.commands.backtest.report import json_of, result_of, summary

    out: Path | None = arguments.json
    to_stdout = out == Path("-")
    plan = plan_of(
        config_path=arguments.config,
        symbol=arguments.symbol,
        strategy=arguments.strategy,
        digits=arguments.digits,
        from_time=arguments.from_time,
        to_time=arguments.to_time,
    )
    if out is not None and not to_stdout:
        require_writable(out, arguments.ticks)
    ticks = ticks_of(plan, arguments.ticks)
    done = replayed(plan, ticks, _progress())
    result = result_of(done.heard, plan.spec, ticks, bars=done.bars, run_s=done.run_s, journal_sha256=done.journal_sha256)
    if to_stdout:
        print(json_of(result).decode(), end="")
        return
    if out is not None:
        write(out, json_of(result))
    print(summary(result, done.heard, plan.config.account))


def _progress() -> Callable[[float], None]:
    """Shows the share that is done on a terminal, nothing in a pipe."""
    if not sys.stderr.isatty():
        return lambda ratio: None
    return lambda ratio: print(f"\r{ratio:4.0%}" if ratio < 1 else "\r    \r", end="", file=sys.stderr, flush=True)
