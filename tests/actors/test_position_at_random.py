"""position/EURUSD told anything in any order: no step of a chain twice, no slot shared, no stop moved backwards."""

from typing import Any

import msgspec
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from orders import QUOTE, closed, opened
from position_builders import BUY, PLACES, SELL, Told, at, chained, of_chain

from evenkeel.messages.broker_gateway import OrderOutcomeUnknown, OrderRejected
from evenkeel.messages.entry import DenialReason, EntryProposed, Lineage, OrderDenied, OrderKind, ReentryRaised, SignalRaised
from evenkeel.messages.market import Direction, PricesReached
from evenkeel.messages.position import StopTightened, TightenStop
from evenkeel.messages.shield import ShieldLowered, ShieldRaised, ShieldReason
from evenkeel.rules.lineage import is_fresh, signal_of
from evenkeel.rules.position import derived_of
from evenkeel.runtime.actor import restore, snapshot_of

DIRECTIONS = st.sampled_from([BUY, SELL])
DERIVED = st.sampled_from([OrderKind.SL_RECOVERY, OrderKind.TP_CONTINUATION])


class AnyOrder(RuleBasedStateMachine):
    @initialize(orders=st.sampled_from(["trend", "pyramid", "dual"]))
    def begin(self, orders: str) -> None:
        self.config = chained(orders, duplicate_minutes=0.0, reversal_grace_minutes=0.0)
        self.told, self.tickets = Told(self.config), 1_000
        self.flying: dict[str, tuple[Lineage, Direction]] = {}
        self.opened: list[Lineage] = []
        self.stops: dict[int, int] = {}

    def hear(self, message: Any) -> None:
        for said in self.told.hear(message, after_ms=1_000):
            if isinstance(said, EntryProposed):
                seconds = [] if said.second is None else [said.second.lineage]
                for lineage in (said.lineage, *seconds):
                    assert lineage.proposal_id not in self.flying
                    self.flying[lineage.proposal_id] = lineage, said.direction
            if isinstance(said, StopTightened):
                direction = self.told.actor.state.positions[said.ticket].direction
                before = self.stops.get(said.ticket, said.first_stop_points)
                assert PLACES[direction] * (said.stop_points - before) > 0
                self.stops[said.ticket] = said.stop_points

    @rule(direction=DIRECTIONS)
    def signal(self, direction: Direction) -> None:
        self.hear(SignalRaised("EURUSD", 1, direction, QUOTE, 0, 10, Lineage("strategy", "trend")))

    @rule(direction=DIRECTIONS, kind=DERIVED, parent=st.integers(1, 2))
    def reentry(self, direction: Direction, kind: OrderKind, parent: int) -> None:
        lineage = of_chain(kind, parent_ticket=parent, level=1)
        self.hear(ReentryRaised("EURUSD", SignalRaised("EURUSD", 1, direction, QUOTE, 0, 10, lineage), 25, 50, 7))

    @precondition(lambda self: self.flying)
    @rule(data=st.data())
    def fill(self, data: st.DataObject) -> None:
        proposal_id = data.draw(st.sampled_from(sorted(self.flying)))
        (lineage, direction), s = self.flying.pop(proposal_id), 1
        s, self.tickets = PLACES[direction], self.tickets + 1
        self.opened.append(lineage)
        levels = {"stop_points": 110_010 - 50 * s, "target_points": 110_010 + 100 * s}
        self.hear(opened(self.tickets, direction=direction, lineage=lineage, **levels))

    @precondition(lambda self: self.flying)
    @rule(data=st.data(), end=st.sampled_from(["denied", "requoted", "unknown"]))
    def end(self, data: st.DataObject, end: str) -> None:
        proposal_id = data.draw(st.sampled_from(sorted(self.flying)))
        lineage, direction = self.flying[proposal_id]
        told = proposal_id, "EURUSD", direction
        if end == "unknown":
            self.hear(OrderOutcomeUnknown(*told, 1, "lost", lineage))
            return
        del self.flying[proposal_id]
        denied = OrderDenied(*told, "risk_limit", DenialReason.POSITIONS, 5, 5, "count", lineage)
        self.hear(denied if end == "denied" else OrderRejected(*told, 1, 10004, "requote", lineage, QUOTE, 5))

    @precondition(lambda self: self.told.actor.state.positions)
    @rule(data=st.data(), gain=st.integers(-60, 110))
    def price(self, data: st.DataObject, gain: int) -> None:
        ticket = data.draw(st.sampled_from(sorted(self.told.actor.state.positions)))
        quote = at(self.told.actor.state.positions[ticket].direction, gain)
        self.hear(PricesReached("position/EURUSD", "EURUSD", 1, quote, (f"{ticket}/trail/1",)))
        self.hear(TightenStop(ticket, "EURUSD", 1, quote.bid_points - gain))

    @precondition(lambda self: self.told.actor.state.positions)
    @rule(data=st.data())
    def gone(self, data: st.DataObject) -> None:
        ticket = data.draw(st.sampled_from(sorted(self.told.actor.state.positions)))
        self.hear(closed(ticket, lineage=self.told.actor.state.positions[ticket].lineage))

    @rule(direction=DIRECTIONS, is_up=st.booleans())
    def shield(self, direction: Direction, is_up: bool) -> None:
        raised = ShieldRaised("EURUSD", direction, ShieldReason.AWAY, 2, 1, 0, ())
        self.hear(raised if is_up else ShieldLowered("EURUSD", direction, "time"))

    @rule()
    def restart(self) -> None:
        again = Told(self.config)
        again.now_utc_ms = self.told.now_utc_ms
        restore(again.actor, snapshot_of(self.told.actor))
        assert again.actor.state == self.told.actor.state
        self.told = again

    @invariant()
    def no_slot_is_shared(self) -> None:
        held = [one.lineage.slot for one in self.told.actor.state.positions.values()]
        slots = [*held, *(lineage.slot for lineage, _ in self.flying.values())]
        assert len(slots) == len(set(slots))

    @invariant()
    def one_end_of_a_trade_has_one_reentry(self) -> None:
        ever = [*self.opened, *(lineage for lineage, _ in self.flying.values())]
        derived = [msgspec.structs.astuple(derived_of(lineage)) for lineage in ever if not is_fresh(lineage)]
        assert len(derived) == len(set(derived))

    @invariant()
    def one_signal_at_a_time_is_traded(self) -> None:
        held = [one.lineage for one in self.told.actor.state.positions.values()]
        lineages = [*held, *(lineage for lineage, _ in self.flying.values())]
        assert len({signal_of(lineage.chain_id) for lineage in lineages if is_fresh(lineage)}) <= 1

    @invariant()
    def nothing_stays_open_behind_a_shield(self) -> None:
        state = self.told.actor.state
        behind = [one for one in state.positions.values() if one.direction in state.shielded]
        assert all(one.closing is not None for one in behind)


TestAnyOrder = AnyOrder.TestCase
TestAnyOrder.settings = settings(max_examples=40, stateful_step_count=50, deadline=None)
