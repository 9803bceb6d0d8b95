"""The terminal host dies by SIGKILL while an order is on its way: never a second position, and always an end that is known.

Real processes, sockets and files; the actors of a run stand on the stepped host, so that the test says when they look. The full
thirty times run with EVENKEEL_HOST_KILLS=30; the suite does fewer.
"""

import os
import random
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from builders import STARTED, config_of
from live import until

from evenkeel.adapters.gate import Gate
from evenkeel.adapters.os import kill_process, process_lives
from evenkeel.adapters.quote_board import QuoteBoard
from evenkeel.adapters.state_folder import ENDPOINT_NAME, StateFolder
from evenkeel.adapters.terminal_host import verbs
from evenkeel.adapters.terminal_host.client import HostedBroker, HostLink
from evenkeel.adapters.terminal_host.keeper import HostKeeper, local_connect
from evenkeel.adapters.world import World
from evenkeel.commands.runs import stepped_run
from evenkeel.messages.broker_gateway import (
    BrokerAgreed,
    BrokerDisagreed,
    CallTerminal,
    DealEntry,
    OpenRequest,
    Outcome,
    TerminalAnswered,
)
from evenkeel.messages.entry import Lineage, SignalRaised
from evenkeel.messages.market import Direction
from evenkeel.messages.operator import CloseTicket, Mode, StartTrading
from evenkeel.runtime.clock import ManualClock
from evenkeel.runtime.journal import MemoryJournal, decode_record
from evenkeel.supervisor import CODEC

KILLS = int(os.environ.get("EVENKEEL_HOST_KILLS", "3"))
LATENCY_MS = 60
CONFIG_FILE = """
[account]
name = "test"
[terminal]
account_file = "{account}"
"""
ACCOUNT_FILE = f"""
[terminal]
latency_ms = {LATENCY_MS}
[market]
quote_every_s = 0.2
"""


class House:
    """A host that is kept, and the actors that trade through it."""

    def __init__(self, folder: Path) -> None:
        (folder / "account.toml").write_text(ACCOUNT_FILE)
        (folder / "test.toml").write_text(CONFIG_FILE.format(account=folder / "account.toml"))
        state = StateFolder(folder / "state", "test")
        state.create()
        endpoint = state.terminal / ENDPOINT_NAME
        self.gate, self.clock, self.journal = Gate(), ManualClock(1_767_600_000_000), MemoryJournal()
        connect = local_connect(endpoint)
        command = [sys.executable, "-m", "evenkeel.cli", "terminal", "--config", str(folder / "test.toml")]
        self.keeper = HostKeeper(
            connect, command, beat=self.beat, log=state.terminal / "host.log", lock=state.terminal / "lock"
        )
        self.links = HostLink(connect, 10.0), HostLink(connect, 10.0)
        self.broker = HostedBroker(*self.links, beat=self.beat)
        self.keeper.start()
        spec = until(lambda: self.broker.symbol("EURUSD"))
        until(lambda: self.broker.quote("EURUSD"))
        off = {"exit.time_stop_minutes": "off", "limits.day_loss_pct": "off", "strategy": {}}
        config = config_of(circuit_breaker__enabled=False, **off)
        world = World(config, {"EURUSD": spec}, self.broker, self.clock, QuoteBoard(), self.gate, self.broker.ticks, lambda: 0)
        self.host = stepped_run(world, self.clock, STARTED, self.journal)
        self.host.say("person", [StartTrading("start", "test")])
        self.spec = spec

    def beat(self) -> verbs.Beat:
        broker = getattr(self, "broker", None)
        answered = broker.answered_intent_id if broker else 0
        return verbs.Beat(self.gate.mode, 0, answered, tuple(sorted(self.gate.unresolved)))

    def wait(self, seconds: float) -> None:
        self.clock.advance_to(self.clock.now_utc_ms())
        self.host.advance_to(self.clock.now_utc_ms() + round(seconds * 1000), inclusive=True)

    def signal(self, direction: Direction) -> None:
        quote = until(lambda: self.broker.quote("EURUSD"))
        self.host.say("person", [SignalRaised("EURUSD", self.spec.spec_id, direction, quote, 0, 10, Lineage("person", ""))])

    def said(self, *kinds):  # type: ignore[no-untyped-def]
        messages = [CODEC.decode(bytes(decode_record(body).body)) for body in self.journal.bodies]
        return [message for message in messages if isinstance(message, kinds)]

    @property
    def book(self):  # type: ignore[no-untyped-def]
        return self.host.child("broker_gateway").state.book

    @property
    def is_agreed(self) -> bool:
        last = self.said(BrokerAgreed, BrokerDisagreed)[-1:]
        return bool(last) and isinstance(last[0], BrokerAgreed)

    def settle(self) -> None:
        """Look again and again, until nothing is open to question and nothing is open at all."""

        def settled() -> bool:
            self.wait(6)
            for ticket in list(self.book.positions):
                if ticket not in {close.order.ticket for close in self.book.closes.values()}:
                    self.host.say("person", [CloseTicket(f"close-{ticket}-{len(self.journal.bodies)}", "test", ticket)])
            self.wait(6)
            return not self.book.opens and not self.book.closes and not self.book.positions and self.is_agreed

        until(settled)

    def end(self) -> None:
        for link in self.links:
            link.close()
        self.keeper.stop()


