"""Gateway, terminal edge, host and its gate under whatever comes: lost and late answers, deaths in mid-call, kills, re-arms.

At each call that reaches the terminal: no number twice (I5), no other unresolved open of its symbol and slot (I1), and no
kill on disk that is newer than the decision (I23). At each decision: nothing unknown the other way (I8). When the trouble
ends, all is known and every slot is free again.
"""

import tempfile
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import Any, NamedTuple

from hypothesis import given, settings
from hypothesis import strategies as st
from orders import order, seen
from simulation.desk import READING_GAP_MS, STARTED, Host, gateway_desk

from evenkeel.adapters.broker import Answer
from evenkeel.adapters.gate import Gate
from evenkeel.adapters.quote_board import QuoteBoard
from evenkeel.adapters.terminal import TerminalEdge
from evenkeel.adapters.terminal_host import verbs
from evenkeel.adapters.terminal_host.client import HostedBroker, ReplyLost
from evenkeel.messages.broker_gateway import (
    BrokerOrder,
    BrokerPosition,
    CallTerminal,
    Cash,
    Deal,
    IntentSettled,
    OpenRequest,
    OrderOutcomeResolved,
    Outcome,
    ReadTerminal,
)
from evenkeel.messages.entry import Lineage
from evenkeel.messages.market import Direction
from evenkeel.messages.operator import Mode, ModeChanged, TradingRearmed
from evenkeel.rules.order_intents import Life
from evenkeel.runtime.actor import restore, snapshot_of
from evenkeel.runtime.edge import At

READINGS_TO_SETTLE = 4
IN_MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None
"""Where the files lie, if the system has it: nothing loses its power here, so they need not wait for a disk."""
SLOTS = (0, 1)
UNREADABLE_MS = 10_000
"""Nobody looks by himself here: a reading that failed is asked for again long before."""


class Fate(StrEnum):
    """What becomes of an open that reaches the terminal."""

    ACCEPTED = "accepted"
    REJECTED = "rejected"
    FILLED_UNHEARD = "filled, reply lost"
    LOST = "lost"
    LATE = "reply lost, filled later"
    HOST_DIES_BEFORE = "the host dies before it calls"
    HOST_DIES_AFTER = "the host dies after it called"
    SUPERVISOR_DIES = "the supervisor dies while it waits for the answer"


class Happening(StrEnum):
    """Whatever else may come between two orders."""

    READING = "a reading"
    LATE_FILLS = "late fills come"
    KILL = "a kill on disk"
    KILL_HEARD = "the kill is heard"
    REARM = "a person re-arms"
    PERSON_STARTS_ANEW = "a person hears, re-arms and reads twice"
    HOST_DIES = "the host dies"
    EDGE_DIES = "the edge dies"
    SUPERVISOR_DIES = "the supervisor dies"
    REPEATED = "the edge is told again of an order that has left"


class HostDied(BaseException):
    """Nothing in the host can catch the end of its process."""


class SupervisorDied(BaseException):
    """Nothing in the supervisor can catch the end of its process."""


class Terminal:
    """Behind the host's gate. Does to an open what fate says, and asks the test whether it should have come at all."""

    refusal = None

    def __init__(self, on_call: Any) -> None:
        self.fate = Fate.ACCEPTED
        self.shown: list[BrokerPosition] = []
        self.late: list[BrokerPosition] = []
        self._on_call = on_call

    def check_identity(self) -> str | None:
        return None

    def who(self) -> tuple[int, str]:
        return 1, "test"

    def open_position(
        self, request: OpenRequest, magic: int, *, intent_id: int = 0, epoch: int = 0, within_ms: int = 0
    ) -> Answer:
        if self.fate is Fate.HOST_DIES_BEFORE:
            raise HostDied
        self._on_call(request, intent_id, epoch)
        ticket = 1000 + intent_id
        filled = seen(ticket, magic=magic, direction=request.direction, stop_points=request.stop_points)
        match self.fate:
            case Fate.REJECTED:
                return Answer(Outcome.REJECTED, code=10_006)
            case Fate.LATE:
                self.late.append(filled)
            case Fate.ACCEPTED | Fate.FILLED_UNHEARD | Fate.HOST_DIES_AFTER | Fate.SUPERVISOR_DIES:
                self.shown.append(filled)
            case Fate.LOST:
                pass
        if self.fate is Fate.HOST_DIES_AFTER:
            raise HostDied
        if self.fate is Fate.ACCEPTED or self.fate is Fate.SUPERVISOR_DIES:
            return Answer(Outcome.ACCEPTED, ticket, request.price_points, request.volume_steps)
        return Answer(Outcome.UNKNOWN)

    def positions(self) -> Sequence[BrokerPosition]:
        return tuple(self.shown)

    def orders(self) -> Sequence[BrokerOrder]:
        return ()

    def deals(self, after_ticket: int) -> Sequence[Deal]:
        return ()

    def cash(self, after_ticket: int) -> Sequence[Cash]:
        return ()

    def account(self) -> None:
        return None


