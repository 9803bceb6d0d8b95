"""The simulated terminal tick by tick, and calls through a terminal host in a process of its own."""

import os
import sys
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from random import Random
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any, Final

from evenkeel.adapters.mt5 import constants as mt5
from evenkeel.adapters.os import memory_peak_mb
from evenkeel.adapters.simulated.api import MetaTrader5Like
from evenkeel.adapters.state_folder import ENDPOINT_NAME, StateFolder
from evenkeel.adapters.terminal_host import verbs
from evenkeel.adapters.terminal_host.client import HostedBroker, HostLink
from evenkeel.adapters.terminal_host.keeper import HostDidNotStart, HostKeeper, local_connect
from evenkeel.commands.bench.figures import NS_PER_S, Aim, BenchFailed, Figure, latencies, monotonic_ns
from evenkeel.messages.broker_gateway import CloseRequest, OpenRequest, Outcome
from evenkeel.messages.market import Direction
from evenkeel.messages.operator import Mode
from evenkeel.runtime.clock import ManualClock

TICKS: Final = 2_000_000
TICKS_LONG: Final = 10_000_000
ROUND_TICKS: Final = 200_000
TICKS_PER_S_AIM: Final = 200_000
GROWTH_MB_MAX: Final = 8.0
HELD: Final = 10
START_UTC_MS: Final = 1_767_571_200_000
_BID_POINTS: Final = 108_500
_QUIET_POINTS: Final = 40


def figures(seconds: float, *, long: bool) -> Iterator[Figure]:
    """`seconds` for each latency. Raises BenchFailed."""
    yield from _ticks(TICKS_LONG if long else TICKS)
    yield from _host(seconds)


