"""Re-entry chains, dual orders, profit booking and shields: every knob, with trading_rules 7.1 and 7.2 as its source.

None of it does anything while no strategy asks for more than single orders (`orders` of its table).
"""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from evenkeel.config.units import Minutes, MoneyDecimal, Multiple, Name, Off, Pct, Pips, Ratio, Table

Orders = Literal["single", "trend", "pyramid", "dual"]
"""What a signal opens: one plain order; order A with its re-entry chain; order B with its profit-booking chain; both."""
ChainType = Literal["v3", "v6"]
"""The declared type of a strategy's chain store, which says how many levels its chains may have."""
Logic = Literal["off", "logic1", "logic2", "logic3"]
Switch = Literal["on", "off"]
Levels = Annotated[int, Meta(ge=1, le=16)]
ShieldBars = Annotated[int, Meta(ge=2, le=10)]
"""Of a run or of the swing before it: together no more than the 20 bars that are kept."""
WaitSeconds = Annotated[float, Meta(ge=0, le=86_400)]
Attempts = Annotated[int, Meta(ge=1, le=3)]


class SlHuntConfig(Table, frozen=True):
    """Recovery of a stopped trade: re-entry once price has come back `level_ratio` of the trade's own gap, with a tight stop.

    `window_minutes_by_symbol` goes before the built-in table (trading_rules 1.6), and that before `window_minutes`.
    """

    enabled: bool = True
    level_ratio: Ratio = 0.70
    window_minutes: Minutes = 30.0
    window_minutes_by_symbol: dict[Name, Minutes] = msgspec.field(default_factory=dict)
    wait_s: WaitSeconds = 0.0
    stop_ratio: Annotated[float, Meta(gt=0, le=1)] = 0.5
    attempts_max: Attempts = 1
    resume: bool = True
    atr_ratio_min: Ratio | Off = 0.5
    atr_ratio_max: Multiple | Off = 2.0
    spread_multiple_max: Multiple | Off = 3.0


class TpContinuationConfig(Table, frozen=True):
    """Another order in the same direction after a target, one level up, while the trend holds."""

    enabled: bool = True
    window_minutes: Minutes = 30.0
    gap_pips: Annotated[float, Meta(ge=0, le=100_000)] = 2.0
    wait_s: WaitSeconds = 5.0


class ExitContinuationConfig(Table, frozen=True):
    """Back into a trade that a person or a reversal ended, when price goes on in its direction after all."""

    enabled: bool = False
    window_minutes: Minutes = 15.0
    reversion_pips: Annotated[float, Meta(ge=0, le=100_000)] = 2.0
    after: tuple[Literal["manual", "reversal"], ...] = ("manual", "reversal")
    attempts_max: Attempts = 1


class RecoveryConfig(Table, frozen=True):
    """Re-entry chains of order A. `wait_s` lies between two re-entries of a chain at least.

    `profit_protection` is the mode table of trading_rules 1.10.3; for the account see limits.profit_protection.
    """

    levels_max_v3: Levels = 5
    levels_max_v6: Levels = 3
    rr_ratio: Multiple = 2.0
    stop_reduction: Literal["adaptive", "aggressive", "balanced", "conservative"] = "balanced"
    stop_pips_min: Pips = 10.0
    wait_s: WaitSeconds = 60.0
    duplicate_minutes: Minutes = 5.0
    reversal_exit: Switch = "on"
    reversal_grace_minutes: Minutes = 5.0
    trailing_start_ratio: Multiple | Off = 0.5
    trailing_step_ratio: Multiple = 0.25
    profit_protection: Literal["off", "aggressive", "balanced", "conservative", "very_conservative"] = "balanced"
    protect_a: bool = True
    protect_b: bool = True
    sl_hunt: SlHuntConfig = SlHuntConfig()
    tp_continuation: TpContinuationConfig = TpContinuationConfig()
    exit_continuation: ExitContinuationConfig = ExitContinuationConfig()


class DualOrdersConfig(Table, frozen=True):
    """Orders A and B of one signal. "split": A gets `split_ratio` of the approved volume, B the rest; "same": each gets it."""

    lot_mode: Literal["split", "same"] = "split"
    split_ratio: Annotated[float, Meta(gt=0, lt=1)] = 0.5


class ProfitHuntConfig(Table, frozen=True):
    """Recovery of a stopped order B."""

    enabled: bool = True
    level_ratio: Ratio = 0.70
    window_minutes: Minutes = 20.0
    stop_ratio: Annotated[float, Meta(gt=0, le=1)] = 0.5
    attempts_max: Attempts = 1
    stop_chain_on_fail: bool = True


class ProfitBookingConfig(Table, frozen=True):
    """The pyramid of order B: level n opens `multipliers[n]` orders, each closed at `min_profit` net (account currency).

    `stop_system` "sl_2_1" risks `fixed_stop` an order, "sl_1_1" the sum that belongs to the strategy's logic.
    """

    min_profit: MoneyDecimal = 7.0
    min_profit_by_level: tuple[MoneyDecimal, ...] = ()
    multipliers: tuple[Annotated[int, Meta(ge=1, le=32)], ...] = (1, 2, 4, 8, 16)
    levels_enabled: tuple[Annotated[int, Meta(ge=0, le=15)], ...] = (0, 1, 2)
    stop_system: Literal["sl_2_1", "sl_1_1"] = "sl_2_1"
    fixed_stop: MoneyDecimal = 10.0
    stop_reductions_pct: tuple[Annotated[float, Meta(ge=0, lt=100)], ...] = (0.0, 0.0, 0.0, 0.0, 0.0)
    allow_partial: bool = False
    partial_ratio: Ratio = 0.75
    broker_target_multiple: Multiple | Off = 3.0
    sl_hunt: ProfitHuntConfig = ProfitHuntConfig()


class HedgeShieldConfig(Table, frozen=True):
    """Two opposite orders after a stop, until price has come back (trading_rules 1.12 B); hedging accounts alone.

    Amounts are in the account's currency.
    """

    enabled: bool = False
    volume_ratio: Annotated[float, Meta(gt=0, le=1)] = 0.5
    target_ratio: Multiple = 1.0
    sets_max: Annotated[int, Meta(ge=1, le=16)] = 3
    day_loss_buffer: MoneyDecimal = 50.0
    free_margin_pct_min: Pct = 20.0
    balance_min: MoneyDecimal = 100.0


class ShieldConfig(Table, frozen=True):
    """The block shield: closes and blocks a direction of a symbol after a strong move against it (trading_rules 1.12 A)."""

    enabled: bool = True
    risk_multiple: Multiple = 2.0
    gap_ratio: Multiple = 0.5
    bars: ShieldBars = 3
    atr_multiple: Multiple = 1.5
    swing_bars: ShieldBars = 10
    block_minutes: Minutes = 60.0
    lookback_minutes: Minutes = 60.0
    hedge: HedgeShieldConfig = HedgeShieldConfig()
