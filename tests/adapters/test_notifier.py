"""The notifier edge: a notice reaches each outlet whatever that does, and the mode drops when none takes the gravest."""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from live import live_system, until

from evenkeel.adapters.lmdb_row import RowError
from evenkeel.adapters.notifier import Notifier
from evenkeel.adapters.outbox import FILE_NAME, Outbox, opened, read_outbox
from evenkeel.adapters.outlets import Sent, Wire
from evenkeel.config.notifier import NotifierConfig
from evenkeel.messages.broker_gateway import MoneyDisagreed
from evenkeel.messages.notifier import NoticeDelivered, NoticeOverdue
from evenkeel.messages.operator import LowerMode, Mode, ModeChanged, TradingRearmed
from evenkeel.messages.system import Message, RunStarted
from evenkeel.rules.notifier import DEADLINE_MS
from evenkeel.rules.outbox import WAIT_MS, OutboxState
from evenkeel.runtime.actor import restore, snapshot_of
from evenkeel.runtime.edge import At

GRAVE = MoneyDisagreed(100, 90)
MILD = RunStarted("build", "configuration", "test", 7, continued=True, crashed=False)
TAKEN, FAILED = Sent(True), Sent(False, "HTTP 503")


class Line:
    """An outlet of the test's own: `answers` are given one after the other, None is one that has not come yet."""

    def __init__(self) -> None:
        self.answers: list[Sent | None] = []
        self.begun: list[Wire] = []

    def begin(self, wire: Wire) -> None:
        self.begun.append(wire)

    def result(self) -> Sent | None:
        return self.answers.pop(0) if self.answers else None


class Stand:
    """An edge over an outbox that outlives it, with lines and a clock of the test's own."""

    def __init__(self, *names: str, outbox: Outbox | None = None, **config: Any) -> None:
        self.now_ms, self.seq = 0, 0
        self.lines = {name: Line() for name in names or ("phone",)}
        self.outbox = outbox or Outbox(OutboxState("abc"))
        self.config = NotifierConfig(**config)
        self.edge = self._edge()

    @property
    def line(self) -> Line:
        return next(iter(self.lines.values()))

    def _edge(self) -> Notifier:
        clock = {"utc_ms": lambda: self.now_ms, "monotonic_ns": lambda: self.now_ms * 1_000_000}
        return Notifier(self.config, "test", self.outbox, self.lines, **clock)  # type: ignore[arg-type]

    def hear(self, message: Message) -> list[Message]:
        self.seq += 1
        self.edge.remember(message)
        return self.said(self.edge.act(message, At(self.seq, self.now_ms)))

    def look(self, later_ms: int = 0) -> list[Message]:
        self.now_ms += later_ms
        return self.said(self.edge.poll(self.now_ms))

    def said(self, messages: Sequence[Message]) -> list[Message]:
        for message in messages:
            self.edge.remember(message)
        return list(messages)

    def crash(self, *unheard: Message) -> list[Message]:
        """A new incarnation over what the journal has, in which `unheard` are remembered and were never acted on."""
        state = snapshot_of(self.edge)
        self.edge = self._edge()
        restore(self.edge, state)
        for message in unheard:
            self.edge.remember(message)
        return self.said(self.edge.resume(self.now_ms))


def texts(line: Line) -> list[str]:
    return [wire.text for wire in line.begun]


def test_a_grave_notice_leaves_at_once_and_that_it_was_taken_is_said() -> None:
    stand = Stand()
    assert stand.hear(GRAVE) == []
    (wire,) = stand.line.begun
    assert (wire.id, wire.event, wire.severity, wire.account, wire.seqs) == ("abc-1", "disagreement", 1, "test", (1,))
    stand.line.answers = [TAKEN]
    (said,) = stand.look(700)
    assert isinstance(said, NoticeDelivered)
    assert (said.notice, said.outlet, said.took_ms) == ("abc-1", "phone", 700)
    assert stand.look(DEADLINE_MS) == []


def test_when_no_outlet_takes_it_in_time_the_mode_is_lowered_once_until_a_rearm() -> None:
    stand = Stand("phone", "script")
    stand.hear(GRAVE)
    stand.lines["phone"].answers = [FAILED]
    assert stand.look(DEADLINE_MS - 1) == []
    overdue, lowered = stand.look(1)
    assert isinstance(overdue, NoticeOverdue)
    assert overdue.detail == "phone: HTTP 503; script: no answer yet"
    assert isinstance(lowered, LowerMode)
    assert (lowered.mode, lowered.by) == (Mode.CLOSE_ONLY, "notifier")
    assert lowered.reason.startswith("nobody outside could be told within 4 s")

    stand.hear(ModeChanged(Mode.CLOSE_ONLY, 0, "notifier", lowered.reason))
    stand.hear(GRAVE)
    assert stand.look(DEADLINE_MS) == [], "it is low already"
    stand.hear(TradingRearmed("person", 0))
    stand.hear(GRAVE)
    assert [type(one) for one in stand.look(DEADLINE_MS)] == [NoticeOverdue, LowerMode]


def test_one_outlet_is_enough() -> None:
    stand = Stand("phone", "script")
    stand.hear(GRAVE)
    stand.lines["script"].answers = [TAKEN]
    assert [type(one) for one in stand.look(100)] == [NoticeDelivered]
    assert stand.look(DEADLINE_MS) == []


def test_a_mild_notice_that_nobody_takes_lowers_nothing() -> None:
    stand = Stand()
    stand.hear(MILD)
    assert stand.look(10 * DEADLINE_MS) == []


