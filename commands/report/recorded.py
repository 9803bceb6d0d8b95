"""What a run of the journal found: its trades, what the account's readings said of equity, and the bars that were heard."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from evenkeel.adapters.lmdb_files import DayFiles
from evenkeel.adapters.snapshot_files import read_snapshots
from evenkeel.commands.backtest.report import Account, held_of, open_trade_of, refusals_of, stretches_of, trade_of
from evenkeel.commands.backtest.trades import HeardTrades, TradeListener
from evenkeel.commands.recorded_runs import NotRecorded, RecordedRun, runs_of
from evenkeel.commands.report.findings import Findings
from evenkeel.commands.why.records import Said, said_of
from evenkeel.messages.broker_gateway import AccountRead, OrderRejected
from evenkeel.messages.entry import OpenPosition, OrderDenied
from evenkeel.messages.market import BarClosed, Quote, SymbolSpec, SymbolSpecified
from evenkeel.messages.position import ClosePosition, PositionClosed, PositionOpened, PositionPriced, PositionReduced
from evenkeel.rules.account_figures import AccountFigures, account_figures
from evenkeel.rules.bar_columns import Bars
from evenkeel.rules.bars import PERIOD_MS
from evenkeel.rules.equity_curve import Samples, curve_of
from evenkeel.rules.execution_costs import cost_sums
from evenkeel.rules.run_statistics import statistics_of

TRADES = (
    *(OpenPosition, PositionOpened, PositionPriced, PositionReduced, ClosePosition, PositionClosed),
    *(OrderDenied, OrderRejected),
)


class Heard:
    """The records of a run, taken in one after another."""

    def __init__(self) -> None:
        self.trades = HeardTrades()
        self.specs: dict[str, SymbolSpec] = {}
        self._specs_by_id: dict[tuple[str, int], SymbolSpec] = {}
        self._asked: dict[str, Quote] = {}
        self.readings: list[tuple[int, AccountRead]] = []
        self.bars: dict[tuple[str, str], list[BarClosed]] = {}
        self._listener = TradeListener(self.trades)

    def hear(self, said: Said) -> None:
        match said.message:
            case SymbolSpecified(spec):
                self.specs[spec.symbol] = self._specs_by_id[spec.symbol, spec.spec_id] = spec
            case OpenPosition(proposal_id, quote=quote):
                self._asked[proposal_id] = quote
            case ClosePosition(ticket, remaining_steps=0, quote=Quote() as quote):
                self.trades.exits.setdefault(ticket, quote)  # an ask after a failed one was decided on the first quote
            case AccountRead() as reading:
                self.readings.append((said.record.time_utc_ms, reading))
            case BarClosed() as bar:
                self.bars.setdefault((bar.symbol, bar.timeframe), []).append(bar)
            case message:
                if isinstance(message, PositionOpened) and (asked := self._asked.pop(message.lineage.proposal_id, None)):
                    self.trades.entries[message.ticket] = asked
                self._listener.remember(message)

    def spec_of(self, closed: PositionClosed) -> SymbolSpec:
        """The terms that it was closed in: the worth of a point changes from day to day."""
        return self._specs_by_id.get((closed.symbol, closed.spec_id), self.specs[closed.symbol])

    def samples(self) -> Samples:
        times, equity = ([utc_ms for utc_ms, _ in self.readings], [reading.equity_cents for _, reading in self.readings])
        return Samples(np.array(times, np.int64), np.array(equity, np.int64))

    def prices(self) -> dict[str, Bars]:
        """Of each symbol the shortest bars that somebody heard, each once."""
        shortest = dict(sorted(self.bars, key=lambda key: PERIOD_MS[key[1]], reverse=True))
        return {symbol: _columns(self.bars[symbol, shortest[symbol]]) for symbol in self.specs if symbol in shortest}


def recorded_findings(folder: Path, number: int | None, snapshots: Path | None = None) -> Findings:
    """Run `number`, None: the last, with the minute `snapshots` of its time, where there are some.

    Raises NotRecorded, JournalError, OSError, or msgspec's for another build's message.
    """
    with DayFiles(folder) as files:
        runs = runs_of(files).runs
        if not runs:
            raise NotRecorded("the journal holds no run")
        if number is not None and not 1 <= number <= len(runs):
            raise NotRecorded(f"there is no run {number}: the journal holds {len(runs)}")
        chosen = runs[-1 if number is None else number - 1]
        after = next((run.from_utc_ms for run in runs[chosen.number :]), None)
        heard = Heard()
        for said in said_of(files, (SymbolSpecified, AccountRead), to_seq=chosen.from_seq):
            heard.hear(said)
        before = [reading for _, reading in heard.readings[-1:]]
        heard.readings.clear()
        for said in said_of(files, (SymbolSpecified, AccountRead, BarClosed, *TRADES), chosen.from_seq, chosen.to_seq):
            heard.hear(said)
    if not heard.readings:  # a reading is told when it differs from the one before
        ends = [bars[-1].open_utc_ms + PERIOD_MS[period] for (_, period), bars in heard.bars.items()]
        heard.readings = [(utc_ms, reading) for reading in before for utc_ms in (chosen.from_utc_ms, *ends[:1])]
    if not heard.readings:
        raise NotRecorded(f"run {chosen.number} has no reading of the account")
    taken = () if snapshots is None else read_snapshots(snapshots, from_utc_ms=chosen.from_utc_ms, to_utc_ms=after)
    return _findings(chosen, heard, account_figures(taken))


def _findings(chosen: RecordedRun, heard: Heard, of_account: AccountFigures | None) -> Findings:
    trades, specs, samples = heard.trades, heard.specs, heard.samples()
    first, (to_utc_ms, _) = heard.readings[0][1], heard.readings[-1]
    held = held_of(trades)
    listed = [trade_of(closed, heard.spec_of(closed), trades) for closed in trades.closed]
    curve = curve_of(first.equity_cents, samples, held)
    symbols = dict.fromkeys(one.symbol for one in held)
    return Findings(
        symbol=",".join(symbols) or ",".join(specs),
        trades=listed,
        open=[open_trade_of(opened, specs[opened.symbol]) for opened in trades.opened.values()],
        days=curve.days,
        refusals=refusals_of(trades),
        account=Account(chosen.started.account, first.currency, first.currency_digits, first.equity_cents),
        strategy=f"run {chosen.number}",
        settings={"build": chosen.started.build},
        digits={symbol: spec.digits for symbol, spec in specs.items()},
        from_utc_ms=chosen.from_utc_ms,
        to_utc_ms=to_utc_ms,
        statistics=statistics_of(
            trades.closed,
            start_cents=first.equity_cents,
            days=curve.days,
            drawdown=(curve.drawdown_max_cents, samples.drawdown_max_ratio(first.equity_cents)),
            held=[(one.opened_utc_ms, one.closed_utc_ms) for one in held],
            from_utc_ms=chosen.from_utc_ms,
            to_utc_ms=to_utc_ms,
            costs=cost_sums(trade.costs for trade in listed),
        ),
        of_account=of_account,
        **stretches_of(samples, first.equity_cents, heard.prices()),
    )


def _columns(heard: Sequence[BarClosed]) -> Bars:
    """Oldest first; a bar that was told again after an interruption counts once."""
    bars = [bar for _, bar in sorted({bar.open_utc_ms: bar for bar in heard}.items())]
    return Bars(*(np.array([getattr(bar, name) for bar in bars], np.int64) for name in Bars._fields))
