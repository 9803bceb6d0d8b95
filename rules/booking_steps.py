"""The steps of a pyramid's orders: what is armed, asked for, ended and said (trading_rules 1.9, 1.10.1).

Each function changes the booking and answers with what is to be said. Nothing here writes the pyramid down: whoever called
does, once, when the step is over.
"""

from fractions import Fraction
from typing import Final, NamedTuple, assert_never

import msgspec

from evenkeel.config.schema import Config
from evenkeel.messages.market import ArmWatches, DisarmWatches, Quote
from evenkeel.messages.position import (
    ExitReason,
    PositionClosed,
    PositionOpened,
    PositionPriced,
    PositionReduced,
    ReducePosition,
    StopTightened,
)
from evenkeel.messages.profit_booking import OrderStatus, PyramidOrder, PyramidState
from evenkeel.messages.recovery import FreeRecovery, ReserveRecovery
from evenkeel.messages.system import CancelTimer, Message, SetTimer
from evenkeel.rules.booking_level import beyond, booking_level, commission_cents, hunt_level
from evenkeel.rules.bookings import (
    NAME,
    ON_ITS_WAY,
    Booking,
    Market,
    Step,
    hunt_timer,
    recovery_id,
    reentry_of,
    spread_timer,
    stepped,
    stop_money_cents,
    try_timer,
)
from evenkeel.rules.chain_protection import is_protected
from evenkeel.rules.exits import sign
from evenkeel.rules.indicators.trend import is_aligned, trend_in
from evenkeel.rules.profit_booking import (
    HELD,
    LIVE,
    Meaning,
    ended_trade,
    filled,
    given_up,
    hunt_loss_cents,
    is_hunt,
    may_hunt,
    meaning_of,
    next_level,
    target_cents,
    verdict,
    with_money,
    with_order,
)
from evenkeel.rules.symbols import profit_rule
from evenkeel.rules.texts import money_text, price_text
from evenkeel.rules.tries import TRIES_MAX, back_off_ms

TURN_MS: Final = 1000
"""Until an order that had to wait its turn is asked for again, or one that was requoted counts as refused."""
SPREAD_LOOK_MS: Final = 1000
"""Until a spread that was too wide for a recovery is looked at again."""


class Around(NamedTuple):
    """What a step looks at beside the pyramid: the configuration, the symbol's market, and the time."""

    config: Config
    market: Market
    now_utc_ms: int

    @property
    def until_ms(self) -> int:
        """How long after its stop an order may be recovered."""
        return round(self.config.profit_booking.sl_hunt.window_minutes * 60_000)


def changed(booking: Booking, order: PyramidOrder, **facts: object) -> PyramidOrder:
    """`order` with other facts, in its place."""
    order = msgspec.structs.replace(order, **facts)
    booking.pyramid = with_order(booking.pyramid, order)
    return order


def arm_booking(around: Around, booking: Booking, order: PyramidOrder) -> list[Message]:
    """Wait for the price at which the order is booked; anew only where that is another one than before."""
    spec, pyramid = around.market.spec, booking.pyramid
    if spec is None or order.status not in HELD or pyramid.state not in LIVE:
        return []
    target = target_cents(around.config.profit_booking, order.level, around.config.account.currency_digits)
    profit = profit_rule(pyramid.symbol, around.config)
    level = booking_level(order, pyramid.direction, spec, profit, target)
    armed = booking.watches.get(order.number)
    if armed is not None and armed.level_points == level:
        return []
    return [*disarm(booking, order.number), *_arm(around, booking, order, "book", level)]


def arm_hunt(around: Around, booking: Booking, order: PyramidOrder) -> list[Message]:
    """Wait until price has come back most of the way."""
    order = changed(booking, order, status=OrderStatus.WAITING)
    booking.steps[order.number] = Step.PRICE
    level = hunt_level(order, booking.pyramid.direction, around.config.profit_booking.sl_hunt.level_ratio)
    return _arm(around, booking, order, "hunt", level)


def disarm(booking: Booking, number: int) -> list[Message]:
    watch = booking.watches.pop(number, None)
    return [] if watch is None else [DisarmWatches(NAME, booking.pyramid.symbol, (watch.name,))]


