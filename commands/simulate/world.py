"""A world: one seed, one run. An account, its broker, its market and its misfortunes, stepped by one clock.

The same seed gives the same journal, whatever machine, hash seed or Python runs it.
"""

import tempfile
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random
from typing import Final, NamedTuple

import msgspec
from loguru import logger

from evenkeel.adapters.gate import DurableGate, Gate
from evenkeel.adapters.simulated.terminal import SimulatedTerminal
from evenkeel.adapters.terminal_host import verbs
from evenkeel.adapters.terminal_host.budget import Budget
from evenkeel.adapters.terminal_host.service import TerminalService
from evenkeel.commands.simulate.control import NaiveGateway, OpenGate, OpenHostGate
from evenkeel.commands.simulate.faults import FAULTS, Rates, Way
from evenkeel.commands.simulate.life import FEED, TERMINAL, Around, Died, Fuse, InProcessLink, Life, WorldClock
from evenkeel.commands.simulate.lull import Lull
from evenkeel.commands.simulate.market import DAY_MS, Row, Trouble, WorldMarket, quote_of
from evenkeel.commands.simulate.store import Backup, TearingStore
from evenkeel.commands.simulate.troubles import TroubledTerminal, Troubles
from evenkeel.commands.simulate.witness import Break, Witness
from evenkeel.config.load import load
from evenkeel.config.schema import Config
from evenkeel.messages.broker_gateway import DealDone, OpenRequest
from evenkeel.messages.market import Direction, Quote
from evenkeel.messages.operator import (
    CloseTicket,
    KillTrading,
    Mode,
    PauseTrading,
    RearmTrading,
    ResumeTrading,
    StartTrading,
)
from evenkeel.messages.system import Message, RunStarted
from evenkeel.rules.symbols import profit_rule, spec_for, typical_price
from evenkeel.runtime.fold import ledgers_of
from evenkeel.runtime.journal import JournalCorrupt
from evenkeel.runtime.publisher import Delivery
from evenkeel.runtime.shell import ChildSpec
from evenkeel.supervisor import CODEC, World, guard_names

SYMBOLS: Final = ("EURUSD", "GBPUSD", "USDJPY", "AUDUSD")
HOUR_MS: Final = 3_600_000
QUIET_MS: Final = 15 * 60_000
"""How long a world goes on without faults at its end, so that everything may come to rest."""
QUIET_WITHOUT_FAULTS_MS: Final = 4 * 60_000
AFTER_CRASH_MS: Final = HOUR_MS
"""Of a world that is made for one crash: what that breaks shows by then."""
DOWN_MS: Final = (500, 90_000)
HEARD_LATER_MS: Final = 1_000
"""A kill is on the disk so long before the supervisor hears of it."""
PERSON_EVERY_MS: Final = 20 * 60_000
STEADY_AFTER_MS: Final = 60_000
KEEP_TICKS: Final = 20_000
BEGAN_UTC_MS: Final = 1_767_571_200_000
"""2026-01-05 00:00 UTC, a Monday."""
_REFUSALS: Final = {
    "F44": "no space left on device",
    "F45": "MDB_MAP_FULL: Environment mapsize limit reached",
    "F46": "commit failed: input/output error",
}
_MARKET: Final = ("F26", "F27", "F28", "F29", "F30", "F31", "F32", "F33")
_NEVER: Final = 2**62


class Plan(NamedTuple):
    """What makes a world. `fault_factor` 0: nothing goes wrong. `is_control`: with the naive gateway, and replies lost
    until that has doubled an order. `crash_at_commit` and `crash_at_call` count from 1; 0 is none."""

    seed: int
    hours: float
    symbols: tuple[str, ...] = SYMBOLS
    quote_every_ms: int = 5_000
    fault_factor: float = 1.0
    is_control: bool = False
    crash_at_commit: int = 0
    crash_at_call: int = 0


