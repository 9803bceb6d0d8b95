"""Who watches a world from outside: what the broker really did, what the journal says for good, and where a promise is broken.

It shares no state with the system: the chronicle follows the messages that became durable, and what is held against them
comes from the broker's own books and from the calls that reached it.
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
from evenkeel.commands.simulate.alerts import Alerts
from evenkeel.commands.simulate.chronicle import Asked, Chronicle
from evenkeel.commands.simulate.life import Life
from evenkeel.commands.simulate.troubles import Troubles
from evenkeel.config.schema import Config
from evenkeel.messages.broker_gateway import CallTerminal, OpenRequest, Outcome, TerminalAnswered
from evenkeel.messages.entry import OpenPosition, OrderKind
from evenkeel.messages.market import Direction
from evenkeel.messages.operator import Mode, ModeChanged, TradingRearmed
from evenkeel.messages.position import PositionClosed, PositionOpened
from evenkeel.messages.system import Message
from evenkeel.rules.lineage import is_fresh, signal_of
from evenkeel.rules.magic import is_ours
from evenkeel.runtime.publisher import Delivery

CYCLE_MS: Final = 60_000
"""A reconcile cycle with what may lie in its way: two readings, a repair, its answer, another try."""
EXIT_WITHIN_MS: Final = 6_000
"""Quotes come seconds apart, and the one that reaches a stop may come just before a reading."""
LOOK_BACK_MS: Final = 15 * 60_000
"""A deal is in the journal by then."""
EQUITY_SLACK: Final = 1.02
BREAKS_KEPT: Final = 5
CHRONICLES_KEPT: Final = 3
PERSON: Final = "person"
_STRICTNESS: Final = (Mode.RUN, Mode.CLOSE_ONLY, Mode.FREEZE, Mode.FLATTEN)
_JUDGED_OF_CONTROL: Final = ("I2", "I5", "I10", "I30")


class Break(NamedTuple):
    """A promise that was broken: which, when, and how."""

    invariant: str
    utc_ms: int
    detail: str


class LastOpened(NamedTuple):
    """The newest position of a symbol: orders A and B of one signal come together."""

    filled_utc_ms: int
    signal: str


class Witness:
    """`breaks` are the promises broken so far, at most BREAKS_KEPT of each, `broken` and `checked` count all. Times are true.

    `is_control` belongs to a gateway that breaks them on purpose: of it only the broker's books are judged.
    """

    def __init__(self, config: Config, terminal: SimulatedTerminal, troubles: Troubles, *, is_control: bool) -> None:
        self.chronicle = Chronicle()
        self.breaks: list[Break] = []
        self.broken: Counter[str] = Counter()
        self.checked: Counter[str] = Counter()
        self.counts: Counter[str] = Counter()
        self.kill_epoch = 0
        self._config, self._terminal, self._troubles, self._is_control = config, terminal, troubles, is_control
        self._zone = ZoneInfo(config.trading_calendar.zone)
        self._waiting: list[tuple[Delivery, int]] = []
        self._kept: list[tuple[int, Chronicle]] = []
        self._sent: dict[int, OpenRequest] = {}
        self._opened: dict[int, set[int]] = {}
        self._steps_in: Counter[int] = Counter()
        self._steps_out: Counter[int] = Counter()
        self._filled_utc_ms: dict[int, int] = {}
        self._newest: dict[str, LastOpened] = {}
        self._deal_ticket = terminal.books.last_deal_ticket
        self._start_cents = self._balance_cents = terminal.books.balance_cents
        self._judged_ticket = self._deal_ticket
        self.alerts = Alerts(lambda holds, detail: self.see("L2", holds, detail)) if config.notifier.outlet else None
        self._since: dict[tuple[str, int], int] = {}
        self._reached: dict[int, int] = {}

    # -- the journal ----------------------------------------------------------------------------------------------------

    def heard(self, deliveries: Sequence[Delivery]) -> None:
        """Published; it counts when it is durable."""
        now = self._troubles.now_utc_ms
        self._waiting += [(one, now) for one in deliveries if one.seq]

    def durable(self, upto_seq: int) -> None:
        """All that was heard up to `upto_seq` is on the disk."""
        self._take_deals()
        count = 0
        for delivery, at_utc_ms in self._waiting:
            if delivery.seq > upto_seq:
                break
            self._judge_message(delivery.message)
            self.chronicle.hear(delivery.message, at_utc_ms)
            if self.alerts is not None:
                self.alerts.durable(delivery.seq, delivery.message, at_utc_ms)
            count += 1
        del self._waiting[:count]

    def died(self) -> None:
        """What was not durable never was."""
        self._waiting.clear()

    def keep(self, seq: int) -> None:
        """Remember the chronicle as it is with record `seq`, for the case that the disk goes back to there."""
        self._kept = [*self._kept, (seq, copy.deepcopy(self.chronicle))][-CHRONICLES_KEPT:]

    def kept_seq(self, upto_seq: int) -> int:
        """The newest record at or below `upto_seq` whose chronicle is remembered."""
        return next((seq for seq, _ in reversed(self._kept) if seq <= upto_seq), 0)

    def go_back(self, upto_seq: int, messages: Sequence[Message]) -> None:
        """The disk has lost its newest records: the chronicle of `kept_seq(upto_seq)`, and `messages` after it."""
        kept = next((one for seq, one in reversed(self._kept) if seq <= upto_seq), None)
        self.chronicle = copy.deepcopy(kept) if kept is not None else Chronicle()
        self._newest.clear()
        for message in messages:
            self.chronicle.hear(message, self._troubles.now_utc_ms)
        if self.alerts is not None:
            self.alerts.go_back(upto_seq, self.chronicle.mode)

    def _judge_message(self, message: Message) -> None:
        chronicle = self.chronicle
        match message:
            case TerminalAnswered(outcome=Outcome.UNKNOWN):
                self.counts["unknown outcomes"] += 1
            case ModeChanged(mode=mode, by=by):
                rises = _STRICTNESS.index(mode) < _STRICTNESS.index(chronicle.mode)
                self.see("I26", not rises or by == PERSON, f"{by} raised the mode to {mode.value}")
                if chronicle.mode is Mode.FLATTEN:
                    self.see("I27", mode is Mode.FLATTEN or by == PERSON, f"{by} ended flatten")
            case PositionOpened(ticket=ticket, symbol=symbol, lineage=lineage):
                filled_utc_ms = self._filled_utc_ms.get(ticket, 0)
                if filled_utc_ms >= self._last_opened(symbol).filled_utc_ms:
                    self._newest[symbol] = LastOpened(filled_utc_ms, signal_of(lineage.chain_id))
            case TradingRearmed():
                self.see("I25", chronicle.is_agreed, "rearmed while the broker did not agree")
            case PositionClosed(ticket=ticket):
                there = self._terminal.server.book.positions.get(ticket)
                self.see("I9", there is None, f"position {ticket} was called closed and is there")
            case OpenPosition():
                found = list(chronicle.chains.broken_by(message, self._config))
                if message.lineage.order_kind != OrderKind.SINGLE:
                    self.see("I14", not found, "; ".join(found))
            case CallTerminal(request=OpenRequest() as request):
                self._judge_shield(request)
            case _:
                pass

    def _judge_shield(self, request: OpenRequest) -> None:
        """An order that was made before the shield was raised may still be heard by the gateway after it; none made since."""
        chronicle = self.chronicle
        since = chronicle.chains.shielded_since(request.symbol, request.direction)
        made_at = chronicle.ordered_at.get(chronicle.proposal_of(request), 0)
        is_blocked = since is not None and made_at > since
        self.see("I18", not is_blocked, f"{request.symbol} {request.direction.value} is called for under its shield")

    # -- orders ---------------------------------------------------------------------------------------------------------

    def sent(self, request: OpenRequest, magic: int, epoch: int) -> None:
        """An open is about to be carried out by the terminal."""
        self.see("I5", magic not in self._sent, f"magic {magic} was sent before")
        self.see("I7", self._sent.get(magic, request) == request, f"magic {magic} belonged to another order")
        self._sent[magic] = request
        asked = self.chronicle.asked.get(magic)
        for invariant in ("I3", "I33"):
            self.see(invariant, asked is not None and asked.request == request, f"magic {magic} is sent and not in the journal")
        if asked is None or self._is_control:
            return
        self._judge_moment(asked, epoch)
        self._judge_locks(asked)
        self._judge_limits(asked)

    def _judge_moment(self, asked: Asked, epoch: int) -> None:
        now, limits, chronicle = self._troubles.now_utc_ms, self._config.limits, self.chronicle
        self.see("I23", epoch >= self.kill_epoch, f"sent under epoch {epoch}, the kill is {self.kill_epoch}")
        self.see("I24", chronicle.mode is Mode.RUN, f"intent {asked.intent_id} was sent in {chronicle.mode.value}")
        self.see("I17", asked.is_agreed, f"intent {asked.intent_id} was decided while the broker did not agree")
        if self.alerts is not None:
            self.see("L2", not self.alerts.is_down, f"intent {asked.intent_id} was sent while nobody could tell of it")
        if limits.intent_expiry_s != "off":
            age_ms = now - asked.asked_utc_ms
            self.see("I6", age_ms <= limits.intent_expiry_s * 1000, f"intent {asked.intent_id} was sent after {age_ms} ms")
        quote = self._terminal.quote(asked.request.symbol)
        if limits.quote_age_s_max != "off" and quote is not None:
            age_ms = now - quote.time_utc_ms
            self.see(
                "I17", age_ms <= limits.quote_age_s_max * 1000, f"the quote of intent {asked.intent_id} is {age_ms} ms old"
            )
        cooldown_ms = self._config.entry.cooldown_minutes * 60_000
        last, lineage = self._last_opened(asked.request.symbol), chronicle.ordered[asked.proposal_id].lineage
        if self._is_clock_right and is_fresh(lineage) and signal_of(lineage.chain_id) != last.signal:
            since_ms = now - last.filled_utc_ms
            self.see("I19", since_ms >= cooldown_ms, f"{asked.request.symbol} was opened {since_ms} ms before")

    def _last_opened(self, symbol: str) -> LastOpened:
        return self._newest.get(symbol, LastOpened(-(1 << 50), ""))

    @property
    def _is_clock_right(self) -> bool:
        return not self._troubles.came["F51"] + self._troubles.came["F53"]

    def _judge_locks(self, asked: Asked) -> None:
        request = asked.request
        others = [
            one
            for one in self.chronicle.open_intents.values()
            if one.magic != asked.magic and (one.request.symbol, one.request.slot) == (request.symbol, request.slot)
        ]
        for invariant in ("I1", "I34"):
            self.see(invariant, not others, f"{request.symbol} slot {request.slot} has {len(others) + 1} open intents")
        unknown = [self.chronicle.open_intents[intent_id].request for intent_id in self.chronicle.unknown]
        against = [one for one in unknown if one.symbol == request.symbol and one.direction is not request.direction]
        self.see("I8", not against, f"{request.symbol} {request.direction.value} is sent against an unknown one")

    def _judge_limits(self, asked: Asked) -> None:
        """What is believed to be open or on its way, this order included; strangers and late fills of a moment ago may be
        unseen."""
        limits, chronicle, now = self._config.limits, self.chronicle, self._troubles.now_utc_ms
        strangers = [one for one in self._positions(ours=False) if one.time_utc_ms < now - CYCLE_MS]
        in_flight = chronicle.open_intents.values()
        if limits.positions_max != "off":
            surprises = [one for one in chronicle.positions.values() if one.late and one.opened_utc_ms > now - CYCLE_MS]
            count = len(chronicle.positions) - len(surprises) + len(in_flight) + len(strangers)
            count -= sum(1 for one in strangers if one.ticket in chronicle.positions)
            self.see("I11", count <= limits.positions_max, f"{count} positions and intents, {limits.positions_max} allowed")
        if limits.open_risk_pct != "off":
            state = self._terminal.server.state()
            risk = sum(one.reserved_cents for one in chronicle.positions.values())
            risk += sum(chronicle.ordered[one.proposal_id].reserved_cents for one in in_flight)
            allowed = max(state.equity_cents, state.balance_cents) * limits.open_risk_pct / 100 * EQUITY_SLACK
            self.see("I11", risk <= allowed, f"{risk} cents at risk, {allowed:.0f} allowed")
            at_broker = sum(self._lost_at_stop_cents(one) for one in self._positions(ours=True))
            self.see("I11", at_broker <= allowed, f"{at_broker:.0f} cents at risk at the broker, {allowed:.0f} allowed")
        if limits.trades_per_day != "off":
            count = chronicle.opened_today + sum(is_fresh(chronicle.ordered[one.proposal_id].lineage) for one in in_flight)
            self.see("I11", count <= limits.trades_per_day, f"{count} trades today, {limits.trades_per_day} allowed")
        steps, most = asked.request.volume_steps, limits.volume_lots_max * 100
        self.see("I13", steps <= most, f"{steps} steps in one order, {most:g} allowed")

    def _lost_at_stop_cents(self, position: records.Position) -> float:
        """What the broker's own record of it would lose at the app's stop, costs aside."""
        stop, spec = self.chronicle.stops.get(position.ticket, 0), self._terminal.symbol(position.symbol)
        if not stop or spec is None:
            return 0.0
        points = position.sign * (position.open_cost / position.open_parts - stop)
        worth = spec.worth.numerator / spec.worth.denominator
        return max(0.0, points) * position.volume_steps * worth / spec.steps_per_lot

    # -- at any moment --------------------------------------------------------------------------------------------------

    def look(self, life: Life | None, *, is_steady: bool) -> None:
        """Judge what holds always, and what must not last. `is_steady`: no fault stood in the way of a repair for a while."""
        self._take_deals()
        if self._is_control:
            return
        if life is None or not is_steady:
            self._since.clear()
            self._reached.clear()
            return
        ours, strangers = self._positions(ours=True), self._positions(ours=False)
        risk = life.host.child("risk_limit").state.book
        known = {one.ticket for one in ours} & set(self.chronicle.positions)
        self._must_pass("I20", [one.ticket for one in ours if not one.sl_points and one.ticket in known], "has no stop")
        self._must_pass("I28", [one.ticket for one in ours if one.ticket not in known], "is ours and nobody knows it")
        self._must_pass("I16", [one.ticket for one in strangers if one.ticket not in risk.holdings], "counts in no exposure")
        for intent_id in self.chronicle.unknown:
            proposal_id = self.chronicle.open_intents[intent_id].proposal_id
            self.see("I8", proposal_id in risk.reservations, f"intent {intent_id} is unknown and reserves nothing")
        self._judge_exits(ours)

    def _must_pass(self, invariant: str, tickets: Sequence[int], how: str) -> None:
        """Each of `tickets` is in a state that a cycle ends."""
        now = self._troubles.now_utc_ms
        if not tickets:
            self.checked[invariant] += 1
        for key in [key for key in self._since if key[0] == invariant and key[1] not in tickets]:
            del self._since[key]
        for ticket in tickets:
            since = self._since.setdefault((invariant, ticket), now)
            if since >= 0 and now - since > CYCLE_MS:
                self.see(invariant, False, f"position {ticket} {how}, for {now - since} ms")
                self._since[invariant, ticket] = -1

    def _judge_exits(self, ours: Sequence[records.Position]) -> None:
        """A position at or beyond its app's stop has a close on its way."""
        now, chronicle = self._troubles.now_utc_ms, self.chronicle
        there = {one.ticket for one in ours}
        self._reached = {ticket: since for ticket, since in self._reached.items() if ticket in there}
        for position in ours:
            stop, quote = chronicle.stops.get(position.ticket, 0), self._terminal.quote(position.symbol)
            if not stop or quote is None:
                continue
            is_buy = chronicle.positions[position.ticket].direction is Direction.BUY
            is_reached = quote.bid_points <= stop if is_buy else quote.ask_points >= stop
            if not is_reached or quote.time_utc_ms < chronicle.positions[position.ticket].opened_utc_ms + CYCLE_MS:
                self._reached.pop(position.ticket, None)
                continue
            since = self._reached.setdefault(position.ticket, now)
            for invariant in ("I21", "I22"):
                is_asked = position.ticket in chronicle.closes or now - since <= EXIT_WITHIN_MS
                self.see(invariant, is_asked, f"position {position.ticket} is beyond its stop for {now - since} ms")

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
        made = self._balance_cents
        self.see("I30", books.balance_cents == made, f"the balance is {books.balance_cents}, the deals make {made}")

    def _take(self, deal: records.Deal) -> None:
        if deal.type != mt5.DEAL_TYPE_CREDIT:
            self._balance_cents += deal.net_cents
        if not deal.symbol:
            return
        ticket = deal.position_id
        if deal.entry == mt5.DEAL_ENTRY_IN:
            self.counts["positions"] += not self._steps_in[ticket]
            self._steps_in[ticket] += deal.volume_steps
            if is_ours(deal.magic, self.chronicle.installation):
                self._filled_utc_ms.setdefault(ticket, deal.time_utc_ms)
            if deal.magic:
                tickets = self._opened.setdefault(deal.magic, set())
                tickets.add(ticket)
                self.counts["duplicates"] += len(tickets) == 2
                self.see("I2", len(tickets) == 1, f"magic {deal.magic} has opened {sorted(tickets)}")
            return
        self._steps_out[ticket] += deal.volume_steps
        came, left = self._steps_in[ticket], self._steps_out[ticket]
        self.see("I10", left <= came, f"position {ticket} had {came} steps, {left} were closed")

    # -- at the end -----------------------------------------------------------------------------------------------------

    def finish(self) -> None:
        """Faults are over and time has passed: everything must have come to rest."""
        self._take_deals()
        if self._is_control:
            return
        chronicle, now = self.chronicle, self._troubles.now_utc_ms
        waiting = {intent_id: now - since for intent_id, since in chronicle.unknown.items()}
        self.see("L1", not waiting, f"intents are unknown, with for how long: {waiting}")
        endless = [intent_id for intent_id in chronicle.open_intents if intent_id not in chronicle.unknown]
        self.see("I4", not endless, f"intents {endless} have no end")
        self.see("L3", chronicle.is_agreed, "the broker does not agree, long after the last fault")
        there = {one.ticket for one in self._positions(ours=True)}
        believed = set(chronicle.positions) - {one.ticket for one in self._positions(ours=False)}
        self.see("I29", believed <= there, f"positions {sorted(believed - there)} are believed and are not there")
        self.see("I28", there <= believed, f"positions {sorted(there - believed)} are there and not believed")
        told, balance = self._start_cents + chronicle.money_cents, self._terminal.books.balance_cents
        self.see("I30", told == balance, f"the balance is {balance}, the journal's deals make it {told}")
        self.see("L4", chronicle.mode is not Mode.FLATTEN or not there, f"{sorted(there)} are open while flattening")
        self._judge_deals()

    def _judge_deals(self, until_utc_ms: int = 1 << 62) -> None:
        """Those up to `until_utc_ms` that were not judged before."""
        chronicle, books = self.chronicle, self._terminal.books
        old = [one for one in books.deals if one.ticket > self._judged_ticket and one.time_utc_ms <= until_utc_ms]
        missing = [one.ticket for one in old if one.ticket not in chronicle.deals]
        self.see("I28", not missing, f"deals {missing[:5]} are not in the journal")
        self._judged_ticket = max((one.ticket for one in old), default=self._judged_ticket)
        strange = [ticket for ticket in chronicle.deals if ticket > books.last_deal_ticket]
        self.see("I29", not strange, f"deals {strange[:5]} are in the journal alone")
        tickets = Counter(one.ticket for one in chronicle.closed)
        for closed in chronicle.closed:
            self.see("I15", tickets[closed.ticket] == 1, f"position {closed.ticket} was closed {tickets[closed.ticket]} times")
            days = (date.fromisoformat(closed.trading_day) - self._day_of(closed.closed_utc_ms)).days
            self.see(
                "I15",
                days in (0, 1) or (days == -1 and not self._is_clock_right),
                f"position {closed.ticket} of {closed.closed_utc_ms} is booked on {closed.trading_day}",
            )

    def look_back(self) -> None:
        """Judge what is old enough to be complete, and forget it."""
        if not self._is_control:
            self._judge_deals(self._troubles.now_utc_ms - LOOK_BACK_MS)
            self.chronicle.forget(self._judged_ticket)

    def _day_of(self, utc_ms: int) -> date:
        boundary = timedelta(hours=17)
        return (datetime.fromtimestamp(utc_ms / 1000, UTC).astimezone(self._zone) - boundary).date()

    def _positions(self, *, ours: bool) -> list[records.Position]:
        """One of ours that lost every mark, and that shape and time did not give back, is a stranger's to whoever looks."""
        return [one for one in self._terminal.server.book.positions.values() if self._is_ours(one) is ours]

    def _is_ours(self, position: records.Position) -> bool:
        is_lost = self._troubles.is_unmarked(position.ticket) and position.ticket not in self.chronicle.positions
        return is_ours(position.magic, self.chronicle.installation) and not is_lost

    def see(self, invariant: str, holds: bool, detail: str) -> None:
        """Judge it."""
        if self._is_control and invariant not in _JUDGED_OF_CONTROL:
            return
        self.checked[invariant] += 1
        if holds:
            return
        self.broken[invariant] += 1
        if self.broken[invariant] <= BREAKS_KEPT:
            self.breaks.append(Break(invariant, self._troubles.now_utc_ms, detail))
