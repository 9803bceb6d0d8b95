"""The notifier edge: tells a person outside what happens, and lowers the mode when nobody can be told what is gravest.

What it hears is a notice, or none, by rules/notifier.py. A notice is written into the outbox and then sent, again and again
until each outlet has it; the receiver knows one that came twice by its id. It waits for no outlet.
"""

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Final

import msgspec
from loguru import logger

from evenkeel.adapters.outbox import Outbox
from evenkeel.adapters.outlets import Courier, Sent, Wire
from evenkeel.config.notifier import NotifierConfig
from evenkeel.messages.notifier import NoticeDelivered, NoticeOverdue
from evenkeel.messages.operator import LowerMode, Mode
from evenkeel.messages.system import Message
from evenkeel.rules import outbox as rules
from evenkeel.rules.notifier import DEADLINE_MS, GRAVE, NAME, Noted, NotifierState, noted
from evenkeel.rules.outbox import RETRY_AFTER_MS_MAX, WAIT_MS, Row, Sending
from evenkeel.runtime.edge import At

LOOK_MS: Final = 100
"""Between two looks while something is on its way."""
REST_MS: Final = 5_000
MINUTE_MS: Final = 60_000
_NS_PER_MS: Final = 1_000_000


class _Way(msgspec.Struct):
    """One outlet: what is on its way, and when it may be asked again. Times are monotonic. `must_wait`: it said so itself."""

    name: str
    courier: Courier
    on_its_way: Sending | None = None
    failures: int = 0
    not_before_ms: int = 0
    must_wait: bool = False
    detail: str = ""
    mild_sent_ms: deque[int] = msgspec.field(default_factory=deque)


