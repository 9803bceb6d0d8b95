"""The hedge shield: two opposite orders after a stop, until price has come back (trading_rules 1.12 B).

Leg A has its target as far beyond the stop as the stopped trade's own gap; leg B has none and is booked by profit_booking.
Both have their stop at the stopped trade's entry, and a chain of their own, which counts in the budget of the one that is
hedged. The accounts that evenkeel trades are hedging accounts: on a netting one the terminal sends no order at all, so no leg
can be netted away. What the chain may lose in all is judged by the limits, for each leg as for every other order.
"""

from collections.abc import Iterable
from typing import Final

import msgspec

from evenkeel.config.chains import HedgeShieldConfig
from evenkeel.config.schema import Config
from evenkeel.messages.broker_gateway import AccountRead, OrderOutcomeResolved, OrderOutcomeUnknown, OrderRejected
from evenkeel.messages.entry import Lineage, OrderDenied, OrderKind, ReentryRaised, SignalRaised
from evenkeel.messages.market import ArmWatches, Direction, DisarmWatches, SymbolSpec, Watch
from evenkeel.messages.position import ExitReason, PositionClosed, PositionOpened, ReducePosition
from evenkeel.messages.recovery import StopChain
from evenkeel.messages.shield import HedgeEnd, HedgeEnded, HedgeWanted
from evenkeel.messages.system import CancelTimer, Message, SetTimer
from evenkeel.messages.trading_calendar import TradingDayStarted
from evenkeel.rules.entries import ATTEMPTS_MAX, PRICE_MOVED
from evenkeel.rules.exits import exit_price, exit_side, sign
from evenkeel.rules.fixed_stop import money_cents
from evenkeel.rules.lineage import budget_chain, hedge_of
from evenkeel.rules.loss_tiers import TierLosses, after_loss, applies_to, at_day_start, limits_at
from evenkeel.rules.shield import NAME
from evenkeel.rules.sizing import loss_per_step, notional_per_step, ppm_of, ppm_of_pct, share_of, steps_within
from evenkeel.rules.texts import money_text

ANSWER_MS: Final = 5_000
"""How long a rejected leg may be on its way again before it counts as refused."""
LEGS: Final = (OrderKind.SHIELD_A, OrderKind.SHIELD_B)
_WON: Final = frozenset({ExitReason.TARGET, ExitReason.BOOKED})
_NEVER_A_LEG: Final = frozenset({ExitReason.LATE_FILL, ExitReason.NEVER_OPENED})

OfLegs = OrderDenied | OrderRejected | OrderOutcomeUnknown | OrderOutcomeResolved


class Hedge(msgspec.Struct):
    """`placing` are the legs whose order has no outcome yet, `rejects` counts the refusals of each by the broker, `doubted` may
    be on their way again; `tickets` are open. `ending` is what it will have been once nothing of it is open, and `detail` says
    why.
    """

    wanted: HedgeWanted
    placing: list[str]
    rejects: dict[str, int] = {}
    doubted: list[str] = []
    tickets: list[int] = []
    ending: HedgeEnd | None = None
    has_lost: bool = False
    net_cents: int = 0
    detail: str = ""


class Hedges(msgspec.Struct):
    """`hedges` by the chain that is hedged. `account` is its last reading, `moved_cents` what the balance has gained since;
    `losses` are those that the loss tiers count, of the trading day `day`."""

    specs: dict[str, SymbolSpec] = {}
    account: AccountRead | None = None
    moved_cents: int = 0
    day: str = ""
    losses: TierLosses = TierLosses()
    hedges: dict[str, Hedge] = {}


def account_read(hedges: Hedges, account: AccountRead) -> None:
    hedges.account, hedges.moved_cents = account, 0


def day_started(hedges: Hedges, started: TradingDayStarted) -> None:
    if started.day != hedges.day:
        hedges.day, hedges.losses = started.day, at_day_start(hedges.losses)


def loss_counted(config: Config, hedges: Hedges, closed: PositionClosed) -> None:
    """A trade closed with a loss is one of the day's, whoever's it was."""
    if closed.net_cents < 0 and applies_to(config, closed.lineage.strategy):
        is_today = closed.trading_day >= hedges.day
        hedges.losses = after_loss(config, hedges.losses, -closed.net_cents, _balance_cents(hedges), is_today=is_today)


