"""One order intent against a broker that loses requests and replies, delays both, and shows late what it did.

Written from reliability.md 5.1 to 5.3, not from the code. A request is lost or arrives 0 to `DELAY` ticks after it was
sent; what it does can be read 0 to `LAG` ticks later; its reply comes with it or never; the process may die between any two
steps. With `unbounded` a request arrives and a position shows whenever they like. Only one intent is modelled: an answer
"never twice" says nothing of two intents of the same slot.
"""

from collections.abc import Iterator
from enum import StrEnum
from itertools import product
from typing import Final, NamedTuple

DELAY: Final = 3
LAG: Final = 2
ATTEMPTS: Final = 3
CRASHES: Final = 2


class Mark(StrEnum):
    """How a reading recognises what an intent opened. The broker keeps a magic, and may rewrite a comment."""

    MAGIC = "a magic of the strategy"
    UNIQUE_MAGIC = "a magic of this attempt"
    COMMENT = "a comment"


class Policy(NamedTuple):
    """What to do when no reply came `wait_ticks` after sending. `resends` False: leave it unknown, adopt what shows."""

    resends: bool = True
    wait_ticks: int = 1
    queries: bool = True
    journal_first: bool = True
    mark: Mark = Mark.UNIQUE_MAGIC


RESEND_ON_TIMEOUT: Final = Policy(queries=False)
QUERY_ONCE_THEN_RESEND: Final = Policy()
WAIT_TOO_SHORT_THEN_RESEND: Final = Policy(wait_ticks=DELAY + LAG - 1)
WAIT_OUT_THEN_RESEND: Final = Policy(wait_ticks=DELAY + LAG, mark=Mark.MAGIC)
JOURNAL_AFTER_SEND: Final = WAIT_OUT_THEN_RESEND._replace(journal_first=False)
MATCH_BY_COMMENT: Final = WAIT_OUT_THEN_RESEND._replace(mark=Mark.COMMENT)
WAIT_OUT_WITH_UNIQUE_MAGIC: Final = WAIT_OUT_THEN_RESEND._replace(mark=Mark.UNIQUE_MAGIC)
NEVER_RESEND: Final = Policy(resends=False)
NEVER_RESEND_JOURNAL_AFTER_SEND: Final = Policy(resends=False, journal_first=False)
UNSAFE: Final = {
    "resend on a time-out": RESEND_ON_TIMEOUT,
    "query once, then resend": QUERY_ONCE_THEN_RESEND,
    "wait less than delay and lag, then resend": WAIT_TOO_SHORT_THEN_RESEND,
    "journal after the send": JOURNAL_AFTER_SEND,
    "match by a comment": MATCH_BY_COMMENT,
    "never resend, but journal after the send": NEVER_RESEND_JOURNAL_AFTER_SEND,
}


class Phase(StrEnum):
    WANTS = "wants to send"
    READY = "has journaled, may send"
    SENT = "has sent, not yet journaled"
    WAITS = "waits for what became of it"
    OVER = "knows, or has given up"
    DOWN = "is dead"


class Request(NamedTuple):
    """On its way; `heard`: its sender still lives and would take its reply."""

    ticks: int
    heard: bool = True


class Position(NamedTuple):
    """At the broker; a reading shows it when `lag` is 0, and tells whose it is while it is `marked`."""

    lag: int
    marked: bool = True


class State(NamedTuple):
    """`sent` counts attempts as the process knows them, `journaled` as its journal does; `settled`: the outcome is in it."""

    phase: Phase = Phase.WANTS
    waited: int = 0
    sent: int = 0
    journaled: int = 0
    settled: bool = False
    requests: tuple[Request, ...] = ()
    positions: tuple[Position, ...] = ()
    crashes_left: int = CRASHES


