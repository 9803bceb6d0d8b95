"""`evenkeel bench replay`: recorded prices through everything, in processes of their own, as a user starts them."""

import io
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any, Final

import msgspec

from evenkeel.commands.bench import replay_input
from evenkeel.commands.bench.figures import NS_PER_S, Aim, BenchFailed, Figure, monotonic_ns
from evenkeel.commands.bench.floors import stepped_deliveries
from evenkeel.commands.bench.starts import small_command, supervisor_import
from evenkeel.commands.bench.trade import trade_costs

CROSS: Final = "ma_cross:fast=10,slow=20"
RARE_CROSS: Final = "ma_cross:fast=50,slow=200"
IMPORTS: Final = 7
ASKED: Final = 5
DELIVERIES_S: Final = 0.5
FEW_TRADES: Final = 1_000
MANY_TRADES: Final = 100_000
_OWN: Final = "python:object=evenkeel.commands.bench.strategies"
_PLAIN: Final = """
profile = "plain"
[account]
start_balance = 1000000
[trading]
enabled = true
[entry]
volume_lots = 0.10
stop_pips = {stop_pips}
target_pips = {target_pips}
cooldown_minutes = 0
spread_multiple_max = "off"
[exit]
time_stop_minutes = "off"
[catastrophe_stop]
at_broker = "off"
[circuit_breaker]
enabled = false
"""
_WORTH: Final = """
[symbols.{symbol}]
account_per_quote = {worth}
"""
_PERSONAL: Final = """
profile = "personal"
[trading]
enabled = true
[entry]
stop_pips = 10
target_pips = 20
cooldown_minutes = 0
[symbols.{symbol}]
daily_atr_points = 600
"""


class _Runs:
    """What some back-tests of one kind said, each in a process of its own."""

    def __init__(self, rounds: int, *flags: str) -> None:
        self.walls_s: list[float] = []
        self.results: list[dict[str, Any]] = []
        for _ in range(rounds):
            began_ns = monotonic_ns()
            command = [sys.executable, "-m", "evenkeel.cli", "backtest", *flags, "--json", "-"]
            done = subprocess.run(command, capture_output=True, check=False)
            self.walls_s.append((monotonic_ns() - began_ns) / NS_PER_S)
            if done.returncode:
                raise BenchFailed(f"backtest {' '.join(flags)}: {done.stderr.decode(errors='replace').strip()[:300]}")
            self.results.append(msgspec.json.decode(done.stdout))

    def of(self, name: str) -> list[float]:
        return [result[name] for result in self.results]

    def per_s(self, name: str) -> dict[str, float]:
        rates = [result[name] / result["run_s"] for result in self.results]
        return {"median_per_s": median(rates), "best_per_s": max(rates)}


def figures(ticks: Path | None, symbol: str, *, rounds: int, long: bool) -> Iterator[Figure]:
    """Each when it is measured. `ticks` None: synthetic ones. Raises BenchFailed."""
    with tempfile.TemporaryDirectory(prefix="evenkeel-bench-") as name:
        folder = Path(name)
        if ticks is None:
            ticks = folder / "synthetic.parquet"
            replay_input.synthetic(ticks)
        twice = folder / "twice.parquet"
        replay_input.twice(ticks, twice)
        yield from _job(twice, symbol, folder, rounds)
        yield from _floors(twice, symbol)
        yield stepped_deliveries(DELIVERIES_S)
        yield from _strategies(twice, symbol, folder, rounds)
        yield from _trades(folder, MANY_TRADES if long else 10 * FEW_TRADES)
        yield from trade_costs(MANY_TRADES if long else FEW_TRADES)
        yield supervisor_import(IMPORTS)
        yield small_command(IMPORTS, folder / "state")
        if long:
            yield _year(folder, replay_input.YEAR_TICKS)


def profile(ticks: Path | None, symbol: str, lines: int = 20) -> str:
    """Where the time of the job goes, by own time, in this process."""
    import cProfile
    import pstats

    from evenkeel.commands.backtest.plan import Input, plan_of, recorded
    from evenkeel.commands.backtest.replay import prepared, replayed

    with tempfile.TemporaryDirectory(prefix="evenkeel-bench-") as name:
        if ticks is None:
            ticks = Path(name) / "synthetic.parquet"
            replay_input.synthetic(ticks)
        plan = plan_of(config_path=None, symbols=[symbol], strategy=CROSS)
        given = prepared(plan, recorded(plan, [Input("ticks", ticks)]))
        profiled = cProfile.Profile()
        profiled.runcall(replayed, given)
    out = io.StringIO()
    pstats.Stats(profiled, stream=out).strip_dirs().sort_stats("tottime").print_stats(lines)
    return out.getvalue()


