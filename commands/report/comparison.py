"""Two runs beside each other: what each came to, and which decisions differ, from where on."""

from collections import Counter
from collections.abc import Sequence
from typing import Final

from evenkeel.commands.report.findings import Findings, decisions_of
from evenkeel.commands.report.formulas import FIGURES
from evenkeel.commands.report.markup import Markup, element, folded, joined, table
from evenkeel.commands.report.numbers import Money, count
from evenkeel.rules.instants import utc_text
from evenkeel.rules.run_difference import Difference, RunDifference, run_difference

DIFFERENCES_MAX: Final = 200
"""Of the table; the oldest, for those are what the others may follow from."""

NOTHING: Final = "nothing"


def comparison(this: Findings, other: Findings) -> Markup:
    found = run_difference(decisions_of(this), decisions_of(other))
    parts = [
        element("p", f"This run: {this.title}, {this.span}."),
        element("p", f"The other run: {other.title}, {other.span}."),
    ]
    parts += [element("p", sentence, class_="verdict") for sentence in verdict(found)]
    parts += [_by_kind(found.differences), _settings(this, other), _differences(found.differences)]
    parts += [_figures(this, other), _refusals(this, other)]
    return joined(parts)


def verdict(found: RunDifference) -> list[str]:
    """Whether they differ, and where that begins."""
    if not found.differences:
        return [f"The two runs opened and closed the same: {found.equal:,} decisions are equal."]
    first = found.differences[0]
    return [
        f"{found.equal:,} openings and closes are equal, {len(found.differences):,} differ.",
        f"They differ from {utc_text(first.utc_ms)} on, in {first.symbol}:"
        f" this run {_did(first.kind, first.this)}, the other {_did(first.kind, first.other)}.",
    ]


def setting_text(value: object) -> str:
    """A value of a configuration; the parts of a list beside each other."""
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else f"{value}"


def _did(kind: str, text: str | None) -> str:
    return f"{kind} {text}" if text else f"{kind} {NOTHING}"


def _by_kind(differences: Sequence[Difference]) -> Markup:
    """How many of each kind, by who did something."""
    both, mine, theirs = (
        Counter(one.kind for one in differences if (one.this is not None, one.other is not None) == who)
        for who in ((True, True), (True, False), (False, True))
    )
    kinds = sorted(dict.fromkeys(one.kind for one in differences))
    rows = [[kind, *(count(of[kind]) for of in (both, mine, theirs))] for kind in kinds]
    header = ["What", "Both, but otherwise", "This run alone", "Other run alone"]
    return table("Differences by kind", header, rows) if rows else Markup("")


def _differences(differences: Sequence[Difference]) -> Markup:
    if not differences:
        return Markup("")
    shown = differences[:DIFFERENCES_MAX]
    rows = [
        [
            *(utc_text(one.utc_ms), one.symbol, one.kind, one.this or NOTHING, one.other or NOTHING),
            "first of its symbol" if one.is_first else "may follow from an earlier one",
        ]
        for one in shown
    ]
    caption = f"The first {len(shown):,} of {len(differences):,} openings and closes that differ"
    header = ["Time", "Symbol", "What", "This run", "Other run", "Note"]
    return folded(f"Show {len(shown):,} differences", table(caption, header, rows, words=header))


def _figures(this: Findings, other: Findings) -> Markup:
    mine, theirs = Money(this.account), Money(other.account)
    rows = [[one.name, one.shown(this.statistics, mine), one.shown(other.statistics, theirs)] for one in FIGURES]
    return table("Statistics of both", ["Statistic", "This run", "Other run"], rows)


def _settings(this: Findings, other: Findings) -> Markup:
    names = dict.fromkeys([*this.settings, *other.settings])
    rows = [
        [name, setting_text(this.settings.get(name, NOTHING)), setting_text(other.settings.get(name, NOTHING))]
        for name in names
        if this.settings.get(name) != other.settings.get(name)
    ]
    return (
        table("Settings that differ", ["Key", "This run", "Other run"], rows, words=["This run", "Other run"])
        if rows
        else Markup("")
    )


def _refusals(this: Findings, other: Findings) -> Markup:
    mine, theirs = ({(one.by, one.reason): one.count for one in run.refusals} for run in (this, other))
    rows = [[*key, count(mine.get(key, 0)), count(theirs.get(key, 0))] for key in dict.fromkeys([*mine, *theirs])]
    rows = [row for row in rows if row[2] != row[3]]
    caption = "Refused signals that differ in number"
    return table(caption, ["By", "Reason", "This run", "Other run"], rows, words=["Reason"]) if rows else Markup("")
