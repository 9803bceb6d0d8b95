"""A back-test: the plan and its recorded quotes become trades.

ChildCrashed   a fault in evenkeel; what was found so far is worth nothing
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from itertools import chain
from typing import Final, NamedTuple

import msgspec

from evenkeel.adapters.build import build_id
from evenkeel.adapters.gate import Gate
from evenkeel.adapters.history import Quotes, Recorded, Stretch, merged
from evenkeel.adapters.quote_board import QuoteBoard
from evenkeel.adapters.replay.bar_foresight import BarForesight, BreakerForesight, EveryBarOf, RiskForesight
from evenkeel.adapters.replay.every_tick import EveryTick
from evenkeel.adapters.replay.foreseen_samples import ForeseenSamples
from evenkeel.adapters.replay.jump import Jump
from evenkeel.adapters.simulated.terminal import SimulatedTerminal
from evenkeel.adapters.strategy.foreseen import Answers, Foreseen
from evenkeel.adapters.strategy.making import make_strategy
from evenkeel.adapters.world import World
from evenkeel.commands.backtest.plan import Plan
from evenkeel.commands.backtest.trades import HeardTrades, TradeListener
from evenkeel.commands.runs import stepped_run
from evenkeel.config.load import identity
from evenkeel.messages.operator import StartTrading
from evenkeel.messages.system import RunStarted
from evenkeel.rules import bookings, recovery_market, shield
from evenkeel.rules.bar_columns import Bars, longer, minutes_of_blocks
from evenkeel.rules.strategy import TickStrategy
from evenkeel.rules.symbols import profit_rule
from evenkeel.runtime.clock import ManualClock, monotonic_s
from evenkeel.runtime.journal import DigestJournal
from evenkeel.runtime.stepped import ChildExhausted, SteppedHost

NAME: Final = "backtest"

KEEP_TICKS: Final = 20_000
"""What the terminal has of each symbol when a crashed feed asks. A jump keeps none: it does not outlive a crash."""

_INSTALLATION: Final = 1


class ChildCrashed(Exception):
    """One line a crash."""


class Prepared(NamedTuple):
    """The recorded quotes, checked to the end, and the M1 bars that they make, by symbol. `made_s`: what those took."""

    plan: Plan
    sources: Sequence[Recorded]
    minutes: Mapping[str, Bars]
    made_s: float

    @property
    def rows(self) -> int:
        return sum(source.counts.rows_read for source in self.sources)


class Replayed(NamedTuple):
    """`bars` are the closed ones of the strategy's timeframe, `run_s` the seconds without the first reading of the files."""

    heard: HeardTrades
    bars: int
    run_s: float
    journal_sha256: str


def prepared(plan: Plan, sources: Sequence[Recorded]) -> Prepared:
    """Read every file once. Raises HistoryUnreadable."""
    began_s, reading_s = monotonic_s(), [0.0]
    minutes = {
        source.symbol: minutes_of_blocks(block[:3] for block in _timed(source.blocks(), reading_s)) for source in sources
    }
    return Prepared(plan, sources, minutes, monotonic_s() - began_s - reading_s[0])


def replayed(
    given: Prepared,
    on_progress: Callable[[float], None] = lambda ratio: None,
    *,
    every_tick: bool = False,
    journal: DigestJournal | None = None,
) -> Replayed:
    """Serve every quote; nothing is closed at the end. `on_progress` hears the share that is done, 1.0 at the end.

    `every_tick` is the slow form, with strategies that are asked bar by bar; the journal is the same, to the byte. Raises
    ChildCrashed: a crash is mended as in a live run, but a back-test has no right to one.
    """
    journal = journal or DigestJournal()
    began_s, heard = monotonic_s(), HeardTrades()
    try:
        stretches = merged(given.sources)
        first = next(stretches)
        host, serve = _set_up(given, int(first.time_utc_ms[0]), journal, heard, every_tick=every_tick)
        host.say(NAME, [StartTrading(NAME, NAME)])
        served = 0
        for stretch in chain([first], stretches):
            serve(stretch)
            served += stretch.size
            on_progress(min(1.0, served / given.rows))
        on_progress(1.0)
    except ChildExhausted as error:
        raise ChildCrashed(str(error)) from error
    run_s = monotonic_s() - began_s + given.made_s
    if heard.crashes:
        raise ChildCrashed("\n".join(heard.crashes))
    _, strategy = given.plan.strategy
    bars = sum(max(0, longer(minutes, strategy.timeframe).size - 1) for minutes in given.minutes.values())
    return Replayed(heard, bars, run_s, journal.hexdigest())


