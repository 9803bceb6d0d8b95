"""Chains through the whole system, on real parts: what a person finds in the journal, in the stores and at the broker."""

import chain_story
import pytest
from chain_stage import PLUGIN, ChainStage, assert_sound, chain_config
from stage import denial, fault

from evenkeel.adapters.chain_store import MemoryChains, StoreUnusable
from evenkeel.adapters.simulated.faults import Call, FaultKind
from evenkeel.messages.chain_store import ChainSaved, SaveChain
from evenkeel.messages.entry import DenialReason, ReentryRaised
from evenkeel.messages.operator import CommandRefused, HoldPlaced, KillTrading, ResumeTrading
from evenkeel.messages.position import ClosedBy, ExitReason, PositionClosed, PositionOpened
from evenkeel.messages.recovery import ChainEnded, ChainStepped
from evenkeel.messages.shield import HedgeEnd, HedgeEnded, ShieldRaised
from evenkeel.rules.chain_store import Refusal, Row

ALONE = {"orders": "trend"}
MINUTE_S = 60


def bought(*faults: object, plugin: object = ALONE, **overrides: object) -> ChainStage:
    """Order A at 110010, stopped at 109810, in a trend that leads up."""
    stage = ChainStage(*faults, config=chain_config(plugin=plugin, **overrides))
    stage.bars()
    stage.signal(strategy=PLUGIN)
    return stage


def stopped(*faults: object, **overrides: object) -> ChainStage:
    stage = bought(*faults, **overrides)
    stage.move(109_810)
    return stage


# -- from the signal to the end ------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def lived() -> ChainStage:
    stage = ChainStage(config=chain_story.CONFIG)
    chain_story.told(stage=stage)
    return stage


def test_a_chain_is_stopped_recovered_and_goes_on_to_its_last_level(lived: ChainStage) -> None:
    recovered = ["active", "active", "recovery_mode", "placing", "recovering", "awaiting_tp"]
    continued = ["placing", "active", "awaiting_tp"]
    assert lived.path() == [*recovered, *continued, *continued, "placing", "active", "completed"]
    assert [step.level for step in lived.said(ChainStepped) if step.event == "filled"] == [1, 3, 4, 5]
    assert lived.ends()[-1] == ("completed", "level 5 is the last")


def test_a_pyramid_is_stopped_recovered_and_climbs_its_levels_beside_it(lived: ChainStage) -> None:
    kinds = [kind for kind, _ in lived.closed() if kind.startswith("profit")]
    assert kinds == ["profit_trail", "profit_recovery", *["profit_trail"] * 6]
    assert [reason for kind, reason in lived.closed() if kind.startswith("profit")] == ["stop", *["booked"] * 7]


def test_nothing_is_opened_twice_and_the_stores_have_what_was_saved(lived: ChainStage) -> None:
    rows = lived.stores[PLUGIN].rows
    assert_sound(lived.scene, rows)
    trend, pyramid = (row for _, row in sorted(rows.items()))
    assert (trend.state.value, trend.level, trend.trades, trend.recovery_attempts) == ("completed", 5, 5, 1)
    assert pyramid.state.value == "stopped"
    closed = [end for end in lived.said(PositionClosed) if not end.lineage.chain_id.endswith("/b")]
    assert trend.won_cents - trend.lost_cents == sum(end.net_cents for end in closed)
    assert lived.tickets == []


def test_a_chain_asks_for_nothing_before_the_store_has_what_it_asks_for(lived: ChainStage) -> None:
    """Every re-entry comes after a write of its chain that says so, and before its next one."""
    written: dict[str, int] = {}
    saved: dict[str, int] = {}
    for said in lived.said(SaveChain, ChainSaved, ReentryRaised):
        match said:
            case SaveChain(chain=chain):
                written[chain.chain_id] = chain.version
            case ChainSaved():
                saved[said.chain_id] = said.version
            case ReentryRaised(signal=signal):
                assert saved[signal.lineage.chain_id] == written[signal.lineage.chain_id]


def test_the_journal_tells_a_recovery_from_the_deal_to_the_fill(lived: ChainStage) -> None:
    told = [(type(m).__name__, getattr(m, "event", "")) for m in lived.said()]
    at = told.index(("ChainStepped", "stop"))
    wanted = [
        ("ChainStepped", "stop"),
        ("ReserveRecovery", ""),
        ("RecoveryReserved", ""),
        ("ChainStepped", "reserved"),
        ("ArmWatches", ""),
        ("PricesReached", ""),
        ("ChainStepped", "ready"),
        ("ChainSaved", ""),
        ("ReentryRaised", ""),
        ("EntryProposed", ""),
        ("OpenPosition", ""),
        ("CallTerminal", ""),
        ("TerminalAnswered", ""),
        ("PositionOpened", ""),
        ("ChainStepped", "filled"),
    ]
    rest = iter(told[at:])
    assert [one for one in wanted if one not in rest] == []