class Wire:
    """What a link is to the broker's client, without a socket."""

    timeout_s = 10.0

    def __init__(self, host: Host, terminal: Terminal) -> None:
        self._host, self._terminal = host, terminal

    def ask(self, asked: verbs.Verb, timeout_s: float | None = None) -> verbs.Reply:
        try:
            reply: verbs.Reply = self._host.ask(asked)
        except HostDied:
            self._host.restart()
            raise ReplyLost("the host has died") from None
        if isinstance(asked, verbs.Open) and self._terminal.fate is Fate.SUPERVISOR_DIES:
            raise SupervisorDied
        return reply


class Orders:
    def __init__(self, folder: Path) -> None:
        self.terminal = Terminal(self.called)
        self.host = Host(self.terminal, folder)
        self.desk = gateway_desk()
        self.mail: list[Any] = []
        self.sent: list[int] = []
        self.calls: list[CallTerminal] = []
        self.breaches: list[str] = []
        self.proposals = 0
        self.edge = self.make_edge()
        self.tell(ModeChanged(Mode.RUN, 0, "test", ""))
        self.deliver_all()

    # -- what must hold -------------------------------------------------------------------------------------------------

    def called(self, request: OpenRequest, intent_id: int, epoch: int) -> None:
        """Noted, not raised: the host would take it for a fault of its own."""
        opens = {number: intent for number, intent in self.desk.actor.state.book.opens.items() if number != intent_id}
        in_slot = [number for number, other in opens.items() if other.order.lineage.slot == request.slot]
        wrong = {
            "I1: its slot has another unresolved open": bool(in_slot),
            "I5: sent twice": intent_id in self.sent,
            "I23: decided before the kill on disk": epoch < self.host.kill_epoch.read().epoch,
        }
        self.breaches += [f"{name} ({intent_id})" for name, is_so in wrong.items() if is_so]
        self.sent.append(intent_id)

    def check(self) -> None:
        assert self.breaches == []
        slots = [intent.order.lineage.slot for intent in self.desk.actor.state.book.opens.values()]
        assert len(slots) == len(set(slots)), "I1: two unresolved opens of a slot"

    def settle(self) -> None:
        """The trouble ends: everything becomes known, and every slot can be used again."""
        self.terminal.fate = Fate.ACCEPTED
        self.late_fills_come()
        self.deliver_all()
        self.kill_is_heard()
        self.rearm()
        for _ in range(READINGS_TO_SETTLE):
            self.read()
        book = self.desk.actor.state.book
        self.check()
        assert book.opens == {}
        assert set(book.positions) == {position.ticket for position in self.terminal.shown}
        for slot in SLOTS:
            for _ in range(2):  # the host learns with the first order of a restarted supervisor what has been settled
                sent_before = len(self.sent)
                self.want(slot, Direction.BUY)
                self.deliver_all()
            assert len(self.sent) == sent_before + 1, f"slot {slot} stays locked"

    # -- what may happen ------------------------------------------------------------------------------------------------

    def order(self, slot: int, direction: Direction, fate: Fate, waits: bool) -> None:
        if not waits and not self.may_open():
            self.happen(Happening.PERSON_STARTS_ANEW)
        self.want(slot, direction, expires_ms=3_000 if waits else 0)
        while self.mail and not waits:
            self.deliver(fate)

    def happen(self, what: Happening) -> None:
        match what:
            case Happening.READING:
                self.read()
            case Happening.LATE_FILLS:
                self.late_fills_come()
            case Happening.KILL:
                self.host.kill_epoch.raise_epoch("close_only")
            case Happening.KILL_HEARD:
                self.kill_is_heard()
            case Happening.REARM:
                self.rearm()
            case Happening.PERSON_STARTS_ANEW:
                self.kill_is_heard()
                self.rearm()
                self.read()
                self.read()
            case Happening.HOST_DIES:
                self.host.restart()
            case Happening.EDGE_DIES:
                self.edge_dies()
            case Happening.SUPERVISOR_DIES:
                self.supervisor_dies()
            case Happening.REPEATED:
                for call in [call for call in self.calls if call.intent_id in self.sent][-1:]:
                    self.take(call)

    def deliver(self, fate: Fate) -> None:
        """The edge takes the next message, if there is one; if that is an open that may leave, this is its fate."""
        if not self.mail:
            return
        self.terminal.fate = fate
        self.take(self.mail.pop(0))

    def take(self, message: Any) -> None:
        self.edge.remember(message)
        try:
            self.say(self.edge.act(message, At(1, self.desk.now_utc_ms)))
        except SupervisorDied:
            self.supervisor_dies()

    def may_open(self) -> bool:
        guards = self.desk.actor.state.guards
        return guards.mode is Mode.RUN and guards.agreed and guards.epoch == self.host.kill_epoch.read().epoch

    def want(self, slot: int, direction: Direction, *, expires_ms: int = 0) -> None:
        self.proposals += 1
        proposal_id = f"EURUSD-{self.proposals}"
        expires_utc_ms = self.desk.now_utc_ms + expires_ms if expires_ms else 0
        lineage = Lineage("strategy", "trend", proposal_id=proposal_id, chain_id=proposal_id, slot=slot)
        wanted = order(direction, proposal_id=proposal_id, expires_utc_ms=expires_utc_ms, lineage=lineage)
        unknown = [one.order for one in self.desk.actor.state.book.opens.values() if one.life is Life.UNKNOWN]
        said = self.desk.hear(wanted)
        calls = [message for message in said if isinstance(message, CallTerminal)]
        self.calls += calls
        if calls:
            assert all(other.direction is direction for other in unknown), "I8: an unknown open the other way"
        self.pass_on(said)

    def read(self) -> None:
        self.terminal.fate = Fate.ACCEPTED
        self.desk.now_utc_ms += READING_GAP_MS
        self.mail.append(ReadTerminal(1))
        self.deliver_all()

    def late_fills_come(self) -> None:
        self.terminal.shown += self.terminal.late
        self.terminal.late = []

    def kill_is_heard(self) -> None:
        self.tell(ModeChanged(Mode.CLOSE_ONLY, self.host.kill_epoch.read().epoch, "test", ""))

    def rearm(self) -> None:
        """A person re-arms what the operator knows of, which may be less than what is on disk."""
        epoch = self.desk.actor.state.guards.epoch
        self.desk.hear(TradingRearmed("test", epoch))
        self.tell(ModeChanged(Mode.RUN, epoch, "test", ""))

    def edge_dies(self) -> None:
        """Alone: what waits in its box belongs to its next incarnation."""
        state = snapshot_of(self.edge)
        self.edge = self.make_edge()
        restore(self.edge, state)
        self.say(self.edge.resume(self.desk.now_utc_ms))

    def supervisor_dies(self) -> None:
        """What was decided is in the journal, and the next process does not send it."""
        for message in self.mail:
            self.edge.remember(message)
        self.mail = []
        self.desk.crash()
        self.pass_on(self.desk.hear(STARTED))
        self.edge_dies()

    # -- how it hangs together ------------------------------------------------------------------------------------------

    def make_edge(self) -> TerminalEdge:
        gate = Gate()

        def beat() -> verbs.Beat:
            return verbs.Beat(gate.mode, self.host.kill_epoch.read().epoch, broker.answered_intent_id, tuple(gate.unresolved))

        wire: Any = Wire(self.host, self.terminal)
        broker = HostedBroker(wire, wire, beat=beat)
        return TerminalEdge(
            broker,
            (),
            gate=gate,
            board=QuoteBoard(),
            journal=None,
            kill_epoch=lambda: self.host.kill_epoch.read().epoch,
            monotonic_ns=lambda: self.desk.now_utc_ms * 1_000_000,
            quote_age_ms_max={},
            closes_per_s=None,
            reading_every_ms=None,
            unreadable_ms=UNREADABLE_MS,
        )

    def tell(self, mode: ModeChanged) -> None:
        self.pass_on(self.desk.hear(mode))
        self.mail.append(mode)

    def pass_on(self, said: Sequence[Any]) -> None:
        """What the gateway says to the edge waits in its box."""
        self.mail += [
            message
            for message in said
            if isinstance(message, CallTerminal | ReadTerminal | OrderOutcomeResolved | IntentSettled)
        ]

    def say(self, said: Sequence[Any]) -> None:
        for message in said:
            self.edge.remember(message)
            self.pass_on(self.desk.hear(message))

    def deliver_all(self) -> None:
        while self.mail:
            self.deliver(Fate.ACCEPTED)


class Order(NamedTuple):
    """Somebody wants a position; the order `waits` in the edge's box, or it may be sent and nothing comes in between."""

    slot: int
    direction: Direction
    fate: Fate
    waits: bool


class Delivery(NamedTuple):
    fate: Fate


ORDERS = st.builds(Order, st.sampled_from(SLOTS), st.sampled_from(Direction), st.sampled_from(Fate), st.booleans())
DELIVERIES = st.builds(Delivery, st.sampled_from(Fate))
STEPS = st.one_of(ORDERS, ORDERS, ORDERS, DELIVERIES, st.sampled_from(Happening))


@settings(max_examples=100)
@given(st.lists(STEPS, min_size=20, max_size=40))
def test_whatever_comes_no_open_is_sent_twice_beside_another_or_after_a_kill(steps: list[Order | Delivery | Happening]) -> None:
    with tempfile.TemporaryDirectory(dir=IN_MEMORY) as folder:
        orders = Orders(Path(folder))
        for step in steps:
            match step:
                case Order():
                    orders.order(*step)
                case Delivery(fate):
                    orders.deliver(fate)
                case Happening():
                    orders.happen(step)
            orders.check()
        orders.settle()
