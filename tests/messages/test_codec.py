"""Every form in which a message was ever written can be read, and still says the same.

`golden.json` holds, for each tag, examples as bytes (hex) and in words. Entries are only added: after a new type, or a new
field at the end of one, run `python tests/messages/test_codec.py --add-missing`. What it holds is never rewritten; an entry
leaves only with a form that no release and no journal ever held.
"""

import contextlib
import json
import sys
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import inspect

from evenkeel.messages.codec import MESSAGE_TYPES, decode, encode, kind_of
from evenkeel.messages.system import Message

GOLDEN_PATH = Path(__file__).with_name("golden.json")


class Golden(msgspec.Struct):
    """One example: its bytes, and what each of its fields says."""

    hex: str
    says: dict[str, Any]


def goldens() -> dict[str, list[Golden]]:
    return msgspec.json.decode(GOLDEN_PATH.read_bytes(), type=dict[str, list[Golden]])


def example(kind: inspect.Type, numbers: Iterator[int], choice: int) -> Any:
    """A value of `kind`, no two numbers or texts in it alike; of unions and enums the member number `choice`, counted round."""
    match kind:
        case inspect.StructType(cls=cls, fields=fields):
            return cls(**{field.name: example(field.type, numbers, choice) for field in fields})
        case inspect.UnionType(types=types):
            return example(types[choice % len(types)], numbers, choice)
        case inspect.EnumType(cls=cls):
            return list(cls)[choice % len(cls)]
        case inspect.VarTupleType(item_type=item):
            return (example(item, numbers, choice), example(item, numbers, choice))
        case inspect.TupleType(item_types=items):
            return tuple(example(item, numbers, choice) for item in items)
        case inspect.StrType():
            return f"text {next(numbers)}"
        case inspect.BoolType():
            return next(numbers) % 2 == 0
        case inspect.FloatType():
            return next(numbers) + 0.5
        case inspect.IntType():
            return next(numbers)
        case inspect.NoneType():
            return None
        case _:
            raise AssertionError(f"say here what an example of {kind} is")


def choices(kind: inspect.Type) -> int:
    """The members of the widest union or enum in `kind`."""
    match kind:
        case inspect.StructType(fields=fields):
            return max((choices(field.type) for field in fields), default=1)
        case inspect.UnionType(types=types):
            return max(len(types), *map(choices, types))
        case inspect.EnumType(cls=cls):
            return len(cls)
        case inspect.VarTupleType(item_type=item):
            return choices(item)
        case _:
            return 1


def examples_of(kind: type[Message]) -> list[Message]:
    """So many that every value of every enum in it is written once."""
    info = inspect.type_info(kind)
    return [example(info, count(1), choice) for choice in range(choices(info))]


def in_words(value: Any) -> Any:
    """`value` with the names of its fields, which the bytes leave out."""
    match value:
        case msgspec.Struct():
            return {name: in_words(getattr(value, name)) for name in value.__struct_fields__}
        case tuple():
            return [in_words(item) for item in value]
        case _:
            return msgspec.to_builtins(value)


def still_says(now: Any, then: Any) -> bool:
    """Everything said `then` is said `now`; a field added since says more."""
    match then:
        case dict():
            return all(name in now and still_says(now[name], said) for name, said in then.items())
        case list():
            return len(now) == len(then) and all(map(still_says, now, then))
        case _:
            return bool(now == then)


def tag_of(kind: type[Message]) -> str:
    return str(kind.__struct_config__.tag)


GOLDENS = [
    pytest.param(tag, golden, id=f"{tag}-{index}") for tag, known in goldens().items() for index, golden in enumerate(known)
]
KINDS = [pytest.param(kind, id=tag_of(kind)) for kind in MESSAGE_TYPES]


@pytest.mark.parametrize("tag, golden", GOLDENS)
def test_what_was_written_is_read_as_it_was_meant(tag: str, golden: Golden) -> None:
    message = decode(bytes.fromhex(golden.hex))
    assert tag_of(type(message)) == tag
    assert still_says(in_words(message), golden.says)


@pytest.mark.parametrize("kind", KINDS)
def test_today_s_form_of_a_message_is_recorded(kind: type[Message]) -> None:
    recorded = {golden.hex for golden in goldens().get(tag_of(kind), [])}
    assert {encode(message).hex() for message in examples_of(kind)} <= recorded, "run this file with --add-missing"


@pytest.mark.parametrize("kind", KINDS)
def test_a_message_comes_back_equal(kind: type[Message]) -> None:
    assert [decode(encode(message)) for message in examples_of(kind)] == examples_of(kind)


@pytest.mark.parametrize("kind", KINDS)
def test_a_torn_message_is_refused(kind: type[Message]) -> None:
    body = encode(examples_of(kind)[-1])
    for length in range(len(body)):
        with pytest.raises(msgspec.DecodeError):
            decode(body[:length])


@pytest.mark.parametrize("kind", KINDS)
def test_a_value_of_another_type_is_refused(kind: type[Message]) -> None:
    parts = msgspec.msgpack.decode(encode(examples_of(kind)[-1]))
    for index in range(len(parts)):
        with pytest.raises(msgspec.ValidationError):
            decode(msgspec.msgpack.encode([*parts[:index], {"a map": "is no field"}, *parts[index + 1 :]]))


@pytest.mark.parametrize("parts", [[], ["NeverSaid", 1], [1], {"type": "TimerDue"}, None, "TimerDue"])
def test_an_unknown_word_is_refused(parts: object) -> None:
    with pytest.raises(msgspec.ValidationError):
        decode(msgspec.msgpack.encode(parts))


@given(st.binary(max_size=200))
def test_noise_is_a_message_or_is_refused(body: bytes) -> None:
    with contextlib.suppress(msgspec.DecodeError):
        assert isinstance(decode(body), Message)


def add_missing() -> None:
    known = goldens()
    for kind in MESSAGE_TYPES:
        recorded = known.setdefault(tag_of(kind), [])
        for message in examples_of(kind):
            golden = Golden(encode(message).hex(), in_words(message))
            if golden not in recorded:
                recorded.append(golden)
    entries = (
        f"{json.dumps(tag)}: [\n" + ",\n".join(json.dumps(msgspec.to_builtins(golden)) for golden in recorded) + "\n]"
        for tag, recorded in sorted(known.items())
    )
    GOLDEN_PATH.write_text("{\n" + ",\n".join(entries) + "\n}\n", "utf-8", newline="\n")


@pytest.mark.parametrize("body", [b"", b"\x90", b"\x92\xa1x", b"\xdc", b"\x92\xd9", b"\x92\xd9\x05Run", b"\x92\xa9RunStarte"])
def test_what_is_no_message_has_no_kind(body: bytes) -> None:
    with pytest.raises(msgspec.DecodeError, match="no message"):
        kind_of(body)


if __name__ == "__main__" and sys.argv[1:] == ["--add-missing"]:
    add_missing()
