"""The control checklist C1 to C47 (reliability 3): what each must do, which settings implement it here, what shows that it did.

Data alone. `built` is said of what the code does, not of what the checklist wishes.
"""

from typing import Final, Literal, NamedTuple

from evenkeel.messages.broker_gateway import (
    BrokerAgreed,
    BrokerDisagreed,
    ForeignPositionSeen,
    MoneyAgreed,
    MoneyDisagreed,
)
from evenkeel.messages.entry import DenialReason, OpenPosition, OrderDenied
from evenkeel.messages.market import QuotesStale
from evenkeel.messages.operator import (
    HoldPlaced,
    KillTrading,
    LowerMode,
    ModeChanged,
    PauseTrading,
    RestrictTrading,
    TradingRearmed,
)
from evenkeel.messages.position import PositionClosed
from evenkeel.messages.protection import PositionUnprotected, StopsRefused
from evenkeel.messages.recovery import StopChain
from evenkeel.messages.risk_limit import LimitReached, RecoveryRefused
from evenkeel.messages.storage import BackupTaken, StorageStrained
from evenkeel.messages.system import ChildDown, Message, RunStarted
from evenkeel.messages.trading_calendar import TradingDayStarted

BOUND_BY: Final = "bound by "
"""With which the detail of a volume that is too small begins."""

Built = Literal["built", "partly", "not built"]


class Control(NamedTuple):
    """`settings` are key paths of the configuration; `denials`, `kinds` and `limits` (what a hold, a demanded mode
    or a LimitReached begins with, who says it, or what made a volume what it is) are what counts as evidence.
    `lacks` says what is not there where it is not wholly built."""

    number: int
    name: str
    must: str
    built: Built
    settings: tuple[str, ...] = ()
    denials: tuple[DenialReason, ...] = ()
    kinds: tuple[type[Message], ...] = ()
    limits: tuple[str, ...] = ()
    lacks: str = ""

    @property
    def control_id(self) -> str:
        return f"C{self.number}"

    def is_shown_by(self, message: Message) -> bool:
        match message:
            case OrderDenied(reason=reason, detail=detail):
                return reason in self.denials or detail.removeprefix(BOUND_BY).startswith(self.limits)
            case OpenPosition(bound_by=limit):
                return limit.startswith(self.limits)
            case HoldPlaced(who=who, reason=reason) | LowerMode(by=who, reason=reason):
                return reason.startswith(self.limits) or who in self.limits
            case LimitReached(limit=limit) | RecoveryRefused(limit=limit):
                return limit.startswith(self.limits)
            case _:
                return isinstance(message, self.kinds)


_D: Final = DenialReason

