"""The control edge over a real channel, with the operator behind it; what is published is published by hand."""

import contextlib
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import msgspec
import pytest
from orders import closed, opened, order

from evenkeel.actors.operator import Operator
from evenkeel.adapters.control import ControlEdge
from evenkeel.adapters.control_channel import (
    Accepted,
    Adopt,
    Ask,
    Close,
    ControlReply,
    ControlServer,
    Done,
    Follow,
    Kill,
    LowerShield,
    Pause,
    Rearm,
    Refused,
    Reload,
    Restrict,
    Resume,
    Start,
    Stop,
    StopChain,
    Told,
    ask,
)
from evenkeel.adapters.control_channel import RaiseSignal as AskedSignal
from evenkeel.adapters.gate import Gate
from evenkeel.adapters.kill_epoch import KillEpoch
from evenkeel.adapters.state_folder import ENDPOINT_NAME
from evenkeel.messages import recovery, shield
from evenkeel.messages.broker_gateway import AdoptPosition, BrokerAgreed, CallTerminal
from evenkeel.messages.entry import DenialReason
from evenkeel.messages.market import Direction
from evenkeel.messages.operator import (
    CommandAccepted,
    CommandDone,
    CommandRefused,
    HoldPlaced,
    KillTrading,
    LimitsLowered,
    Mode,
    ModeChanged,
    PauseTrading,
    RaiseSignal,
    RearmTrading,
    SegmentAsked,
    StartTrading,
    StopRun,
)
from evenkeel.messages.system import Message
from evenkeel.rules.order_intents import request_for
from evenkeel.rules.reload import Answer, Change, Kind, Outcome, answer
from evenkeel.runtime.actor import restore, snapshot_of

WAIT_MS = 20_000
REQUEST = request_for(order())
LOWERED = Change("limits.positions_max", 5, 1, Kind.FREE)


def operator() -> Operator:
    return Operator(trading_enabled=True, scopes=("EURUSD",), reading_gap_ms=2_000)


class Desk:
    """One control edge after another, as a host would run them; `publish` is the host's part."""

    def __init__(self, folder: Path, form: str) -> None:
        self.folder, self.form = folder, form
        self.gate, self.kill_epoch, self.operator = Gate(), KillEpoch(folder / "kill-epoch"), operator()
        self.woken, self.stopped_by = threading.Event(), list[str]()
        self.published: list[Message] = []
        self.pool, self.has_shield = ThreadPoolExecutor(4), True
        self.edge = self.make()

    def make(self) -> ControlEdge:
        return ControlEdge(
            lambda handler: ControlServer(
                self.folder / "c", handler, started_utc_ms=7, build="0.1.0", force_tcp=self.form == "tcp"
            ),
            gate=self.gate,
            kill_epoch=self.kill_epoch,
            view=lambda what: f'"{what}"'.encode(),
            wake=self.woken.set,
            on_stop=self.stopped_by.append,
            strategies=("trend", "ma_cross"),
            plugins=("trend",),
            has_shield=self.has_shield,
            on_reload=self.reload,
        )

    def reload(self, asked: Reload) -> Answer:
        """A limit is to be lowered; the journal has it, and risk_limit will say that it is in force."""
        if asked.dry_run:
            return answer(Outcome.LOOKED, [LOWERED])
        self.published.append(LimitsLowered(asked.command_id, asked.by, '{"limits.positions_max":1}'))
        self.woken.set()
        return answer(Outcome.LOWERED, [LOWERED])

    def ask(self, request: Any) -> ControlReply:
        return ask(self.folder / "c" / ENDPOINT_NAME, request, WAIT_MS / 1000)

    def asked(self, request: Any) -> Future[ControlReply]:
        """A person asks and waits; returns when the command has come in."""
        self.woken.clear()
        future = self.pool.submit(self.ask, request)
        assert self.woken.wait(WAIT_MS / 1000)
        return future

    def publish(self) -> list[Message]:
        """What the edge sees by itself, and what the operator says to it, heard by the edge and the gate."""
        said = list(self.edge.poll(0))
        for message in said:
            self.told(message)
        return said

    def told(self, message: Any) -> None:
        """Something that the edge said."""
        self.published.append(message)
        self.edge.remember(message)
        if not isinstance(message, StopRun):
            self.answer(message)

    def answer(self, message: Any) -> None:
        for said in self.operator.handle(message, 0):
            self.hear(said)

    def hear(self, message: Message) -> None:
        self.published.append(message)
        if isinstance(message, ModeChanged):
            self.gate.mode = message.mode
        if isinstance(message, CommandDone | CommandRefused):
            self.gate.answered(message.command_id)
        if isinstance(message, CommandAccepted | CommandDone | CommandRefused | ModeChanged):
            self.edge.remember(message)

    def done(self, request: Any) -> ControlReply:
        future = self.asked(request)
        self.publish()
        return future.result(WAIT_MS / 1000)

    def restart(self) -> None:
        """A new incarnation over the state of the old one."""
        self.edge.close()
        state = snapshot_of(self.edge)
        self.edge = self.make()
        restore(self.edge, state)
        for message in self.edge.resume(0):
            self.told(message)

    def refusal(self) -> DenialReason | None:
        """What an open decided just now meets at the gate."""
        return self.gate.refusal(CallTerminal(1, 1, 99, 0, REQUEST), REQUEST, 0)


