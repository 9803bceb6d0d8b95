"""What the account's limits decide for chains, told as a chain's owner meets it."""

from typing import Any

import msgspec
import pytest
from risk_builders import (
    DAY_MS,
    HOUR_MS,
    account,
    actor,
    closed,
    config,
    day_started,
    denial_of,
    opened,
    order_of,
    proposal,
    restarted,
)

from evenkeel.actors.risk_limit import RiskLimit
from evenkeel.config.limits import PERSONAL, LossTiersConfig
from evenkeel.config.schema import Config, EntryConfig, MaCrossConfig
from evenkeel.messages.broker_gateway import OrderOutcomeUnknown, OrderRejected
from evenkeel.messages.circuit_breaker import BreakerChanged, BreakerLevel
from evenkeel.messages.entry import DenialReason, EntryProposed, Lineage, OpenPosition, OrderKind
from evenkeel.messages.operator import HoldPlaced, LowerMode, Mode, TradingRearmed
from evenkeel.messages.position import StopTightened
from evenkeel.messages.recovery import ChainEnded, ChainStatus, FreeRecovery, ReserveRecovery
from evenkeel.messages.risk_limit import BalanceTierReached, LimitReached, RecoveryRefused, RecoveryReserved
from evenkeel.messages.system import Message
from evenkeel.runtime.actor import restore, snapshot_of

ON: dict[str, Any] = {"recovery_attempts": 10, "recovery_losses": 5, "recovery_concurrent": 3}
WHAT_IT_HEARD = list[tuple[Any, int]]


def chained(*, orders: Any = "trend", entry: EntryConfig | None = None, **on: Any) -> Config:
    knobs = config(**on)
    return msgspec.structs.replace(knobs, strategy={"trend": MaCrossConfig(orders=orders)}, entry=entry or knobs.entry)


def kept(number: int, owner: str = "recovery") -> ReserveRecovery:
    return ReserveRecovery(owner, f"c{number}/{number}", "trend", f"c{number}", "EURUSD")


def of_kind(number: int, kind: OrderKind, **changed: Any) -> EntryProposed:
    """An order of chain `number`, whose trade has the same number; fresh where the kind is."""
    is_fresh = kind in (OrderKind.TP_TRAIL, OrderKind.PROFIT_TRAIL)
    lineage = Lineage("strategy", "trend", f"c{number}", 0 if is_fresh else number, 0 if is_fresh else 1, kind.value)
    asked = proposal(**changed)
    proposal_id = f"{kind.value}-{number}"
    return msgspec.structs.replace(
        asked, proposal_id=proposal_id, lineage=msgspec.structs.replace(lineage, proposal_id=proposal_id)
    )


class Day:
    """An account and what it was told, so that it can be rebuilt."""

    def __init__(self, knobs: Config) -> None:
        self.knobs, self.now_utc_ms, self.tickets = knobs, 0, 100
        self.heard: WHAT_IT_HEARD = []
        self.limits = actor(knobs)
        self.tell(account())

    def tell(self, message: Any) -> list[Message]:
        self.heard.append((message, self.now_utc_ms))
        return self.limits.handle(message, self.now_utc_ms)

    def asks(self, number: int) -> Message:
        [answer] = self.tell(kept(number))
        return answer

    def opens(self, number: int, kind: OrderKind, **changed: Any) -> tuple[OpenPosition, int]:
        order = order_of(self.tell(of_kind(number, kind, **changed)))
        self.tickets += 1
        self.tell(opened(order, self.tickets))
        return order, self.tickets

    def ends(self, order: OpenPosition, ticket: int, net_cents: int, day: str = "day 1") -> list[Message]:
        return self.tell(msgspec.structs.replace(closed(opened(order, ticket), net_cents), trading_day=day))

    def recovers(self, number: int, net_cents: int) -> None:
        assert self.asks(number) == RecoveryReserved("recovery", f"c{number}/{number}")
        self.ends(*self.opens(number, OrderKind.SL_RECOVERY), net_cents)
        self.tell(FreeRecovery(f"c{number}/{number}"))

    def restarts(self) -> None:
        """From its snapshot; from its messages it is the same."""
        by_messages = actor(self.knobs)
        for message, at_utc_ms in self.heard:
            by_messages.handle(message, at_utc_ms)
        assert snapshot_of(by_messages) == snapshot_of(self.limits)
        self.limits = restarted(self.limits)


