"""L2 in the worlds: the judge sees a notifier that keeps quiet when nobody outside could be told."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from evenkeel.adapters.world import World
from evenkeel.commands.simulate.alerts import Alerts
from evenkeel.commands.simulate.plan import Plan
from evenkeel.commands.simulate.world import LivedWorld
from evenkeel.messages.broker_gateway import MoneyDisagreed
from evenkeel.messages.operator import LowerMode, Mode, ModeChanged
from evenkeel.messages.system import Message
from evenkeel.runtime.shell import ChildSpec

WITH_A_CHANNEL = Plan(13, 1.5, ("EURUSD",), fault_factor=3.0)
RUN, LOW = ModeChanged(Mode.RUN, 0, "person", ""), ModeChanged(Mode.CLOSE_ONLY, 0, "notifier", "")
GRAVE = MoneyDisagreed(1, 2)


class Quiet:
    """A notifier that never lowers the mode."""

    def __init__(self, edge: Any) -> None:
        object.__setattr__(self, "_edge", edge)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._edge, name)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self._edge, name, value)

    def act(self, *heard: Any) -> Sequence[Message]:
        return self._without(self._edge.act(*heard))

    def resume(self, now_utc_ms: int) -> Sequence[Message]:
        return self._without(self._edge.resume(now_utc_ms))

    def poll(self, now_utc_ms: int) -> Sequence[Message]:
        return self._without(self._edge.poll(now_utc_ms))

    @staticmethod
    def _without(said: Sequence[Message]) -> Sequence[Message]:
        return [one for one in said if not isinstance(one, LowerMode)]


class QuietWorld(LivedWorld):
    def _stand_in(self, spec: ChildSpec, world: World) -> ChildSpec:
        return msgspec.structs.replace(spec, make=lambda: Quiet(spec.make())) if spec.name == "notifier" else spec


def test_a_notifier_that_keeps_quiet_is_caught(tmp_path: Path) -> None:
    world = QuietWorld(WITH_A_CHANNEL, tmp_path)
    world.run()
    outcome = world.outcome()
    assert set(outcome.broken) == {"L2"}
    assert "nobody outside has heard of record" in outcome.breaks[0].detail


class Judge:
    """The judge of a world, and what it saw: true where the promise was kept."""

    def __init__(self) -> None:
        self.seen: list[bool] = []
        self.alerts = Alerts(lambda holds, _: self.seen.append(holds))
        self.alerts.durable(1, RUN, 0)


def test_what_arrives_in_time_is_in_time_also_before_it_is_durable() -> None:
    judge = Judge()
    judge.alerts.durable(2, GRAVE, 1_000)
    judge.alerts.arrived([2])
    judge.alerts.arrived([3])
    judge.alerts.durable(3, GRAVE, 2_000)
    judge.alerts.look(60_000)
    assert judge.seen == [True, True]


def test_what_arrives_nowhere_is_seen_unless_the_mode_was_low_by_then() -> None:
    judge = Judge()
    judge.alerts.durable(2, GRAVE, 1_000)
    judge.alerts.look(6_000)
    assert judge.seen == []
    judge.alerts.look(6_001)
    assert judge.seen == [False]

    judge.alerts.durable(3, GRAVE, 10_000)
    judge.alerts.durable(4, LOW, 14_100)
    judge.alerts.durable(5, RUN, 15_500)
    judge.alerts.durable(6, GRAVE, 16_000)
    judge.alerts.look(60_000)
    assert judge.seen == [False, True, False]


def test_time_in_which_nobody_could_tell_does_not_count() -> None:
    judge = Judge()
    judge.alerts.durable(2, GRAVE, 1_000)
    judge.alerts.died(90_000)
    judge.alerts.look(94_000)
    judge.alerts.arrived([0])
    assert judge.seen == [True], "a restart found it, and knows no number"
