import contextlib
import datetime
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evenkeel.rules.outside_signals import NoSignal, NotWanted, OutsideSignal, Terms, Wanted, signal_in, wanted

SENT = datetime.datetime(2026, 11, 20, 9, 30, tzinfo=datetime.UTC)
SENT_UTC_MS = round(SENT.timestamp() * 1000)
TERMS = Terms(60_000, {"FX:EURUSD": "EURUSD.r", "GBPUSD": "GBPUSD"}, ("trend",), 0.8)
LINE = {"id": "a-1", "time": "2026-11-20T09:30:00Z", "symbol": "EURUSD", "direction": "buy"}


def signal(**fields: Any) -> OutsideSignal:
    told = {"id": "a-1", "time": SENT, "symbol": "FX:EURUSD", "direction": "buy", "strategy": "trend"}
    return OutsideSignal(**(told | fields))


def answer(age_ms: int = 0, terms: Terms = TERMS, **fields: Any) -> str:
    found = wanted(signal(**fields), terms, SENT_UTC_MS + age_ms)
    assert isinstance(found, NotWanted)
    return f"{found.end}: {found.text}"


def test_a_signal_that_may_be_raised_is_told_in_our_own_words() -> None:
    assert wanted(signal(confidence=0.5), TERMS, SENT_UTC_MS) == Wanted("EURUSD.r", 0.5)


def test_confidence_beyond_what_is_allowed_is_cut() -> None:
    assert wanted(signal(), TERMS, SENT_UTC_MS) == Wanted("EURUSD.r", 0.8)


@pytest.mark.parametrize("age_ms", [-5_000, 0, 60_000])
def test_it_may_be_as_old_as_allowed_and_a_little_ahead(age_ms: int) -> None:
    assert isinstance(wanted(signal(), TERMS, SENT_UTC_MS + age_ms), Wanted)


def test_it_may_be_no_older_and_no_farther_ahead() -> None:
    assert answer(60_001) == "refused: sent 60.0 s ago, more than 60 s"
    assert answer(-5_001) == "refused: sent 5.0 s from now: the sender's clock and ours differ"


@pytest.mark.parametrize("direction, position", [("buy", "long"), ("sell", "short"), ("sell", "")])
def test_an_entry_of_the_senders_own_account_is_one_here(direction: str, position: str) -> None:
    assert isinstance(wanted(signal(direction=direction, position=position), TERMS, SENT_UTC_MS), Wanted)


@pytest.mark.parametrize("direction, position", [("sell", "flat"), ("buy", "flat"), ("sell", "long"), ("buy", "short")])
def test_what_ends_or_lessens_the_senders_position_is_ignored(direction: str, position: str) -> None:
    said = answer(direction=direction, position=position)
    assert said == f"ignored: a {direction} that leaves {position} enters nothing; exits are decided here"


def test_a_ticker_without_a_symbol_is_refused() -> None:
    assert answer(symbol="EURUSD") == "refused: EURUSD stands for no symbol here"


def test_only_the_strategies_that_are_allowed_may_be_named() -> None:
    assert answer(strategy="other") == "refused: a signal here may not be of other: trend"
    assert answer(strategy="") == "refused: a signal here names no strategy: trend"


def test_where_no_strategy_is_allowed_a_signal_names_none() -> None:
    open_to_none = TERMS._replace(strategies=())
    assert isinstance(wanted(signal(strategy=""), open_to_none, SENT_UTC_MS), Wanted)
    assert answer(terms=open_to_none) == "refused: a signal here may not be of trend: none is configured"


def test_without_a_list_symbols_and_strategies_are_as_named() -> None:
    assert wanted(signal(strategy="any"), Terms(60_000), SENT_UTC_MS) == Wanted("FX:EURUSD", 1.0)


@pytest.mark.parametrize(
    "field, value",
    [
        *(("id", ""), ("id", "x" * 97), ("id", "a\nb"), ("id", "ä"), ("id", 7)),
        *(("time", "2026-11-20T09:30:00"), ("time", "yesterday"), ("time", 1_767_600_000)),
        *(("symbol", ""), ("symbol", "EURUSD\n"), ("direction", "long"), ("direction", "buy\n"), ("strategy", "a b")),
        *(("confidence", 1.01), ("confidence", "1"), ("position", "none"), ("volume", 1)),
    ],
)
def test_what_a_signal_may_not_say_is_refused_at_the_door(field: str, value: object) -> None:
    with pytest.raises(NoSignal):
        signal_in(msgspec.json.encode(LINE | {field: value}), OutsideSignal)


@pytest.mark.parametrize("field", ["id", "time", "symbol", "direction"])
def test_what_a_signal_must_say_is_asked_for(field: str) -> None:
    line = {key: value for key, value in LINE.items() if key != field}
    with pytest.raises(NoSignal, match=f"missing required field `{field}`"):
        signal_in(msgspec.json.encode(line), OutsideSignal)


@pytest.mark.parametrize("text", [b"", b"\xff", b"[]", b"[" * 100_000, b'{"a\\u001b[2J\\n": 1}'])
def test_what_is_no_signal_is_told_in_one_line(text: bytes) -> None:
    with pytest.raises(NoSignal) as told:
        signal_in(text, OutsideSignal)
    assert str(told.value).isprintable()


LETTERS = 'aZ09 _-.:/+T"\\\n\x00\x1b\x7fäÿ€\u2028\U0001f600'
"""Not `st.text`, which spends seconds on a table of Unicode in every fresh checkout."""
TEXTS = st.lists(st.sampled_from(LETTERS), max_size=9).map("".join)


@settings(max_examples=50)
@given(st.binary(max_size=60) | st.dictionaries(st.sampled_from([*LINE, "x"]), TEXTS).map(msgspec.json.encode))
def test_any_bytes_are_a_signal_or_are_told_why_not(text: bytes) -> None:
    with contextlib.suppress(NoSignal):
        assert signal_in(text, OutsideSignal).id


def test_a_key_that_stands_there_twice_is_refused() -> None:
    with pytest.raises(NoSignal, match="a key stands there twice"):
        signal_in(msgspec.json.encode(LINE)[:-1] + b', "direction": "sell"}', OutsideSignal)


def test_the_digest_is_of_everything_that_is_said() -> None:
    others = {"id": "a-2", "time": SENT.replace(minute=31), "symbol": "GBPUSD", "direction": "sell", "strategy": ""}
    others |= {"confidence": 0.5, "position": "long"}
    assert len({signal().digest, *(signal(**{key: value}).digest for key, value in others.items())}) == 1 + len(others)
    in_paris = SENT.astimezone(datetime.timezone(datetime.timedelta(hours=1)))
    assert signal(time=in_paris).digest == signal().digest
