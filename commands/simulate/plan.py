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
    symbols = list(plan.symbols)
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
        "strategy": {"cross": {"kind": "ma_cross", "symbols": symbols, "fast": 2, "slow": 3}},
    }
    return load(None, overrides=wanted)
