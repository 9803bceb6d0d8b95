"""What a back-test found, said as JSON and as a table. Days and equity are computed now, from the deals and the bars."""

from collections.abc import Mapping
from functools import partial
from typing import Any, Final

import msgspec

from evenkeel.adapters.os import age_s, memory_peak_mb
from evenkeel.commands.backtest.replay import Prepared, Replayed
from evenkeel.commands.backtest.trades import HeardTrades
from evenkeel.config.schema import AccountConfig
from evenkeel.messages.market import SymbolSpec
from evenkeel.messages.position import PositionClosed, PositionOpened
from evenkeel.rules.bar_columns import Bars
from evenkeel.rules.bars import PERIOD_MS
from evenkeel.rules.equity_curve import Day, Held, Samples, curve_of, equity_samples
from evenkeel.rules.execution_costs import ExecutionCosts, cost_sums, execution_costs
from evenkeel.rules.report import Report, r_multiple, report_of
from evenkeel.rules.run_statistics import Statistics, statistics_of
from evenkeel.rules.thinning import Stretch, thinned

NONE: Final = "-"

STRETCHES_MAX: Final = 600
"""Of the prices of a symbol, of equity and of drawdown, so that a result has a size however long the run."""


class Account(msgspec.Struct, frozen=True):
    """Money of the result is in 10 ** -currency_digits of `currency`."""

    name: str
    currency: str
    currency_digits: int
    start_cents: int


class Trade(msgspec.Struct, frozen=True):
    """`profit_cents` is without commission and swap, `net_cents` with them; `r` is null for a trade without a first stop.

    `costs` are in `profit_cents` already.
    """

    ticket: int
    direction: str
    open_utc_ms: int
    open_price: float
    close_utc_ms: int
    close_price: float
    reason: str
    volume_lots: float
    profit_cents: int
    symbol: str
    commission_cents: int
    swap_cents: int
    net_cents: int
    r: float | None
    costs: ExecutionCosts = ExecutionCosts()


class OpenTrade(msgspec.Struct, frozen=True):
    ticket: int
    direction: str
    open_utc_ms: int
    open_price: float
    volume_lots: float
    symbol: str


class Refusals(msgspec.Struct, frozen=True):
    """How often `by` refused for `reason`, and its share of all refusals, 0 to 1."""

    by: str
    reason: str
    count: int
    ratio: float


class BacktestResult(msgspec.Struct, frozen=True):
    """What `--json` holds; `evenkeel backtest --help` says what each number means.

    Stretches are (time of the last sample, lowest, highest, last) in cents and points: what the pictures are drawn from.
    """

    symbol: str
    ticks: int
    bars: int
    crossed_dropped: int
    repeats_dropped: int
    trades: list[Trade]
    open: list[OpenTrade]
    net_cents: int
    run_s: float
    total_s: float
    peak_mb: float
    journal_sha256: str
    equity_drawdown_max_cents: int
    days: list[Day]
    refusals: list[Refusals]
    account: Account
    strategy: str
    settings: dict[str, Any]
    digits: dict[str, int]
    from_utc_ms: int
    to_utc_ms: int
    statistics: Statistics
    equity: list[Stretch]
    drawdown: list[Stretch]
    prices: dict[str, list[Stretch]]
    v: int = 1


def result_of(given: Prepared, done: Replayed) -> BacktestResult:
    """Prices as decimals of each symbol's digits; age and memory of the process are those of this moment."""
    plan, heard = given.plan, done.heard
    specs, account = plan.specs, plan.config.account
    counts = [source.counts for source in given.sources]
    start_cents, held = round(account.start_balance * 10**account.currency_digits), held_of(heard)
    trades = [trade_of(closed, specs[closed.symbol], heard) for closed in heard.closed]
    samples = equity_samples(start_cents, held, specs, given.minutes)
    curve = curve_of(start_cents, samples, held)
    from_utc_ms, to_utc_ms = _span(given.minutes)
    name, strategy = plan.strategy
    return BacktestResult(
        symbol=",".join(specs),
        ticks=sum(count.rows_read for count in counts),
        bars=done.bars,
        crossed_dropped=sum(count.crossed_dropped for count in counts),
        repeats_dropped=sum(count.repeats_dropped for count in counts),
        trades=trades,
        open=[open_trade_of(opened, specs[opened.symbol]) for opened in heard.opened.values()],
        net_cents=sum(closed.net_cents for closed in heard.closed),
        run_s=round(done.run_s, 3),
        total_s=round(age_s(), 3),
        peak_mb=round(memory_peak_mb(), 1),
        journal_sha256=done.journal_sha256,
        equity_drawdown_max_cents=curve.drawdown_max_cents,
        days=curve.days,
        refusals=refusals_of(heard),
        account=Account(account.name, account.currency, account.currency_digits, start_cents),
        strategy=name,
        settings=msgspec.to_builtins(strategy),
        digits={symbol: spec.digits for symbol, spec in specs.items()},
        from_utc_ms=from_utc_ms,
        to_utc_ms=to_utc_ms,
        statistics=statistics_of(
            heard.closed,
            start_cents=start_cents,
            days=curve.days,
            drawdown=(curve.drawdown_max_cents, samples.drawdown_max_ratio(start_cents)),
            held=[(one.opened_utc_ms, one.closed_utc_ms) for one in held],
            from_utc_ms=from_utc_ms,
            to_utc_ms=to_utc_ms,
            costs=cost_sums(trade.costs for trade in trades),
        ),
        **stretches_of(samples, start_cents, given.minutes),
    )


