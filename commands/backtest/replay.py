"""A back-test put together: flags and configuration become a plan, the plan and the ticks become trades.

BadInput       a flag cannot be used as it is
TradingOff     the configuration keeps trading off; nothing was run
ChildCrashed   a fault in evenkeel; what was found so far is worth nothing
ResultLost     the result could not be written after all
"""

import difflib
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import repeat
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from evenkeel.adapters.build import build_id
from evenkeel.adapters.gate import Gate
from evenkeel.adapters.history import Ticks, read_ticks
from evenkeel.adapters.os import write_durably
from evenkeel.adapters.quote_board import QuoteBoard
from evenkeel.adapters.replay import RecordedQuote, Replay
from evenkeel.adapters.simulated.terminal import SimulatedTerminal
from evenkeel.commands.backtest.report import HeardTrades, TradeListener
from evenkeel.config.load import ConfigInvalid, identity, load, packaged
from evenkeel.config.schema import Config, MaCrossConfig, Timeframe
from evenkeel.messages.market import SymbolSpec
from evenkeel.messages.operator import StartTrading
from evenkeel.messages.system import RunStarted
from evenkeel.rules.symbols import profit_rule, spec_for, typical_price
from evenkeel.runtime.clock import ManualClock, monotonic_s
from evenkeel.runtime.journal import DigestJournal
from evenkeel.runtime.stepped import ChildExhausted
from evenkeel.supervisor import World, stepped_run

NAME: Final = "backtest"
STRATEGIES: Final = {"ma_cross": MaCrossConfig}
QUOTES_AT_ONCE: Final = 50_000
"""So many at a time become Python numbers, which take ten times the room that they take in the arrays."""

_INSTALLATION: Final = 1
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class BadInput(Exception):
    """One line that names the flag and its value."""


class TradingOff(Exception):
    """A person turns trading on in the configuration."""


class ChildCrashed(Exception):
    """One line a crash."""


class ResultLost(Exception):
    """One line that names the file."""


class Plan(NamedTuple):
    """What is replayed, on which terms; the ticks are those with from_utc_ms <= time < to_utc_ms."""

    config: Config
    spec: SymbolSpec
    timeframe: Timeframe
    from_utc_ms: int | None
    to_utc_ms: int | None


class Replayed(NamedTuple):
    heard: HeardTrades
    bars: int
    run_s: float
    journal_sha256: str


def plan_of(
    *,
    config_path: Path | None,
    symbol: str,
    strategy: str,
    digits: int | None = None,
    from_time: str | None = None,
    to_time: str | None = None,
) -> Plan:
    """Raises ConfigInvalid, UnknownSymbol, BadInput or TradingOff. `config_path` None: the plain.toml that is shipped."""
    path = config_path or packaged("plain.toml")
    config = load(path)
    if not config.trading.enabled:
        raise TradingOff(f"{path}: trading is off in the configuration: [trading] enabled = true")
    spec = spec_for(symbol, config, digits=digits)
    name, chosen = _strategy(strategy, symbol, path)
    return Plan(
        msgspec.structs.replace(config, strategy={name: chosen}),
        spec,
        chosen.timeframe,
        None if from_time is None else _utc_ms("--from", from_time),
        None if to_time is None else _utc_ms("--to", to_time),
    )


def ticks_of(plan: Plan, path: Path) -> Ticks:
    """Raises HistoryUnreadable."""
    typical = typical_price(plan.spec.symbol, plan.config)
    return read_ticks(path, plan.spec.symbol, plan.spec, typical, from_utc_ms=plan.from_utc_ms, to_utc_ms=plan.to_utc_ms)


def require_writable(out: Path, ticks_path: Path) -> None:
    """Raises BadInput when `out` could not be written at the end; leaves it as it is."""
    if out.exists() and not out.is_file():
        raise BadInput(f"--json {out}: is not a file")
    if out.exists() and ticks_path.exists() and out.samefile(ticks_path):
        raise BadInput(f"--json {out}: is the file of the ticks")
    try:
        with tempfile.TemporaryFile(dir=out.parent):
            pass
    except OSError as error:
        raise BadInput(f"--json {out}: cannot be written: {error.strerror}") from error


def write(out: Path, data: bytes) -> None:
    """Replace `out` as a whole; raises ResultLost, and then it is as before."""
    try:
        write_durably(out, data)
    except OSError as error:
        raise ResultLost(f"--json {out}: could not be written: {error.strerror}") from error


