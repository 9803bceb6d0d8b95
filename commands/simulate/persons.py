"""Who looks after a world's account: starts what stands still, pauses, closes, kills."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from evenkeel.messages.operator import (
    CloseTicket,
    KillTrading,
    Mode,
    PauseTrading,
    RearmTrading,
    ResumeTrading,
    StartTrading,
)
from evenkeel.messages.system import Message

if TYPE_CHECKING:
    from evenkeel.commands.simulate.world import LivedWorld


def person_acts(world: "LivedWorld") -> None:
    """Somebody looks in: starts what stands still, now and then pauses, closes or kills."""
    life, random = world.life, world.random
    if life is None or world.clock.true_utc_ms < world.asleep_until_utc_ms:
        return
    mode = life.gate.mode
    if mode is not Mode.RUN:
        command(world, RearmTrading)
        command(world, StartTrading)
    elif random.random() < 0.10:
        command(world, PauseTrading)
        world.troubles.later(random.randrange(10_000, 600_000), lambda: command(world, ResumeTrading))
    elif random.random() < 0.10 and world.witness.chronicle.positions:
        ticket = random.choice(sorted(world.witness.chronicle.positions))
        command(world, lambda number, by: CloseTicket(number, by, ticket))
    elif random.random() < 0.05:
        kill(world, flatten=random.random() < 0.5)


def kill(world: "LivedWorld", *, flatten: bool) -> None:
    """The epoch is on the disk before anybody is told."""
    raise_epoch(world)
    tell_of_kill(world, flatten=flatten)


def raise_epoch(world: "LivedWorld") -> None:
    world.kill_epoch += 1
    world.witness.kill_epoch = world.kill_epoch


def tell_of_kill(world: "LivedWorld", *, flatten: bool) -> None:
    epoch = world.kill_epoch
    if world.life is not None:
        command(world, lambda number, by: KillTrading(number, by, epoch, flatten))


def command(world: "LivedWorld", make: Callable[[str, str], Message]) -> None:
    life = world.life
    if life is None:
        return
    world.commands += 1
    number = f"command-{world.commands}"
    life.gate.shut(number)
    life.say([make(number, "person")])