class Outcome(NamedTuple):
    """`breaks` is empty where every promise was kept; `digest` is the chain over all that was committed."""

    plan: Plan
    digest: str
    breaks: tuple[Break, ...]
    broken: dict[str, int]
    checked: dict[str, int]
    faults: dict[str, int]
    counts: dict[str, int]


def lived(plan: Plan) -> Outcome:
    """The world from its beginning to its end."""
    logger.disable("evenkeel")
    try:
        with tempfile.TemporaryDirectory(prefix="evenkeel-world-", dir=_shared_memory()) as folder:
            world = _World(plan, Path(folder))
            world.run()
            return world.outcome()
    finally:
        logger.enable("evenkeel")


def config_for(plan: Plan) -> Config:
    """The personal profile with quick trades on minute bars; some of its limits are drawn, so that they are reached."""
    random = Random(f"{plan.seed}-limits")
    symbols = list(plan.symbols)
    wanted: dict[str, object] = {
        "profile": "personal",
        "trading.enabled": True,
        "entry.stop_pips": random.choice([4.0, 6.0, 10.0]),
        "entry.target_pips": random.choice([6.0, 10.0, 20.0]),
        "entry.cooldown_minutes": random.choice([0.0, 0.0, 3.0, 15.0]),
        "exit.time_stop_minutes": random.choice([20.0, 60.0, 2160.0]),
        "limits.positions_max": random.choice([2, 3, 4, 5]),
        "limits.trades_per_hour": random.choice(["off", "off", 20]),
        "limits.trades_per_day": random.choice(["off", "off", 150]),
        "limits.trades_limit_days_max": "off",
        "limits.session.rollover_before_minutes": "off",
        "limits.session.rollover_after_minutes": "off",
        "limits.session.friday_before_close_minutes": "off",
        "limits.session.sunday_after_open_minutes": "off",
        "limits.consecutive_losses.hold_after": random.choice(["off", "off", 4]),
        "limits.consecutive_losses.close_only_after": random.choice(["off", 20]),
        "limits.rejects.in_a_row_max": random.choice(["off", 5]),
        "limits.slippage.multiple_max": random.choice(["off", 3.0]),
        "limits.day_loss_pct": random.choice(["off", 3.0, 6.0]),
        "limits.day_loss_soft_pct": random.choice(["off", 2.0]),
        "limits.week_loss_pct": "off",
        "circuit_breaker.sample_s": max(60.0, plan.quote_every_ms / 1000),
        "broker_gateway.late_fill": random.choice(["close", "close", "keep"]),
        "strategy": {"cross": {"kind": "ma_cross", "symbols": symbols, "fast": 2, "slow": 3}},
    }
    return load(None, overrides=wanted)


