"""A signal from outside is raised at most once, whoever dies in between."""

import datetime
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from evenkeel.adapters import control_channel as channel
from evenkeel.adapters.control_channel import Accepted, ControlReply, Done, NoAnswer, NotRunning, Refused
from evenkeel.adapters.signal_ids import SignalIds
from evenkeel.adapters.signal_intake import ASKED_AGAIN_WITHIN, Answer, Intake
from evenkeel.rules.outside_signals import OutsideSignal, Terms

SENT = datetime.datetime(2026, 11, 20, 9, 30, tzinfo=datetime.UTC)
TERMS = Terms(60_000)
Reply = Callable[[channel.RaiseSignal], ControlReply]


class Killed(BaseException):
    """The process ends here."""


class Desk:
    """An intake over ids on disk, a supervisor that answers as it is told, and a clock."""

    def __init__(self, path: Path) -> None:
        self.ids = SignalIds(path / "signals.lmdb")
        self.asked: list[channel.RaiseSignal] = []
        self.reply: Reply = lambda request: Done(request.command_id, "raised at bid 1.1")
        self.now_utc_ms = round(SENT.timestamp() * 1000)
        self.restart()

    def restart(self) -> None:
        self.intake = Intake("webhook", self.ids, self._answered, lambda: self.now_utc_ms)

    def take(self, terms: Terms = TERMS, **fields: Any) -> Answer:
        told = {"id": "a-1", "time": SENT, "symbol": "EURUSD", "direction": "buy"}
        return self.intake.take(OutsideSignal(**(told | fields)), terms)

    def answers_with(self, error: BaseException) -> None:
        def reply(request: channel.RaiseSignal) -> ControlReply:
            raise error

        self.reply = reply

    def _answered(self, request: channel.RaiseSignal) -> ControlReply:
        self.asked.append(request)
        return self.reply(request)


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    made = Desk(tmp_path)
    yield made
    made.ids.close()


def test_the_supervisor_hears_who_wants_what(desk: Desk) -> None:
    assert desk.take(strategy="trend", confidence=0.7) == Answer("raised", "raised at bid 1.1")
    (request,) = desk.asked
    assert (request.symbol, request.direction, request.strategy, request.confidence) == ("EURUSD", "buy", "trend", 0.7)
    assert (request.origin, request.source_id) == ("webhook", "a-1")
    assert request.by.endswith("@webhook")


@pytest.mark.parametrize(
    "reply, answer",
    [
        (Done("", "raised at bid 1.1"), Answer("raised", "raised at bid 1.1", is_repeat=True)),
        (Refused("", "EURUSD is not traded here"), Answer("refused", "EURUSD is not traded here", is_repeat=True)),
    ],
)
def test_the_same_signal_again_is_told_what_became_of_the_first_and_nobody_is_asked(
    desk: Desk, reply: ControlReply, answer: Answer
) -> None:
    desk.reply = lambda request: reply
    desk.take()
    desk.restart()
    desk.now_utc_ms += 3_600_000
    assert desk.take() == answer
    assert len(desk.asked) == 1


def test_a_signal_that_was_taken_and_is_not_done_yet_is_not_asked_for_again(desk: Desk) -> None:
    desk.reply = lambda request: Accepted(request.command_id)
    assert desk.take().end == "accepted"
    assert desk.take().is_repeat
    assert len(desk.asked) == 1


def test_an_id_stands_for_one_signal(desk: Desk) -> None:
    desk.take()
    assert desk.take(direction="sell").end == "conflict"
    assert len(desk.asked) == 1


def test_two_signals_have_two_commands(desk: Desk) -> None:
    desk.take()
    desk.take(id="a-2")
    assert len({request.command_id for request in desk.asked}) == 2


def test_an_old_signal_is_refused_and_leaves_its_id_free(desk: Desk) -> None:
    desk.now_utc_ms += 60_001
    assert desk.take() == Answer("refused", "sent 60.0 s ago, more than 60 s")
    desk.now_utc_ms -= 1
    assert desk.take().end == "raised"


@pytest.mark.parametrize("error", [NotRunning("nobody"), NoAnswer("takes no connection", sent=False)])
def test_without_a_supervisor_nothing_is_remembered(desk: Desk, error: Exception) -> None:
    before = desk.reply
    desk.answers_with(error)
    assert desk.take() == Answer("not_running", str(error))
    assert desk.ids.kept("a-1") is None
    desk.reply = before
    assert desk.take() == Answer("raised", "raised at bid 1.1")


def test_a_signal_whose_end_is_unknown_is_asked_for_again_as_the_same_command(desk: Desk) -> None:
    before = desk.reply
    desk.answers_with(NoAnswer("silent", sent=True))
    assert desk.take().end == "unknown"
    desk.answers_with(NotRunning("nobody"))
    assert desk.take().end == "not_running"
    assert desk.ids.kept("a-1") is not None, "it may have been raised"
    desk.reply = before
    assert desk.take() == Answer("raised", "raised at bid 1.1")
    assert len(set(desk.asked)) == 1, "the control channel carries out the same command once"


def test_a_death_between_remembering_and_asking_neither_loses_nor_doubles_a_signal(desk: Desk) -> None:
    before = desk.reply
    desk.answers_with(Killed())
    with pytest.raises(Killed):
        desk.take()
    desk.reply = before
    desk.restart()
    assert desk.take() == Answer("raised", "raised at bid 1.1")
    assert len(set(desk.asked)) == 1
    assert desk.take().is_repeat


def test_what_the_supervisor_may_have_forgotten_is_not_asked_for_again(desk: Desk) -> None:
    before = desk.reply
    desk.answers_with(NoAnswer("silent", sent=True))
    desk.take()
    desk.reply = before
    for number in range(ASKED_AGAIN_WITHIN + 1):
        desk.ids.begin(f"b-{number}", "digest", desk.now_utc_ms)
    assert desk.take().end == "unknown"
    assert len(desk.asked) == 1


def test_what_was_begun_is_not_asked_for_when_it_has_become_old(desk: Desk) -> None:
    desk.answers_with(NoAnswer("silent", sent=True))
    desk.take()
    desk.now_utc_ms += 60_001
    assert desk.take().end == "refused"
    assert len(desk.asked) == 1
