"""The host's gate, its budget, its strictness: what reaches the terminal, and what never does."""

import random
import shutil
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from evenkeel.adapters.broker import Answer
from evenkeel.adapters.control_frames import Deadline, greet_as_client, receive_frame, send_frame
from evenkeel.adapters.frame_server import FrameServer
from evenkeel.adapters.gate import DurableGate, GateDamaged
from evenkeel.adapters.mt5.broker import Mt5Broker
from evenkeel.adapters.mt5.module import Expected
from evenkeel.adapters.mt5.server_time import ServerTime
from evenkeel.adapters.simulated.account_file import default_account
from evenkeel.adapters.simulated.api import MetaTrader5Like
from evenkeel.adapters.terminal_host import verbs
from evenkeel.adapters.terminal_host.budget import Budget
from evenkeel.adapters.terminal_host.client import HostedBroker, HostLink, LinkDown
from evenkeel.adapters.terminal_host.keeper import local_connect
from evenkeel.adapters.terminal_host.pinned import PinInvalid, Pins, connector, listener, server_context
from evenkeel.adapters.terminal_host.service import TerminalService
from evenkeel.messages.broker_gateway import CallTerminal, CloseRequest, OpenRequest, Outcome
from evenkeel.messages.entry import DenialReason
from evenkeel.messages.market import Direction
from evenkeel.messages.operator import Mode
from evenkeel.runtime.clock import ManualClock, ToldClock

NOW_UTC_MS = 1_767_600_000_000
REQUEST = OpenRequest("EURUSD", 1, Direction.BUY, 10, 110_000, 5, 0, 0, 0)


class Host:
    """A service over the simulated package, with a hand on clock and epoch."""

    def __init__(
        self,
        folder: Path,
        *,
        per_minute: int = 100,
        gate: DurableGate | None = None,
        on_time: Callable[[int], None] = lambda utc_ms: None,
    ) -> None:
        self.clock, self.epoch, self.left = ManualClock(NOW_UTC_MS), 0, False
        self.waits: list[int] = []
        self.package = MetaTrader5Like(opened=default_account(), clock=self.clock)
        self.broker = Mt5Broker(
            self.package, Expected(), ServerTime(None), now_utc_ms=self.clock.now_utc_ms, monotonic_s=self.now_s
        )
        self.broker.connect()
        self.broker.quote("EURUSD")
        self.pass_s(3)
        self.broker.quote("EURUSD")
        self.broker.symbol("EURUSD")
        self.gate = gate or DurableGate(folder / "gate")
        self.service = TerminalService(
            self.broker,
            self.gate,
            Budget(per_minute, 0.5, self.now_s),
            epoch_on_disk=lambda: self.epoch,
            monotonic_s=self.heard_s,
            silent_limit_s=5.0,
            build="test",
            on_leave=lambda: setattr(self, "left", True),
            on_time=on_time,
        )

    def now_s(self) -> float:
        return self.clock.monotonic_ns() / 1e9

    def heard_s(self) -> float:
        """The service's clock; who looks at it from another thread has just come."""
        now_s = self.now_s()
        if threading.current_thread() is not threading.main_thread():
            self.waits.append(threading.get_ident())
        return now_s

    def pass_s(self, seconds: float) -> None:
        self.clock.advance_to(self.clock.now_utc_ms() + round(seconds * 1000))

    def ask(self, asked: verbs.Verb) -> verbs.Reply:
        return verbs.reply(self.service.reply(verbs.encode(asked)))

    def beat(self, mode: Mode = Mode.RUN, *, epoch: int = 0, answered: int = 0, unresolved: tuple[int, ...] = ()) -> None:
        assert isinstance(self.ask(verbs.Beat(mode, epoch, answered, unresolved)), verbs.Beaten)

    def open(self, intent_id: int = 1, *, epoch: int = 0, request: OpenRequest = REQUEST) -> Answer:
        replied = self.ask(verbs.Open(intent_id, epoch, 70 + intent_id, request))
        assert isinstance(replied, verbs.Answered), replied
        return Answer(replied.outcome, replied.ticket, detail=replied.detail)

    @property
    def held(self) -> int:
        return len(self.broker.positions() or ())


