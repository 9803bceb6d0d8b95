"""What the terminal's answer to an open, a close or a change of stops means for what is believed, and who is told."""

from collections.abc import Callable
from typing import Final

from evenkeel.messages.broker_gateway import OrderOutcomeUnknown, OrderRejected, Outcome, TerminalAnswered
from evenkeel.messages.entry import DenialReason
from evenkeel.messages.position import CloseFailed, CloseFailure, ExitReason, ReducePosition
from evenkeel.messages.protection import StopsRefused, StopsSet
from evenkeel.messages.system import Message, SetTimer
from evenkeel.rules import broker_book, broker_levels
from evenkeel.rules.broker_book import BrokerBook
from evenkeel.rules.entries import Refusal
from evenkeel.rules.order_intents import POSITION_GONE, CloseIntent, Life, OpenIntent, StopIntent, denied, request_for

STOP_FAILURES_MAX: Final = 2

ReadNow = Callable[[], list[Message]]
"""Ask for a reading of the broker's records; counts it, so it is called only where one is needed."""


def answered(
    book: BrokerBook, answer: TerminalAnswered, now_utc_ms: int, *, read_now: ReadNow, look_again: SetTimer
) -> list[Message]:
    """An answer to an intent that a deal or a reading resolved before says nothing new. `look_again` is the timer of the next
    reading."""
    intent_id = answer.intent_id
    if intent_id in book.opens:
        return _open_answered(book, book.opens[intent_id], answer, now_utc_ms, read_now)
    if intent_id in book.closes:
        return _close_answered(book, book.closes[intent_id], answer, read_now, look_again)
    if intent_id in book.stops:
        return _stop_answered(book, book.stops.pop(intent_id), answer, look_again)
    return []


def _open_answered(
    book: BrokerBook, intent: OpenIntent, answer: TerminalAnswered, now_utc_ms: int, read_now: ReadNow
) -> list[Message]:
    order = intent.order
    match answer.outcome:
        case Outcome.ACCEPTED:
            return broker_book.fill(
                book,
                intent,
                ticket=answer.ticket,
                price_points=answer.price_points or request_for(order).price_points,
                volume_steps=answer.volume_steps or order.volume_steps,
                opened_utc_ms=now_utc_ms,
            )
        case Outcome.REJECTED | Outcome.VOID if intent.life is Life.UNKNOWN:
            return []  # it may be a repeat that was refused: only the broker's records tell what became of the first
        case Outcome.REJECTED:
            broker_book.lapse(book, answer.intent_id)
            told = answer.intent_id, answer.code, answer.detail, order.lineage, answer.quote, order.volume_steps
            return [OrderRejected(order.proposal_id, order.symbol, order.direction, *told)]
        case Outcome.VOID:
            del book.opens[answer.intent_id]
            return [denied(order, "gate", Refusal(DenialReason(answer.detail)))]
        case Outcome.UNKNOWN | Outcome.PENDING:
            intent.life = Life.PENDING if answer.outcome is Outcome.PENDING else Life.UNKNOWN
            unknown = OrderOutcomeUnknown(
                order.proposal_id, order.symbol, order.direction, answer.intent_id, answer.detail, order.lineage
            )
            return [unknown, *read_now()]


def _close_answered(
    book: BrokerBook, intent: CloseIntent, answer: TerminalAnswered, read_now: ReadNow, look_again: SetTimer
) -> list[Message]:
    """An accepted close waits for its deal; a refused one goes back to the position's owner, unless the position is
    gone already and the deal will tell why."""
    order = intent.order
    match answer.outcome:
        case Outcome.ACCEPTED | Outcome.PENDING:
            intent.life = Life.ACCEPTED
            return [look_again]
        case Outcome.REJECTED | Outcome.VOID if answer.code != POSITION_GONE:
            del book.closes[answer.intent_id]
            detail = f"{answer.code} {answer.detail}"
            return [CloseFailed(order.ticket, order.symbol, order.generation, CloseFailure.REJECTED, detail)]
        case Outcome.REJECTED | Outcome.VOID | Outcome.UNKNOWN:
            intent.life = Life.UNKNOWN
            return read_now()


def _stop_answered(book: BrokerBook, intent: StopIntent, answer: TerminalAnswered, look_again: SetTimer) -> list[Message]:
    """A repair that failed is made again by the next reading; twice in a row, the position is closed. Who asked for other
    levels decides for himself."""
    position, named = book.positions.get(intent.ticket), (intent.ticket, intent.symbol)
    if position is None:
        return []
    if answer.outcome is Outcome.ACCEPTED:
        broker_levels.were_set(position, intent)
        return [StopsSet(*named, intent.spec_id, intent.stop_points, intent.target_points)]
    refused = StopsRefused(*named, answer.outcome, answer.code, answer.detail)
    if intent.is_asked:
        position.doubted = intent if answer.outcome in (Outcome.UNKNOWN, Outcome.PENDING) else position.doubted
        return [refused]
    position.stop_failures += 1
    said: list[Message] = [refused, look_again]
    if position.stop_failures >= STOP_FAILURES_MAX:
        said.append(ReducePosition(intent.ticket, intent.symbol, 0, ExitReason.UNPROTECTED))
    return said
