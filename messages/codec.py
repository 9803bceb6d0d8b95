"""Messages to bytes and back. The union lists every type that was ever written; retired ones stay readable."""

import functools
import inspect
import operator as operator_module
from types import ModuleType
from typing import Any, Final

import msgspec

from evenkeel.messages import (
    broker_gateway,
    chain_store,
    circuit_breaker,
    entry,
    health,
    market,
    operator,
    position,
    protection,
    recovery,
    retired,
    risk_limit,
    shield,
    storage,
    system,
    trading_calendar,
)
from evenkeel.messages.system import Message, Observation

_TOPICS: Final = (
    system,
    market,
    entry,
    position,
    protection,
    broker_gateway,
    operator,
    risk_limit,
    trading_calendar,
    storage,
    health,
    recovery,
    chain_store,
    shield,
    circuit_breaker,
    retired,
)


def _said_in(topic: ModuleType) -> list[type[Message]]:
    bases = (Message, Observation)
    found = [kind for _, kind in inspect.getmembers(topic, inspect.isclass) if kind.__module__ == topic.__name__]
    return [kind for kind in found if issubclass(kind, Message) and kind not in bases]


MESSAGE_TYPES: Final[tuple[type[Message], ...]] = tuple(kind for topic in _TOPICS for kind in _said_in(topic))
_Union: Any = functools.reduce(operator_module.or_, MESSAGE_TYPES)

_encoder = msgspec.msgpack.Encoder()
_decoder: msgspec.msgpack.Decoder[Message] = msgspec.msgpack.Decoder(_Union)


def encode(message: Message) -> bytes:
    """msgpack bytes `[tag, field, …]`."""
    return _encoder.encode(message)


def decode(body: bytes) -> Message:
    """The message in `body`; raises msgspec.ValidationError (wrong shape) or its base DecodeError (not msgpack, not UTF-8)."""
    try:
        return _decoder.decode(body)
    except UnicodeDecodeError as error:
        raise msgspec.DecodeError(f"not UTF-8: {error}") from error


def kind_of(body: bytes) -> str:
    """The tag of an encoded message, without decoding the rest: `type(decode(body)).__name__`.

    Raises msgspec.DecodeError when there is none.
    """
    at = 1 if body[:1] < b"\xa0" else 3  # the array's length: four bits, or two bytes of their own
    if body[at : at + 1] == b"\xd9":
        start, end = at + 2, at + 2 + int.from_bytes(body[at + 1 : at + 2])
    else:
        start, end = at + 1, at + 1 + (body[at] & 0x1F if len(body) > at else 0)
    kind = body[start:end]
    if kind not in _KINDS:
        raise msgspec.DecodeError(f"no message: {body[:40]!r}")
    return _KINDS[kind]


_KINDS: Final = {kind.__name__.encode(): kind.__name__ for kind in MESSAGE_TYPES}
