"""`evenkeel why-not SYMBOL`: why nothing was opened, and the smallest change that would have let it pass.

Only reads, so it works while the supervisor runs.
"""

import argparse
import sys
from collections import Counter, deque
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec

from evenkeel.adapters.lmdb_files import DayFiles
from evenkeel.adapters.os import StateError, state_root
from evenkeel.adapters.state_folder import StateFolder
from evenkeel.commands import exit_codes
from evenkeel.commands.flags import SINCE_HELP, add_set_flag, since_utc_ms
from evenkeel.commands.recorded_runs import NotRecorded, RecordedRuns, runs_of
from evenkeel.commands.tables import folded
from evenkeel.commands.why import text_of
from evenkeel.commands.why.question import PROPOSAL
from evenkeel.commands.why.records import Said, decoded, know, said_of
from evenkeel.commands.why_not.levers import reliefs
from evenkeel.commands.why_not.moment import GateRefusal, Moment, gate_refusals, moment_of
from evenkeel.config.load import ConfigInvalid, load
from evenkeel.config.schema import Config
from evenkeel.messages import codec
from evenkeel.messages.broker_gateway import AccountRead, OrderOutcomeResolved, OrderRejected
from evenkeel.messages.entry import DenialReason, OrderDenied, SignalRaised
from evenkeel.messages.market import BarClosed, QuotesResumed, QuotesStale, SymbolSpecified
from evenkeel.messages.operator import ModeChanged
from evenkeel.messages.position import PositionOpened
from evenkeel.rules.entries import Refusal
from evenkeel.rules.instants import utc_text
from evenkeel.rules.texts import amount_text
from evenkeel.rules.view_state import ViewState
from evenkeel.runtime.journal import JournalError, Record

NEWEST: Final = 5
REFUSED: Final = (OrderDenied, OrderRejected, OrderOutcomeResolved)
ENDS: Final[dict[DenialReason, str]] = {
    DenialReason.MODE: "the mode must be run: evenkeel start, after evenkeel rearm where it was killed or a limit tripped",
    DenialReason.UNRECONCILED: "two readings of the broker must match what is believed here",
    DenialReason.GUARD_DOWN: "the part that is down must serve again",
    DenialReason.HOLD: "the hold must end; one without an end is ended by evenkeel rearm",
    DenialReason.SHIELD: "the shield must be lowered: by its time, by the trend that turns back, or by a person",
    DenialReason.SLOT_LOCKED: "the broker's records must settle the order that locks the slot",
    DenialReason.DIRECTION_LOCKED: "the broker's records must settle the order of the other direction",
    DenialReason.FOREIGN_OPPOSITE: "the position that is not ours must be closed",
    DenialReason.DRAWDOWN: "or a person rearms: the peak starts anew",
    DenialReason.CONSECUTIVE_LOSSES: "a trade must win, or a person rearms: the count starts anew",
    DenialReason.BALANCE_FLOOR: "a person must rearm: the floor is then a share of the balance of that time",
    DenialReason.CHAIN_WAITS: "the chain must end, or be ended by a person: until then it takes the signal for its own",
    DenialReason.DUPLICATE: "nothing: an order of a chain is opened once for each end of a trade",
    DenialReason.RECOVERY_ATTEMPTS: "the trading day must end, and limits.recovery_pause_hours be over",
    DenialReason.RECOVERY_LOSSES: "the trading day must end, and limits.recovery_pause_hours be over",
    DenialReason.RECOVERY_CONCURRENT: "a recovery that waits or is open must end",
    DenialReason.RECOVERY_UNRESERVED: "its chain must reserve a recovery before it orders one",
    DenialReason.CHAIN_RISK_BUDGET: "the chain must have won more, or have less open",
    DenialReason.LOSS_TIER_LIFETIME: "a person must rearm: the lifetime's losses are then counted anew",
    DenialReason.SPEC_UNKNOWN: "the broker must tell the symbol's terms",
    DenialReason.EQUITY_UNKNOWN: "the account must be read",
    DenialReason.DAILY_ATR_UNKNOWN: "the terminal must show enough daily bars",
}
"""What ends a refusal that no single number does."""
AT_THE_LAST_GATE: Final[dict[DenialReason, str]] = {
    DenialReason.EXPIRED: "it had waited longer than limits.intent_expiry_s",
    DenialReason.QUOTE_AGE: "the quote was older than limits.quote_age_s_max",
    DenialReason.EPOCH: "trading was killed before it left",
    DenialReason.MODE: "the mode had changed before it left",
    DenialReason.NOT_DURABLE: "the journal was not on the disk in time",
    DenialReason.SUPERVISOR_SILENT: "the terminal host had not heard of the supervisor for terminal.supervisor_silent_s",
    DenialReason.REQUEST_BUDGET: "the requests of the minute were used up: terminal.requests_per_minute",
    DenialReason.ACCOUNT_MISMATCH: "the terminal says that it is another account",
    DenialReason.TERMINAL_DOWN: "the terminal was not there",
    DenialReason.REPEATED: "it had been sent before",
}
OTHERWISE: Final = "asked again with the present code, the gates do not say what was recorded: evenkeel replay shows why"