@pytest.fixture
def host(tmp_path: Path) -> Host:
    made = Host(tmp_path)
    made.beat()
    return made


def why(answer: Answer) -> str:
    assert answer.outcome is Outcome.VOID
    return answer.detail


def test_an_open_goes_out_when_everything_is_in_order(host: Host) -> None:
    assert (host.open().outcome, host.held) == (Outcome.ACCEPTED, 1)


def test_before_the_first_beat_and_in_any_other_mode_nothing_is_opened(tmp_path: Path) -> None:
    host = Host(tmp_path)
    assert why(host.open()) == "mode"
    host.beat(Mode.CLOSE_ONLY)
    assert why(host.open()) == "mode"
    host.beat(Mode.RUN)
    assert host.open().outcome is Outcome.ACCEPTED


def test_a_kill_on_disk_in_a_beat_or_at_the_kill_port_stops_what_was_decided_before(host: Host) -> None:
    host.epoch = 1
    assert why(host.open(1)) == "epoch"
    host.beat(epoch=2)
    assert why(host.open(2, epoch=1)) == "epoch"
    assert verbs.reply(host.service.kill_reply(verbs.encode(verbs.KillNow(7)))) == verbs.Beaten(7, "")
    assert why(host.open(3, epoch=6)) == "epoch"
    assert host.open(4, epoch=7).outcome is Outcome.ACCEPTED
    assert host.held == 1


def test_a_kill_that_falls_between_the_gate_s_check_and_the_call_still_comes_in_time(tmp_path: Path) -> None:
    """The gate's file takes its time to be written, and a person who was told "killed" meanwhile must be able to believe it."""

    class KilledWhileItWrites(DurableGate):
        def admit(self, call: CallTerminal, request: OpenRequest) -> None:
            super().admit(call, request)
            host.epoch = 1

    host = Host(tmp_path, gate=KilledWhileItWrites(tmp_path / "gate"))
    host.beat()
    assert why(host.open(1)) == "epoch"
    assert host.held == 0
    assert host.gate.unresolved == frozenset(), "nothing left, so nothing is unresolved"


def test_the_kill_port_takes_nothing_but_a_kill(host: Host) -> None:
    for asked in (verbs.Hello(), verbs.Open(1, 0, 1, REQUEST), verbs.Leave()):
        assert isinstance(verbs.reply(host.service.kill_reply(verbs.encode(asked))), verbs.Malformed)
    assert isinstance(verbs.reply(host.service.kill_reply(b"\xc1")), verbs.Malformed)
    assert (host.held, host.left) == (0, False)


def test_the_host_goes_by_the_time_that_a_beat_tells_whoever_sets_the_clock_of_its_machine() -> None:
    machine = ManualClock(NOW_UTC_MS)
    clock = ToldClock(machine)
    assert clock.now_utc_ms() == NOW_UTC_MS
    clock.tell(NOW_UTC_MS - 3_600_000)
    machine.advance_to(NOW_UTC_MS + 1_000)
    assert clock.now_utc_ms() == NOW_UTC_MS - 3_599_000


def test_a_beat_hands_the_run_s_time_on_where_it_tells_it(tmp_path: Path) -> None:
    told: list[int] = []
    host = Host(tmp_path, on_time=told.append)
    host.beat()
    host.ask(verbs.Beat(Mode.RUN, 0, 0, (), NOW_UTC_MS))
    assert told == [NOW_UTC_MS]


