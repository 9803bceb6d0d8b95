"""Who watches a world from outside: what the journal says for good, what the broker really did, and where the two break a promise.

It shares no state with the system: a chronicle of its own follows the messages that became durable, a ledger of its own
follows what reached the broker and what the broker's books hold.
"""

import copy
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

from evenkeel.adapters.mt5 import constants as mt5
from evenkeel.adapters.simulated.server import records
from evenkeel.adapters.simulated.terminal import SimulatedTerminal
from evenkeel.commands.simulate.life import Life
from evenkeel.commands.simulate.troubles import Troubles
from evenkeel.config.schema import Config
from evenkeel.messages.broker_gateway import (
    BrokerAgreed,
    BrokerDisagreed,
    CallTerminal,
    CloseRequest,
    DealDone,
    OpenRequest,
    OrderOutcomeResolved,
    OrderOutcomeUnknown,
    OrderRejected,
    Outcome,
    TerminalAnswered,
)
from evenkeel.messages.operator import KillTrading, Mode, ModeChanged
from evenkeel.messages.position import ExitReason, PositionClosed, PositionOpened
from evenkeel.messages.entry import OpenPosition, OrderDenied
from evenkeel.messages.system import RunStarted
from evenkeel.rules.magic import is_ours
from evenkeel.runtime.publisher import Delivery

CYCLE_MS: Final = 45_000
"""A reconcile cycle with what a world puts in its way: two readings, a repair, its answer."""
EXIT_WITHIN_MS: Final = 10_000
STRICTNESS: Final = (Mode.RUN, Mode.CLOSE_ONLY, Mode.FREEZE, Mode.FLATTEN)
_IN_FLIGHT: Final = (Outcome.UNKNOWN, Outcome.PENDING)


class Break(NamedTuple):
    """A promise that was broken: which, when, and how."""

    invariant: str
    utc_ms: int
    detail: str


class Asked(NamedTuple):
    """An open intent as the journal has it."""

    intent_id: int
    magic: int
    epoch: int
    expires_utc_ms: int
    request: OpenRequest
    proposal_id: str


class Chronicle:
    """What the durable messages say, folded by rules of its own. `open_intents` have neither ended nor become a position."""

    def __init__(self) -> None:
        self.ordered: dict[str, OpenPosition] = {}
        self.asked: dict[int, Asked] = {}
        self.open_intents: dict[int, Asked] = {}
        self.unknown: dict[int, int] = {}
        self.positions: dict[int, PositionOpened] = {}
        self.closes: dict[int, int] = {}
        self.last_proposal = ""
        self.mode = Mode.CLOSE_ONLY
        self.epoch = 0
        self.killed = False
        self.is_agreed = False
        self.deals: dict[int, int] = {}
        self.closed_days: list[tuple[PositionClosed, int]] = []
        self.installation = 0

    def hear(self, delivery: Delivery, now_utc_ms: int) -> None:
        message = delivery.message
        match message:
            case OpenPosition():
                self.ordered[message.proposal_id] = message
                self.last_proposal = message.proposal_id
            case CallTerminal(request=OpenRequest() as request):
                asked = Asked(
                    message.intent_id, message.magic, message.epoch, message.expires_utc_ms, request, self.last_proposal
                )
                self.asked[message.magic] = self.open_intents[message.intent_id] = asked
            case CallTerminal(request=CloseRequest() as request):
                self.closes[request.ticket] = now_utc_ms
            case TerminalAnswered():
                if message.intent_id in self.open_intents and message.outcome in _IN_FLIGHT:
                    self.unknown.setdefault(message.intent_id, now_utc_ms)
            case OrderRejected(intent_id=intent_id) | OrderOutcomeResolved(intent_id=intent_id):
                self._end(intent_id)
            case OrderDenied(proposal_id=proposal_id):
                for intent_id in [i for i, asked in self.open_intents.items() if asked.proposal_id == proposal_id]:
                    self._end(intent_id)
            case PositionOpened():
                self.positions[message.ticket] = message
                for intent_id in [
                    i for i, asked in self.open_intents.items() if asked.proposal_id == message.lineage.proposal_id
                ]:
                    self._end(intent_id)
            case PositionClosed():
                self.positions.pop(message.ticket, None)
                self.closes.pop(message.ticket, None)
                self.closed_days.append((message, now_utc_ms))
            case ModeChanged():
                self.mode, self.epoch = message.mode, max(self.epoch, message.epoch)
            case KillTrading():
                self.killed = True
            case BrokerAgreed():
                self.is_agreed = True
            case BrokerDisagreed():
                self.is_agreed = False
            case RunStarted():
                self.is_agreed, self.installation = False, message.installation
            case DealDone(deal=deal):
                self.deals[deal.deal_ticket] = self.deals.get(deal.deal_ticket, 0) + 1
            case _:
                pass

    def _end(self, intent_id: int) -> None:
        self.open_intents.pop(intent_id, None)
        self.unknown.pop(intent_id, None)