class _World:
    def __init__(self, plan: Plan, folder: Path) -> None:
        self.plan, self._folder = plan, folder
        self._rows: Sequence[Row] = ()
        self.random = Random(f"{plan.seed}-world")
        self.config = config_for(plan)
        self.specs = {name: spec_for(name, self.config, spec_id=at) for at, name in enumerate(plan.symbols, 1)}
        self.rates = Rates(Random(f"{plan.seed}-rates"), factor=plan.fault_factor)
        self.troubles = Troubles(self.rates, Random(f"{plan.seed}-troubles"))
        self.troubles.must_lose_a_reply = plan.is_control
        prices = {n: round((typical_price(n, self.config) or 1) * 10**s.digits) for n, s in self.specs.items()}
        self.market = WorldMarket(self.specs, prices, seed=plan.seed, quote_every_ms=plan.quote_every_ms)
        self.began_utc_ms = BEGAN_UTC_MS + self.random.randrange(0, 4 * 24) * HOUR_MS
        self.ends_utc_ms = self.began_utc_ms + round(plan.hours * HOUR_MS)
        self.clock = WorldClock(self.began_utc_ms - 60_000)
        self.troubles.now_utc_ms = self.clock.true_utc_ms
        self.terminal = self._terminal()
        self.witness = Witness(self.config, self.terminal, self.troubles, is_control=plan.is_control)
        self.troubled = TroubledTerminal(self.terminal, self.troubles, self._sent)
        self.store = TearingStore(self._may_die_at_commit)
        self.fuse = Fuse()
        self.kill_epoch = 0
        self.counts: Counter[str] = Counter()
        self.life: Life | None = None
        self._host = self._new_host()
        self._link = InProcessLink(lambda: self._host, self.troubles, self._may_die_at_call, self._host_died)
        self._restart_utc_ms = _NEVER
        self._asleep_until_utc_ms = 0
        self._steady_from_utc_ms = 0
        self._dies_at_commit, self._dies_at_call = plan.crash_at_commit, plan.crash_at_call
        self._commits = self._calls = self._kill_at_call = 0
        self._deaths_left = 0
        self._backup: Backup | None = None
        self._was_stopped = False
        self._changed = False
        self._restored = False
        self._deaths_utc_ms: list[int] = []
        self._person_utc_ms = 0
        self._commands = 0
        self._told: list[Message] = []
        self._look_utc_ms = 0
        self._seen = (0, 0)
        self._rows_before: Sequence[Row] = ()

    # -- making ---------------------------------------------------------------------------------------------------------

    def _terminal(self) -> SimulatedTerminal:
        rules = {symbol: profit_rule(symbol, self.config) for symbol in self.specs}
        return SimulatedTerminal(
            self.specs,
            start_balance_cents=1_000_000,
            currency="USD",
            currency_digits=2,
            leverage=100,
            profit_cents=lambda spec, points, steps, close: rules[spec.symbol](spec, points, steps, close),
            daily=self.market.daily(),
            recorded_ticks=self._ticks,
        )

    def _new_host(self) -> TerminalService:
        gate = OpenHostGate(self._folder / "gate") if self.plan.is_control else DurableGate(self._folder / "gate")
        terminal = self.config.terminal
        return TerminalService(
            self.troubled,
            gate,
            Budget(terminal.requests_per_minute, terminal.requests_for_closes_ratio, self._monotonic_s),
            epoch_on_disk=lambda: self.kill_epoch,
            monotonic_s=self._monotonic_s,
            silent_limit_s=terminal.supervisor_silent_s,
            build="simulate",
            on_leave=lambda: None,
        )

    def _monotonic_s(self) -> float:
        return self.clock.true_utc_ms / 1000

    def _stand_in(self, spec: ChildSpec, world: World) -> ChildSpec:
        if not self.plan.is_control or spec.name != "broker_gateway":
            return spec
        guards = guard_names(world.config, world.symbols)
        return msgspec.structs.replace(spec, make=lambda: NaiveGateway(self.config, guards))

    # -- running --------------------------------------------------------------------------------------------------------

    def run(self) -> None:
        events = self._drawn_events()
        self._contained(self._be_born)
        self._contained(self._person_acts)
        at_utc_ms = self.began_utc_ms
        while at_utc_ms < self.ends_utc_ms:
            until = min(self.ends_utc_ms, at_utc_ms + DAY_MS)
            troubles = [Trouble(name, t) for t, name in events if name in _MARKET and at_utc_ms <= t < until]
            rows = self.market.rows(at_utc_ms, until, troubles, self.troubles.count)
            self._rows_before = self._rows
            self._live_through(rows, [e for e in events if e[1] not in _MARKET and at_utc_ms <= e[0] < until])
            at_utc_ms = until
        self._come_to_rest()

    def _drawn_events(self) -> list[tuple[int, str]]:
        drawn = [
            (t, name)
            for name, fault in FAULTS.items()
            if fault.way is not Way.CALL
            for t in self.rates.times_utc_ms(self.random, name, self.began_utc_ms, self.ends_utc_ms)
        ]
        hours = range(self.began_utc_ms + HOUR_MS, self.ends_utc_ms, HOUR_MS)
        persons = range(self.began_utc_ms + PERSON_EVERY_MS, self.ends_utc_ms, PERSON_EVERY_MS)
        return sorted([*drawn, *((t, "hour") for t in hours), *((t, "person") for t in persons)])

    def _live_through(self, rows: Sequence[Row], events: Sequence[tuple[int, str]]) -> None:
        """Every quote and every event of a stretch, in the order of time, up to the end of the world."""
        next_event = 0
        event_utc_ms = events[0][0] if events else _NEVER
        terminal, clock = self.terminal, self.clock
        self._rows = rows
        lull: Lull | None = None
        for row in rows:
            if lull is not None:
                if lull.takes(row):
                    continue
                lull.end()
            utc_ms = row[0]
            if utc_ms >= self.ends_utc_ms:
                return
            while True:
                wake = min(event_utc_ms, self._wake_utc_ms())
                if wake > utc_ms:
                    break
                self._at(max(wake, clock.true_utc_ms))
                if wake == event_utc_ms:
                    self._contained(lambda name=events[next_event][1]: self._happen(name))  # type: ignore[misc]
                    next_event += 1
                    event_utc_ms = events[next_event][0] if next_event < len(events) else _NEVER
                else:
                    self._contained(self._wake)
            self._at(utc_ms)
            made_deal = not row[4] and terminal.on_quote(row[1], utc_ms, row[2], row[3])
            if self.life is not None and utc_ms >= self._asleep_until_utc_ms:
                self._serve(row, made_deal)
            elif made_deal:
                self._look()
            lull = self._lull(event_utc_ms)
        if lull is not None:
            lull.end()

    def _lull(self, event_utc_ms: int) -> Lull | None:
        """From now on, if somebody lives whom a quote might wake."""
        if self.life is None or self.clock.true_utc_ms < self._asleep_until_utc_ms:
            return None
        feed = self.life.host.child(FEED)
        until = min(event_utc_ms, self._wake_utc_ms(), feed.next_sample_utc_ms, self._look_utc_ms, self.ends_utc_ms)
        return Lull(feed, self.terminal, until, self._at)

    def _ticks(self, symbol: str, from_utc_ms: int) -> Sequence[Quote]:
        """The terminal's own history: the quotes that came from then until now, of this stretch and the one before."""
        found = []
        for rows in (self._rows_before, self._rows):
            first = bisect_left(rows, from_utc_ms, key=lambda row: row[0])
            last = bisect_right(rows, self.clock.true_utc_ms, key=lambda row: row[0])
            found += [quote_of(row) for row in rows[first:last] if row[1] == symbol and not row[4]]
        return found[-KEEP_TICKS:]

    def _serve(self, row: Row, made_deal: bool) -> None:
        try:
            life = self.life
            assert life is not None
            if life.serve(row) or made_deal or row[0] >= self._look_utc_ms:
                self._look()
            if made_deal:
                life.next_poll_utc_ms = min(life.next_poll_utc_ms, row[0] + 300)
        except Died:
            self._die()

    def _contained(self, act: Callable[[], None]) -> None:
        try:
            act()
        except Died:
            self._die()
        self._look()

    def _at(self, utc_ms: int) -> None:
        self.clock.advance_to(utc_ms)
        self.troubles.now_utc_ms = self.clock.true_utc_ms

    def _wake_utc_ms(self) -> int:
        later = self.troubles.next_utc_ms
        wake = _NEVER if later is None else later
        if self.life is None:
            return min(wake, self._restart_utc_ms)
        own = min(self.life.next_poll_utc_ms, self.life.timers_utc_ms)
        return min(wake, max(own, self._asleep_until_utc_ms))

    def _wake(self) -> None:
        self.troubles.happen()
        now = self.clock.true_utc_ms
        if self.life is None:
            if now >= self._restart_utc_ms:
                self._be_born()
        elif now >= self._asleep_until_utc_ms:
            self.life.look()

    def _look(self) -> None:
        """When the disk has more than before, the broker has made a deal, or some seconds have passed."""
        seen = self.store.durable_seq, self.terminal.books.last_deal_ticket
        if seen == self._seen and self.clock.true_utc_ms < self._look_utc_ms:
            return
        self._seen = seen
        self.witness.durable(self.store.durable_seq)
        self.troubles.must_lose_a_reply = self.plan.is_control and not self.witness.counts["duplicates"]
        now = self.clock.true_utc_ms
        self._look_utc_ms = now + 10_000
        self.witness.look(self.life, is_steady=now >= self._steady_from_utc_ms)

    # -- lives ----------------------------------------------------------------------------------------------------------

    def _be_born(self) -> None:
        self._restart_utc_ms = _NEVER
        crashed = self.store.durable_seq > 0 and not self._was_stopped
        now = self.clock.true_utc_ms
        recent = sum(1 for t in self._deaths_utc_ms if t > now - 600_000)
        started = RunStarted(
            "build",
            "changed" if self._changed else "configuration",
            "world",
            7,
            continued=self.store.durable_seq > 0 and not self._changed and not self._restored,
            crashed=crashed,
            crashes_recent=recent,
            restored=self._restored,
        )
        self._changed = self._restored = self._was_stopped = False
        around = Around(
            self.config,
            self.specs,
            self.store,
            self.clock,
            self._link,
            self.terminal.ticks,
            lambda: self.kill_epoch,
            self._heard,
            self.fuse,
            self._stand_in,
            OpenGate if self.plan.is_control else Gate,
        )
        self.counts["lives"] += 1
        self._disturbed()
        self.life = Life(around, started)

    def _heard(self, deliveries: Sequence[Delivery]) -> None:
        self.witness.heard(deliveries)

    def _die(self) -> None:
        self.life = None
        self.counts["deaths"] += 1
        self._deaths_utc_ms.append(self.clock.true_utc_ms)
        self.store.crash()
        self.witness.durable(self.store.durable_seq)
        self.witness.died()
        self._restart_utc_ms = self.clock.true_utc_ms + self.troubles.between(DOWN_MS)
        self._disturbed(self._restart_utc_ms)
        if self.plan.crash_at_commit or self.plan.crash_at_call:
            self.ends_utc_ms = min(self.ends_utc_ms, self._restart_utc_ms + AFTER_CRASH_MS)
        if self._deaths_left:
            self._deaths_left -= 1
            self._dies_at_commit = self._commits + 1 + self.random.randrange(4)
        else:
            self._dies_at_commit = self._dies_at_call = 0

    def _disturbed(self, until_utc_ms: int = 0) -> None:
        calm_from_utc_ms = max(until_utc_ms, self.clock.true_utc_ms) + STEADY_AFTER_MS
        self._steady_from_utc_ms = max(self._steady_from_utc_ms, calm_from_utc_ms)

    def _may_die_at_commit(self) -> None:
        self._commits += 1
        if self._commits == self._dies_at_commit:
            self.troubles.count("F34")
            raise Died

    def _may_die_at_call(self) -> None:
        self._calls += 1
        if self._calls == self._kill_at_call and not self.troubles.is_over:
            self.troubles.count("F58")
            self._raise_epoch()
            self.troubles.later(HEARD_LATER_MS, lambda: self._tell_of_kill(flatten=False))
        if self._calls == self._dies_at_call:
            self.troubles.count("F34")
            raise Died

    def _host_died(self) -> None:
        self.counts["hosts died"] += 1
        self.troubles.count("F23")
        self._host = self._new_host()

    def _sent(self, request: OpenRequest, magic: int, intent_id: int, epoch: int) -> None:
        self.counts["opens sent"] += 1
        self.witness.durable(self.store.durable_seq)
        self.witness.sent(request, magic, epoch)

    # -- what happens ---------------------------------------------------------------------------------------------------

    def _happen(self, name: str) -> None:
        random, troubles, life = self.troubles.random, self.troubles, self.life
        if FAULTS.get(name) is not None and FAULTS[name].way is Way.SPELL:
            for_ms = random.randrange(2_000, 120_000)
            troubles.begin(name, for_ms)
            self._disturbed(self.clock.true_utc_ms + for_ms)
            return
        match name:
            case "hour":
                self._each_hour()
            case "person":
                self._person_acts()
            case "F16" | "F18":
                if self.terminal.server.book.positions:
                    troubles.count(name)
                    act = self.troubled.stop_out if name == "F16" else self.troubled.someone_moves_a_stop
                    act()
            case "F19":
                troubles.count(name)
                self.troubled.move_cash()
            case "F23":
                self.troubled.die_soon(random.randrange(1, 6))
            case "F24" | "F61":
                troubles.count(name)
                self._person_trades(random)
            case "F34":
                if random.random() < 0.5:
                    self._dies_at_commit = self._commits + 1 + random.randrange(40)
                else:
                    self._dies_at_call = self._calls + 1 + random.randrange(6)
            case "F35":
                if life is not None:
                    self.fuse.light(random.choice(life.specs).name, random.randrange(1, 60))
            case "F37":
                self._told_twice(random)
            case "F40":
                troubles.count(name)
                self._asleep_until_utc_ms = self.clock.true_utc_ms + random.randrange(60_000, 2 * HOUR_MS)
                self._disturbed(self._asleep_until_utc_ms)
            case "F41":
                troubles.count(name)
                self._deaths_left = 3
                self._dies_at_commit = self._commits + 1
            case "F42":
                troubles.count(name)
                self._changed = True
                self._stop()
            case "F43":
                troubles.count(name)
                self._kill(flatten=True)
                self._stop()
            case "F44" | "F45" | "F46":
                if life is not None:
                    troubles.count(name)
                    self.store.refusal = _REFUSALS[name]
                    self._disturbed()
                    troubles.later(random.randrange(5_000, 60_000), self._end_by_journal)
            case "F47":
                troubles.count(name)
                self._lose_writes(random)
            case "F48":
                self._flip(random)
            case "F49":
                self._restore(name)
            case "F51":
                troubles.count(name)
                self.clock.skew_ms = random.choice((-HOUR_MS, HOUR_MS, 0))
                self._disturbed()
            case "F53":
                troubles.count(name)
                self._die()
                self.clock.skew_ms = -random.randrange(1, 3 * HOUR_MS)
            case "F58" if random.random() < 0.5:
                self._kill_at_call = self._calls + 1 + random.randrange(4)
            case "F58":
                troubles.count(name)
                for _ in range(random.randrange(2, 5)):
                    self._kill(flatten=random.random() < 0.3)
            case "F63":
                troubles.count(name)
                told = verbs.reply(self._host.reply(random.randbytes(random.randrange(0, 200))))
                self.witness.see("I38", isinstance(told, verbs.Malformed), f"nonsense was answered by {told}")
            case _:
                raise AssertionError(f"{name} is no event")

    def _each_hour(self) -> None:
        if self.life is None:
            return
        self.life.snapshot_all()
        if self.clock.true_utc_ms >= self._steady_from_utc_ms + HOUR_MS // 4:
            self.witness.look_back()
        self._backup = self.store.backup()
        self.witness.durable(self.store.durable_seq)
        self.witness.keep(self.store.durable_seq)
        self.store.forget()

    def _person_trades(self, random: Random) -> None:
        held = self.terminal.positions() or ()
        if held and random.random() < 0.5:
            self.terminal.person_closes(random.choice(held).ticket)
        elif len(held) < 8:
            symbol, direction = random.choice(self.plan.symbols), random.choice((Direction.BUY, Direction.SELL))
            try:
                ticket = self.terminal.person_opens(symbol, direction, random.randrange(1, 20))
            except (ValueError, KeyError):
                return
            self.troubles.later(random.randrange(60_000, HOUR_MS), lambda: self._stranger_closes(ticket))

    def _stranger_closes(self, ticket: int) -> None:
        if ticket in self.terminal.server.book.positions:
            self.terminal.person_closes(ticket)

    def _told_twice(self, random: Random) -> None:
        """The terminal edge says a deal again that it said before."""
        if self.life is not None and self.terminal.books.deals:
            deals = [one for one in self.terminal.deals(0) or () if one.deal_ticket in self.witness.chronicle.deals]
            if deals:
                self.troubles.count("F37")
                self.life.tell(TERMINAL, [DealDone(random.choice(deals[-5:]))])

    def _end_by_journal(self) -> None:
        """A person has made room; a process that lost its journal has ended meanwhile."""
        if self.life is not None and self.store.refusal is not None:
            self._die()

    def _stop(self) -> None:
        if self.life is not None:
            self.life.snapshot_all()
            self._look()
            self.life = None
            self._was_stopped = True
            self._restart_utc_ms = self.clock.true_utc_ms + self.troubles.between(DOWN_MS)
            self._disturbed(self._restart_utc_ms)

    def _lose_writes(self, random: Random) -> None:
        self._look()
        self._die()
        self.store.crash(random.randrange(1, 40))
        self._chronicle_goes_back()

    def _flip(self, random: Random) -> None:
        """Nobody starts over a journal that is not what was written: the last backup is restored."""
        if self._backup is None or self._backup.last_seq < self.store.read_from:
            return
        self.troubles.count("F48")
        self._look()
        self._die()
        self.store.flip(random.randrange(1 << 30), random.randrange(1 << 16))
        try:
            self.store.verify()
        except JournalCorrupt:
            self.counts["flips found"] += 1
            self._restore("F49")
        else:
            self.witness.see("I31", False, "a flipped bit was not found")

    def _restore(self, name: str) -> None:
        if self._backup is None or self._backup.last_seq < self.store.read_from:
            return
        self.troubles.count(name)
        if self.life is not None:
            self._look()
            self._die()
        self.store.restore(self._backup)
        self._restored = True
        self._chronicle_goes_back()

    def _chronicle_goes_back(self) -> None:
        witness, store = self.witness, self.store
        kept = witness.kept_seq(store.durable_seq)
        witness.go_back(store.durable_seq, [CODEC.decode(bytes(record.body)) for record in store.read(kept + 1)])

    # -- persons --------------------------------------------------------------------------------------------------------

    def _person_acts(self) -> None:
        """Somebody looks in: starts what stands still, now and then pauses, closes or kills."""
        life, random = self.life, self.random
        if life is None or self.clock.true_utc_ms < self._asleep_until_utc_ms:
            return
        mode = life.gate.mode
        if mode is not Mode.RUN:
            self._command(RearmTrading)
            self._command(StartTrading)
        elif random.random() < 0.10:
            self._command(PauseTrading)
            self.troubles.later(random.randrange(10_000, 600_000), lambda: self._command(ResumeTrading))
        elif random.random() < 0.10 and self.witness.chronicle.positions:
            ticket = random.choice(sorted(self.witness.chronicle.positions))
            self._command(lambda number, by: CloseTicket(number, by, ticket))
        elif random.random() < 0.05:
            self._kill(flatten=random.random() < 0.5)

    def _kill(self, *, flatten: bool) -> None:
        """The epoch is on the disk before anybody is told."""
        self._raise_epoch()
        self._tell_of_kill(flatten=flatten)

    def _raise_epoch(self) -> None:
        self.kill_epoch += 1
        self.witness.kill_epoch = self.kill_epoch

    def _tell_of_kill(self, *, flatten: bool) -> None:
        epoch = self.kill_epoch
        if self.life is not None:
            self._command(lambda number, by: KillTrading(number, by, epoch, flatten))

    def _command(self, make: Callable[[str, str], Message]) -> None:
        life = self.life
        if life is None:
            return
        self._commands += 1
        number = f"command-{self._commands}"
        life.gate.shut(number)
        life.say([make(number, "person")])

    # -- the end --------------------------------------------------------------------------------------------------------

    def _come_to_rest(self) -> None:
        """No more faults; fresh quotes for a while, whatever the hour."""
        self.troubles.end()
        self.counts["commits"], self.counts["order calls"] = self._commits, self._calls
        self._dies_at_commit = self._dies_at_call = 0
        self._deaths_left = 0
        self.fuse.light("", 0)
        self.clock.skew_ms = 0
        self._asleep_until_utc_ms = 0
        now = self.clock.true_utc_ms
        if self.store.refusal is not None and self.life is not None:
            self._die()
        if self.life is None:
            self._restart_utc_ms = now + 1_000
        quiet_ms = QUIET_MS if self.plan.fault_factor else QUIET_WITHOUT_FAULTS_MS
        self.ends_utc_ms = now + quiet_ms
        self._rows_before = self._rows
        self._live_through(self._last_rows(now + 1_000, self.ends_utc_ms), [])
        assert self.life is not None, "nothing ends a life any more"
        self._look()
        self.witness.finish()
        self._judge_store()
        self._refold()

    def _last_rows(self, from_utc_ms: int, to_utc_ms: int) -> list[Row]:
        """Prices that stand, second by second."""
        quotes = {symbol: self.terminal.quote(symbol) for symbol in self.plan.symbols}
        return [
            (t + at, symbol, quote.bid_points, quote.ask_points + t // 1000 % 2, 0)
            for t in range(from_utc_ms, to_utc_ms, 1_000)
            for at, (symbol, quote) in enumerate(quotes.items())
            if quote is not None
        ]

    def _judge_store(self) -> None:
        try:
            self.store.verify()
        except JournalCorrupt as error:
            self.witness.see("I31", False, str(error))
        numbers = [record.seq for record in self.store.read(self.store.read_from)]
        has_gap = numbers != list(range(self.store.read_from, self.store.durable_seq + 1))
        self.witness.see("I31", not has_gap, "the journal's numbers have a gap")

    def _refold(self) -> None:
        """The state of every actor is the fold of the journal, byte for byte."""
        from evenkeel.runtime.actor import snapshot_of
        from evenkeel.runtime.shell import Kind, Shell

        life = self.life
        assert life is not None
        ledgers = ledgers_of(self.store.read, self.store.snapshots, life.specs, CODEC, tolerant=False)
        for spec in life.specs:
            if spec.kind is Kind.ACTOR:
                shell = Shell(spec, ledgers[spec.name], life.host.publisher)
                shell.rebuild()
                same = snapshot_of(shell.child) == snapshot_of(life.host.child(spec.name))
                self.witness.see("I32", same, f"{spec.name} is not the fold of what it was told")
                if spec.name == "risk_limit":
                    today = life.host.child(spec.name).state.counts.today
                    told = self.witness.chronicle.opened_today
                    self.witness.see("I12", today == told, f"{today} trades are counted today, {told} were opened")

    def outcome(self) -> Outcome:
        witness = self.witness
        self.troubles.came["F35"] = self.fuse.struck
        self.counts["faults"] = sum(self.troubles.came.values())
        self.counts["deals"] = sum(1 for _ in self.terminal.books.deals)
        self.counts["children struck"] = self.fuse.struck
        self.counts.update(witness.counts)
        return Outcome(
            self.plan,
            self.store.digest,
            tuple(witness.breaks),
            dict(witness.broken),
            dict(witness.checked),
            dict(self.troubles.came),
            dict(self.counts),
        )


def _shared_memory() -> str | None:
    """Where a file costs no disk; None: wherever files for a moment go."""
    folder = Path("/dev/shm")
    return str(folder) if folder.is_dir() else None
