"""What the durable messages say, folded by rules of its own: a second opinion on what the actors believe."""

from typing import Final, NamedTuple

from evenkeel.commands.simulate.chain_facts import ChainsAndShields
from evenkeel.messages.broker_gateway import (
    BrokerAgreed,
    BrokerDisagreed,
    CallTerminal,
    CashKind,
    CashMoved,
    CloseRequest,
    DealDone,
    OpenRequest,
    OrderOutcomeResolved,
    OrderRejected,
    Outcome,
    TerminalAnswered,
)
from evenkeel.messages.entry import OpenPosition, OrderDenied
from evenkeel.messages.market import Direction
from evenkeel.messages.operator import Mode, ModeChanged
from evenkeel.messages.position import PositionClosed, PositionOpened, PositionPriced, StopTightened
from evenkeel.messages.system import Message, RunStarted
from evenkeel.messages.trading_calendar import TradingDayStarted
from evenkeel.rules.lineage import is_fresh

IN_FLIGHT: Final = (Outcome.UNKNOWN, Outcome.PENDING)


class Asked(NamedTuple):
    """An open intent as the journal has it. `is_agreed`: the broker's readings matched when it was decided; one decided
    then is not called back when another one beside it makes them differ."""

    intent_id: int
    magic: int
    epoch: int
    request: OpenRequest
    proposal_id: str
    asked_utc_ms: int
    is_agreed: bool


class Chronicle:
    """`open_intents` have neither ended nor become a position; `unknown` are those of them without a definite answer, with
    since when. `closes` is when a close of each position was last asked for; `stops` its app's stop."""

    def __init__(self) -> None:
        self.installation = 0
        self.mode = Mode.CLOSE_ONLY
        self.is_agreed = False
        self.ordered: dict[str, OpenPosition] = {}
        self.asked: dict[int, Asked] = {}
        self.open_intents: dict[int, Asked] = {}
        self.unknown: dict[int, int] = {}
        self.positions: dict[int, PositionOpened] = {}
        self.stops: dict[int, int] = {}
        self._tight: dict[int, int] = {}
        self.closes: dict[int, int] = {}
        self.closed: list[PositionClosed] = []
        self.deals: set[int] = set()
        self.money_cents = 0
        self._deals_upto = 0
        self.opened_today = 0
        self.chains = ChainsAndShields()
        self.ordered_at: dict[str, int] = {}
        self._orders: dict[tuple[str, int], OpenPosition] = {}

    def hear(self, message: Message, at_utc_ms: int) -> None:
        """`message` is durable and was published at `at_utc_ms`, true time."""
        self.chains.hear(message)
        match message:
            case OpenPosition():
                self.ordered[message.proposal_id] = self._orders[message.symbol, message.lineage.slot] = message
                self.ordered_at[message.proposal_id] = self.chains.at
            case CallTerminal(request=OpenRequest() as request):
                proposal_id = self.proposal_of(request)
                told = message.intent_id, message.magic, message.epoch, request
                asked = Asked(*told, proposal_id, at_utc_ms, self.is_agreed)
                self.asked[message.magic] = self.open_intents[message.intent_id] = asked
            case CallTerminal(request=CloseRequest(ticket=ticket)):
                self.closes[ticket] = at_utc_ms
            case TerminalAnswered(intent_id=intent_id, outcome=outcome):
                if intent_id in self.open_intents and outcome in IN_FLIGHT:
                    self.unknown.setdefault(intent_id, at_utc_ms)
            case OrderRejected(intent_id=intent_id) | OrderOutcomeResolved(intent_id=intent_id):
                self._end(intent_id)
            case OrderDenied(proposal_id=proposal_id):
                self._end_of(proposal_id)
                self.ordered.pop(proposal_id, None)
                self.ordered_at.pop(proposal_id, None)
            case PositionOpened():
                self._open(message)
            case PositionPriced(ticket=ticket, entry_points=entry_points) if ticket in self.positions:
                opened = self.positions[ticket]
                stop_points = opened.stop_points + entry_points - opened.entry_points if opened.stop_points else 0
                nearer = max if opened.direction is Direction.BUY else min
                self.stops[ticket] = nearer(stop_points, self._tight.get(ticket, stop_points))
            case StopTightened(ticket=ticket, stop_points=stop_points) if ticket in self.positions:
                self.stops[ticket] = self._tight[ticket] = stop_points
            case PositionClosed(ticket=ticket):
                self._tight.pop(ticket, None)
                self.positions.pop(ticket, None)
                self.closes.pop(ticket, None)
                self.stops.pop(ticket, None)
                self.closed.append(message)
            case DealDone(deal=deal):
                self._book(deal.deal_ticket, deal.profit_cents + deal.commission_cents + deal.swap_cents)
            case CashMoved(cash=cash):
                self._book(cash.deal_ticket, 0 if cash.kind is CashKind.CREDIT else cash.amount_cents)
            case _:
                self._hear_of_state(message)

    def proposal_of(self, request: OpenRequest) -> str:
        """The newest order for its symbol's slot."""
        return self._orders[request.symbol, request.slot].proposal_id

    def _hear_of_state(self, message: Message) -> None:
        match message:
            case ModeChanged(mode=mode):
                self.mode = mode
            case BrokerAgreed():
                self.is_agreed = True
            case BrokerDisagreed():
                self.is_agreed = False
            case RunStarted(installation=installation):
                self.is_agreed, self.installation = False, installation
            case TradingDayStarted():
                self.opened_today = 0
            case _:
                pass

    def _book(self, deal_ticket: int, cents: int) -> None:
        """Each line of the history once; credit is no part of the balance."""
        if deal_ticket > self._deals_upto and deal_ticket not in self.deals:
            self.deals.add(deal_ticket)
            self.money_cents += cents

    def _open(self, opened: PositionOpened) -> None:
        if opened.ticket not in self.positions and not opened.adopted and is_fresh(opened.lineage):
            self.opened_today += 1
        self.positions[opened.ticket], self.stops[opened.ticket] = opened, opened.stop_points
        self._end_of(opened.lineage.proposal_id)

    def _end_of(self, proposal_id: str) -> None:
        for intent_id in [one.intent_id for one in self.open_intents.values() if one.proposal_id == proposal_id]:
            self._end(intent_id)

    def _end(self, intent_id: int) -> None:
        ended = self.open_intents.pop(intent_id, None)
        self.unknown.pop(intent_id, None)
        if ended is not None:
            self.ordered.pop(ended.proposal_id, None)
            self.ordered_at.pop(ended.proposal_id, None)

    def forget(self, before_deal_ticket: int) -> None:
        """What has been judged and is of no use any more, so that a long life stays small."""
        self.closed = []
        self._deals_upto = max(self._deals_upto, before_deal_ticket - 1)
        self.deals = {ticket for ticket in self.deals if ticket > self._deals_upto}
        in_flight = {one.magic for one in self.open_intents.values()}
        self.asked = {magic: one for magic, one in self.asked.items() if magic in in_flight}