def test_a_silent_supervisor_opens_nothing_but_closes(host: Host) -> None:
    ticket = host.open().ticket
    host.pass_s(5.1)
    assert why(host.open(2)) == "supervisor_silent"
    host.broker.positions()
    closed = host.ask(verbs.Close(10, 99, CloseRequest("EURUSD", ticket, Direction.BUY, 0)))
    assert isinstance(closed, verbs.Answered)
    assert (closed.outcome, host.held) == (Outcome.ACCEPTED, 0)
    host.beat()
    assert host.open(3).outcome is Outcome.ACCEPTED


def test_what_was_asked_while_the_broker_s_link_was_lost_is_not_carried_out_when_it_is_back(host: Host) -> None:
    ticket = host.open().ticket
    host.package.session.connected = False
    assert host.broker.positions() is None
    asked = [host.open(2 + slot, request=msgspec.structs.replace(REQUEST, slot=1 + slot)) for slot in range(3)]
    assert {answer.outcome for answer in asked} == {Outcome.UNKNOWN}
    host.package.session.connected = True
    host.pass_s(60)
    assert [position.ticket for position in host.broker.positions() or ()] == [ticket]


def test_a_number_that_was_admitted_is_never_admitted_again(host: Host) -> None:
    assert host.open(5).outcome is Outcome.ACCEPTED
    assert why(host.open(5)) == "repeated"
    assert why(host.open(4)) == "repeated"
    assert host.held == 1


def test_the_gate_remembers_across_the_death_of_its_process(tmp_path: Path) -> None:
    gate = DurableGate(tmp_path / "gate")
    gate.admit(CallTerminal(9, 9, 0, 0, REQUEST), REQUEST)  # and then the process dies

    again = Host(tmp_path, gate=DurableGate(tmp_path / "gate"))
    again.beat(answered=8)
    assert why(again.open(9)) == "repeated"
    assert why(again.open(10)) == "slot_locked"
    again.beat(answered=9, unresolved=(9,))
    assert why(again.open(10)) == "slot_locked"
    again.beat(answered=9)
    assert again.open(10).outcome is Outcome.ACCEPTED


def test_a_damaged_gate_file_is_not_taken_for_an_empty_one(tmp_path: Path) -> None:
    (tmp_path / "gate").write_bytes(b"[[1")
    with pytest.raises(GateDamaged):
        DurableGate(tmp_path / "gate")


def test_half_of_the_requests_of_a_minute_are_kept_for_closes(tmp_path: Path) -> None:
    host = Host(tmp_path, per_minute=4)
    host.beat()
    tickets = [host.open(number).ticket for number in (1, 2)]
    assert why(host.open(3)) == "request_budget"
    host.broker.positions()
    for ticket in tickets:
        closed = host.ask(verbs.Close(10, 99, CloseRequest("EURUSD", ticket, Direction.BUY, 0)))
        assert isinstance(closed, verbs.Answered)
        assert closed.outcome is Outcome.ACCEPTED
    host.pass_s(61)
    host.beat()
    assert host.open(4).outcome is Outcome.ACCEPTED


def test_numbers_outside_their_bounds_are_malformed_and_send_nothing(host: Host) -> None:
    for changes in ({"volume_steps": 0}, {"volume_steps": -7}, {"price_points": -1}, {"symbol": ""}, {"slot": 2**60}):
        asked = verbs.Open(1, 0, 1, msgspec.structs.replace(REQUEST, **changes))
        assert isinstance(host.ask(asked), verbs.Malformed)
    assert host.held == 0


def test_100_000_malformed_frames_bring_typed_errors_no_order_and_no_crash(host: Host) -> None:
    draw = random.Random(11)
    good = [verbs.encode(one) for one in (verbs.Open(1, 0, 1, REQUEST), verbs.Beat(Mode.RUN, 0, 0), verbs.ReadDeals(0))]
    answered = 0
    for number in range(100_000):
        if number % 4 == 0:
            body = draw.randbytes(draw.randint(0, 60))
        else:  # a good one, broken in one to three places
            broken = bytearray(draw.choice(good))
            for _ in range(draw.randint(1, 3)):
                broken[draw.randrange(len(broken))] = draw.randrange(256)
            body = bytes(broken[: draw.randint(1, len(broken))])
        if is_proper(body):
            continue
        assert isinstance(verbs.reply(host.service.reply(body)), verbs.Malformed)
        answered += 1
    assert answered > 80_000
    assert host.held == 0
    assert isinstance(host.ask(verbs.Hello()), verbs.Identified)


