"""What is said, in one line of plain words: prices in the symbol's digits, money in the account's currency, time in UTC.

rules/told.py has the words of what is logged, rules/chain_words.py those of chains and shields; here are those of everything
else that stands in a journal.
"""

from typing import assert_never

from evenkeel.messages.broker_gateway import (
    AccountRead,
    AdoptPosition,
    CallTerminal,
    CloseRequest,
    Deal,
    DealDone,
    IntentSettled,
    OpenRequest,
    PositionsRead,
    ReadTerminal,
    StopRequest,
    TerminalAnswered,
)
from evenkeel.messages.entry import EntryProposed, OpenPosition, SignalRaised
from evenkeel.messages.market import (
    ArmWatches,
    BarClosed,
    DailyBarsRead,
    DisarmWatches,
    PricesReached,
    SampleDue,
    SymbolSpec,
    SymbolSpecified,
    WantSamples,
    Watch,
)
from evenkeel.messages.operator import (
    ACCOUNT,
    CloseTicket,
    CommandAccepted,
    CommandDone,
    CommandRefused,
    KillTrading,
    LowerMode,
    PauseTrading,
    RaiseSignal,
    RearmTrading,
    RestrictTrading,
    ResumeTrading,
    StartTrading,
)
from evenkeel.messages.position import ClosePosition, CloseScope, PositionPriced, ReducePosition
from evenkeel.messages.protection import SetStops, StopsSet
from evenkeel.messages.system import CancelTimer, ChildServing, Message, RunConfigured, SetTimer, TimerDue
from evenkeel.rules.chain_words import chain_words
from evenkeel.rules.instants import duration_text, utc_text
from evenkeel.rules.texts import lots_text, money_text, price_text, quote_text
from evenkeel.rules.view import lots_of
from evenkeel.rules.view_state import ViewState

OfPrices = BarClosed | SampleDue | PricesReached | SignalRaised
OfWaiting = ArmWatches | DisarmWatches | WantSamples | SetTimer | CancelTimer | TimerDue
OfDecisions = EntryProposed | OpenPosition | PositionPriced | ClosePosition | ReducePosition
OfStops = SetStops | StopsSet
OfTerminal = CallTerminal | TerminalAnswered | IntentSettled | DealDone | ReadTerminal | PositionsRead | AccountRead
OfTerms = SymbolSpecified | DailyBarsRead | RunConfigured | ChildServing
OfTrading = StartTrading | PauseTrading | ResumeTrading | RestrictTrading | KillTrading | RearmTrading
OfAsked = CloseTicket | AdoptPosition | RaiseSignal | CloseScope | LowerMode
OfCommands = CommandAccepted | CommandRefused | CommandDone


def words(known: ViewState, message: Message) -> str | None:
    """`message` in words; None for what rules/told.py tells. `known` gives digits and currency."""
    match message:
        case BarClosed() | SampleDue() | PricesReached() | SignalRaised():
            return _price_words(message, known.specs.get(message.symbol))
        case ArmWatches() | DisarmWatches() | WantSamples() | SetTimer() | CancelTimer() | TimerDue():
            return _waiting_words(message, known)
        case EntryProposed() | OpenPosition() | PositionPriced() | ClosePosition() | ReducePosition():
            return _decision_words(message, known)
        case SetStops() | StopsSet():
            return _stops_words(message, known.specs.get(message.symbol))
        case (
            CallTerminal()
            | TerminalAnswered()
            | IntentSettled()
            | DealDone()
            | ReadTerminal()
            | PositionsRead()
            | AccountRead()
        ):
            return _terminal_words(message, known)
        case SymbolSpecified() | DailyBarsRead() | RunConfigured() | ChildServing(incarnation=1):
            return _terms_words(message)
        case StartTrading() | PauseTrading() | ResumeTrading() | RestrictTrading() | KillTrading() | RearmTrading():
            return _trading_words(message)
        case CloseTicket() | AdoptPosition() | RaiseSignal() | CloseScope() | LowerMode():
            return _asked_words(message)
        case CommandAccepted() | CommandRefused() | CommandDone():
            return _command_words(message)
        case _:
            return chain_words(known, message)


def _price_words(message: OfPrices, spec: SymbolSpec | None) -> str:
    quote = quote_text(message.quote, spec)
    match message:
        case BarClosed():
            late = ", late" if message.late else ""
            spread = f"spread {message.spread_points} points, usually {message.spread_median_points}"
            closed = f"closed{late} at {price_text(message.close_points, spec)}, {spread}"
            return f"{message.symbol} {message.timeframe} bar of {utc_text(message.open_utc_ms)} {closed}; now {quote}"
        case SampleDue():
            return f"{message.symbol} looked at: {quote}, {message.age_ms} ms old"
        case PricesReached():
            levels = " and ".join(_level_name(name) for name in message.names)
            return f"{message.symbol} reached the {levels} level: {quote}"
        case SignalRaised(lineage=lineage):
            source = f"{lineage.strategy or lineage.origin}, confidence {lineage.confidence:g}"
            return f"signal to {message.direction.value} {message.symbol} ({source}): {quote}"
        case _:
            assert_never(message)