class Gate(msgspec.Struct, frozen=True):
    """One thing that stood against it."""

    by: str
    reason: str
    measured: int
    limit: int
    unit: str
    detail: str
    text: str


class WouldPass(msgspec.Struct, frozen=True):
    """`value` in the unit of the lever: points, ms, cents, a count; of a knob in its smallest step."""

    lever: str
    value: int
    text: str


class Explained(msgspec.Struct, frozen=True):
    """The newest refusal. `gates` are all that stood against it; `would_pass` each alone, when one threshold did."""

    seq: int
    time_utc_ms: int
    proposal_id: str
    recorded: str
    gates: list[Gate]
    would_pass: list[WouldPass]
    note: str


class WhyNotReport(msgspec.Struct, frozen=True):
    """What `--json` prints. Times are null where there was nothing."""

    symbol: str
    since_utc_ms: int
    signals: int
    opened: int
    refusals: dict[str, int]
    newest: list[str]
    explained: Explained | None
    last_signal_utc_ms: int | None
    last_bar_utc_ms: int | None
    stale_since_utc_ms: int | None
    mode: str
    v: int = 1


class Seen(msgspec.Struct):
    """One pass over the journal, about one symbol (and strategy) since a time; the last of each kind."""

    signals: int = 0
    opened: int = 0
    refusals: Counter[str] = msgspec.field(default_factory=Counter)
    newest: deque[Said] = msgspec.field(default_factory=lambda: deque(maxlen=NEWEST))
    signal: Said | None = None
    bar: Record | None = None
    stale: Said | None = None
    mode: str = ""
    is_known: bool = False


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("what", metavar="SYMBOL", help="a symbol, or a proposal that was refused, as EURUSD-3")
    parser.add_argument("--strategy", metavar="NAME", help="only what this strategy asked for")
    parser.add_argument("--since", metavar="TIME", type=since_utc_ms, default=0, help=SINCE_HELP)
    parser.add_argument(
        "--config", type=Path, metavar="FILE", help="for records of a version that did not keep the configuration"
    )
    add_set_flag(parser)
    parser.add_argument("--account", default="simulated", help="the account's name (default: %(default)s)")
    parser.add_argument("--json", action="store_true", help="one JSON object")


def run(arguments: argparse.Namespace) -> int:
    """0, or 1 with one line when the journal cannot be read or knows nothing of it."""
    try:
        config = load(arguments.config, flags=arguments.flags) if arguments.config or arguments.flags else None
        folder = StateFolder(state_root(), arguments.account)
        with DayFiles(folder.journal) as files:
            report = why_not(files, arguments.what, arguments.strategy, arguments.since, config)
    except ConfigInvalid as error:
        print(error, file=sys.stderr)
        return exit_codes.CONFIG_INVALID
    except StateError as error:
        print(f"why-not: {error}", file=sys.stderr)
        return exit_codes.USAGE
    except (JournalError, msgspec.DecodeError) as error:
        print(f"why-not: the journal cannot be read: {error}", file=sys.stderr)
        return exit_codes.FAILED
    if report is None:
        print(f"why-not: the journal of account {arguments.account} knows nothing of {arguments.what}", file=sys.stderr)
        return exit_codes.FAILED
    print(msgspec.json.encode(report).decode() if arguments.json else folded("\n".join(_lines(report))))
    return exit_codes.OK


