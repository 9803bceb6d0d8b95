"""The figures of the account over the minute snapshots of a recorded run (trading_rules 2.6), each with its formula."""

from evenkeel.commands.report.findings import Findings
from evenkeel.commands.report.markup import FORMULA, Cell, Markup, element, joined, table
from evenkeel.commands.report.numbers import Money, count, percent, plain, tone_of
from evenkeel.rules.account_figures import AccountFigures
from evenkeel.rules.instants import utc_text


def account_section(findings: Findings) -> Markup:
    """Nothing without snapshots: a back-test has none."""
    figures = findings.of_account
    if figures is None:
        return Markup("")
    money = Money(findings.account)
    words = f"{count(figures.snapshots)} snapshots, {utc_text(figures.from_utc_ms)} to {utc_text(figures.to_utc_ms)}."
    return joined([element("p", words, class_="soft"), _figures(figures, money), _recent(figures, money)])


def _figures(figures: AccountFigures, money: Money) -> Markup:
    rows: list[list[str | Cell]] = []
    if (capital := figures.capital) is not None:
        rows += [
            ["Capital, mean", money.text(capital.mean_cents), "mean of equity over the snapshots, what floats included"],
            ["Capital, median", money.text(capital.median_cents), "the middle one of the same, by size"],
            ["Capital, standard deviation", money.text(capital.stdev_cents), "sample standard deviation of the same"],
            ["Capital, lowest", money.text(capital.min_cents), "the smallest of the same"],
            ["Capital, highest", money.text(capital.max_cents), "the largest of the same"],
        ]
    now, most = (None if ppm is None else ppm / 1_000_000 for ppm in (figures.drawdown_ppm, figures.drawdown_max_ppm))
    rows += [
        ["Drawdown now", percent(now), "(highest equity so far - equity) / highest equity so far, deposits left out"],
        ["Drawdown, most", percent(most), "the largest of the same since the account's first snapshot"],
        ["Win rate, lifetime", percent(figures.win_ratio), f"won / closed: {count(figures.won)} / {count(figures.trades)}"],
        ["Net, lifetime", money.cell(figures.total_net_cents), "sum of the net of all closed trades"],
        ["Decisions", count(figures.decisions), "orders that were opened or refused within the snapshots"],
        [
            *("Decisions per loop", plain(figures.decisions_per_1000_quotes)),
            f"decisions x 1,000 / quotes looked at, which were {count(figures.quotes)}",
        ],
    ]
    return table("The account over the snapshots", ["Figure", "Number", FORMULA], rows)


def _recent(figures: AccountFigures, money: Money) -> Markup:
    rows: list[list[str | Cell]] = [
        [
            f"Last {one.window}",
            *("from its beginning" if one.is_whole else "less", utc_text(one.from_utc_ms)),
            *(money.cell(one.net_cents), Cell(percent(one.net_ratio), tone_of(one.net_ratio))),
            *(money.cell(one.equity_change_cents), count(one.trades), count(one.snapshots)),
        ]
        for one in figures.recent
    ]
    caption = (
        "Net of the trades closed since, its share of the equity then, and the change of equity with what floats and what"
        " came or went"
    )
    header = ["Until the last snapshot", "Reach", "Since", "Net", "Share", "Change of equity", "Trades", "Snapshots"]
    return table(caption, header, rows, words=["Reach", "Since"])