def is_proper(body: bytes) -> bool:
    try:
        verbs.verb(body)
    except (ValueError, RecursionError):
        return False
    return True


def test_nesting_without_end_is_malformed(host: Host) -> None:
    assert isinstance(verbs.reply(host.service.reply(b"\x91" * 60_000)), verbs.Malformed)


def test_beats_and_opens_at_once_lose_nothing_that_was_admitted(tmp_path: Path) -> None:
    """The beat settles what it knows while an open of another symbol is written down."""
    gate = DurableGate(tmp_path / "gate")
    numbers = range(1, 120)

    def admit() -> None:
        for number in numbers:
            request = msgspec.structs.replace(REQUEST, slot=number % 7)
            gate.admit(CallTerminal(number, number, 0, 0, request), request)

    thread = threading.Thread(target=admit)
    thread.start()
    while thread.is_alive():
        for number in gate.unresolved:
            gate.resolve(number)
    thread.join()
    again = DurableGate(tmp_path / "gate")
    again.mode = Mode.RUN
    last = {number % 7: number for number in numbers}
    for slot, number in last.items():
        request = msgspec.structs.replace(REQUEST, slot=slot)
        assert again.refusal(CallTerminal(number, 1, 0, 0, request), request, 0) is DenialReason.REPEATED


def test_an_order_that_waited_longer_than_its_sender_is_not_carried_out(host: Host) -> None:
    done: list[verbs.Reply] = []
    ticket = host.open().ticket
    asked = [
        verbs.Open(2, 0, 72, msgspec.structs.replace(REQUEST, slot=3), within_ms=1_000),
        verbs.Close(10, 99, CloseRequest("EURUSD", ticket, Direction.BUY, 0), within_ms=1_000),
    ]
    waiting = [threading.Thread(target=lambda one=one: done.append(host.ask(one))) for one in asked]

    def hang() -> None:
        for thread in waiting:
            thread.start()
        while len(host.waits) < 2:
            pass
        host.pass_s(2)

    host.service.alone(hang)
    for thread in waiting:
        thread.join()
    outcomes = {(one.outcome, one.detail) for one in done if isinstance(one, verbs.Answered)}
    assert outcomes == {(Outcome.VOID, "expired"), (Outcome.REJECTED, "expired")}
    assert host.held == 1


# Over sockets


@pytest.fixture
def served(tmp_path: Path, host: Host) -> Iterator[FrameServer]:
    server = FrameServer(tmp_path / "host", host.service.reply, name="host", started_utc_ms=1)
    server.start()
    yield server
    server.stop()


def test_a_hung_up_host_is_connected_again_before_anything_is_sent(tmp_path: Path, host: Host, served: FrameServer) -> None:
    link = HostLink(local_connect(served.endpoint_file), 5.0)
    assert isinstance(link.ask(verbs.Hello()), verbs.Identified)
    served.stop()
    with pytest.raises(LinkDown):
        link.ask(verbs.Hello())
    again = FrameServer(tmp_path / "host", host.service.reply, name="host", started_utc_ms=1)
    again.start()
    assert isinstance(link.ask(verbs.Hello()), verbs.Identified)
    link.close()
    again.stop()


def test_without_a_host_an_open_is_void_and_every_reading_nothing(tmp_path: Path) -> None:
    link = HostLink(local_connect(tmp_path / "nobody.json"), 1.0)
    broker = HostedBroker(link, link)
    answer = broker.open_position(REQUEST, 1, intent_id=1)
    assert (answer.outcome, answer.detail) == (Outcome.VOID, "terminal_down")
    assert broker.close_position(CloseRequest("EURUSD", 1, Direction.BUY, 0), 1, 1).outcome is Outcome.REJECTED
    readings = [broker.positions(), broker.deals(0), broker.account(), broker.symbol("EURUSD"), broker.quote("EURUSD")]
    assert readings == [None] * 5


