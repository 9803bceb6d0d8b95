"""A world's end: no more faults, time to come to rest, and the last judgement."""

from typing import TYPE_CHECKING, Final

from evenkeel.commands.simulate.market import Row
from evenkeel.runtime.fold import ledgers_of
from evenkeel.runtime.journal import JournalCorrupt
from evenkeel.supervisor import CODEC

if TYPE_CHECKING:
    from evenkeel.commands.simulate.world import LivedWorld

QUIET_MS: Final = 15 * 60_000
"""How long a world goes on without faults at its end, so that everything may come to rest."""
QUIET_WITHOUT_FAULTS_MS: Final = 4 * 60_000


def come_to_rest(world: "LivedWorld") -> None:
    """No more faults; fresh quotes for a while, whatever the hour."""
    world.troubles.end()
    world.counts["commits"], world.counts["order calls"] = world.commits, world.calls
    world.dies_at_commit = world.dies_at_call = 0
    world.deaths_left = 0
    world.fuse.light("", 0)
    world.clock.skew_ms = 0
    world.asleep_until_utc_ms = 0
    now = world.clock.true_utc_ms
    if world.store.refusal is not None and world.life is not None:
        world.die()
    if world.life is None:
        world.restart_utc_ms = now + 1_000
    quiet_ms = QUIET_MS if world.plan.fault_factor else QUIET_WITHOUT_FAULTS_MS
    world.ends_utc_ms = now + quiet_ms
    world.rows_before = world.rows
    world.live_through(last_rows(world, now + 1_000, world.ends_utc_ms), [])
    assert world.life is not None, "nothing ends a life any more"
    world.look()
    world.witness.finish()
    judge_store(world)
    refold(world)


def last_rows(world: "LivedWorld", from_utc_ms: int, to_utc_ms: int) -> list[Row]:
    """Prices that stand, second by second."""
    quotes = {symbol: world.terminal.quote(symbol) for symbol in world.plan.symbols}
    return [
        (t + at, symbol, quote.bid_points, quote.ask_points + t // 1000 % 2, 0)
        for t in range(from_utc_ms, to_utc_ms, 1_000)
        for at, (symbol, quote) in enumerate(quotes.items())
        if quote is not None
    ]


def judge_store(world: "LivedWorld") -> None:
    try:
        world.store.verify()
    except JournalCorrupt as error:
        world.witness.see("I31", False, str(error))
    numbers = [record.seq for record in world.store.read(world.store.read_from)]
    has_gap = numbers != list(range(world.store.read_from, world.store.durable_seq + 1))
    world.witness.see("I31", not has_gap, "the journal's numbers have a gap")


def refold(world: "LivedWorld") -> None:
    """The state of every actor is the fold of the journal, byte for byte."""
    from evenkeel.runtime.actor import snapshot_of
    from evenkeel.runtime.shell import Kind, Shell

    life = world.life
    assert life is not None
    ledgers = ledgers_of(world.store.read, world.store.snapshots, life.specs, CODEC, tolerant=False)
    for spec in life.specs:
        if spec.kind is Kind.ACTOR:
            shell = Shell(spec, ledgers[spec.name], life.host.publisher)
            shell.rebuild()
            same = snapshot_of(shell.child) == snapshot_of(life.host.child(spec.name))
            world.witness.see("I32", same, f"{spec.name} is not the fold of what it was told")
            if spec.name == "risk_limit":
                today = life.host.child(spec.name).state.counts.today
                told = world.witness.chronicle.opened_today
                world.witness.see("I12", today == told, f"{today} trades are counted today, {told} were opened")
