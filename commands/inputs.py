"""The flags that name recorded prices and the strategy that is to look at them. Light: the command line asks for flags."""

import argparse
from functools import partial
from pathlib import Path
from typing import Final

from evenkeel.commands.flags import add_set_flag

COLUMNS: Final = {
    "ticks": "time_msc (UTC milliseconds), bid, ask",
    "bars": "time (UTC milliseconds of the open), bid_open, bid_high, bid_low, bid_close, ask_open, ... ask_close",
}
EXPLANATION: Final = """\
a bar of --bars becomes four quotes, at its open and 1/4, 1/2 and 3/4 of its period later: open; then low and high where
bid_close >= bid_open, else high and low; then close

quotes of several files are merged in time order; at one time those of the first file come first
"""


def add_inputs(parser: argparse.ArgumentParser) -> None:
    """`inputs` are (kind, path) in the order given, or None."""
    parser.add_argument("--config", type=Path, metavar="FILE", help="configuration; without it the plain.toml that is shipped")
    add_set_flag(parser)
    for kind, columns in COLUMNS.items():
        parser.add_argument(
            f"--{kind}",
            dest="inputs",
            action="append",
            type=partial(_input, kind),
            metavar="FILE",
            help=f"parquet or CSV with {columns}; may repeat",
        )
    parser.add_argument(
        "--symbol",
        dest="symbols",
        metavar="SYMBOL",
        action="append",
        required=True,
        help="what the ticks or bars are of, as EURUSD; as many as files, in the same order",
    )
    parser.add_argument(
        "--strategy",
        required=True,
        metavar="NAME[:KEY=VALUE,...]",
        help="a [strategy.NAME] of the configuration, or a kind of strategy: ma_cross:fast=10,slow=20,timeframe=M1,"
        " rsi:period=14,low=30,high=70,timeframe=M5, breakout:lookback=20 or"
        " python:object=my_module.MyStrategy,lookback=20; it runs alone, and keys left out are those of the configuration",
    )
    parser.add_argument("--digits", type=int, choices=range(9), metavar="N", help="decimals of all prices, 0 to 8")
    parser.add_argument("--from", dest="from_time", metavar="TIME", help="first moment, ISO date or date-time, UTC")
    parser.add_argument("--to", dest="to_time", metavar="TIME", help="the moment before which it ends, the same")


def _input(kind: str, text: str) -> tuple[str, Path]:
    return kind, Path(text)
