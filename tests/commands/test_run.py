"""What the supervisor's main loop looks at, how it is stopped, and what its exit status asks for."""

import contextlib
import signal
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from loguru import logger

from evenkeel.adapters.service_manager import Note, NoteBox, ServiceManager
from evenkeel.cli import main
from evenkeel.commands import exit_codes
from evenkeel.commands.asked import Asked
from evenkeel.commands.live import JOURNAL
from evenkeel.commands.main_loop import MainLoop
from evenkeel.commands.run import Signals, StoppedEarly
from evenkeel.runtime.leases import Broken


class Endless:
    ended = False


class System:
    """A system that is as a test says."""

    def __init__(self) -> None:
        self.source, self.ended = Endless(), Asked()
        self.stops_asked: list[str] = []
        self.journal_failure: str | None = None
        self.broken: Sequence[Broken] = ()
        self.protected = self.flattening = False

    def ask_stop(self, by: str) -> None:
        self.stops_asked.append(by)
        self.ended.set()

    def broken_leases(self) -> Sequence[Broken]:
        return self.broken

    def is_flat_or_protected(self) -> bool:
        return self.protected

    def is_flattening(self) -> bool:
        return self.flattening


class Loop:
    def __init__(self, manager: ServiceManager) -> None:
        self.system, self.ended_now = System(), list[str]()
        self.loop = MainLoop(self.system, manager, self.ended_now.append)  # type: ignore[arg-type]

    def ends(self) -> bool:
        return self.loop.look()


@pytest.fixture(autouse=True)
def _silence() -> Iterator[None]:
    logger.disable("evenkeel")
    yield
    logger.enable("evenkeel")


@pytest.fixture
def loop() -> Loop:
    return Loop(ServiceManager({}))


def test_while_everybody_lives_it_says_so_and_goes_on(tmp_path: Path) -> None:
    with NoteBox(tmp_path / "notes") as box:
        loop = Loop(ServiceManager(box.environment(5.0)))
        assert not loop.ends()
        assert box.take(1.0) == Note(alive=True)


def test_a_supervising_thread_that_stands_still_ends_the_process(loop: Loop) -> None:
    loop.system.broken = [Broken("the supervising thread", 10.2)]
    loop.ends()
    assert loop.ended_now == ["the supervising thread has not shown that it lives for 10.2 s"]


def test_a_journal_that_stands_still_is_told_once_and_ends_nothing_because_exits_go_on(tmp_path: Path) -> None:
    with NoteBox(tmp_path / "notes") as box:
        loop = Loop(ServiceManager({"NOTIFY_SOCKET": box.address}))
        loop.system.broken = [Broken(JOURNAL, 5.1)]
        assert [loop.ends() for _ in range(3)] == [False] * 3
        assert loop.ended_now == []
        told = "the journal's writer has stood still for 5.1 s: nothing new is opened, exits go on"
        assert [box.take(0.01), box.take(0.01)] == [Note(status=told), None]


def test_a_failed_journal_ends_the_process_once_everything_is_flat_or_protected(loop: Loop) -> None:
    loop.system.journal_failure = "disk full"
    assert not loop.ends()
    loop.system.protected = True
    assert loop.ends()
    assert loop.system.stops_asked == ["a failed journal: disk full"]


def test_a_stop_in_the_middle_of_a_flatten_waits_until_nothing_is_open(loop: Loop) -> None:
    loop.system.flattening = True
    loop.system.ask_stop("SIGTERM")
    assert [loop.ends() for _ in range(3)] == [False] * 3
    loop.system.flattening = False
    assert loop.ends()


def test_a_second_stop_in_the_middle_of_a_flatten_is_meant(loop: Loop) -> None:
    loop.system.flattening = True
    loop.system.ask_stop("SIGTERM")
    loop.system.ask_stop("SIGTERM")
    assert loop.ends()


@pytest.fixture
def signals() -> Iterator[Signals]:
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    yield Signals()
    for number, handler in before.items():
        signal.signal(number, handler)


def test_a_stop_signal_during_the_start_breaks_it_off_and_a_second_one_disturbs_nobody(signals: Signals) -> None:
    with pytest.raises(StoppedEarly, match="SIGTERM"):
        signal.raise_signal(signal.SIGTERM)
    signal.raise_signal(signal.SIGTERM)


def test_a_stop_signal_that_an_extension_swallows_during_the_start_ends_what_then_serves(signals: Signals) -> None:
    with contextlib.suppress(StoppedEarly):
        signal.raise_signal(signal.SIGTERM)
    asked: list[str] = []
    signals.serve(asked.append)
    assert asked == ["SIGTERM"]


def test_a_stop_signal_later_asks_for_an_end_in_order_each_time(signals: Signals) -> None:
    asked: list[str] = []
    signals.serve(asked.append)
    signal.raise_signal(signal.SIGTERM)
    signal.raise_signal(signal.SIGINT)
    assert asked == ["SIGTERM", "SIGINT"]


@pytest.mark.parametrize(
    "status, restart",
    [(0, False), (1, False), (2, False), (3, False), (4, False), (5, False), (6, False), (75, True), (130, False), (-9, True)],
)
def test_only_a_fault_that_a_fresh_process_may_not_have_asks_for_a_restart(status: int, restart: bool) -> None:
    assert exit_codes.asks_for_restart(status) is restart


def test_the_guide_lists_every_exit_status_with_its_meaning() -> None:
    guide = (Path(__file__).parents[2] / "docs" / "when-something-is-wrong.md").read_text("utf-8")
    for meaning in exit_codes.MEANINGS:
        assert f"| {meaning.status} | {meaning.text} | {'yes' if meaning.restart else 'no'} |" in guide


def test_a_state_that_others_may_read_is_a_persons_turn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EVENKEEL_STATE", str(tmp_path))
    (tmp_path / "test").mkdir()
    (tmp_path / "test").chmod(0o755)  # whatever the umask is
    config = tmp_path / "test.toml"
    config.write_text('[strategy.quick]\nkind = "ma_cross"\nsymbols = ["EURUSD"]\nfast = 2\nslow = 3\n')
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        assert main(["run", "--config", str(config), "--account", "test"]) == exit_codes.FAILED
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
