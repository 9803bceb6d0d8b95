"""A jump finds every crossing that every tick finds: any watches, any owners, any confirmations, positions of others."""

import contextlib
import random
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from evenkeel.adapters.gate import Gate
from evenkeel.adapters.history import Quotes, Stretch
from evenkeel.adapters.mt5 import constants as mt5
from evenkeel.adapters.quote_board import QuoteBoard
from evenkeel.adapters.replay.every_tick import EveryTick
from evenkeel.adapters.replay.jump import Jump
from evenkeel.adapters.simulated.server.records import Books, Request
from evenkeel.adapters.simulated.server.spec_money import terms_of
from evenkeel.adapters.simulated.terminal import SimulatedTerminal
from evenkeel.adapters.world import World
from evenkeel.commands.runs import stepped_run
from evenkeel.config.load import load, packaged
from evenkeel.messages.market import ArmWatches, Direction, DisarmWatches, PricesReached, Side, Watch
from evenkeel.messages.system import Message, RunStarted
from evenkeel.rules.bar_columns import minutes_of
from evenkeel.rules.symbols import spec_for
from evenkeel.runtime.clock import ManualClock
from evenkeel.runtime.edge import At
from evenkeel.runtime.journal import MemoryJournal

MONDAY_UTC_MS = 1_767_571_200_000
CONFIG = load(packaged("plain.toml"))
SPEC = spec_for("EURUSD", CONFIG)
Row = tuple[int, int, int]


class Restless(msgspec.Struct):
    armed: int = 0


class Armer:
    """Stands where the reporter stands: arms watches of every kind, and another for each that is reached."""

    poll_s: float | None = None

    def __init__(self, seed: int) -> None:
        self.state = Restless()
        self._seed = seed

    def remember(self, message: Message) -> None:
        if isinstance(message, ArmWatches):
            self.state.armed += len(message.watches)

    def act(self, message: Message, at: At) -> Sequence[Message]:
        if not isinstance(message, PricesReached):
            return ()
        return [self.watches(message.quote.bid_points, len(message.names))]

    def watches(self, bid_points: int, count: int) -> ArmWatches:
        dice = random.Random(self._seed * 1_000 + self.state.armed)
        made = [
            Watch(
                name=f"{self.state.armed + number}",
                side=dice.choice((Side.BID, Side.ASK)),
                level_points=bid_points + 5 * dice.randint(-15, 15),
                rising=dice.random() < 0.5,
                confirmations=dice.choice((1, 1, 2, 3, 5)),
            )
            for number in range(count)
        ]
        return ArmWatches("reporter", "EURUSD", SPEC.spec_id, tuple(made))

    def resume(self, now_utc_ms: int) -> Sequence[Message]:
        return ()

    def poll(self, now_utc_ms: int) -> Sequence[Message]:
        return ()

    def close(self) -> None:
        pass


def rows_of(seed: int, count: int) -> list[Row]:
    dice = random.Random(seed)
    time_utc_ms, bid_points, rows = MONDAY_UTC_MS, 110_000, list[Row]()
    for _ in range(count):
        time_utc_ms += dice.choice((0, 300, 4_000, 90_000))
        bid_points += 5 * dice.choice((-2, -1, 0, 0, 1, 2, dice.randint(-20, 20) if dice.random() < 0.05 else 0))
        rows.append((time_utc_ms, bid_points, bid_points + 5 * dice.randint(0, 3)))
    return rows


def stretch_of(rows: Sequence[Row], first: int) -> Stretch:
    times, bids, asks = (np.array(column, np.int64) for column in zip(*rows, strict=True))
    place = np.arange(len(rows))
    return Stretch(("EURUSD",), (Quotes(times, bids, asks, place + first),), (place,), len(rows), times)


