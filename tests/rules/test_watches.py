from hypothesis import given, settings
from hypothesis import strategies as some

from evenkeel.messages.market import Quote, Side, Watch
from evenkeel.rules.watches import Watches, arm, crossed, disarm, disarm_reached

OWNER = "position/EURUSD"


def below(level_points: int, name: str = "stop", **more: int) -> Watch:
    return Watch(name, Side.BID, rising=False, level_points=level_points, **more)


def above(level_points: int, name: str = "target", **more: int) -> Watch:
    return Watch(name, Side.BID, rising=True, level_points=level_points, **more)


def armed_with(*wanted: Watch) -> Watches:
    watches = Watches()
    arm(watches, OWNER, wanted)
    return watches


def test_both_ends_of_a_level_count():
    assert crossed(armed_with(below(900)), 901, 911) == {}
    assert crossed(armed_with(below(900)), 900, 910) == {OWNER: ["stop"]}
    assert crossed(armed_with(above(900)), 899, 909) == {}
    assert crossed(armed_with(above(900)), 900, 910) == {OWNER: ["target"]}


def test_a_watch_on_the_ask_does_not_look_at_the_bid():
    watches = armed_with(Watch("stop", Side.ASK, rising=True, level_points=910))
    assert crossed(watches, 909, 909) == {}
    assert crossed(watches, 800, 910) == {OWNER: ["stop"]}


def test_a_crossed_watch_is_forgotten():
    watches = armed_with(below(900), below(800, "emergency"))
    assert crossed(watches, 899, 909) == {OWNER: ["stop"]}
    assert crossed(watches, 898, 908) == {}
    assert crossed(watches, 800, 810) == {OWNER: ["emergency"]}


def test_owners_and_names_come_in_the_order_of_arming():
    watches = Watches()
    arm(watches, "shield", [below(900, "near")])
    arm(watches, OWNER, [below(800), below(850, "soft")])
    arm(watches, "shield", [below(850, "far")])
    assert list(crossed(watches, 700, 710).items()) == [("shield", ["near", "far"]), (OWNER, ["stop", "soft"])]


def test_the_same_owner_and_name_replaces():
    watches = armed_with(below(900))
    arm(watches, OWNER, [below(800)])
    arm(watches, "shield", [below(700)])
    assert crossed(watches, 850, 860) == {}
    assert crossed(watches, 700, 710) == {OWNER: ["stop"], "shield": ["stop"]}


def test_disarming_ignores_unknown_names():
    watches = armed_with(below(900), above(1000))
    disarm(watches, OWNER, ["stop", "never armed"])
    disarm(watches, "shield", ["target"])
    assert crossed(watches, 800, 810) == {}
    assert crossed(watches, 1000, 1010) == {OWNER: ["target"]}


def test_confirmations_must_follow_each_other():
    watches = armed_with(below(900, confirmations=2))
    assert crossed(watches, 899, 909) == {}
    assert crossed(watches, 901, 911) == {}
    assert crossed(watches, 900, 910) == {}
    assert crossed(watches, 900, 910) == {OWNER: ["stop"]}


def test_what_a_fold_disarms_is_not_a_newer_watch_of_the_same_name():
    watches = armed_with(below(850), above(1000))
    disarm_reached(watches, OWNER, ["stop"], Quote(0, 899, 909))
    assert crossed(watches, 850, 860) == {OWNER: ["stop"]}


levels = some.integers(95, 105)
some_watches = some.builds(
    Watch,
    name=some.sampled_from("abc"),
    side=some.sampled_from(Side),
    rising=some.booleans(),
    level_points=levels,
    confirmations=some.integers(1, 3),
)
steps = some.one_of(some.tuples(levels, levels), some.tuples(some.sampled_from(["p", "q"]), some_watches))


class NaiveWatches:
    """Every watch, every quote, no bounds."""

    def __init__(self) -> None:
        self.rows: dict[tuple[str, str], tuple[Watch, list[bool]]] = {}

    def arm(self, owner: str, watch: Watch) -> None:
        self.rows.pop((owner, watch.name), None)
        self.rows[owner, watch.name] = (watch, [])

    def crossed(self, bid: int, ask: int) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for (owner, name), (watch, history) in list(self.rows.items()):
            price = {Side.BID: bid, Side.ASK: ask}[watch.side]
            history.append(price == watch.level_points or (price > watch.level_points) == watch.rising)
            if len(history) >= watch.confirmations and all(history[-watch.confirmations :]):
                found.setdefault(owner, []).append(name)
                del self.rows[owner, name]
        return found


@settings(max_examples=150, deadline=None)
@given(some.lists(steps, max_size=40))
def test_the_nearest_levels_miss_nothing_that_looking_at_every_watch_finds(steps):
    watches, naive = Watches(), NaiveWatches()
    for first, second in steps:
        if isinstance(second, Watch):
            arm(watches, first, [second])
            naive.arm(first, second)
        else:
            assert crossed(watches, first, second) == naive.crossed(first, second)
