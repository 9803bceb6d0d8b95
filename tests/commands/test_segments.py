"""Live systems in this process, one segment after the other: what a reload does to them, and what a segment takes with it."""

import sys
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from threading import Thread
from typing import Any

import msgspec
import pytest
from live import START_UTC_MS, until
from loguru import logger

from evenkeel.adapters.control_channel import Reload
from evenkeel.adapters.os import AccountLock
from evenkeel.adapters.service_manager import ServiceManager
from evenkeel.adapters.state_folder import StateFolder
from evenkeel.commands.inside import Inside, Market, inside, synthetic_market
from evenkeel.commands.live import LiveSystem, symbols_of
from evenkeel.commands.reloading import Again, Reloaded
from evenkeel.commands.segments import Making, Segments, reload_lowered
from evenkeel.config.load import load
from evenkeel.config.schema import Config
from evenkeel.messages.market import Direction
from evenkeel.messages.operator import Mode, PauseTrading, RaiseSignal, StartTrading
from evenkeel.rules.reload import Answer, Kind, Outcome

FIRST: Mapping[str, object] = {
    "profile": "demo",
    "trading.enabled": True,
    "entry.stop_pips": 300.0,
    "entry.target_pips": 300.0,
    "limits.intent_expiry_s": "off",
    "broker_gateway.reconcile_s": 0.1,
    "broker_gateway.reading_gap_s": 0.1,
    "strategy": {"never": {"kind": "ma_cross", "symbols": ["EURUSD"], "fast": 999, "slow": 1000}},
}


def market(system: LiveSystem, made: Inside) -> Market:
    return synthetic_market(system, made, speed=60.0, start_utc_ms=START_UTC_MS, is_live=False)


class Ended(Exception):
    """The process would have ended at once, to be started again."""


class Process:
    """What `evenkeel run` makes of a configuration that a test changes; `fails` counts the next segments that do not boot."""

    def __init__(self, root: Path) -> None:
        self.folder = StateFolder(root, "simulated")
        self.folder.create()
        self.wanted: dict[str, object] = dict(FIRST)
        self.systems: list[LiveSystem] = []
        self.fails, self.status, self.left = 0, -1, ""
        self.thread = Thread(target=self._run, daemon=True)

    def start(self) -> LiveSystem:
        self.thread.start()
        return self.serving(1)

    def serving(self, count: int) -> LiveSystem:
        """The newest system, once there were so many, and the broker agrees with it."""
        until(lambda: len(self.systems) >= count and hasattr(self.systems[-1], "run"))
        system = self.systems[-1]
        until(lambda: (child := system.run.host.child("operator")) is not None and child.state.is_agreed)
        return system

    def reload(self, **changes: Any) -> Answer:
        """A person writes that into the file and reloads; `segment` as a flag."""
        how = {name: changes.pop(name, False) for name in ("segment", "dry_run")}
        self.wanted |= {key.replace("__", "."): value for key, value in changes.items()}
        return self.systems[-1].reloading.reload(Reload(command_id="r-1", by="me", **how))

    def end(self) -> int:
        self.systems[-1].ask_stop("the test")
        self.thread.join(20)
        return self.status

    def _run(self) -> None:
        making = Making(self._made, lambda before, after: True)
        with AccountLock(self.folder.lock):
            segments = Segments(
                making,
                load(None, overrides=self.wanted),
                serve=self.systems.append,
                manager=ServiceManager({}),
                end_now=self._die,
            )
            try:
                self.status = segments.run()
            except Ended as ended:
                self.left = str(ended)

    def _made(self, config: Config, reloaded: Reloaded | None) -> LiveSystem:
        def outside(system: LiveSystem) -> Any:
            if reloaded is not None and self.fails:
                self.fails -= 1
                raise OSError("the terminal is gone")
            return inside(lambda one, made: synthetic_market(one, made, speed=60.0, start_utc_ms=START_UTC_MS, is_live=False))(
                system
            )

        again = Again(lambda: load(None, overrides=self.wanted), lambda config: [], symbols_of)
        return LiveSystem(config, self.folder, outside, on_fatal=lambda reason: None, again=again, reloaded=reloaded)

    def _die(self, reason: str) -> None:
        raise Ended(reason)


