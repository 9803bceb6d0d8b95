"""The smallest change of one number that would have let a refused signal pass, found by asking the gates again.

A lever changes one number of the moment: a knob of the configuration, the price, the equity, the time. Passing is monotone
in it, so the nearest value that passes is found by halving; that value passes, and one unit short of it is refused.
"""

from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

import msgspec

from evenkeel.actors.broker_gateway import BrokerGatewayState
from evenkeel.commands.why_not.moment import Moment, gate_refusals
from evenkeel.config.schema import Config
from evenkeel.messages.broker_gateway import AccountRead
from evenkeel.messages.entry import DenialReason
from evenkeel.rules import loss_tiers
from evenkeel.rules.entries import Refusal
from evenkeel.rules.frequency import day_counted
from evenkeel.rules.instants import duration_text, utc_text
from evenkeel.rules.losses import at_day_start, at_week_start
from evenkeel.rules.recovery_safety import day_started
from evenkeel.rules.risk_limit import RiskState
from evenkeel.rules.sizing import ppm_of
from evenkeel.rules.texts import money_text

WAIT_MS_MAX: Final = 8 * 86_400_000
WAIT_STEP_MS: Final = 300_000
COUNT_MAX: Final = 1_000_000
CENTS_MAX: Final = 10**14
PPM: Final = 1_000_000


class Lever(NamedTuple):
    """`at` sets its number to a value, counted from `start`, the present one, to `farthest`, in either direction.

    `step` 0: what passes with one value passes with every farther one. Else it may be refused again farther on, and is looked
    at in steps so wide.
    """

    name: str
    start: int
    farthest: int
    at: Callable[[Moment, int], Moment]
    text: Callable[[int], str]
    step: int = 0


class Relief(NamedTuple):
    """`value` in the lever's own unit: points, ms, cents, a count, or the knob times its scale."""

    lever: str
    value: int
    text: str


def reliefs(moment: Moment, refusal: Refusal, account: AccountRead | None) -> list[Relief]:
    """What would have let it pass, each alone; empty where no single number would have."""
    found = []
    for lever in levers_for(moment, refusal, account):
        value = nearest_passing(moment, lever)
        if value is not None:
            found.append(Relief(lever.name, value, lever.text(value)))
    return found


def nearest_passing(moment: Moment, lever: Lever) -> int | None:
    """The value nearest to the present one with which nothing is refused; None when no step to the farthest helps. A passing
    stretch narrower than a step may be missed."""
    if lever.start == lever.farthest:
        return None
    way, distance = (1 if lever.farthest > lever.start else -1), abs(lever.farthest - lever.start)
    step = lever.step or distance
    steps = range(step, distance + 1, step)
    passing = next((off for off in steps if passes(lever.at(moment, lever.start + way * off))), None)
    if passing is None:
        return None
    refused = passing - step
    while passing - refused > 1:
        middle = (refused + passing) // 2
        if passes(lever.at(moment, lever.start + way * middle)):
            passing = middle
        else:
            refused = middle
    return lever.start + way * passing


def passes(moment: Moment) -> bool:
    return not gate_refusals(moment)