def refused(limit: DenialReason, number: int, measured: int, bound: int, unit: str = "count") -> RecoveryRefused:
    return RecoveryRefused("recovery", f"c{number}/{number}", limit.value, measured, bound, unit)


# Worked check 10 of trading_rules 8, with restarts in between


def test_check_10_the_eleventh_recovery_of_the_day_is_refused() -> None:
    day = Day(chained(**ON))
    for number in range(1, 11):
        day.recovers(number, 0)
        day.restarts()
    assert day.asks(11) == refused(DenialReason.RECOVERY_ATTEMPTS, 11, 10, 10)


def test_check_10_the_fifth_failure_blocks() -> None:
    day = Day(chained(**ON))
    for number in range(1, 6):
        day.recovers(number, -100)
        day.restarts()
    assert day.asks(6) == refused(DenialReason.RECOVERY_LOSSES, 6, 5, 5)


def test_check_10_the_fourth_at_once_is_refused() -> None:
    day = Day(chained(**ON))
    for number in range(1, 4):
        assert isinstance(day.asks(number), RecoveryReserved)
        day.restarts()
    assert day.asks(4) == refused(DenialReason.RECOVERY_CONCURRENT, 4, 3, 3)


# What the limits of recoveries mean


def test_the_first_failing_one_of_all_limits_is_the_reason() -> None:
    knobs = chained(recovery_attempts=2, recovery_losses=1, recovery_concurrent=1, profit_protection=0.01)
    day = Day(knobs)
    day.recovers(1, -1)
    day.ends(*day.opens(9, OrderKind.TP_TRAIL), 1_000)
    assert day.asks(2) == refused(DenialReason.RECOVERY_LOSSES, 2, 1, 1)
    day.limits.state.recoveries.losses, day.limits.state.recoveries.pauses = 0, {}
    assert day.asks(2) == refused(DenialReason.PROFIT_PROTECTION, 2, 999, 1, "cents")


def test_a_recovery_that_ends_with_nothing_gained_is_not_lost() -> None:
    day = Day(chained(recovery_losses=1))
    day.recovers(1, 0)
    assert isinstance(day.asks(2), RecoveryReserved)


def test_a_recovery_that_waits_survives_the_day_and_counts_among_those_at_once() -> None:
    day = Day(chained(recovery_attempts=3, recovery_concurrent=3))
    for number in (1, 2, 3):
        day.asks(number)
    day.tell(day_started(2))
    assert day.asks(4) == refused(DenialReason.RECOVERY_ATTEMPTS, 4, 3, 3)


def test_a_wait_that_ends_without_an_order_was_no_attempt() -> None:
    day = Day(chained(recovery_attempts=1))
    day.asks(1)
    day.tell(FreeRecovery("c1/1"))
    assert isinstance(day.asks(2), RecoveryReserved)


def test_what_was_kept_for_a_chain_is_free_when_the_chain_ends() -> None:
    day = Day(chained(recovery_concurrent=1))
    day.asks(1)
    day.tell(ChainEnded("trend", "c1", "EURUSD", ChainStatus.STOPPED, "shield", 0))
    assert isinstance(day.asks(2), RecoveryReserved)


def test_no_recovery_is_ordered_that_was_not_kept() -> None:
    day = Day(chained(**ON))
    denied = denial_of(day.tell(of_kind(1, OrderKind.SL_RECOVERY)))
    assert denied.reason is DenialReason.RECOVERY_UNRESERVED