def _ticks(ticks: int) -> Iterator[Figure]:
    """Prices wander between the levels of ten positions and ten pending orders; none is reached."""
    package = _laden()
    rates, memory_mb, deals = [], [], 0
    quotes = _walk(Random(3))
    for _ in range(ticks // ROUND_TICKS):
        batch = [next(quotes) for _ in range(ROUND_TICKS)]
        quoted = package.session.quoted
        began_ns = monotonic_ns()
        for time_utc_ms, bid_points, ask_points in batch:
            quoted("EURUSD", time_utc_ms, bid_points, ask_points)
        rates.append(ROUND_TICKS * NS_PER_S / (monotonic_ns() - began_ns))
        memory_mb.append(memory_peak_mb())
        deals = len(package.session.server.book.kept.deals)
    half = len(memory_mb) // 2
    values = {
        "ticks_per_s": median(rates),
        "best_per_s": max(rates),
        "positions": len(package.session.server.book.positions),
        "orders": len(package.session.server.book.orders),
        "deals": deals,
        "memory_mb": memory_mb[-1],
        "growth_mb": memory_mb[-1] - memory_mb[half],
    }
    met = values["ticks_per_s"] >= TICKS_PER_S_AIM and values["growth_mb"] <= GROWTH_MB_MAX
    text = f"{TICKS_PER_S_AIM:,} ticks/s, and no growth over the second half"
    yield Figure(
        "terminal.ticks", "simulated terminal, in-process, 10 positions and 10 pending orders", ticks, values, Aim(text, met)
    )


def _laden() -> Any:
    package: Any = MetaTrader5Like(clock=ManualClock(START_UTC_MS))
    package.initialize()
    package.session.quoted("EURUSD", START_UTC_MS, _BID_POINTS, _BID_POINTS + 8)
    for number in range(HELD):
        side, sign = (mt5.ORDER_TYPE_BUY, 1) if number % 2 else (mt5.ORDER_TYPE_SELL, -1)
        away = (_QUIET_POINTS * 3 + number * 10) / 100_000
        levels = {"sl": round(1.085 - sign * away, 5), "tp": round(1.085 + sign * away, 5)}
        _sent(package, {"action": mt5.TRADE_ACTION_DEAL, "symbol": "EURUSD", "volume": 0.01, "type": side, **levels})
        kind = (mt5.ORDER_TYPE_BUY_LIMIT, mt5.ORDER_TYPE_SELL_LIMIT)[number % 2]
        price = round(1.085 - (1 if kind == mt5.ORDER_TYPE_BUY_LIMIT else -1) * (away + 0.002), 5)
        _sent(package, {"action": mt5.TRADE_ACTION_PENDING, "symbol": "EURUSD", "volume": 0.01, "type": kind, "price": price})
    return package


def _sent(package: Any, request: dict[str, Any]) -> None:
    result = package.order_send(request)
    if result is None or result.retcode != mt5.TRADE_RETCODE_DONE:
        raise BenchFailed(f"the simulated terminal refused {request}: {result}")


def _walk(draw: Random) -> Iterator[tuple[int, int, int]]:
    bid_points = _BID_POINTS
    for tick in count(1):
        bid_points += draw.choice((-2, -1, 0, 1, 2))
        bid_points = min(_BID_POINTS + _QUIET_POINTS, max(_BID_POINTS - _QUIET_POINTS, bid_points))
        yield START_UTC_MS + tick * 250, bid_points, bid_points + 8


def _host(seconds: float) -> Iterator[Figure]:
    with TemporaryDirectory(prefix="evenkeel-bench-", ignore_cleanup_errors=True) as scratch:
        before = os.environ.get("EVENKEEL_STATE")
        os.environ["EVENKEEL_STATE"] = scratch
        try:
            yield from _hosted(Path(scratch), seconds)
        except HostDidNotStart as error:
            raise BenchFailed(str(error)) from error
        finally:
            os.environ.pop("EVENKEEL_STATE")
            if before is not None:
                os.environ["EVENKEEL_STATE"] = before


def _hosted(scratch: Path, seconds: float) -> Iterator[Figure]:
    folder = StateFolder(scratch, "bench")
    folder.create()
    (folder.folder / "bench.toml").write_text("[terminal]\nrequests_per_minute = 100000\n")
    command = [sys.executable, "-m", "evenkeel.cli", "terminal", "--account", "bench"]
    connect = local_connect(folder.terminal / ENDPOINT_NAME)
    links = HostLink(connect, 10.0), HostLink(connect, 10.0)
    broker = HostedBroker(*links)

    def beat() -> verbs.Beat:
        return verbs.Beat(Mode.RUN, 0, broker.answered_intent_id)

    began_ns = monotonic_ns()
    keeper = HostKeeper(
        connect, [*command, "--config", str(folder.folder / "bench.toml")], beat=beat, log=folder.terminal / "host.log"
    )
    keeper.start()
    try:
        while broker.quote("EURUSD") is None or broker.symbol("EURUSD") is None:
            pass
        yield Figure(
            "terminal.start", "terminal host, from start to the first quote", 1, {"s": (monotonic_ns() - began_ns) / NS_PER_S}
        )
        yield Figure("terminal.read", "quote read through the terminal host", *_timed(seconds, lambda: broker.quote("EURUSD")))
        yield Figure(
            "terminal.order", "open and close through the host: gate file fsynced, book written", *_orders(broker, seconds)
        )
    finally:
        for link in links:
            link.close()
        keeper.stop()


def _timed(seconds: float, call: Any) -> tuple[int, dict[str, float]]:
    samples_ns: list[int] = []
    until_ns = monotonic_ns() + round(seconds * NS_PER_S)
    while monotonic_ns() < until_ns:
        began_ns = monotonic_ns()
        if call() is None:
            raise BenchFailed("the terminal host did not answer")
        samples_ns.append(monotonic_ns() - began_ns)
    return len(samples_ns), latencies(samples_ns)


def _orders(broker: HostedBroker, seconds: float) -> tuple[int, dict[str, float]]:
    spec = broker.symbol("EURUSD")
    if spec is None:
        raise BenchFailed("the terminal host tells no terms")
    numbers = count(1)

    def order() -> bool:
        intent_id = next(numbers)
        request = OpenRequest("EURUSD", spec.spec_id, Direction.BUY, 1, _BID_POINTS, 1000, 0, 0, intent_id % 8)
        opened = broker.open_position(request, intent_id, intent_id=intent_id)
        if opened.outcome is not Outcome.ACCEPTED or broker.positions() is None:
            raise BenchFailed(f"an order came to {opened}")
        closed = broker.close_position(CloseRequest("EURUSD", opened.ticket, Direction.BUY, 0), 1, intent_id)
        if closed.outcome is not Outcome.ACCEPTED:
            raise BenchFailed(f"a close came to {closed}")
        return True

    return _timed(seconds, order)
