"""`evenkeel data check`: what is wrong with price files."""

import argparse
from typing import Final

import msgspec

from evenkeel.adapters.exports import PriceFile
from evenkeel.commands import exit_codes
from evenkeel.commands.data.reading import COLUMNS, Clock, checked, clock_told, files_of, terms_of, time_told
from evenkeel.rules.bars import PERIOD_MS
from evenkeel.rules.price_checks import Checked, Example, Finding
from evenkeel.rules.price_flaws import Flaw
from evenkeel.rules.server_zone import Estimate, Zone

HEADER: Final = ("finding", "count", "first")


class FileReport(msgspec.Struct, frozen=True):
    """Of one file. Times are UTC milliseconds where `times` says "UTC", else those of the file's own clock."""

    file: str
    format: str
    columns: tuple[str, ...]
    rows: int
    first_ms: int | None
    last_ms: int | None
    times: str
    timeframe: str | None
    decimals: int
    week_ends: int
    holidays: int
    clock: Clock | None
    bad_lines: dict[str, int]
    bad_lines_shown: tuple[str, ...]
    findings: tuple[Finding, ...]

    @property
    def is_clean(self) -> bool:
        return not self.findings and not self.bad_lines


class Report(msgspec.Struct, frozen=True):
    """What `--json` prints."""

    files: tuple[FileReport, ...]
    v: int = 1


def run(arguments: argparse.Namespace) -> int:
    """Raises what reading raises; then nothing was printed."""
    terms = terms_of(arguments)
    files = files_of(arguments.files, terms)
    reports = [report_of(file, *checked([file], terms, terms.zone), terms.zone) for file in files]
    if arguments.json:
        print(msgspec.json.encode(Report(tuple(reports))).decode())
    else:
        print("\n\n".join(told(report) for report in reports))
    return exit_codes.OK if all(report.is_clean for report in reports) else exit_codes.FAILED


def report_of(file: PriceFile, found: Checked, clock: Estimate | None, zone: Zone | None) -> FileReport:
    timeframe = next((name for name, length in PERIOD_MS.items() if length == found.period_ms), None)
    return FileReport(
        file=str(file.path),
        format=file.format,
        columns=file.names,
        rows=found.rows,
        first_ms=found.first_ms,
        last_ms=found.last_ms,
        times="server" if zone is None and file.zone is None else "UTC",
        timeframe=timeframe,
        decimals=found.decimals,
        week_ends=len(found.week_ends),
        holidays=found.holidays,
        clock=clock and Clock(str(clock.zone), clock.confidence, clock.fitting, clock.marks, tuple(map(str, clock.also))),
        bad_lines=dict(file.faults.counts),
        bad_lines_shown=tuple(file.faults.shown),
        findings=tuple(found.findings),
    )


def told(report: FileReport) -> str:
    """The report as a table."""
    kind = COLUMNS.get(report.columns, "bars of one side")
    if report.timeframe is not None:
        kind = f"{report.timeframe} {kind}"
    lines = [
        f"{report.file}: {report.format}, {report.rows:,} {kind}, {report.decimals} decimals",
        f"  {time_told(report.first_ms)} to {time_told(report.last_ms)}, {report.times} time; {report.week_ends} week ends,"
        f" {report.holidays} holidays",
        f"  {clock_told(report.clock)}",
    ]
    lines += [f"  bad lines, {kind}: {count:,}" for kind, count in report.bad_lines.items()]
    lines += [f"    {shown}" for shown in report.bad_lines_shown]
    if report.findings:
        lines.append(f"  {HEADER[0]:18}{HEADER[1]:>10}  {HEADER[2]}")
        lines += [f"  {finding.flaw.value:18}{finding.count:>10,}  {_first_of(finding)}" for finding in report.findings]
    if report.is_clean:
        lines.append("  nothing found")
    return "\n".join(lines)


def _first_of(finding: Finding) -> str:
    if finding.text:
        return finding.text
    if not finding.examples:
        return ""
    first = finding.examples[0]
    if finding.flaw is Flaw.GAP and first.until_ms is not None:
        return f"the longest {_length(first.until_ms - first.time_ms)}, after {_place_of(first)}"
    return _place_of(first)


def _place_of(example: Example) -> str:
    return f"{time_told(example.time_ms)} (line or row {example.place})"


def _length(ms: int) -> str:
    hours = ms / 3_600_000
    return f"{hours / 24:.1f} days" if hours >= 48 else f"{hours:.1f} h"
