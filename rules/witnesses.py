"""Whose position is it? Three witnesses say which order of ours it answers: magic, comment, and shape with time.

Magic first; the comment where the broker lost the magic; shape and time where it lost both, and only while exactly one order
without an outcome fits. Who answers to neither is foreign. Witnesses that contradict each other prove nothing: a person looks.
"""

from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from evenkeel.messages.broker_gateway import BrokerOrder, BrokerPosition, Deal, DealReason
from evenkeel.rules.magic import OPENS_NUMBER_MAX, is_ours, magic_in, number_of
from evenkeel.rules.order_intents import Life, OpenIntent

WINDOW_BEFORE_MS: Final = 5_000
"""A broker's clock may be so far behind ours."""
WINDOW_AFTER_MS: Final = 180_000
"""A request that was held up on its way was filled so long after it left (reliability F3)."""


Marked = BrokerPosition | BrokerOrder | Deal


class Verdict(NamedTuple):
    """`intent`: the order it answers. Without one: `ours` by its marks, `disputed` says in words who contradicts whom, and
    `intent_ids` which orders of ours may be meant; else it is foreign."""

    intent: OpenIntent | None = None
    ours: bool = False
    disputed: str = ""
    intent_ids: tuple[int, ...] = ()


def verdict(position: BrokerPosition, intents: Sequence[OpenIntent], installation: int) -> Verdict:
    """Of a position that we do not know yet. `intents` are the orders without an outcome and those given up."""
    marked, noted = position.magic, magic_in(position.comment)
    noted = noted if is_ours(noted, installation) else 0
    if marked and noted and marked != noted:
        named = tuple(number_of(one) for one in (marked, noted) if is_ours(one, installation))
        return Verdict(disputed=f"magic {marked} and comment {position.comment!r} name different orders", intent_ids=named)
    magic = marked or noted
    if not magic:
        return _by_shape(position, intents)
    if not is_ours(magic, installation):
        return Verdict()
    intent = next((intent for intent in intents if intent.magic == magic), None)
    if intent is None:
        return Verdict(ours=True)
    contradiction = _contradiction(position, intent)
    if contradiction:
        return Verdict(disputed=contradiction, intent_ids=(number_of(magic),))
    return Verdict(intent)


def highest_number(shown: Iterable[Marked], installation: int) -> int:
    """The highest number of an open of ours in what the broker shows, by magic or comment; 0 where there is none."""
    marks = (mark for one in shown for mark in (one.magic, magic_in(one.comment)))
    numbers = (number_of(mark) for mark in marks if is_ours(mark, installation))
    return max((number for number in numbers if number <= OPENS_NUMBER_MAX), default=0)


def _by_shape(position: BrokerPosition, intents: Iterable[OpenIntent]) -> Verdict:
    """Two orders that fit it equally prove nothing; what a person opened by hand is no order of ours, and an order that was
    refused, or has not been answered yet, is nobody's guess."""
    if position.reason is DealReason.CLIENT:
        return Verdict()
    in_doubt = (intent for intent in intents if intent.life in (Life.UNKNOWN, Life.PENDING) and _is_in_time(position, intent))
    fitting = [intent for intent in in_doubt if not _contradiction(position, intent)]
    if len(fitting) > 1:
        numbers = tuple(number_of(intent.magic) for intent in fitting)
        return Verdict(disputed=f"without magic and comment it fits {len(fitting)} orders", intent_ids=numbers)
    return Verdict(fitting[0] if fitting else None)


def _contradiction(position: BrokerPosition, intent: OpenIntent) -> str:
    """How its shape differs from what was asked; "" where it does not. A broker may fill less, never more."""
    order = intent.order
    if position.symbol != order.symbol:
        return f"{position.symbol}, but order {number_of(intent.magic)} asked for {order.symbol}"
    if position.direction is not order.direction:
        return f"a {position.direction.value}, but order {number_of(intent.magic)} asked to {order.direction.value}"
    if position.volume_steps > order.volume_steps:
        asked = f"order {number_of(intent.magic)} asked for {order.volume_steps}"
        return f"{position.volume_steps} steps, but {asked}"
    return ""


def _is_in_time(position: BrokerPosition, intent: OpenIntent) -> bool:
    return -WINDOW_BEFORE_MS <= position.opened_utc_ms - intent.asked_utc_ms <= WINDOW_AFTER_MS
