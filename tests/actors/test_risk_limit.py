from typing import Any

import msgspec
import pytest
from risk_builders import (
    DAILY,
    DAY_MS,
    EURUSD,
    HOUR_MS,
    account,
    actor,
    bar,
    closed,
    config,
    day_started,
    deal_out,
    denial_of,
    foreign,
    opened,
    order_of,
    proposal,
    restarted,
    trade,
)

from evenkeel.actors.risk_limit import RiskLimit
from evenkeel.config.limits import PERSONAL, DrawdownConfig
from evenkeel.config.schema import CatastropheStopConfig, SymbolConfig
from evenkeel.messages.broker_gateway import (
    ForeignPositionGone,
    OrderOutcomeResolved,
    OrderOutcomeUnknown,
    OrderRejected,
)
from evenkeel.messages.entry import DenialReason, OpenPosition, OrderDenied
from evenkeel.messages.market import (
    DailyBarsRead,
    Direction,
    Quote,
    SymbolSpecified,
)
from evenkeel.messages.operator import HoldPlaced, LowerMode, Mode, TradingRearmed
from evenkeel.messages.position import (
    ExitReason,
    PositionPriced,
    PositionReduced,
)
from evenkeel.messages.system import Message

# Volume


def test_the_plain_profile_gives_the_configured_volume_without_knowing_equity():
    order = order_of(actor(config()).handle(proposal(), 5000))
    assert (order.volume_steps, order.reserved_cents, order.deviation_points) == (10, 2000, 0)
    assert (order.catastrophe_distance_points, order.expires_utc_ms) == (0, 0)
    assert (order.proposal_id, order.quote, order.target_distance_points) == ("p1", Quote(0, 110_000, 110_010), 400)


@pytest.mark.parametrize(
    "limit, volume_steps",
    [
        ({}, 10),
        ({"risk_per_trade_pct": 0.2}, 10),
        ({"risk_per_trade_pct": 0.199}, 9),
        ({"risk_per_trade_pct": 0.2, "slippage_points": 23}, 8),  # 223 points instead of 200
        ({"loss_at_catastrophe_stop_pct": 0.4}, 10),
        ({"loss_at_catastrophe_stop_pct": 0.39}, 9),
        ({"volume_lots_max": 0.09}, 9),
        ({"order_notional_max": 1.1}, 10),
        ({"order_notional_max": 1.09}, 9),
        ({"symbol_notional_max": 1.09}, 9),
        ({"total_notional_max": 1.09}, 9),
        ({"open_risk_pct": 0.199}, 9),
        ({"open_risk_pct": 0.1, "order_notional_max": 0.4}, 3),  # the smallest wins
    ],
)
def test_a_limit_reduces_the_volume_to_the_last_step_that_fits(limit, volume_steps):
    risk_limit = actor(config(at_broker="on", **limit), account(), DailyBarsRead("EURUSD", 1, DAILY))
    assert order_of(risk_limit.handle(proposal(), 0)).volume_steps == volume_steps


def test_without_a_fixed_volume_the_risk_decides():
    risk_limit = actor(config(volume_lots=None, risk_per_trade_pct=0.5), account())
    order = order_of(risk_limit.handle(proposal(), 0))
    assert (order.volume_steps, order.reserved_cents) == (25, 5000)


def test_the_symbols_largest_volume_is_a_limit():
    spec = msgspec.structs.replace(EURUSD, volume_max_steps=7)
    assert order_of(actor(config(), SymbolSpecified(spec)).handle(proposal(), 0)).volume_steps == 7


def test_below_the_smallest_volume_it_names_the_limit_that_bound():
    risk_limit = actor(config(open_risk_pct=0.01), account())
    denied = denial_of(risk_limit.handle(proposal(), 0))
    assert (denied.reason, denied.by) == (DenialReason.VOLUME_BELOW_MINIMUM, "risk_limit")
    assert (denied.measured, denied.limit, denied.unit, denied.detail) == (0, 1, "steps", "bound by open_risk_pct")


def test_no_volume_and_no_risk_configured_opens_nothing():
    denied = denial_of(actor(config(volume_lots=None)).handle(proposal(), 0))
    assert denied.detail == "bound by neither entry.volume_lots nor risk_per_trade_pct"


