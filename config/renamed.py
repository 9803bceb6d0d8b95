"""What a file of an older version may say that is said otherwise now: a line for the person who brings the file along."""

from collections.abc import Mapping
from typing import Final

NOW: Final[Mapping[tuple[str, ...], str]] = {
    ("circuit_breaker", "spread_ratio"): "since 0.5.0 a number for each level, as [3.0, 5.0, 10.0]",
    ("circuit_breaker", "atr_ratio"): "since 0.5.0 a number for each level and of M15 bars, as [2.0, 3.0, 5.0, 8.0]",
    ("circuit_breaker", "hold_minutes"): "since 0.5.0 it is quiet_minutes, until a level is left downwards",
    ("circuit_breaker", "baseline_bars"): "since 0.5.0 it is baseline_days, in days instead of bars",
}