CONTROLS: Final = (
    # pre-trade, per order
    Control(
        *(1, "volume", "no order beyond a volume", "built", ("limits.volume_lots_max",), (_D.VOLUME_BELOW_MINIMUM,)),
        limits=("volume_lots_max",),
    ),
    Control(
        *(2, "value and leverage", "notional at most a multiple of equity", "built"),
        settings=("limits.order_notional_max", "limits.symbol_notional_max", "limits.total_notional_max"),
        limits=("order_notional_max", "symbol_notional_max", "total_notional_max"),
    ),
    Control(
        3,
        "price collar, order",
        "the price near a fresh middle",
        "partly",
        ("limits.slippage_points",),
        lacks="the deviation of an order is bounded; its price is not compared with a second source",
    ),
    Control(
        *(4, "price collar, period", "fills that drift away hold entries", "built"),
        settings=("limits.slippage.multiple_max", "limits.slippage.breaches_max", "limits.slippage.within_minutes"),
        denials=(_D.SLIPPAGE,),
        limits=("slippage",),
    ),
    Control(5, "spread", "no entry at a wide spread", "built", ("entry.spread_multiple_max",), (_D.SPREAD,)),
    Control(
        *(6, "quote age", "no entry on an old quote, by real time since it came", "built"),
        settings=("limits.quote_age_s_max", "limits.quote_age_others_s_max"),
        denials=(_D.QUOTE_AGE,),
        kinds=(QuotesStale,),
    ),
    Control(
        *(7, "session", "no entry round rollover and weekend", "partly"),
        settings=("limits.session.rollover_before_minutes", "limits.session.friday_before_close_minutes"),
        denials=(_D.SESSION,),
        lacks="one clock for all symbols, no table of sessions by symbol",
    ),
    Control(
        *(8, "duplicates", "one order for one reason, one open question a slot", "built"),
        settings=("recovery.duplicate_minutes", "limits.per_symbol_slots", "webhooks.age_s_max"),
        denials=(_D.DUPLICATE, _D.SLOT_LOCKED, _D.REPEATED, _D.SLOT_TAKEN, _D.DIRECTION_LOCKED, _D.CLOSING, _D.CHAIN_WAITS),
    ),
    Control(9, "expiry", "an order that waited is void", "built", ("limits.intent_expiry_s",), (_D.EXPIRED,)),
    Control(
        *(10, "loss of a trade", "bounded at the catastrophe stop", "built"),
        settings=("limits.loss_at_catastrophe_stop_pct", "limits.risk_per_trade_pct"),
        denials=(_D.CATASTROPHE_STOP_NEAR, _D.DAILY_ATR_UNKNOWN, _D.EQUITY_UNKNOWN),
        limits=("loss_at_catastrophe_stop_pct", "risk_per_trade_pct"),
    ),
    Control(
        *(11, "margin", "free margin after the fill, and a margin level", "partly"),
        settings=("limits.free_margin_after_pct", "limits.margin_level.hold_pct", "limits.margin_level.flatten_pct"),
        denials=(_D.MARGIN_LEVEL,),
        limits=("margin_level", "free_margin_after_pct"),
        lacks="the margin of an order comes from leverage; the terminal's own check of the order is not asked",
    ),
    Control(
        *(12, "capability", "nothing that the symbol or the account cannot", "partly"),
        denials=(_D.SPEC_UNKNOWN, _D.STOP_TOO_NEAR),
        lacks="volume, filling, stops level and hedging; trade mode, freeze level and FIFO are left to the broker's refusal",
    ),
    Control(
        13,
        "allow-list",
        "configured symbols alone",
        "partly",
        ("strategy", "webhooks.symbols", "webhooks.strategies"),
        lacks="symbols are listed by strategy; directions cannot be",
    ),
    # aggregate
    Control(
        *(14, "open positions", "by symbol and account, unknown ones included", "built"),
        settings=("limits.positions_max", "limits.per_symbol_slots"),
        denials=(_D.POSITIONS, _D.SLOT_TAKEN),
    ),
    Control(
        *(15, "exposure", "bets that lose together share a budget", "partly"),
        settings=("limits.correlated_risk_pct", "limits.open_risk_pct", "limits.total_notional_max"),
        limits=("correlated_risk_pct", "open_risk_pct"),
        lacks="by correlated symbol and in total, not by currency",
    ),
    Control(
        *(16, "day loss", "no new risk at a share of equity, floating loss included", "partly"),
        settings=("limits.day_loss_pct", "limits.day_loss_soft_pct"),
        denials=(_D.DAY_LOSS,),
        limits=("day_loss",),
        lacks="there is no second level at which everything is closed, and the worst case to the broker's stops is not added",
    ),
    Control(
        *(17, "week loss, drawdown", "steps down from the peak", "built"),
        settings=(
            "limits.week_loss_pct",
            "limits.drawdown.close_only_pct",
            "limits.drawdown.flatten_pct",
            "limits.balance_floor_pct",
        ),
        denials=(_D.WEEK_LOSS, _D.DRAWDOWN, _D.BALANCE_FLOOR),
        limits=("week_loss", "drawdown", "balance_floor"),
    ),
    Control(
        *(18, "day boundary", "midnight where the broker says, not the server's", "built"),
        settings=("trading_calendar.day_boundary", "trading_calendar.zone"),
        kinds=(TradingDayStarted,),
    ),
    Control(
        *(19, "recovery budget", "attempts, losses and risk by chain and day", "built"),
        settings=(
            "limits.recovery_attempts",
            "limits.recovery_losses",
            "limits.recovery_concurrent",
            "limits.chain_risk_budget_r",
        ),
        denials=(
            _D.RECOVERY_ATTEMPTS,
            _D.RECOVERY_LOSSES,
            _D.RECOVERY_CONCURRENT,
            _D.CHAIN_RISK_BUDGET,
            _D.RECOVERY_UNRESERVED,
            _D.PROFIT_PROTECTION,
            _D.LOSS_TIER_DAY,
            _D.LOSS_TIER_LIFETIME,
        ),
        limits=("recovery_", "profit_protection", "chain_risk", "loss_tier"),
    ),
    Control(
        *(20, "repeated execution", "so many entries, then a person", "partly"),
        settings=("limits.trades_per_hour", "limits.trades_per_day", "limits.trades_limit_days_max"),
        denials=(_D.TRADES_PER_HOUR, _D.TRADES_PER_DAY),
        limits=("trades_per_",),
        lacks="a pause until the hour or the day ends; a person is needed only after so many days in a row",
    ),
    Control(
        *(21, "losses and errors in a row", "losses pause, then close only; refusals pause, longer each time", "built"),
        settings=(
            "limits.consecutive_losses.hold_after",
            "limits.consecutive_losses.close_only_after",
            "limits.rejects.in_a_row_max",
        ),
        denials=(_D.CONSECUTIVE_LOSSES, _D.REJECTS),
        limits=("consecutive_losses", "rejects"),
    ),
    Control(
        *(22, "cooldown", "by symbol, from the open or the close", "built"),
        settings=("entry.cooldown_minutes", "entry.cooldown_from"),
        denials=(_D.COOLDOWN,),
    ),
    # rates
    Control(
        *(23, "message rate", "opens and changes a second, a minute, a day", "built"),
        settings=(
            "limits.requests.open_and_modify_per_s",
            "limits.requests.open_and_modify_per_min",
            "limits.requests.open_and_modify_per_day",
        ),
        denials=(_D.REQUESTS_PER_SECOND, _D.REQUESTS_PER_MINUTE, _D.REQUESTS_PER_DAY),
    ),
    Control(
        *(24, "closes have their own budget", "entries never starve exits", "built"),
        settings=("terminal.requests_for_closes_ratio", "terminal.requests_per_minute", "limits.requests.close_per_s"),
        denials=(_D.REQUEST_BUDGET,),
    ),
    # kill, and the person
    Control(25, "kill epoch", "durable, read before each open", "built", denials=(_D.EPOCH,), kinds=(KillTrading,)),
    Control(
        26,
        "granular stop",
        "account, symbol, strategy, chain; freeze, close only, flatten",
        "built",
        denials=(_D.MODE, _D.HOLD),
        kinds=(PauseTrading, RestrictTrading, StopChain),
    ),
    Control(
        *(27, "independent stop", "works when the main process hangs", "built"),
        settings=("watchdog.silent_s", "watchdog.flatten_after_minutes", "terminal.supervisor_silent_s"),
        denials=(_D.SUPERVISOR_SILENT,),
    ),
    Control(
        28,
        "re-arm",
        "a named person, after the broker agrees",
        "partly",
        kinds=(TradingRearmed,),
        lacks="it asks for no reason and no second channel",
    ),
    Control(29, "approvals", "a person's yes to one order", "not built"),
    # monitoring
    Control(
        *(30, "heartbeats", "a part that is silent stops entries", "built"),
        denials=(_D.GUARD_DOWN, _D.TERMINAL_DOWN),
        kinds=(ChildDown,),
        limits=("supervision",),
    ),
    Control(31, "alerts", "outside, within seconds", "not built", lacks="the log, status and the words of the watchdog alone"),
    Control(
        32,
        "unattended",
        "no person for too long: close only",
        "partly",
        ("attendance.absent_hours_max",),
        limits=("attendance",),
        lacks="any command counts; an alert is not acknowledged by itself",
    ),
    Control(
        33,
        "fill quality",
        "realised against expected",
        "built",
        ("limits.slippage.multiple_max",),
        (_D.SLIPPAGE,),
        limits=("slippage",),
    ),
    # post-trade
    Control(
        34,
        "reconciliation",
        "broker against journal, both ways",
        "built",
        ("broker_gateway.reconcile_s", "broker_gateway.reading_gap_s"),
        (_D.UNRECONCILED,),
        (BrokerAgreed, BrokerDisagreed),
    ),
    Control(
        35,
        "foreign activity",
        "never touched, counted, told",
        "built",
        denials=(_D.FOREIGN_OPPOSITE,),
        kinds=(ForeignPositionSeen,),
    ),
    Control(36, "money", "the balance explained to the cent", "built", kinds=(MoneyAgreed, MoneyDisagreed)),
    # resilience
    Control(
        37,
        "start gate",
        "nothing before two equal readings",
        "built",
        ("broker_gateway.reading_gap_s",),
        (_D.UNRECONCILED,),
        (RunStarted, ModeChanged),
    ),
    Control(
        *(38, "stop at the broker", "each position has one, watched by somebody else", "built"),
        settings=("catastrophe_stop.at_broker", "catastrophe_stop.app_stop_multiple", "protection.grace_s"),
        kinds=(PositionUnprotected, StopsRefused),
    ),
    Control(
        39,
        "room on disk",
        "no entry before it runs out, exits always",
        "built",
        ("journal.map_stop_pct", "journal.disk_stop_mb"),
        (_D.NOT_DURABLE,),
        (StorageStrained,),
    ),
    Control(
        40,
        "account identity",
        "the configured account or no order",
        "partly",
        ("terminal.login", "terminal.server", "terminal.real_login"),
        (_D.ACCOUNT_MISMATCH,),
        lacks="login, server, real or not, and hedging; currency and leverage are read, not compared",
    ),
    Control(41, "one writer, one gate", "a lock for a lifetime, one gate at the broker", "built", denials=(_D.REPEATED,)),
    Control(
        42,
        "clock",
        "a jump holds entries",
        "partly",
        limits=("wall_clock", "standstill"),
        lacks="against the machine's own elapsed time; no time server is asked",
    ),
    # change, test, records
    Control(
        43,
        "build identity",
        "a change is no continuation",
        "partly",
        kinds=(RunStarted,),
        lacks="a change starts close only; it is not refused",
    ),
    Control(44, "no reused flags", "an unknown key is refused", "partly", lacks="flags have no owner and no end date"),
    Control(
        *(45, "staged release", "simulated, demo, small, normal", "partly"),
        settings=("terminal.real_login", "limits.volume_lots_max"),
        lacks="`evenkeel promote` asks for the days before; that volumes begin small is up to the person, nothing goes back",
    ),
    Control(
        46,
        "records",
        "a digest chain, copies, checks",
        "partly",
        ("journal.backup_every_h", "journal.backups_daily"),
        kinds=(BackupTaken, PositionClosed),
        lacks="nothing keeps them for years, nothing exports them",
    ),
    Control(
        47,
        "self-assessment",
        "this table, filled at each release",
        "partly",
        lacks="`evenkeel controls` fills it; nobody signs it",
    ),
)


def evidence_of(message: Message) -> tuple[str, ...]:
    """Messages for which this is the same are evidence of the same controls."""
    match message:
        case OrderDenied(reason=reason, detail=detail):
            return "denied", reason.value, detail if detail.startswith(BOUND_BY) else ""
        case OpenPosition(bound_by=limit) | LimitReached(limit=limit) | RecoveryRefused(limit=limit):
            return type(message).__name__, limit
        case HoldPlaced(who=who, reason=reason) | LowerMode(by=who, reason=reason):
            return type(message).__name__, who, reason
        case _:
            return (type(message).__name__,)


EVIDENCE: Final[tuple[type[Message], ...]] = (
    *(OrderDenied, OpenPosition, HoldPlaced, LowerMode, LimitReached, RecoveryRefused),
    *dict.fromkeys(kind for control in CONTROLS for kind in control.kinds),
)
"""Every message that may show that a control did something."""