def _job(twice: Path, symbol: str, folder: Path, rounds: int) -> Iterator[Figure]:
    job = ("--ticks", str(twice), "--symbol", symbol)
    runs = _Runs(rounds, *job, "--strategy", CROSS)
    trades, count = len(runs.results[0]["trades"]), runs.results[0]["ticks"]
    what = f"{count:,} ticks, {CROSS}, {trades} trades, journal digest"
    rate = runs.per_s("ticks")
    aim = Aim("at least 10 M ticks a second, run only", rate["median_per_s"] >= 10e6)
    yield Figure("replay.job.run", f"{what}: run only", rounds, rate, aim)
    totals = runs.of("total_s")
    values = {"median_s": median(totals), "best_s": min(totals), "median_wall_s": median(runs.walls_s)}
    yield Figure(
        "replay.job.start_to_result", f"{what}: start to result", rounds, values, Aim("at most 1.0 s", median(totals) <= 1.0)
    )
    peaks = runs.of("peak_mb")
    yield Figure("replay.job.peak", f"{what}: peak", rounds, {"max_mb": max(peaks)}, Aim("at most 250 MB", max(peaks) <= 250))
    slow = _Runs(1, *job, "--strategy", CROSS, "--every-tick")
    if slow.results[0]["journal_sha256"] != runs.results[0]["journal_sha256"]:
        raise BenchFailed(f"{twice}: jump and tick by tick wrote different journals")
    ratio = median(slow.of("run_s")) / median(runs.of("run_s"))
    yield Figure(
        "replay.job.every_tick", "the same tick by tick, equal journal", 1, {**slow.per_s("ticks"), "times_slower": ratio}
    )
    rare = _Runs(rounds, *job, "--strategy", RARE_CROSS)
    refused = len(rare.results[0]["trades"])
    yield Figure("replay.rare", f"the same, {RARE_CROSS}, {refused} trades: run only", rounds, rare.per_s("ticks"))
    config = folder / "personal.toml"
    config.write_text(_PERSONAL.format(symbol=symbol))
    guarded = _Runs(rounds, *job, "--strategy", CROSS, "--config", str(config))
    trades = len(guarded.results[0]["trades"])
    what = f"the same with every limit of profile personal and the circuit breaker, {trades} trades: run only"
    yield Figure("replay.guarded", what, rounds, guarded.per_s("ticks"))


def _floors(twice: Path, symbol: str) -> Iterator[Figure]:
    """What the arrays alone take: no replay can be faster."""
    from evenkeel.commands.backtest.plan import Input, plan_of, recorded
    from evenkeel.rules.bar_columns import minutes_of_blocks
    from evenkeel.rules.price_search import PriceSearch

    plan = plan_of(config_path=None, symbols=[symbol], strategy=CROSS)
    [file] = recorded(plan, [Input("ticks", twice)])
    began_ns = monotonic_ns()
    blocks = list(file.blocks())
    read_ns, began_ns = monotonic_ns() - began_ns, monotonic_ns()
    minutes_of_blocks(block[:3] for block in blocks)
    for block in blocks:
        PriceSearch(block.bid_points, block.ask_points)
    made_ns = monotonic_ns() - began_ns
    count = sum(len(block.row) for block in blocks)
    values = {"reading_per_s": count * NS_PER_S / read_ns, "bars_and_search_per_s": count * NS_PER_S / made_ns}
    yield Figure("replay.floor", "floor: reading and checking the file; its bars and the search's extremes alone", 1, values)


def _strategies(twice: Path, symbol: str, folder: Path, rounds: int) -> Iterator[Figure]:
    bars = folder / "bars.parquet"
    count = replay_input.bars_of(twice, bars)
    runs = _Runs(rounds, "--bars", str(bars), "--symbol", symbol, "--strategy", f"{_OWN}.SeldomOnBar")
    rate = runs.per_s("bars")
    what = f"{count:,} bars as four quotes each, on_bar in Python, {len(runs.results[0]['trades'])} trades: run only"
    yield Figure("replay.on_bar", what, rounds, rate, Aim("at least 1.5 M bars a second", rate["median_per_s"] >= 1.5e6))
    yield _asking(bars, symbol)
    runs = _Runs(rounds, "--ticks", str(twice), "--symbol", symbol, "--strategy", f"{_OWN}.SeldomOnTick")
    rate = runs.per_s("ticks")
    what = f"on_tick in Python on every tick, {len(runs.results[0]['trades'])} trades: run only"
    yield Figure("replay.on_tick", what, rounds, rate, Aim("at least 1.0 M ticks a second", rate["median_per_s"] >= 1e6))