def levers_for(moment: Moment, refusal: Refusal, account: AccountRead | None) -> Iterator[Lever]:
    """Those that may help against a refusal of that reason."""
    config = moment.config
    match refusal.reason:
        case DenialReason.SPREAD:
            yield _spread(moment)
            yield _knob(config, "entry", "spread_multiple_max", 100, up_to=1000)
            yield _knob(
                config, "entry", "spread_points_floor", 1, up_to=max(config.entry.spread_points_floor, refusal.measured)
            )
        case DenialReason.CONFIDENCE:
            yield _confidence(moment)
            yield _knob(config, "limits", "confidence_min", PPM, up_to=0)
        case DenialReason.POSITIONS:
            yield _knob(config, "limits", "positions_max", 1, up_to=COUNT_MAX)
        case DenialReason.DUPLICATE if refusal.unit == "ms":
            yield _wait(moment)
            yield _knob(config, "recovery", "duplicate_minutes", 100, up_to=0)
        case (
            DenialReason.TRADES_PER_DAY
            | DenialReason.TRADES_PER_HOUR
            | DenialReason.RECOVERY_ATTEMPTS
            | DenialReason.RECOVERY_LOSSES
        ):
            yield _wait(moment)
            yield _knob(config, "limits", refusal.reason.value, 1, up_to=COUNT_MAX)
        case DenialReason.PROFIT_PROTECTION:
            yield _wait(moment)
            yield _knob(config, "limits", "profit_protection", 100, up_to=COUNT_MAX)
        case DenialReason.RECOVERY_CONCURRENT:
            yield _knob(config, "limits", "recovery_concurrent", 1, up_to=COUNT_MAX)
        case DenialReason.CHAIN_RISK_BUDGET:
            yield _knob(config, "limits", "chain_risk_budget_r", 100, up_to=1000)
            yield _knob(config, "limits", "chain_risk_budget_hedged_r", 100, up_to=1000)
        case DenialReason.STOP_TOO_NEAR:
            yield _knob(config, "profit_booking", "fixed_stop", 100, up_to=COUNT_MAX)
        case (
            DenialReason.COOLDOWN
            | DenialReason.HOLD
            | DenialReason.SHIELD
            | DenialReason.DAY_LOSS
            | DenialReason.WEEK_LOSS
            | DenialReason.SESSION
            | DenialReason.CONSECUTIVE_LOSSES
            | DenialReason.SLIPPAGE
            | DenialReason.REJECTS
            | DenialReason.REQUESTS_PER_SECOND
            | DenialReason.REQUESTS_PER_MINUTE
            | DenialReason.REQUESTS_PER_DAY
            | DenialReason.LOSS_TIER_DAY
        ):
            yield _wait(moment)
        case DenialReason.DRAWDOWN | DenialReason.MARGIN_LEVEL:
            yield _equity(moment, account)
        case DenialReason.VOLUME_BELOW_MINIMUM:
            yield _equity(moment, account)
            yield from _volume_knobs(config)
        case DenialReason.CATASTROPHE_STOP_NEAR:
            yield _stop(config)
        case _:
            return


def _volume_knobs(config: Config) -> Iterator[Lever]:
    """Each budget that a volume is solved from, and the volume itself."""
    for name in ("risk_per_trade_pct", "open_risk_pct", "loss_at_catastrophe_stop_pct", "correlated_risk_pct"):
        yield _knob(config, "limits", name, 100, up_to=100)
    for name in ("order_notional_max", "symbol_notional_max", "total_notional_max"):
        yield _knob(config, "limits", name, 100, up_to=1000)
    yield _down_to_a_step(_knob(config, "limits", "free_margin_after_pct", 100, up_to=0))
    yield _knob(config, "limits", "volume_lots_max", 100, up_to=10_000)
    yield _knob(config, "entry", "volume_lots", 100, up_to=10_000)
    yield _stop(config)


def _knob(config: Config, table: str, name: str, scale: int, *, up_to: int) -> Lever:
    """A number of the configuration in steps of 1 / `scale`. One that is off or absent cannot be what refuses."""
    value = getattr(getattr(config, table), name)
    if not isinstance(value, int | float):
        return Lever(name, 0, 0, lambda moment, _: moment, str)

    def at(moment: Moment, steps: int) -> Moment:
        changed = msgspec.structs.replace(getattr(moment.config, table), **{name: steps if scale == 1 else steps / scale})
        return moment._replace(config=msgspec.structs.replace(moment.config, **{table: changed}))

    return Lever(f"{table}.{name}", round(value * scale), up_to * scale, at, lambda v: f"with {table}.{name} = {v / scale:g}")


def _stop(config: Config) -> Lever:
    return _down_to_a_step(_knob(config, "entry", "stop_pips", 10, up_to=0))


