"""The way in: from a signal to an order that a guard passed, or the refusal that says why not."""

from enum import StrEnum

import msgspec

from evenkeel.messages.market import Direction, Quote
from evenkeel.messages.system import Message, Observation


class Lineage(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Where a trade comes from; it rides along from the signal to `PositionClosed`, so whoever hears it needs no lookup.

    `number` tells the orders of one chain apart that the same end of a trade called for; 0 where there is but one.
    """

    origin: str
    strategy: str
    chain_id: str = ""
    parent_ticket: int = 0
    level: int = 0
    order_kind: str = "single"
    slot: int = 0
    proposal_id: str = ""
    confidence: float = 1.0
    confidence_parts: tuple[tuple[str, float], ...] = ()
    number: int = 0


class OrderKind(StrEnum):
    """What an order is in the life of a chain; `Lineage.order_kind` holds its value. SINGLE belongs to none.

    TP_TRAIL is order A, PROFIT_TRAIL order B; all others are derived from an earlier trade (trading_rules 1.1).
    """

    SINGLE = "single"
    TP_TRAIL = "tp_trail"
    PROFIT_TRAIL = "profit_trail"
    TP_CONTINUATION = "tp_continuation"
    SL_RECOVERY = "sl_recovery"
    EXIT_CONTINUATION = "exit_continuation"
    PROFIT_RECOVERY = "profit_recovery"
    SHIELD_A = "shield_a"
    SHIELD_B = "shield_b"


class DenialReason(StrEnum):
    """Why one of us refused new risk. Grouped by who says it."""

    # position/SYMBOL
    SLOT_TAKEN = "slot_taken"
    CLOSING = "closing"
    COOLDOWN = "cooldown"
    SPREAD = "spread"
    SPEC_UNKNOWN = "spec_unknown"
    SESSION = "session"
    DUPLICATE = "duplicate"
    CHAIN_WAITS = "chain_waits"
    # risk_limit
    CONFIDENCE = "confidence"
    POSITIONS = "positions"
    TRADES_PER_HOUR = "trades_per_hour"
    TRADES_PER_DAY = "trades_per_day"
    DAY_LOSS = "day_loss"
    DRAWDOWN = "drawdown"
    VOLUME_BELOW_MINIMUM = "volume_below_minimum"
    EQUITY_UNKNOWN = "equity_unknown"
    DAILY_ATR_UNKNOWN = "daily_atr_unknown"
    CATASTROPHE_STOP_NEAR = "catastrophe_stop_near"
    WEEK_LOSS = "week_loss"
    CONSECUTIVE_LOSSES = "consecutive_losses"
    BALANCE_FLOOR = "balance_floor"
    MARGIN_LEVEL = "margin_level"
    SLIPPAGE = "slippage"
    REJECTS = "rejects"
    REQUESTS_PER_SECOND = "requests_per_second"
    REQUESTS_PER_MINUTE = "requests_per_minute"
    REQUESTS_PER_DAY = "requests_per_day"
    RECOVERY_ATTEMPTS = "recovery_attempts"
    RECOVERY_LOSSES = "recovery_losses"
    RECOVERY_CONCURRENT = "recovery_concurrent"
    PROFIT_PROTECTION = "profit_protection"
    CHAIN_RISK_BUDGET = "chain_risk_budget"
    LOSS_TIER_DAY = "loss_tier_day"
    LOSS_TIER_LIFETIME = "loss_tier_lifetime"
    STOP_TOO_NEAR = "stop_too_near"
    # broker_gateway
    MODE = "mode"
    HOLD = "hold"
    GUARD_DOWN = "guard_down"
    UNRECONCILED = "unreconciled"
    SLOT_LOCKED = "slot_locked"
    DIRECTION_LOCKED = "direction_locked"
    FOREIGN_OPPOSITE = "foreign_opposite"
    SHIELD = "shield"
    MAGIC_EXHAUSTED = "magic_exhausted"
    # the last gate
    EXPIRED = "expired"
    EPOCH = "epoch"
    QUOTE_AGE = "quote_age"
    NOT_DURABLE = "not_durable"
    SUPERVISOR_SILENT = "supervisor_silent"
    REQUEST_BUDGET = "request_budget"
    ACCOUNT_MISMATCH = "account_mismatch"
    TERMINAL_DOWN = "terminal_down"
    REPEATED = "repeated"
    # risk_limit, of chains
    RECOVERY_UNRESERVED = "recovery_unreserved"


class SignalRaised(Observation, frozen=True):
    """A strategy sees a reason to enter on the quote in hand. `bar_utc_ms` is the close of the bar it comes from."""

    symbol: str
    spec_id: int
    direction: Direction
    quote: Quote
    bar_utc_ms: int
    spread_median_points: int
    lineage: Lineage


class ReentryRaised(Message, frozen=True):
    """One of us wants the next order of a chain: a signal like any other, with its own distances and volume.

    Answered as a signal is, to whoever hears of orders by `signal.lineage.chain_id`. `volume_steps` is the most that it may
    have; limits may make it less.
    """

    symbol: str
    signal: SignalRaised
    stop_distance_points: int
    target_distance_points: int
    volume_steps: int


class SecondOrder(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Order B beside an order A of the same signal: its risk is a sum of money, so its distance follows from its volume."""

    proposal_id: str
    lineage: Lineage


class EntryProposed(Message, frozen=True):
    """The symbol's slot is free and its own checks pass. Answered by `OpenPosition` or `OrderDenied`.

    `expires_utc_ms` is that of the first try when the broker refused one before; 0: this is the first, or nothing expires.
    `volume_steps` is the most that it may have, 0: what the limits allow. With `second` both are judged together, and each is
    answered apart.
    """

    proposal_id: str
    symbol: str
    spec_id: int
    direction: Direction
    quote: Quote
    stop_distance_points: int
    target_distance_points: int
    spread_median_points: int
    lineage: Lineage
    expires_utc_ms: int = 0
    volume_steps: int = 0
    second: SecondOrder | None = None


class OpenPosition(Message, frozen=True):
    """Open with a reserved worst case. Answered by PositionOpened, OrderDenied, OrderRejected or OrderOutcomeUnknown.

    `reserved_cents` is the worst case at the app stop (stop, slippage allowance, both commissions).
    `catastrophe_distance_points` 0 means: off by name. `expires_utc_ms` 0 means: never (replay). `bound_by` names what
    made the volume what it is. `broker_target_distance_points` is that of a target at the broker, 0 none: it stands in for
    the app, which takes its profit nearer.
    """

    proposal_id: str
    symbol: str
    spec_id: int
    direction: Direction
    quote: Quote
    volume_steps: int
    stop_distance_points: int
    target_distance_points: int
    catastrophe_distance_points: int
    deviation_points: int
    reserved_cents: int
    expires_utc_ms: int
    lineage: Lineage
    bound_by: str = ""
    broker_target_distance_points: int = 0


class OrderDenied(Message, frozen=True):
    """We refused. `measured` against `limit`, both in `unit`; both 0 with unit "" where there is no number."""

    proposal_id: str
    symbol: str
    direction: Direction
    by: str
    reason: DenialReason
    measured: int
    limit: int
    unit: str
    lineage: Lineage
    detail: str = ""