@pytest.fixture
def process(tmp_path: Path) -> Iterator[Process]:
    logger.disable("evenkeel")
    switch_interval_s = sys.getswitchinterval()
    made = Process(tmp_path)
    yield made
    if made.thread.is_alive():
        made.end()
    sys.setswitchinterval(switch_interval_s)
    logger.enable("evenkeel")


def state_of(system: LiveSystem, child: str) -> Any:
    return system.run.host.child(child).state


def traded(process: Process) -> LiveSystem:
    """Trading is on, GBPUSD is paused, one position is open."""
    system = process.start()
    system.run.host.say("person", [StartTrading("start", "me"), PauseTrading("pause", "me", "strategy/never")])
    until(lambda: state_of(system, "operator").mode is Mode.RUN)

    def is_open() -> bool:
        """A signal without a price, or in front of a reading, is refused: another one is raised; a symbol has one slot."""
        if not state_of(system, "risk_limit").book.reservations and not any(positions_of(system)):
            system.run.host.say("person", [RaiseSignal(uuid.uuid4().hex, "me", "EURUSD", Direction.BUY)])
        return all(len(positions) == 1 for positions in positions_of(system))

    until(is_open)
    return system


def positions_of(system: LiveSystem) -> tuple[Any, ...]:
    """As each of those sees them who keeps any."""
    position, operator, gateway = (state_of(system, name) for name in ("position/EURUSD", "operator", "broker_gateway"))
    return position.positions, operator.symbols, gateway.book.positions, state_of(system, "risk_limit").book.holdings


def kept(system: LiveSystem) -> tuple[Any, ...]:
    """What a segment must not lose. Each closed bar marks a holding anew."""
    position, operator, gateway = (state_of(system, name) for name in ("position/EURUSD", "operator", "broker_gateway"))
    levels = {ticket: (one.levels, one.opened_utc_ms) for ticket, one in position.positions.items()}
    holds, holdings = list(gateway.guards.holds), state_of(system, "risk_limit").book.holdings
    return (
        operator.mode,
        operator.paused,
        levels,
        list(gateway.book.positions),
        holds,
        {ticket: msgspec.structs.replace(one, mark_points=None) for ticket, one in holdings.items()},
    )


def test_another_segment_takes_mode_holds_positions_and_their_levels_with_it(process: Process) -> None:
    before = kept(traded(process))
    assert before[0] is Mode.RUN
    assert process.reload(entry__target_pips=200.0, segment=True).outcome is Outcome.SEGMENT
    after = process.serving(2)
    assert kept(after) == before
    assert after.config.entry.target_pips == 200.0
    assert process.end() == 0


def test_a_raised_limit_leaves_entries_closed_until_a_person_starts(process: Process) -> None:
    traded(process)
    process.reload(limits__positions_max=9, segment=True)
    after = process.serving(2)
    assert state_of(after, "operator").mode is Mode.CLOSE_ONLY
    assert len(state_of(after, "position/EURUSD").positions) == 1


def test_without_the_word_for_it_no_segment_begins_and_what_is_free_is_in_force(process: Process) -> None:
    system = process.start()
    told = process.reload(limits__positions_max=2, entry__target_pips=200.0)
    assert (told.outcome, [change.kind for change in told.changes]) == (Outcome.LEFT, [Kind.FREE, Kind.SEGMENT])
    until(lambda: state_of(system, "risk_limit").lowered == '{"limits.positions_max":2}')
    assert system.next is None
    assert [change.key for change in process.reload(dry_run=True).changes] == ["entry.target_pips"]