def opened(around: Around, booking: Booking, order: PyramidOrder, fill: PositionOpened) -> list[Message]:
    """An order that was asked for is there. In a chain that has ended meanwhile it is closed at once."""
    said = _forget_waiting(booking, order)
    cost_cents = 0 if around.market.spec is None else commission_cents(around.market.spec, fill.volume_steps)
    order = filled(order, fill, cost_cents)
    before = booking.pyramid.state
    booking.pyramid = with_order(booking.pyramid, order)
    if before not in LIVE:
        return [*said, ReducePosition(fill.ticket, fill.symbol, 0, ExitReason.CHAIN)]
    said.append(
        stepped(
            booking,
            before,
            "opened",
            fill.ticket,
            f"order {order.number} at {price_text(fill.entry_points, around.market.spec)}",
        )
    )
    return [*said, *arm_booking(around, booking, order)]


def altered(
    around: Around, booking: Booking, order: PyramidOrder, alteration: PositionPriced | PositionReduced | StopTightened
) -> list[Message]:
    """Its deals tell price and commission, a part of it has left, or its stop is nearer: so its target may be elsewhere."""
    match alteration:
        case PositionPriced(entry_points=entry, volume_steps=steps, commission_cents=cents):
            order = changed(booking, order, entry_points=entry, volume_steps=steps, commission_cents=cents)
        case PositionReduced(volume_steps=steps, profit_cents=cents):
            spec, gone = around.market.spec, order.volume_steps - steps
            cents -= 0 if spec is None else commission_cents(spec, gone)
            order = changed(booking, order, volume_steps=steps, banked_cents=order.banked_cents + cents)
        case StopTightened(stop_points=stop):
            gap = sign(booking.pyramid.direction) * (order.entry_points - stop)
            order = changed(booking, order, stop_distance_points=gap)
        case _:
            assert_never(alteration)
    return arm_booking(around, booking, order)


def closed(around: Around, booking: Booking, order: PyramidOrder, end: PositionClosed) -> list[Message]:
    """A trade of the chain is over, and its cause says what follows."""
    before, meaning = booking.pyramid.state, meaning_of(end.reason)
    said = [*disarm(booking, order.number), *_free(booking, order)]
    booking.last_ticket = end.ticket
    booking.pyramid = with_money(booking.pyramid, end.net_cents)
    won = OrderStatus.RECOVERED if order.status is OrderStatus.RECOVERING else OrderStatus.BOOKED
    order = ended_trade(order, end)
    net, price = money_text(end.net_cents, around.config.account), price_text(end.close_points, around.market.spec)
    told = f"order {order.number}, net {net} at {price}"
    if before not in LIVE or meaning is not Meaning.STOPPED:
        changed(booking, order, status=won if meaning is Meaning.WON else OrderStatus.LOST)
    if before not in LIVE:
        return said
    match meaning:
        case Meaning.WON:
            return [*said, stepped(booking, before, won.value, end.ticket, told), *advance(around, booking)]
        case Meaning.STOPPED:
            return [*said, *_stopped(around, booking, order, told)]
        case Meaning.ENDS:
            return [*said, *end_chain(booking, PyramidState.STOPPED, end.reason.value, end.ticket)]
        case Meaning.UNKNOWN:
            return [*said, *end_chain(booking, PyramidState.STALE, end.reason.value, end.ticket)]
        case _:
            assert_never(meaning)


def _stopped(around: Around, booking: Booking, order: PyramidOrder, told: str) -> list[Message]:
    """An order lost at its stop: it is recovered where it may be, else lost."""
    pyramid, config = booking.pyramid, around.config.profit_booking
    was_hunt = order.status is OrderStatus.RECOVERING
    if not may_hunt(config, order, booking.lineage.order_kind):
        return _lost(around, booking, order, "lost", told, is_failure=was_hunt)
    if _is_protected(around, booking):
        changed(booking, order, status=OrderStatus.LOST)
        return end_chain(booking, PyramidState.COMPLETED, "profit protected", order.ticket)
    until_utc_ms = order.stopped_utc_ms + around.until_ms
    if until_utc_ms <= around.now_utc_ms:
        return _lost(around, booking, order, "window over", told)
    order = changed(booking, order, status=OrderStatus.WAITING, parent_ticket=order.ticket, tries=0)
    booking.steps[order.number] = Step.RESERVE
    reserved = recovery_id(pyramid, order.ticket)
    return [
        ReserveRecovery(NAME, reserved, pyramid.plugin, pyramid.chain_id, pyramid.symbol),
        SetTimer(NAME, hunt_timer(order), until_utc_ms),
        stepped(booking, pyramid.state, "stopped", order.ticket, told),
    ]


