"""`evenkeel config check`: is this configuration fit to run?"""

import argparse
import sys
from collections.abc import Callable

import msgspec

from evenkeel.commands.configured import configured
from evenkeel.commands.exit_codes import CONFIG_INVALID, OK
from evenkeel.config.load import ConfigInvalid, Problem, identity
from evenkeel.config.schema import Config
from evenkeel.rules.lineage import has_chains, opens_pyramids
from evenkeel.rules.notifier import GRAVE_EVENTS, how
from evenkeel.rules.pyramid_odds import WIN_RATE_SHOWN, LevelOdds, PyramidOdds, pyramid_odds


class Report(msgspec.Struct, frozen=True):
    """What `--json` prints. `identity` is the resolved configuration's; empty, like `profile`, when there are problems.

    `pyramids` has the odds of each strategy that opens some; it is left out where none does.
    """

    valid: bool
    profile: str = ""
    identity: str = ""
    problems: tuple[Problem, ...] = ()
    pyramids: dict[str, PyramidOdds] | msgspec.UnsetType = msgspec.UNSET
    v: int = 1


def run(arguments: argparse.Namespace) -> int:
    """Check what `arguments` name (see `add_config_flags`); the answer goes to stdout, problems to stderr.

    With `arguments.json` one Report goes to stdout and nothing to stderr. Returns 0, or 6 when the configuration is invalid.
    """
    try:
        config = configured(arguments)
    except ConfigInvalid as invalid:
        if arguments.json:
            _print_json(Report(valid=False, problems=invalid.problems))
        else:
            print(invalid, file=sys.stderr)
        return CONFIG_INVALID
    odds = _odds(config)
    if arguments.json:
        told = odds or msgspec.UNSET
        _print_json(Report(valid=True, profile=config.profile, identity=identity(config), pyramids=told))
    else:
        arithmetic = [line for name in odds for line in _arithmetic(name, odds[name], config)]
        print("\n".join([_summary(config), *_told_outside(config), *_hedge(config), *arithmetic]))
    return OK


def _print_json(report: Report) -> None:
    print(msgspec.json.encode(report).decode())


def _summary(config: Config) -> str:
    trading = "on" if config.trading.enabled else "off"
    strategies = " ".join(config.strategy) or "none"
    return (
        f"ok: profile {config.profile}, account {config.account.name}, trading {trading}, strategies {strategies}, "
        f"identity {identity(config)[:12]}, told outside: {' '.join(config.notifier.outlet) or 'nobody'}"
    )


def _told_outside(config: Config) -> list[str]:
    """What of the gravest is switched off, where somebody is told at all."""
    off = [event.value for event in GRAVE_EVENTS if how(config.notifier, event) == "off"]
    if not config.notifier.outlet or not off:
        return []
    return [f"notifier.events: although they may be grave, nobody is told of {', '.join(off)}"]


def _hedge(config: Config) -> list[str]:
    """What a hedge takes, where some strategy has chains that would be hedged."""
    if not (has_chains(config) and config.shield.hedge.enabled):
        return []
    return [
        "shield.hedge: on hedging accounts alone; on a netting one no order is sent at all (evenkeel doctor says which it is)"
    ]


def _odds(config: Config) -> dict[str, PyramidOdds]:
    """By the strategies whose signals open an order B."""
    booking, digits = config.profit_booking, config.account.currency_digits
    return {
        name: pyramid_odds(booking, config.strategy[name].logic, digits)
        for name in config.strategy
        if opens_pyramids(config, name)
    }


def _arithmetic(name: str, odds: PyramidOdds, config: Config) -> list[str]:
    """The owner's arithmetic: what a pyramid of that strategy may bring and cost."""
    digits, currency = config.account.currency_digits, config.account.currency

    def money(cents: int) -> str:
        return f"{cents / 10**digits:.{digits}f}"

    first, last = odds.levels[0], odds.levels[-1]
    head = f"pyramid of {name}: an order is booked at {money(first.target_cents)} {currency} net and stopped at"
    rates = f"it pays from {_percent(first.break_even_ratio)} of won orders on, before costs"
    columns = ("level", "orders", "all won", "all stopped", "and recoveries", f"all won at {_percent(WIN_RATE_SHOWN)}")
    total = f"levels 0 to {odds.level_max}: {odds.orders} orders, {money(odds.target_cents)} when all win"
    lost = f"winning what is before level {last.level} earns {money(last.before_cents)}, losing that level once costs"
    return [
        f"{head} {money(first.stop_cents)}; {rates}",
        _row(*columns),
        *(_level_row(level, money) for level in odds.levels),
        f"{total}; the chain ends {money(odds.worst_cents)} down at worst",
        f"{lost} {money(last.stop_cents)}",
    ]


def _level_row(level: LevelOdds, money: Callable[[int], str]) -> str:
    return _row(
        f"{level.level}" if level.is_enabled else f"{level.level} off",
        str(level.orders),
        money(level.target_cents),
        money(level.stop_cents),
        money(level.worst_cents),
        _percent(level.sweep_ratio),
    )


def _row(*cells: str) -> str:
    return "  ".join(cell.rjust(width) for cell, width in zip(cells, (5, 6, 9, 11, 14, 14), strict=True))


def _percent(ratio: float) -> str:
    """Three figures tell it: 58.8 %, 0.332 %."""
    return f"{100 * ratio:.3g} %"
