"""Whatever happens in whatever order: one live step a chain, no attempt too many, no order that nobody may have asked for."""

from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from sagas import CHAIN, PLUGIN, Sagas

from evenkeel.actors.recovery import Recovery
from evenkeel.messages.broker_gateway import OrderOutcomeResolved, OrderOutcomeUnknown, OrderRejected
from evenkeel.messages.chain_store import ChainSaved, SaveChain
from evenkeel.messages.entry import Lineage, ReentryRaised
from evenkeel.messages.market import Direction, Quote
from evenkeel.messages.operator import Mode, ModeChanged
from evenkeel.messages.position import ExitReason
from evenkeel.messages.recovery import ChainState, StopChain
from evenkeel.messages.risk_limit import RecoveryRefused
from evenkeel.messages.shield import ShieldLowered, ShieldRaised, ShieldReason
from evenkeel.messages.system import Message
from evenkeel.rules.recovery import WAITING
from evenkeel.runtime.actor import restore, snapshot_of

ALLOWED = {
    "tp_continuation": {ExitReason.TARGET},
    "sl_recovery": {ExitReason.STOP},
    "exit_continuation": {ExitReason.OPERATOR, ExitReason.PERSON, ExitReason.SIGNAL, ExitReason.REVERSAL},
}


class Twins:
    """The actor, and beside it for each message one that has just come back from a snapshot: they say the same."""

    def __init__(self, actor: Recovery, config: Any) -> None:
        self.actor, self.config = actor, config
        self.saved: dict[str, int] = {}

    @property
    def state(self) -> Any:
        return self.actor.state

    def handle(self, message: Any, now_utc_ms: int) -> list[Message]:
        again = Recovery(self.config)
        restore(again, snapshot_of(self.actor))
        said = list(self.actor.handle(message, now_utc_ms))
        assert list(again.handle(message, now_utc_ms)) == said
        assert snapshot_of(again) == snapshot_of(self.actor)
        if isinstance(message, ChainSaved):
            self.saved[message.chain_id] = message.version
        for raised in said:
            if isinstance(raised, ReentryRaised):
                chain_id = raised.signal.lineage.chain_id
                chain = self.state.sagas[chain_id].chain
                assert (self.saved.get(chain_id), chain.state) == (chain.version, ChainState.PLACING)
        return said