def test_one_that_waited_is_refused_when_others_have_lost_meanwhile() -> None:
    day = Day(chained(recovery_losses=1))
    day.asks(1)
    day.recovers(2, -1)
    assert denial_of(day.tell(of_kind(1, OrderKind.SL_RECOVERY))).reason is DenialReason.RECOVERY_LOSSES


@pytest.mark.parametrize("kind", [OrderKind.TP_CONTINUATION, OrderKind.EXIT_CONTINUATION])
def test_a_continuation_takes_no_recovery_but_is_stopped_by_losses_and_by_profit(kind: OrderKind) -> None:
    lost, won = Day(chained(recovery_attempts=1, recovery_losses=1)), Day(chained(profit_protection=10.0))
    lost.opens(1, kind)
    lost.recovers(2, -1)
    won.ends(*won.opens(1, OrderKind.TP_TRAIL), 1_000)
    reasons = [denial_of(day.tell(of_kind(9, kind))).reason for day in (lost, won)]
    assert reasons == [DenialReason.RECOVERY_LOSSES, DenialReason.PROFIT_PROTECTION]


def test_profit_protection_leaves_fresh_signals_alone() -> None:
    day = Day(chained(profit_protection=10.0))
    said = day.ends(*day.opens(1, OrderKind.TP_TRAIL), 1_000)
    assert said == [LimitReached("profit_protection", 1_000, 1_000, "cents", "no re-entry")]
    assert isinstance(order_of(day.tell(of_kind(2, OrderKind.TP_TRAIL))), OpenPosition)


# Defects that others have had (reliability.md 1, trading_rules 1.15)


def test_d1_the_counts_of_the_day_outlive_a_kill() -> None:
    day = Day(chained(recovery_attempts=1))
    day.recovers(1, 0)
    day.restarts()
    assert isinstance(day.asks(2), RecoveryRefused)


def test_d2_lost_recoveries_are_counted_at_their_deal() -> None:
    day = Day(chained(recovery_losses=5))
    for number in range(1, 6):
        day.recovers(number, -1)
    assert day.limits.state.recoveries.losses == 5
    assert isinstance(day.asks(6), RecoveryRefused)


def test_d3_thirty_days_of_recoveries_leave_nothing_behind() -> None:
    day = Day(chained(**ON))
    for number in range(1, 31):
        day.tell(day_started(number))
        day.asks(number)
        day.tell(FreeRecovery(f"c{number}/{number}"))
    assert (day.limits.state.recoveries.kept, day.limits.state.recoveries.pauses) == ({}, {})


def test_d3_ended_chains_are_forgotten_in_the_end() -> None:
    day = Day(chained())
    for number in range(1, 301):
        day.ends(*day.opens(number, OrderKind.TP_TRAIL), 1)
        day.tell(ChainEnded("trend", f"c{number}", "EURUSD", ChainStatus.COMPLETED, "", 1))
    assert (len(day.limits.state.chains), next(iter(day.limits.state.chains))) == (256, "c45")


@pytest.mark.parametrize("limit", ["recovery_attempts", "recovery_concurrent"])
def test_d4_of_fifty_recoveries_asked_for_at_once_one_short_of_the_limit_exactly_one_is_kept(limit: str) -> None:
    day = Day(chained(**{limit: 3}))
    day.asks(1)
    day.asks(2)
    answers = [day.asks(number) for number in range(3, 53)]
    assert [type(answer) for answer in answers] == [RecoveryReserved] + [RecoveryRefused] * 49


def test_d4_of_fifty_orders_asked_for_at_once_one_short_of_the_limit_exactly_one_passes() -> None:
    day = Day(chained(positions_max=3))
    day.opens(1, OrderKind.TP_TRAIL)
    day.opens(2, OrderKind.TP_TRAIL)
    said = [day.tell(of_kind(number, OrderKind.TP_TRAIL)) for number in range(3, 53)]
    assert [isinstance(answer, OpenPosition) for [answer] in said] == [True] + [False] * 49


