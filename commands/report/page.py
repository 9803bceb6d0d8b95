"""One HTML file that says what a run did: it fetches nothing, runs nothing, and holds every number with its unit."""

from collections import Counter
from collections.abc import Sequence
from typing import Final, NamedTuple

from evenkeel.commands.backtest.report import STRETCHES_MAX, Trade
from evenkeel.commands.report import charts
from evenkeel.commands.report.account import account_section
from evenkeel.commands.report.comparison import comparison, setting_text
from evenkeel.commands.report.costs import costs_section
from evenkeel.commands.report.findings import Findings, price_text
from evenkeel.commands.report.formulas import FIGURES
from evenkeel.commands.report.markup import FORMULA, Cell, Markup, element, folded, joined, table, void
from evenkeel.commands.report.numbers import Money, count, percent, r_text, tone_of
from evenkeel.commands.report.style import POLICY, SHEET
from evenkeel.rules.instants import utc_text

ROWS_MAX: Final = 1_000
"""Trades of the table; the newest."""


Row = Sequence[str | Cell]


class Section(NamedTuple):
    """`name` is the anchor that the contents of the page lead to."""

    name: str
    title: str
    inside: Markup


def page(findings: Findings, other: Findings | None = None) -> str:
    """The whole document. `other`, a second run, is drawn beside this one and compared with it."""
    sections = [section for section in _sections(findings, other) if section.inside]
    links = joined(element("a", section.title, href=f"#{section.name}") for section in sections)
    body = element(
        "body",
        element("header", element("h1", findings.title), _about(findings), _tiles(findings), element("nav", links)),
        element("main", *(_section(section) for section in sections)),
        element("footer", element("p", _small_print())),
    )
    return f"<!doctype html>\n{element('html', _head(findings), body, lang='en')}\n"


def _head(findings: Findings) -> Markup:
    return element(
        "head",
        void("meta", charset="utf-8"),
        void("meta", http_equiv="Content-Security-Policy", content=POLICY),
        void("meta", name="viewport", content="width=device-width, initial-scale=1"),
        void("meta", name="referrer", content="no-referrer"),
        void("meta", name="color-scheme", content="light dark"),
        element("title", f"evenkeel: {findings.title}"),
        element("style", Markup(SHEET)),
    )


def _sections(findings: Findings, other: Findings | None) -> list[Section]:
    comparable = other if other and other.account.currency == findings.account.currency else None
    pictures = joined([charts.equity_chart(findings, comparable), charts.drawdown_chart(findings)])
    legend = element("p", "Solid: this run. Dashed: the other run.", class_="soft") if comparable else Markup("")
    return [
        Section("comparison", "Two runs compared", comparison(findings, other) if other else Markup("")),
        Section("equity", "Equity and drawdown", joined([legend, pictures])),
        Section("months", "Months", _months(findings)),
        Section("exits", "Exits by reason", _exits(findings)),
        Section("r", "R of the trades", _rs(findings)),
        Section("prices", "Trades on the price", _prices(findings)),
        Section("costs", "Costs", costs_section(findings)),
        Section("account", "Account, minute by minute", account_section(findings)),
        Section("statistics", "Statistics", _statistics(findings)),
        Section("refusals", "Refused signals", _refusals(findings)),
        Section("trades", "Trades", _trades(findings)),
        Section("settings", "Settings", _settings(findings)),
    ]


def _section(section: Section) -> Markup:
    heading = f"{section.name}-title"
    return element(
        "section", element("h2", section.title, id=heading), section.inside, id=section.name, aria_labelledby=heading
    )


def _about(findings: Findings) -> Markup:
    account = findings.account
    start = Money(account).text(account.start_cents)
    return element("p", f"{findings.span}. Account {account.name}, start {start}.", class_="soft")


def _tiles(findings: Findings) -> Markup:
    chosen = ("Net", "Trades", "Win rate", "Profit factor", "Average R", "Max drawdown of equity")
    money = Money(findings.account)
    shown = [(one.name, one.shown(findings.statistics, money)) for one in FIGURES if one.name in chosen]
    cells = [(name, value if isinstance(value, Cell) else Cell(value)) for name, value in shown]
    return element(
        "dl",
        *(element("div", element("dt", name), element("dd", cell.text, class_=cell.tone)) for name, cell in cells),
        class_="tiles",
    )


def _months(findings: Findings) -> Markup:
    """By the day of UTC on which a trade was closed; a month has the equity of its last day."""
    money = Money(findings.account)
    before = findings.account.start_cents
    rows: list[Row] = []
    for month in dict.fromkeys(day.date[:7] for day in findings.days):
        days = [day for day in findings.days if day.date.startswith(month)]
        equity = days[-1].equity_cents
        change = (equity - before) / before if before > 0 else None
        trades, net = sum(day.trades for day in days), sum(day.net_cents for day in days)
        rows.append([month, count(trades), money.cell(net), money.text(equity), Cell(percent(change), tone_of(change))])
        before = equity
    header = ["Month", "Trades closed", "Net", "Equity at its end", "Change of equity"]
    return table("By month of UTC", header, rows) if rows else _nothing("Nothing was held.")


