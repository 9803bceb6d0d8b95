"""Volume from money and money from volume, and what everything at risk comes to: exact, rounded once, toward less risk."""

from collections.abc import Iterator
from fractions import Fraction
from typing import Final, NamedTuple

import msgspec

from evenkeel.messages.broker_gateway import ForeignPositionSeen
from evenkeel.messages.market import Direction, SymbolSpec
from evenkeel.messages.position import PositionOpened, PositionPriced, PositionReduced
from evenkeel.rules.exits import sign

PPM: Final = 1_000_000


class VolumeLimit(NamedTuple):
    """The most that one limit allows for an order."""

    name: str
    steps: int


class Budget(NamedTuple):
    """What a limit in money leaves for the next order, and what a step of it takes."""

    name: str
    room_cents: int
    cents_per_step: Fraction


class Leg(NamedTuple):
    """A bet on a symbol."""

    symbol: str
    direction: Direction


class Expected(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The price of the quote that an order was decided on, and how much worse its fill may be."""

    price_points: int
    slippage_points_max: int


class Reservation(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """An order in flight or of unknown outcome. `risk_cents` is its worst case at the app stop; `is_fresh`: from a signal.

    `asked_utc_ms` is when it was decided; `fill` None: nobody minds how it is filled. `stop_cents` is what it loses at the
    stop itself, commissions included.
    """

    symbol: str
    direction: Direction
    volume_steps: int
    risk_cents: int
    is_fresh: bool
    asked_utc_ms: int = 0
    fill: Expected | None = None
    strategy: str = ""
    chain_id: str = ""
    stop_cents: int = 0


class Holding(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """An open position. `stop_points` 0 is none; `reserved_cents` is kept until the deal's price is known, then 0.

    `mark_points` is the last price that would close it, None before the first; `marked_steps` of it still float there.
    `entry_points` is 0 while the broker has not said the price. `fill` None: it has been judged, or nobody minds.
    """

    symbol: str
    direction: Direction
    volume_steps: int
    entry_points: int
    stop_points: int
    reserved_cents: int
    is_foreign: bool
    mark_points: int | None
    marked_steps: int
    fill: Expected | None = None
    strategy: str = ""
    chain_id: str = ""


class Book(msgspec.Struct):
    """Everything at risk on the account, by proposal and by ticket, and what its symbols are."""

    specs: dict[str, SymbolSpec] = {}
    reservations: dict[str, Reservation] = {}
    holdings: dict[int, Holding] = {}


def ppm_of(ratio: float) -> int:
    """A ratio or multiple of the configuration as an integer, so that comparisons are exact."""
    return round(ratio * PPM)


def ppm_of_pct(pct: float) -> int:
    return round(pct * (PPM // 100))


def share_of(amount: int, share_ppm: int) -> int:
    """That share of cents or steps, rounded down."""
    return amount * share_ppm // PPM


def steps_of_lots(lots: float, spec: SymbolSpec) -> int:
    """Lots of the configuration in broker steps, rounded down; 0.29 lots of 0.01 are 29 steps in spite of binary floats."""
    return share_of(spec.steps_per_lot, ppm_of(lots))


def loss_per_step(distance_points: int, spec: SymbolSpec) -> Fraction:
    """Cents that one step loses over a distance, with the commissions of opening and closing.

    The spread is inside: distances run from the fill to the price that closes.
    """
    worth = Fraction(spec.worth.numerator, spec.worth.denominator)
    return (distance_points * worth + 2 * spec.commission_cents_per_lot) / spec.steps_per_lot


def notional_per_step(spec: SymbolSpec) -> Fraction:
    return Fraction(spec.notional_cents_per_lot, spec.steps_per_lot)


def cents_for(steps: int, cents_per_step: Fraction) -> int:
    """What that volume comes to, rounded up."""
    return -(-steps * cents_per_step.numerator // cents_per_step.denominator)


def steps_within(budget_cents: int, cents_per_step: Fraction) -> int:
    """The largest volume that comes to at most the budget; 0 when nothing is left."""
    assert cents_per_step > 0, "a volume that costs nothing has no limit"
    return max(0, budget_cents * cents_per_step.denominator // cents_per_step.numerator)


def exposures(book: Book) -> list[Reservation | Holding]:
    """Everything reserved, of unknown outcome, open and foreign."""
    return [*book.reservations.values(), *book.holdings.values()]


def open_risk_cents(book: Book, slippage_points: int) -> int:
    """Worst case of everything reserved, unknown and open. Foreign positions have no stop of ours and are not in it."""
    return sum(risk_by_leg_cents(book, slippage_points).values())


def risk_by_leg_cents(book: Book, slippage_points: int) -> dict[Leg, int]:
    """The same by symbol and direction, in the order in which they were taken in."""
    risks: dict[Leg, int] = {}
    for exposure, risk_cents in own_risks(book, slippage_points):
        leg = Leg(exposure.symbol, exposure.direction)
        risks[leg] = risks.get(leg, 0) + risk_cents
    return risks


def own_risks(book: Book, slippage_points: int) -> Iterator[tuple[Reservation | Holding, int]]:
    """Each exposure of ours with its worst case."""
    yield from ((reserved, reserved.risk_cents) for reserved in book.reservations.values())
    for held in book.holdings.values():
        if not held.is_foreign:
            at_stop_cents = loss_at_stop_cents(held, book.specs[held.symbol], slippage_points=slippage_points)
            yield held, max(held.reserved_cents, at_stop_cents) if held.stop_points else at_stop_cents


def notional_cents(book: Book, symbol: str | None = None) -> int:
    """Gross worth of all exposures, or of one symbol's; each rounded up."""
    parts = [part for part in exposures(book) if symbol is None or part.symbol == symbol]
    return sum(cents_for(part.volume_steps, notional_per_step(book.specs[part.symbol])) for part in parts)


def holding_of(opened: PositionOpened, reservation: Reservation | None) -> Holding:
    """An adopted position brings no reservation; where the app has no stop, the broker's counts."""
    return Holding(
        symbol=opened.symbol,
        direction=opened.direction,
        volume_steps=opened.volume_steps,
        entry_points=opened.entry_points,
        stop_points=opened.stop_points or opened.broker_stop_points,
        reserved_cents=reservation.risk_cents if reservation and opened.provisional else 0,
        is_foreign=False,
        mark_points=None,
        marked_steps=opened.volume_steps,
        fill=reservation.fill if reservation else None,
        strategy=opened.lineage.strategy,
        chain_id=opened.lineage.chain_id,
    )


def foreign_holding_of(seen: ForeignPositionSeen) -> Holding:
    return Holding(
        symbol=seen.symbol,
        direction=seen.direction,
        volume_steps=seen.volume_steps,
        entry_points=seen.open_points,
        stop_points=0,
        reserved_cents=0,
        is_foreign=True,
        mark_points=None,
        marked_steps=seen.volume_steps,
    )


def priced(holding: Holding, deal: PositionPriced) -> Holding:
    """The deal says what it cost: the rest of the reservation is free. The stop keeps its distance from the fill."""
    moved_points = deal.entry_points - holding.entry_points
    return msgspec.structs.replace(
        holding,
        entry_points=deal.entry_points,
        stop_points=holding.stop_points + moved_points if holding.stop_points else 0,
        volume_steps=deal.volume_steps,
        reserved_cents=0,
    )


def tightened(holding: Holding, stop_points: int) -> Holding:
    """Its stop is nearer: less of it is at risk. One whose stop the app does not hold stays as it is."""
    return msgspec.structs.replace(holding, stop_points=stop_points) if holding.stop_points else holding


def reduced(holding: Holding, rest: PositionReduced) -> Holding:
    marked_steps = min(holding.marked_steps, rest.volume_steps)
    return msgspec.structs.replace(holding, volume_steps=rest.volume_steps, marked_steps=marked_steps)


def realized(holding: Holding, volume_steps: int) -> Holding:
    """A closing deal's money is in the balance: that much no longer floats. The volume changes with `PositionReduced`."""
    return msgspec.structs.replace(holding, marked_steps=max(0, holding.marked_steps - volume_steps))


def marked(holding: Holding, bid_points: int, ask_points: int) -> Holding:
    """At a closed bar's last quote: a BUY closes at the bid, a SELL at the ask."""
    price_points = bid_points if holding.direction is Direction.BUY else ask_points
    return msgspec.structs.replace(holding, mark_points=price_points, marked_steps=holding.volume_steps)


def floating_cents(book: Book) -> int:
    """Open profit (or loss, negative) at the last marks, without commission and swap; a symbol without terms is left out."""
    known = (holding for holding in book.holdings.values() if holding.symbol in book.specs)
    return sum(_floating_cents(holding, book.specs[holding.symbol]) for holding in known)


def loss_at_stop_cents(holding: Holding, spec: SymbolSpec, *, slippage_points: int) -> int:
    """Entry to stop with slippage and commissions; without a stop all that it is worth."""
    if holding.stop_points == 0:
        return cents_for(holding.volume_steps, notional_per_step(spec))
    distance_points = max(0, sign(holding.direction) * (holding.entry_points - holding.stop_points)) + slippage_points
    return cents_for(holding.volume_steps, loss_per_step(distance_points, spec))


def _floating_cents(holding: Holding, spec: SymbolSpec) -> int:
    """Rounded down; 0 while the entry or the present price is not known."""
    if holding.mark_points is None or holding.entry_points == 0:
        return 0
    gained_points = sign(holding.direction) * (holding.mark_points - holding.entry_points)
    return gained_points * holding.marked_steps * spec.worth.numerator // (spec.worth.denominator * spec.steps_per_lot)
