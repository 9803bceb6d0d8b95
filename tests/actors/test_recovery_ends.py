"""Re-entry chains: who ends them, and everything that comes between."""

from collections.abc import Callable

import msgspec
import pytest
from sagas import CHAIN, PLUGIN, Sagas, hunting, shield, won

from evenkeel.messages.market import Direction, SymbolSpecified
from evenkeel.messages.operator import CommandDone, CommandRefused, Mode, ModeChanged
from evenkeel.messages.position import ExitReason, ReducePosition
from evenkeel.messages.recovery import (
    ChainWaitOver,
    ChainWaits,
    FreeRecovery,
    ReserveRecovery,
    StopChain,
)
from evenkeel.messages.risk_limit import RecoveryReserved
from evenkeel.messages.shield import HedgeEnd, HedgeEnded, ShieldLowered

# -- who ends chains -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("begin", "end"), [(won, "completed"), (hunting, "stopped")])
def test_a_shield_cancels_what_waits_in_its_direction(begin, end):
    world = begin()
    world.tell(shield(Direction.SELL))
    assert world.ended() is None
    world.tell(shield())
    assert (world.ended(), world.watches) == ((end, "the direction is shielded"), {})


def test_a_stop_under_a_shield_is_not_recovered_and_one_after_it_is():
    world = Sagas()
    world.tell(shield())
    world.stopped()
    assert world.ended() == ("stopped", "the direction is shielded")
    world.tell(ShieldLowered("XAUUSD", Direction.BUY, "time"))
    world.stopped()
    assert world.state == "recovery_mode"


def test_a_target_under_a_shield_completes_the_chain():
    world = Sagas()
    world.tell(shield())
    world.won()
    assert world.ended() == ("completed", "the direction is shielded")


@pytest.mark.parametrize(
    "changed", [ModeChanged(Mode.CLOSE_ONLY, 1, "ann", "kill"), ModeChanged(Mode.FLATTEN, 0, "ann", "flatten")]
)
def test_a_kill_and_a_flattening_end_what_waits(changed):
    world = hunting()
    world.tell(changed)
    assert (world.ended(), world.watches) == (("stopped", f"{changed.reason} by ann"), {})


def test_a_pause_ends_nothing():
    world = hunting()
    world.tell(ModeChanged(Mode.CLOSE_ONLY, 0, "ann", "pause"))
    assert world.ended() is None


def test_a_killed_chain_with_an_open_trade_takes_no_step_after_it():
    world = Sagas()
    world.bars()
    ticket = world.begin(200_000, 199_000)
    world.tell(ModeChanged(Mode.CLOSE_ONLY, 1, "ann", "kill"))
    world.close(ticket, ExitReason.STOP, 199_000, -1000)
    assert (world.ended(), world.of(ReserveRecovery)) == (("stopped", "kill by ann"), [])


def test_a_person_stops_a_chain_and_its_trade_is_closed():
    world = Sagas()
    ticket = world.begin(200_000, 199_000)
    said = world.tell(StopChain("c1", "ann", PLUGIN, CHAIN))
    assert ReducePosition(ticket, "XAUUSD", 0, ExitReason.CHAIN) in said
    assert any(isinstance(one, CommandDone) and one.command_id == "c1" for one in said)
    world.close(ticket, ExitReason.CHAIN, 199_900, -100)
    assert world.ended() == ("stopped", "stopped by ann")


def test_a_chain_of_another_plugin_is_not_stopped():
    world = hunting()
    [refused] = world.tell(StopChain("c1", "ann", "other", CHAIN))
    assert isinstance(refused, CommandRefused)
    assert world.ended() is None


def test_an_order_that_is_on_its_way_when_its_chain_is_stopped_is_closed_once_it_is_there():
    world = hunting()
    world.quote(199_700)
    world.tell(StopChain("c1", "ann", PLUGIN, CHAIN))
    ticket = world.fill(world.asked()[0])
    assert world.of(ReducePosition) == [ReducePosition(ticket, "XAUUSD", 0, ExitReason.CHAIN)]
    world.close(ticket, ExitReason.CHAIN, 199_700, -10)
    assert world.ended() == ("stopped", "stopped by ann")


def test_prices_that_count_otherwise_than_before_end_what_waits():
    world = hunting()
    world.tell(SymbolSpecified(msgspec.structs.replace(world.spec, digits=3, spec_id=2)))
    assert world.ended() == ("stopped", "the symbol's terms are others")


# -- every wait, and everything that comes between -----------------------------------------------------------------------------


def asking() -> Sagas:
    """A recovery was asked for, and the limits have not answered."""
    world = Sagas()
    world.are_limits_silent = True
    world.stopped()
    return world


def returning() -> Sagas:
    world = Sagas(recovery__exit_continuation__enabled=True)
    world.bars()
    world.close(world.begin(200_000, 199_000), ExitReason.PERSON, 200_500, 500)
    return world


def to_be_hedged() -> Sagas:
    """Before the next quote, with which it goes to the shield."""
    world = Sagas(shield__hedge__enabled=True)
    world.bars()
    world.stopped()
    return world


def unwritten(begin: Callable[[], Sagas]) -> Callable[[], Sagas]:
    """Its order is to be asked for once the store has answered."""

    def begun() -> Sagas:
        world = begin()
        world.is_store_silent = True
        level = world.level()
        assert level is not None
        world.quote(level[1])
        assert (world.state, world.asked()) == ("placing", [])
        return world

    return begun