def _waiting_words(message: OfWaiting, known: ViewState) -> str:
    match message:
        case ArmWatches():
            spec = known.specs.get(message.symbol)
            levels = ", ".join(_watch_words(watch, spec) for watch in message.watches)
            return f"{message.owner} waits for {message.symbol}: {levels}"
        case DisarmWatches():
            levels = ", ".join(_level_name(name) for name in message.names)
            return f"{message.owner} no longer waits for {message.symbol}: {levels}"
        case WantSamples(every_ms=0):
            return f"{message.owner} wants no more looks at {message.symbol}"
        case WantSamples():
            return f"{message.owner} wants a look at {message.symbol} each {message.every_ms / 1000:g} s"
        case SetTimer():
            return f"{message.owner} sets the timer {message.name} for {utc_text(message.due_utc_ms)}"
        case CancelTimer():
            return f"{message.owner} cancels the timer {message.name}"
        case TimerDue():
            return f"the timer {message.name} of {message.owner} is due"
        case _:
            assert_never(message)


def _watch_words(watch: Watch, spec: SymbolSpec | None) -> str:
    beyond = "or above" if watch.rising else "or below"
    return f"{_level_name(watch.name)} when {watch.side.value} is {price_text(watch.level_points, spec)} {beyond}"


def _level_name(name: str) -> str:
    """The owner's name of a watch is `ticket/exit/generation`."""
    ticket, _, rest = name.partition("/")
    return rest.partition("/")[0] or ticket


def _decision_words(message: OfDecisions, known: ViewState) -> str:
    spec = known.specs.get(message.symbol)
    match message:
        case EntryProposed():
            return f"proposal {message.proposal_id}: {message.direction.value}, {_distances(message)}"
        case OpenPosition():
            wide = message.catastrophe_distance_points
            stop = f", stop at the broker {wide} points away" if wide else ", no stop at the broker"
            worst = f"worst case {money_text(message.reserved_cents, known.account)} reserved"
            bound = f" (bound by {message.bound_by})" if message.bound_by else ""
            return f"order for {lots_text(message.volume_steps, spec)}{bound}: {_distances(message)}{stop}, {worst}"
        case PositionPriced():
            commission = money_text(message.commission_cents, known.account)
            return f"position {message.ticket} filled at {price_text(message.entry_points, spec)}, commission {commission}"
        case ClosePosition():
            left = f", leaving {lots_text(message.remaining_steps, spec)}" if message.remaining_steps else ""
            again = f", ask {message.generation}" if message.generation > 1 else ""
            at = f": {quote_text(message.quote, spec)}" if message.quote else ""
            return f"position {message.ticket} to be closed: {message.reason.value}{left}{again}{at}"
        case ReducePosition():
            what = f"leave {lots_text(message.remaining_steps, spec)} of it" if message.remaining_steps else "close it"
            return f"the owner of position {message.ticket} is asked to {what}: {message.reason.value}"
        case _:
            assert_never(message)


def _distances(message: EntryProposed | OpenPosition) -> str:
    target = f"target {message.target_distance_points} points away" if message.target_distance_points else "no target"
    return f"stop {message.stop_distance_points} points away, {target}"


def _stops_words(message: OfStops, spec: SymbolSpec | None) -> str:
    stop = f"stop {price_text(message.stop_points, spec)}" if message.stop_points else "no stop"
    target = f"target {price_text(message.target_points, spec)}" if message.target_points else "no target"
    match message:
        case SetStops():
            return f"the broker is to hold {stop} and {target} of position {message.ticket}"
        case StopsSet():
            return f"the broker holds {stop} and {target} of position {message.ticket}"
        case _:
            assert_never(message)


def _terminal_words(message: OfTerminal, known: ViewState) -> str:
    match message:
        case CallTerminal():
            return f"intent {message.intent_id}: {_request_words(message.request, known)}"
        case TerminalAnswered():
            return _answer_words(message)
        case IntentSettled():
            return f"intent {message.intent_id} was filled after all: its slot at the gate is free"
        case DealDone(deal):
            return _deal_words(deal, known)
        case ReadTerminal():
            return "the broker is asked for its positions"
        case PositionsRead():
            waiting = f", and {len(message.orders)} waiting orders" if message.orders else ""
            return f"the broker shows {len(message.positions)} open{waiting}"
        case AccountRead():
            balance = f"balance {money_text(message.balance_cents, message)}"
            return f"account read: {balance}, equity {money_text(message.equity_cents, message)}"
        case _:
            assert_never(message)