@pytest.mark.parametrize("limit", [{"risk_per_trade_pct": 1.0}, {"day_loss_pct": 3.0}, {"drawdown": DrawdownConfig()}])
def test_a_share_of_unknown_equity_is_refused(limit):
    risk_limit = actor(config(**limit))
    assert denial_of(risk_limit.handle(proposal(), 0)).reason is DenialReason.EQUITY_UNKNOWN
    risk_limit.handle(account(), 0)
    assert order_of(risk_limit.handle(proposal(), 0)).volume_steps == 10


def test_terms_that_are_unknown_or_changed_are_refused():
    assert denial_of(RiskLimit(config()).handle(proposal(), 0)).reason is DenialReason.SPEC_UNKNOWN
    assert denial_of(actor(config()).handle(proposal(spec_id=2), 0)).reason is DenialReason.SPEC_UNKNOWN


def test_an_order_expires_as_configured():
    assert order_of(actor(config(intent_expiry_s=2.5)).handle(proposal(), 1000)).expires_utc_ms == 3500


def test_the_personal_profile_sizes_a_whole_order():
    knobs = config(PERSONAL, volume_lots=None, at_broker="on")
    risk_limit = actor(knobs, account(), DailyBarsRead("EURUSD", 1, DAILY))
    order = order_of(risk_limit.handle(proposal(), 1000))
    # $50 at 220 points; 400 points of broker stop
    assert (order.volume_steps, order.reserved_cents, order.catastrophe_distance_points) == (22, 4840, 400)
    assert (order.deviation_points, order.expires_utc_ms) == (20, 4000)


# The stop at the broker


def test_without_a_daily_atr_nothing_is_opened():
    denied = denial_of(actor(config(at_broker="on")).handle(proposal(), 0))
    assert denied.reason is DenialReason.DAILY_ATR_UNKNOWN


def test_the_configured_daily_atr_stands_in_where_no_days_were_read():
    knobs = msgspec.structs.replace(config(at_broker="on"), symbols={"EURUSD": SymbolConfig(daily_atr_points=1000)})
    too_few = DailyBarsRead("EURUSD", 1, DAILY[:14])
    assert order_of(actor(knobs, too_few).handle(proposal(), 0)).catastrophe_distance_points == 500
    assert order_of(actor(knobs, DailyBarsRead("EURUSD", 1, DAILY)).handle(proposal(), 0)).catastrophe_distance_points == 400


def test_a_broker_stop_nearer_than_it_may_be_is_refused():
    near = CatastropheStopConfig(app_stop_multiple=1.2)
    risk_limit = actor(msgspec.structs.replace(config(), catastrophe_stop=near), DailyBarsRead("EURUSD", 1, DAILY))
    denied = denial_of(risk_limit.handle(proposal(stop_distance_points=1000), 0))
    assert denied.reason is DenialReason.CATASTROPHE_STOP_NEAR
    assert (denied.measured, denied.limit, denied.unit) == (1200, 1250, "points")


def test_a_change_of_digits_forgets_the_daily_atr():
    risk_limit = actor(config(at_broker="on"), DailyBarsRead("EURUSD", 1, DAILY))
    risk_limit.handle(SymbolSpecified(msgspec.structs.replace(EURUSD, spec_id=2, digits=4)), 0)
    assert denial_of(risk_limit.handle(proposal(spec_id=2), 0)).reason is DenialReason.DAILY_ATR_UNKNOWN


# Reservation: 0.2 % of open risk has room for one order of 10 steps

ONE_ORDER = config(open_risk_pct=0.2)


def ended(kind: type, order: OpenPosition) -> Any:
    if kind is OrderDenied:
        return OrderDenied("p1", "EURUSD", Direction.BUY, "gate", DenialReason.EXPIRED, 0, 0, "", order.lineage)
    if kind is OrderOutcomeResolved:
        return OrderOutcomeResolved("p1", "EURUSD", Direction.BUY, 1, order.lineage)
    if kind is OrderRejected:
        return OrderRejected("p1", "EURUSD", Direction.BUY, 1, 10006, "", order.lineage)
    return OrderOutcomeUnknown("p1", "EURUSD", Direction.BUY, 1, "", order.lineage)