def test_a_hang_up_brings_what_is_lowered_into_force(process: Process) -> None:
    system = process.start()
    process.wanted |= {"limits.positions_max": 1, "entry.target_pips": 200.0}
    reload_lowered(system)
    until(lambda: state_of(system, "position/EURUSD").lowered == '{"limits.positions_max":1}')
    assert system.next is None


def test_a_wrong_file_changes_nothing_and_every_problem_is_told(process: Process) -> None:
    system = process.start()
    told = process.reload(limits__positions_max=0, exit__retry_min_s=-1, segment=True)
    assert told.outcome is Outcome.INVALID
    assert [line.partition(" ")[0] for line in told.problems] == ["command", "command"]
    assert state_of(system, "risk_limit").lowered == ""


def test_what_a_process_stands_on_is_refused_with_the_reason_and_so_is_all_else(process: Process) -> None:
    system = process.start()
    told = process.reload(account__leverage=50, limits__positions_max=2, segment=True)
    assert (told.outcome, told.problems) == (
        Outcome.REFUSED,
        ("account.leverage: another account is another journal: stop and start",),
    )
    assert state_of(system, "risk_limit").lowered == ""


def test_a_symbol_with_an_open_position_stays(process: Process) -> None:
    system = traded(process)
    (ticket,) = state_of(system, "operator").symbols
    told = process.reload(strategy={"never": {"kind": "ma_cross", "symbols": ["GBPUSD"]}}, segment=True)
    line = f"position {ticket} in EURUSD is open, and EURUSD would not be traded any more: close it first"
    assert (told.outcome, told.problems) == (Outcome.REFUSED, (line,))


def test_where_the_next_segment_does_not_begin_the_one_before_comes_back_with_what_it_had(process: Process) -> None:
    system = traded(process)
    process.reload(limits__positions_max=2)
    until(lambda: state_of(system, "risk_limit").lowered != "")
    before = kept(system)
    process.fails = 1
    process.reload(entry__target_pips=200.0, segment=True)
    after = process.serving(2)
    assert kept(after) == before
    assert (after.config.entry.target_pips, after.config.limits.positions_max) == (300.0, 2)
    assert process.reload(dry_run=True).changes[0].key == "entry.target_pips"
    assert process.end() == 0


def test_where_neither_serves_the_process_ends_for_a_new_one(process: Process) -> None:
    process.start()
    process.fails = 2
    process.reload(entry__target_pips=200.0, segment=True)
    process.thread.join(20)
    assert process.left == "the configuration before does not serve any more either: OSError: the terminal is gone"


def test_a_start_with_lower_limits_alone_goes_on_and_one_with_higher_ones_does_not(tmp_path: Path) -> None:
    logger.disable("evenkeel")

    def started(**changes: object) -> tuple[Mode, int | str, str]:
        process = Process(tmp_path)
        process.wanted |= {key.replace("__", "."): value for key, value in changes.items()}
        system = process.start()
        mode = state_of(system, "operator").mode
        opened_with = system.config.limits.positions_max
        system.run.host.say("person", [StartTrading("start", "me")])
        until(lambda: state_of(system, "operator").mode is Mode.RUN)
        lowered = state_of(system, "risk_limit").lowered
        assert process.end() == 0
        return mode, opened_with, lowered

    assert started() == (Mode.CLOSE_ONLY, 5, "")
    assert started(limits__positions_max=3) == (Mode.RUN, 5, '{"limits.positions_max":3}')
    assert started(limits__positions_max=3) == (Mode.RUN, 5, '{"limits.positions_max":3}')
    assert started() == (Mode.CLOSE_ONLY, 5, "")  # what the segment opened with, but more than was in force
    assert started(limits__positions_max=3) == (Mode.RUN, 5, '{"limits.positions_max":3}')
    assert started(limits__positions_max=4) == (Mode.CLOSE_ONLY, 4, "")
    logger.enable("evenkeel")
