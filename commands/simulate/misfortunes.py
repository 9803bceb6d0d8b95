"""What befalls a world beside its broker's troubles and its market's: deaths, disks, clocks, strangers."""

from collections.abc import Callable
from functools import partial
from random import Random
from typing import TYPE_CHECKING, Final

from evenkeel.adapters.terminal_host import verbs
from evenkeel.commands.simulate.faults import FAULTS, Way
from evenkeel.commands.simulate.life import TERMINAL
from evenkeel.commands.simulate.market import HOUR_MS
from evenkeel.commands.simulate.persons import kill, person_acts
from evenkeel.messages.broker_gateway import DealDone
from evenkeel.messages.market import Direction
from evenkeel.runtime.journal import JournalCorrupt
from evenkeel.supervisor import CODEC

if TYPE_CHECKING:
    from evenkeel.commands.simulate.world import LivedWorld

_REFUSALS: Final = {
    "F44": "no space left on device",
    "F45": "MDB_MAP_FULL: Environment mapsize limit reached",
    "F46": "commit failed: input/output error",
}


def happen(world: "LivedWorld", name: str) -> None:
    """A spell of a fault begins, or its event comes. Raises KeyError for what is neither."""
    random, troubles = world.troubles.random, world.troubles
    if FAULTS.get(name) is not None and FAULTS[name].way is Way.SPELL:
        for_ms = random.randrange(2_000, 120_000)
        troubles.begin(name, for_ms)
        world.disturbed(world.clock.true_utc_ms + for_ms)
        return
    _EVENTS[name](world, random)


def each_hour(world: "LivedWorld") -> None:
    if world.life is None:
        return
    world.life.snapshot_all()
    if world.clock.true_utc_ms >= world.steady_from_utc_ms + HOUR_MS // 4:
        world.witness.look_back()
    world.backup = world.store.backup()
    world.witness.durable(world.store.durable_seq)
    world.witness.keep(world.store.durable_seq)
    world.store.forget()


def person_trades(world: "LivedWorld", random: Random) -> None:
    held = world.terminal.positions() or ()
    if held and random.random() < 0.5:
        world.terminal.person_closes(random.choice(held).ticket)
    elif len(held) < 8:
        symbol, direction = random.choice(world.plan.symbols), random.choice((Direction.BUY, Direction.SELL))
        try:
            ticket = world.terminal.person_opens(symbol, direction, random.randrange(1, 20))
        except (ValueError, KeyError):
            return
        world.troubles.later(random.randrange(60_000, HOUR_MS), lambda: stranger_closes(world, ticket))


def stranger_closes(world: "LivedWorld", ticket: int) -> None:
    if ticket in world.terminal.server.book.positions:
        world.terminal.person_closes(ticket)


def told_twice(world: "LivedWorld", random: Random) -> None:
    """The terminal edge says a deal again that it said before."""
    if world.life is not None and world.terminal.books.deals:
        deals = [one for one in world.terminal.deals(0) or () if one.deal_ticket in world.witness.chronicle.deals]
        if deals:
            world.troubles.count("F37")
            world.life.tell(TERMINAL, [DealDone(random.choice(deals[-5:]))])


def end_by_journal(world: "LivedWorld") -> None:
    """A person has made room; a process that lost its journal has ended meanwhile."""
    if world.life is not None and world.store.refusal is not None:
        world.die()


def lose_writes(world: "LivedWorld", random: Random) -> None:
    world.troubles.count("F47")
    world.look()
    world.die()
    world.store.crash(random.randrange(1, 40))
    chronicle_goes_back(world)


def flip(world: "LivedWorld", random: Random) -> None:
    """Nobody starts over a journal that is not what was written: the last backup is restored."""
    if world.backup is None or world.backup.last_seq < world.store.read_from:
        return
    world.troubles.count("F48")
    world.look()
    world.die()
    world.store.flip(random.randrange(1 << 30), random.randrange(1 << 16))
    try:
        world.store.verify()
    except JournalCorrupt:
        world.counts["flips found"] += 1
        restore(world, random)
    else:
        world.witness.see("I31", False, "a flipped bit was not found")


def restore(world: "LivedWorld", random: Random) -> None:
    if world.backup is None or world.backup.last_seq < world.store.read_from:
        return
    world.troubles.count("F49")
    if world.life is not None:
        world.look()
        world.die()
    world.store.restore(world.backup)
    world.restored = True
    chronicle_goes_back(world)


def chronicle_goes_back(world: "LivedWorld") -> None:
    witness, store = world.witness, world.store
    kept = witness.kept_seq(store.durable_seq)
    witness.go_back(store.durable_seq, [CODEC.decode(bytes(record.body)) for record in store.read(kept + 1)])


