"""What befalls a world beside its broker's troubles and its market's: deaths, disks, clocks, strangers."""

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
    random, troubles, life = world.troubles.random, world.troubles, world.life
    if FAULTS.get(name) is not None and FAULTS[name].way is Way.SPELL:
        for_ms = random.randrange(2_000, 120_000)
        troubles.begin(name, for_ms)
        world.disturbed(world.clock.true_utc_ms + for_ms)
        return
    match name:
        case "hour":
            each_hour(world)
        case "person":
            person_acts(world)
        case "F16" | "F18":
            if world.terminal.server.book.positions:
                troubles.count(name)
                act = world.troubled.stop_out if name == "F16" else world.troubled.someone_moves_a_stop
                act()
        case "F19":
            troubles.count(name)
            world.troubled.move_cash()
        case "F23":
            world.troubled.die_soon(random.randrange(1, 6))
        case "F24" | "F61":
            troubles.count(name)
            person_trades(world, random)
        case "F34":
            if random.random() < 0.5:
                world.dies_at_commit = world.commits + 1 + random.randrange(40)
            else:
                world.dies_at_call = world.calls + 1 + random.randrange(6)
        case "F35":
            if life is not None:
                world.fuse.light(random.choice(life.specs).name, random.randrange(1, 60))
        case "F37":
            told_twice(world, random)
        case "F40":
            troubles.count(name)
            world.asleep_until_utc_ms = world.clock.true_utc_ms + random.randrange(60_000, 2 * HOUR_MS)
            world.disturbed(world.asleep_until_utc_ms)
        case "F41":
            troubles.count(name)
            world.deaths_left = 3
            world.dies_at_commit = world.commits + 1
        case "F42":
            troubles.count(name)
            world.changed = True
            world.stop()
        case "F43":
            troubles.count(name)
            kill(world, flatten=True)
            world.stop()
        case "F44" | "F45" | "F46":
            if life is not None:
                troubles.count(name)
                world.store.refusal = _REFUSALS[name]
                world.disturbed()
                troubles.later(random.randrange(5_000, 60_000), lambda: end_by_journal(world))
        case "F47":
            troubles.count(name)
            lose_writes(world, random)
        case "F48":
            flip(world, random)
        case "F49":
            restore(world, name)
        case "F51":
            troubles.count(name)
            world.clock.skew_ms = random.choice((-HOUR_MS, HOUR_MS, 0))
            world.disturbed()
        case "F53":
            troubles.count(name)
            world.die()
            world.clock.skew_ms = -random.randrange(1, 3 * HOUR_MS)
        case "F58" if random.random() < 0.5:
            world.kill_at_call = world.calls + 1 + random.randrange(4)
        case "F58":
            troubles.count(name)
            for _ in range(random.randrange(2, 5)):
                kill(world, flatten=random.random() < 0.3)
        case "F63":
            troubles.count(name)
            told = verbs.reply(world.host.reply(random.randbytes(random.randrange(0, 200))))
            world.witness.see("I38", isinstance(told, verbs.Malformed), f"nonsense was answered by {told}")
        case _:
            raise AssertionError(f"{name} is no event")


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
        restore(world, "F49")
    else:
        world.witness.see("I31", False, "a flipped bit was not found")


def restore(world: "LivedWorld", name: str) -> None:
    if world.backup is None or world.backup.last_seq < world.store.read_from:
        return
    world.troubles.count(name)
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