COMES_BETWEEN = {
    "opposite signal": lambda world: world.signal(Direction.SELL),
    "the direction is shielded": lambda world: world.tell(shield()),
    "kill by ann": lambda world: world.tell(ModeChanged(Mode.CLOSE_ONLY, 1, "ann", "kill")),
    "stopped by ann": lambda world: world.tell(StopChain("c1", "ann", PLUGIN, CHAIN)),
}
WAITS = {
    "active": asking,
    "awaiting_tp": won,
    "awaiting_exit": returning,
    "recovery_mode": hunting,
    "hedged": to_be_hedged,
    "placing_tp": unwritten(won),
    "placing_exit": unwritten(returning),
    "placing_hunt": unwritten(hunting),
}


@pytest.mark.parametrize("between", COMES_BETWEEN)
@pytest.mark.parametrize("wait", WAITS)
def test_whatever_comes_between_ends_a_wait_at_once(wait, between):
    world = WAITS[wait]()
    COMES_BETWEEN[between](world)
    is_complete = wait in ("awaiting_tp", "placing_tp") and between in ("opposite signal", "the direction is shielded")
    assert world.ended() == ("completed" if is_complete else "stopped", between)
    assert (world.watches, world.timers) == ({}, {})
    assert len(world.of(FreeRecovery)) == len(world.of(ReserveRecovery))
    assert len(world.of(ChainWaitOver)) == len(world.of(ChainWaits))


def test_an_answer_of_the_limits_that_comes_too_late_changes_nothing():
    world = asking()
    world.tell(StopChain("c1", "ann", PLUGIN, CHAIN))
    assert world.tell(RecoveryReserved("recovery", "X-1/100")) == []


def test_limits_that_never_answer_hold_no_chain_beyond_its_window():
    world = asking()
    world.wait(20 * 60)
    assert (world.ended(), world.of(FreeRecovery)) == (("stopped", "recovery window timeout"), [FreeRecovery("X-1/100")])
    assert world.timers == {}


def test_a_window_that_ends_before_the_limits_answer_ends_the_chain():
    world = asking()
    world.wait(20 * 60)
    world.tell(RecoveryReserved("recovery", "X-1/100"))
    assert (world.ended(), world.of(FreeRecovery)) == (("stopped", "recovery window timeout"), [FreeRecovery("X-1/100")])


@pytest.mark.parametrize(
    ("begin", "after", "opened"),
    [(won, "awaiting_tp", "active"), (returning, "awaiting_exit", "active"), (hunting, "recovery_mode", "recovering")],
)
def test_an_order_that_counted_as_refused_and_was_filled_is_a_trade_of_the_chain(begin, after, opened):
    world = begin()
    world.quote(world.level()[1])
    world.deny()
    assert world.state == after
    ticket = world.fill(world.asked()[0])
    assert (world.state, world.chain.tickets, world.watches) == (opened, (100, ticket), {})


def test_a_continuation_that_cannot_be_placed_completes_the_chain():
    world = won()
    for pause_s in (1, 2, 0):
        world.quote(202_100)
        world.deny()
        world.wait(pause_s)
    assert world.ended() == ("completed", "not placed: denied by risk_limit: spread")


def test_an_order_whose_window_ends_while_the_store_is_busy_is_not_asked_for():
    world = unwritten(won)()
    world.wait(30 * 60)
    world.is_store_silent = False
    world.tell(world.saved())
    assert (world.ended(), world.asked()) == (("completed", "not placed: the window is over"), [])


@pytest.mark.parametrize("reason", [ExitReason.PERSON, ExitReason.SHIELD, ExitReason.CATASTROPHE])
def test_a_recovery_that_something_else_ends_is_the_end_of_the_chain_though_it_won(reason):
    world = Sagas(recovery__exit_continuation__enabled=True)
    world.close(world.recovering(), reason, 200_500, 500)
    assert (world.ended(), world.of(FreeRecovery)) == (("stopped", reason.value), [FreeRecovery("X-1/100")])


def test_continuations_may_be_off():
    world = Sagas(recovery__tp_continuation__enabled=False)
    world.won()
    assert world.ended() == ("completed", "tp_continuation is off")


def test_recoveries_may_be_off():
    world = Sagas(recovery__sl_hunt__enabled=False)
    world.stopped()
    assert world.ended() == ("stopped", "sl_hunt is off")


@pytest.mark.parametrize(("begin", "end"), [(won, "completed"), (hunting, "stopped")])
def test_an_opposite_signal_while_the_order_is_on_its_way_leaves_no_second_try(begin, end):
    world = begin()
    world.quote(world.level()[1])
    world.signal(Direction.SELL)
    assert world.ended() is None
    world.deny()
    assert world.ended() == (end, "opposite signal")
    assert (world.watches, world.timers) == ({}, {})


def test_an_order_that_was_filled_against_an_opposite_signal_is_a_trade_like_any_other():
    world = won()
    world.quote(world.level()[1])
    world.signal(Direction.SELL)
    ticket = world.fill(world.asked()[0])
    world.close(ticket, ExitReason.TARGET, 204_000, 500)
    assert world.state == "awaiting_tp"


def test_an_opposite_signal_while_a_hedge_is_open_leaves_no_recovery_behind_it():
    world = to_be_hedged()
    world.quote(199_000)
    world.signal(Direction.SELL)
    assert world.ended() is None
    world.tell(HedgeEnded(PLUGIN, CHAIN, "XAUUSD", HedgeEnd.KILLED, -10, "price is back"))
    assert world.ended() == ("stopped", "opposite signal")