# -- the beginning ------------------------------------------------------------------------------------------------------------


def begin(config: Config, hedges: Hedges, wanted: HedgeWanted, now_utc_ms: int) -> list[Message]:
    """Both legs, the level at which they are closed again and the end of the window; or nothing, and why not."""
    spec, account = hedges.specs.get(wanted.symbol), hedges.account
    if spec is None or account is None:
        return [_ended(wanted, HedgeEnd.REFUSED, 0, "the symbol's terms or the account are not known yet")]
    steps = leg_steps(config, hedges, wanted, spec, account)
    refusal = _refusal(config.shield.hedge, hedges, wanted, account)
    if refusal is None and steps < spec.volume_min_steps:
        refusal = f"volume of {steps} steps a leg, the least is {spec.volume_min_steps}"
    if refusal is not None:
        return [_ended(wanted, HedgeEnd.REFUSED, 0, refusal)]
    hedges.hedges[wanted.chain_id] = Hedge(wanted, [kind.value for kind in LEGS])
    is_rising = wanted.direction is Direction.BUY
    kill = Watch(_kill_name(wanted), exit_side(wanted.direction), is_rising, wanted.kill_points)
    return [
        *(_leg(config.shield.hedge, wanted, kind, steps, now_utc_ms) for kind in LEGS),
        ArmWatches(NAME, wanted.symbol, wanted.spec_id, (kill,)),
        SetTimer(NAME, f"window/{wanted.chain_id}", wanted.until_utc_ms),
    ]


def leg_steps(config: Config, hedges: Hedges, wanted: HedgeWanted, spec: SymbolSpec, account: AccountRead) -> int:
    """Volume of each leg: its share of what was stopped, shrunk until both leave enough of the margin free, and enough of what
    the day may still lose when they come to their stop; rounded down."""
    hedge = config.shield.hedge
    wanted_steps = share_of(wanted.volume_steps, ppm_of(hedge.volume_ratio))
    kept_cents = -share_of(-account.equity_cents, ppm_of_pct(hedge.free_margin_pct_min))
    room_cents = account.equity_cents - account.margin_cents - kept_cents
    steps = min(wanted_steps, steps_within(room_cents, len(LEGS) * notional_per_step(spec) / account.leverage))
    if not applies_to(config, wanted.plugin):
        return steps
    most_cents = limits_at(config, _balance_cents(hedges)).day_cents - hedges.losses.day_cents
    day_cents = most_cents - money_cents(hedge.day_loss_buffer, account.currency_digits)
    return min(steps, steps_within(day_cents, len(LEGS) * loss_per_step(max(1, _stop_distance(wanted)), spec)))


def _refusal(config: HedgeShieldConfig, hedges: Hedges, wanted: HedgeWanted, account: AccountRead) -> str | None:
    """Why it is not even tried, whatever its volume; None: nothing stands against it here."""
    if not config.enabled:
        return "shield.hedge is off"
    if wanted.chain_id in hedges.hedges:
        return "the chain is hedged already"
    if len(hedges.hedges) >= config.sets_max:
        return f"{len(hedges.hedges)} hedges stand, shield.hedge.sets_max is {config.sets_max}"
    balance_cents, least_cents = _balance_cents(hedges), money_cents(config.balance_min, account.currency_digits)
    if balance_cents < least_cents:
        balance, least = (money_text(cents, account) for cents in (balance_cents, least_cents))
        return f"balance of {balance}, shield.hedge.balance_min is {least}"
    if _target_distance(config, wanted) <= 0:
        return f"price of {_price(wanted)} is beyond the target of leg A already"
    if sign(wanted.direction) * (_price(wanted) - wanted.kill_points) >= 0:
        return f"price is back at {wanted.kill_points} already"
    return None


def _balance_cents(hedges: Hedges) -> int:
    return hedges.moved_cents + (hedges.account.balance_cents if hedges.account is not None else 0)