class IntentModel:
    """`delay` and `lag` are what the broker may take, whatever the policy counts on."""

    def __init__(self, policy: Policy, *, unbounded: bool = False, delay: int = DELAY, lag: int = LAG) -> None:
        self._policy, self._unbounded, self._delay, self._lag = policy, unbounded, delay, lag

    def start(self) -> State:
        return State()

    def wrong(self, state: State) -> str:
        return "two positions" if len(state.positions) > 1 else ""

    def steps(self, state: State) -> Iterator[tuple[str, State]]:
        yield from self._act(state)
        yield from self._whenever(state) if self._unbounded else self._tick(state)
        if state.phase is not Phase.DOWN and state.crashes_left:
            dead = tuple(request._replace(heard=False) for request in state.requests)
            left = state.crashes_left - 1
            yield "crash", state._replace(phase=Phase.DOWN, waited=0, requests=dead, crashes_left=left)

    # -- the process ----------------------------------------------------------------------------------------------------

    def _act(self, state: State) -> Iterator[tuple[str, State]]:
        match state.phase:
            case Phase.WANTS if self._policy.journal_first:
                yield "journal", state._replace(phase=Phase.READY, journaled=state.journaled + 1)
            case Phase.WANTS | Phase.READY:
                yield from self._send(state)
            case Phase.SENT:
                yield "journal", state._replace(phase=Phase.WAITS, journaled=state.sent)
            case Phase.WAITS if state.waited >= self._policy.wait_ticks:
                yield self._after_waiting(state)
            case Phase.DOWN:
                yield "restart", self._restarted(state)
            case Phase.WAITS | Phase.OVER:
                pass

    def _send(self, state: State) -> Iterator[tuple[str, State]]:
        sent = state._replace(phase=Phase.WAITS if self._policy.journal_first else Phase.SENT, waited=0, sent=state.sent + 1)
        yield "send, the request is lost", sent
        if self._unbounded:
            yield "send", sent._replace(requests=(*sent.requests, Request(0)))
            return
        for label, filled in self._filled(sent, heard=True):
            yield f"send, {label}", filled
        for ticks in range(1, self._delay + 1):
            yield f"send, it takes {ticks}", sent._replace(requests=tuple(sorted((*sent.requests, Request(ticks)))))

    def _after_waiting(self, state: State) -> tuple[str, State]:
        policy = self._policy
        if policy.queries and any(position.marked and not position.lag for position in state.positions):
            return "query shows it", state._replace(phase=Phase.OVER, settled=True)
        seen = "query shows nothing" if policy.queries else "time-out"
        if not policy.resends:
            return f"{seen}, unknown", state
        if state.sent < ATTEMPTS:
            return f"{seen}, resend", state._replace(phase=Phase.WANTS, waited=0)
        return f"{seen}, give up", state._replace(phase=Phase.OVER)

    def _restarted(self, state: State) -> State:
        """It knows what its journal says; what is not in it was never sent, it believes."""
        if state.settled:
            return state._replace(phase=Phase.OVER)
        phase = Phase.WAITS if state.journaled else Phase.WANTS
        return state._replace(phase=phase, waited=0, sent=state.journaled)

    # -- the world ------------------------------------------------------------------------------------------------------

    def _tick(self, state: State) -> Iterator[tuple[str, State]]:
        """A tick for everybody: requests that arrive with it are filled, each in every way."""
        waited = min(state.waited + 1, self._policy.wait_ticks) if state.phase is Phase.WAITS else 0
        due = [request for request in state.requests if request.ticks == 1]
        later = state._replace(
            waited=waited,
            requests=tuple(request._replace(ticks=request.ticks - 1) for request in state.requests if request.ticks > 1),
            positions=tuple(sorted(position._replace(lag=max(0, position.lag - 1)) for position in state.positions)),
        )
        outcomes: list[tuple[str, State]] = [("tick", later)]
        for request in due:
            outcomes = [
                (f"{so_far}, {label}", filled)
                for so_far, before in outcomes
                for label, filled in self._filled(before, heard=request.heard)
            ]
        yield from outcomes

    def _whenever(self, state: State) -> Iterator[tuple[str, State]]:
        """No bound on anything: what is on its way arrives now or later, what was done shows now or later."""
        if state.phase is Phase.WAITS:
            yield "tick", state._replace(waited=min(state.waited + 1, self._policy.wait_ticks))
        for at, request in enumerate(state.requests):
            rest = state._replace(requests=state.requests[:at] + state.requests[at + 1 :])
            yield from self._filled(rest, heard=request.heard)
        for at, position in enumerate(state.positions):
            if position.lag:
                shown = (*state.positions[:at], position._replace(lag=0), *state.positions[at + 1 :])
                yield "it shows", state._replace(positions=tuple(sorted(shown)))

    def _filled(self, state: State, *, heard: bool) -> Iterator[tuple[str, State]]:
        """The broker executes a request, and its reply comes to whoever sent it, or to nobody."""
        lags = (0, 1) if self._unbounded else range(self._lag + 1)
        kept = (True, False) if self._policy.mark is Mark.COMMENT else (True,)
        for lag, marked in product(lags, kept):
            filled = state._replace(positions=tuple(sorted((*state.positions, Position(lag, marked)))))
            how = f"filled (shows after {lag}{'' if marked else ', mark rewritten'})"
            yield f"{how}, reply lost", filled
            if heard and state.phase is not Phase.DOWN:
                yield f"{how}, reply comes", filled._replace(phase=Phase.OVER, settled=True)