class Notifier:
    """`couriers` by outlet. `utc_ms` is real time, whatever the run's clock; ages are monotonic."""

    def __init__(
        self,
        config: NotifierConfig,
        account: str,
        outbox: Outbox,
        couriers: Mapping[str, Courier],
        *,
        utc_ms: Callable[[], int],
        monotonic_ns: Callable[[], int],
    ) -> None:
        self.state = NotifierState()
        self.poll_s: float | None = LOOK_MS / 1000
        self._config = config
        self._account = account
        self._outbox = outbox
        self._ways = [_Way(name, courier) for name, courier in couriers.items()]
        self._names = tuple(couriers)
        self._utc_ms = utc_ms
        self._monotonic_ns = monotonic_ns
        self._noted: Noted | None = None
        self._since_ms: dict[int, int] = {}
        self._has_asked = False

    def remember(self, message: Message, /) -> None:
        if isinstance(message, NoticeDelivered | NoticeOverdue | LowerMode):
            return  # said; what lasts of a lowered mode comes back as ModeChanged
        self._noted = noted(self.state, message, self._config)

    def act(self, message: Message, at: At, /) -> Sequence[Message]:
        one, self._noted = self._noted, None
        if one is not None:
            self._put(one, at.seq, at.time_utc_ms)
        else:
            self._outbox.state.upto = self.state.heard
        return self._look()

    def resume(self, now_utc_ms: int, /) -> Sequence[Message]:
        """What was heard and not written down is written now. Time begins anew for what waits: nobody was there to send it."""
        self._noted = None
        upto = self._outbox.state.upto
        for one in self.state.kept:
            if one.number > upto:
                self._put(one, 0, now_utc_ms)
        return self._look()

    def poll(self, now_utc_ms: int, /) -> Sequence[Message]:
        return self._look()

    def close(self) -> None:
        """Who is on the way is left alone; what was not taken waits for the next start."""

    def _put(self, one: Noted, seq: int, time_utc_ms: int) -> None:
        busy = {number for way in self._ways if way.on_its_way is not None for number in way.on_its_way.numbers}
        self._outbox.put(one, seq=seq, time_utc_ms=time_utc_ms, now_utc_ms=self._utc_ms(), outlets=self._names, busy=busy)

    def _look(self) -> list[Message]:
        said: list[Message] = []
        for way in self._ways:
            said += self._heard_back(way)
            self._send(way)
        said += self._overdue()
        self._give_up()
        self.poll_s = self._rest_ms() / 1000
        return said

    def _rest_ms(self) -> int:
        """Until something may be due."""
        now_ms, state = self._now_ms(), self._outbox.state
        rests = [REST_MS, *(self._since_ms[row.number] + DEADLINE_MS - now_ms for row in rules.unjudged(state))]
        for way in self._ways:
            if way.on_its_way is not None:
                return LOOK_MS
            if rules.waiting(state, (way.name,)):
                minute_ends_ms = way.mild_sent_ms[0] + MINUTE_MS if way.mild_sent_ms else now_ms
                rests.append(max(way.not_before_ms, min(minute_ends_ms, now_ms + REST_MS)) - now_ms)
        return max(LOOK_MS, min(rests))

    # -- one outlet -----------------------------------------------------------------------------------------------------

    def _send(self, way: _Way) -> None:
        if way.on_its_way is not None:
            return
        now_ms, state = self._now_ms(), self._outbox.state
        if now_ms < way.not_before_ms and (way.must_wait or not rules.has_untried(state, way.name)):
            return
        while way.mild_sent_ms and now_ms - way.mild_sent_ms[0] >= MINUTE_MS:
            way.mild_sent_ms.popleft()
        sending = rules.next_sending(state, way.name, self._config.per_minute_max - len(way.mild_sent_ms))
        if sending is None:
            return
        if sending.severity > GRAVE:
            way.mild_sent_ms.append(now_ms)
        way.on_its_way = sending
        way.courier.begin(self._wire(sending))

    def _wire(self, sending: Sending) -> Wire:
        return Wire(
            id=f"{self._outbox.state.instance}-{sending.name}",
            event=sending.event.value,
            severity=sending.severity,
            silent=sending.silent,
            account=self._account,
            text=sending.text,
            count=sending.times,
            time_utc_ms=sending.time_utc_ms,
            seqs=sending.seqs,
        )

    def _heard_back(self, way: _Way) -> list[Message]:
        sending = way.on_its_way
        sent = None if sending is None else way.courier.result()
        if sending is None or sent is None:
            return []
        way.on_its_way = None
        new = self._outbox.settle(way.name, sending, self._names, is_taken=sent.is_taken, at_utc_ms=self._utc_ms())
        if not sent.is_taken:
            self._failed(way, sent)
            return []
        if way.failures:
            logger.info("outlet {} takes notices again", way.name)
        way.failures, way.not_before_ms, way.must_wait, way.detail = 0, 0, False, ""
        return [self._delivered(row, way.name) for row in new if row.severity == GRAVE]

    def _delivered(self, row: Row, outlet: str) -> NoticeDelivered:
        row.is_judged = True
        took_ms = self._now_ms() - self._since_ms.pop(row.number, self._now_ms())
        return NoticeDelivered(f"{self._outbox.state.instance}-{row.number}", row.event, outlet, took_ms)

    def _failed(self, way: _Way, sent: Sent) -> None:
        if not way.failures:
            logger.warning("outlet {} took no notice: {}; it is tried again", way.name, sent.detail)
        way.failures += 1
        way.detail = sent.detail
        way.must_wait = sent.retry_after_s is not None
        wait_ms = WAIT_MS[min(way.failures, len(WAIT_MS)) - 1]
        if sent.retry_after_s is not None:
            wait_ms = min(max(wait_ms, round(sent.retry_after_s * 1000)), RETRY_AFTER_MS_MAX)
        way.not_before_ms = self._now_ms() + wait_ms

    # -- all of them ----------------------------------------------------------------------------------------------------

    def _overdue(self) -> list[Message]:
        """The mode is lowered once, until a person rearms: whoever does that has looked."""
        now_ms = self._now_ms()
        late: list[tuple[Row, int]] = []
        for row in rules.unjudged(self._outbox.state):
            waited_ms = now_ms - self._since_ms.setdefault(row.number, now_ms)
            if waited_ms >= DEADLINE_MS:
                row.is_judged = True
                late.append((row, waited_ms))
        if self.state.is_lowered:
            self._has_asked = False  # the answer has come; after a rearm it is asked anew
        if not late or self.state.is_lowered or self._has_asked:
            return []
        self._has_asked = True
        row, waited_ms = late[0]
        why = "; ".join(f"{way.name}: {way.detail or 'no answer yet'}" for way in self._ways)
        reason = f"nobody outside could be told within {DEADLINE_MS / 1000:g} s ({why}) of: {row.text}"
        logger.critical("{}", reason)
        overdue = NoticeOverdue(f"{self._outbox.state.instance}-{row.number}", row.event, waited_ms, why)
        return [overdue, LowerMode(Mode.CLOSE_ONLY, NAME, reason)]

    def _give_up(self) -> None:
        why = "; ".join(f"{way.name}: {way.detail}" for way in self._ways if way.detail)
        for row in rules.given_up(self._outbox.state, self._names, why, self._utc_ms()):
            self._since_ms.pop(row.number, None)
            self._outbox.save()

    def _now_ms(self) -> int:
        return self._monotonic_ns() // _NS_PER_MS