def _leg(config: HedgeShieldConfig, wanted: HedgeWanted, kind: OrderKind, steps: int, now_utc_ms: int) -> ReentryRaised:
    lineage = Lineage(
        origin=NAME,
        strategy=wanted.plugin,
        chain_id=hedge_of(wanted.chain_id, wanted.parent_ticket),
        parent_ticket=wanted.parent_ticket,
        level=wanted.level,
        order_kind=kind.value,
    )
    signal = SignalRaised(
        symbol=wanted.symbol,
        spec_id=wanted.spec_id,
        direction=_opposite(wanted.direction),
        quote=wanted.quote,
        bar_utc_ms=now_utc_ms,
        spread_median_points=wanted.spread_median_points,
        lineage=lineage,
    )
    target_points = _target_distance(config, wanted) if kind is OrderKind.SHIELD_A else 0
    return ReentryRaised(wanted.symbol, signal, _stop_distance(wanted), target_points, steps)


def _stop_distance(wanted: HedgeWanted) -> int:
    """From where a leg opens to the entry of the stopped trade."""
    return sign(wanted.direction) * (wanted.entry_points - _price(wanted))


def _target_distance(config: HedgeShieldConfig, wanted: HedgeWanted) -> int:
    """From where leg A opens to its target, which is measured from the stop; rounded down, so nearer."""
    s = sign(wanted.direction)
    gap_points = s * (wanted.entry_points - wanted.stop_points)
    return share_of(gap_points, ppm_of(config.target_ratio)) - s * (wanted.stop_points - _price(wanted))


def _price(wanted: HedgeWanted) -> int:
    """Where a leg opens: one against a bought trade is sold at the bid, as that trade was closed."""
    return exit_price(wanted.direction, wanted.quote)


# -- what becomes of the legs -------------------------------------------------------------------------------------------------


def leg_told(hedges: Hedges, told: OfLegs, now_utc_ms: int) -> list[Message]:
    """What became of a leg's order, where it was not filled. A price that had moved is tried again by the symbol's actor, so
    such a leg waits a little for what comes of that."""
    hedge, kind = _of(hedges, told.lineage), told.lineage.order_kind
    if hedge is None or kind not in hedge.placing:
        return []
    match told:
        case OrderOutcomeUnknown():
            hedge.doubted = [one for one in hedge.doubted if one != kind]
            return []
        case OrderDenied():
            return _failed(hedges, hedge, kind, f"{kind} denied: {told.reason.value}")
        case OrderOutcomeResolved():
            return _failed(hedges, hedge, kind, f"{kind} was never executed")
        case OrderRejected():
            hedge.rejects[kind] = hedge.rejects.get(kind, 0) + 1
            is_over = told.code not in PRICE_MOVED or told.quote is None or hedge.rejects[kind] >= ATTEMPTS_MAX
            if is_over:
                return _failed(hedges, hedge, kind, f"{kind} rejected: {told.code} {told.detail}")
            hedge.doubted = [*(one for one in hedge.doubted if one != kind), kind]
            return [SetTimer(NAME, f"answer/{hedge.wanted.chain_id}", now_utc_ms + ANSWER_MS)]


def unanswered(hedges: Hedges, chain_id: str) -> list[Message]:
    """Legs that were rejected and of which nothing more was heard."""
    hedge = hedges.hedges.get(chain_id)
    doubted = [] if hedge is None else list(hedge.doubted)
    said: list[Message] = []
    for kind in doubted:
        hedge = hedges.hedges.get(chain_id)
        if hedge is not None:
            said += _failed(hedges, hedge, kind, f"{kind} rejected, and not tried again")
    return said


def leg_opened(hedges: Hedges, opened: PositionOpened) -> list[Message]:
    """One that nobody waits for any more is closed at once."""
    hedge, kind = _of(hedges, opened.lineage), opened.lineage.order_kind
    if kind not in LEGS or (hedge is not None and opened.ticket in hedge.tickets):
        return []
    close = ReducePosition(opened.ticket, opened.symbol, 0, ExitReason.SHIELD)
    if hedge is None or kind not in hedge.placing:
        return [close]
    _settle(hedge, kind)
    hedge.tickets.append(opened.ticket)
    return [close] if hedge.ending is not None else []