def why_not(files: DayFiles, what: str, strategy: str | None, since_utc_ms: int, config: Config | None) -> WhyNotReport | None:
    """None when the journal knows neither such a symbol nor such a proposal. Raises JournalError, or msgspec's."""
    known = ViewState()
    denied = None
    if PROPOSAL.fullmatch(what):
        denied = next((said for said in said_of(files, REFUSED) if said.message.proposal_id == what), None)
    symbol = what if denied is None else denied.message.symbol
    seen = _seen(files, symbol, strategy, since_utc_ms, known)
    if not seen.is_known:
        return None
    if denied is None and seen.newest:
        denied = seen.newest[-1]
    return WhyNotReport(
        symbol=symbol,
        since_utc_ms=since_utc_ms,
        signals=seen.signals,
        opened=seen.opened,
        refusals=dict(seen.refusals.most_common()),
        newest=[_said_line(said, known) for said in seen.newest],
        explained=None if denied is None else _explained(files, runs_of(files), denied, config, known),
        last_signal_utc_ms=seen.signal.record.time_utc_ms if seen.signal else None,
        last_bar_utc_ms=seen.bar.time_utc_ms if seen.bar else None,
        stale_since_utc_ms=seen.stale.record.time_utc_ms - seen.stale.message.age_ms if seen.stale else None,
        mode=seen.mode,
    )


def _seen(files: DayFiles, symbol: str, strategy: str | None, since_utc_ms: int, known: ViewState) -> Seen:
    seen = Seen()
    kinds = (SignalRaised, PositionOpened, QuotesStale, QuotesResumed, ModeChanged, *REFUSED)
    wanted = {kind.__name__ for kind in kinds}
    account: Record | None = None
    for record in files.records(1):
        body = bytes(record.body)
        kind = codec.kind_of(body)
        if kind == BarClosed.__name__ and symbol.encode() in body:
            seen.bar, seen.is_known = record, True
        elif kind in wanted:
            _see(seen, decoded(record), symbol, strategy, since_utc_ms)
        elif kind == AccountRead.__name__:
            account = record
        elif kind == SymbolSpecified.__name__:
            know(known, record)
    if account is not None:
        know(known, account)
    seen.is_known = seen.is_known or symbol in known.specs
    return seen


def _see(seen: Seen, said: Said, symbol: str, strategy: str | None, since_utc_ms: int) -> None:
    message = said.message
    if isinstance(message, ModeChanged):
        seen.mode = message.mode.value
        return
    if message.symbol != symbol:
        return
    seen.is_known = True
    lineage = getattr(message, "lineage", None)
    is_meant = strategy is None or lineage is None or lineage.strategy == strategy
    is_recent = said.record.time_utc_ms >= since_utc_ms
    match message:
        case SignalRaised() if is_meant:
            seen.signal = said
            seen.signals += is_recent
        case PositionOpened() if is_meant:
            seen.opened += is_recent
        case QuotesStale():
            seen.stale = said
        case QuotesResumed():
            seen.stale = None
        case OrderDenied() | OrderRejected() | OrderOutcomeResolved() if is_meant and is_recent:
            seen.newest.append(said)
            seen.refusals[_gate_name(message)] += 1
        case _:
            pass


def _gate_name(message: OrderDenied | OrderRejected | OrderOutcomeResolved) -> str:
    match message:
        case OrderDenied():
            return f"{message.by} {message.reason.value}"
        case OrderRejected():
            return f"the broker {message.code}"
        case OrderOutcomeResolved():
            return "not executed"


def _explained(files: DayFiles, runs: RecordedRuns, denied: Said, config: Config | None, known: ViewState) -> Explained:
    """With all gates asked again, where the journal still has what they knew."""
    message = denied.message
    gates: list[GateRefusal] = []
    would_pass: list[WouldPass] = []
    try:
        moment = moment_of(files, runs, denied, config)
    except NotRecorded as error:
        note = f"the gates cannot be asked again: {error}"
    else:
        gates = gate_refusals(moment)
        note = _note(message, gates)
        if len(gates) == 1 and not note:
            found = reliefs(moment, gates[0].refusal, known.account)
            would_pass = [WouldPass(one.lever, one.value, one.text) for one in found]
            note = _end_of(moment, gates[0].refusal, is_only_end=not found)
    return Explained(
        seq=denied.record.seq,
        time_utc_ms=denied.record.time_utc_ms,
        proposal_id=message.proposal_id,
        recorded=text_of(message, known),
        gates=[Gate(one.by, one.refusal.reason.value, *one.refusal[1:], _refusal_text(one.refusal, known)) for one in gates],
        would_pass=would_pass,
        note=note,
    )


