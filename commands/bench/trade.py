"""What one trade takes on the stepped host without a journal, from its signal to its settled deal, through every child."""

from collections.abc import Iterator
from itertools import islice
from statistics import mean, median
from typing import Final

import msgspec

from evenkeel.adapters.replay.every_tick import EveryTick
from evenkeel.adapters.simulated.terminal import SimulatedTerminal
from evenkeel.commands.backtest.trades import HeardTrades, TradeListener
from evenkeel.commands.bench.account import START_UTC_MS, STARTED, SYMBOLS, all_children, saw, terminal, world_of
from evenkeel.commands.bench.figures import Aim, BenchFailed, Figure, monotonic_ns, warmed_up
from evenkeel.commands.bench.hosts import SENDER
from evenkeel.messages.operator import StartTrading
from evenkeel.runtime.clock import ManualClock
from evenkeel.runtime.publisher import SUPERVISOR, Publisher
from evenkeel.runtime.stepped import SteppedHost
from evenkeel.supervisor import CODEC, route_table

WARM_UP_TRADES: Final = 200
SHARE: Final = 10
"""The first and the last of so many parts of the trades are compared."""
QUIET_QUOTES_MAX: Final = 100_000
AIM_US: Final = 100.0
AIM_RATIO: Final = 1.2
_NS_PER_US: Final = 1_000


def trade_costs(trades: int) -> Iterator[Figure]:
    """The cost of each of so many trades, and of the last tenth of them over the first. Raises BenchFailed."""
    found_us = list(islice(_costs_us(), WARM_UP_TRADES, WARM_UP_TRADES + trades))
    ordered = sorted(found_us)
    middle_us, p99_us = median(ordered), ordered[min(len(ordered) - 1, len(ordered) * 99 // 100)]
    aim = Aim("median at most 100 us", middle_us <= AIM_US)
    what = f"one trade, signal to settled, real children, {len(SYMBOLS)} symbols, stepped host, no journal"
    yield Figure(
        "replay.trade.settled", what, trades, {"median_us": middle_us, "p99_us": p99_us, "mean_us": mean(ordered)}, aim
    )
    part = max(1, trades // SHARE)
    first_us, last_us = mean(found_us[:part]), mean(found_us[-part:])
    ratio = last_us / first_us
    values = {"first_us": first_us, "last_us": last_us, "ratio": ratio}
    what = f"the mean cost of the last {part:,} of {trades:,} trades over that of the first {part:,}"
    yield Figure("replay.trade.settled.flat", what, 2, values, Aim("flat: at most 1.2", ratio <= AIM_RATIO))


def _costs_us() -> Iterator[float]:
    """Of one trade after another: the quotes of its symbol that made anybody hear something, from one close to the next.

    So all that any quote has caused is charged to some trade, timers and readings of the broker too.
    """
    host, replay, listener = _booted()
    warmed_up()
    spent_ns = dict.fromkeys(SYMBOLS, 0)
    closed, quiet = 0, 0
    for number, symbol, quote in saw():
        recorded = (number, symbol, *msgspec.structs.astuple(quote))
        before, began_ns = host.deliveries, monotonic_ns()
        replay.serve([recorded])
        took_ns = monotonic_ns() - began_ns
        if host.deliveries == before:
            quiet += 1
            if quiet > QUIET_QUOTES_MAX:
                raise BenchFailed(f"{quiet:,} quotes in a row caused nothing: the account does not trade")
            continue
        quiet = 0
        spent_ns[symbol] += took_ns
        if len(listener.heard.closed) > closed:
            closed = len(listener.heard.closed)
            yield spent_ns[symbol] / _NS_PER_US
            spent_ns[symbol] = 0


def _booted() -> tuple[SteppedHost, EveryTick, TradeListener]:
    clock, broker = ManualClock(START_UTC_MS), terminal(SimulatedTerminal)
    listener = TradeListener(HeardTrades())
    specs = all_children(world_of(broker, clock), {"reporter": lambda: listener})
    publisher = Publisher(routes=route_table(specs), codec=CODEC, clock=clock, journal=None)
    host = SteppedHost(specs, publisher=publisher, clock=clock)
    publisher.publish(SUPERVISOR, 0, [STARTED])
    host.boot()
    host.say(SENDER, [StartTrading("start", SENDER)])
    return host, EveryTick(host, broker), listener