class Chains(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.world = Sagas(recovery__exit_continuation__enabled=True)
        self.ends: dict[int, tuple[str, ExitReason]] = {}
        self.blocked = False
        self.opposed = 0
        self.unanswered: Lineage | None = None
        self.seen = 0
        self.number = 0

    @initialize(direction=st.sampled_from(Direction))
    def market(self, direction: Direction) -> None:
        self.world.direction = direction
        self.world.actor = Twins(self.world.actor, self.world.config)  # type: ignore[assignment]
        self.world.bars(count=30)

    @property
    def saga(self) -> Any:
        return self.world.actor.state.sagas.get(f"{CHAIN}{self.number}")

    def has_trade(self) -> bool:
        return self.saga is not None and self.saga.ticket != 0

    def has_order(self) -> bool:
        return self.unanswered is not None

    @rule(is_won=st.booleans())
    def it_goes_on(self, is_won: bool) -> None:
        """The next thing that a chain hopes for, or fears."""
        if self.has_order():
            self.fill(late=False)
        elif self.saga is None:
            self.number += 1
            self.world.begin(200_000, 200_000 - self.world.s * 1000, chain_id=f"{CHAIN}{self.number}")
        elif self.has_trade():
            self.end_trade(ExitReason.TARGET if is_won else ExitReason.STOP, 500 if is_won else -500)
        elif self.saga.chain.state in WAITING:
            self.what_it_waits_for_comes()
        else:
            self.world.wait(1)

    def what_it_waits_for_comes(self) -> None:
        self.world.wait(60)
        self.world.bars(10 * self.world.s, count=6)
        if self.world.level() is not None:
            self.world.quote(self.world.level()[1] + self.world.s * 20, 20)

    @precondition(has_trade)
    @rule(reason=st.sampled_from(ExitReason), late_s=st.sampled_from([0, 600, 3000]))
    def a_trade_ends_somehow(self, reason: ExitReason, late_s: int) -> None:
        closed_utc_ms = self.world.now_utc_ms
        self.world.wait(late_s)
        if self.has_trade():
            self.end_trade(reason, 0, closed_utc_ms=closed_utc_ms)

    def end_trade(self, reason: ExitReason, net_cents: int, **changed: Any) -> None:
        self.ends[self.saga.ticket] = self.saga.chain.step, reason
        self.world.close(self.saga.ticket, reason, self.world.bid, net_cents, **changed)

    @rule(away=st.integers(-1500, 3000), spread=st.sampled_from([20, 100]), seconds=st.sampled_from([1, 60, 400]))
    def the_market_goes_on(self, away: int, spread: int, seconds: int) -> None:
        self.world.wait(seconds)
        self.world.quote(200_000 + self.world.s * away, spread)

    @precondition(has_order)
    @rule()
    def the_order_is_filled_late(self) -> None:
        self.fill(late=True)

    def fill(self, *, late: bool) -> None:
        raised = next(one for one in reversed(self.world.asked()) if one.signal.lineage == self.unanswered)
        self.unanswered = None
        self.world.fill(raised, late=late)

    @precondition(has_order)
    @rule(how=st.sampled_from(["denied", "rejected", "requote", "unknown", "resolved"]))
    def the_order_is_not_filled(self, how: str) -> None:
        lineage, told = self.unanswered, ("p", "XAUUSD", self.world.direction, 1)
        assert lineage is not None
        if how == "unknown":
            self.world.tell(OrderOutcomeUnknown(*told, "time-out", lineage))
            return
        self.unanswered = None
        match how:
            case "denied":
                self.world.deny()
            case "resolved":
                self.world.tell(OrderOutcomeResolved(*told, lineage))
            case _:
                code = 10004 if how == "requote" else 10019
                self.world.tell(OrderRejected(*told[:3], 1, code, how, lineage, Quote(0, 1, 2)))

    @rule(what=st.sampled_from(["shield", "free", "opposite", "chain", "kill", "store", "store", "limits", "bars", "silence"]))
    def something_comes_between(self, what: str) -> None:
        world, direction = self.world, self.world.direction
        self.blocked = what == "shield" or (self.blocked and what != "free")
        match what:
            case "shield":
                world.tell(ShieldRaised("XAUUSD", direction, ShieldReason.AWAY, 1, 1, 0, ()))
            case "free":
                world.tell(ShieldLowered("XAUUSD", direction, "time"))
            case "opposite":
                if self.saga is not None and not self.has_trade():
                    self.opposed = self.saga.chain.tickets[-1]
                world.signal(Direction.SELL if direction is Direction.BUY else Direction.BUY)
            case "chain":
                world.tell(StopChain("c", "ann", PLUGIN, f"{CHAIN}{self.number}"))
            case "kill":
                world.tell(ModeChanged(Mode.CLOSE_ONLY, world.actor.state.epoch + 1, "ann", "kill"))
            case "store":
                world.store_fails = not world.store_fails
            case "limits":
                refused = RecoveryRefused("", "", "recovery_losses", 5, 5, "count")
                world.grants = refused if world.grants is None else None
            case _:
                world.bars(-10 * world.s if what == "bars" else 0, count=8)

    @invariant()
    def every_order_was_allowed(self) -> None:
        raised, self.seen = self.world.asked()[self.seen :], len(self.world.asked())
        for one in raised:
            lineage = one.signal.lineage
            kind, reason = self.ends[lineage.parent_ticket]
            assert reason in ALLOWED[lineage.order_kind] or (kind == "sl_recovery" and lineage.order_kind == "tp_continuation")
            assert kind in ("tp_trail", "tp_continuation") or lineage.order_kind != "sl_recovery"
            assert self.unanswered is None, "one order at a time"
            assert not self.blocked, "no order into a blocked direction"
            assert lineage.parent_ticket != self.opposed, "no order after an opposite signal"
            assert one.volume_steps == 50
            self.unanswered = lineage

    @invariant()
    def a_chain_has_one_live_step(self) -> None:
        saga = self.saga
        if saga is None:
            return
        assert [bool(saga.ticket), saga.is_armed, saga.is_asked, saga.quote is not None].count(True) <= 1
        assert saga.chain.recovery_attempts <= 1
        assert saga.chain.level <= saga.chain.level_max
        assert len(saga.chain.tickets) == saga.chain.trades

    @invariant()
    def only_what_is_live_is_armed(self) -> None:
        saga = self.saga
        armed = {f"{saga.chain.chain_id}/{saga.armed}"} if saga is not None and saga.is_armed else set()
        assert set(self.world.watches) == armed

    def teardown(self) -> None:
        """When trades and orders come to their ends, every chain does."""
        self.world.store_fails = False
        if self.unanswered is not None:
            self.world.deny()
        if self.has_trade():
            self.world.close(self.saga.ticket, ExitReason.TIME, 200_000, 0)
        self.world.wait(4 * 86_400)
        assert self.world.actor.state.sagas == {} or self.has_order_again()

    def has_order_again(self) -> bool:
        """A price that came while it was waited for."""
        return bool(self.saga.is_asked)


TestChains = Chains.TestCase
TestChains.settings = settings(max_examples=40, stateful_step_count=40, deadline=None)


def test_a_store_that_is_asked_again_gets_the_same_version():
    world = Sagas()
    world.store_fails = True
    world.begin(200_000, 199_000)
    world.store_fails = False
    world.wait(1)
    assert [said.chain.version for said in world.of(SaveChain)] == [1, 1]