@pytest.fixture
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[House]:
    monkeypatch.setenv("EVENKEEL_STATE", str(tmp_path / "state"))
    made = House(tmp_path)
    yield made
    made.end()


@pytest.mark.timeout(20 + 12 * KILLS)
def test_a_host_killed_in_the_middle_of_an_order_leaves_no_duplicate_and_no_question(house: House) -> None:
    draw = random.Random(4)
    house.settle()
    for number in range(KILLS):
        pid = house.keeper.pid
        assert pid is not None
        blow = threading.Timer(draw.uniform(0.0, 1.6 * LATENCY_MS / 1000), kill_process, [pid])
        quote = until(lambda: house.broker.quote("EURUSD"))
        direction = Direction.BUY if number % 2 else Direction.SELL
        signal = SignalRaised("EURUSD", house.spec.spec_id, direction, quote, 0, 10, Lineage("person", ""))
        blow.start()
        house.host.say("person", [signal])
        blow.join()
        until(lambda dead=pid: house.keeper.pid != dead and house.broker.positions() is not None)
        house.settle()

    opens = [call for call in house.said(CallTerminal) if isinstance(call.request, OpenRequest)]
    assert len(opens) == KILLS
    numbers = {call.intent_id for call in opens}
    outcomes = Counter(answer.outcome for answer in house.said(TerminalAnswered) if answer.intent_id in numbers)
    deals = until(lambda: house.broker.deals(0))
    entries = Counter(deal.magic for deal in deals if deal.entry is DealEntry.IN)
    assert max(entries.values(), default=0) <= 1
    assert set(entries) <= {call.magic for call in opens}
    assert house.broker.positions() == ()
    assert outcomes[Outcome.UNKNOWN] > 0, f"no blow fell into an order: {house.said(TerminalAnswered)}"
    assert house.gate.mode is Mode.RUN
    assert house.gate.unresolved == frozenset()


# The program itself

RUN_FILE = """
[account]
name = "test"
[trading]
enabled = true
[simulated]
quote_every_s = 0.2
[broker_gateway]
reconcile_s = 0.2
reading_gap_s = 0.2
[strategy.quick]
kind = "ma_cross"
symbols = ["EURUSD", "USDJPY"]
"""


def test_run_starts_a_host_keeps_it_over_a_reload_replaces_a_dead_one_and_a_kill_is_confirmed_by_both(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EVENKEEL_STATE", str(tmp_path / "state"))
    (tmp_path / "run.toml").write_text(RUN_FILE)
    evenkeel = [sys.executable, "-m", "evenkeel.cli"]
    endpoint = StateFolder(tmp_path / "state", "test").terminal / ENDPOINT_NAME

    def asked(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([*evenkeel, *words], capture_output=True, text=True, timeout=30, check=False)

    def host_pid() -> int:
        pid: int = msgspec.json.decode(endpoint.read_bytes())["pid"]
        return pid

    with subprocess.Popen([*evenkeel, "run", "--config", str(tmp_path / "run.toml")], stderr=subprocess.PIPE, text=True) as run:
        try:
            assert run.stderr is not None
            read_to(run.stderr, "the broker agrees")
            first = host_pid()
            assert asked("terminal", "--account", "test").returncode == 4  # one owner
            (tmp_path / "run.toml").write_text(f"{RUN_FILE}[exit]\ntime_stop_minutes = 60\n")
            assert asked("reload", "--account", "test", "--segment").returncode == 0
            assert host_pid() == first  # exits wait for no connection
            (tmp_path / "run.toml").write_text("half an edit =")  # a new host goes by what the run was started with
            kill_process(first)
            read_to(run.stderr, "a new one starts")
            until(lambda: endpoint.exists() and host_pid() != first)
            killed = asked("kill", "--account", "test", "--json")
            assert killed.returncode == 0
            assert msgspec.json.decode(killed.stdout)["confirmed_by"] == ["supervisor", "terminal host"]
            last = host_pid()
            assert asked("stop", "--account", "test").returncode == 0
            assert run.wait(timeout=30) == 0
            assert not process_lives(last)
        finally:
            run.kill()


def read_to(lines, words: str) -> None:  # type: ignore[no-untyped-def]
    heard = []
    for line in lines:
        heard.append(line)
        if words in line:
            return
    raise AssertionError(f"the process ended before it said {words!r}:\n{''.join(heard[-20:])}")
