"""`evenkeel signal SYMBOL DIRECTION`: a person's signal, and what the gates made of it; `--file`: those of another program."""

import argparse
import sys
import threading
import uuid
from collections.abc import Iterable
from typing import Final, NamedTuple

import msgspec

from evenkeel.adapters import control_channel as channel
from evenkeel.adapters.lmdb_files import DayFiles
from evenkeel.adapters.os import StateError, state_root
from evenkeel.adapters.state_folder import StateFolder
from evenkeel.commands import exit_codes, signal_lines
from evenkeel.commands.flags import command_id, name, ratio
from evenkeel.commands.order import WAIT_MS, asked, show, who
from evenkeel.commands.tables import folded
from evenkeel.commands.why import text_of
from evenkeel.commands.why.records import Said, said_of
from evenkeel.messages.broker_gateway import OrderOutcomeUnknown, OrderRejected
from evenkeel.messages.entry import EntryProposed, OrderDenied, SignalRaised
from evenkeel.messages.operator import RaiseSignal
from evenkeel.messages.position import PositionOpened
from evenkeel.rules.entries import may_try_again
from evenkeel.rules.view_state import ViewState
from evenkeel.runtime.clock import monotonic_s
from evenkeel.runtime.journal import JournalError

FOLLOWED_S: Final = 5.0
"""A broker that takes longer is not waited for: `evenkeel why trade` tells of it later."""
LOOK_EVERY_S: Final = 0.1
OF_A_SIGNAL: Final = (RaiseSignal, SignalRaised, EntryProposed, OrderDenied, OrderRejected, OrderOutcomeUnknown, PositionOpened)
STATUS: Final = {"opened": exit_codes.OK, "refused": exit_codes.REFUSED, "unknown": exit_codes.OUTCOME_UNKNOWN}


class SignalOutcome(msgspec.Struct):
    """What `--json` prints. `end` is opened, refused (by us or the broker), unknown or not_running; `tickets` were opened."""

    command: str
    command_id: str
    end: str
    detail: str
    tickets: tuple[int, ...] = ()
    v: int = 1


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = signal_lines.EXPLANATION
    parser.add_argument("symbol", type=name, metavar="SYMBOL", nargs="?", help="as the configuration names it")
    parser.add_argument("direction", choices=("buy", "sell"), nargs="?")
    parser.add_argument("--strategy", type=name, metavar="NAME", help="as a signal of this strategy, with its orders and slots")
    parser.add_argument("--confidence", type=ratio, help="0 to 1, against limits.confidence_min (default: 1)")
    signal_lines.add_arguments(parser)
    parser.add_argument("--account", default="simulated", help="the account's name (default: %(default)s)")
    parser.add_argument("--json", action="store_true", help="one JSON object on standard output; of --file one a line")
    parser.add_argument("--id", dest="command_id", type=command_id, help="idempotency key: the same key is carried out once")


def run(arguments: argparse.Namespace) -> int:
    """0 opened, 4 refused by us or by the broker, 5 nobody knows yet, 3 no supervisor runs."""
    of_one = ("symbol", "direction", "strategy", "confidence", "command_id")
    if arguments.file is not None:
        if given := [name for name in of_one if getattr(arguments, name) is not None]:
            print(f"signal: {given[0]} is of one signal, not of --file", file=sys.stderr)
            return exit_codes.USAGE
        return signal_lines.run(arguments)
    if arguments.symbol is None or arguments.direction is None:
        print("signal: which one? SYMBOL and buy or sell, or --file", file=sys.stderr)
        return exit_codes.USAGE
    return _one(arguments)