def test_d5_an_order_of_unknown_outcome_keeps_its_recovery_and_counts_once_when_it_was_filled_after_all() -> None:
    day = Day(chained(recovery_attempts=1))
    day.asks(1)
    order = order_of(day.tell(of_kind(1, OrderKind.SL_RECOVERY)))
    day.tell(OrderOutcomeUnknown(order.proposal_id, "EURUSD", order.direction, 1, "no answer", order.lineage))
    assert isinstance(day.asks(2), RecoveryRefused)
    day.tell(opened(order, 7, late=True))
    day.tell(opened(order, 7))
    assert day.limits.state.recoveries.attempts == 1


def test_d5_an_order_that_the_broker_refused_was_no_attempt_and_may_be_tried_again() -> None:
    day = Day(chained(recovery_attempts=1))
    day.asks(1)
    order = order_of(day.tell(of_kind(1, OrderKind.SL_RECOVERY)))
    day.tell(OrderRejected(order.proposal_id, "EURUSD", order.direction, 1, 10004, "requote", order.lineage))
    assert order_of(day.tell(of_kind(1, OrderKind.SL_RECOVERY)))


def test_d10_the_day_is_over_when_its_boundary_is_and_not_at_a_midnight() -> None:
    day = Day(chained(recovery_attempts=1, recovery_pause_hours=1.0))
    day.recovers(1, 0)
    day.now_utc_ms = DAY_MS + HOUR_MS  # the clocks were put back
    assert isinstance(day.asks(2), RecoveryRefused)
    day.tell(day_started(2))
    assert isinstance(day.asks(2), RecoveryReserved)


def test_d10_a_deal_of_yesterday_that_is_found_today_is_not_todays() -> None:
    day = Day(chained(recovery_losses=1, loss_tiers=LossTiersConfig()))
    day.asks(1)
    order, ticket = day.opens(1, OrderKind.SL_RECOVERY)
    day.tell(day_started(2))
    day.ends(order, ticket, -500, "day 1")
    losses = day.limits.state.tier_losses
    assert (day.limits.state.recoveries.losses, losses.day_cents, losses.lifetime_cents) == (0, 0, 500)


def test_d11_what_was_won_and_lost_again_is_no_profit_to_protect() -> None:
    day = Day(chained(profit_protection=100.0))
    for net_cents in (15_000, -30_000):
        day.ends(*day.opens(1, OrderKind.TP_TRAIL), net_cents)
    assert isinstance(day.asks(2), RecoveryReserved)


