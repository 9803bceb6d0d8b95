"""From a signal of another program to the supervisor, at most once.

An id is on disk before anybody is asked. The command's id is made of what the signal says, and the control channel carries out
a command's id once, also over a restart; so whoever is asked again after a crash in between answers what became of the first.
Where the supervisor was not there nobody was asked, and the id is free again.
"""

import getpass
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Final, Literal, NamedTuple

from loguru import logger

from evenkeel.adapters import control_channel as channel
from evenkeel.adapters.control_channel import (
    Accepted,
    ControlReply,
    Done,
    Malformed,
    NoAnswer,
    NotRunning,
    NotTheSupervisor,
    Refused,
)
from evenkeel.adapters.signal_ids import IdsUnusable, Kept, SignalIds
from evenkeel.rules.outside_signals import NotWanted, OutsideSignal, Terms, Wanted, wanted

WAIT_MS: Final = 1_500
ASKED_AGAIN_WITHIN: Final = 100
"""Signals. The supervisor knows what became of its last 1,024 commands, those of persons among them; of one that is further
back it could not tell whether it was carried out."""
ANSWER_S: Final = 2.5
"""TradingView waits three seconds for an answer."""
Source = Literal["file", "webhook"]
End = Literal["raised", "accepted", "refused", "ignored", "conflict", "not_running", "unknown"]


class Answer(NamedTuple):
    """What became of a signal. "accepted": taken, its end not yet known; "conflict": its id was another signal's; "unknown":
    asked, and no answer; with "not_running" nothing was done and nothing is remembered. `is_repeat`: it is what became of it
    when it first came."""

    end: End
    detail: str
    is_repeat: bool = False


class Intake:
    """`ask` is the control channel's; it raises what that raises. One signal at a time, on any thread."""

    def __init__(
        self,
        source: Source,
        ids: SignalIds,
        ask: Callable[[channel.RaiseSignal], ControlReply],
        now_utc_ms: Callable[[], int],
    ) -> None:
        self._source = source
        self._ids = ids
        self._ask = ask
        self._now_utc_ms = now_utc_ms
        self._by = sender(source)
        self._lock = threading.Lock()

    def take(self, signal: OutsideSignal, terms: Terms) -> Answer:
        """Raises IdsUnusable: then nobody was asked."""
        with self._lock:
            kept = self._ids.kept(signal.id)
            if kept is not None and (kept.end != "pending" or kept.digest != signal.digest):
                return _repeated(kept, signal.digest)
            found = wanted(signal, terms, self._now_utc_ms())
            if isinstance(found, NotWanted):
                return Answer(found.end, found.text)
            kept = self._ids.begin(signal.id, signal.digest, self._now_utc_ms())
            if kept is not None and (kept.end != "pending" or kept.digest != signal.digest):
                return _repeated(kept, signal.digest)  # another process was faster
            if kept is not None and self._ids.begun_since(kept) > ASKED_AGAIN_WITHIN:
                return Answer("unknown", "it was begun before, and too long ago to ask what became of it")
            answer = self._asked(signal, found)
            self._keep(signal, answer, is_new=kept is None)
            return answer

    def _asked(self, signal: OutsideSignal, found: Wanted) -> Answer:
        request = channel.RaiseSignal(
            command_id=f"signal-{signal.digest[:48]}",
            by=self._by,
            wait_ms=WAIT_MS,
            symbol=found.symbol,
            direction=signal.direction,
            strategy=signal.strategy,
            confidence=found.confidence,
            origin=self._source,
            source_id=signal.id,
        )
        try:
            reply = self._ask(request)
        except (NotRunning, NotTheSupervisor) as error:
            return Answer("not_running", str(error))
        except NoAnswer as error:
            return Answer("unknown" if error.sent else "not_running", str(error))
        match reply:
            case Done(_, detail):
                return Answer("raised", detail)
            case Accepted():
                return Answer("accepted", "the supervisor has it; what becomes of it is in its journal")
            case Refused(_, reason) | Malformed(reason):
                return Answer("refused", reason)
            case _:
                return Answer("unknown", f"the supervisor answered with {type(reply).__name__}")

    def _keep(self, signal: OutsideSignal, answer: Answer, *, is_new: bool) -> None:
        """Unknown stays pending, so that the same signal may ask what became of it; so does what cannot be written down, and
        what was begun before, for it may have been asked then."""
        try:
            if answer.end in ("raised", "accepted", "refused"):
                self._ids.settle(signal.id, Kept(signal.digest, answer.end, answer.detail, self._now_utc_ms()))
            elif answer.end == "not_running" and is_new:
                self._ids.forget(signal.id)
        except IdsUnusable as error:
            logger.warning("signal {!r} is {}, and that is not on disk: {}", signal.id, answer.end, error)


def _repeated(kept: Kept, digest: str) -> Answer:
    if kept.digest != digest:
        return Answer("conflict", "the id was used for another signal: each signal needs one of its own")
    assert kept.end != "pending", "a pending one is asked for again"
    return Answer(kept.end, kept.detail, is_repeat=True)


def supervisor_at(endpoint: Path) -> Callable[[channel.RaiseSignal], ControlReply]:
    """Asks the supervisor whose endpoint file this is."""
    return lambda request: channel.ask(endpoint, request, ANSWER_S)


def sender(source: Source) -> str:
    """Who asks, the same in each process of this user: a command that is asked again must be the same command."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = "unknown"
    letters = "".join(letter if letter.isalnum() and letter.isascii() else "_" for letter in user)
    return f"{letters[:48]}@{source}"