def _end_of(moment: Moment, refusal: Refusal, *, is_only_end: bool) -> str:
    """What ends it other than a number."""
    match refusal.reason:
        case DenialReason.SLOT_TAKEN | DenialReason.CLOSING:
            return _holder_of_the_slot(moment)
        case DenialReason.DRAWDOWN:
            return ENDS[refusal.reason]
        case _:
            return ENDS.get(refusal.reason, "") if is_only_end else ""


def _holder_of_the_slot(moment: Moment) -> str:
    """Who has the slot that was asked for; where it is free, all who have one: there are as many as there may be."""
    slot, state = moment.signal.lineage.slot, moment.position
    slots = {ticket: one.lineage.slot for ticket, one in state.positions.items()}
    held = [str(ticket) for ticket, taken in slots.items() if taken == slot]
    held = held or ([] if slot in state.pending else [str(ticket) for ticket in slots])
    who = f"position {' and '.join(held)}" if held else f"order {state.pending.get(slot) or ', '.join(state.pending.values())}"
    return f"{who} must end first: it has the slot"


def _note(message: OrderDenied | OrderRejected | OrderOutcomeResolved, gates: list[GateRefusal]) -> str:
    """Where the record says something that asking again does not bring out."""
    if isinstance(message, OrderDenied) and message.by != "gate":
        then = message.by, message.reason, message.measured, message.limit
        return "" if any((one.by, *one.refusal[:3]) == then for one in gates) else OTHERWISE
    if gates:
        return OTHERWISE
    if isinstance(message, OrderDenied):
        return (
            f"every gate here let it pass; the last one did not: {AT_THE_LAST_GATE.get(message.reason, message.reason.value)}"
        )
    return "every gate let it pass, the broker did not"


def _refusal_text(refusal: Refusal, known: ViewState) -> str:
    measured = f" {amount_text(refusal.measured, refusal.unit, known.account)}" if refusal.unit else ""
    limit = f" against {amount_text(refusal.limit, refusal.unit, known.account)}" if refusal.limit else ""
    return f"{refusal.reason.value}{measured}{limit}{f' ({refusal.detail})' if refusal.detail else ''}"


def _said_line(said: Said, known: ViewState) -> str:
    return f"{f'#{said.record.seq}':>8}  {utc_text(said.record.time_utc_ms)}  {text_of(said.message, known)}"


def _lines(report: WhyNotReport) -> Iterator[str]:
    since = f"since {utc_text(report.since_utc_ms)}" if report.since_utc_ms else "in the journal"
    yield f"{report.symbol} {since}: {report.signals} signals, {report.opened} opened, {sum(report.refusals.values())} refused"
    yield from (f"{count:>8}  {gate}" for gate, count in report.refusals.items())
    if not report.signals:
        yield from _silence_lines(report)
    if report.explained is None:
        return
    if len(report.newest) > 1:
        yield "the newest:"
        yield from report.newest
    yield from _explained_lines(report.explained)


def _silence_lines(report: WhyNotReport) -> Iterator[str]:
    yield f"no strategy asked; the last signal: {_time_or(report.last_signal_utc_ms, 'none at all')}"
    yield f"the last bar: {_time_or(report.last_bar_utc_ms, 'none')}; mode {report.mode or 'never said'}"
    if report.stale_since_utc_ms is not None:
        yield f"no quotes since {utc_text(report.stale_since_utc_ms)}"


def _explained_lines(explained: Explained) -> Iterator[str]:
    yield f"{explained.proposal_id}, refused at {utc_text(explained.time_utc_ms)}: {explained.recorded}"
    if len(explained.gates) > 1:
        yield f"{len(explained.gates)} things stood against it:"
        yield from (f"  {gate.by}: {gate.text}" for gate in explained.gates)
    elif explained.would_pass:
        yield "nothing else stood against it; it would have passed"
        yield from (f"  {one.text}" for one in explained.would_pass)
    if explained.note:
        yield f"  {explained.note}"


def _time_or(utc_ms: int | None, none: str) -> str:
    return none if utc_ms is None else utc_text(utc_ms)