class Sent(NamedTuple):
    """An open that reached the terminal."""

    utc_ms: int
    magic: int
    intent_id: int


class Witness:
    """`breaks` are the promises broken so far, at most `BREAKS_KEPT` of each. Times are true ones.

    `is_control` belongs to a gateway that breaks them on purpose: nothing but the broker's books is then judged.
    """

    BREAKS_KEPT: Final = 5

    def __init__(self, config: Config, terminal: SimulatedTerminal, troubles: Troubles, *, is_control: bool) -> None:
        self.chronicle = Chronicle()
        self.breaks: list[Break] = []
        self.count: Counter[str] = Counter()
        self.checked: Counter[str] = Counter()
        self.kill_epoch = 0
        self._config, self._terminal, self._troubles, self._is_control = config, terminal, troubles, is_control
        self._waiting: list[tuple[Delivery, int]] = []
        self._sent: dict[int, Sent] = {}
        self._opened: dict[int, set[int]] = {}
        self._volume_in: dict[int, int] = {}
        self._volume_out: dict[int, int] = {}
        self._deal_ticket = terminal.books.last_deal_ticket
        self._balance_cents = terminal.books.balance_cents
        self._money_cents = 0
        self._unprotected: dict[int, int] = {}
        self._orphans: dict[int, int] = {}
        self._breached: dict[int, int] = {}
        self._kept: list[tuple[int, Chronicle]] = []
        self._zone = ZoneInfo(config.trading_calendar.zone)
        self.unknown_seen = 0

    # -- the journal ----------------------------------------------------------------------------------------------------

    def heard(self, deliveries: Sequence[Delivery]) -> None:
        """Published; it counts when it is durable."""
        now = self._troubles.now_utc_ms
        self._waiting += [(one, now) for one in deliveries if one.seq]

    def durable(self, upto_seq: int) -> None:
        """All that was heard up to `upto_seq` is on the disk."""
        waiting = self._waiting
        count = 0
        for delivery, at in waiting:
            if delivery.seq > upto_seq:
                break
            self._judge_mode(delivery)
            if isinstance(delivery.message, TerminalAnswered) and delivery.message.outcome is Outcome.UNKNOWN:
                self.unknown_seen += 1
            self.chronicle.hear(delivery, at)
            count += 1
        del waiting[:count]

    def died(self) -> None:
        """What was not durable never was."""
        self._waiting.clear()

    def keep(self, seq: int) -> None:
        """Remember the chronicle as it is with record `seq`, for the case that the disk goes back to there."""
        self._kept = [*self._kept, (seq, copy.deepcopy(self.chronicle))][-3:]

    def go_back(self, messages: Sequence[Delivery], from_seq: int) -> None:
        """The disk has lost its newest records: the chronicle as of `from_seq`, and `messages` after it."""
        seq, kept = next(((s, c) for s, c in reversed(self._kept) if s <= from_seq), (0, Chronicle()))
        self.chronicle = copy.deepcopy(kept)
        for delivery in messages:
            if delivery.seq > seq:
                self.chronicle.hear(delivery, self._troubles.now_utc_ms)

    def kept_seq(self, upto_seq: int) -> int:
        """The newest record at or below `upto_seq` whose chronicle is remembered."""
        return next((seq for seq, _ in reversed(self._kept) if seq <= upto_seq), 0)

    # -- orders ---------------------------------------------------------------------------------------------------------

    def sent(self, request: OpenRequest, magic: int, intent_id: int, epoch: int) -> None:
        """An open is about to be carried out by the terminal."""
        now = self._troubles.now_utc_ms
        before = self._sent.get(magic)
        self.see("I5", before is None, f"magic {magic} was sent before at {before.utc_ms if before else 0}")
        self._sent[magic] = Sent(now, magic, intent_id)
        asked = self.chronicle.asked.get(magic)
        self.see("I3", asked is not None, f"magic {magic} is sent and is not in the journal")
        if asked is None:
            return
        self.see("I7", asked.request == request, f"magic {magic} belongs to another order")
        self.see("I23", asked.epoch >= self.kill_epoch, f"sent under epoch {asked.epoch}, the kill is {self.kill_epoch}")
        self.see("I17", self.chronicle.is_agreed, f"intent {asked.intent_id} was sent while the broker did not agree")
        self.see("I24", self.chronicle.mode is Mode.RUN, f"intent {asked.intent_id} was sent in {self.chronicle.mode.value}")
        others = [
            one
            for one in self.chronicle.open_intents.values()
            if one.magic != magic and (one.request.symbol, one.request.slot) == (request.symbol, request.slot)
        ]
        self.see("I1", not others, f"{request.symbol} slot {request.slot} has {len(others) + 1} open intents")
        self.see("I34", not others, f"{request.symbol} slot {request.slot} has {len(others) + 1} open intents at the terminal")
        against = [one for one in self.chronicle.unknown if self._is_against(one, request)]
        self.see("I8", not against, f"{request.symbol} {request.direction} is sent while intent {against} is unknown")
        self._judge_limits(asked)

    def _is_against(self, intent_id: int, request: OpenRequest) -> bool:
        held = self.chronicle.open_intents[intent_id].request
        return held.symbol == request.symbol and (held.direction is not request.direction or held.slot == request.slot)

    def _judge_limits(self, asked: Asked) -> None:
        """What is at the broker and on its way, this order included, against the plain limits."""
        limits, chronicle = self._config.limits, self.chronicle
        held = len(self._ours()) + len(self._strangers())
        in_flight = sum(1 for one in chronicle.open_intents.values() if one.magic not in self._opened)
        if limits.positions_max != "off":
            fresh = [one for one in self._strangers() if one.time_utc_ms > self._troubles.now_utc_ms - CYCLE_MS]
            late = [t for m, tickets in self._opened.items() for t in tickets if t not in chronicle.positions]
            count = held + in_flight - len(fresh) - len(late)
            self.see("I11", count <= limits.positions_max, f"{count} positions and intents, {limits.positions_max} allowed")
        order = chronicle.ordered.get(asked.proposal_id)
        if order is not None and limits.open_risk_pct != "off":
            state = self._terminal.server.state()
            risk = sum(one.reserved_cents for one in chronicle.positions.values())
            risk += sum(chronicle.ordered[i.proposal_id].reserved_cents for i in chronicle.open_intents.values() if i.proposal_id in chronicle.ordered)
            allowed = max(state.equity_cents, state.balance_cents) * limits.open_risk_pct / 100 * 1.02
            self.see("I11", risk <= allowed, f"{risk} cents at risk, {allowed:.0f} allowed")
        lots = asked.request.volume_steps
        most = limits.volume_lots_max * 100
        self.see("I13", lots <= most, f"{lots} steps in one order, {most:g} allowed")

    # -- after each step ------------------------------------------------------------------------------------------------

    def look(self, life: Life | None, *, is_steady: bool) -> None:
        """Judge what holds at any moment, and what must not last. `is_steady`: no fault stands in the way of a repair."""
        self._take_deals()
        if self._is_control:
            return
        now = self._troubles.now_utc_ms
        if life is None or not is_steady:
            self._unprotected.clear()
            self._orphans.clear()
            self._breached.clear()
            return
        ours = self._ours()
        self._judge_protection(ours, now)
        self._judge_orphans(ours, now)

    def _judge_protection(self, ours: Sequence[records.Position], now: int) -> None:
        bare = {one.ticket for one in ours if not one.sl_points}
        self._unprotected = {ticket: self._unprotected.get(ticket, now) for ticket in bare}
        for ticket, since in self._unprotected.items():
            self.see("I20", now - since <= CYCLE_MS, f"position {ticket} has had no stop for {now - since} ms")
        if not bare:
            self.checked["I20"] += 1

    def _judge_orphans(self, ours: Sequence[records.Position], now: int) -> None:
        lost = {one.ticket for one in ours if one.ticket not in self.chronicle.positions}
        self._orphans = {ticket: self._orphans.get(ticket, now) for ticket in lost}
        for ticket, since in self._orphans.items():
            self.see("I28", now - since <= CYCLE_MS, f"position {ticket} is ours and nobody has known it for {now - since} ms")
        if not lost:
            self.checked["I28"] += 1

    def _take_deals(self) -> None:
        books = self._terminal.books
        if books.last_deal_ticket == self._deal_ticket:
            return
        new = []
        for deal in reversed(books.deals):
            if deal.ticket <= self._deal_ticket:
                break
            new.append(deal)
        for deal in reversed(new):
            self._take(deal)
        self._deal_ticket = books.last_deal_ticket
        self.see(
            "I30",
            books.balance_cents == self._balance_cents + self._money_cents,
            f"the balance is {books.balance_cents}, the deals make {self._balance_cents + self._money_cents}",
        )

    def _take(self, deal: records.Deal) -> None:
        if deal.type != mt5.DEAL_TYPE_CREDIT:
            self._money_cents += deal.net_cents
        if not deal.symbol:
            return
        if deal.entry == mt5.DEAL_ENTRY_IN:
            if deal.magic:
                tickets = self._opened.setdefault(deal.magic, set())
                tickets.add(deal.position_id)
                self.see("I2", len(tickets) == 1, f"magic {deal.magic} has opened {sorted(tickets)}")
            self._volume_in[deal.position_id] = self._volume_in.get(deal.position_id, 0) + deal.volume_steps
        else:
            self._volume_out[deal.position_id] = self._volume_out.get(deal.position_id, 0) + deal.volume_steps
            came, left = self._volume_in.get(deal.position_id, 0), self._volume_out[deal.position_id]
            self.see("I10", left <= came, f"position {deal.position_id} had {came} steps, {left} were closed")

    def _judge_mode(self, delivery: Delivery) -> None:
        message = delivery.message
        if isinstance(message, ModeChanged) and not self._is_control:
            rises = STRICTNESS.index(message.mode) < STRICTNESS.index(self.chronicle.mode)
            self.see("I26", not rises or message.by not in _NOBODY, f"{message.by} raised the mode to {message.mode.value}")

    # -- at the end -----------------------------------------------------------------------------------------------------

    def finish(self, life: Life) -> None:
        """Faults are over and time has passed: everything must have come to rest."""
        self._take_deals()
        if self._is_control:
            return
        chronicle, now = self.chronicle, self._troubles.now_utc_ms
        for intent_id, since in chronicle.unknown.items():
            self.see("L1", False, f"intent {intent_id} has been unknown for {now - since} ms")
        self.checked["L1"] += 1
        open_ = [i for i in chronicle.open_intents if i not in chronicle.unknown]
        self.see("I4", not open_, f"intents {open_} have no end")
        self.see("L3", chronicle.is_agreed, "the broker does not agree, long after the last fault")
        at_broker = {one.ticket for one in self._ours()}
        self.see("I29", set(chronicle.positions) <= at_broker | self._adopted(), f"{sorted(set(chronicle.positions) - at_broker)} are believed and are not there")
        self.see("I28", at_broker <= set(chronicle.positions), f"{sorted(at_broker - set(chronicle.positions))} are there and not believed")
        missing = [d.ticket for d in self._terminal.books.deals if d.symbol and d.ticket not in chronicle.deals and self._is_of_ours(d)]
        self.see("I28", not missing, f"deals {missing[:5]} are not in the journal")
        unknown_deals = [ticket for ticket in chronicle.deals if ticket > self._deal_ticket]
        self.see("I29", not unknown_deals, f"deals {unknown_deals[:5]} are in the journal alone")
        for closed, _ in chronicle.closed_days:
            day = (datetime.fromtimestamp(closed.closed_utc_ms / 1000, UTC).astimezone(self._zone) + timedelta(hours=-17)).date()
            self.see("I15", abs((day - _date(closed.trading_day)).days) <= 1, f"{closed.ticket} closed on {day}, booked on {closed.trading_day}")
        self.see("L4", chronicle.mode is not Mode.FLATTEN or not at_broker, f"{sorted(at_broker)} are still open while flattening")

    def _adopted(self) -> set[int]:
        return {one.ticket for one in self._strangers()}

    def _is_of_ours(self, deal: records.Deal) -> bool:
        return is_ours(deal.magic, self.chronicle.installation)

    def _ours(self) -> list[records.Position]:
        installation = self.chronicle.installation
        return [one for one in self._terminal.server.book.positions.values() if is_ours(one.magic, installation)]

    def _strangers(self) -> list[records.Position]:
        installation = self.chronicle.installation
        return [one for one in self._terminal.server.book.positions.values() if not is_ours(one.magic, installation)]

    def broken(self, invariant: str, detail: str) -> None:
        self.see(invariant, False, detail)

    @property
    def counts(self) -> dict[str, int]:
        """What came to pass, beside the faults."""
        return {"unknown outcomes": self.unknown_seen, "positions": len(self._volume_in), "duplicates": self.duplicates}

    @property
    def duplicates(self) -> int:
        """Orders that opened more than one position."""
        return sum(1 for tickets in self._opened.values() if len(tickets) > 1)

    def see(self, invariant: str, holds: bool, detail: str) -> None:
        self.checked[invariant] += 1
        if holds or (self._is_control and invariant not in _JUDGED_OF_CONTROL):
            return
        self.count[invariant] += 1
        if self.count[invariant] <= self.BREAKS_KEPT:
            self.breaks.append(Break(invariant, self._troubles.now_utc_ms, detail))


_NOBODY: Final = ("evenkeel", "risk_limit", "circuit_breaker", "guard", "supervision")
_JUDGED_OF_CONTROL: Final = ("I2", "I5", "I10", "I30")


def _date(day: str) -> date:
    return date.fromisoformat(day)
