"""`evenkeel data import|check|convert`: prices from elsewhere, looked at, and brought into the form that replays read.

This module is light, for the command line asks it for its flags; what the work needs is imported when there is work.
"""

import argparse
import sys
from pathlib import Path
from typing import Final

from evenkeel.commands import exit_codes
from evenkeel.rules.price_flaws import EXPLAINED

GAP_MINUTES: Final = 90.0
ZONE_HELP: Final = "clock of the files, as Europe/Athens or America/New_York+7 (seven hours ahead of New York)"
EXPLANATION: Final = """\
import    reads what others write and writes what backtest --ticks and --bars read, in UTC. A format is told from how a file
          begins. Bars of one side need --ask FILE or --spread; those of MetaTrader 5 have their spread
check     says what is wrong with files, of any format, and changes nothing
convert   evenkeel's own files: parquet to CSV and back, ticks to bars, bars to longer bars

MetaTrader exports its server's time. Which clock that is, is told from when the weeks of the file end and begin
(Friday 17:00 in New York) and how clock changes move that; --server-zone or --utc-offset given by hand wins.
"""
IMPORT_STATUSES: Final = """
exit status: 0 written, 2 an input cannot be used and nothing was written, 6 configuration invalid, 1 it could not be written
"""
CHECK_STATUSES: Final = """
exit status: 0 nothing found, 1 findings, 2 a file cannot be used at all, 6 configuration invalid
"""
FORMATS: Final = {
    "mt5-ticks": "MetaTrader 5, Symbols, Ticks, Export: <DATE> <TIME> <BID> <ASK> <LAST> <VOLUME> <FLAGS>; server time",
    "mt5-bars": "MetaTrader 5, Symbols, Bars, Export: <DATE> <TIME> <OPEN> ... <SPREAD>; server time",
    "mt4-bars": "MetaTrader 4, History Center, Export, and HistData for it: 2012.02.01,00:00,1.3066,...; bids, clock not told",
    "truefx": "TrueFX ticks: EUR/USD,20090501 00:00:00.973,1.32267,1.32273; UTC",
    "histdata-ticks": "HistData ASCII ticks: 20120201 000000660,1.306600,1.306770,0; New York without summer time",
    "histdata-bars": "HistData ASCII M1 bars of bids: 20120201 000000;1.3066;1.3066;1.3065;1.3065;0; the same",
    "dukascopy-ticks": "Dukascopy CSV: Gmt time,Ask,Bid,AskVolume,BidVolume; UTC unless the header says otherwise",
    "dukascopy-bars": "Dukascopy CSV of one side: Gmt time,Open,High,Low,Close,Volume; the same",
    "dukascopy-node-ticks": "dukascopy-node CSV: timestamp,askPrice,bidPrice,...; milliseconds of UTC",
    "dukascopy-node-bars": "dukascopy-node CSV of one side: timestamp,open,high,low,close,...; the same",
    "dukascopy-bi5": "Dukascopy .../SYMBOL/YEAR/MONTH FROM 00/DAY/HOURh_ticks.bi5; UTC",
    "ticks": "evenkeel's own: parquet or CSV with time_msc (UTC milliseconds), bid, ask",
    "bars": "evenkeel's own: parquet or CSV with time (UTC milliseconds), bid_open ... ask_close",
    "side": "parquet or CSV with time (UTC milliseconds), open, high, low, close: bars of one side",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = EXPLANATION
    parts = parser.add_subparsers(dest="what", metavar="import|check|convert", required=True)
    importing = _part(parts, "import", "what others write becomes what evenkeel reads")
    _add_files(importing, "exports in the order of time; of a folder all its .bi5", several=True)
    _add_reading(importing, symbol_required=True)
    _add_zone(importing)
    _add_out(importing)
    importing.add_argument("--ask", type=Path, metavar="FILE", help="bars of the ask, where FILE are those of the bid")
    importing.add_argument(
        "--spread", type=_points, metavar="POINTS", help="take this spread, for bars without one of their own, or instead of it"
    )
    importing.add_argument(
        "--bad-lines-max",
        type=_count,
        default=0,
        metavar="N",
        help="so many bad lines are left out; more: nothing is written (0)",
    )
    checking = _part(parts, "check", "gaps, scale, time frames, crossed and repeated quotes, clocks")
    _add_files(checking, "price files of any format", several=True)
    _add_reading(checking, symbol_required=False)
    _add_zone(checking)
    converting = _part(parts, "convert", "evenkeel's own files: another suffix, or longer bars")
    _add_files(converting, "parquet or CSV as evenkeel reads it", several=False)
    _add_reading(converting, symbol_required=True)
    _add_out(converting)
    converting.add_argument(
        "--timeframe", choices=("M1", "M5", "M15", "M30", "H1", "H4", "D1"), help="make bars of it; crossed quotes are left out"
    )


def run(arguments: argparse.Namespace) -> int:
    """What was done or found goes to stdout, what went wrong in lines to stderr. Returns the exit status."""
    from evenkeel.adapters.exports import PricesUnwritten
    from evenkeel.adapters.history import HistoryUnreadable
    from evenkeel.commands.data import checking, converting, importing
    from evenkeel.commands.data.reading import Unusable
    from evenkeel.config.load import ConfigInvalid
    from evenkeel.rules.symbols import UnknownSymbol

    known: dict[type[Exception], int] = {
        ConfigInvalid: exit_codes.CONFIG_INVALID,
        HistoryUnreadable: exit_codes.USAGE,
        PricesUnwritten: exit_codes.FAILED,
        UnknownSymbol: exit_codes.USAGE,
        Unusable: exit_codes.USAGE,
    }
    work = {"import": importing.run, "check": checking.run, "convert": converting.run}
    try:
        return work[arguments.what](arguments)
    except tuple(known) as error:
        print(error, file=sys.stderr)
        return next(status for kind, status in known.items() if isinstance(error, kind))


def _part(parts: "argparse._SubParsersAction[argparse.ArgumentParser]", name: str, text: str) -> argparse.ArgumentParser:
    explained = {"import": _formats, "check": _flaws, "convert": _nothing}[name]
    part = parts.add_parser(
        name, help=text, description=text, formatter_class=argparse.RawDescriptionHelpFormatter, epilog=explained()
    )
    part.add_argument("--json", action="store_true", help="one JSON object on standard output")
    return part


def _add_files(part: argparse.ArgumentParser, text: str, *, several: bool) -> None:
    part.add_argument("files", type=Path, nargs="+" if several else 1, metavar="FILE", help=text)


def _add_reading(part: argparse.ArgumentParser, *, symbol_required: bool) -> None:
    part.add_argument(
        "--symbol", required=symbol_required, help="what the prices are of, as EURUSD: its digits and usual price"
    )
    part.add_argument("--digits", type=int, choices=range(9), metavar="N", help="decimals of all prices, 0 to 8")
    part.add_argument("--config", type=Path, metavar="FILE", help="configuration, for what [symbols] says")
    part.add_argument(
        "--gap-minutes", type=_minutes, default=GAP_MINUTES, metavar="N", help="a longer pause is a gap (%(default)s)"
    )


def _add_zone(part: argparse.ArgumentParser) -> None:
    zone = part.add_mutually_exclusive_group()
    zone.add_argument("--server-zone", metavar="ZONE", help=ZONE_HELP)
    zone.add_argument("--utc-offset", metavar="HOURS", help="hours that it is ahead of UTC all the year, as +2 or -5")


def _add_out(part: argparse.ArgumentParser) -> None:
    part.add_argument(
        "--to", type=Path, required=True, metavar="OUT", help="a .parquet or .csv; replaced as a whole, at the end"
    )


def _formats() -> str:
    return "formats:\n" + "\n".join(f"  {name:20} {text}" for name, text in FORMATS.items()) + f"\n{IMPORT_STATUSES}"


def _flaws() -> str:
    return "findings:\n" + "\n".join(f"  {flaw.value:18} {text}" for flaw, text in EXPLAINED.items()) + f"\n{CHECK_STATUSES}"


def _nothing() -> str:
    return IMPORT_STATUSES


def _count(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and int(text) <= 1_000_000_000):
        raise argparse.ArgumentTypeError(f"{text!r}: not a number of lines")
    return int(text)


def _points(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and int(text) <= 1_000_000):
        raise argparse.ArgumentTypeError(f"{text!r}: not points from 0 to 1000000")
    return int(text)


def _minutes(text: str) -> float:
    try:
        minutes = float(text)
    except ValueError:
        minutes = 0.0
    if not 1 <= minutes <= 100_000:
        raise argparse.ArgumentTypeError(f"{text!r}: not minutes from 1 to 100000")
    return minutes