@pytest.fixture(params=["unix", "tcp"])
def desk(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Desk]:
    if request.param == "unix" and sys.platform == "win32":
        pytest.skip("no unix sockets on Windows")
    desk = Desk(tmp_path, request.param)
    desk.edge.resume(0)
    desk.answer(BrokerAgreed(0))
    yield desk
    desk.edge.close()
    desk.pool.shutdown()


@pytest.fixture
def running(desk: Desk) -> Desk:
    assert desk.done(Start(command_id="start-1", by="me", wait_ms=WAIT_MS)) == Done("start-1", "trading")
    assert desk.refusal() is None
    return desk


def kill(desk: Desk, wait_ms: int = WAIT_MS) -> Kill:
    """Raised on disk first, as the command line does."""
    return Kill(
        command_id="kill-1", by="me", wait_ms=wait_ms, epoch=desk.kill_epoch.raise_epoch("close_only").epoch, flatten=False
    )


def test_an_adoption_is_said_with_who_asks_and_its_end_is_the_gateway_s_answer(running: Desk) -> None:
    future = running.asked(Adopt(command_id="a-1", by="me", wait_ms=WAIT_MS, ticket=4711))
    (said,) = running.edge.poll(0)
    assert said == AdoptPosition("a-1", "me", 4711)
    running.edge.remember(said)
    running.hear(CommandRefused("a-1", "the broker shows no position 4711"))
    assert future.result(WAIT_MS / 1000) == Refused("a-1", "the broker shows no position 4711")


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (
            StopChain(command_id="s-1", by="me", wait_ms=WAIT_MS, plugin="trend", chain_id="X-1/b"),
            recovery.StopChain("s-1", "me", "trend", "X-1/b"),
        ),
        (
            LowerShield(command_id="s-1", by="me", wait_ms=WAIT_MS, symbol="EURUSD", direction="sell"),
            shield.LowerShield("s-1", "me", "EURUSD", Direction.SELL),
        ),
        (
            AskedSignal(command_id="s-1", by="me", wait_ms=WAIT_MS, symbol="EURUSD", direction="buy", confidence=0.8),
            RaiseSignal("s-1", "me", "EURUSD", Direction.BUY, "", 0.8),
        ),
    ],
)
def test_a_person_s_word_about_chains_and_shields_is_said_and_answered(running: Desk, command: Any, said: Message) -> None:
    future = running.asked(command)
    assert list(running.edge.poll(0)) == [said]
    running.edge.remember(said)  # type: ignore[arg-type]
    running.hear(CommandDone("s-1", "it is over"))
    assert future.result(WAIT_MS / 1000) == Done("s-1", "it is over")


def test_a_chain_of_a_strategy_without_chains_is_refused_at_the_door(running: Desk) -> None:
    asked = StopChain(command_id="s-1", by="me", wait_ms=WAIT_MS, plugin="ma_cross", chain_id="X-1")
    assert running.ask(asked) == Refused("s-1", "ma_cross is no strategy with chains; with chains: trend")


def test_a_signal_for_a_strategy_that_there_is_not_is_refused_at_the_door(running: Desk) -> None:
    asked = AskedSignal(command_id="s-1", by="me", wait_ms=WAIT_MS, symbol="EURUSD", direction="buy", strategy="trned")
    assert running.ask(asked) == Refused("s-1", "there is no strategy trned; configured: trend ma_cross")


def test_without_shields_none_is_lowered(tmp_path: Path) -> None:
    desk = Desk(tmp_path, "tcp")
    desk.edge.close()
    desk.has_shield = False
    desk.edge = desk.make()
    with contextlib.ExitStack() as stack:
        stack.callback(desk.pool.shutdown)
        stack.callback(desk.edge.close)
        desk.edge.resume(0)
        asked = LowerShield(command_id="s-1", by="me", wait_ms=WAIT_MS, symbol="EURUSD", direction="buy")
        assert desk.ask(asked) == Refused("s-1", "no shield is configured")