def stop_out(world: "LivedWorld", random: Random) -> None:
    if world.terminal.server.book.positions:
        world.troubles.count("F16")
        world.troubled.stop_out()


def someone_moves_a_stop(world: "LivedWorld", random: Random) -> None:
    if world.terminal.server.book.positions:
        world.troubles.count("F18")
        world.troubled.someone_moves_a_stop()


def cash_moves(world: "LivedWorld", random: Random) -> None:
    world.troubles.count("F19")
    world.troubled.move_cash()


def terminal_dies_soon(world: "LivedWorld", random: Random) -> None:
    world.troubled.die_soon(random.randrange(1, 6))


def stranger_trades(world: "LivedWorld", random: Random, *, name: str) -> None:
    world.troubles.count(name)
    person_trades(world, random)


def process_dies(world: "LivedWorld", random: Random) -> None:
    if random.random() < 0.5:
        world.dies_at_commit = world.commits + 1 + random.randrange(40)
    else:
        world.dies_at_call = world.calls + 1 + random.randrange(6)


def child_is_struck(world: "LivedWorld", random: Random) -> None:
    if world.life is not None:
        world.fuse.light(random.choice(world.life.specs).name, random.randrange(1, 60))


def machine_sleeps(world: "LivedWorld", random: Random) -> None:
    world.troubles.count("F40")
    world.asleep_until_utc_ms = world.clock.true_utc_ms + random.randrange(60_000, 2 * HOUR_MS)
    world.disturbed(world.asleep_until_utc_ms)


def process_dies_again_and_again(world: "LivedWorld", random: Random) -> None:
    world.troubles.count("F41")
    world.deaths_left = 3
    world.dies_at_commit = world.commits + 1


def starts_changed(world: "LivedWorld", random: Random) -> None:
    world.troubles.count("F42")
    world.changed = True
    world.stop()


def killed_and_stopped(world: "LivedWorld", random: Random) -> None:
    world.troubles.count("F43")
    kill(world, flatten=True)
    world.stop()


def disk_refuses(world: "LivedWorld", random: Random, *, name: str) -> None:
    if world.life is not None:
        world.troubles.count(name)
        world.store.refusal = _REFUSALS[name]
        world.disturbed()
        world.troubles.later(random.randrange(5_000, 60_000), lambda: end_by_journal(world))


def clock_jumps(world: "LivedWorld", random: Random) -> None:
    world.troubles.count("F51")
    world.clock.skew_ms = random.choice((-HOUR_MS, HOUR_MS, 0))
    world.disturbed()


def clock_goes_back_while_it_is_dead(world: "LivedWorld", random: Random) -> None:
    world.troubles.count("F53")
    world.die()
    world.clock.skew_ms = -random.randrange(1, 3 * HOUR_MS)


def killed_by_a_person(world: "LivedWorld", random: Random) -> None:
    """In the middle of a call, or several times."""
    if random.random() < 0.5:
        world.kill_at_call = world.calls + 1 + random.randrange(4)
        return
    world.troubles.count("F58")
    for _ in range(random.randrange(2, 5)):
        kill(world, flatten=random.random() < 0.3)


def nonsense_is_said(world: "LivedWorld", random: Random) -> None:
    world.troubles.count("F63")
    told = verbs.reply(world.host.reply(random.randbytes(random.randrange(0, 200))))
    world.witness.see("I38", isinstance(told, verbs.Malformed), f"nonsense was answered by {told}")


_EVENTS: Final[dict[str, Callable[["LivedWorld", Random], None]]] = {
    "hour": lambda world, random: each_hour(world),
    "person": lambda world, random: person_acts(world),
    "F16": stop_out,
    "F18": someone_moves_a_stop,
    "F19": cash_moves,
    "F23": terminal_dies_soon,
    "F24": partial(stranger_trades, name="F24"),
    "F34": process_dies,
    "F35": child_is_struck,
    "F37": told_twice,
    "F40": machine_sleeps,
    "F41": process_dies_again_and_again,
    "F42": starts_changed,
    "F43": killed_and_stopped,
    **{name: partial(disk_refuses, name=name) for name in _REFUSALS},
    "F47": lose_writes,
    "F48": flip,
    "F49": restore,
    "F51": clock_jumps,
    "F53": clock_goes_back_while_it_is_dead,
    "F58": killed_by_a_person,
    "F61": partial(stranger_trades, name="F61"),
    "F63": nonsense_is_said,
}
"""Faults of the catalogue that are events, by their number there."""
