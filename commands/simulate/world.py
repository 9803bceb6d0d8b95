"""A world: one seed, one run. An account, its broker, its market and its misfortunes, stepped by one clock.

The same seed gives the same journal, whatever machine, hash seed or Python runs it.
"""

import tempfile
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random
from typing import Final

import msgspec
from loguru import logger

from evenkeel.adapters.gate import DurableGate, Gate
from evenkeel.adapters.outbox import Outbox
from evenkeel.adapters.simulated.terminal import SimulatedTerminal
from evenkeel.adapters.terminal_host.budget import Budget
from evenkeel.adapters.terminal_host.service import TerminalService
from evenkeel.adapters.world import World
from evenkeel.commands.simulate.control import NaiveGateway, OpenGate, OpenHostGate
from evenkeel.commands.simulate.faults import FAULTS, Rates, Way
from evenkeel.commands.simulate.life import FEED, NOTIFIER, Around, Died, Fuse, InProcessLink, Life, WorldClock
from evenkeel.commands.simulate.lull import Lull
from evenkeel.commands.simulate.market import DAY_MS, HOUR_MS, Row, Trouble, WorldMarket, quote_of
from evenkeel.commands.simulate.misfortunes import happen
from evenkeel.commands.simulate.outside import judge_alerts, notifier_of
from evenkeel.commands.simulate.persons import person_acts, raise_epoch, tell_of_kill
from evenkeel.commands.simulate.plan import Outcome, Plan, config_for
from evenkeel.commands.simulate.rest import come_to_rest
from evenkeel.commands.simulate.store import Backup, TearingStore
from evenkeel.commands.simulate.troubles import TroubledTerminal, Troubles
from evenkeel.commands.simulate.witness import Witness
from evenkeel.messages.broker_gateway import OpenRequest
from evenkeel.messages.market import Quote
from evenkeel.messages.system import Message, RunStarted
from evenkeel.rules.outbox import OutboxState
from evenkeel.rules.symbols import profit_rule, spec_for, typical_price
from evenkeel.runtime.publisher import Delivery
from evenkeel.runtime.shell import ChildSpec
from evenkeel.supervisor import guard_names

AFTER_CRASH_MS: Final = HOUR_MS
"""Of a world that is made for one crash: what that breaks shows by then."""
DOWN_MS: Final = (500, 90_000)
PERSON_EVERY_MS: Final = 20 * 60_000
STEADY_AFTER_MS: Final = 60_000
KEEP_TICKS: Final = 20_000
BEGAN_UTC_MS: Final = 1_767_571_200_000
"""2026-01-05 00:00 UTC, a Monday."""
_MARKET: Final = ("F26", "F27", "F28", "F29", "F30", "F31", "F32", "F33")
_NEVER: Final = 2**62


HEARD_LATER_MS: Final = 1_000
"""A kill is on the disk so long before the supervisor hears of it."""


def lived(plan: Plan) -> Outcome:
    """The world from its beginning to its end."""
    logger.disable("evenkeel")
    try:
        with tempfile.TemporaryDirectory(prefix="evenkeel-world-", dir=_shared_memory()) as folder:
            world = LivedWorld(plan, Path(folder))
            world.run()
            return world.outcome()
    finally:
        logger.enable("evenkeel")