def _is_protected(around: Around, booking: Booking) -> bool:
    recovery, pyramid = around.config.recovery, booking.pyramid
    loss_cents = hunt_loss_cents(around.config.profit_booking, stop_money_cents(around.config, pyramid))
    return recovery.protect_b and is_protected(
        recovery.profit_protection,
        profit_cents=pyramid.booked_cents - pyramid.lost_cents,
        loss_cents=loss_cents,
        currency_digits=around.config.account.currency_digits,
    )


def lose_hunt(around: Around, booking: Booking, order: PyramidOrder, event: str, told: str) -> list[Message]:
    """A recovery that has not become an order, and will not."""
    return [*_forget_waiting(booking, order), *_free(booking, order), *_lost(around, booking, order, event, told)]


def _lost(
    around: Around, booking: Booking, order: PyramidOrder, event: str, told: str, *, is_failure: bool = False
) -> list[Message]:
    """`is_failure`: it was a recovery that was opened; one that never was is none (trading_rules 1.6.7)."""
    before = booking.pyramid.state
    changed(booking, order, status=OrderStatus.LOST)
    said = [stepped(booking, before, event, order.ticket, told)]
    if is_failure and around.config.profit_booking.sl_hunt.stop_chain_on_fail:
        return [*said, *end_chain(booking, PyramidState.STOPPED, "recovery failed", order.ticket)]
    return [*said, *advance(around, booking)]


def crossed(around: Around, booking: Booking, order: PyramidOrder, quote: Quote) -> list[Message]:
    """Price is at the level of a recovery. What else must hold and does not is waited for: a bar, or a narrower spread."""
    pyramid, market = booking.pyramid, around.market
    if not is_aligned(pyramid.direction, trend_in(market.window)) or market.spread_median_points == 0:
        booking.steps[order.number] = Step.BAR
        return []
    multiple, spread = around.config.recovery.sl_hunt.spread_multiple_max, quote.ask_points - quote.bid_points
    if multiple != "off" and spread > Fraction(str(multiple)) * market.spread_median_points:
        booking.steps[order.number] = Step.SPREAD
        return [SetTimer(NAME, spread_timer(pyramid, order.number), around.now_utc_ms + SPREAD_LOOK_MS)]
    booking.quotes[order.number] = quote
    place(booking, order)
    return []


def place(booking: Booking, order: PyramidOrder) -> None:
    """Ask for the order once the pyramid that says so is written."""
    changed(booking, order, status=OrderStatus.PLACING, tries=order.tries + 1)
    booking.steps[order.number] = Step.WRITE


def ask(around: Around, booking: Booking, order: PyramidOrder, quote: Quote) -> list[Message]:
    booking.quotes.pop(order.number, None)
    reentry = reentry_of(around.config, booking, order, around.market, quote, around.now_utc_ms)
    booking.steps[order.number] = Step.SENT
    if reentry is None:
        return failed(around, booking, order, "one point is worth more than its stop", is_final=True)
    told, state = f"order {order.number}, try {order.tries}", booking.pyramid.state
    return [stepped(booking, state, "placing", order.parent_ticket, told), reentry]


def failed(around: Around, booking: Booking, order: PyramidOrder, told: str, *, is_final: bool = False) -> list[Message]:
    """A try was refused by somebody, or could not be written: the next one, or none. `is_final`: none."""
    pyramid, next_utc_ms = booking.pyramid, around.now_utc_ms + back_off_ms(order.tries)
    is_over = is_hunt(order) and next_utc_ms >= order.stopped_utc_ms + around.until_ms
    booking.quotes.pop(order.number, None)
    if pyramid.state in LIVE and order.tries < TRIES_MAX and not is_final and not is_over:
        booking.steps[order.number] = Step.PAUSE
        return [SetTimer(NAME, try_timer(pyramid, order.number), next_utc_ms)]
    said = [*_forget_waiting(booking, order), *(_free(booking, order) if is_hunt(order) else ())]
    booking.pyramid = given_up(pyramid, order)
    if pyramid.state not in LIVE:
        return said
    told = f"order {order.number}, try {order.tries}: {told}"
    return [*said, stepped(booking, pyramid.state, "refused", order.ticket, told), *advance(around, booking)]


