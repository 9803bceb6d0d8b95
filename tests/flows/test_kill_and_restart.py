"""The process dies without warning, or stands still, and is started again: it goes on where the journal ends.

Three of its deaths come at any moment; EVENKEEL_RUN_KILLS=10 makes them more.
"""

import os
import random
import signal

from builders import specs_of
from house import SPEED, House, is_open, still_open

from evenkeel.adapters.gate import Gate
from evenkeel.adapters.lmdb_journal import read_folder, verify
from evenkeel.adapters.quote_board import QuoteBoard
from evenkeel.adapters.simulated.terminal import SimulatedTerminal
from evenkeel.adapters.world import World
from evenkeel.commands import exit_codes
from evenkeel.commands.inside import with_real_waits
from evenkeel.config.schema import Config
from evenkeel.messages.broker_gateway import BrokerAgreed, CallTerminal, DealDone, DealEntry
from evenkeel.messages.operator import Mode, ModeChanged
from evenkeel.messages.position import PositionOpened
from evenkeel.messages.system import Message, RunStarted
from evenkeel.runtime.clock import ManualClock
from evenkeel.runtime.fold import ledgers_from
from evenkeel.runtime.publisher import Publisher
from evenkeel.runtime.routes import RouteTable
from evenkeel.runtime.shell import Kind, Shell
from evenkeel.supervisor import CODEC, children

KILLS = int(os.environ.get("EVENKEEL_RUN_KILLS", "3"))


def test_a_killed_process_goes_on_where_its_journal_ends(house: House) -> None:
    first = house.start()
    first.until("the broker agrees")
    assert house.command("start").returncode == 0
    first.until(" opened: ")
    first.until(" opened: ")
    first.process.send_signal(signal.SIGKILL)
    first.process.wait()
    before = house.said()

    second = house.start()
    second.until("the broker agrees")
    while not opens_since_agreement(house.said()[len(before) :]):  # what opens first may be what the first process asked for
        second.until(" opened: ")
    assert house.command("stop").returncode == 0
    assert second.process.wait(timeout=30) == 0

    said = house.said()
    verify(house.folder.journal)
    assert said[: len(before)] == before
    after = said[len(before) :]
    started = [message for message in after if isinstance(message, RunStarted)]
    assert [(run.continued, run.crashed) for run in started] == [(True, True)]
    assert next(message.mode for message in after if isinstance(message, ModeChanged)) is Mode.RUN
    assert len(opens_since_agreement(after)) == len([message for message in after if is_open(message)])


def opens_since_agreement(said: list[Message]) -> list[Message]:
    agreed = next((at for at, message in enumerate(said) if isinstance(message, BrokerAgreed)), len(said))
    return [message for message in said[agreed:] if is_open(message)]


def test_positions_of_a_killed_process_are_still_managed_by_the_next_one(house: House) -> None:
    first = house.start()
    first.until("the broker agrees")
    house.command("start")
    held: set[int] = set()
    while not held:  # in the journal, not only in the log: what is not durable yet may be forgotten
        first.process.send_signal(signal.SIGCONT)
        first.until("position ")
        first.process.send_signal(signal.SIGSTOP)
        held = still_open(house.said())
    first.process.send_signal(signal.SIGKILL)
    first.process.wait()

    second = house.start()
    while held & still_open(house.said()):
        second.until("closed")
    house.command("stop")
    second.process.wait(timeout=30)
    said = house.said()
    opened = [message.ticket for message in said if isinstance(message, PositionOpened)]
    magics = [m.deal.magic for m in said if isinstance(m, DealDone) and m.deal.entry is DealEntry.IN]
    assert len(opened) == len(set(opened))
    assert len(magics) == len(set(magics))


def test_a_process_that_is_killed_at_any_moment_forgets_nothing_and_orders_nothing_twice(house: House) -> None:
    chance, before, kills = random.Random(11), house.said(), 0
    while kills < KILLS or not (opened := [message.ticket for message in before if isinstance(message, PositionOpened)]):
        run = house.start()
        run.until("the broker agrees")
        house.command("start")
        for _ in range(chance.randint(1, 5)):
            run.until(" ")
        run.process.kill()
        run.process.wait()
        said = house.said()
        assert said[: len(before)] == before, f"kill {kills}"
        before, kills = said, kills + 1
    verify(house.folder.journal)
    magics = [m.deal.magic for m in before if isinstance(m, DealDone) and m.deal.entry is DealEntry.IN]
    assert len(opened) == len(set(opened))
    assert len(magics) == len(set(magics))


def test_a_kill_while_the_supervisor_stands_still_lets_no_order_out_afterwards(house: House) -> None:
    run = house.start()
    run.until("the broker agrees")
    house.command("start")
    run.until(" opened: ")
    run.process.send_signal(signal.SIGSTOP)
    killed = house.command("kill")
    assert killed.returncode == 5
    assert "no terminal host confirmed; no supervisor confirmed" in killed.stdout
    before = house.said()
    run.process.send_signal(signal.SIGCONT)
    run.until("mode close_only")
    assert house.command("stop").returncode == 0
    run.process.wait(timeout=30)
    after = house.said()[len(before) :]
    deals_in = [message for message in after if isinstance(message, DealDone) and message.deal.entry is DealEntry.IN]
    calls_before = {message.magic for message in before if is_open(message) and isinstance(message, CallTerminal)}
    assert [message for message in deals_in if message.deal.magic not in calls_before] == []


def test_a_second_supervisor_of_the_same_account_is_refused(house: House) -> None:
    first = house.start()
    first.until("the broker agrees")
    second = house.start()
    second.until("a supervisor of the same build; end that one first")
    assert second.process.wait(timeout=30) == 4
    assert house.command("status").returncode == 0


def world_of(config: Config) -> World:
    """Enough of a world to make its actors; its broker is never asked."""
    specs = specs_of(config, ("EURUSD", "GBPUSD"))
    terminal = SimulatedTerminal(
        specs,
        start_balance_cents=0,
        currency="USD",
        currency_digits=2,
        leverage=1,
        profit_cents=lambda spec, points, steps, close: 0,
    )
    return World(config, specs, terminal, ManualClock(), QuoteBoard(), Gate(), terminal.ticks, lambda: 0)


def test_what_the_threaded_host_recorded_is_what_each_actor_says_again(house: House) -> None:
    """Inputs of a live run, given to each actor alone, bring the outputs that the journal holds; a crash in between too."""
    first = house.start()
    first.until("the broker agrees")
    house.command("start")
    first.until("closed")
    first.process.send_signal(signal.SIGKILL)
    first.process.wait()
    second = house.start()
    second.until(" opened: ")
    house.command("stop")
    second.process.wait(timeout=30)

    records = list(read_folder(house.folder.journal))
    specs = [spec for spec in children(world_of(with_real_waits(house.config, SPEED))) if spec.kind is Kind.ACTOR]
    publisher = Publisher(routes=RouteTable({}, children=[], said=[]), codec=CODEC, clock=ManualClock(), journal=None)
    ledgers = ledgers_from(records, {}, specs, CODEC)
    for spec in specs:
        Shell(spec, ledgers[spec.name], publisher).rebuild()  # raises FoldDiverged where they differ
    assert [house.command("replay", "--segment", run).returncode for run in ("1", "2")] == [exit_codes.OK, exit_codes.OK]
    answered = [entry for spec in specs for entry in ledgers[spec.name].tail if entry.recorded]
    assert len(answered) > 20
