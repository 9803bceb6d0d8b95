"""The channel outside of a world: takes notices, and while its fault lasts is slow, refuses, or swallows them or its answer."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from evenkeel.adapters.notifier import Notifier
from evenkeel.adapters.outlets import Sent, Wire
from evenkeel.commands.simulate.troubles import Troubles

if TYPE_CHECKING:
    from evenkeel.commands.simulate.world import LivedWorld

OUTLET: Final = "outside"
TIMEOUT_MS: Final = 3_500
"""As an outlet with the usual time-out and its grace."""
_SOON_MS: Final = (20, 800)
_SLOW_MS: Final = (TIMEOUT_MS, 60_000)
_ALONE_S: Final = (1, 30)
_WAYS: Final = ("refuses", "wants to be left alone", "answers nobody", "is slow", "swallows it")


def notifier_of(world: "LivedWorld") -> Notifier:
    """For one life of the supervisor. The outbox is the world's, like a disk; what is on its way arrives also when the life is
    over."""
    return Notifier(
        world.config.notifier,
        "world",
        world.outbox,
        {OUTLET: WorldCourier(world.troubles, lambda wire: _arrived(world, wire))},
        utc_ms=world.clock.now_utc_ms,
        monotonic_ns=world.clock.monotonic_ns,
    )


def judge_alerts(world: "LivedWorld") -> None:
    """Only time counts in which somebody was there and could write down that the mode has dropped."""
    alerts, now = world.witness.alerts, world.clock.true_utc_ms
    if alerts is None:
        return
    if world.life is None:
        alerts.lapse(max(now, world.restart_utc_ms))
    elif now < world.asleep_until_utc_ms:
        alerts.lapse(world.asleep_until_utc_ms)
    elif world.store.refusal is not None:
        alerts.lapse(now)
    alerts.look(now)


def _arrived(world: "LivedWorld", wire: Wire) -> None:
    world.counts["notices"] += 1
    judge_alerts(world)
    if world.witness.alerts is not None:
        world.witness.alerts.arrived(wire.seqs)


class WorldCourier:
    """Satisfies `adapters.outlets.Courier` in the world's time. `arrived` is told of each notice when it is there, however
    often it comes."""

    def __init__(self, troubles: Troubles, arrived: Callable[[Wire], None]) -> None:
        self._troubles, self._arrived = troubles, arrived
        self._answer: tuple[int, Sent] | None = None

    def begin(self, wire: Wire) -> None:
        troubles, random = self._troubles, self._troubles.random
        soon_ms = random.randrange(*_SOON_MS)
        way = random.choice(_WAYS) if troubles.lasts("F55") else ""
        if way in ("", "answers nobody"):
            troubles.later(soon_ms, lambda: self._arrived(wire))
        elif way == "is slow":
            troubles.later(random.randrange(*_SLOW_MS), lambda: self._arrived(wire))
        match way:
            case "":
                sent, after_ms = Sent(True), soon_ms
            case "refuses":
                sent, after_ms = Sent(False, "HTTP 503"), soon_ms
            case "wants to be left alone":
                sent, after_ms = Sent(False, "HTTP 429", random.randrange(*_ALONE_S)), soon_ms
            case _:
                sent, after_ms = Sent(False, "no answer"), TIMEOUT_MS
        self._answer = troubles.now_utc_ms + after_ms, sent

    def result(self) -> Sent | None:
        if self._answer is None or self._troubles.now_utc_ms < self._answer[0]:
            return None
        sent, self._answer = self._answer[1], None
        return sent
