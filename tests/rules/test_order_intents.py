import pytest
from orders import QUOTE, order, seen

from evenkeel.messages.broker_gateway import OpenRequest
from evenkeel.messages.entry import DenialReason, Lineage
from evenkeel.messages.market import Direction
from evenkeel.rules.entries import Refusal
from evenkeel.rules.order_intents import Life, OpenIntent, lock_refusal, lock_refusals, request_for

BUY, SELL = Direction.BUY, Direction.SELL
SLOT_2 = Lineage("strategy", "trend", slot=2)


def reason(asked, *, opens=(), foreign=(), now_utc_ms=0):
    refusal = lock_refusal(asked, opens, foreign, now_utc_ms)
    return None if refusal is None else refusal.reason


def intent(direction: Direction = BUY, life: Life = Life.SENT, **changed) -> OpenIntent:
    return OpenIntent(order(direction, **changed), magic=1, life=life)


def test_with_nothing_on_its_way_an_order_may_go():
    assert reason(order()) is None


@pytest.mark.parametrize("life", [Life.SENT, Life.UNKNOWN])
@pytest.mark.parametrize("direction", [BUY, SELL])
def test_an_order_without_an_outcome_locks_its_slot(life, direction):
    assert reason(order(direction), opens=[intent(BUY, life)]) is DenialReason.SLOT_LOCKED


def test_another_slot_and_another_symbol_are_free():
    assert reason(order(lineage=SLOT_2), opens=[intent()]) is None
    assert reason(order(symbol="GBPUSD"), opens=[intent(life=Life.UNKNOWN)]) is None


def test_an_unknown_order_locks_the_opposite_direction_in_every_slot():
    unknown = [intent(BUY, Life.UNKNOWN)]
    assert reason(order(SELL, lineage=SLOT_2), opens=unknown) is DenialReason.DIRECTION_LOCKED
    assert reason(order(BUY, lineage=SLOT_2), opens=unknown) is None


def test_a_foreign_position_locks_the_opposite_direction_of_its_symbol():
    foreign = [seen(magic=0, direction=BUY)]
    assert reason(order(SELL), foreign=foreign) is DenialReason.FOREIGN_OPPOSITE
    assert reason(order(BUY), foreign=foreign) is None
    assert reason(order(SELL, symbol="GBPUSD"), foreign=foreign) is None


def test_an_order_expires_at_its_instant_and_says_how_late_it_is():
    late = lock_refusal(order(expires_utc_ms=1000), (), (), 1250)
    assert late is not None
    assert (late.reason, late.measured, late.unit) == (DenialReason.EXPIRED, 250, "ms")
    assert reason(order(expires_utc_ms=1000), now_utc_ms=1000) is DenialReason.EXPIRED
    assert reason(order(expires_utc_ms=1000), now_utc_ms=999) is None


@pytest.mark.parametrize("direction, price, stop", [(BUY, QUOTE.ask_points, 109_660), (SELL, QUOTE.bid_points, 110_350)])
def test_a_request_carries_the_price_of_its_quote_and_the_wide_stop(direction, price, stop):
    assert request_for(order(direction)) == OpenRequest("EURUSD", 1, direction, 10, price, 20, stop, 0, 0)


def test_a_wide_stop_that_is_off_is_not_sent():
    assert request_for(order(catastrophe_distance_points=0)).stop_points == 0


@pytest.mark.parametrize("life", list(Life))
def test_every_order_without_an_end_locks_its_slot_and_those_nobody_can_settle_the_opposite_too(life):
    assert reason(order(), opens=[intent(BUY, life)]) is DenialReason.SLOT_LOCKED
    opposite = reason(order(SELL, lineage=SLOT_2), opens=[intent(BUY, life)])
    assert (opposite is DenialReason.DIRECTION_LOCKED) == (life in (Life.PENDING, Life.UNKNOWN))


def test_all_that_keeps_an_order_back_is_told_with_its_numbers():
    opens = [intent(BUY), intent(BUY, Life.UNKNOWN, proposal_id="EURUSD-2", lineage=SLOT_2), intent(SELL, Life.PENDING)]
    foreign = [seen(2002, magic=0), seen(2003, symbol="GBPUSD"), seen(2004)]
    assert list(lock_refusals(order(SELL, expires_utc_ms=1000), opens, foreign, 1000)) == [
        Refusal(DenialReason.EXPIRED, 0, 0, "ms"),
        Refusal(DenialReason.SLOT_LOCKED, 1, 1, "count", "EURUSD-1 is sent"),
        Refusal(DenialReason.DIRECTION_LOCKED, 1, 0, "count", "EURUSD-2 is unknown"),
        Refusal(DenialReason.SLOT_LOCKED, 1, 1, "count", "EURUSD-1 is pending"),
        Refusal(DenialReason.FOREIGN_OPPOSITE, 1, 0, "count", "position 2002"),
        Refusal(DenialReason.FOREIGN_OPPOSITE, 1, 0, "count", "position 2004"),
    ]