@pytest.mark.parametrize(
    "kind, is_free",
    [(OrderDenied, True), (OrderRejected, True), (OrderOutcomeResolved, True), (OrderOutcomeUnknown, False)],
)
def test_a_reservation_ends_with_its_order_unless_the_outcome_is_unknown(kind, is_free):
    risk_limit = actor(ONE_ORDER, account())
    order = order_of(risk_limit.handle(proposal(), 0))
    assert denial_of(risk_limit.handle(proposal(2), 0)).reason is DenialReason.VOLUME_BELOW_MINIMUM
    assert risk_limit.handle(ended(kind, order), 0) == []
    [answer] = restarted(risk_limit).handle(proposal(3), 0)
    assert isinstance(answer, OpenPosition) is is_free


def test_an_open_position_keeps_its_risk_until_it_is_closed():
    risk_limit = actor(ONE_ORDER, account())
    position = opened(order_of(risk_limit.handle(proposal(), 0)))
    risk_limit.handle(position, 0)
    risk_limit = restarted(risk_limit)
    assert denial_of(risk_limit.handle(proposal(2), 0)).measured == 0
    risk_limit.handle(closed(position), 0)
    assert order_of(risk_limit.handle(proposal(3), 0)).volume_steps == 10


def test_the_deal_frees_what_was_not_filled():
    risk_limit = actor(ONE_ORDER, account())
    position = opened(order_of(risk_limit.handle(proposal(), 0)), volume_steps=6)
    risk_limit.handle(position, 0)
    assert denial_of(risk_limit.handle(proposal(2), 0)).measured == 0
    risk_limit.handle(PositionPriced(7, "EURUSD", 1, 110_013, 6, 0), 0)
    assert order_of(risk_limit.handle(proposal(3), 0)).volume_steps == 4


def test_a_position_without_a_price_yet_neither_floats_nor_frees():
    risk_limit = actor(config(open_risk_pct=0.2, day_loss_pct=3.0), account())
    risk_limit.handle(opened(order_of(risk_limit.handle(proposal(), 0)), entry_points=0), 0)
    assert risk_limit.handle(bar(110_000), 0) == []
    risk_limit.handle(PositionPriced(7, "EURUSD", 1, 110_010, 10, 0), 0)
    assert risk_limit.handle(bar(110_000), 0) == []
    assert denial_of(risk_limit.handle(proposal(2), 0)).detail == "bound by open_risk_pct"


def test_a_reduced_position_risks_less():
    risk_limit = actor(ONE_ORDER, account())
    risk_limit.handle(opened(order_of(risk_limit.handle(proposal(), 0)), provisional=False), 0)
    risk_limit.handle(PositionReduced(7, "EURUSD", 1, 3, 110_000, 0, ExitReason.OPERATOR), 0)
    assert order_of(risk_limit.handle(proposal(2), 0)).volume_steps == 7


def test_an_adopted_position_brings_its_own_risk():
    risk_limit = actor(ONE_ORDER, account())
    elsewhere = order_of(RiskLimit.handle(actor(config()), proposal(), 0))
    risk_limit.handle(opened(elsewhere, adopted=True, volume_steps=4), 0)
    assert order_of(risk_limit.handle(proposal(2), 0)).volume_steps == 6


def test_foreign_positions_count_in_notional_and_number():
    knobs = config(symbol_notional_max=2.0, positions_max=2)
    risk_limit = actor(knobs, account(), foreign(99))
    assert order_of(risk_limit.handle(proposal(), 0)).volume_steps == 8
    assert denial_of(risk_limit.handle(proposal(2), 0)).reason is DenialReason.POSITIONS
    risk_limit.handle(ForeignPositionGone(99, "EURUSD"), 0)
    assert order_of(risk_limit.handle(proposal(3), 0)).volume_steps == 10


def test_a_foreign_position_of_an_unknown_symbol_lets_nothing_in():
    stranger = msgspec.structs.replace(foreign(), symbol="USDSEK")
    denied = denial_of(actor(config(), stranger).handle(proposal(), 0))
    assert (denied.reason, denied.detail) == (DenialReason.SPEC_UNKNOWN, "no specification of USDSEK")