def test_a_failure_is_tried_again_with_longer_and_longer_waits() -> None:
    stand = Stand()
    stand.hear(MILD)
    for failures, wait_ms in enumerate(WAIT_MS, 1):
        stand.line.answers = [FAILED]
        stand.look()
        stand.look(wait_ms - 1)
        assert len(stand.line.begun) == failures
        stand.look(1)
        assert len(stand.line.begun) == failures + 1
    assert {wire.id for wire in stand.line.begun} == {"abc-1"}, "the receiver knows it again"


def test_a_new_grave_notice_does_not_wait_for_the_end_of_a_wait() -> None:
    stand = Stand()
    stand.hear(MILD)
    stand.line.answers = [FAILED]
    stand.look()
    stand.hear(GRAVE)
    assert [wire.severity for wire in stand.line.begun] == [3, 1]


def test_a_receiver_that_wants_to_be_left_alone_is() -> None:
    stand = Stand()
    stand.hear(MILD)
    stand.line.answers = [Sent(False, "HTTP 429", retry_after_s=30.0)]
    stand.look()
    stand.hear(GRAVE)
    stand.look(29_999)
    assert len(stand.line.begun) == 1
    stand.look(1)
    assert len(stand.line.begun) == 2


def test_no_more_mild_notices_leave_in_a_minute_than_are_allowed() -> None:
    stand = Stand(per_minute_max=3)
    for number in range(10):
        stand.line.answers = [TAKEN]
        stand.hear(RunStarted(f"build {number}", "c", "test", 7, continued=True, crashed=False))
    for _ in range(10):
        stand.line.answers = [TAKEN]
        stand.look(100)
    assert len(stand.line.begun) == 3
    stand.line.answers = [TAKEN]
    stand.look(60_000)
    (last,) = stand.line.begun[3:]
    assert "more: " in last.text


def test_what_was_heard_and_not_written_down_is_found_by_a_restart_and_nothing_twice() -> None:
    stand = Stand()
    stand.hear(MILD)
    stand.line.answers = [TAKEN]
    stand.look()
    stand.crash(GRAVE)
    assert [wire.severity for wire in stand.line.begun] == [3, 1]
    assert stand.line.begun[1].seqs == (0,)
    stand.crash()
    assert [wire.id for wire in stand.line.begun[1:]] == ["abc-2", "abc-2"], "it was on its way: sent again, by the same name"


def test_a_restart_gives_what_waits_its_time_anew() -> None:
    stand = Stand()
    stand.hear(GRAVE)
    stand.now_ms += 10 * DEADLINE_MS
    assert stand.crash() == []
    assert [type(one) for one in stand.look(DEADLINE_MS)] == [NoticeOverdue, LowerMode]


def test_a_journal_that_went_back_forgets_no_new_notice() -> None:
    stand = Stand()
    for _ in range(3):
        stand.hear(GRAVE)
    before = Stand(outbox=stand.outbox)
    before.hear(GRAVE)
    assert len(before.outbox.state.rows) == 4
    before.crash(GRAVE)
    assert len(before.outbox.state.rows) == 5


def test_notices_survive_the_death_of_the_process(tmp_path: Path) -> None:
    program = (
        "import os, sys; from pathlib import Path; from evenkeel.adapters.outbox import opened;"
        "from evenkeel.rules.notifier import Noted; from evenkeel.messages.notifier import Event;"
        "box = opened(Path(sys.argv[1]) / 'notices');"
        "box.put(Noted(1, Event.CRASH, 1, False, 'it crashed'), seq=7, time_utc_ms=1, now_utc_ms=1,"
        " outlets=('phone',), busy=());"
        "os.kill(os.getpid(), 9)"
    )
    subprocess.run([sys.executable, "-c", program, str(tmp_path)], check=False, timeout=30)
    box = opened(tmp_path / "notices")
    assert [row.text for row in box.state.rows.values()] == ["it crashed"]
    stand = Stand(outbox=box)
    stand.crash()
    assert texts(stand.line) == ["it crashed"]
    box.close()


def test_an_outbox_that_cannot_be_read_begins_anew(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).write_bytes(b"something else" * 1_000)
    with pytest.raises(RowError, match=FILE_NAME):
        read_outbox(tmp_path)
    tmp_path.chmod(0o700)
    box = opened(tmp_path)
    box.save()
    box.close()
    assert read_outbox(tmp_path) == box.state


def test_a_full_disk_does_not_stop_a_notice() -> None:
    def full(_: bytes) -> None:
        raise OSError("no space left on device")

    stand = Stand(outbox=Outbox(OutboxState("abc"), full))
    stand.hear(GRAVE)
    stand.line.answers = [TAKEN]
    assert [type(one) for one in stand.look()] == [NoticeDelivered]


def test_a_live_run_tells_a_program_and_does_not_wait_for_it_at_its_end(tmp_path: Path) -> None:
    told, released = tmp_path / "told", tmp_path / "released"
    command = ["sh", "-c", f"cat >> {told}; until [ -e {released} ]; do sleep 0.1; done"]
    overrides = {
        "profile": "demo",
        "strategy": {"quick": {"kind": "ma_cross", "symbols": ["EURUSD"]}},
        "notifier.outlet": {"script": {"kind": "program", "command": command, "timeout_s": 60.0}},
    }
    with live_system(tmp_path / "state", overrides, speed=600.0) as system:
        line = until(lambda: told.exists() and told.read_bytes())
        assert system.stop("the test") == []
        released.touch()
    assert b'"event":"run"' in line
    state = read_outbox(tmp_path / "state" / "simulated" / "notices")
    assert state is not None
    assert [row.event.value for row in state.rows.values()][:1] == ["run"], "it waits for the next start"