def _down_to_a_step(knob: Lever) -> Lever:
    """0 is no value of it. One that is off stays so."""
    return knob._replace(farthest=1) if knob.start else knob


def _spread(moment: Moment) -> Lever:
    quote = moment.signal.quote

    def at(moment: Moment, points: int) -> Moment:
        narrow = msgspec.structs.replace(quote, ask_points=quote.bid_points + points)
        return moment._replace(signal=msgspec.structs.replace(moment.signal, quote=narrow))

    present = quote.ask_points - quote.bid_points
    return Lever("spread_points", present, 0, at, lambda points: f"with a spread of {points} points or less")


def _confidence(moment: Moment) -> Lever:
    def at(moment: Moment, ppm: int) -> Moment:
        lineage = msgspec.structs.replace(moment.signal.lineage, confidence=ppm / PPM)
        return moment._replace(signal=msgspec.structs.replace(moment.signal, lineage=lineage))

    return Lever(
        "confidence", ppm_of(moment.signal.lineage.confidence), PPM, at, lambda ppm: f"with confidence {ppm / PPM:g} or more"
    )


def _wait(moment: Moment) -> Lever:
    """Later, with everything else as it was; past the end of a trading day or week its counts and losses are over, and past
    its time a shield is lowered."""

    def at(moment: Moment, wait_ms: int) -> Moment:
        return moment._replace(
            risk=_anew(moment, moment.proposal_utc_ms + wait_ms),
            gateway=_lowered(moment.gateway, moment.order_utc_ms + wait_ms),
            signal_utc_ms=moment.signal_utc_ms + wait_ms,
            proposal_utc_ms=moment.proposal_utc_ms + wait_ms,
            order_utc_ms=moment.order_utc_ms + wait_ms,
        )

    def text(wait_ms: int) -> str:
        return f"{duration_text(wait_ms)} later, from {utc_text(moment.signal_utc_ms + wait_ms + 999)} on"

    return Lever("wait_ms", 0, WAIT_MS_MAX, at, text, WAIT_STEP_MS)  # the hours of the session come and go


def _anew(moment: Moment, utc_ms: int) -> RiskState:
    """What the limits are measured against once the trading day, or the week, is over."""
    risk = moment.risk
    if 0 < risk.day_ends_utc_ms <= utc_ms:
        recoveries = msgspec.structs.replace(risk.recoveries)
        day_started(recoveries, recoveries.day)
        risk = msgspec.structs.replace(
            risk,
            counts=day_counted(risk.counts, moment.config.limits.trades_per_day),
            marks=at_day_start(risk.marks),
            day_loss=None,
            tier_losses=loss_tiers.at_day_start(risk.tier_losses),
            recoveries=recoveries,
        )
    if 0 < risk.week_ends_utc_ms <= utc_ms:
        risk = msgspec.structs.replace(risk, marks=at_week_start(risk.marks), week_loss=None)
    return risk


def _lowered(gateway: BrokerGatewayState, utc_ms: int) -> BrokerGatewayState:
    """Without the shields that are lowered by then."""
    shields = {key: raised for key, raised in gateway.guards.shields.items() if raised.until_utc_ms > utc_ms}
    guards = msgspec.structs.replace(gateway.guards, shields=shields)
    return msgspec.structs.replace(gateway, guards=guards)


def _equity(moment: Moment, account: AccountRead | None) -> Lever:
    equity_cents = moment.risk.marks.equity_cents

    def at(moment: Moment, cents: int) -> Moment:
        marks = msgspec.structs.replace(moment.risk.marks, equity_cents=cents)
        return moment._replace(risk=msgspec.structs.replace(moment.risk, marks=marks))

    if equity_cents is None:
        return Lever("equity_cents", 0, 0, at, str)
    return Lever("equity_cents", equity_cents, CENTS_MAX, at, lambda cents: f"with equity of {money_text(cents, account)}")
