"""`evenkeel notify`: who is told outside and of what, what became of the last notices; with --test a notice to each outlet."""

import argparse
import sys
import textwrap
from collections.abc import Sequence
from time import sleep
from typing import Final

import msgspec

from evenkeel.adapters.lmdb_row import RowError
from evenkeel.adapters.os import StateError, state_root
from evenkeel.adapters.outbox import read_outbox
from evenkeel.adapters.outlets import AddressUnusable, OutletCourier, Sent, Wire, outlet_of
from evenkeel.adapters.secrets import SecretError
from evenkeel.adapters.state_folder import StateFolder
from evenkeel.commands import exit_codes
from evenkeel.commands.configured import add_config_flags, configured
from evenkeel.commands.flags import whole
from evenkeel.commands.tables import columns, table
from evenkeel.config.load import ConfigInvalid
from evenkeel.config.notifier import How, OutletConfig
from evenkeel.config.schema import Config
from evenkeel.messages.notifier import Event
from evenkeel.rules.instants import utc_text
from evenkeel.rules.notifier import how
from evenkeel.rules.outbox import Fate, Row
from evenkeel.runtime.clock import SystemClock

LOOK_S: Final = 0.02
NOTICES: Final = 10
NOTICES_MAX: Final = 300
_LAST: Final = whole(0, NOTICES_MAX)
NOBODY: Final = "nobody outside is told anything: no [notifier.outlet.NAME] is in the configuration"
TEST: Final = "test"
"""The event of a notice that tries an outlet; no other notice has it."""
_HOWS: Final[tuple[How, ...]] = ("on", "silent", "off")
_HEADER: Final = ("number", "time", "severity", "event", "fate", "text")


class OutletShown(msgspec.Struct, frozen=True):
    name: str
    kind: str
    shape: str


class Notice(msgspec.Struct, frozen=True):
    """`fates` by outlet; one that is not among them has not taken it yet, after `tries`."""

    number: int
    event: str
    severity: int
    silent: bool
    text: str
    count: int
    time_utc_ms: int
    fates: dict[str, Fate]
    tries: dict[str, int]


class NotifyReport(msgspec.Struct, frozen=True):
    """What `--json` prints; `notices` newest first."""

    outlets: list[OutletShown]
    events: dict[str, How]
    severity_max: int
    notices: list[Notice]
    v: int = 1


class Tried(msgspec.Struct, frozen=True):
    name: str
    taken: bool
    took_ms: int
    detail: str


class TestReport(msgspec.Struct, frozen=True):
    """What `--test --json` prints."""

    outlets: list[Tried]
    v: int = 1


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_config_flags(parser)
    parser.add_argument("--test", action="store_true", help="send a test notice through every outlet and say what came of it")
    parser.add_argument("--last", type=_LAST, default=NOTICES, metavar="N", help="show so many notices (%(default)s)")
    parser.add_argument("--json", action="store_true", help="one JSON object on standard output")
    parser.epilog = "exit status: 0, or with --test 1 when an outlet did not take it or there is none"


def run(arguments: argparse.Namespace) -> int:
    try:
        config = configured(arguments)
        folder = StateFolder(state_root(), config.account.name)
    except ConfigInvalid as error:
        print(error, file=sys.stderr)
        return exit_codes.CONFIG_INVALID
    except StateError as error:
        print(f"notify: {error}", file=sys.stderr)
        return exit_codes.USAGE
    return _test(config, as_json=arguments.json) if arguments.test else _show(config, folder, arguments)


def _show(config: Config, folder: StateFolder, arguments: argparse.Namespace) -> int:
    try:
        rows = _newest(folder, arguments.last)
    except RowError as error:
        print(f"notify: {error}", file=sys.stderr)
        return exit_codes.FAILED
    notifier = config.notifier
    report = NotifyReport(
        [OutletShown(name, one.kind, one.shape if one.kind == "webhook" else "") for name, one in notifier.outlet.items()],
        {event.value: how(notifier, event) for event in Event},
        notifier.severity_max,
        [_notice(row) for row in rows],
    )
    if arguments.json:
        print(msgspec.json.encode(report).decode())
    else:
        print("\n".join(_lines(report)))
    return exit_codes.OK