def _asking(bars: Path, symbol: str) -> Figure:
    from evenkeel.adapters.strategy.making import make_strategy
    from evenkeel.commands.backtest.plan import Input, plan_of, recorded
    from evenkeel.commands.backtest.replay import prepared
    from evenkeel.rules.strategy import BarStrategy, streamed

    plan = plan_of(config_path=None, symbols=[symbol], strategy=f"{_OWN}.SeldomOnBar")
    minutes = prepared(plan, recorded(plan, [Input("bars", bars)])).minutes[symbol]
    strategy = make_strategy(plan.strategy[1], plan.specs[symbol])
    if not isinstance(strategy, BarStrategy):
        raise BenchFailed("the strategy to measure with has no on_bar")
    rates = []
    for _ in range(ASKED):
        began_ns = monotonic_ns()
        streamed(strategy, minutes)
        rates.append(minutes.size * NS_PER_S / (monotonic_ns() - began_ns))
    values = {"median_per_s": median(rates), "best_per_s": max(rates)}
    return Figure("replay.on_bar.asking", "floor: asking on_bar at each of them, and nothing else", ASKED, values)


def _trades(folder: Path, many: int) -> Iterator[Figure]:
    """A trade is a signal, a proposal, an order, a deal, a crossed level, a close and its deal, through every child."""
    config = folder / "waves.toml"
    config.write_text(_PLAIN.format(stop_pips=2, target_pips=2))
    costs_us: dict[int, float] = {}
    for count in (FEW_TRADES, many):
        path = folder / f"waves{count}.parquet"
        replay_input.waves(path, count)
        strategy = f"{_OWN}.EachWave,foot_points={replay_input.WAVE_FOOT_POINTS}"
        flags = ("--ticks", str(path), "--symbol", "EURUSD", "--strategy", strategy, "--config", str(config))
        [result] = _Runs(1, *flags).results
        trades = len(result["trades"])
        if trades < count - 1:  # the last may still be open
            raise BenchFailed(f"{count} waves made {trades} trades")
        costs_us[count] = result["run_s"] * 1e6 / trades
    values = {f"us_at_{count}": cost for count, cost in costs_us.items()}
    aim = Aim("at most 100 us", min(costs_us.values()) <= 100)
    yield Figure("replay.trade", "one trade, signal to settled through every child, journal digest only", 2, values, aim)
    ratio = costs_us[many] / costs_us[FEW_TRADES]
    what = f"the cost of a trade among {many:,} over that among {FEW_TRADES:,}"
    yield Figure("replay.trade.flat", what, 2, {"ratio": ratio}, Aim("flat: at most 1.2", ratio <= 1.2))


def _year(folder: Path, rows: int) -> Figure:
    """A year of ticks of ten symbols in one process."""
    flags: list[str] = []
    for seed, (symbol, price) in enumerate(replay_input.YEAR_SYMBOLS.items()):
        path = folder / f"{symbol}.parquet"
        replay_input.synthetic(path, rows=rows, seed=seed, price=price, span_ms=replay_input.YEAR_MS)
        flags += ["--ticks", str(path), "--symbol", symbol]
    config = folder / "year.toml"
    worths = "".join(_WORTH.format(symbol=symbol, worth=worth) for symbol, worth in replay_input.YEAR_CROSSES.items())
    config.write_text(_PLAIN.format(stop_pips=10, target_pips=20) + worths)
    runs = _Runs(1, *flags, "--config", str(config), "--strategy", f"{RARE_CROSS},timeframe=M15")
    values = {**runs.per_s("ticks"), "total_s": runs.of("total_s")[0], "peak_mb": runs.of("peak_mb")[0]}
    result = runs.results[0]
    what = f"{result['ticks']:,} ticks of {len(replay_input.YEAR_SYMBOLS)} symbols, {len(result['trades'])} trades"
    return Figure("replay.year", what, 1, values, Aim("under 1 GB", values["peak_mb"] < 1_000))
