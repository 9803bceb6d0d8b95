"""What makes a world, and what came of it."""

from random import Random
from typing import Final, NamedTuple

from evenkeel.commands.simulate.witness import Break
from evenkeel.config.load import load
from evenkeel.config.schema import Config

SYMBOLS: Final = ("EURUSD", "GBPUSD", "USDJPY", "AUDUSD")


class Plan(NamedTuple):
    """What makes a world. `fault_factor` 0: nothing goes wrong. `is_control`: with the naive gateway, and replies lost
    until that has doubled an order. `crash_at_commit` and `crash_at_call` count from 1; 0 is none."""

    seed: int
    hours: float
    symbols: tuple[str, ...] = SYMBOLS
    quote_every_ms: int = 5_000
    fault_factor: float = 1.0
    is_control: bool = False
    crash_at_commit: int = 0
    crash_at_call: int = 0


class Outcome(NamedTuple):
    """`breaks` is empty where every promise was kept; `digest` is the chain over all that was committed."""

    plan: Plan
    digest: str
    breaks: tuple[Break, ...]
    broken: dict[str, int]
    checked: dict[str, int]
    faults: dict[str, int]
    counts: dict[str, int]


def config_for(plan: Plan) -> Config:
    """The personal profile with quick trades on minute bars; some of its limits are drawn, so that they are reached."""
    random = Random(f"{plan.seed}-limits")
    orders, chains = _chains(plan)
    strategy = {"kind": "ma_cross", "symbols": list(plan.symbols), "fast": 2, "slow": 3, "orders": orders}
    wanted: dict[str, object] = {
        "profile": "personal",
        "trading.enabled": True,
        "entry.stop_pips": random.choice([4.0, 6.0, 10.0]),
        "entry.target_pips": random.choice([6.0, 10.0, 20.0]),
        "entry.cooldown_minutes": random.choice([0.0, 0.0, 3.0, 15.0]),
        "exit.time_stop_minutes": random.choice([20.0, 60.0, 2160.0]),
        "limits.positions_max": random.choice([2, 3, 4, 5]),
        "limits.trades_per_hour": random.choice(["off", "off", 20]),
        "limits.trades_per_day": random.choice(["off", "off", 150]),
        "limits.trades_limit_days_max": "off",
        "limits.session.rollover_before_minutes": "off",
        "limits.session.rollover_after_minutes": "off",
        "limits.session.friday_before_close_minutes": "off",
        "limits.session.sunday_after_open_minutes": "off",
        "limits.consecutive_losses.hold_after": random.choice(["off", "off", 4]),
        "limits.consecutive_losses.close_only_after": random.choice(["off", 20]),
        "limits.rejects.in_a_row_max": random.choice(["off", 5]),
        "limits.slippage.multiple_max": random.choice(["off", 3.0]),
        "limits.day_loss_pct": random.choice(["off", 3.0, 6.0]),
        "limits.day_loss_soft_pct": random.choice(["off", 2.0]),
        "limits.week_loss_pct": "off",
        "circuit_breaker.sample_s": max(60.0, plan.quote_every_ms / 1000),
        "broker_gateway.late_fill": random.choice(["close", "close", "keep"]),
        "strategy": {"cross": strategy},
        **chains,
        **_notifier(plan),
    }
    return load(None, overrides=wanted)


def _notifier(plan: Plan) -> dict[str, object]:
    """Half of the worlds have somebody outside who is told."""
    if Random(f"{plan.seed}-notifier").random() < 0.5:
        return {}
    return {"notifier.outlet": {"outside": {"kind": "program", "command": ["the world's own"]}}}


def _chains(plan: Plan) -> tuple[str, dict[str, object]]:
    """What a signal opens there, and what becomes of it: half of the worlds have chains, with waits that a day can hold."""
    random = Random(f"{plan.seed}-chains")
    orders = random.choice(["single", "single", "trend", "dual"])
    return orders, {} if orders == "single" else {
        "recovery.wait_s": random.choice([5.0, 60.0]),
        "recovery.trailing_start_ratio": random.choice(["off", 0.5]),
        "recovery.reversal_exit": random.choice(["on", "off"]),
        "recovery.sl_hunt.level_ratio": random.choice([0.3, 0.7]),
        "recovery.sl_hunt.atr_ratio_min": "off",
        "recovery.sl_hunt.atr_ratio_max": "off",
        "recovery.stop_pips_min": 2.0,
        "recovery.exit_continuation.enabled": random.choice([True, False]),
        "profit_booking.min_profit": 2.0,
        "entry.volume_lots": random.choice([0.06, 0.1]),
        "entry.stop_pips": random.choice([8.0, 15.0]),
        "shield.gap_ratio": random.choice([0.5, 3.0]),
        "profit_booking.allow_partial": random.choice([True, False]),
        "shield.enabled": random.choice([True, True, False]),
        "shield.hedge.enabled": random.choice([True, False, False]),
        "limits.loss_tiers.applies_to": random.choice(["off", "chains"]),
        "limits.positions_max": random.choice([5, 8]),
    }