class LivedWorld:
    def __init__(self, plan: Plan, folder: Path) -> None:
        self.plan, self._folder = plan, folder
        self.rows: Sequence[Row] = ()
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
        self.outbox = Outbox(OutboxState("world"))
        self.fuse = Fuse()
        self.kill_epoch = 0
        self.counts: Counter[str] = Counter()
        self.life: Life | None = None
        self.host = self._new_host()
        self._link = InProcessLink(lambda: self.host, self.troubles, self._may_die_at_call, self._host_died)
        self.restart_utc_ms = _NEVER
        self.asleep_until_utc_ms = 0
        self.steady_from_utc_ms = 0
        self.dies_at_commit, self.dies_at_call = plan.crash_at_commit, plan.crash_at_call
        self.commits = self.calls = self.kill_at_call = 0
        self.deaths_left = 0
        self.backup: Backup | None = None
        self._was_stopped = False
        self.changed = False
        self.restored = False
        self._deaths_utc_ms: list[int] = []
        self._person_utc_ms = 0
        self.commands = 0
        self._told: list[Message] = []
        self._look_utc_ms = 0
        self._seen = (0, 0)
        self.rows_before: Sequence[Row] = ()

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
        self._contained(lambda: person_acts(self))
        at_utc_ms = self.began_utc_ms
        while at_utc_ms < self.ends_utc_ms:
            until = min(self.ends_utc_ms, at_utc_ms + DAY_MS)
            troubles = [Trouble(name, t) for t, name in events if name in _MARKET and at_utc_ms <= t < until]
            rows = self.market.rows(at_utc_ms, until, troubles, self.troubles.count)
            self.rows_before = self.rows
            self.live_through(rows, [e for e in events if e[1] not in _MARKET and at_utc_ms <= e[0] < until])
            at_utc_ms = until
        come_to_rest(self)

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

    def live_through(self, rows: Sequence[Row], events: Sequence[tuple[int, str]]) -> None:
        """Every quote and every event of a stretch, in the order of time, up to the end of the world."""
        next_event = 0
        event_utc_ms = events[0][0] if events else _NEVER
        terminal, clock = self.terminal, self.clock
        self.rows = rows
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
                    self._contained(lambda name=events[next_event][1]: happen(self, name))  # type: ignore[misc]
                    next_event += 1
                    event_utc_ms = events[next_event][0] if next_event < len(events) else _NEVER
                else:
                    self._contained(self._wake)
            self._at(utc_ms)
            made_deal = not row[4] and terminal.on_quote(row[1], utc_ms, row[2], row[3])
            if self.life is not None and utc_ms >= self.asleep_until_utc_ms:
                self._serve(row, made_deal)
            elif made_deal:
                self.look()
            lull = self._lull(event_utc_ms)
        if lull is not None:
            lull.end()

    def _lull(self, event_utc_ms: int) -> Lull | None:
        """From now on, if somebody lives whom a quote might wake."""
        if self.life is None or self.clock.true_utc_ms < self.asleep_until_utc_ms:
            return None
        feed = self.life.host.child(FEED)
        until = min(event_utc_ms, self._wake_utc_ms(), feed.next_sample_utc_ms, self._look_utc_ms, self.ends_utc_ms)
        return Lull(feed, self.terminal, until, self._at)

    def _ticks(self, symbol: str, from_utc_ms: int) -> Sequence[Quote]:
        """The terminal's own history: the quotes that came from then until now, of this stretch and the one before."""
        found = []
        for rows in (self.rows_before, self.rows):
            first = bisect_left(rows, from_utc_ms, key=lambda row: row[0])
            last = bisect_right(rows, self.clock.true_utc_ms, key=lambda row: row[0])
            found += [quote_of(row) for row in rows[first:last] if row[1] == symbol and not row[4]]
        return found[-KEEP_TICKS:]

    def _serve(self, row: Row, made_deal: bool) -> None:
        try:
            life = self.life
            assert life is not None
            if life.serve(row) or made_deal or row[0] >= self._look_utc_ms:
                self.look()
            if made_deal:
                life.next_poll_utc_ms = min(life.next_poll_utc_ms, row[0] + 300)
        except Died:
            self.die()

    def _contained(self, act: Callable[[], None]) -> None:
        try:
            act()
        except Died:
            self.die()
        self.look()

    def _at(self, utc_ms: int) -> None:
        self.clock.advance_to(utc_ms)
        self.troubles.now_utc_ms = self.clock.true_utc_ms

    def _wake_utc_ms(self) -> int:
        later = self.troubles.next_utc_ms
        wake = _NEVER if later is None else later
        if self.life is None:
            return min(wake, self.restart_utc_ms)
        own = min(self.life.next_poll_utc_ms, self.life.timers_utc_ms, self.life.notifier_utc_ms)
        return min(wake, max(own, self.asleep_until_utc_ms))

    def _wake(self) -> None:
        self.troubles.happen()
        now = self.clock.true_utc_ms
        if self.life is None:
            if now >= self.restart_utc_ms:
                self._be_born()
        elif now >= self.asleep_until_utc_ms:
            self.life.look()

    def look(self) -> None:
        """When the disk has more than before, the broker has made a deal, or some seconds have passed."""
        seen = self.store.durable_seq, self.terminal.books.last_deal_ticket
        if seen == self._seen and self.clock.true_utc_ms < self._look_utc_ms:
            return
        self._seen = seen
        self.witness.durable(self.store.durable_seq)
        self.troubles.must_lose_a_reply = self.plan.is_control and not self.witness.counts["duplicates"]
        now = self.clock.true_utc_ms
        self._look_utc_ms = now + 10_000
        self.witness.look(self.life, is_steady=now >= self.steady_from_utc_ms)
        judge_alerts(self)

    # -- lives ----------------------------------------------------------------------------------------------------------

    def _be_born(self) -> None:
        self.restart_utc_ms = _NEVER
        crashed = self.store.durable_seq > 0 and not self._was_stopped
        now = self.clock.true_utc_ms
        recent = sum(1 for t in self._deaths_utc_ms if t > now - 600_000)
        started = RunStarted(
            "build",
            "changed" if self.changed else "configuration",
            "world",
            7,
            continued=self.store.durable_seq > 0 and not self.changed and not self.restored,
            crashed=crashed,
            crashes_recent=recent,
            restored=self.restored,
        )
        self.changed = self.restored = self._was_stopped = False
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
            {NOTIFIER: lambda: notifier_of(self)} if self.config.notifier.outlet else {},
        )
        self.counts["lives"] += 1
        self.disturbed()
        self.life = Life(around, started)

    def _heard(self, deliveries: Sequence[Delivery]) -> None:
        self.witness.heard(deliveries)

    def die(self) -> None:
        self.life = None
        self.counts["deaths"] += 1
        self._deaths_utc_ms.append(self.clock.true_utc_ms)
        self.store.crash()
        self.witness.durable(self.store.durable_seq)
        self.witness.died()
        self.restart_utc_ms = self.clock.true_utc_ms + self.troubles.between(DOWN_MS)
        if self.witness.alerts is not None:
            self.witness.alerts.died(self.restart_utc_ms)
        self.disturbed(self.restart_utc_ms)
        if self.plan.crash_at_commit or self.plan.crash_at_call:
            self.ends_utc_ms = min(self.ends_utc_ms, self.restart_utc_ms + AFTER_CRASH_MS)
        if self.deaths_left:
            self.deaths_left -= 1
            self.dies_at_commit = self.commits + 1 + self.random.randrange(4)
        else:
            self.dies_at_commit = self.dies_at_call = 0

    def disturbed(self, until_utc_ms: int = 0) -> None:
        calm_from_utc_ms = max(until_utc_ms, self.clock.true_utc_ms) + STEADY_AFTER_MS
        self.steady_from_utc_ms = max(self.steady_from_utc_ms, calm_from_utc_ms)

    def _may_die_at_commit(self) -> None:
        self.commits += 1
        if self.commits == self.dies_at_commit:
            self.troubles.count("F34")
            raise Died

    def _may_die_at_call(self) -> None:
        self.calls += 1
        if self.calls == self.kill_at_call and not self.troubles.is_over:
            self.troubles.count("F58")
            raise_epoch(self)
            self.troubles.later(HEARD_LATER_MS, lambda: tell_of_kill(self, flatten=False))
        if self.calls == self.dies_at_call:
            self.troubles.count("F34")
            raise Died

    def _host_died(self) -> None:
        self.counts["hosts died"] += 1
        self.troubles.count("F23")
        self.host = self._new_host()

    def _sent(self, request: OpenRequest, magic: int, intent_id: int, epoch: int) -> None:
        self.counts["opens sent"] += 1
        self.witness.durable(self.store.durable_seq)
        self.witness.sent(request, magic, epoch)

    def stop(self) -> None:
        if self.life is not None:
            self.life.snapshot_all()
            self.look()
            self.life = None
            self._was_stopped = True
            self.restart_utc_ms = self.clock.true_utc_ms + self.troubles.between(DOWN_MS)
            self.disturbed(self.restart_utc_ms)

    def outcome(self) -> Outcome:
        witness = self.witness
        if self.fuse.struck:
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
