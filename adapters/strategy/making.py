"""A configured strategy becomes one that runs: those that come with evenkeel by name, a user's own by where it lies.

StrategyUnusable   it cannot be found or made: one line that names it
"""

import importlib
import sys
from pathlib import Path
from typing import Final, assert_never

from evenkeel.config.schema import BreakoutConfig, MaCrossConfig, PythonConfig, RsiConfig, SomeStrategyConfig
from evenkeel.messages.market import SymbolSpec
from evenkeel.rules.breakout import Breakout
from evenkeel.rules.ma_cross import MaCross
from evenkeel.rules.rsi import Rsi
from evenkeel.rules.sizing import ppm_of_pct
from evenkeel.rules.strategy import BarStrategy, Strategy, TickStrategy

WINDOW_BARS_MAX: Final = 100_000


class StrategyUnusable(Exception):
    """One line for the person who configured it."""


def make_strategy(config: SomeStrategyConfig, spec: SymbolSpec) -> Strategy:
    """A new one, for one symbol. Raises StrategyUnusable."""
    match config:
        case MaCrossConfig():
            return MaCross(config.fast, config.slow)
        case RsiConfig():
            return Rsi(config.period, low_ppm=ppm_of_pct(config.low), high_ppm=ppm_of_pct(config.high))
        case BreakoutConfig():
            return Breakout(config.lookback)
        case PythonConfig():
            return _made(config, spec)
        case _:
            assert_never(config)


def _made(config: PythonConfig, spec: SymbolSpec) -> Strategy:
    """`object` is imported as Python imports anything, from the folder of the command too."""
    module_name, _, name = config.object.rpartition(".")
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.append(here)
    try:
        made = getattr(importlib.import_module(module_name), name)(spec, **config.parameters)
    except Exception as error:
        raise StrategyUnusable(f"strategy {config.object}: {type(error).__name__}: {error}") from error
    if not isinstance(made, BarStrategy | TickStrategy):
        raise StrategyUnusable(f"strategy {config.object}: has neither on_tick nor on_bar with window_bars")
    if isinstance(made, BarStrategy) and not (isinstance(made.window_bars, int) and 1 <= made.window_bars <= WINDOW_BARS_MAX):
        raise StrategyUnusable(f"strategy {config.object}: window_bars {made.window_bars!r} is not 1 to {WINDOW_BARS_MAX}")
    return made