# Counts


@pytest.mark.parametrize("confidence, is_open", [(0.7, True), (0.699999, False)])
def test_confidence_counts_from_the_limit_on(confidence, is_open):
    [answer] = actor(config(confidence_min=0.7)).handle(proposal(confidence=confidence), 0)
    assert isinstance(answer, OpenPosition) is is_open
    if isinstance(answer, OrderDenied):
        assert (answer.reason, answer.measured, answer.limit, answer.unit) == ("confidence", 699_999, 700_000, "ppm")


def test_positions_count_what_is_in_flight():
    risk_limit = actor(config(positions_max=2))
    risk_limit.handle(opened(order_of(risk_limit.handle(proposal(1), 0))), 0)
    order_of(risk_limit.handle(proposal(2), 0))
    denied = denial_of(restarted(risk_limit).handle(proposal(3), 0))
    assert (denied.reason, denied.measured, denied.limit, denied.unit) == (DenialReason.POSITIONS, 2, 2, "count")


def test_the_last_trade_of_the_hour_holds_until_its_end():
    risk_limit = actor(config(trades_per_hour=2))
    assert trade(risk_limit, 1, 1000) == []
    [hold] = trade(risk_limit, 2, 2000)
    assert isinstance(hold, HoldPlaced)
    assert (hold.who, hold.scope, hold.until_utc_ms) == ("risk_limit", "account", HOUR_MS)
    risk_limit = restarted(risk_limit)
    denied = denial_of(risk_limit.handle(proposal(3), HOUR_MS - 1))
    assert (denied.reason, denied.measured, denied.limit) == (DenialReason.TRADES_PER_HOUR, 2, 2)
    order_of(risk_limit.handle(proposal(4), HOUR_MS))


def test_the_last_trade_of_the_day_holds_until_its_end():
    risk_limit = actor(config(trades_per_day=2))
    assert trade(risk_limit, 1) == []
    [hold] = trade(risk_limit, 2, HOUR_MS)
    assert isinstance(hold, HoldPlaced)
    assert hold.until_utc_ms == DAY_MS
    risk_limit = restarted(risk_limit)
    assert denial_of(risk_limit.handle(proposal(3), 2 * HOUR_MS)).reason is DenialReason.TRADES_PER_DAY
    risk_limit.handle(day_started(2), DAY_MS)
    order_of(risk_limit.handle(proposal(4), DAY_MS))


def test_an_order_in_flight_counts_as_a_trade_but_holds_nothing():
    risk_limit = actor(config(trades_per_hour=1))
    order = order_of(risk_limit.handle(proposal(1), 0))
    assert denial_of(risk_limit.handle(proposal(2), 0)).reason is DenialReason.TRADES_PER_HOUR
    risk_limit.handle(ended(OrderRejected, order), 0)
    order_of(risk_limit.handle(proposal(3), 0))


def test_chain_orders_and_adopted_positions_are_no_trades():
    risk_limit = actor(config(trades_per_day=1))
    assert risk_limit.handle(opened(order_of(risk_limit.handle(proposal(1, level=1), 0)), 1), 0) == []
    assert risk_limit.handle(opened(order_of(risk_limit.handle(proposal(2, level=1), 0)), 2, adopted=True), 0) == []
    order_of(risk_limit.handle(proposal(3), 0))


def test_a_position_said_twice_is_one_trade():
    risk_limit = actor(config(trades_per_day=2))
    position = opened(order_of(risk_limit.handle(proposal(), 0)))
    assert [risk_limit.handle(position, 0), risk_limit.handle(position, 0)] == [[], []]


@pytest.mark.parametrize("trades_by_day, is_lowered", [([1, 1, 1], True), ([1, 1, 0, 0, 1], True), ([1, 1], False)])
def test_days_in_a_row_at_the_limit_close_entries(trades_by_day, is_lowered):
    risk_limit = actor(config(trades_per_day=1, trades_limit_days_max=3))
    said: list[Message] = []
    for day, trades in enumerate(trades_by_day, start=1):
        risk_limit = restarted(risk_limit)
        risk_limit.handle(day_started(day), (day - 1) * DAY_MS)
        for number in range(trades):
            said += trade(risk_limit, 100 * day + number, (day - 1) * DAY_MS)
    modes = [message.mode for message in said if isinstance(message, LowerMode)]
    assert modes == ([Mode.CLOSE_ONLY] if is_lowered else [])


