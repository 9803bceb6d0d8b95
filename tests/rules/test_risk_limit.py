import msgspec
import pytest
from risk_builders import EURUSD, config, proposal

from evenkeel.config.limits import DEMO, PERSONAL, PLAIN, PROP
from evenkeel.messages.entry import DenialReason
from evenkeel.messages.market import Direction
from evenkeel.rules.entries import Refusal
from evenkeel.rules.losses import EquityMarks
from evenkeel.rules.order_size import Sized, sized
from evenkeel.rules.risk_limit import RiskState, expiry_utc_ms, needs_equity
from evenkeel.rules.sizing import Book, Reservation


def test_only_the_plain_profile_needs_no_equity():
    assert [needs_equity(limits) for limits in (PLAIN, PERSONAL, PROP, DEMO)] == [False, True, True, True]


@pytest.mark.parametrize(
    "first_utc_ms, own_s, expires_utc_ms",
    [(0, 5.0, 6_000), (4_000, 5.0, 4_000), (9_000, 5.0, 6_000), (4_000, "off", 0), (0, "off", 0)],
)
def test_another_try_never_lives_longer_than_the_first(first_utc_ms, own_s, expires_utc_ms):
    limits = msgspec.structs.replace(PLAIN, intent_expiry_s=own_s)
    assert expiry_utc_ms(limits, proposal(expires_utc_ms=first_utc_ms), 1_000) == expires_utc_ms


def state(*on_their_way: Reservation, margin_cents: int = 0) -> RiskState:
    """A hundredth of an order's worth is its margin: 1,100 cents a step."""
    return RiskState(
        Book({"EURUSD": EURUSD}, {str(number): one for number, one in enumerate(on_their_way)}),
        balance_cents=1_000_000,
        marks=EquityMarks(1_000_000, 1_000_000, 1_000_000, 1_000_000),
        leverage=100,
        margin_cents=margin_cents,
    )


def on_its_way(volume_steps: int, risk_cents: int = 0, direction: Direction = Direction.BUY) -> Reservation:
    return Reservation("EURUSD", direction, volume_steps, risk_cents, True)


@pytest.mark.parametrize(
    "its, steps",
    [
        (state(), 20),
        (state(on_its_way(5)), 15),
        (state(margin_cents=11_000), 10),
        (state(on_its_way(5), margin_cents=11_000), 5),
    ],
)
def test_margin_of_what_is_held_and_of_what_is_on_its_way_is_taken_together(its, steps):
    found = sized(config(volume_lots=1.0, free_margin_after_pct=97.8), its, proposal())
    assert isinstance(found, Sized)
    assert (found.volume_steps, found.bound_by) == (steps, "free_margin_after_pct")


@pytest.mark.parametrize("direction, steps", [(Direction.BUY, 5), (Direction.SELL, 10)])
def test_what_loses_together_with_the_order_takes_from_its_share(direction, steps):
    its = state(on_its_way(5, 1_000, direction))
    found = sized(config(volume_lots=1.0, correlated_risk_pct=0.2), its, proposal())
    assert isinstance(found, Sized)
    assert (found.volume_steps, found.bound_by) == (steps, "correlated_risk_pct")


def test_the_largest_volumes_bind_by_their_names():
    assert sized(config(volume_lots=1.0, volume_lots_max=0.05), state(), proposal()) == Sized(5, 1_000, 0, "volume_lots_max")
    small = state()
    small.book.specs["EURUSD"] = msgspec.structs.replace(EURUSD, volume_max_steps=7)
    assert sized(config(volume_lots=1.0), small, proposal()) == Sized(7, 1_400, 0, "the symbol's largest volume")


def test_without_a_volume_and_without_a_share_of_known_equity_nothing_is_opened():
    bound = "bound by neither entry.volume_lots nor risk_per_trade_pct"
    refusal = Refusal(DenialReason.VOLUME_BELOW_MINIMUM, 0, 1, "steps", bound)
    assert sized(config(volume_lots=None), state(), proposal()) == refusal
