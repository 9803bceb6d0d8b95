"""`evenkeel why TICKET`: from the signal to the last deal of a position, out of the journal.

Only reads, so it works while the supervisor runs.
"""

import argparse
import sys
from collections.abc import Iterator, Sequence
from enum import Enum
from typing import Any, Final, NamedTuple

import msgspec

from evenkeel.adapters.lmdb_files import DayFiles
from evenkeel.adapters.os import StateError, state_root
from evenkeel.adapters.reporter import lots_text, money_text, price_text, told
from evenkeel.adapters.state_folder import StateFolder
from evenkeel.commands import exit_codes
from evenkeel.commands.status import utc_text
from evenkeel.messages import codec
from evenkeel.messages.broker_gateway import (
    AccountRead,
    CallTerminal,
    CloseRequest,
    Deal,
    DealDone,
    OpenRequest,
    OrderOutcomeResolved,
    OrderOutcomeUnknown,
    OrderRejected,
    PositionsRead,
    ReadTerminal,
    StopRequest,
    TerminalAnswered,
)
from evenkeel.messages.entry import EntryProposed, OpenPosition, OrderDenied, SignalRaised
from evenkeel.messages.market import BarClosed, PricesReached, Quote, SampleDue, SymbolSpec, SymbolSpecified
from evenkeel.messages.operator import CloseTicket, KillTrading, LowerMode
from evenkeel.messages.position import (
    CloseFailed,
    ClosePosition,
    PositionClosed,
    PositionOpened,
    PositionPriced,
    PositionReduced,
    ReducePosition,
)
from evenkeel.messages.system import ChildDown, ChildServing, Message, MessageParked, RunStarted, RunStopped, TimerDue
from evenkeel.rules.view_state import ViewState
from evenkeel.runtime.journal import JournalError, Record

OF_PROPOSAL: Final = (EntryProposed, OpenPosition, OrderDenied, OrderRejected, OrderOutcomeUnknown, OrderOutcomeResolved)
OF_TICKET: Final = (
    *(PositionOpened, PositionPriced, PositionReduced, PositionClosed),
    *(ClosePosition, ReducePosition, CloseFailed, CloseTicket),
)
OF_INTENT: Final = (CallTerminal, TerminalAnswered, DealDone)
OF_RUN: Final = (RunStarted, RunStopped, ChildDown, ChildServing, MessageParked)


class Said(NamedTuple):
    record: Record
    message: Any


class Story(NamedTuple):
    """What belongs to a position, in order. `known` are the terms and the account that its numbers are told with."""

    said: list[Said]
    known: ViewState


class WhyRecord(msgspec.Struct, frozen=True):
    """A record of the journal; `message` has its fields by name, `text` says it in words."""

    seq: int
    time_utc_ms: int
    cause_seq: int
    sender: str
    incarnation: int
    kind: str
    text: str
    message: dict[str, Any]


class WhyReport(msgspec.Struct, frozen=True):
    """What `--json` prints."""

    ticket: int
    records: list[WhyRecord]
    v: int = 1


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("ticket", type=int, help="the position's ticket")
    parser.add_argument("--account", default="simulated", help="the account's name (default: %(default)s)")
    parser.add_argument("--json", action="store_true", help="the records, as one JSON object")


def run(arguments: argparse.Namespace) -> int:
    """0, or 1 with one line when the journal cannot be read or does not know the ticket."""
    try:
        folder = StateFolder(state_root(), arguments.account)
        with DayFiles(folder.journal) as files:
            story = story_of(files, arguments.ticket)
    except StateError as error:
        print(f"why: {error}", file=sys.stderr)
        return exit_codes.USAGE
    except (JournalError, msgspec.DecodeError) as error:
        print(f"why: the journal cannot be read: {error}", file=sys.stderr)
        return exit_codes.FAILED
    if story is None:
        print(f"why: the journal of account {arguments.account} knows no position {arguments.ticket}", file=sys.stderr)
        return exit_codes.FAILED
    if arguments.json:
        print(msgspec.json.encode(WhyReport(arguments.ticket, [_as_record(said, story.known) for said in story.said])).decode())
    else:
        print("\n".join(_lines(story)))
    return exit_codes.OK