def leg_closed(hedges: Hedges, closed: PositionClosed) -> list[Message]:
    """A leg that won leaves the other as it is, and the level of the recovery goes on being watched. One whose fill came too
    late to be kept has failed like one that was rejected."""
    hedge = _of(hedges, closed.lineage)
    if hedge is None or closed.ticket not in hedge.tickets:
        return []
    hedge.tickets.remove(closed.ticket)
    hedge.net_cents += closed.net_cents
    detail = f"{closed.lineage.order_kind} closed: {closed.reason.value}"
    if closed.reason in _NEVER_A_LEG:
        return _end(hedges, hedge, HedgeEnd.REFUSED, detail)
    if closed.reason not in _WON:
        hedge.has_lost, hedge.detail = True, hedge.detail or detail
    return _concluded(hedges, hedge)


# -- the end ------------------------------------------------------------------------------------------------------------------


def price_is_back(hedges: Hedges, names: Iterable[str]) -> list[Message]:
    """The level of the recovery is reached: both legs are closed, and only then it may follow."""
    back = [hedge for hedge in hedges.hedges.values() if _kill_name(hedge.wanted) in names]
    return [said for hedge in back for said in _end(hedges, hedge, HedgeEnd.KILLED, "price is back")]


def window_over(hedges: Hedges, chain_id: str) -> list[Message]:
    hedge = hedges.hedges.get(chain_id)
    return [] if hedge is None else _end(hedges, hedge, HedgeEnd.EXPIRED, "the window is over")


def chain_stopped(hedges: Hedges, command: StopChain) -> list[Message]:
    """A person ends the chain that is hedged."""
    hedge = hedges.hedges.get(command.chain_id)
    is_it = hedge is not None and hedge.wanted.plugin == command.plugin
    return _end(hedges, hedge, HedgeEnd.STOPPED, f"stopped by {command.by}") if hedge is not None and is_it else []


def _failed(hedges: Hedges, hedge: Hedge, kind: str, detail: str) -> list[Message]:
    """One leg alone is no hedge: the other is closed."""
    _settle(hedge, kind)
    return _end(hedges, hedge, HedgeEnd.REFUSED, detail)


def _settle(hedge: Hedge, kind: str) -> None:
    """The leg's order has its outcome."""
    hedge.placing.remove(kind)
    hedge.doubted = [one for one in hedge.doubted if one != kind]


def _end(hedges: Hedges, hedge: Hedge, end: HedgeEnd, detail: str) -> list[Message]:
    """Close what is open; what is still on its way is closed when it opens. The first end is the one that counts."""
    if hedge.ending is None:
        hedge.ending, hedge.detail = end, detail
    symbol = hedge.wanted.symbol
    said: list[Message] = [ReducePosition(ticket, symbol, 0, ExitReason.SHIELD) for ticket in hedge.tickets]
    return [*said, *_concluded(hedges, hedge)]


def _concluded(hedges: Hedges, hedge: Hedge) -> list[Message]:
    """It is over once nothing of it is open or on its way, and it was to end or has lost."""
    wanted = hedge.wanted
    end = hedge.ending or (HedgeEnd.STOPPED if hedge.has_lost else None)
    if hedge.tickets or hedge.placing or end is None:
        return []
    del hedges.hedges[wanted.chain_id]
    return [
        _ended(wanted, end, hedge.net_cents, hedge.detail),
        DisarmWatches(NAME, wanted.symbol, (_kill_name(wanted),)),
        CancelTimer(NAME, f"window/{wanted.chain_id}"),
    ]


def _ended(wanted: HedgeWanted, end: HedgeEnd, net_cents: int, detail: str) -> HedgeEnded:
    return HedgeEnded(wanted.plugin, wanted.chain_id, wanted.symbol, end, net_cents, detail)


def _of(hedges: Hedges, lineage: Lineage) -> Hedge | None:
    """The hedge that an order of this lineage is a leg of."""
    hedge = hedges.hedges.get(budget_chain(lineage.chain_id))
    if hedge is None or lineage.order_kind not in LEGS:
        return None
    return hedge if lineage.chain_id == hedge_of(hedge.wanted.chain_id, hedge.wanted.parent_ticket) else None


def _kill_name(wanted: HedgeWanted) -> str:
    return f"{wanted.parent_ticket}/kill/1"


def _opposite(direction: Direction) -> Direction:
    return Direction.SELL if direction is Direction.BUY else Direction.BUY