def test_a_day_below_the_limit_ends_the_row():
    risk_limit = actor(config(trades_per_day=2, trades_limit_days_max=2))
    for day, trades in enumerate([2, 1, 2], start=1):
        risk_limit.handle(day_started(day), (day - 1) * DAY_MS)
        for number in range(trades):
            said = trade(risk_limit, 100 * day + number, (day - 1) * DAY_MS)
            assert not any(isinstance(message, LowerMode) for message in said)


def test_a_shorter_hold_does_not_take_the_place_of_a_longer_one():
    risk_limit = actor(config(trades_per_hour=1, day_loss_pct=3.0), account())
    position = opened(order_of(risk_limit.handle(proposal(), 0)))
    assert risk_limit.handle(account(970_000), 0) != []
    assert risk_limit.handle(position, 0) == []


# Equity


@pytest.mark.parametrize("equity_cents, is_reached", [(970_001, False), (970_000, True)])
def test_the_day_loss_holds_until_the_days_end(equity_cents, is_reached):
    risk_limit = actor(config(day_loss_pct=3.0), account())
    said = risk_limit.handle(account(equity_cents), 0)
    assert [message.until_utc_ms for message in said if isinstance(message, HoldPlaced)] == [DAY_MS] * is_reached
    [answer] = restarted(risk_limit).handle(proposal(), 0)
    assert isinstance(answer, OrderDenied) is is_reached


def test_the_day_loss_is_said_once_and_lasts_though_equity_recovers():
    risk_limit = actor(config(day_loss_pct=3.0), account(), account(960_000))
    assert [risk_limit.handle(account(950_000), 0), risk_limit.handle(account(1_000_000), 0)] == [[], []]
    denied = denial_of(risk_limit.handle(proposal(), 0))
    assert (denied.reason, denied.measured, denied.limit, denied.unit) == (
        DenialReason.DAY_LOSS,
        40_000,
        30_000,
        "cents",
    )


def test_a_new_day_starts_from_the_last_sample():
    risk_limit = actor(config(day_loss_pct=3.0), account(), account(960_000))
    risk_limit.handle(day_started(2), DAY_MS)
    order_of(risk_limit.handle(proposal(), DAY_MS))
    assert risk_limit.handle(account(931_201), DAY_MS) == []
    assert risk_limit.handle(account(931_200), DAY_MS) != []


def test_a_rearm_does_not_end_the_days_hold():
    risk_limit = actor(config(day_loss_pct=3.0), account(), account(960_000), TradingRearmed("person", 1))
    assert denial_of(risk_limit.handle(proposal(), 0)).reason is DenialReason.DAY_LOSS


@pytest.mark.parametrize("equity_cents, volume_steps", [(980_001, 10), (980_000, 5), (950_000, 3), (920_000, 2)])
def test_losses_cut_the_volume(equity_cents, volume_steps):
    """Half from 2 % of day loss on, times 75 % from 5 % and 50 % from 8 % of drawdown on."""
    knobs = config(day_loss_soft_pct=2.0, drawdown=DrawdownConfig())
    risk_limit = restarted(actor(knobs, account(), account(equity_cents)))
    assert order_of(risk_limit.handle(proposal(), 0)).volume_steps == volume_steps


def test_a_cut_is_named_where_it_bound():
    knobs = config(volume_lots=0.01, day_loss_soft_pct=2.0)
    denied = denial_of(actor(knobs, account(), account(980_000)).handle(proposal(), 0))
    assert denied.detail == "bound by entry.volume_lots cut to 50 %"


def test_re_entries_end_where_the_drawdown_halves():
    risk_limit = actor(config(drawdown=DrawdownConfig()), account(), account(920_000))
    denied = denial_of(risk_limit.handle(proposal(1, level=1), 0))
    assert (denied.reason, denied.measured, denied.limit) == (DenialReason.DRAWDOWN, 80_000, 80_000)
    order_of(risk_limit.handle(proposal(2), 0))