def _request_words(request: OpenRequest | CloseRequest | StopRequest, known: ViewState) -> str:
    spec = known.specs.get(request.symbol)
    match request:
        case OpenRequest():
            stop = f", stop {price_text(request.stop_points, spec)}" if request.stop_points else ""
            what = f"{request.direction.value} {lots_text(request.volume_steps, spec)} {request.symbol}"
            return f"{what} at {price_text(request.price_points, spec)} +- {request.deviation_points} points{stop}"
        case CloseRequest():
            left = lots_text(request.remaining_steps, spec) if request.remaining_steps else "nothing"
            return f"close position {request.ticket}, leave {left}"
        case StopRequest():
            return f"stop of position {request.ticket} at the broker to {price_text(request.stop_points, spec)}"


def _answer_words(answer: TerminalAnswered) -> str:
    number = f" {answer.code}" if answer.code else ""
    detail = f": {answer.detail}" if answer.detail else ""
    undurable = ", sent before the journal was on disk" if answer.undurable else ""
    return f"the terminal's answer to intent {answer.intent_id} is {answer.outcome.value}{number}{detail}{undurable}"


def _deal_words(deal: Deal, known: ViewState) -> str:
    spec = known.specs.get(deal.symbol)
    money = ", ".join(
        f"{name} {money_text(cents, known.account)}"
        for name, cents in (("profit", deal.profit_cents), ("commission", deal.commission_cents), ("swap", deal.swap_cents))
        if cents
    )
    what = f"{deal.entry.value}, {deal.direction.value} {lots_text(deal.volume_steps, spec)}"
    return (
        f"deal {deal.deal_ticket} ({deal.reason.value}): {what} at {price_text(deal.price_points, spec)}{money and ', '}{money}"
    )


def _terms_words(message: OfTerms) -> str:
    match message:
        case SymbolSpecified(spec):
            volume = f"{lots_of(spec.volume_min_steps, spec)} to {lots_of(spec.volume_max_steps, spec)} lots"
            spread = f"spread {spec.typical_spread_points} points"
            return f"the broker's terms of {spec.symbol}: {spec.digits} digits, {volume}, {spread}"
        case DailyBarsRead():
            return f"{len(message.days)} daily bars of {message.symbol} read"
        case RunConfigured():
            return f"the run's configuration, {len(message.settings)} characters of JSON"
        case ChildServing():
            return f"{message.child} serves"
        case _:
            assert_never(message)


def _trading_words(message: OfTrading) -> str:
    match message:
        case StartTrading():
            return f"{message.by} starts trading"
        case PauseTrading():
            time = f" for {duration_text(message.for_ms)}" if message.for_ms else ""
            return f"{message.by} pauses new entries{_scope_words(message.scope)}{time}"
        case ResumeTrading():
            return f"{message.by} ends the pause{_scope_words(message.scope)}"
        case RestrictTrading():
            return f"{message.by} asks for mode {message.mode.value}{_scope_words(message.scope)}"
        case KillTrading():
            epoch = f", epoch {message.epoch}" if message.epoch else ""  # a smaller scope has none
            return (
                f"{message.by} kills trading{_scope_words(message.scope)}{epoch}{', and flattens' if message.flatten else ''}"
            )
        case RearmTrading():
            return f"{message.by} rearms"
        case _:
            assert_never(message)


def _scope_words(scope: str) -> str:
    return "" if scope == ACCOUNT else f" in {scope}"


def _asked_words(message: OfAsked) -> str:
    match message:
        case CloseTicket():
            return f"{message.by} asks to close position {message.ticket}"
        case AdoptPosition():
            return f"{message.by} asks to make position {message.ticket} ours"
        case RaiseSignal():
            whose = f" for {message.strategy}" if message.strategy else ""
            source = f", {message.origin} {message.source_id!r}" if message.source_id else ""
            return f"{message.by} asks for a signal to {message.direction.value} {message.symbol}{whose}{source}"
        case CloseScope():
            return f"everything of ours in {message.scope} is to be closed: {message.reason.value}"
        case LowerMode():
            return f"{message.by} demands mode {message.mode.value}: {message.reason}"
        case _:
            assert_never(message)


def _command_words(message: OfCommands) -> str:
    match message:
        case CommandAccepted():
            return f"command {message.command_id} accepted"
        case CommandRefused():
            return f"command {message.command_id} refused: {message.reason}"
        case CommandDone():
            return f"command {message.command_id} done: {message.detail}"
        case _:
            assert_never(message)
