"""A pyramid through the whole system: signal, limits, broker, booking, next level; and a process that dies in between."""

from typing import Any

import pytest
from builders import LiveLikeHost, Scene, config_of, messages_of, sabotaged, scene
from stage import SPECS, Stage

from evenkeel.messages.chain_store import ChainSaved
from evenkeel.messages.entry import ReentryRaised
from evenkeel.messages.market import BarClosed, Quote
from evenkeel.messages.position import ExitReason, PositionClosed, PositionOpened
from evenkeel.messages.recovery import ChainEnded, ChainStepped

CONFIG = config_of(
    circuit_breaker__enabled=False,
    exit__time_stop_minutes="off",
    catastrophe_stop__at_broker="off",
    entry__volume_lots=0.1,
    limits__positions_max="off",
    limits__profit_protection="off",
    shield__enabled=False,
    strategy={"trend": {"kind": "ma_cross", "symbols": ["EURUSD"], "orders": "pyramid", "slots": 16, "fast": 2, "slow": 3}},
)
QUARTER_MS = 900_000


def stage(**changes: Any) -> Stage:
    """With a trend that leads up, and an order B of 10 steps at 110010: booked at 110080, stopped at 109910."""
    told = Stage(config=CONFIG, host_of=LiveLikeHost, **changes)
    for number in range(20):
        close = 109_800 + 10 * number
        quote, spec_id = Quote(told.now_utc_ms, 110_000, 110_010), SPECS["EURUSD"].spec_id
        prices = close - 10, close, close - 10, close, close + 10
        told.tell(BarClosed("EURUSD", spec_id, "M15", number * QUARTER_MS, *prices, 10, 10, 100, quote))
    told.signal(strategy="trend")
    return told


def restart(told: Stage) -> None:
    """The process dies; the next one goes on where the journal ends."""
    told.scene = scene(CONFIG, SPECS, start=False, after=told.scene, host_of=LiveLikeHost)
    told.wait(5)


def settle(told: Stage) -> None:
    """Every order of the level has its turn, at the price of now."""
    bid = told.terminal.quote("EURUSD").bid_points
    for _ in range(8):
        told.wait(1)
        told.quote(bid)


def climb(told: Stage, bid: int) -> None:
    told.quote(bid)
    settle(told)


def test_each_level_is_booked_and_opens_the_next_until_one_is_off():
    told = stage()
    for level, bid in enumerate((110_080, 110_160, 110_240)):
        assert len(told.tickets) == 2**level
        climb(told, bid)
    closed = told.said(PositionClosed)
    assert [end.reason for end in closed] == [ExitReason.BOOKED] * 7
    assert all(end.net_cents >= 700 for end in closed)
    ended = told.last(ChainEnded)
    assert (ended.reason, ended.booked_cents) == ("level 3 is not enabled", sum(end.net_cents for end in closed))
    assert told.tickets == []
    steps = [step.detail for step in told.said(ChainStepped)]
    assert steps[0] == "order 1 at 1.10010"
    assert "order 1, net 7.00 USD at 1.10080" in steps, "as a person reads prices and money"


def test_every_order_was_written_before_it_was_asked_for():
    told = stage()
    climb(told, 110_080)
    first_asked = next(place for place, said in enumerate(told.said()) if isinstance(said, ReentryRaised))
    saved = [said for said in told.said()[:first_asked] if isinstance(said, ChainSaved)]
    assert len(saved) >= 2


def test_a_stopped_order_is_recovered_after_a_restart_in_between():
    told = stage()
    told.quote(109_910)
    restart(told)
    told.quote(109_979)
    assert told.tickets == []
    told.quote(109_980)
    settle(told)
    recovery = told.last(PositionOpened)
    assert (recovery.lineage.order_kind, recovery.entry_points - recovery.stop_points) == ("profit_recovery", 50)
    restart(told)
    told.quote(recovery.entry_points + 70)
    settle(told)
    assert [said.event for said in told.said(ChainStepped) if said.level == 0][-2:] == ["opened", "recovered"]
    assert len(told.tickets) == 2


def lived(**changes: Any) -> Scene:
    """Up a level, one of its orders stopped and recovered, and up another."""
    told = stage(**changes)
    climb(told, 110_080)
    climb(told, 109_980)
    climb(told, 110_050)
    climb(told, 110_200)
    return told.scene


@pytest.mark.parametrize("after", [False, True])
def test_a_crash_of_its_actor_changes_nothing(after):
    """At every eighth message that it hears, once the bars are behind it."""
    undisturbed = lived().decisions()
    for nth in range(22, messages_of("profit_booking", lived), 8):
        assert lived(sabotage=sabotaged("profit_booking", nth, after=after)).decisions() == undisturbed
