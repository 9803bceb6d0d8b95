"""The View of a fold (rules/view_state.py) at the prices of the moment, in the words and units of a person."""

from collections.abc import Iterable, Mapping

import msgspec

from evenkeel.config.schema import Config
from evenkeel.messages.broker_gateway import ForeignOrderSeen, ForeignPositionSeen
from evenkeel.messages.market import Quote, SymbolSpec
from evenkeel.messages.position import PositionOpened
from evenkeel.messages.system import RunStarted
from evenkeel.rules.entries import distance_points
from evenkeel.rules.exits import exit_price, sign
from evenkeel.rules.symbols import points_per_pip
from evenkeel.rules.view import (
    AccountView,
    ChildView,
    FlattenView,
    ForeignOrderView,
    ForeignView,
    HoldView,
    PositionView,
    RunView,
    Shown,
    UnknownOrder,
    UnprotectedView,
    View,
    decimal_of,
    lots_of,
)
from evenkeel.rules.view_chains import CHAINS_SHOWN, breaker_views, chain_views, shield_views
from evenkeel.rules.view_limits import limit_views
from evenkeel.rules.view_state import Held, ViewState


def view_of(
    state: ViewState,
    *,
    marks: Mapping[str, Quote],
    children: Iterable[tuple[str, bool, int]],
    config: Config,
    now_utc_ms: int,
    written_utc_ms: int,
) -> View:
    """`marks` are the newest quotes by symbol; `children` are name, whether it serves, and incarnation of each."""
    guards = state.guards
    holds = (hold for hold in guards.holds.values() if hold.until_utc_ms == 0 or now_utc_ms < hold.until_utc_ms)
    return View(
        written_utc_ms=written_utc_ms,
        now_utc_ms=now_utc_ms,
        run=_run_view(state.run, state.started_utc_ms) if state.run else None,
        mode=guards.mode,
        epoch=guards.epoch,
        agreed=guards.agreed,
        trading_day=state.trading_day,
        holds=tuple(_shown(HoldView, hold) for hold in holds),
        children=tuple(
            ChildView(name=name, serving=serving, incarnation=number, restarts=state.restarts.get(name, 0))
            for name, serving, number in children
        ),
        positions=tuple(_position_view(state, held, marks, config) for held in state.held.values()),
        foreign=tuple(_foreign_view(state, seen) for seen in state.foreign.values()),
        foreign_orders=tuple(_foreign_order_view(state, seen) for seen in state.foreign_orders.values()),
        unknown_orders=tuple(_shown(UnknownOrder, order) for order in state.unknown.values()),
        stale=tuple(state.stale),
        account=_shown(AccountView, state.account) if state.account else None,
        today=state.today,
        limits=tuple(limit_views(state, config, now_utc_ms)),
        events=tuple(state.events),
        flattening=tuple(_shown(FlattenView, one) for one in state.flattening.values()),
        unprotected=tuple(_shown(UnprotectedView, one) for one in state.unprotected.values()),
        taken_over=tuple(state.taken_over),
        chains=chain_views(state.chains),
        chains_more=max(0, len(state.chains.steps) - CHAINS_SHOWN),
        shields=shield_views(guards),
        breakers=breaker_views(state.chains),
        recoveries=state.chains.today,
    )


def _shown(kind: type[Shown], said: object) -> Shown:
    """The fields of `kind`, which have the same names there."""
    return msgspec.convert(said, kind, from_attributes=True)


def _run_view(run: RunStarted, started_utc_ms: int | None) -> RunView:
    return RunView(build=run.build, account=run.account, started_utc_ms=started_utc_ms, continued=run.continued)


def _position_view(state: ViewState, held: Held, marks: Mapping[str, Quote], config: Config) -> PositionView:
    opened, spec, quote = held.opened, state.specs.get(held.opened.symbol), marks.get(held.opened.symbol)
    s = sign(opened.direction)
    stop_points = opened.stop_points or _configured_stop_points(opened, spec, config)
    mark_points = exit_price(opened.direction, quote) if quote else 0
    gained_points = s * (mark_points - opened.entry_points) if mark_points and opened.entry_points else None
    risked_points = s * (opened.entry_points - stop_points) if stop_points else 0
    return PositionView(
        ticket=opened.ticket,
        symbol=opened.symbol,
        direction=opened.direction,
        volume_lots=_lots(opened.volume_steps, spec),
        entry=_price(opened.entry_points, spec),
        stop=_price(held.tightened_points or stop_points, spec),
        target=_price(opened.target_points, spec),
        mark=_price(mark_points, spec),
        opened_utc_ms=opened.opened_utc_ms,
        r=round(gained_points / risked_points, 2) if gained_points is not None and risked_points > 0 else None,
        profit_cents=_worth_cents(gained_points, opened.volume_steps, spec) if gained_points is not None and spec else None,
        strategy=opened.lineage.strategy or opened.lineage.origin,
        closing=held.is_closing,
    )


def _configured_stop_points(opened: PositionOpened, spec: SymbolSpec | None, config: Config) -> int:
    """The stop that position/SYMBOL gives a position which came without one; 0 while that cannot be told."""
    if spec is None or opened.entry_points == 0:
        return 0
    distance = distance_points(config.entry.stop_pips, points_per_pip(spec, config))
    return opened.entry_points - sign(opened.direction) * distance


def _worth_cents(points: int, volume_steps: int, spec: SymbolSpec) -> int:
    """Rounded down: a loss is never shown smaller than it is."""
    return points * volume_steps * spec.worth.numerator // (spec.worth.denominator * spec.steps_per_lot)


def _foreign_view(state: ViewState, seen: ForeignPositionSeen) -> ForeignView:
    spec = state.specs.get(seen.symbol)
    return ForeignView(
        ticket=seen.ticket,
        symbol=seen.symbol,
        direction=seen.direction,
        volume_lots=_lots(seen.volume_steps, spec),
        entry=_price(seen.open_points, spec),
    )


def _foreign_order_view(state: ViewState, seen: ForeignOrderSeen) -> ForeignOrderView:
    spec = state.specs.get(seen.symbol)
    return ForeignOrderView(
        ticket=seen.ticket,
        symbol=seen.symbol,
        direction=seen.direction,
        volume_lots=_lots(seen.volume_steps, spec),
        price=_price(seen.price_points, spec),
    )


def _price(points: int, spec: SymbolSpec | None) -> str | None:
    return decimal_of(points, spec.digits) if spec and points else None


def _lots(volume_steps: int, spec: SymbolSpec | None) -> str | None:
    return lots_of(volume_steps, spec) if spec else None
