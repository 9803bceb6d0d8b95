"""`evenkeel check-strategy`: does a strategy answer from the past alone, and the same in a back-test as in a live run?"""

import argparse
import sys
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Final

import msgspec

from evenkeel.commands import exit_codes
from evenkeel.commands.flags import whole
from evenkeel.commands.inputs import add_inputs

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from evenkeel.commands.backtest.plan import Plan
    from evenkeel.config.schema import Config
    from evenkeel.messages.market import SymbolSpec
    from evenkeel.rules.bar_columns import Bars
    from evenkeel.rules.strategy_check import Difference

SAMPLES: Final = 500
SAMPLES_MAX: Final = 1_000_000
SYNTHETIC_BARS: Final = 3_000
SYNTHETIC_SAMPLES: Final = 100
SYNTHETIC_SEED: Final = 1
EXPLANATION: Final = """\
A strategy's answer at a bar is defined as what a new one answers after exactly the last window_bars bars. All bars at which
it says something (the first 2,000) and --samples others are asked again with only the past:
  looks ahead         signals() of the bars so far answers otherwise than signals() of all bars
  window too short    a new strategy that hears the last window_bars bars answers otherwise
  forms differ        on_bar(), bar by bar, answers otherwise than signals(); every bar is compared
The first bar that differs is named.

exit status: 0 nothing differs, 1 something does or the strategy is broken, 2 bad input, 6 configuration invalid
"""


class CheckedSymbol(msgspec.Struct, frozen=True):
    """`bars` is None of a strategy that looks at quotes alone; `difference` None where nothing differs."""

    symbol: str
    timeframe: str
    bars: int | None = None
    signals: int = 0
    window_bars: int = 0
    difference: str | None = None


class CheckReport(msgspec.Struct, frozen=True):
    """What `--json` prints."""

    symbols: tuple[CheckedSymbol, ...]
    v: int = 1


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = EXPLANATION
    add_inputs(parser)
    parser.add_argument("--samples", type=_samples, default=SAMPLES, metavar="N", help="bars asked again (%(default)s)")
    parser.add_argument("--seed", type=whole(0, 2**63 - 1), default=1, metavar="N", help="which bars those are (%(default)s)")
    parser.add_argument("--json", action="store_true", help="one JSON object on standard output")


def run(arguments: argparse.Namespace) -> int:
    """The flags of `add_arguments`; what was found goes to stdout, what went wrong in one line to stderr."""
    from evenkeel.commands.backtest import statuses
    from evenkeel.commands.backtest.plan import Input, plan_of, recorded
    from evenkeel.commands.backtest.replay import prepared

    known = statuses()
    checked: list[CheckedSymbol] = []
    try:
        plan = plan_of(
            config_path=arguments.config,
            flags=arguments.flags,
            symbols=arguments.symbols,
            strategy=arguments.strategy,
            digits=arguments.digits,
            from_time=arguments.from_time,
            to_time=arguments.to_time,
            needs_trading=False,
        )
        minutes = prepared(plan, recorded(plan, [Input(*given) for given in arguments.inputs or []])).minutes
        for symbol, bars in minutes.items():
            checked.append(_checked(plan, symbol, bars, arguments.samples, arguments.seed))
            if not arguments.json:
                print("\n".join(_lines(checked[-1])))
    except tuple(known) as error:
        print(error, file=sys.stderr)
        return known[type(error)]
    if arguments.json:
        print(msgspec.json.encode(CheckReport(tuple(checked))).decode())
    return exit_codes.OK if all(one.difference is None for one in checked) else exit_codes.FAILED


def _checked(plan: "Plan", symbol: str, minutes: "Bars", samples: int, seed: int) -> CheckedSymbol:
    from evenkeel.adapters.strategy.making import make_strategy
    from evenkeel.rules.bar_columns import longer
    from evenkeel.rules.strategy import BarStrategy, foreseen
    from evenkeel.rules.strategy_check import first_difference

    _, config = plan.strategy
    spec = plan.specs[symbol]
    strategy = make_strategy(config, spec)
    if not isinstance(strategy, BarStrategy):
        return CheckedSymbol(symbol, config.timeframe)
    bars = longer(minutes, config.timeframe)
    bars = bars.cut(0, max(0, bars.size - 1))

    def make() -> BarStrategy:
        made = make_strategy(config, spec)
        assert isinstance(made, BarStrategy), "the same class as before"
        return made

    difference = first_difference(
        make, bars, samples=samples, seed=seed
    )  # before any other life could leave traces in its class
    speaking = int((foreseen(strategy, bars) != 0).sum())
    words = None if difference is None else told(difference)
    return CheckedSymbol(symbol, config.timeframe, bars.size, speaking, strategy.window_bars, words)


def _lines(checked: CheckedSymbol) -> list[str]:
    symbol = checked.symbol
    if checked.bars is None:
        return [f"{symbol}: it looks at quotes alone, in one form: there is nothing to compare"]
    looked_at = f"{checked.bars:,} bars of {checked.timeframe}, {checked.signals:,} signals, window_bars {checked.window_bars}"
    return [f"{symbol}: {looked_at}", f"{symbol}: {checked.difference or 'nothing differs'}"]


def unfit(config: "Config", specs: "Mapping[str, SymbolSpec]", forced: "Collection[str]") -> list[str]:
    """The user's own strategies that must not run live, a line each; those named in `forced` may. Raises StrategyUnusable,
    StrategyBroken.

    They are tried on seeded synthetic bars. Those that come with evenkeel are proven by its own tests.
    """
    from evenkeel.config.schema import PythonConfig

    own = {name: one for name, one in config.strategy.items() if isinstance(one, PythonConfig) and name not in forced}
    if not own:
        return []
    from evenkeel.adapters.strategy.making import make_strategy
    from evenkeel.rules.strategy import BarStrategy
    from evenkeel.rules.strategy_check import first_difference, synthetic_bars

    lines = []
    bars = synthetic_bars(SYNTHETIC_SEED, SYNTHETIC_BARS)
    for name, strategy in own.items():
        spec = next((specs[symbol] for symbol in strategy.symbols if symbol in specs), None)
        if spec is None:
            continue
        make = partial(make_strategy, strategy, spec)
        difference = None
        if isinstance(make(), BarStrategy):
            difference = first_difference(make, bars, samples=SYNTHETIC_SAMPLES, seed=SYNTHETIC_SEED)  # type: ignore[arg-type]
        if difference is not None:
            where = f"on seeded synthetic bars, {told(difference)}"
            lines.append(f"strategy {name}: refused: {where}; see evenkeel check-strategy, or --force-strategy {name}")
    return lines


def told(difference: "Difference") -> str:
    """In words, on one line."""
    opened = datetime.fromtimestamp(difference.open_utc_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S")
    answers = f"expected {difference.expected}, found {difference.found}"
    return f"bar {difference.number}, opened {opened} UTC: {difference.fault.value}; {answers}"


def _samples(text: str) -> int:
    if not text.isdecimal() or int(text) > SAMPLES_MAX:
        raise argparse.ArgumentTypeError(f"{text!r}: not a number of bars from 0 to {SAMPLES_MAX}")
    return int(text)