def story_of(files: DayFiles, ticket: int) -> Story | None:
    """None when no position of ours ever had that ticket. Raises JournalError, or msgspec's for another build's message."""
    known, orders, run = ViewState(), [], []
    for said in map(_decoded, files.records(1)):
        match said.message:
            case SymbolSpecified(spec):
                known.specs[spec.symbol] = spec
            case AccountRead():
                known.account = said.message
            case message if isinstance(message, OF_RUN):
                run.append(said)
            case message if isinstance(message, (*OF_PROPOSAL, *OF_TICKET, *OF_INTENT)):
                orders.append(said)
    own = _own(orders, ticket)
    if not own:
        return None
    chosen = {said.record.seq: said for said in own}
    for said in own:
        for cause in _causes(files, said.record, chosen):
            chosen[cause.record.seq] = cause
    between = [said for said in run if min(chosen) < said.record.seq < max(chosen) and _is_interruption(said.message)]
    chosen |= {said.record.seq: said for said in between}
    return Story([chosen[seq] for seq in sorted(chosen)], known)


def _decoded(record: Record) -> Said:
    return Said(record, codec.decode(bytes(record.body)))


def _own(orders: Sequence[Said], ticket: int) -> list[Said]:
    """What names the position, its proposal, or an intent of either.

    Causes alone do not lead there: what an edge says by itself (an order that waited for the disk, a reading) has none.
    """
    openings = (said.message for said in orders if isinstance(said.message, PositionOpened))
    opened = next((message for message in openings if message.ticket == ticket), None)
    if opened is None:
        return []
    proposal_id = opened.lineage.proposal_id
    found: list[Said] = []
    asked: set[int] = set()
    intents: set[int] = set()
    for said in orders:
        match said.message:
            case CallTerminal(intent_id, request=OpenRequest()) if said.record.cause_seq in asked:
                intents.add(intent_id)
            case CallTerminal(intent_id, request=CloseRequest(ticket=of) | StopRequest(ticket=of)) if of == ticket:
                intents.add(intent_id)
            case TerminalAnswered(intent_id) if intent_id in intents:
                pass
            case DealDone(deal) if deal.position_ticket == ticket:
                pass
            case message if isinstance(message, OF_PROPOSAL) and proposal_id and message.proposal_id == proposal_id:
                asked.add(said.record.seq)
            case message if isinstance(message, OF_TICKET) and message.ticket == ticket:
                pass
            case _:
                continue
        found.append(said)
    return found


def _causes(files: DayFiles, record: Record, known: dict[int, Said]) -> Iterator[Said]:
    """What led to `record`, backwards to a root, to something that is known already, or to where the journal begins."""
    while record.cause_seq and record.cause_seq not in known:
        cause = next(files.records(record.cause_seq, record.cause_seq), None)
        if cause is None:
            return
        yield _decoded(cause)
        record = cause


def _is_interruption(message: Message) -> bool:
    return not (isinstance(message, ChildServing) and message.incarnation == 1)


def _lines(story: Story) -> list[str]:
    return [
        f"{f'#{record.seq}':>8}  {utc_text(record.time_utc_ms)}  {record.sender:<18}  {_words(message, story.known)}"
        for record, message in story.said
    ]


def _as_record(said: Said, known: ViewState) -> WhyRecord:
    record, message = said
    return WhyRecord(
        seq=record.seq,
        time_utc_ms=record.time_utc_ms,
        cause_seq=record.cause_seq,
        sender=record.sender,
        incarnation=record.incarnation,
        kind=type(message).__name__,
        text=_words(message, known),
        message=_by_name(message),
    )


def _by_name(value: Any) -> Any:
    """Structs as maps: in the journal they are positional."""
    match value:
        case msgspec.Struct():
            return {name: _by_name(getattr(value, name)) for name in value.__struct_fields__}
        case list() | tuple():
            return [_by_name(item) for item in value]
        case Enum():
            return value.value
        case _:
            return value


