"""How far prices may move before an equity sample would change anything but the equity itself.

For a replay that jumps: between two such samples the limits neither trip nor recover, and the peak stays.
"""

from collections.abc import Iterator

from evenkeel.config.limits import LimitsConfig
from evenkeel.messages.market import Direction
from evenkeel.rules.bands import FAR_POINTS, SHUT, Band
from evenkeel.rules.losses import day_loss_reached, drawdown_reached, floor_cents, week_loss_reached
from evenkeel.rules.margin import level_equity_cents, margin_step, steps_of
from evenkeel.rules.risk_limit import RiskState, lowest_cents
from evenkeel.rules.sizing import Book, Holding, floating_cents, ppm_of_pct, share_of

_ROUNDING_CENTS = 1
"""Of each position: what floats is rounded down now and again at the next sample."""


def quiet_closes(limits: LimitsConfig, state: RiskState, symbol: str) -> Band:
    """The closing bids and asks of M1 bars of `symbol` strictly inside which a bar only moves marks and equity.

    What equity may move is divided among all positions, so that no closes inside their bands can use it up together. Shut
    where that cannot be said: the next bar is to be heard.
    """
    equity_cents = _equity_cents(state)
    if equity_cents is None or _is_due(limits, state):
        return SHUT
    floor_cents, ceiling_cents = _interval(limits, state)
    if not floor_cents < equity_cents < ceiling_cents:
        return SHUT
    count = len(state.book.holdings)
    fall_cents = (equity_cents - floor_cents - 1) // count - _ROUNDING_CENTS
    rise_cents = (ceiling_cents - equity_cents - 1) // count - _ROUNDING_CENTS
    band = Band()
    for holding in state.book.holdings.values():
        if holding.symbol == symbol:
            band = band.within(_band(holding, state.book, max(0, fall_cents), max(0, rise_cents)))
    return band


def _equity_cents(state: RiskState) -> int | None:
    """What a sample without any move would find; None when it would find more than the marks tell."""
    holdings = state.book.holdings.values()
    if state.balance_cents is None or state.marks.equity_cents is None or state.marks.peak_cents is None:
        return None
    if any(held.mark_points is None or held.marked_steps != held.volume_steps for held in holdings):
        return None
    if any(held.entry_points == 0 or held.symbol not in state.book.specs for held in holdings):
        return None
    return state.balance_cents + floating_cents(state.book)


def _is_due(limits: LimitsConfig, state: RiskState) -> bool:
    """The next sample would say or unsay something, wherever equity is."""
    if drawdown_reached(limits.drawdown, state.marks)[0] is not state.drawdown:
        return True
    if state.week_loss is None and week_loss_reached(limits.week_loss_pct, state.marks) is not None:
        return True
    floor, equity_cents = floor_cents(limits.balance_floor_pct, state.start_balance_cents), state.marks.equity_cents
    if floor is not None and not state.is_at_floor and lowest_cents(state) <= floor:
        return True
    if equity_cents is not None and margin_step(limits.margin_level, equity_cents, state.margin_cents)[0] != state.margin_step:
        return True
    return state.day_loss is None and day_loss_reached(limits.day_loss_pct, state.marks) is not None


def _interval(limits: LimitsConfig, state: RiskState) -> tuple[int, int]:
    """The nearest equities below and above the last sample at which something changes."""
    marks = state.marks
    assert marks.equity_cents is not None, "asked before the first sample"
    assert marks.peak_cents is not None, "a sample leaves a peak"
    floors_cents, ceilings_cents = [-FAR_POINTS], [marks.peak_cents + 1]
    for level_cents in _levels_cents(limits, state):
        if marks.equity_cents > level_cents:
            floors_cents.append(level_cents)
        else:
            ceilings_cents.append(level_cents + 1)
    return max(floors_cents), min(ceilings_cents)


def _levels_cents(limits: LimitsConfig, state: RiskState) -> Iterator[int]:
    """Equities at or below which a limit is reached."""
    marks, drawdown = state.marks, limits.drawdown
    if state.day_loss is None and limits.day_loss_pct != "off" and marks.day_base_cents is not None:
        yield marks.day_base_cents - share_of(marks.day_base_cents, ppm_of_pct(limits.day_loss_pct))
    if state.week_loss is None and limits.week_loss_pct != "off" and marks.week_base_cents is not None:
        yield marks.week_base_cents - share_of(marks.week_base_cents, ppm_of_pct(limits.week_loss_pct))
    floor = floor_cents(limits.balance_floor_pct, state.start_balance_cents)
    if floor is not None and not state.is_at_floor:
        yield floor
    for _, limit_pct in steps_of(limits.margin_level):
        if limit_pct != "off":
            yield level_equity_cents(state.margin_cents, limit_pct)
    for limit_pct in (drawdown.reduce_pct, drawdown.halve_pct, drawdown.close_only_pct, drawdown.flatten_pct):
        if limit_pct != "off" and marks.peak_cents is not None:
            yield marks.peak_cents - share_of(marks.peak_cents, ppm_of_pct(limit_pct))


def _band(holding: Holding, book: Book, fall_cents: int, rise_cents: int) -> Band:
    assert holding.mark_points is not None, "not marked yet"
    worse, better = _points(fall_cents, holding, book), _points(rise_cents, holding, book)
    if holding.direction is Direction.BUY:
        return Band(bid_floor=holding.mark_points - worse - 1, bid_ceiling=holding.mark_points + better + 1)
    return Band(ask_floor=holding.mark_points - better - 1, ask_ceiling=holding.mark_points + worse + 1)


def _points(cents: int, holding: Holding, book: Book) -> int:
    """How far a price moves for at most so many cents of the position; rounded down."""
    spec = book.specs[holding.symbol]
    return cents * spec.worth.denominator * spec.steps_per_lot // max(1, holding.volume_steps * spec.worth.numerator)
