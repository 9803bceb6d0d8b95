"""Orders A and B of one signal: how the volume is shared, where B's stop stands, and that their sum keeps to every limit."""

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from risk_builders import EURUSD, account, actor, config, denial_of, opened, proposal

from evenkeel.config.chains import DualOrdersConfig, ProfitBookingConfig
from evenkeel.config.limits import PLAIN, LossTiersConfig
from evenkeel.config.schema import Config, MaCrossConfig
from evenkeel.messages.entry import DenialReason, EntryProposed, Lineage, OpenPosition, OrderDenied, SecondOrder
from evenkeel.messages.market import PointWorth, SymbolSpec
from evenkeel.rules.dual_orders import judged
from evenkeel.rules.entries import Refusal
from evenkeel.rules.losses import EquityMarks
from evenkeel.rules.order_intents import request_for
from evenkeel.rules.order_size import Losses, Sized, budgets, losses_of, sized
from evenkeel.rules.risk_limit import RiskState
from evenkeel.rules.sizing import Book, Reservation, cents_for
from evenkeel.runtime.actor import snapshot_of

GOLD = msgspec.structs.replace(
    EURUSD, symbol="XAUUSD", digits=2, contract_size=100, worth=PointWorth(100, 1), notional_cents_per_lot=40_000_000
)
"""A point of 0.01 of one lot is worth $1, not the $10 of a table that is right for currencies."""


def dual(*, booking: ProfitBookingConfig | None = None, orders: Any = "dual", logic: Any = "off", **changed: Any) -> Config:
    knobs = config(**{name: value for name, value in changed.items() if name not in ("lot_mode", "split_ratio")})
    shares = {name: changed[name] for name in ("lot_mode", "split_ratio") if name in changed}
    return msgspec.structs.replace(
        knobs,
        strategy={"trend": MaCrossConfig(orders=orders, logic=logic)},
        dual_orders=DualOrdersConfig(**shares),
        profit_booking=booking or ProfitBookingConfig(),
    )


def asked(symbol: str = "EURUSD", stop_distance_points: int = 200, **changed: Any) -> EntryProposed:
    first = Lineage("strategy", "trend", "c", order_kind="tp_trail", proposal_id="a")
    second = Lineage("strategy", "trend", "c/b", order_kind="profit_trail", slot=1, proposal_id="b")
    both = proposal(stop_distance_points=stop_distance_points, symbol=symbol, proposal_id="a", lineage=first)
    return msgspec.structs.replace(both, second=SecondOrder("b", second), **changed)


def state(spec: SymbolSpec = EURUSD, equity_cents: int = 1_000_000, used_cents: int = 0) -> RiskState:
    book = Book({spec.symbol: spec})
    if used_cents:
        book.reservations["other"] = Reservation(spec.symbol, asked().direction, 1, used_cents, True, strategy="trend")
    return RiskState(book, equity_cents, EquityMarks(equity_cents, equity_cents, equity_cents, equity_cents), leverage=100)


def answers(knobs: Config, question: EntryProposed | None = None) -> list[Any]:
    return actor(knobs, account()).handle(question or asked(), 0)


def shares_of(said: list[Any]) -> list[tuple[int, int, int]]:
    return [(order.volume_steps, order.stop_distance_points, order.target_distance_points) for order in said]


# How it is shared


def test_the_approved_volume_is_split_and_each_order_has_its_own_stop() -> None:
    """0.05 lot each: A at 200 points, B where it loses $10, and B has no target."""
    assert shares_of(answers(dual())) == [(5, 200, 400), (5, 200, 0)]


@pytest.mark.parametrize("ratio, shares", [(0.3, (3, 7)), (0.7, (7, 3)), (0.29, (2, 8)), (0.05, (1, 9))])
def test_a_is_rounded_down_to_what_the_broker_trades_and_b_has_the_rest(ratio: float, shares: tuple[int, int]) -> None:
    assert tuple(order.volume_steps for order in answers(dual(split_ratio=ratio))) == shares


def test_in_the_mode_same_each_has_all_of_it() -> None:
    assert shares_of(answers(dual(lot_mode="same"))) == [(10, 200, 400), (10, 100, 0)]


def test_both_are_answered_under_their_own_names() -> None:
    said = answers(dual())
    named = [(order.proposal_id, order.lineage.chain_id, order.lineage.slot) for order in said]
    assert named == [("a", "c", 0), ("b", "c/b", 1)]


def test_both_are_reserved_before_either_leaves() -> None:
    limits = actor(dual(), account())
    limits.handle(asked(), 0)
    assert {key: kept.risk_cents for key, kept in limits.state.book.reservations.items()} == {"a": 1_000, "b": 1_000}


# Where B's stop stands


@pytest.mark.parametrize("logic, points", [("off", 200), ("logic1", 333), ("logic2", 800), ("logic3", 1_666)])
def test_by_logic_the_sum_that_b_risks_is_another(logic: Any, points: int) -> None:
    """$10, $20, $40, $50 at the volumes that each logic makes of 0.10 lot, half of it B's."""
    booking = ProfitBookingConfig(stop_system="sl_1_1")
    _, second = answers(dual(booking=booking, logic=logic))
    assert second.stop_distance_points == points