def test_a_recovery_that_is_stopped_too_ends_the_chain_and_nothing_follows() -> None:
    stage = stopped()
    stage.move(109_950, after_s=MINUTE_S + 1)
    stage.move(109_860)
    assert stage.ends() == [("stopped", "recovery failed")]
    stage.move(110_000, after_s=2 * MINUTE_S)
    assert stage.opened() == ["tp_trail", "sl_recovery"]


def test_each_chain_of_a_market_that_goes_to_and_fro_loses_no_more_than_it_declared() -> None:
    """Down through the stop, up to where it is recovered, down through the recovery's stop; then the next signal."""
    stage = bought(
        recovery__duplicate_minutes=0.0,
        recovery__trailing_start_ratio="off",
        shield__enabled=False,
        limits__loss_tiers__applies_to="off",
        limits__day_loss_pct="off",
        limits__day_loss_soft_pct="off",
        limits__week_loss_pct="off",
        limits__drawdown=dict.fromkeys(("reduce_pct", "halve_pct", "close_only_pct", "flatten_pct"), "off"),
    )
    for _ in range(4):
        for bid in (*range(110_000, 109_799, -10), *range(109_800, 109_961, 10), *range(109_960, 109_839, -10)):
            stage.quote(bid, after_ms=4_000)
        stage.move(110_000)
        stage.signal(strategy=PLUGIN)
    opened, ends = stage.said(PositionOpened), stage.said(ChainEnded)
    assert stage.opened().count("sl_recovery") == len(ends) == 4
    for end in ends:
        first = next(one for one in opened if one.lineage.chain_id == end.chain_id)
        assert end.booked_cents >= -2 * (first.entry_points - first.stop_points) * first.volume_steps


def test_a_trade_that_a_person_closes_in_profit_is_no_target() -> None:
    stage = bought()
    stage.quote(110_060)
    stage.terminal.person_closes(stage.tickets[0])
    stage.look()
    stage.wait(5)
    stage.move(110_200, after_s=2 * MINUTE_S)
    assert stage.ends() == [("stopped", "person")]
    assert stage.opened() == ["tp_trail"]


def test_prices_of_a_symbol_flow_on_after_its_only_trade_was_stopped() -> None:
    stage = stopped()
    assert stage.tickets == []
    stage.move(109_949, after_s=MINUTE_S + 1)
    assert stage.opened() == ["tp_trail"]
    stage.move(109_950)
    assert stage.opened() == ["tp_trail", "sl_recovery"]


# -- the broker closes while nobody runs ---------------------------------------------------------------------------------------


AT_OUR_STOP = {
    "catastrophe_stop__app_stop_multiple": 1.0,
    "catastrophe_stop__app_stop_multiple_min": 1.0,
    "catastrophe_stop__daily_atr_ratio": 0.01,
}
"""The broker's own stop is where ours is."""


def closed_while_away(minutes: float, **overrides: object) -> ChainStage:
    """The process dies; the broker's stop ends the trade ten seconds later; the process is back after so many minutes."""
    stage = bought(**AT_OUR_STOP | overrides)
    stage.terminal.on_quote("EURUSD", stage.now_utc_ms + 10_000, 109_810, 109_820)
    assert stage.tickets == []
    stage.restart(after_s=minutes * MINUTE_S)
    return stage


def test_a_stop_at_the_broker_while_nobody_ran_is_recovered_inside_its_window() -> None:
    stage = closed_while_away(12)
    closed = stage.last(PositionClosed)
    assert (closed.reason, closed.by) == (ExitReason.STOP, ClosedBy.BROKER)
    chain = stage.chain()
    assert (chain.state.value, chain.until_utc_ms) == ("recovery_mode", closed.closed_utc_ms + 30 * MINUTE_S * 1000)
    stage.move(109_950)
    assert stage.opened() == ["tp_trail", "sl_recovery"]


def test_a_stop_at_the_broker_while_nobody_ran_is_not_recovered_after_its_window() -> None:
    stage = closed_while_away(31)
    assert stage.ends() == [("stopped", "recovery window timeout")]
    stage.move(109_950)
    assert stage.opened() == ["tp_trail"]


def test_the_broker_s_wide_stop_while_nobody_ran_is_a_catastrophe_and_recovers_nothing() -> None:
    stage = bought()
    stage.terminal.on_quote("EURUSD", stage.now_utc_ms + 10_000, 109_600, 109_610)
    stage.restart(after_s=MINUTE_S)
    assert stage.ends() == [("stopped", "catastrophe")]


@pytest.mark.parametrize("minutes, path", [(5, "recovery_mode"), (31, "stopped")])
def test_a_chain_that_waits_while_the_process_is_dead_waits_no_longer_than_its_window(minutes: float, path: str) -> None:
    stage = stopped()
    stage.restart(after_s=minutes * MINUTE_S)
    assert stage.path()[-1] == path
    assert stage.chain().state.value == path


