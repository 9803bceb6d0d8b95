"""What belongs to an answer: the records that name a position or proposal, what led to them, and what followed at once.

Every reading of the journal is one pass that keeps only what is told.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, NamedTuple

from evenkeel.adapters.lmdb_files import DayFiles
from evenkeel.commands.why.question import Numbered, OfChain, Proposal, Question, Topic
from evenkeel.commands.why.records import Said, decoded, record_at, said_of
from evenkeel.messages.broker_gateway import (
    BrokerAgreed,
    BrokerDisagreed,
    CallTerminal,
    CloseRequest,
    DealDone,
    ForeignPositionGone,
    ForeignPositionSeen,
    OpenRequest,
    OrderOutcomeResolved,
    OrderOutcomeUnknown,
    OrderRejected,
    ReadTerminal,
    StopRequest,
    TerminalAnswered,
)
from evenkeel.messages.chain_store import ChainNotSaved
from evenkeel.messages.entry import EntryProposed, OpenPosition, OrderDenied, ReentryRaised
from evenkeel.messages.market import ArmWatches, DisarmWatches, WantSamples
from evenkeel.messages.operator import CloseTicket
from evenkeel.messages.position import (
    CloseFailed,
    ClosePosition,
    PositionClosed,
    PositionOpened,
    PositionPriced,
    PositionReduced,
    ReducePosition,
    StopTightened,
)
from evenkeel.messages.recovery import (
    ChainEnded,
    ChainStepped,
    ChainWaitOver,
    ChainWaits,
    ReentrySignalled,
    ReserveRecovery,
    StopChain,
)
from evenkeel.messages.risk_limit import RecoveryRefused
from evenkeel.messages.shield import HedgeEnded, HedgeWanted
from evenkeel.messages.system import (
    CancelTimer,
    ChildDown,
    ChildServing,
    Message,
    MessageParked,
    RunStarted,
    RunStopped,
    SetTimer,
)
from evenkeel.rules.view_state import ViewState

OF_PROPOSAL: Final = (EntryProposed, OpenPosition, OrderDenied, OrderRejected, OrderOutcomeUnknown, OrderOutcomeResolved)
OF_TICKET: Final = (
    *(PositionOpened, PositionPriced, PositionReduced, PositionClosed),
    *(ClosePosition, ReducePosition, CloseFailed, CloseTicket),
    *(ForeignPositionSeen, ForeignPositionGone),
)
OF_INTENT: Final = (CallTerminal, TerminalAnswered, DealDone)
OF_CHAIN: Final = (
    *(ChainStepped, ChainEnded, ChainNotSaved, ChainWaits, ChainWaitOver, ReentrySignalled, StopChain),
    *(ReserveRecovery, RecoveryRefused, HedgeWanted, HedgeEnded, ReentryRaised),
    *(OrderDenied, OrderRejected, OrderOutcomeUnknown, OrderOutcomeResolved),
    *(PositionOpened, PositionClosed, StopTightened),
)
OF_RUN: Final = (RunStarted, RunStopped, ChildDown, ChildServing, MessageParked)
STEPS_MAX: Final = 2_000
"""A position that is asked to close again and again has a long story: what is told of it is cut after so many."""
HOUSEKEEPING: Final = (ArmWatches, DisarmWatches, WantSamples, SetTimer, CancelTimer, ReadTerminal)
"""What follows from almost everything and explains nothing."""
EFFECTS_MAX: Final = 20
LOOKED_AHEAD: Final = 10_000
"""So many records after one are searched for what followed from it."""


class Story(NamedTuple):
    """What is told, in order. `known` are the terms and the account that its numbers are told with."""

    said: list[Said]
    known: ViewState
    ticket: int | None = None


def story_of(files: DayFiles, question: Question) -> Story | None:
    """None when the journal knows nothing of it. Raises JournalError, or msgspec's for another build's message."""
    match question:
        case Topic():
            return _of_topic(files, question)
        case OfChain(chain_id):
            return _of_chain(files, chain_id) or story_of(files, Proposal(chain_id))
        case Proposal(proposal_id):
            opened = said_of(files, (PositionOpened,))
            ticket = next((said.message.ticket for said in opened if said.message.lineage.proposal_id == proposal_id), None)
            return _of_own(files, ticket, proposal_id)
        case Numbered("ticket", ticket):
            return _of_ticket(files, ticket)
        case Numbered("deal", number):
            return _of_deal(files, number)
        case Numbered("intent", number):
            return _of_intent(files, number)
        case Numbered("seq", seq):
            return _of_record(files, seq)
        case Numbered(_, number):
            return _of_ticket(files, number) or _of_deal(files, number) or _of_record(files, number)


def _of_topic(files: DayFiles, topic: Topic) -> Story | None:
    newest, known = None, ViewState()
    for said in said_of(files, topic.kinds, known=known):
        if topic.is_meant(said.message):
            newest = said
    if newest is None:
        return None
    if isinstance(newest.message, PositionClosed):
        return _of_ticket(files, newest.message.ticket)
    if isinstance(newest.message, ChainStepped | ChainEnded):
        return _of_chain(files, newest.message.chain_id)
    if isinstance(newest.message, OF_PROPOSAL):
        return story_of(files, Proposal(newest.message.proposal_id))
    return _told(files, newest, known)


def _of_chain(files: DayFiles, chain_id: str) -> Story | None:
    """Every step of a chain, its orders and trades, and what led to each, with the restarts on the way."""
    known = ViewState()
    own: dict[int, Said] = {}
    run: list[Said] = []
    tickets: set[int] = set()
    recoveries: set[str] = set()
    for said in said_of(files, (*OF_CHAIN, *OF_RUN), known=known):
        if own and isinstance(said.message, OF_RUN):
            run = [*run, said][-STEPS_MAX:]
        elif len(own) < STEPS_MAX and _is_of_chain(said.message, chain_id, tickets, recoveries):
            own[said.record.seq] = said
    return Story(_with_interruptions(files, own, run), known) if own else None


def _is_of_chain(message: Any, chain_id: str, tickets: set[int], recoveries: set[str]) -> bool:
    """It names the chain, or one of its trades or recoveries: `tickets` and `recoveries` are those that were met so far."""
    match message:
        case StopTightened(ticket):
            return ticket in tickets
        case RecoveryRefused():
            return message.recovery_id in recoveries
        case ReentryRaised(signal=signal):
            return signal.lineage.chain_id == chain_id
        case ReserveRecovery() if message.chain_id == chain_id:
            recoveries.add(message.recovery_id)
            return True
        case PositionOpened(ticket, lineage=lineage) if lineage.chain_id == chain_id:
            tickets.add(ticket)
            return True
        case _:
            named: Any = getattr(message, "lineage", message)  # orders and trades name it there, steps themselves
            return isinstance(message, OF_CHAIN) and bool(named.chain_id == chain_id)


def _with_interruptions(files: DayFiles, own: Mapping[int, Said], run: Iterable[Said]) -> list[Said]:
    """In order, with what led to each, and with what became of the process meanwhile."""
    chosen = _with_causes(files, own.values())
    chosen |= {said.record.seq: said for said in run if said.record.seq < max(own) and _is_interruption(said.message)}
    return [chosen[seq] for seq in sorted(chosen)]


def _of_ticket(files: DayFiles, ticket: int) -> Story | None:
    for said in said_of(files, (PositionOpened, ForeignPositionSeen)):
        if said.message.ticket == ticket:
            return _of_own(files, ticket, said.message.lineage.proposal_id if isinstance(said.message, PositionOpened) else "")
    return None


def _of_deal(files: DayFiles, deal_ticket: int) -> Story | None:
    for said in said_of(files, (DealDone,)):
        if said.message.deal.deal_ticket == deal_ticket:
            return _of_ticket(files, said.message.deal.position_ticket) or _of_record(files, said.record.seq)
    return None


def _of_intent(files: DayFiles, intent_id: int) -> Story | None:
    for said in said_of(files, (CallTerminal,)):
        if said.message.intent_id == intent_id:
            return _of_record(files, said.record.seq)
    return None


def _of_own(files: DayFiles, ticket: int | None, proposal_id: str) -> Story | None:
    """Everything of a position from its signal on, with the crashes and restarts on the way."""
    known = ViewState()
    own: dict[int, Said] = {}
    run: list[Said] = []
    asked: set[int] = set()
    intents: set[int] = set()
    for said in said_of(files, (*OF_PROPOSAL, *OF_TICKET, *OF_INTENT, *OF_RUN), known=known):
        if own and isinstance(said.message, OF_RUN):
            run = [*run, said][-STEPS_MAX:]
        elif len(own) < STEPS_MAX and _is_own(said, ticket, proposal_id, asked, intents):
            own[said.record.seq] = said
    if not own:
        return None
    return Story(_with_interruptions(files, own, run), known, ticket)


def _is_own(said: Said, ticket: int | None, proposal_id: str, asked: set[int], intents: set[int]) -> bool:
    """It names the position, its proposal, or an intent of either; `asked` and `intents` are what led there so far.

    Causes alone do not lead there: what an edge says by itself (an order that waited for the disk, a reading) has none.
    """
    match said.message:
        case CallTerminal(intent_id, request=OpenRequest()) if said.record.cause_seq in asked:
            intents.add(intent_id)
        case CallTerminal(intent_id, request=CloseRequest(ticket=of) | StopRequest(ticket=of)) if of == ticket:
            intents.add(intent_id)
        case TerminalAnswered(intent_id) if intent_id in intents:
            pass
        case DealDone(deal) if ticket is not None and deal.position_ticket == ticket:
            pass
        case message if isinstance(message, OF_PROPOSAL) and proposal_id and message.proposal_id == proposal_id:
            asked.add(said.record.seq)
        case message if isinstance(message, OF_TICKET) and message.ticket == ticket:
            pass
        case _:
            return False
    return True


def _of_record(files: DayFiles, seq: int) -> Story | None:
    """A record, what led to it, and what it led to at once."""
    said = record_at(files, seq)
    if said is None:
        return None
    known = ViewState()
    for _ in said_of(files, (), to_seq=seq, known=known):
        pass  # terms and account as they were
    return _told(files, said, known)


def _told(files: DayFiles, said: Said, known: ViewState) -> Story:
    chosen = _with_causes(files, [said])
    chosen |= {one.record.seq: one for one in _circumstances(files, said)}
    return Story([chosen[at] for at in sorted(chosen)], known)


def _with_causes(files: DayFiles, told: Iterable[Said]) -> dict[int, Said]:
    """By number, with what led to each, backwards to a root or to where the journal begins."""
    chosen = {said.record.seq: said for said in told}
    for said in list(chosen.values()):
        cause_seq = said.record.cause_seq
        while cause_seq and cause_seq not in chosen:
            cause = record_at(files, cause_seq)
            if cause is None:
                break
            chosen[cause_seq] = cause
            cause_seq = cause.record.cause_seq
    return chosen


def _circumstances(files: DayFiles, said: Said) -> Iterator[Said]:
    """What followed from a record at once; of a start, how the process before ended; of a crash, what became of the child."""
    seq, message = said.record.seq, said.message
    if isinstance(message, RunStarted) and seq > 1:
        before = record_at(files, seq - 1)
        if before is not None:
            yield before
    effects = 0
    for record in files.records(seq + 1, seq + LOOKED_AHEAD):
        if record.cause_seq == seq and effects < EFFECTS_MAX:
            effect = decoded(record)
            if not isinstance(effect.message, HOUSEKEEPING):
                effects += 1
                yield effect
        elif not record.cause_seq or isinstance(message, RunStarted):
            follower = decoded(record)
            if _ends(message, follower.message):
                yield follower
                return


def _ends(trouble: Message, follower: Message) -> bool:
    match trouble:
        case RunStarted():
            return isinstance(follower, BrokerAgreed | BrokerDisagreed | RunStarted)
        case ChildDown(child) | MessageParked(child):
            return isinstance(follower, ChildServing | RunStarted) and getattr(follower, "child", child) == child
        case _:
            return False


def _is_interruption(message: Message) -> bool:
    return not (isinstance(message, ChildServing) and message.incarnation == 1)