def wait_turn(around: Around, booking: Booking, order: PyramidOrder) -> list[Message]:
    """Too many orders in one second, of a level that has more than that: it goes a little later, and that was no try."""
    if booking.pyramid.state not in LIVE:
        return failed(around, booking, order, "")
    order = changed(booking, order, tries=order.tries - 1)
    booking.steps[order.number] = Step.PAUSE
    return [SetTimer(NAME, try_timer(booking.pyramid, order.number), around.now_utc_ms + TURN_MS)]


def requoted(around: Around, booking: Booking, order: PyramidOrder) -> list[Message]:
    """The symbol's actor may propose it again at once, and says so; in a second it is known that it does not."""
    booking.steps[order.number] = Step.REQUOTED
    return [SetTimer(NAME, try_timer(booking.pyramid, order.number), around.now_utc_ms + TURN_MS)]


def proposed_again(booking: Booking, order: PyramidOrder) -> list[Message]:
    booking.steps[order.number] = Step.SENT
    return [CancelTimer(NAME, try_timer(booking.pyramid, order.number))]


def advance(around: Around, booking: Booking) -> list[Message]:
    """If the level is complete: up to the next one, where the trend leads on, or the end of the chain."""
    config, pyramid = around.config.profit_booking, booking.pyramid
    found = verdict(config, pyramid)
    if found is None:
        return []
    if found.state is not None:
        return end_chain(booking, found.state, found.reason)
    if not is_aligned(pyramid.direction, trend_in(around.market.window)):
        return end_chain(booking, PyramidState.STOPPED, "the trend does not lead on")
    booking.pyramid = next_level(config, pyramid, booking.last_ticket)
    for order in booking.pyramid.orders:
        place(booking, order)
    net = money_text(pyramid.booked_cents - pyramid.lost_cents, around.config.account)
    told = f"{len(booking.pyramid.orders)} orders, {net} so far"
    return [stepped(booking, pyramid.state, "level", booking.last_ticket, told)]


def end_chain(booking: Booking, state: PyramidState, reason: str, ticket: int = 0) -> list[Message]:
    """No more steps: waits are over, what is open is closed. What was asked for and is not answered is waited for."""
    before, said = booking.pyramid.state, list[Message]()
    booking.pyramid = msgspec.structs.replace(booking.pyramid, state=state, reason=reason)
    for order in booking.pyramid.orders:
        if order.status in HELD:
            said += disarm(booking, order.number)
            said.append(ReducePosition(order.ticket, booking.pyramid.symbol, 0, ExitReason.CHAIN))
        elif order.number in booking.steps and booking.steps[order.number] not in ON_ITS_WAY:
            said += _forget_waiting(booking, order)
            said += _free(booking, order) if is_hunt(order) else ()
            booking.pyramid = given_up(booking.pyramid, order)
    return [stepped(booking, before, "ended", ticket, reason), *said]


def _free(booking: Booking, order: PyramidOrder) -> list[Message]:
    """The recovery is over."""
    return [FreeRecovery(recovery_id(booking.pyramid, order.parent_ticket))] if is_hunt(order) else []


def _forget_waiting(booking: Booking, order: PyramidOrder) -> list[Message]:
    """Whatever the order waited for."""
    said = disarm(booking, order.number)
    step = booking.steps.pop(order.number, None)
    booking.quotes.pop(order.number, None)
    if is_hunt(order):
        said.append(CancelTimer(NAME, hunt_timer(order)))
    if step in (Step.PAUSE, Step.REQUOTED):
        said.append(CancelTimer(NAME, try_timer(booking.pyramid, order.number)))
    if step is Step.SPREAD:
        said.append(CancelTimer(NAME, spread_timer(booking.pyramid, order.number)))
    return said


def _arm(around: Around, booking: Booking, order: PyramidOrder, what: str, level_points: int) -> list[Message]:
    spec, pyramid = around.market.spec, booking.pyramid
    assert spec is not None, "nothing is armed before the terms are known"
    booking.armed += 1
    watch = beyond(f"{order.ticket}/{what}/{booking.armed}", pyramid.direction, level_points)
    booking.watches[order.number] = watch
    return [ArmWatches(NAME, pyramid.symbol, spec.spec_id, (watch,))]