@pytest.mark.parametrize("spoilt", [lambda raw: raw[: len(raw) // 2], lambda raw: b"\x00" + raw, lambda _: b""])
def test_d11_counts_that_cannot_be_read_are_never_taken_for_none(spoilt: Any) -> None:
    day = Day(chained(**ON))
    day.recovers(1, -1)
    with pytest.raises(msgspec.MsgspecError):
        restore(RiskLimit(day.knobs), spoilt(snapshot_of(day.limits)))


def test_d11_without_a_balance_no_loss_tier_lets_anything_pass() -> None:
    limits = actor(chained(loss_tiers=LossTiersConfig()))
    assert denial_of(limits.handle(of_kind(1, OrderKind.TP_TRAIL), 0)).reason is DenialReason.EQUITY_UNKNOWN


def test_d17_what_a_chain_has_booked_is_the_brokers_money() -> None:
    day = Day(chained())
    order, ticket = day.opens(1, OrderKind.TP_TRAIL)
    day.ends(order, ticket, -1_234)
    assert day.limits.state.chains["c1"].booked_cents == -1_234


# Losses by tier


def test_gross_losses_are_summed_and_what_was_won_does_not_count() -> None:
    day = Day(chained(loss_tiers=LossTiersConfig()))
    for net_cents in (-3_000, 50_000, -4_000):
        day.ends(*day.opens(1, OrderKind.TP_TRAIL), net_cents)
    assert day.limits.state.tier_losses.day_cents == 7_000


@pytest.mark.parametrize(
    "lost_cents, steps", [(0, 10), (17_900, 10), (17_901, 9), (19_700, 1)], ids=["nothing", "room", "shrunk", "one step"]
)
def test_the_volume_shrinks_until_its_loss_leaves_one_unit_of_the_days_tier(lost_cents: int, steps: int) -> None:
    day = Day(chained(loss_tiers=LossTiersConfig()))
    day.ends(*day.opens(1, OrderKind.TP_TRAIL), -lost_cents)
    order = order_of(day.tell(of_kind(2, OrderKind.TP_TRAIL)))
    assert (order.volume_steps, order.bound_by == "loss_tiers.day") == (steps, steps < 10)


def test_what_is_open_may_be_lost_too() -> None:
    day = Day(chained(loss_tiers=LossTiersConfig()))
    day.ends(*day.opens(1, OrderKind.TP_TRAIL), -16_000)
    day.opens(2, OrderKind.TP_TRAIL)
    assert order_of(day.tell(of_kind(3, OrderKind.TP_TRAIL))).volume_steps == 9


def test_below_the_smallest_volume_it_is_refused_by_the_name_of_the_tier() -> None:
    day = Day(chained(loss_tiers=LossTiersConfig()))
    day.ends(*day.opens(1, OrderKind.TP_TRAIL), -19_800)
    denied = denial_of(day.tell(of_kind(2, OrderKind.TP_TRAIL)))
    assert (denied.reason, denied.detail) == (DenialReason.VOLUME_BELOW_MINIMUM, "bound by loss_tiers.day")


def test_a_larger_balance_may_lose_more() -> None:
    day = Day(chained(loss_tiers=LossTiersConfig()))
    day.tell(account(2_500_000, 2_500_000))
    day.ends(*day.opens(1, OrderKind.TP_TRAIL), -20_000)
    assert order_of(day.tell(of_kind(2, OrderKind.TP_TRAIL))).volume_steps == 10


def test_the_days_tier_holds_the_strategies_with_chains_and_nobody_else() -> None:
    day = Day(chained(loss_tiers=LossTiersConfig()))
    said = day.ends(*day.opens(1, OrderKind.TP_TRAIL), -20_000)
    effect = "no new risk before the day ends"
    assert said == [
        LimitReached("loss_tiers.day", 20_000, 20_000, "cents", effect),
        HoldPlaced("risk_limit", "strategy/trend", "loss_tiers.day: lost 200.00 USD, the limit is 200.00 USD", DAY_MS),
    ]
    assert order_of(day.tell(proposal(2)))


def test_all_trades_count_where_the_tiers_apply_to_all() -> None:
    day = Day(chained(loss_tiers=LossTiersConfig(applies_to="all")))
    order = order_of(day.tell(proposal(1)))
    day.tell(opened(order))
    said = day.ends(order, 7, -20_000)
    assert HoldPlaced("risk_limit", "account", "loss_tiers.day: lost 200.00 USD, the limit is 200.00 USD", DAY_MS) in said
    assert denial_of(day.tell(proposal(2))).reason is DenialReason.LOSS_TIER_DAY


def test_a_lifetime_that_is_lost_ends_when_a_person_rearms_and_one_that_is_not_goes_on() -> None:
    day = Day(chained(loss_tiers=LossTiersConfig(day=(10_000.0,) * 5)))
    day.ends(*day.opens(1, OrderKind.TP_TRAIL), -60_000)
    day.tell(TradingRearmed("person", 1))
    said = day.ends(*day.opens(1, OrderKind.TP_TRAIL), -40_000)
    assert LowerMode(Mode.CLOSE_ONLY, "risk_limit", "loss_tiers.lifetime: lost 1000.00 USD, the limit is 1000.00 USD") in said
    day.tell(TradingRearmed("person", 2))
    assert day.limits.state.tier_losses.lifetime_cents == 0


# One chain's budget


def test_a_chain_may_not_lose_more_than_its_budget_whatever_its_next_order_is_called() -> None:
    day = Day(chained(chain_risk_budget_r=2.0))
    day.ends(*day.opens(1, OrderKind.TP_TRAIL), -2_000)
    day.ends(*day.opens(1, OrderKind.TP_CONTINUATION), -1_000)
    denied = denial_of(day.tell(of_kind(1, OrderKind.EXIT_CONTINUATION)))
    assert (denied.reason, denied.measured, denied.limit) == (DenialReason.CHAIN_RISK_BUDGET, 5_000, 4_000)


def test_a_stopped_trade_and_its_recovery_fit_the_budget() -> None:
    """1.5 R: D and half of it."""
    day = Day(chained(chain_risk_budget_r=2.0, chain_risk_budget_hedged_r=2.2))
    day.ends(*day.opens(1, OrderKind.TP_TRAIL), -2_000)
    day.asks(1)
    order = order_of(day.tell(of_kind(1, OrderKind.SL_RECOVERY, stop_distance_points=100, volume_steps=10)))
    assert (order.volume_steps, order.reserved_cents) == (10, 1_000)


def test_the_levels_of_a_pyramid_that_are_on_by_default_fit_the_budget() -> None:
    day = Day(chained(chain_risk_budget_r=2.0))
    day.ends(*day.opens(1, OrderKind.PROFIT_TRAIL), 700)
    risked = {"stop_distance_points": 100, "volume_steps": 10}
    for orders in (2, 4):
        for number in range(orders):
            asked, proposal_id = of_kind(1, OrderKind.PROFIT_TRAIL, **risked), f"{orders}-{number}"
            lineage = msgspec.structs.replace(asked.lineage, parent_ticket=9, level=1, proposal_id=proposal_id)
            asked = msgspec.structs.replace(asked, lineage=lineage, proposal_id=proposal_id)
            order = order_of(day.tell(asked))
            day.tickets += 1
            day.tell(opened(order, day.tickets))
        for ticket in list(day.limits.state.book.holdings):
            day.ends(order, ticket, 700)
    assert day.limits.state.chains["c1"].booked_cents == 4_900


def test_recoveries_that_wait_take_from_the_budget() -> None:
    day = Day(chained(chain_risk_budget_r=2.0))
    day.ends(*day.opens(1, OrderKind.TP_TRAIL), -1_000)
    for lost_ticket in (1, 2, 3):
        day.tell(ReserveRecovery("profit_booking", f"c1/{lost_ticket}", "trend", "c1", "EURUSD"))
    small = of_kind(1, OrderKind.TP_CONTINUATION, volume_steps=1)
    denied = denial_of(day.tell(small))
    assert (denied.measured, denied.limit) == (1_000 + 3 * 1_000 + 200, 4_000)
    day.tell(FreeRecovery("c1/3"))
    assert order_of(day.tell(small)).volume_steps == 1


def test_a_stop_that_was_tightened_frees_its_part_of_the_budget() -> None:
    day = Day(chained(chain_risk_budget_r=2.0))
    day.ends(*day.opens(1, OrderKind.TP_TRAIL), -1_000)
    _, ticket = day.opens(1, OrderKind.TP_CONTINUATION)
    assert denial_of(day.tell(of_kind(1, OrderKind.EXIT_CONTINUATION))).reason is DenialReason.CHAIN_RISK_BUDGET
    day.tell(StopTightened(ticket, "EURUSD", 1, 110_010, 109_810))
    assert order_of(day.tell(of_kind(1, OrderKind.EXIT_CONTINUATION)))


def test_nobody_orders_for_a_chain_that_is_not_known() -> None:
    day = Day(chained(chain_risk_budget_r=2.0))
    denied = denial_of(day.tell(of_kind(1, OrderKind.TP_CONTINUATION)))
    assert (denied.reason, denied.detail) == (DenialReason.CHAIN_RISK_BUDGET, "nothing is known of chain c1")


# The volume that is wanted


def wanted(knobs: Config, *parts: tuple[str, float], kind: OrderKind = OrderKind.TP_TRAIL, **changed: Any) -> tuple[int, str]:
    asked = of_kind(1, kind, **changed)
    lineage = msgspec.structs.replace(asked.lineage, confidence_parts=parts)
    order = order_of(Day(knobs).tell(msgspec.structs.replace(asked, lineage=lineage)))
    return order.volume_steps, order.bound_by


@pytest.mark.parametrize("logic, steps", [("off", 10), ("logic1", 12), ("logic2", 10), ("logic3", 6)])
def test_a_strategys_logic_multiplies_the_volume(logic: Any, steps: int) -> None:
    knobs = msgspec.structs.replace(chained(), strategy={"trend": MaCrossConfig(orders="trend", logic=logic)})
    assert wanted(knobs)[0] == steps


@pytest.mark.parametrize("score, steps", [(0, 2), (3, 5), (6, 8), (8, 9), (9, 10), (10, 2), (-1, 2), (float("nan"), 2)])
def test_the_consensus_of_a_signal_decides_how_much_of_it_is_traded(score: float, steps: int) -> None:
    assert wanted(chained(), ("trend", 0.5), ("consensus", score))[0] == steps


def test_a_chains_next_order_has_the_chains_volume_and_no_factor_twice() -> None:
    knobs = msgspec.structs.replace(chained(), strategy={"trend": MaCrossConfig(orders="trend", logic="logic3")})
    again = wanted(knobs, ("consensus", 0.0), kind=OrderKind.TP_CONTINUATION, volume_steps=6)
    assert again == (6, "the chain's volume")


@pytest.mark.parametrize("scope, steps", [("account", 5), ("EURUSD", 5), ("GBPUSD", 10)])
def test_the_circuit_breaker_cuts_what_is_wanted_where_it_says_so(scope: str, steps: int) -> None:
    day = Day(chained())
    day.tell(BreakerChanged(scope, BreakerLevel.ORANGE, 0, 500_000, 0, "spread"))
    assert order_of(day.tell(of_kind(1, OrderKind.TP_TRAIL))).volume_steps == steps
    day.tell(BreakerChanged(scope, BreakerLevel.NORMAL, 0, 1_000_000, 0, ""))
    assert order_of(day.tell(of_kind(2, OrderKind.TP_TRAIL))).volume_steps == 10


def test_of_two_breakers_the_stricter_one_counts() -> None:
    day = Day(chained())
    for scope, ppm in (("account", 500_000), ("EURUSD", 250_000)):
        day.tell(BreakerChanged(scope, BreakerLevel.RED, 3, ppm, 0, ""))
    order = order_of(day.tell(of_kind(1, OrderKind.TP_TRAIL)))
    assert (order.volume_steps, order.bound_by) == (2, "entry.volume_lots cut to 25 %")


def test_the_tier_of_the_balance_is_said_when_it_changes_and_stops_depend_on_it() -> None:
    day = Day(chained(entry=EntryConfig(volume_lots=0.1, stop_system="sl_1")))
    assert day.limits.state.balance_tier == 10_000
    assert day.tell(account(2_500_000, 2_500_000)) == [BalanceTierReached(25_000)]
    assert day.tell(account(2_600_000, 2_600_000)) == []
    assert Day(chained()).limits.state.balance_tier == 0


def test_with_the_limits_of_a_person_a_stopped_trade_can_be_recovered() -> None:
    day = Day(chained(**{name: getattr(PERSONAL, name) for name in PERSONAL.__struct_fields__}))
    order, ticket = day.opens(1, OrderKind.TP_TRAIL)
    day.ends(order, ticket, -order.reserved_cents)
    day.asks(1)
    asked = of_kind(1, OrderKind.SL_RECOVERY, stop_distance_points=100, volume_steps=order.volume_steps)
    assert order_of(day.tell(asked)).volume_steps == order.volume_steps


def test_a_close_that_was_told_already_changes_nothing() -> None:
    day = Day(chained(loss_tiers=LossTiersConfig()))
    order, ticket = day.opens(1, OrderKind.TP_TRAIL)
    day.ends(order, ticket, -100)
    before = snapshot_of(day.limits)
    day.ends(order, ticket, -100)
    assert snapshot_of(day.limits) == before
