"""The limits of a View: what each that is on has used of what it allows. The first limit of several steps is the next one.

What only an order is measured against has no row: limit_words.PER_ORDER.
"""

from collections.abc import Iterable, Iterator
from typing import TypeVar

from evenkeel.config.limits import LimitsConfig
from evenkeel.config.schema import Config
from evenkeel.config.units import Off
from evenkeel.rules import loss_tiers
from evenkeel.rules.frequency import trades_in_hour
from evenkeel.rules.limits_seen import days_in_a_row
from evenkeel.rules.losses import EquityMarks, floor_cents
from evenkeel.rules.margin import steps_of
from evenkeel.rules.sizing import (
    PPM,
    Book,
    Reservation,
    foreign_holding_of,
    holding_of,
    notional_cents,
    open_risk_cents,
    ppm_of,
    ppm_of_pct,
    share_of,
)
from evenkeel.rules.view import LimitView
from evenkeel.rules.view_chains import recovery_limits
from evenkeel.rules.view_state import ViewState

Row = tuple[str, int, int, str]
Number = TypeVar("Number", int, float)


def limit_views(state: ViewState, config: Config, now_utc_ms: int) -> list[LimitView]:
    """Those that are on; the ones in money from the first reading on."""
    rows = [*_counted(state, config.limits, now_utc_ms), *_lost(state, config.limits), *_at_risk(state, config.limits)]
    rows += [*recovery_limits(state.chains, config, state.today.net_cents), *_tiers(state, config)]
    return [_view(*row) for row in rows]


def _counted(state: ViewState, limits: LimitsConfig, now_utc_ms: int) -> Iterator[Row]:
    in_a_row = limits.consecutive_losses
    steps = _on((in_a_row.reduce_after, in_a_row.hold_after, in_a_row.close_only_after))
    counted = (
        ("positions_max", len(state.held) + len(state.foreign) + len(state.unknown), limits.positions_max),
        ("trades_per_day", state.counts.today, limits.trades_per_day),
        ("trades_per_hour", trades_in_hour(state.counts, now_utc_ms), limits.trades_per_hour),
        ("requests", state.limits.requests_today, limits.requests.open_and_modify_per_day),
        ("rejects", state.limits.rejects_in_a_row, limits.rejects.in_a_row_max),
        ("consecutive_losses", state.losses_in_a_row, _ahead(state.losses_in_a_row, steps)),
    )
    for name, used, limit in counted:
        if limit != "off":
            yield name, used, limit, "count"
    if limits.trades_limit_days_max != "off" and limits.trades_per_day != "off":
        yield "trades_limit_days_max", days_in_a_row(state.limits, limits.trades_per_day), limits.trades_limit_days_max, "count"


def _lost(state: ViewState, limits: LimitsConfig) -> Iterator[Row]:
    """How far equity is below its marks."""
    marks = state.marks
    if marks.equity_cents is None:
        return
    yield from _falls(marks, limits)
    floor = floor_cents(limits.balance_floor_pct, state.limits.start_balance_cents)
    if floor is not None and state.limits.start_balance_cents is not None and state.account is not None:
        lowest_cents = min(marks.equity_cents, state.account.balance_cents + state.account.credit_cents)
        start_cents = state.limits.start_balance_cents
        yield "balance_floor_pct", max(0, start_cents - lowest_cents), start_cents - floor, "cents"


def _falls(marks: EquityMarks, limits: LimitsConfig) -> Iterator[Row]:
    drawdown = limits.drawdown
    fallen = (
        ("day_loss_soft_pct", marks.day_base_cents, (limits.day_loss_soft_pct,)),
        ("day_loss_pct", marks.day_base_cents, (limits.day_loss_pct,)),
        ("week_loss_pct", marks.week_base_cents, (limits.week_loss_pct,)),
        (
            *("drawdown", marks.peak_cents),
            (drawdown.reduce_pct, drawdown.halve_pct, drawdown.close_only_pct, drawdown.flatten_pct),
        ),
    )
    assert marks.equity_cents is not None, "asked before the first sample"
    for name, base_cents, limits_pct in fallen:
        if base_cents is not None:
            used = max(0, base_cents - marks.equity_cents)
            limit = _ahead(used, [share_of(base_cents, ppm_of_pct(pct)) for pct in _on(limits_pct)])
            if limit != "off":
                yield name, used, limit, "cents"


def _at_risk(state: ViewState, limits: LimitsConfig) -> Iterator[Row]:
    """What is open, against equity."""
    equity_cents, account = state.marks.equity_cents, state.account
    if equity_cents is None or account is None:
        return
    book = _book(state)
    if limits.open_risk_pct != "off":
        used = open_risk_cents(book, limits.slippage_points)
        yield "open_risk_pct", used, share_of(equity_cents, ppm_of_pct(limits.open_risk_pct)), "cents"
    if limits.symbol_notional_max != "off":
        symbols = dict.fromkeys(held.symbol for held in book.holdings.values())
        used = max((notional_cents(book, symbol) for symbol in symbols), default=0)
        yield "symbol_notional_max", used, share_of(equity_cents, ppm_of(limits.symbol_notional_max)), "cents"
    if limits.total_notional_max != "off":
        yield "total_notional_max", notional_cents(book), share_of(equity_cents, ppm_of(limits.total_notional_max)), "cents"
    if limits.free_margin_after_pct != "off":
        most = equity_cents - share_of(equity_cents, ppm_of_pct(limits.free_margin_after_pct))
        yield "free_margin_after_pct", account.margin_cents, most, "cents"
    used = account.margin_cents
    steps = _on(limit_pct for _, limit_pct in steps_of(limits.margin_level))
    limit = _ahead(used, [equity_cents * PPM // ppm_of_pct(pct) for pct in steps])
    if limit != "off":
        yield "margin_level", used, limit, "cents"


def _tiers(state: ViewState, config: Config) -> Iterator[Row]:
    if config.limits.loss_tiers.applies_to == "off" or state.account is None or not loss_tiers.scopes(config):
        return
    counted = [one for name, one in state.limits.lost.items() if loss_tiers.applies_to(config, name)]
    most = loss_tiers.limits_at(config, state.account.balance_cents + state.account.credit_cents)
    yield "loss_tiers.day", sum(one.day_cents for one in counted), most.day_cents, "cents"
    yield "loss_tiers.lifetime", sum(one.lifetime_cents for one in counted), most.lifetime_cents, "cents"


def _on(steps: Iterable[Number | Off]) -> list[Number]:
    return [step for step in steps if step != "off"]


def _ahead(used: int, steps: Iterable[int]) -> int | Off:
    """The nearest step that is not reached, the last one where all are."""
    ordered = sorted(steps)
    return next((step for step in ordered if step > used), ordered[-1]) if ordered else "off"


def _view(name: str, used: int, limit: int, unit: str) -> LimitView:
    room_ratio = round(max(0.0, 1 - used / limit), 4) if limit > 0 else 0.0
    return LimitView(name=name, used=used, limit=limit, room_ratio=room_ratio, unit=unit)


def _book(state: ViewState) -> Book:
    """Open positions as risk_limit holds them, foreign ones too, those of symbols without terms left out."""
    book = Book(specs=state.specs)
    for ticket, held in state.held.items():
        opened = held.opened
        if opened.symbol in state.specs:
            reserved = Reservation(opened.symbol, opened.direction, opened.volume_steps, opened.reserved_cents, is_fresh=False)
            book.holdings[ticket] = holding_of(opened, reserved)
    for ticket, seen in state.foreign.items():
        if seen.symbol in state.specs:
            book.holdings[ticket] = foreign_holding_of(seen)
    return book
