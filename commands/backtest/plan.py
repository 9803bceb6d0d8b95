"""What a back-test is asked for: flags and configuration become a plan, the plan's files recorded quotes.

BadInput       a flag cannot be used as it is
TradingOff     the configuration keeps trading off; nothing was run
ResultLost     the result could not be written after all
"""

import tempfile
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from evenkeel.adapters.history import BarFile, Recorded, TickFile
from evenkeel.adapters.os import write_durably
from evenkeel.commands.strategy_flag import BadInput, strategy_of
from evenkeel.config.load import load, packaged
from evenkeel.config.schema import Config, SomeStrategyConfig
from evenkeel.messages.market import SymbolSpec
from evenkeel.rules.symbols import spec_for, typical_price

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class TradingOff(Exception):
    """A person turns trading on in the configuration."""


class ResultLost(Exception):
    """One line that names the file."""


class Input(NamedTuple):
    """A file of `kind` "ticks" or "bars"."""

    kind: str
    path: Path


class Plan(NamedTuple):
    """What is replayed, on which terms: of each symbol the quotes with from_utc_ms <= time < to_utc_ms. One strategy runs."""

    config: Config
    specs: Mapping[str, SymbolSpec]
    from_utc_ms: int | None
    to_utc_ms: int | None

    @property
    def strategy(self) -> tuple[str, SomeStrategyConfig]:
        """Its name and its configuration."""
        [(name, config)] = self.config.strategy.items()
        return name, config


def plan_of(
    *,
    config_path: Path | None,
    flags: Sequence[str] = (),
    symbols: Sequence[str],
    strategy: str,
    digits: int | None = None,
    from_time: str | None = None,
    to_time: str | None = None,
    needs_trading: bool = True,
) -> Plan:
    """Raises ConfigInvalid, UnknownSymbol, BadInput or, if it `needs_trading`, TradingOff.

    `config_path` None: the plain.toml that is shipped. `flags` are settings over it, as "exit.time_stop_minutes=60".
    """
    path = config_path or packaged("plain.toml")
    config = load(path, flags=flags)
    if needs_trading and not config.trading.enabled:
        raise TradingOff(f"{path}: trading is off in the configuration: [trading] enabled = true")
    for symbol in symbols:
        if symbols.count(symbol) > 1:
            raise BadInput(f"--symbol {symbol}: is given {symbols.count(symbol)} times")
    specs = {symbol: spec_for(symbol, config, digits=digits) for symbol in symbols}
    name, chosen = strategy_of(strategy, tuple(specs), path, flags)
    return Plan(
        msgspec.structs.replace(config, strategy={name: chosen}),
        specs,
        None if from_time is None else _utc_ms("--from", from_time),
        None if to_time is None else _utc_ms("--to", to_time),
    )


def recorded(plan: Plan, inputs: Sequence[Input]) -> list[Recorded]:
    """The files in the order of the plan's symbols. Nothing is read yet; raises BadInput when their numbers differ."""
    if len(inputs) != len(plan.specs):
        raise BadInput(
            f"--symbol {', '.join(plan.specs)}: {len(plan.specs)} for {len(inputs)} files; each --ticks or --bars needs its own"
        )
    return [_file(plan, given, spec) for given, spec in zip(inputs, plan.specs.values(), strict=True)]


def require_writable(flag: str, out: Path, inputs: Sequence[Input] = ()) -> None:
    """Raises BadInput when `out` could not be written at the end; leaves it as it is."""
    if out.exists() and not out.is_file():
        raise BadInput(f"{flag} {out}: is not a file")
    for given in inputs:
        if out.exists() and given.path.exists() and out.samefile(given.path):
            raise BadInput(f"{flag} {out}: is the file of the {given.kind}")
    try:
        with tempfile.TemporaryFile(dir=out.parent):
            pass
    except OSError as error:
        raise BadInput(f"{flag} {out}: cannot be written: {error.strerror}") from error


def write(flag: str, out: Path, data: bytes) -> None:
    """Replace `out` as a whole; raises ResultLost, and then it is as before."""
    try:
        write_durably(out, data)
    except OSError as error:
        raise ResultLost(f"{flag} {out}: could not be written: {error.strerror}") from error


def _file(plan: Plan, given: Input, spec: SymbolSpec) -> Recorded:
    kind = BarFile if given.kind == "bars" else TickFile
    typical = typical_price(spec.symbol, plan.config)
    return kind(given.path, spec.symbol, spec, typical, from_utc_ms=plan.from_utc_ms, to_utc_ms=plan.to_utc_ms)


def _utc_ms(flag: str, text: str) -> int:
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        raise BadInput(f"{flag} {text!r}: is not a date or date-time like 2014-05-01 or 2014-05-01T13:30") from None
    if time.tzinfo is None:
        time = time.replace(tzinfo=UTC)
    return (time - _EPOCH) // timedelta(milliseconds=1)