def test_d16_the_stop_of_b_in_gold_is_by_the_worth_that_the_broker_tells() -> None:
    """$10 at 0.05 lot of gold are 2.00 of price; a table's $10 a pip would have put it at 0.20, inside the spread."""
    _, second = judged(dual(), state(GOLD), asked("XAUUSD"))
    assert second.proposal.stop_distance_points == 200


def test_a_reduction_of_the_first_level_brings_its_stop_nearer() -> None:
    booking = ProfitBookingConfig(stop_reductions_pct=(25.0,))
    assert answers(dual(booking=booking))[1].stop_distance_points == 150


@pytest.mark.parametrize("multiple, commission_cents, points", [(3.0, 0, 420), (3.0, 10, 426), (0.5, 0, 140), ("off", 0, 0)])
def test_the_target_of_b_at_the_broker_is_never_nearer_than_what_is_booked(
    multiple: Any, commission_cents: int, points: int
) -> None:
    """$7 net at 0.05 lot are 140 points, or 142 with both commissions."""
    spec = msgspec.structs.replace(EURUSD, commission_cents_per_lot=commission_cents * 10)
    knobs = dual(booking=ProfitBookingConfig(broker_target_multiple=multiple))
    assert [part.broker_target_points for part in judged(knobs, state(spec), asked())] == [0, points]


def test_the_target_of_b_is_no_nearer_than_the_broker_takes_one() -> None:
    spec = msgspec.structs.replace(EURUSD, stops_level_points=130)
    knobs = dual(booking=ProfitBookingConfig(broker_target_multiple=1.0))
    assert judged(knobs, state(spec), asked())[1].broker_target_points == 150
    order = answers(dual())[1]
    request = request_for(order)
    assert (request.target_points, order.broker_target_distance_points) == (110_010 + 420, 420)


# One without the other


def test_b_alone_is_refused_where_its_stop_is_too_near_and_a_keeps_its_share() -> None:
    first, second = answers(dual(booking=ProfitBookingConfig(fixed_stop=0.9)))
    assert (first.volume_steps, first.stop_distance_points) == (5, 200)
    assert isinstance(second, OrderDenied)
    assert (second.proposal_id, second.reason) == ("b", DenialReason.STOP_TOO_NEAR)
    assert (second.measured, second.limit, second.unit) == (18, 20, "points")


def test_too_little_for_two_is_all_as() -> None:
    first, second = answers(dual(volume_lots=0.01))
    assert (first.volume_steps, second.reason) == (1, DenialReason.VOLUME_BELOW_MINIMUM)


def test_where_bs_sum_alone_is_too_much_a_is_opened_without_it() -> None:
    first, second = answers(dual(risk_per_trade_pct=0.09))
    assert (first.volume_steps, second.reason) == (2, DenialReason.VOLUME_BELOW_MINIMUM)
    assert second.detail == "bound by risk_per_trade_pct of both orders"


def test_one_place_is_as_and_b_is_refused_for_want_of_another() -> None:
    first, second = answers(dual(positions_max=1))
    assert isinstance(first, OpenPosition)
    assert (second.reason, second.measured, second.limit) == (DenialReason.POSITIONS, 1, 1)


@pytest.mark.parametrize(
    "changed", [{"positions_max": 1}, {"booking": ProfitBookingConfig(fixed_stop=0.9)}, {"risk_per_trade_pct": 0.09}]
)
def test_what_stands_against_b_alone_can_be_asked_for_and_changes_nothing(changed: dict[str, Any]) -> None:
    limits = actor(dual(**changed), account())
    before = snapshot_of(limits)
    assert limits.refusals(asked(), 0) == []
    found = [refusal.reason for refusal in limits.refusals(asked(), 0, of_second=True)]
    assert snapshot_of(limits) == before
    assert found == [denial.reason for denial in limits.handle(asked(), 0)[1:] if isinstance(denial, OrderDenied)]


def test_what_stands_against_the_signal_stands_against_both() -> None:
    first, second = answers(dual(confidence_min=0.5), asked(lineage=msgspec.structs.replace(asked().lineage, confidence=0.4)))
    assert [denied.reason for denied in (first, second)] == [DenialReason.CONFIDENCE] * 2
    assert [denied.proposal_id for denied in (first, second)] == ["a", "b"]


def test_a_refused_a_is_no_reason_to_open_b() -> None:
    first, second = answers(dual(volume_lots=0.001))
    assert [denied.reason for denied in (first, second)] == [DenialReason.VOLUME_BELOW_MINIMUM] * 2


def test_a_strategy_of_pyramids_alone_has_bs_stop_and_no_target() -> None:
    lineage = Lineage("strategy", "trend", "c/b", order_kind="profit_trail", proposal_id="p1")
    assert shares_of(answers(dual(orders="pyramid"), proposal(lineage=lineage))) == [(10, 100, 0)]