def journaled(rows: Sequence[Row], cuts: Sequence[int], seed: int, *, jumps: bool) -> list[bytes]:
    """What is written when the armer begins after the first part, and a person opens by hand after the second."""
    clock, board, journal = ManualClock(rows[0][0]), QuoteBoard(), MemoryJournal()
    terminal = SimulatedTerminal(
        {"EURUSD": SPEC},
        start_balance_cents=1_000_000,
        currency="USD",
        currency_digits=2,
        leverage=100,
        profit_cents=lambda spec, points, steps, close: points * steps,
        keep_ticks=0 if jumps else 1_000,
    )
    world = World(CONFIG, {"EURUSD": SPEC}, terminal, clock, board, Gate(), terminal.ticks, lambda: 0)
    armer = Armer(seed)
    started = RunStarted("test", "", "test", 1, continued=False, crashed=False)
    host = stepped_run(world, clock, started, journal, {"reporter": lambda: armer})
    minutes = {"EURUSD": minutes_of(*stretch_of(rows, 0).quotes[0][:3])}
    serve: Any = Jump(host, terminal, minutes, foresights={}, tick_answers={}).serve
    if not jumps:
        serve = lambda stretch: EveryTick(host, terminal).serve(stretch.in_order())  # noqa: E731
    borders = [0, *sorted(cuts), len(rows)]
    for part, (start, end) in enumerate(pairwise(borders)):
        if start < end:
            serve(stretch_of(rows[start:end], start))
        bid_points = rows[max(0, end - 1)][1]
        if part == 0 and end:
            host.say("test", [armer.watches(bid_points, 5)])
        if part == 1:
            terminal.person_opens("EURUSD", Direction.BUY, 10, stop_points=bid_points - 60, target_points=bid_points + 45)
            host.say("test", [DisarmWatches("reporter", "EURUSD", ("3",))])
    return journal.bodies


@settings(max_examples=40, deadline=None)
@given(
    seed=some.integers(0, 10**6), count=some.integers(20, 900), cuts=some.lists(some.integers(1, 900), min_size=3, max_size=6)
)
def test_random_watches_and_a_position_by_hand(seed: int, count: int, cuts: list[int]) -> None:
    rows = rows_of(seed, count)
    borders = [min(cut, count) for cut in cuts]
    assert journaled(rows, borders, seed, jumps=True) == journaled(rows, borders, seed, jumps=False)


def slow_rows_of(seed: int, count: int) -> list[Row]:
    """The same over days: nights with swaps, orders that end with the day."""
    rows = rows_of(seed, count)
    return [(MONDAY_UTC_MS + 15 * (row[0] - MONDAY_UTC_MS), *row[1:]) for row in rows]


SWAPPED = msgspec.structs.replace(
    terms_of(SPEC, "USD"), swap_mode=mt5.SYMBOL_SWAP_MODE_POINTS, swap_long=-7.3, swap_short=2.1, commission_cents_per_lot=350
)
PENDING = (
    mt5.ORDER_TYPE_BUY_LIMIT,
    mt5.ORDER_TYPE_SELL_LIMIT,
    mt5.ORDER_TYPE_BUY_STOP,
    mt5.ORDER_TYPE_SELL_STOP,
    mt5.ORDER_TYPE_BUY_STOP_LIMIT,
    mt5.ORDER_TYPE_SELL_STOP_LIMIT,
)