def _one(arguments: argparse.Namespace) -> int:
    told = {
        "command_id": arguments.command_id or uuid.uuid4().hex,
        "by": who(),
        "wait_ms": WAIT_MS,
        "symbol": arguments.symbol,
        "direction": arguments.direction,
        "strategy": arguments.strategy or "",
        "confidence": 1.0 if arguments.confidence is None else arguments.confidence,
    }
    is_asked = False
    try:
        request = msgspec.convert(told, channel.RaiseSignal)
        folder = StateFolder(state_root(), arguments.account)
        with DayFiles(folder.journal) as files:
            from_seq, is_asked = _last_seq(files), True
            outcome, status = asked(folder.endpoint, "signal", request)
            if status != exit_codes.OK:
                show(outcome, as_json=arguments.json)
                return status
            ends = followed(files, from_seq, outcome.command_id, FOLLOWED_S)
            known = terms_in(files)
    except (StateError, msgspec.ValidationError) as error:
        print(f"signal: {error}", file=sys.stderr)
        return exit_codes.USAGE
    except (JournalError, msgspec.DecodeError) as error:
        done = "asked for; what came of it is not known" if is_asked else "nothing was asked"
        print(f"signal: {done}: the journal cannot be read: {error}", file=sys.stderr)
        return exit_codes.OUTCOME_UNKNOWN if is_asked else exit_codes.FAILED
    found = outcome_of(outcome.command_id, ends, known)
    if arguments.json:
        print(msgspec.json.encode(found).decode())
    else:
        print(folded(f"signal: {found.detail}"))
    return STATUS[found.end]


def outcome_of(command_id: str, ends: list[Said], known: ViewState) -> SignalOutcome:
    """Of a signal that opens two orders one may be opened and one refused: then it counts as opened."""
    messages = [said.message for said in ends]
    tickets = tuple(message.ticket for message in messages if isinstance(message, PositionOpened))
    detail = "; ".join(text_of(message, known) for message in messages)
    if tickets:
        return SignalOutcome("signal", command_id, "opened", detail, tickets)
    if not messages or any(isinstance(message, OrderOutcomeUnknown) for message in messages):
        waits = "unknown: nothing is known of an order yet: evenkeel why-not SYMBOL, evenkeel positions"
        return SignalOutcome("signal", command_id, "unknown", detail or waits)
    return SignalOutcome("signal", command_id, "refused", detail)


def followed(files: DayFiles, from_seq: int, command_id: str, seconds: float) -> list[Said]:
    """What became of each order that the command's signal called for, as far as the journal tells in `seconds`."""
    end_s = monotonic_s() + seconds
    while True:
        orders = orders_of(said_of(files, OF_A_SIGNAL, from_seq), command_id)
        if orders.are_over or monotonic_s() >= end_s:
            return orders.ends
        threading.Event().wait(LOOK_EVERY_S)


class Orders(NamedTuple):
    """How they ended, and whether nothing more is to come. A reject for its price alone is no end once it is tried again."""

    ends: list[Said]
    are_over: bool


def orders_of(records: Iterable[Said], command_id: str) -> Orders:
    """Those that the signal of `command_id` called for."""
    causes: set[int] = set()
    ends: dict[str, Said | None] = {}
    tries: dict[str, int] = {}
    may_come_again: dict[int, str] = {}
    for said in records:
        message, cause_seq = said.message, said.record.cause_seq
        match message:
            case RaiseSignal():
                if message.command_id == command_id:
                    causes.add(said.record.seq)
            case SignalRaised():
                if cause_seq in causes:
                    causes.add(said.record.seq)
            case EntryProposed():
                before = may_come_again.pop(cause_seq, "")
                if before or cause_seq in causes:
                    ends.pop(before, None)
                    ids = [message.proposal_id, *([message.second.proposal_id] if message.second else [])]
                    ends |= dict.fromkeys(ids)
                    tries |= dict.fromkeys(ids, tries.get(before, 0) + 1)
            case PositionOpened():
                if message.lineage.proposal_id in ends:
                    ends[message.lineage.proposal_id] = said
            case _:
                if cause_seq in causes or message.proposal_id in ends or may_come_again.pop(cause_seq, ""):
                    ends[message.proposal_id] = said
                    if isinstance(message, OrderRejected) and _may_come_again(message, tries[message.proposal_id]):
                        may_come_again[said.record.seq] = message.proposal_id
    told = [end for end in ends.values() if end is not None]
    return Orders(told, bool(ends) and len(told) == len(ends) and not may_come_again)


def _may_come_again(rejected: OrderRejected, tries: int) -> bool:
    """Its time may be over by now: that is not known here."""
    return rejected.quote is not None and may_try_again(rejected.code, tries, 0, 0)


def terms_in(files: DayFiles) -> ViewState:
    """What numbers are told with: the terms of the symbols, and the account."""
    known = ViewState()
    for _ in said_of(files, (), known=known):
        pass
    return known


def _last_seq(files: DayFiles) -> int:
    days = files.days()
    return files.file(days[-1]).head().seq if days else 1