def stretches_of(samples: Samples, start_cents: int, bars: Mapping[str, Bars]) -> dict[str, Any]:
    """`equity`, `drawdown` and `prices`, thinned."""
    thin = partial(thinned, samples.utc_ms, stretches_max=STRETCHES_MAX)
    equity, fall = samples.equity_cents, samples.drawdowns_cents(start_cents)
    return {
        "equity": thin(equity, equity, equity),
        "drawdown": thin(fall, fall, fall),
        "prices": {
            symbol: thinned(one.open_utc_ms, one.low_points, one.high_points, one.close_points, stretches_max=STRETCHES_MAX)
            for symbol, one in bars.items()
        },
    }


def _span(minutes: Mapping[str, Bars]) -> tuple[int, int]:
    """The open of the first M1 bar and the end of the last."""
    opens = [bars.open_utc_ms for bars in minutes.values() if bars.size]
    return min(int(one[0]) for one in opens), max(int(one[-1]) for one in opens) + PERIOD_MS["M1"]


def refusals_of(heard: HeardTrades) -> list[Refusals]:
    """The most frequent first."""
    total = sum(heard.refused.values())
    by_count = sorted(heard.refused.items(), key=lambda item: (-item[1], item[0]))
    return [Refusals(by, reason, count, round(count / total, 4)) for (by, reason), count in by_count]


def json_of(result: BacktestResult) -> bytes:
    """One line of JSON; a price is the shortest decimal that says it exactly."""
    return msgspec.json.encode(result) + b"\n"


def summary(result: BacktestResult, heard: HeardTrades, account: AccountConfig) -> str:
    """The table for a person: a name and a number a line."""
    rows = [
        ("ticks", f"{result.ticks:,}"),
        ("crossed dropped", f"{result.crossed_dropped:,}"),
        ("repeats dropped", f"{result.repeats_dropped:,}"),
        ("bars", f"{result.bars:,}"),
        *_statistics(report_of(heard.closed), account),
        ("equity drawdown", _money(result.equity_drawdown_max_cents, account)),
        *((f"refused by {one.by}: {one.reason}", f"{one.count:,} = {one.ratio:.1%}") for one in result.refusals),
        ("open", f"{len(result.open):,}"),
        ("run_s", f"{result.run_s:.2f}"),
        ("total_s", f"{result.total_s:.2f}"),
        ("peak_mb", f"{result.peak_mb:.0f}"),
    ]
    names, numbers = max(len(name) for name, _ in rows), max(len(number) for _, number in rows)
    return "\n".join(f"{name:<{names}}  {number:>{numbers}}" for name, number in rows)


def _statistics(report: Report, account: AccountConfig) -> list[tuple[str, str]]:
    money = partial(_money, account=account)
    return [
        ("trades", f"{report.trades:,}"),
        ("won", f"{report.won:,}"),
        ("win rate", NONE if report.win_ratio is None else f"{report.win_ratio:.1%}"),
        ("net", money(report.net_cents)),
        ("gross profit", money(report.gross_profit_cents)),
        ("gross loss", money(report.gross_loss_cents)),
        ("profit factor", NONE if report.profit_factor is None else f"{report.profit_factor:.2f}"),
        ("average R", NONE if report.average_r is None else f"{report.average_r:.2f}"),
        ("max drawdown", money(report.drawdown_max_cents)),
        ("largest loss", money(report.largest_loss_cents)),
        *((f"closed by {reason}", f"{count:,}") for reason, count in report.exits.items()),
    ]


def _money(cents: int, account: AccountConfig) -> str:
    return f"{cents / 10**account.currency_digits:,.{account.currency_digits}f} {account.currency}"


def held_of(heard: HeardTrades) -> list[Held]:
    """With the volume at the end: of a position that was closed in parts, what it floated before is left out."""
    closed = [
        Held(one.symbol, one.direction, one.volume_steps, one.entry_points, one.opened_utc_ms, one.closed_utc_ms, one.net_cents)
        for one in heard.closed
    ]
    still = [
        Held(one.symbol, one.direction, one.volume_steps, one.entry_points, one.opened_utc_ms, None, 0)
        for one in heard.opened.values()
    ]
    return [*closed, *still]


def trade_of(closed: PositionClosed, spec: SymbolSpec, heard: HeardTrades) -> Trade:
    entry, exit_ = heard.entries.get(closed.ticket), heard.exits.get(closed.ticket)
    return Trade(
        ticket=closed.ticket,
        direction=closed.direction.value,
        open_utc_ms=closed.opened_utc_ms,
        open_price=_price(closed.entry_points, spec),
        close_utc_ms=closed.closed_utc_ms,
        close_price=_price(closed.close_points, spec),
        reason=closed.reason.value,
        volume_lots=closed.volume_steps / spec.steps_per_lot,
        profit_cents=closed.profit_cents,
        symbol=spec.symbol,
        commission_cents=closed.commission_cents,
        swap_cents=closed.swap_cents,
        net_cents=closed.net_cents,
        r=r_multiple(closed),
        costs=execution_costs(closed, spec, entry, exit_),
    )


def open_trade_of(opened: PositionOpened, spec: SymbolSpec) -> OpenTrade:
    return OpenTrade(
        ticket=opened.ticket,
        direction=opened.direction.value,
        open_utc_ms=opened.opened_utc_ms,
        open_price=_price(opened.entry_points, spec),
        volume_lots=opened.volume_steps / spec.steps_per_lot,
        symbol=spec.symbol,
    )


def _price(points: int, spec: SymbolSpec) -> float:
    points_per_unit: int = 10**spec.digits
    return points / points_per_unit