def booked(rows: Sequence[Row], cuts: Sequence[int], seed: int, *, jumps: bool) -> tuple[list[bytes], bytes]:
    """Journal and broker's books, when a person places pending orders and opens far too much between the parts."""
    dice = random.Random(seed)
    clock, journal = ManualClock(rows[0][0]), MemoryJournal()
    terminal = SimulatedTerminal(
        {"EURUSD": SPEC},
        start_balance_cents=60_000,
        currency="USD",
        currency_digits=2,
        leverage=100,
        profit_cents=lambda spec, points, steps, close: 5 * points * steps,
        keep_ticks=0 if jumps else 1_000,
        terms={"EURUSD": SWAPPED},
    )
    world = World(CONFIG, {"EURUSD": SPEC}, terminal, clock, QuoteBoard(), Gate(), terminal.ticks, lambda: 0)
    armer = Armer(seed)
    started = RunStarted("test", "", "test", 1, continued=False, crashed=False)
    host = stepped_run(world, clock, started, journal, {"reporter": lambda: armer})
    minutes = {"EURUSD": minutes_of(*stretch_of(rows, 0).quotes[0][:3])}
    serve: Any = Jump(host, terminal, minutes, foresights={}, tick_answers={}).serve
    if not jumps:
        serve = lambda stretch: EveryTick(host, terminal).serve(stretch.in_order())  # noqa: E731
    borders = [0, *sorted(cuts), len(rows)]
    for start, end in pairwise(borders):
        if start < end:
            serve(stretch_of(rows[start:end], start))
        if not end:
            continue
        bid_points = rows[end - 1][1]
        for _ in range(4):
            place(terminal, dice.choice(PENDING), bid_points, dice)
        with contextlib.suppress(ValueError):
            terminal.person_opens("EURUSD", dice.choice(list(Direction)), dice.choice((5, 20, 40)))
    books = terminal.books
    books.quotes = {}
    return journal.bodies, msgspec.msgpack.encode(books)


def place(terminal: SimulatedTerminal, kind: int, bid_points: int, dice: random.Random) -> None:
    rising = kind in (mt5.ORDER_TYPE_SELL_LIMIT, mt5.ORDER_TYPE_BUY_STOP, mt5.ORDER_TYPE_BUY_STOP_LIMIT)
    price_points = bid_points + dice.randint(20, 120) * (1 if rising else -1)
    back = dice.randint(0, 30) * (1 if kind % 2 == 0 else -1)
    away = dice.randint(40, 90) * (1 if kind % 2 == 0 else -1)
    limit = price_points - back if kind >= mt5.ORDER_TYPE_BUY_STOP_LIMIT else 0
    request = Request(
        mt5.TRADE_ACTION_PENDING,
        "EURUSD",
        dice.choice((2, 10, 60)),
        price_points,
        limit,
        (limit or price_points) - away,
        (limit or price_points) + away,
        type=kind,
        type_time=dice.choice((mt5.ORDER_TIME_GTC, mt5.ORDER_TIME_DAY)),
    )
    with contextlib.suppress(ValueError):
        terminal.person_places(request)


@settings(max_examples=35, deadline=None)
@given(
    seed=some.integers(0, 10**6), count=some.integers(200, 900), cuts=some.lists(some.integers(1, 900), min_size=3, max_size=6)
)
def test_random_pending_orders_stop_outs_and_swaps(seed: int, count: int, cuts: list[int]) -> None:
    rows = slow_rows_of(seed, count)
    borders = [min(cut, count) for cut in cuts]
    assert booked(rows, borders, seed, jumps=True) == booked(rows, borders, seed, jumps=False)


def test_those_worlds_hold_fills_expirations_stop_outs_and_swaps() -> None:
    kept = [booked(slow_rows_of(seed, 900), [50, 300, 500], seed, jumps=True)[1] for seed in range(12)]
    found = [msgspec.msgpack.decode(body, type=Books) for body in kept]
    deals = [deal for books in found for deal in books.deals]
    assert {deal.reason for deal in deals} >= {mt5.DEAL_REASON_SO, mt5.DEAL_REASON_SL, mt5.DEAL_REASON_TP}
    assert any(deal.swap_cents for deal in deals)
    states = {order.state for books in found for order in books.done_orders}
    assert states >= {mt5.ORDER_STATE_FILLED, mt5.ORDER_STATE_EXPIRED}
    kinds = {order.type for books in found for order in books.done_orders if order.state == mt5.ORDER_STATE_FILLED}
    assert kinds >= set(PENDING)


@pytest.mark.parametrize("seed", range(3))
def test_there_is_something_to_find(seed: int) -> None:
    found = journaled(rows_of(seed, 900), [50, 100], seed, jumps=True)
    assert len(found) > 50
