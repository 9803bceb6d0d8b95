"""The terminal host's inside: one verb after the other to the one terminal, and the last gate before it."""

import os
import threading
from collections.abc import Callable, Sequence
from typing import Final, Protocol, assert_never

from loguru import logger

from evenkeel.adapters.broker import Answer, Broker
from evenkeel.adapters.gate import DurableGate
from evenkeel.adapters.terminal_host import verbs
from evenkeel.adapters.terminal_host.budget import Budget
from evenkeel.messages.broker_gateway import CallTerminal, Outcome
from evenkeel.messages.entry import DenialReason

_FINAL: Final = (Outcome.ACCEPTED, Outcome.REJECTED, Outcome.VOID)


class HostedTerminal(Broker, Protocol):
    """The broker inside the host."""

    @property
    def refusal(self) -> str | None:
        """Why nothing may be opened; None: it may."""
        ...

    def check_identity(self) -> str | None: ...

    def who(self) -> tuple[int, str]:
        """Login and server."""
        ...


class TerminalService:
    """Answers frames; called on several threads. The terminal is used by one at a time, the gate asked in the same breath.

    `epoch_on_disk` is what `evenkeel kill` writes; the host also goes by the epochs that a beat or the kill port told.
    `on_time` hears the run's time of each beat that tells it.
    """

    def __init__(
        self,
        terminal: HostedTerminal,
        gate: DurableGate,
        budget: Budget,
        *,
        epoch_on_disk: Callable[[], int],
        monotonic_s: Callable[[], float],
        silent_limit_s: float,
        build: str,
        on_leave: Callable[[], None],
        on_time: Callable[[int], None] = lambda utc_ms: None,
    ) -> None:
        self._terminal, self._gate, self._budget = terminal, gate, budget
        self._epoch_on_disk, self._monotonic_s, self._silent_limit_s = epoch_on_disk, monotonic_s, silent_limit_s
        self._build, self._on_leave, self._on_time = build, on_leave, on_time
        self._lock = threading.Lock()
        self._told_epoch = 0
        self._beat_s, self._has_beaten = monotonic_s(), False

    @property
    def silent_s(self) -> float:
        """Since the supervisor's last beat, or since the beginning."""
        return self._monotonic_s() - self._beat_s

    def alone(self, work: Callable[[], None]) -> None:
        """Do it while no verb uses the terminal."""
        with self._lock:
            work()

    def reply(self, body: bytes) -> bytes:
        """For the frame server: whatever comes, an answer goes."""
        try:
            asked = verbs.verb(body)
        except (ValueError, RecursionError) as error:
            return verbs.encode(verbs.Malformed(str(error)[:500]))
        return self._framed(asked)

    def kill_reply(self, body: bytes) -> bytes:
        """For the kill port, where only that is understood."""
        try:
            asked = verbs.verb(body)
        except (ValueError, RecursionError) as error:
            return verbs.encode(verbs.Malformed(str(error)[:500]))
        if not isinstance(asked, verbs.KillNow):
            return verbs.encode(verbs.Malformed("the kill port takes nothing but a kill"))
        return verbs.encode(self._killed(asked))

    def _framed(self, asked: verbs.Verb) -> bytes:
        try:
            return verbs.encode(self.answer(asked))
        except Exception:  # noqa: BLE001 - the edge of the process: a fault behind one verb must not end the channel
            logger.exception("{} failed", type(asked).__name__)
            if isinstance(asked, verbs.Open | verbs.Close | verbs.SetStops):
                return verbs.encode(_answered(Answer(Outcome.UNKNOWN, detail="the host failed at it")))
            return verbs.encode(verbs.Unreadable())

    def answer(self, asked: verbs.Verb) -> verbs.Reply:
        """What `reply` says, for whoever is in the same process. Raises what the terminal raises."""
        match asked:
            case verbs.Hello():
                login, server = self._terminal.who()
                return verbs.Identified(os.getpid(), self._build, login, server, self._terminal.refusal or "")
            case verbs.Beat():
                return self._beaten(asked)
            case verbs.KillNow():
                return self._killed(asked)
            case verbs.Leave():
                self._on_leave()
                return verbs.Beaten(self._told_epoch, "")
            case _:
                came_s = self._monotonic_s()
                with self._lock:
                    return self._given_up(asked, self._monotonic_s() - came_s) or self._with_terminal(asked)

    def _given_up(self, asked: verbs.Verb, waited_s: float) -> verbs.Reply | None:
        """An order that waited here longer than its sender waits for it."""
        if not isinstance(asked, verbs.Open | verbs.Close | verbs.SetStops):
            return None
        if not asked.within_ms or waited_s * 1000 < asked.within_ms:
            return None
        outcome = Outcome.VOID if isinstance(asked, verbs.Open) else Outcome.REJECTED
        return _answered(Answer(outcome, detail=DenialReason.EXPIRED.value))

    def _with_terminal(self, asked: verbs.Verb) -> verbs.Reply:
        terminal = self._terminal
        match asked:
            case verbs.Open():
                return _answered(self._open(asked))
            case verbs.Close(volume_steps=volume_steps, magic=magic, request=request):
                self._budget.spend()
                return _answered(terminal.close_position(request, volume_steps, magic))
            case verbs.SetStops(request=request):
                self._budget.spend()
                return _answered(terminal.set_stops(request))
            case verbs.ReadPositions():
                positions = terminal.positions()
                if positions is None or len(positions) > verbs.POSITIONS_MAX:
                    return verbs.Unreadable()
                return verbs.Positions(tuple(positions))
            case verbs.ReadOrders():
                orders = terminal.orders()
                if orders is None or len(orders) > verbs.ORDERS_MAX:
                    return verbs.Unreadable()
                return verbs.Orders(tuple(orders))
            case verbs.ReadDeals(after_ticket):
                deals = terminal.deals(after_ticket)
                if deals is None:
                    return verbs.Unreadable()
                return verbs.Deals(tuple(deals[: verbs.DEALS_AT_ONCE]), len(deals) > verbs.DEALS_AT_ONCE)
            case verbs.ReadCash(after_ticket):
                cash = terminal.cash(after_ticket)
                if cash is None:
                    return verbs.Unreadable()
                return verbs.CashMovements(tuple(cash[: verbs.DEALS_AT_ONCE]), len(cash) > verbs.DEALS_AT_ONCE)
            case verbs.ReadAccount():
                account = terminal.account()
                return verbs.Unreadable() if account is None else verbs.Account(account)
            case verbs.ReadSymbol(name):
                spec = terminal.symbol(name)
                return verbs.Unreadable() if spec is None else verbs.Terms(spec)
            case verbs.ReadQuote(symbol):
                quote = terminal.quote(symbol)
                return verbs.Unreadable() if quote is None else verbs.Quoted(quote)
            case verbs.ReadTicks(symbol, from_utc_ms, skip):
                return self._ticks(symbol, from_utc_ms, skip)
            case verbs.ReadDays(symbol, count):
                days = terminal.daily_ranges(symbol, count)
                return verbs.Unreadable() if days is None else verbs.Days(tuple(days))
            case verbs.Hello() | verbs.Beat() | verbs.KillNow() | verbs.Leave():
                raise AssertionError(f"{asked} needs no terminal")
            case _:
                assert_never(asked)

    def _ticks(self, symbol: str, from_utc_ms: int, skip: int) -> verbs.Reply:
        found: Sequence[object] | None = self._terminal.ticks(symbol, from_utc_ms)
        if found is None:
            return verbs.Unreadable()
        end = skip + verbs.QUOTES_AT_ONCE
        return verbs.Ticks(tuple(found[skip:end]), len(found) > end)  # type: ignore[arg-type]

    def _open(self, asked: verbs.Open) -> Answer:
        """Asked, written down, sent: in one breath, so that nothing comes in between but a kill, which is therefore looked for
        last. A definite answer frees the resource; the supervisor's beat frees what its records have settled."""
        call = CallTerminal(asked.intent_id, asked.magic, asked.epoch, 0, asked.request)
        refusal = self._refusal(call, asked)
        if refusal is not None:
            return Answer(Outcome.VOID, detail=refusal)
        self._gate.admit(call, asked.request)
        if self._kill_epoch() > asked.epoch:  # the disk and the terminal took their time over the lines above
            self._gate.resolve(asked.intent_id)
            return Answer(Outcome.VOID, detail=DenialReason.EPOCH.value)
        self._budget.spend()
        answer = self._terminal.open_position(asked.request, asked.magic, intent_id=asked.intent_id, epoch=asked.epoch)
        if answer.outcome in _FINAL:
            self._gate.resolve(asked.intent_id)
        return answer

    def _refusal(self, call: CallTerminal, asked: verbs.Open) -> str | None:
        reason = self._gate.refusal(call, asked.request, self._kill_epoch())
        if reason is not None:
            return reason.value
        if asked.beaten_ms and self._now_ms() - asked.beaten_ms > asked.within_ms:
            return DenialReason.EXPIRED.value
        if not self._has_beaten or self.silent_s > self._silent_limit_s:
            return DenialReason.SUPERVISOR_SILENT.value
        if not self._budget.allows_open():
            return DenialReason.REQUEST_BUDGET.value
        return None if self._terminal.check_identity() is None else DenialReason.ACCOUNT_MISMATCH.value

    def _kill_epoch(self) -> int:
        return max(self._epoch_on_disk(), self._told_epoch)

    def _beaten(self, beat: verbs.Beat) -> verbs.Beaten:
        """Never waits for the terminal, so a hung call does not silence it."""
        self._beat_s, self._has_beaten = self._monotonic_s(), True
        self._gate.mode = beat.mode
        if beat.utc_ms:
            self._on_time(beat.utc_ms)
        self._told_epoch = max(self._told_epoch, beat.epoch)
        for intent_id in self._gate.unresolved:
            if intent_id <= beat.answered_intent_id and intent_id not in beat.unresolved:
                self._gate.resolve(intent_id)
        return verbs.Beaten(self._told_epoch, self._terminal.refusal or "", self._now_ms())

    def _now_ms(self) -> int:
        return round(self._monotonic_s() * 1000)

    def _killed(self, asked: verbs.KillNow) -> verbs.Beaten:
        self._told_epoch = max(self._told_epoch, asked.epoch)
        return verbs.Beaten(self._told_epoch, self._terminal.refusal or "")


def _answered(answer: Answer) -> verbs.Answered:
    return verbs.Answered(answer.outcome, *answer[1:5], answer.detail[:500])