def _set_up(
    given: Prepared, start_utc_ms: int, journal: DigestJournal, heard: HeardTrades, *, every_tick: bool
) -> tuple[SteppedHost, Callable[[Stretch], None]]:
    """The booted host, and what serves it a stretch of quotes."""
    plan, clock, board = given.plan, ManualClock(start_utc_ms), QuoteBoard()
    terminal = _terminal(plan, keep_ticks=KEEP_TICKS if every_tick else 0)
    world = World(plan.config, plan.specs, terminal, clock, board, Gate(), terminal.ticks, lambda: 0)
    name, config = plan.strategy
    child = f"strategy/{name}"
    strategies = {symbol: make_strategy(config, spec) for symbol, spec in plan.specs.items()}
    looks_at_ticks = any(isinstance(one, TickStrategy) for one in strategies.values())
    more = {"reporter": partial(TradeListener, heard, terminal.quote)}
    if every_tick:
        host = stepped_run(world, clock, _started(given), journal, more)
        one_by_one = EveryTick(host, terminal, tick_strategies=[child] if looks_at_ticks else [])
        return host, lambda stretch: one_by_one.serve(stretch.in_order())
    answers = Answers(strategies, given.minutes, config.timeframe)
    samples, foresights = _foresights(plan, given.minutes)
    foreseen = partial(Foreseen, name, config, answers, board)
    world = world._replace(sample_after=samples.after) if samples else world
    host = stepped_run(world, clock, _started(given), journal, more, {child: foreseen})
    jump = Jump(
        host,
        terminal,
        given.minutes,
        foresights={**foresights, child: answers},
        tick_answers={child: answers} if looks_at_ticks else {},
        samples=samples,
    )
    return host, jump.serve


def _foresights(plan: Plan, minutes: Mapping[str, Bars]) -> tuple[ForeseenSamples | None, dict[str, BarForesight]]:
    """Of the actors that hear bars and samples."""
    breaker = plan.config.circuit_breaker
    known: dict[str, BarForesight] = {
        "risk_limit": RiskForesight(plan.config.limits, minutes),
        "recovery": EveryBarOf(recovery_market.TIMEFRAME),
        "shield": EveryBarOf(shield.TIMEFRAME),
        "profit_booking": EveryBarOf(bookings.TIMEFRAME),
    }
    if not breaker.enabled:
        return None, known
    return ForeseenSamples(breaker, minutes, plan.specs), {**known, "circuit_breaker": BreakerForesight(breaker, minutes)}


def _terminal(plan: Plan, *, keep_ticks: int) -> SimulatedTerminal:
    account = plan.config.account
    profits = {symbol: profit_rule(symbol, plan.config) for symbol in plan.specs}
    return SimulatedTerminal(
        plan.specs,
        start_balance_cents=round(account.start_balance * 10**account.currency_digits),
        currency=account.currency,
        currency_digits=account.currency_digits,
        leverage=account.leverage,
        profit_cents=lambda spec, points, steps, close: profits[spec.symbol](spec, points, steps, close),
        keep_ticks=keep_ticks,
    )


def _started(given: Prepared) -> RunStarted:
    """All that decides beside the build is in `configuration`, so that the journal's digest depends on it; no path is."""
    plan = given.plan
    decides = {
        "configuration": identity(plan.config),
        "digits": {symbol: spec.digits for symbol, spec in plan.specs.items()},
        "from_utc_ms": plan.from_utc_ms,
        "to_utc_ms": plan.to_utc_ms,
        "inputs_sha256": {source.symbol: source.sha256 for source in given.sources},
    }
    configuration = msgspec.json.encode(decides).decode()
    return RunStarted(build_id(), configuration, plan.config.account.name, _INSTALLATION, continued=False, crashed=False)


def _timed(blocks: Iterator[Quotes], spent_s: list[float]) -> Iterator[Quotes]:
    """The same blocks; the time that they took to come is added to `spent_s`."""
    began_s = monotonic_s()
    for block in blocks:
        spent_s[0] += monotonic_s() - began_s
        yield block
        began_s = monotonic_s()
    spent_s[0] += monotonic_s() - began_s