def replayed(plan: Plan, ticks: Ticks, on_progress: Callable[[float], None] = lambda ratio: None) -> Replayed:
    """Serve every quote; nothing is closed at the end. `on_progress` hears the share that is done, 1.0 at the end.

    Raises ChildCrashed: a crash is mended as in a live run, but a back-test has no right to one.
    """
    clock = ManualClock(int(ticks.time_utc_ms[0]))
    terminal = _terminal(plan)
    world = World(plan.config, {plan.spec.symbol: plan.spec}, terminal, clock, QuoteBoard(), Gate(), terminal.ticks, lambda: 0)
    journal = DigestJournal()
    try:
        host = stepped_run(world, clock, _started(plan, ticks), journal, {"reporter": TradeListener})
        host.say(NAME, [StartTrading(NAME, NAME)])
        replay = Replay(host, terminal)
        began_s = monotonic_s()
        for served, quotes in _portions(ticks, plan.spec.symbol):
            replay.serve(quotes)
            on_progress(served / len(ticks.row))
        run_s = monotonic_s() - began_s
    except ChildExhausted as error:
        raise ChildCrashed(str(error)) from error
    heard: HeardTrades = host.child("reporter").state
    if heard.crashes:
        raise ChildCrashed("\n".join(heard.crashes))
    return Replayed(heard, replay.bars_closed[plan.timeframe], run_s, journal.hexdigest())


def _terminal(plan: Plan) -> SimulatedTerminal:
    account = plan.config.account
    return SimulatedTerminal(
        {plan.spec.symbol: plan.spec},
        start_balance_cents=round(account.start_balance * 10**account.currency_digits),
        currency=account.currency,
        currency_digits=account.currency_digits,
        leverage=account.leverage,
        profit_cents=profit_rule(plan.spec.symbol, plan.config),
    )


def _started(plan: Plan, ticks: Ticks) -> RunStarted:
    """All that decides beside the build is in `configuration`, so that the journal's digest depends on it; no path is."""
    decides = {
        "configuration": identity(plan.config),
        "symbol": plan.spec.symbol,
        "digits": plan.spec.digits,
        "from_utc_ms": plan.from_utc_ms,
        "to_utc_ms": plan.to_utc_ms,
        "ticks_sha256": ticks.sha256,
    }
    configuration = msgspec.json.encode(decides).decode()
    return RunStarted(build_id(), configuration, plan.config.account.name, _INSTALLATION, continued=False, crashed=False)


def _portions(ticks: Ticks, symbol: str) -> Iterator[tuple[int, Iterable[RecordedQuote]]]:
    """The quotes, some at a time, and how many that makes."""
    columns = ticks.row, ticks.time_utc_ms, ticks.bid_points, ticks.ask_points
    for first in range(0, len(ticks.row), QUOTES_AT_ONCE):
        row, time_utc_ms, bid_points, ask_points = (column[first : first + QUOTES_AT_ONCE].tolist() for column in columns)
        yield first + len(row), zip(row, repeat(symbol), time_utc_ms, bid_points, ask_points)


def _strategy(text: str, symbol: str, config_path: Path) -> tuple[str, MaCrossConfig]:
    """The strategy that `text` names, by its name, with the keys that it leaves out as the configuration has them."""
    kind, colon, listed = text.partition(":")
    if kind not in STRATEGIES:
        raise BadInput(f"--strategy {text!r}: unknown strategy {kind!r}{_did_you_mean(kind, STRATEGIES)}")
    parameters = _parameters(text, kind, listed.split(",") if colon else [])
    table = {"kind": kind, **parameters, "symbols": [symbol]}
    try:
        return kind, load(config_path, overrides={f"strategy.{kind}": table}).strategy[kind]
    except ConfigInvalid as invalid:  # the file alone is valid, so it is the flag
        problem = invalid.problems[0]
        raise BadInput(f"--strategy {text!r}: {problem.key.rpartition('.')[2]} {problem.text}") from None


def _parameters(text: str, kind: str, parts: Sequence[str]) -> dict[str, int | float | str]:
    known = [name for name in STRATEGIES[kind].__struct_fields__ if name != "symbols"]
    parameters: dict[str, int | float | str] = {}
    for part in parts:
        name, equals, value = part.partition("=")
        if not equals:
            raise BadInput(f"--strategy {text!r}: {part!r} is not KEY=VALUE")
        if name not in known:
            raise BadInput(f"--strategy {text!r}: unknown parameter {name!r}{_did_you_mean(name, known)}")
        if name in parameters:
            raise BadInput(f"--strategy {text!r}: {name} is given twice")
        parameters[name] = _number_or_text(value)
    return parameters


def _number_or_text(value: str) -> int | float | str:
    for kind in (int, float):
        try:
            return kind(value)
        except ValueError:
            continue
    return value


def _did_you_mean(word: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(word, known, n=1)
    return f"; did you mean {near[0]!r}?" if near else f"; there is {', '.join(known)}"


def _utc_ms(flag: str, text: str) -> int:
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        raise BadInput(f"{flag} {text!r}: is not a date or date-time like 2014-05-01 or 2014-05-01T13:30") from None
    if time.tzinfo is None:
        time = time.replace(tzinfo=UTC)
    return (time - _EPOCH) // timedelta(milliseconds=1)