def _newest(folder: StateFolder, count: int) -> list[Row]:
    """Raises RowError."""
    state = read_outbox(folder.notices) if folder.notices.is_dir() else None
    rows = [] if state is None else [*state.done, *state.rows.values()]
    return sorted(rows, key=lambda row: row.number, reverse=True)[:count]


def _notice(row: Row) -> Notice:
    of = row.number, row.event.value, row.severity, row.silent, row.text, row.count, row.time_utc_ms
    return Notice(*of, fates=row.fates, tries=row.tries)


def _lines(report: NotifyReport) -> list[str]:
    width = columns()
    told = ", ".join(f"{one.name} ({' '.join(filter(None, (one.kind, one.shape)))})" for one in report.outlets)
    lines = _wrapped("outlets", told or NOBODY, width)
    for kind in _HOWS:
        names = [event for event, one in report.events.items() if one == kind]
        lines += _wrapped(kind, ", ".join(names) or "none", width)
    lines += _wrapped("severity", f"1 to {report.severity_max}, 1 is the gravest", width)
    if not report.notices:
        return [*lines, "", "no notices yet"]
    names = [one.name for one in report.outlets]
    return [*lines, "", *table(_HEADER, [_row(one, names) for one in report.notices], left_aligned=_HEADER[1:], width=width)]


def _wrapped(label: str, text: str, width: int | None) -> list[str]:
    indent = " " * 11
    return textwrap.wrap(text, width or 10_000, initial_indent=f"{label:<11}", subsequent_indent=indent)


def _row(notice: Notice, outlets: Sequence[str]) -> tuple[str, ...]:
    fates = [_fate(name, notice) for name in dict.fromkeys([*outlets, *notice.fates])]
    times = f" ({notice.count} times)" if notice.count > 1 else ""
    event = notice.event + (" (silent)" if notice.silent else "")
    number, severity = str(notice.number), str(notice.severity)
    return number, utc_text(notice.time_utc_ms), severity, event, ", ".join(fates), notice.text + times


def _fate(outlet: str, notice: Notice) -> str:
    fate = notice.fates.get(outlet)
    if fate is None:
        tries = notice.tries.get(outlet, 0)
        return f"{outlet}: waits" + (f" after {tries} tries" if tries else "")
    words = {"delivered": "delivered", "together": "in a summary", "dropped": "dropped", "given_up": "given up"}
    return f"{outlet}: {words[fate.result]}" + (f" ({fate.detail})" if fate.detail else "")


def _test(config: Config, *, as_json: bool) -> int:
    if not config.notifier.outlet:
        print(f"notify: {NOBODY}", file=sys.stderr)
        if as_json:
            print(msgspec.json.encode(TestReport([])).decode())
        return exit_codes.FAILED
    tried = [_tried(name, one, config.account.name) for name, one in config.notifier.outlet.items()]
    if as_json:
        print(msgspec.json.encode(TestReport(tried)).decode())
    else:
        for one in tried:
            print(f"{one.name}: taken after {one.took_ms / 1000:.1f} s" if one.taken else f"{one.name}: FAILED: {one.detail}")
    return exit_codes.OK if all(one.taken for one in tried) else exit_codes.FAILED


def _tried(name: str, config: OutletConfig, account: str) -> Tried:
    clock = SystemClock()
    try:
        outlet = outlet_of(name, config)
    except (SecretError, AddressUnusable) as error:
        return Tried(name, False, 0, str(error))
    now_utc_ms, began_ns = clock.now_utc_ms(), clock.monotonic_ns()
    courier = OutletCourier(outlet, clock.monotonic_ns)
    courier.begin(_test_notice(account, now_utc_ms))
    sent: Sent | None = None
    while sent is None:
        sleep(LOOK_S)
        sent = courier.result()
    return Tried(name, sent.is_taken, (clock.monotonic_ns() - began_ns) // 1_000_000, sent.detail)


def _test_notice(account: str, now_utc_ms: int) -> Wire:
    return Wire(
        id=f"{TEST}-{now_utc_ms}",
        event=TEST,
        severity=3,
        silent=False,
        account=account,
        text="a test notice: you will be told here what this account does",
        count=1,
        time_utc_ms=now_utc_ms,
        seqs=(),
    )