def _exits(findings: Findings) -> Markup:
    money, total = Money(findings.account), findings.statistics.trades
    nets: Counter[str] = Counter()
    for trade in findings.trades:
        nets[trade.reason] += trade.net_cents
    rows: list[Row] = [
        [reason, count(many), percent(many / total), money.cell(nets[reason]), money.cell(nets[reason] / many)]
        for reason, many in findings.statistics.exits.items()
    ]
    header = ["Reason", "Trades", "Share", "Net", "Net a trade"]
    return table("Why positions were closed", header, rows) if rows else _nothing("Nothing was closed.")


def _rs(findings: Findings) -> Markup:
    rs = [trade.r for trade in findings.trades if trade.r is not None]
    if not rs:
        return _nothing("No closed trade had a stop.")
    bins = charts.r_bins(rs)
    words = f"{len(rs):,} trades with a first stop; 1 R is the distance from entry to first stop, before costs."
    rows = [[f"{low:g} to {high:g} R", count(many), percent(many / len(rs))] for low, high, many in bins if many]
    numbers = table("A range holds its lower end", ["R", "Trades", "Share"], rows)
    return joined([element("p", words, class_="soft"), charts.r_chart(bins), folded("The same in numbers", numbers)])


def _prices(findings: Findings) -> Markup:
    said = (
        "Line: last bid; band: lowest to highest. A triangle upwards opens a buy, downwards a sell; a dot closes it."
        f" Dashed lines lost. The newest {charts.MARKS_MAX} trades of a symbol are drawn; each is told when you point at it,"
        " and in the table of trades."
    )
    symbols = [symbol for symbol, stretches in findings.prices.items() if stretches]
    titled = [part for symbol in symbols for part in (element("h3", symbol), charts.price_chart(findings, symbol))]
    return joined([element("p", said, class_="soft"), *titled]) if titled else _nothing("No prices are recorded.")


def _statistics(findings: Findings) -> Markup:
    money = Money(findings.account)
    rows: list[Row] = [[one.name, one.shown(findings.statistics, money), one.formula] for one in FIGURES]
    return table("Every statistic with its formula", ["Statistic", "Number", FORMULA], rows)


def _refusals(findings: Findings) -> Markup:
    rows = [[one.by, one.reason, count(one.count), percent(one.ratio)] for one in findings.refusals]
    header = ["By", "Reason", "Signals", "Share of refusals"]
    return (
        table("Signals that were not followed, the most frequent first", header, rows, words=["Reason"]) if rows else Markup("")
    )


def _trades(findings: Findings) -> Markup:
    shown = findings.trades[-ROWS_MAX:]
    if not shown:
        return _nothing("Nothing was closed.")
    caption = f"The newest {len(shown):,} of {len(findings.trades):,} trades, in the order of their closes"
    header = ["Ticket", "Symbol", "Direction", "Opened", "Closed", "Reason", "Volume", "Open price", "Close price"]
    header += ["Commission", "Swap", "Net", "R"]
    rows = [_trade_row(trade, findings) for trade in shown]
    return folded(f"Show {len(shown):,} trades", table(caption, header, rows, words=header[:6]))


def _trade_row(trade: Trade, findings: Findings) -> Row:
    money, digits = Money(findings.account), findings.digits[trade.symbol]
    return [
        *(f"#{trade.ticket}", trade.symbol, trade.direction, utc_text(trade.open_utc_ms), utc_text(trade.close_utc_ms)),
        *(trade.reason, f"{trade.volume_lots:g} lots"),
        *(price_text(trade.open_price, digits), price_text(trade.close_price, digits)),
        *(money.text(trade.commission_cents), money.text(trade.swap_cents)),
        *(money.cell(trade.net_cents), r_text(trade.r)),
    ]


def _settings(findings: Findings) -> Markup:
    rows = [[name, setting_text(value)] for name, value in findings.settings.items()]
    settings = table("The strategy was configured with", ["Key", "Value"], rows, words=["Value"]) if rows else Markup("")
    digest = f"SHA-256 of all decisions: {findings.journal_sha256}" if findings.journal_sha256 else ""
    return joined([settings, element("p", digest, class_="soft digest")] if digest else [settings])


def _nothing(words: str) -> Markup:
    return element("p", words, class_="soft")


def _small_print() -> str:
    return (
        f"Prices, equity and drawdown are drawn in at most {STRETCHES_MAX} stretches of equal time, of each the lowest,"
        " the highest and the last; the numbers are computed from all of them."
        " Times are UTC. This page fetches nothing and runs no script."
    )