def test_a_command_is_published_with_who_sent_it_and_its_end_is_the_reply(running: Desk) -> None:
    assert StartTrading("start-1", "me") in running.published
    assert running.done(Pause(command_id="p-1", by="me", wait_ms=WAIT_MS)) == Done("p-1", "no new entries, 0 positions open")
    assert PauseTrading("p-1", "me") in running.published


def test_a_refusal_says_why(running: Desk) -> None:
    reply = running.done(Resume(command_id="r-1", by="me", wait_ms=WAIT_MS))
    assert reply == Refused("r-1", "the mode is run and nothing is paused")


@pytest.mark.parametrize("what", ["pause", "kill"])
def test_a_kill_or_a_pause_shuts_the_gate_before_anything_is_published(running: Desk, what: str) -> None:
    before = len(running.published)
    running.asked(kill(running, wait_ms=0) if what == "kill" else Pause(command_id="p-1", by="me"))
    assert running.refusal() is DenialReason.MODE
    assert len(running.published) == before


def test_the_gate_stays_shut_until_the_command_has_ended_and_then_follows_the_mode(running: Desk) -> None:
    running.asked(Pause(command_id="p-1", by="me"))
    running.gate.mode = Mode.RUN
    assert running.refusal() is DenialReason.MODE
    running.publish()
    assert running.refusal() is DenialReason.MODE
    running.done(Resume(command_id="r-1", by="me", wait_ms=WAIT_MS))
    assert running.refusal() is None


def test_a_pause_that_is_refused_opens_the_gate_again(running: Desk) -> None:
    running.done(kill(running))
    running.done(Pause(command_id="p-1", by="me", wait_ms=WAIT_MS))
    running.gate.mode = Mode.RUN
    assert running.refusal() is None


def test_accepted_is_not_done_and_a_person_may_follow_later(running: Desk) -> None:
    pause = Pause(command_id="p-1", by="me")
    assert running.asked(pause).result(WAIT_MS / 1000) == Accepted("p-1")
    assert running.ask(Follow(command_id="p-1")) == Accepted("p-1")
    running.publish()
    assert running.ask(Follow(command_id="p-1")) == Done("p-1", "no new entries, 0 positions open")
    assert running.ask(Follow(command_id="p-9")) == Refused("p-9", "no such command")


def test_a_close_is_accepted_at_once_and_done_when_the_position_is_gone(running: Desk) -> None:
    running.answer(opened())
    close = running.asked(Close(command_id="c-1", by="me", ticket=1001))
    running.publish()
    assert close.result(WAIT_MS / 1000) == Accepted("c-1")
    running.answer(closed())
    assert running.ask(Follow(command_id="c-1")) == Done("c-1", "closed, stop")


def test_the_same_command_twice_is_done_once(running: Desk) -> None:
    pause = Pause(command_id="p-1", by="me", wait_ms=WAIT_MS)
    assert running.done(pause) == running.ask(pause)
    assert running.published.count(PauseTrading("p-1", "me")) == 1


def test_the_same_command_is_not_done_again_by_the_next_process(running: Desk) -> None:
    pause = Pause(command_id="p-1", by="me", wait_ms=WAIT_MS)
    running.done(pause)
    running.restart()
    assert running.ask(pause) == Done("p-1", "no new entries, 0 positions open")
    assert running.publish() == []


def test_questions_are_answered_from_the_view_and_never_published(running: Desk) -> None:
    assert running.ask(Ask(what="limits")) == Told(b'"limits"')
    assert running.publish() == []


def test_stop_ends_the_process_in_order_and_is_published(running: Desk) -> None:
    assert running.ask(Stop(command_id="s-1", by="me")) == Done("s-1", "stopping in order")
    assert running.stopped_by == ["me"]
    assert running.publish() == [StopRun("s-1", "me")]


# Scopes


def test_a_pause_of_a_symbol_shuts_the_gate_until_its_hold_stands(running: Desk) -> None:
    running.asked(Pause(command_id="p-1", by="me", scope="EURUSD", for_ms=60_000))
    assert running.refusal() is DenialReason.MODE
    running.publish()
    assert running.published[-1] == HoldPlaced("person", "EURUSD", "paused by me", 60_000, "p-1")
    assert running.refusal() is DenialReason.MODE
    running.hear(CommandDone("p-1", "no new risk in EURUSD"))
    assert running.refusal() is None


