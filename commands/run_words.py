"""What `run` says to a person at its start and at its end: whose money, whose prices, and what to type next."""

import argparse
import contextlib
import sys
from collections.abc import Sequence
from typing import Final

import msgspec

from evenkeel.commands.live import LiveSystem
from evenkeel.commands.tables import folded
from evenkeel.config.schema import Config
from evenkeel.messages.operator import Mode
from evenkeel.rules.view import View, decimal_of

TICKETS_TOLD_MAX: Final = 5


def first_words_of(system: LiveSystem, arguments: argparse.Namespace) -> list[str]:
    """After the boot."""
    prices = prices_words(arguments, system.config)
    lines = greeting(system.config, prices, system.gate.mode)
    if arguments.ticks is None:
        return lines
    if system.source.ended:
        name = system.config.account.name
        lines.append(
            f"none of them is served: they end before the journal of account {name} does; say --account and a new name"
        )
    return [*lines, *without_daily_bars(system.config, tuple(system.specs))]


def last_words_of(system: LiveSystem) -> list[str]:
    """Before the end. Nothing where the reporter is down: an end in order does not depend on words."""
    reporter = system.run.host.child("reporter")
    if reporter is None:
        return []
    view = msgspec.json.decode(reporter.current("status"), type=View)
    return farewell(system.config, view, system.held(), is_protected=system.is_flat_or_protected())


def say(lines: Sequence[str]) -> None:
    """To the person who started it, if that one still listens; the log has its own words."""
    with contextlib.suppress(OSError, ValueError):
        for line in lines:
            print(folded(line, stream=sys.stderr), file=sys.stderr, flush=True)


def prices_words(arguments: argparse.Namespace, config: Config) -> str:
    """Where the prices come from."""
    speed = config.simulated.speed if arguments.speed is None else arguments.speed
    times = "" if speed == 1.0 else f", {speed:g} times as fast as real time"
    if arguments.ticks is not None:
        return f"recorded prices of {arguments.ticks}{times}"
    return "the broker's prices" if config.terminal.kind == "mt5" else f"a synthetic market{times}"


def greeting(config: Config, prices: str, mode: Mode) -> list[str]:
    """`mode` is that of the gate."""
    named = flag_of(config)
    lines = [f"{_money(config)}; {prices}"]
    if not config.trading.enabled:
        lines.append("nothing will be opened: set enabled = true in [trading], and start this again")
    elif mode is Mode.RUN:
        lines.append("it goes on trading, as it did before")
    else:
        lines.append(f"nothing is opened before you say so in another window:  evenkeel start{named}")
    return [*lines, f"how it does:  evenkeel top{named}     the end:  Ctrl-C, or evenkeel stop{named}"]


def without_daily_bars(config: Config, symbols: tuple[str, ...]) -> list[str]:
    """What to do about recorded prices, with which no daily bars come: a stop at the broker is measured by them."""
    if config.catastrophe_stop.at_broker == "off":
        return []
    lacking = [name for name in symbols if name not in config.symbols or config.symbols[name].daily_atr_points is None]
    return [
        f"{name}: no daily bars come before recorded prices, so no order can have its stop at the broker and each is refused; "
        f"say how many points a usual day moves:  [symbols.{name}]  daily_atr_points = 700"
        for name in lacking
    ]


def farewell(config: Config, view: View, tickets: Sequence[int], *, is_protected: bool) -> list[str]:
    """`tickets` are open; `is_protected`: each has a stop at the broker, by the last reading."""
    named, today = flag_of(config), view.today
    account = view.account
    digits, currency = (account.currency_digits, account.currency) if account else (2, config.account.currency)
    lines = [f"today {today.trades} trades closed, {today.won} won, net {decimal_of(today.net_cents, digits)} {currency}"]
    if tickets:
        told = ", ".join(map(str, tickets[:TICKETS_TOLD_MAX]))
        more = f" and {len(tickets) - TICKETS_TOLD_MAX} more" if len(tickets) > TICKETS_TOLD_MAX else ""
        stops = "each with its stop at the broker" if is_protected else "NOT EACH WITH A STOP AT THE BROKER"
        lines.append(f"{len(tickets)} stay open, {stops}: {told}{more}")
    else:
        lines.append("nothing of ours stays open")
    return [*lines, f"what it did:  evenkeel history{named}     a page of it:  evenkeel report{named} --html run.html"]


def flag_of(config: Config) -> str:
    """What other commands need to mean this account."""
    return "" if config.account.name == "simulated" else f" --account {config.account.name}"


def _money(config: Config) -> str:
    terminal = config.terminal
    if terminal.kind == "simulated":
        return "paper: a simulated account on a simulated terminal, nothing is at stake"
    where = f"account {terminal.login} at {terminal.server}" if terminal.login else "the account that the terminal is on"
    if terminal.real_login is not None:
        return f"REAL MONEY where it is a real account: {where}"
    return f"a demo account, or nothing: {where}; real ones are refused"