@pytest.mark.parametrize(
    "equity_cents, mode",
    [(880_001, None), (880_000, Mode.CLOSE_ONLY), (850_001, Mode.CLOSE_ONLY), (850_000, Mode.FLATTEN)],
)
def test_a_drawdown_lowers_the_mode(equity_cents, mode):
    risk_limit = actor(config(drawdown=DrawdownConfig()), account())
    said = risk_limit.handle(account(equity_cents), 0)
    assert [message.mode for message in said if isinstance(message, LowerMode)] == ([mode] if mode else [])
    [answer] = restarted(risk_limit).handle(proposal(), 0)
    assert isinstance(answer, OrderDenied) is (mode is not None)


def test_a_mode_is_lowered_once_a_crossing():
    risk_limit = actor(config(drawdown=DrawdownConfig()), account())
    equities = [880_000, 870_000, 900_000, 880_000, 850_000, 840_000]
    said = []
    for equity_cents in equities:
        risk_limit = restarted(risk_limit)
        said += [message.mode for message in risk_limit.handle(account(equity_cents), 0) if isinstance(message, LowerMode)]
    assert said == [Mode.CLOSE_ONLY, Mode.CLOSE_ONLY, Mode.FLATTEN]


def test_a_rearm_starts_peak_and_base_anew():
    knobs = config(drawdown=DrawdownConfig(), day_loss_pct=50.0)
    risk_limit = actor(knobs, account(), account(850_000), TradingRearmed("person", 1))
    assert risk_limit.handle(account(840_000), 0) == []
    assert order_of(risk_limit.handle(proposal(), 0)).volume_steps == 10


def test_equity_is_sampled_at_closed_minutes_of_what_is_open():
    risk_limit = actor(config(day_loss_pct=0.1), account())
    assert risk_limit.handle(bar(100_000), 0) == []
    risk_limit.handle(opened(order_of(risk_limit.handle(proposal(), 0))), 0)
    assert risk_limit.handle(bar(109_911), 0) == []
    assert risk_limit.handle(bar(109_000, timeframe="H1"), 0) == []
    assert risk_limit.handle(bar(109_000, late=True), 0) == []
    [hold] = risk_limit.handle(bar(109_910), 0)  # 100 points of 0.10 lot are $10
    assert isinstance(hold, HoldPlaced)
    assert hold.reason == "day_loss_pct: lost 10.00 USD, the limit is 10.00 USD"


def test_a_closing_deal_counts_once():
    risk_limit = actor(config(day_loss_pct=0.15), account())
    risk_limit.handle(opened(order_of(risk_limit.handle(proposal(), 0))), 0)
    risk_limit.handle(bar(109_910), 0)  # floats at -$10
    assert risk_limit.handle(deal_out(-1400), 0) == []
    assert risk_limit.handle(deal_out(-100, ticket=8, deal_ticket=2), 0) != []


def test_a_deal_that_is_told_of_twice_moves_the_balance_once():
    risk_limit = actor(config(day_loss_pct=0.15), account())
    risk_limit.handle(deal_out(-1000), 0)
    assert risk_limit.handle(deal_out(-1000), 0) == []
    assert risk_limit.state.balance_cents == 1_000_000 - 1000


def test_part_of_a_position_that_was_closed_floats_no_longer():
    risk_limit = actor(config(day_loss_pct=0.12), account())
    risk_limit.handle(opened(order_of(risk_limit.handle(proposal(), 0))), 0)
    risk_limit.handle(bar(109_910), 0)
    assert risk_limit.handle(deal_out(-599, volume_steps=4), 0) == []  # $6 still floats
    assert risk_limit.handle(deal_out(-601, volume_steps=6, deal_ticket=2), 0) != []


def test_limits_on_entries_never_answer_a_close():
    risk_limit = actor(config(day_loss_pct=3.0), account(), account(900_000))
    assert risk_limit.handle(PositionReduced(7, "EURUSD", 1, 3, 110_000, 0, ExitReason.STOP), 0) == []