def test_a_kill_of_a_symbol_needs_no_epoch(running: Desk) -> None:
    running.asked(Kill(command_id="k-1", by="me", epoch=0, flatten=False, scope="EURUSD"))
    running.publish()
    assert KillTrading("k-1", "me", 0, False, "EURUSD") in running.published
    assert running.operator.state.mode is Mode.RUN


def test_a_kill_of_the_account_without_an_epoch_is_refused(running: Desk) -> None:
    assert isinstance(running.ask(Kill(command_id="k-1", by="me", epoch=0, flatten=False)), Refused)


@pytest.mark.parametrize("mode", ["close_only", "freeze", "flatten"])
def test_a_stricter_mode_shuts_the_gate_at_once_and_stays(running: Desk, mode: Any) -> None:
    asked = running.asked(Restrict(command_id="m-1", by="me", mode=mode, wait_ms=WAIT_MS))
    assert running.refusal() is DenialReason.MODE
    running.publish()
    assert asked.result(WAIT_MS / 1000) == Done("m-1", f"mode {mode}, epoch 0, 0 positions open")
    assert running.refusal() is DenialReason.MODE


# Kill


def test_a_kill_whose_epoch_is_not_on_disk_is_refused(running: Desk) -> None:
    reply = running.ask(Kill(command_id="k-1", by="me", epoch=5, flatten=False))
    assert reply == Refused("k-1", "epoch 5 is not on disk: raise it there first")
    assert running.refusal() is None


def test_a_kill_that_was_raised_on_disk_by_hand_is_noticed_and_shuts_the_gate(running: Desk) -> None:
    running.kill_epoch.raise_epoch("flatten")
    assert running.publish() == [KillTrading("epoch-1", "the kill epoch on disk", 1, True)]
    assert running.refusal() is DenialReason.MODE
    assert running.operator.state.mode is Mode.FLATTEN
    assert running.publish() == []


def test_a_kill_that_was_raised_while_nobody_looked_is_noticed_by_the_next_incarnation(running: Desk) -> None:
    running.edge.close()
    running.kill_epoch.raise_epoch("close_only")
    running.edge = running.make()
    assert running.edge.resume(0) == [KillTrading("epoch-1", "the kill epoch on disk", 1, False)]
    assert running.refusal() is DenialReason.MODE


def test_a_kill_is_noticed_once_whichever_way_it_came(running: Desk) -> None:
    assert running.done(kill(running)) == Done("kill-1", "mode close_only, epoch 1, 0 positions open")
    assert running.publish() == []


def test_a_rearm_does_not_make_an_old_kill_news(running: Desk) -> None:
    running.done(kill(running))
    running.done(Rearm(command_id="a-1", by="me", wait_ms=WAIT_MS))
    assert RearmTrading("a-1", "me") in running.published
    running.restart()
    assert running.publish() == []


def test_nobody_rearms_while_the_epoch_on_disk_cannot_be_read(running: Desk) -> None:
    (running.folder / "kill-epoch").write_bytes(b"damaged")
    reply = running.ask(Rearm(command_id="a-1", by="me"))
    assert reply == Refused("a-1", "the kill epoch on disk cannot be read: kill again to mend it")
    assert running.publish() == []


def told_of(reply: ControlReply) -> Answer:
    assert isinstance(reply, Told)
    return msgspec.json.decode(reply.body, type=Answer)


def test_a_lowering_is_answered_once_it_is_in_force(desk: Desk) -> None:
    waiting = desk.asked(Reload(command_id="l-1", by="me", wait_ms=WAIT_MS))
    assert not waiting.done()
    desk.hear(CommandDone("l-1", "in force"))
    assert told_of(waiting.result()) == Answer(Outcome.LOWERED, (LOWERED,))


def test_a_look_at_the_configuration_is_no_command_and_is_answered_at_once(desk: Desk) -> None:
    assert told_of(desk.ask(Reload(command_id="l-1", by="me", wait_ms=WAIT_MS, dry_run=True))).outcome is Outcome.LOOKED
    assert desk.published == []


def test_the_end_of_another_segment_can_be_asked_for_in_it(desk: Desk) -> None:
    desk.edge.remember(SegmentAsked("g-1", "me", "exit.emergency_r"))
    assert desk.ask(Follow(command_id="g-1")) == Accepted("g-1")
    desk.hear(CommandDone("g-1", "in force"))
    assert desk.ask(Follow(command_id="g-1")) == Done("g-1", "in force")