def test_an_answer_that_does_not_come_in_time_is_unknown_and_the_keeper_hears_of_it(tmp_path: Path) -> None:
    heard: list[str] = []
    let_go = threading.Event()

    def hang(body: bytes) -> bytes:
        let_go.wait(60)
        return verbs.encode(verbs.Unreadable())

    server = FrameServer(tmp_path / "host", hang, name="host", started_utc_ms=1)
    server.start()
    link = HostLink(local_connect(server.endpoint_file), 2.0, heard.append)
    assert HostedBroker(link, link).open_position(REQUEST, 1, intent_id=1).outcome is Outcome.UNKNOWN
    assert heard == ["Open had no answer in 2 s"]
    let_go.set()
    link.close()
    server.stop()


# Another machine: certificates pinned on both sides


def pair(folder: Path, name: str) -> tuple[Path, Path]:
    certificate, key = folder / f"{name}.pem", folder / f"{name}.key"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30"]
    files = ["-subj", "/CN=evenkeel", "-keyout", str(key), "-out", str(certificate)]
    subprocess.run([*command, *files], check=True, capture_output=True)
    return certificate, key


@pytest.mark.skipif(shutil.which("openssl") is None, reason="THE TLS TESTS DID NOT RUN: no openssl to make certificates with")
def test_only_the_holder_of_the_pinned_key_may_speak_with_a_host_on_another_machine(tmp_path: Path, host: Host) -> None:
    (certificate, key), (theirs, their_key), (other, other_key) = (pair(tmp_path, name) for name in ("host", "client", "other"))
    token = tmp_path / "token"
    token.write_text("a5" * 32)
    server = FrameServer(
        tmp_path / "host",
        host.service.reply,
        name="host",
        started_utc_ms=1,
        listen=listener("127.0.0.1:0"),
        tls=server_context(Pins(certificate, key, theirs)),
        token="a5" * 32,
    )
    server.start()
    address = msgspec.json.decode(server.endpoint_file.read_bytes())["address"]

    friend = HostLink(connector(address, Pins(theirs, their_key, certificate), token), 5.0)
    assert isinstance(friend.ask(verbs.Hello()), verbs.Identified)

    for pins in (Pins(other, other_key, certificate), Pins(theirs, their_key, other)):
        with pytest.raises(LinkDown):
            HostLink(connector(address, pins, token), 5.0).ask(verbs.Hello())
    token.write_text("b6" * 32)
    with pytest.raises(LinkDown):
        HostLink(connector(address, Pins(theirs, their_key, certificate), token), 5.0).ask(verbs.Hello())
    friend.close()
    server.stop()


def test_a_key_file_that_is_none_is_said_to_be_so_without_its_content(tmp_path: Path) -> None:
    from evenkeel.adapters.terminal_host.pinned import read_key

    (tmp_path / "key").write_text("hunter2")
    with pytest.raises(PinInvalid) as caught:
        read_key(tmp_path / "key")
    assert "hunter2" not in str(caught.value)


def test_a_plain_connection_gets_nothing_from_the_frames_of_a_stranger(served: FrameServer) -> None:
    endpoint = msgspec.json.decode(served.endpoint_file.read_bytes())
    from evenkeel.adapters import local_sockets

    with local_sockets.connect(endpoint["address"], 2.0) as connection:
        assert isinstance(connection, socket.socket)
        send_frame(connection, verbs.encode(verbs.Open(1, 0, 1, REQUEST)), Deadline(2.0))
        with pytest.raises(OSError):
            receive_frame(connection, Deadline(2.0))
    with local_sockets.connect(endpoint["address"], 2.0) as connection:
        greet_as_client(connection, endpoint["token"], Deadline(2.0))