def _words(message: Any, known: ViewState) -> str:
    """One record in plain words; what the reporter has words for is told as in the log."""
    match message:
        case BarClosed() | SampleDue() | PricesReached() | SignalRaised() | TimerDue():
            return _trigger_words(message, known.specs.get(getattr(message, "symbol", "")))
        case EntryProposed() | OpenPosition() | PositionPriced() | ClosePosition() | ReducePosition():
            return _decision_words(message, known)
        case CallTerminal():
            return f"intent {message.intent_id}: {_request_words(message.request, known)}"
        case TerminalAnswered():
            return _answer_words(message)
        case DealDone(deal):
            return _deal_words(deal, known)
        case ReadTerminal():
            return "the broker is asked for its positions"
        case PositionsRead():
            return f"the broker shows {len(message.positions)} open"
        case AccountRead():
            return f"account read: equity {money_text(message.equity_cents, known.account)}"
        case CloseTicket():
            return f"{message.by} asks to close it"
        case KillTrading():
            return f"{message.by} kills trading, epoch {message.epoch}{', and flattens' if message.flatten else ''}"
        case LowerMode():
            return f"{message.by} demands mode {message.mode.value}: {message.reason}"
        case _:
            return told(known, message) or type(message).__name__


def _trigger_words(message: BarClosed | SampleDue | PricesReached | SignalRaised | TimerDue, spec: SymbolSpec | None) -> str:
    match message:
        case BarClosed():
            spread = f"spread {message.spread_points} points, usually {message.spread_median_points}"
            at = f"at {price_text(message.close_points, spec)}, {spread}"
            return f"{message.timeframe} bar of {utc_text(message.open_utc_ms)} closed {at}; now {_quote(message.quote, spec)}"
        case SampleDue():
            return f"{message.symbol} looked at: {_quote(message.quote, spec)}, {message.age_ms} ms old"
        case PricesReached():
            levels = " and ".join(name.split("/")[1] for name in message.names)
            return f"{message.symbol} reached the {levels} level: {_quote(message.quote, spec)}"
        case SignalRaised(lineage=lineage):
            source = f"{lineage.strategy or lineage.origin}, confidence {lineage.confidence:g}"
            return f"signal to {message.direction.value} {message.symbol} ({source}): {_quote(message.quote, spec)}"
        case TimerDue():
            return f"the timer {message.name} is due"


def _decision_words(
    message: EntryProposed | OpenPosition | PositionPriced | ClosePosition | ReducePosition, known: ViewState
) -> str:
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
            return f"filled at {price_text(message.entry_points, spec)}, commission {commission}"
        case ClosePosition():
            left = f", leaving {lots_text(message.remaining_steps, spec)}" if message.remaining_steps else ""
            again = f", ask {message.generation}" if message.generation > 1 else ""
            at = f": {_quote(message.quote, spec)}" if message.quote else ""
            return f"to be closed: {message.reason.value}{left}{again}{at}"
        case ReducePosition():
            return f"its owner is asked to close it: {message.reason.value}"


def _distances(message: EntryProposed | OpenPosition) -> str:
    target = f"target {message.target_distance_points} points away" if message.target_distance_points else "no target"
    return f"stop {message.stop_distance_points} points away, {target}"


def _request_words(request: OpenRequest | CloseRequest | StopRequest, known: ViewState) -> str:
    spec = known.specs.get(request.symbol)
    match request:
        case OpenRequest():
            stop = f", stop {price_text(request.stop_points, spec)}" if request.stop_points else ""
            what = f"{request.direction.value} {lots_text(request.volume_steps, spec)} {request.symbol}"
            return f"{what} at {price_text(request.price_points, spec)} +- {request.deviation_points} points{stop}"
        case CloseRequest():
            left = lots_text(request.remaining_steps, spec) if request.remaining_steps else "nothing"
            return f"close, leave {left}"
        case StopRequest():
            return f"stop at the broker to {price_text(request.stop_points, spec)}"


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


def _quote(quote: Quote, spec: SymbolSpec | None) -> str:
    return f"bid {price_text(quote.bid_points, spec)}, ask {price_text(quote.ask_points, spec)}"