class Dying(ChainStage):
    """The process dies after every move of the price."""

    def move(self, bid: int, *, after_s: float = 1.0) -> None:
        super().move(bid, after_s=after_s)
        self.restart()


def test_a_process_that_dies_after_every_move_makes_the_same_trades_and_ends(lived: ChainStage) -> None:
    stage = Dying(config=chain_story.CONFIG)
    chain_story.told(stage=stage)
    assert (stage.opened(), stage.closed(), stage.ends()) == (lived.opened(), lived.closed(), lived.ends())
    assert_sound(stage.scene, stage.stores[PLUGIN].rows)


# -- what stands in the way ----------------------------------------------------------------------------------------------------


def test_a_hedge_whose_second_leg_is_rejected_leaves_the_plain_recovery() -> None:
    stage = bought(fault(FaultKind.REJECT, Call.OPEN, 3), shield__hedge={"enabled": True})
    stage.move(109_810)
    assert stage.opened() == ["tp_trail", "shield_a"]
    assert stage.tickets == []
    assert [end.end for end in stage.said(HedgeEnded)] == [HedgeEnd.REFUSED]
    assert stage.path()[-1] == "recovery_mode"
    stage.move(109_950, after_s=MINUTE_S + 1)
    assert stage.opened() == ["tp_trail", "shield_a", "sl_recovery"]


def test_the_day_s_limit_stops_re_entries_and_no_exit() -> None:
    """One quote stops two trades; the first of them passes the limit."""
    stage = bought(limits__day_loss_pct=0.4, limits__day_loss_soft_pct=0.3, recovery__duplicate_minutes=0.0)
    stage.quote(110_040)
    stage.signal(strategy=PLUGIN)
    assert len(stage.tickets) == 2
    stage.quote(109_810)
    assert stage.closed() == [("tp_trail", "stop")] * 2
    assert [hold.reason for hold in stage.said(HoldPlaced)] == ["day_loss_pct: lost 40.00 USD, the limit is 40.00 USD"]
    stage.move(109_955, after_s=MINUTE_S + 1)
    stage.wait(10)
    assert stage.opened() == ["tp_trail"] * 2


def test_a_kill_that_flattens_closes_all_ends_chains_that_wait_and_no_resume_takes_it_back() -> None:
    stage = stopped(recovery__duplicate_minutes=0.0)
    stage.signal(strategy=PLUGIN)
    assert len(stage.tickets) == 1
    killed_utc_ms = stage.now_utc_ms
    stage.tell(KillTrading("kill", "me", 1, flatten=True))
    assert stage.tickets == []
    assert stage.closed()[-1] == ("tp_trail", "flatten")
    assert stage.last(PositionClosed).closed_utc_ms - killed_utc_ms < 2_000
    assert stage.ends() == [("stopped", "kill by me"), ("stopped", "kill by me")]
    stage.tell(ResumeTrading("resume", "me"))
    assert stage.last(CommandRefused).reason == "killed"
    stage.move(109_950, after_s=2 * MINUTE_S)
    stage.signal(strategy=PLUGIN)
    assert denial(stage)[0] is DenialReason.MODE
    assert stage.opened() == ["tp_trail"] * 2


def test_the_shield_of_the_block_is_measured_by_order_a_where_there_are_both_orders() -> None:
    """Order B's stop is half as far: what is twice as far as that is order A's stop, and no reason for a shield."""
    stage = bought(plugin={})
    stage.move(109_909)
    stage.move(109_850)
    stage.move(109_809)
    assert [kind for kind, _ in stage.closed()] == ["profit_trail", "tp_trail"]
    assert stage.said(ShieldRaised) == []
    stage.move(109_950, after_s=MINUTE_S + 1)
    assert "sl_recovery" in stage.opened()


# -- plugins apart -------------------------------------------------------------------------------------------------------------


class Broken(MemoryChains):
    """Nothing is written any more."""

    def save(self, row: Row) -> Refusal | None:
        raise StoreUnusable(f"no space for {row.chain_id}")


def test_a_store_that_takes_nothing_stops_the_chains_of_its_plugin_and_of_no_other() -> None:
    alone = {"kind": "ma_cross", "symbols": ["EURUSD"], "fast": 9_999, "slow": 10_000, "orders": "trend", "slots": 4}
    stage = ChainStage(config=chain_config(strategy={PLUGIN: alone, "other": alone | {"chain_type": "v6"}}))
    stage.bars()
    stage.stores["other"] = Broken("other")
    stage.restart()
    stage.quote(110_000)
    stage.signal(strategy="other")
    stage.signal(strategy=PLUGIN)
    stage.move(109_810)
    assert stage.closed() == [("tp_trail", "stop")] * 2
    stage.move(109_950, after_s=MINUTE_S + 1)
    assert [one.lineage.strategy for one in stage.said(PositionOpened)] == ["other", PLUGIN, PLUGIN]
    assert stage.tickets