def test_an_order_b_alone_is_refused_where_its_stop_is_too_near() -> None:
    lineage = Lineage("strategy", "trend", "c/b", order_kind="profit_trail", proposal_id="p1")
    knobs = dual(orders="pyramid", booking=ProfitBookingConfig(fixed_stop=1.9))
    assert denial_of(answers(knobs, proposal(lineage=lineage))).reason is DenialReason.STOP_TOO_NEAR


def test_another_try_of_one_of_them_has_no_more_than_its_share() -> None:
    again = proposal(lineage=asked().lineage, volume_steps=5)
    (order,) = answers(dual(), again)
    assert (order.volume_steps, order.bound_by) == (5, "the volume of its first try")


def test_what_is_open_of_a_when_b_is_filled_late_is_counted_once() -> None:
    limits = actor(dual(open_risk_pct=0.25), account())
    first, second = limits.handle(asked(), 0)
    limits.handle(opened(first, 1), 0)
    assert isinstance(second, OpenPosition)
    again = limits.handle(asked(), 0)
    assert [order.volume_steps for order in again if isinstance(order, OpenPosition)] == [1]


# The sum


LIMITS = st.fixed_dictionaries(
    {
        "risk_per_trade_pct": st.sampled_from(["off", 0.1, 0.25, 0.5, 2.0]),
        "open_risk_pct": st.sampled_from(["off", 0.3, 1.5]),
        "correlated_risk_pct": st.sampled_from(["off", 0.4, 1.0]),
        "order_notional_max": st.sampled_from(["off", 0.5, 3.0]),
        "total_notional_max": st.sampled_from(["off", 1.0, 6.0]),
        "free_margin_after_pct": st.sampled_from(["off", 50.0, 97.0]),
        "loss_at_catastrophe_stop_pct": st.sampled_from(["off", 0.5, 2.0]),
        "slippage_points": st.sampled_from([0, 20]),
        "loss_tiers": st.sampled_from([PLAIN.loss_tiers, LossTiersConfig(), LossTiersConfig(day=(25.0,) * 5)]),
    }
)
SPECS = st.builds(
    lambda worth, of, commission, least: msgspec.structs.replace(
        EURUSD, worth=PointWorth(worth, of), commission_cents_per_lot=commission, volume_min_steps=least
    ),
    worth=st.integers(1, 20_000),
    of=st.integers(1, 300),
    commission=st.integers(0, 1_000),
    least=st.integers(1, 5),
)
MODES = st.one_of(st.just({"lot_mode": "same"}), st.builds(lambda ratio: {"split_ratio": ratio}, st.floats(0.05, 0.95)))


@settings(max_examples=150, deadline=None)
@given(
    limits=LIMITS,
    spec=SPECS,
    mode=MODES,
    lots=st.integers(1, 500),
    stop_points=st.integers(1, 2_000),
    fixed_stop=st.integers(1, 10_000),
    at_broker=st.sampled_from(["on", "off"]),
    used_cents=st.integers(0, 3_000),
)
def test_the_sum_of_both_keeps_to_every_limit_and_b_to_its_sum_of_money(
    limits: dict[str, Any],
    spec: SymbolSpec,
    mode: dict[str, Any],
    lots: int,
    stop_points: int,
    fixed_stop: int,
    at_broker: str,
    used_cents: int,
) -> None:
    booking = ProfitBookingConfig(fixed_stop=fixed_stop / 100)
    knobs = dual(booking=booking, volume_lots=lots / 100, at_broker=at_broker, **limits, **mode)
    its, question = state(spec, used_cents=used_cents), asked(stop_distance_points=stop_points)
    its.daily_atr_points["EURUSD"] = 700
    alone = sized(knobs, its, msgspec.structs.replace(question, second=None))
    parts = judged(knobs, its, question)
    if isinstance(alone, Refusal):
        assert [part.verdict for part in parts] == [alone, alone]
        return
    taken: dict[str, int] = {}
    rooms: dict[str, int] = {}
    for part in parts:
        if isinstance(part.verdict, Sized):
            losses = losses_of(knobs, its, part.proposal)
            assert isinstance(losses, Losses)
            assert spec.volume_min_steps <= part.verdict.volume_steps <= alone.volume_steps
            for name, room_cents, cents_per_step in budgets(knobs, its, part.proposal, losses):
                rooms[name] = room_cents
                taken[name] = taken.get(name, 0) + cents_for(part.verdict.volume_steps, cents_per_step)
    assert {name: cents for name, cents in taken.items() if cents > rooms[name]} == {}
    first, second = parts
    assert isinstance(first.verdict, Sized)
    if isinstance(second.verdict, Sized):
        moved = second.proposal.stop_distance_points * second.verdict.volume_steps * spec.worth.numerator
        assert moved <= fixed_stop * spec.worth.denominator * spec.steps_per_lot
        if "lot_mode" not in mode:
            assert first.verdict.volume_steps + second.verdict.volume_steps <= alone.volume_steps
