"""Flags that several commands take, and their values, for argparse: those raise ArgumentTypeError with what would be right."""

import argparse
import datetime
import re
from collections.abc import Callable
from typing import Final

from evenkeel.config.flag import FLAG
from evenkeel.runtime.clock import SystemClock

SINCE_HELP: Final = "2026-11-20, 2026-11-20T14:30 (UTC), or so long ago: 30m, 12h, 7d, 2w"
_AGO: Final = re.compile(r"([0-9]{1,6})([mhdw])")
_MS: Final = {"m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 7 * 86_400_000}


def since_utc_ms(text: str) -> int:
    """A day, a day with a time (UTC unless it says otherwise), or so long ago."""
    if ago := _AGO.fullmatch(text):
        return SystemClock().now_utc_ms() - int(ago[1]) * _MS[ago[2]]
    try:
        at = datetime.datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no time: {SINCE_HELP}") from None
    return round((at if at.tzinfo else at.replace(tzinfo=datetime.UTC)).timestamp() * 1000)


def whole(least: int, most: int) -> Callable[[str], int]:
    def read(text: str) -> int:
        if not re.fullmatch(r"-?[0-9]{1,20}", text) or not least <= int(text) <= most:
            raise argparse.ArgumentTypeError(f"{text!r} is no whole number from {least} to {most}")
        return int(text)

    return read


def ratio(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no number from 0 to 1")
    return value


def name(text: str) -> str:
    """Of a symbol or a strategy."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.#-]{0,31}", text):
        raise argparse.ArgumentTypeError(f"{text!r} is no name: 1 to 32 of A-Z a-z 0-9 _ . # - and a letter or digit in front")
    return text


def command_id(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9-]{1,64}", text):
        raise argparse.ArgumentTypeError(f"{text!r} is no key: 1 to 64 of A-Z a-z 0-9 -")
    return text


def address(text: str) -> tuple[str, int]:
    """HOST:PORT; an address of IPv6 stands in brackets. Port 0 is any that is free."""
    host, _, port = text.rpartition(":")
    is_bare_ipv6 = ":" in host and not (host.startswith("[") and host.endswith("]"))
    if not host or is_bare_ipv6 or not port.isdecimal() or int(port) >= 1 << 16:
        raise argparse.ArgumentTypeError(f"{text!r} is not HOST:PORT")
    return host.strip("[]"), int(port)


count: Final = whole(0, 1_000_000_000)
ticket: Final = whole(1, 2**63 - 1)


def add_set_flag(parser: argparse.ArgumentParser) -> None:
    """`flags` are the texts of `--set`, in their order."""
    parser.add_argument(
        FLAG,
        dest="flags",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="a setting over all others, as exit.time_stop_minutes=60; may repeat",
    )
