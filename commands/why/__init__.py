"""`evenkeel why WHAT`: what led to something, out of the journal, each step in plain words with its numbers.

Only reads, so it works while the supervisor runs.
"""

import argparse
import sys
from enum import Enum
from typing import Any

import msgspec

from evenkeel.adapters.lmdb_files import DayFiles
from evenkeel.adapters.os import StateError, state_root
from evenkeel.adapters.state_folder import StateFolder
from evenkeel.commands import exit_codes
from evenkeel.commands.tables import folded
from evenkeel.commands.why.question import TOPICS, BadQuestion, Topic, question_of
from evenkeel.commands.why.records import Said
from evenkeel.commands.why.story import Story, story_of
from evenkeel.messages.system import Message
from evenkeel.rules.instants import utc_text
from evenkeel.rules.told import told
from evenkeel.rules.view_state import Heard, ViewState
from evenkeel.rules.words import words
from evenkeel.runtime.journal import JournalError

EXPLANATION = """\
WHAT is
  1004            a position's ticket, else a deal's, else a record's number; also: ticket 1004, deal 51, intent 7, seq 812
  EURUSD-3        a proposal, also one that was refused
  EURUSD-mk1-3    a chain, as `evenkeel chains` names it: each step, its orders and trades, and what led to them
or the newest of
""" + "\n".join(f"  {name:<15} {topic.about}" for name, topic in TOPICS.items())


class WhyRecord(msgspec.Struct, frozen=True):
    """A record of the journal; `message` has its fields by name, `text` says it in words."""

    seq: int
    time_utc_ms: int
    cause_seq: int
    sender: str
    incarnation: int
    kind: str
    text: str
    message: dict[str, Any]


class WhyReport(msgspec.Struct, frozen=True):
    """What `--json` prints. `ticket` is null where the answer is not about one position."""

    ticket: int | None
    records: list[WhyRecord]
    v: int = 1
    what: str = ""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = EXPLANATION
    parser.add_argument("what", nargs="+", metavar="WHAT", help="see below")
    parser.add_argument("--account", default="simulated", help="the account's name (default: %(default)s)")
    parser.add_argument("--json", action="store_true", help="the records, as one JSON object")


def run(arguments: argparse.Namespace) -> int:
    """0, or 1 with one line when the journal cannot be read or knows nothing of it."""
    what = " ".join(arguments.what)
    try:
        question = question_of(arguments.what)
        folder = StateFolder(state_root(), arguments.account)
        with DayFiles(folder.journal) as files:
            story = story_of(files, question)
    except (BadQuestion, StateError) as error:
        print(f"why: {error}", file=sys.stderr)
        return exit_codes.USAGE
    except (JournalError, msgspec.DecodeError) as error:
        print(f"why: the journal cannot be read: {error}", file=sys.stderr)
        return exit_codes.FAILED
    if story is None:
        about = f" ({question.about})" if isinstance(question, Topic) else ""
        print(f"why: the journal of account {arguments.account} knows nothing of {what}{about}", file=sys.stderr)
        return exit_codes.FAILED
    if arguments.json:
        records = [_as_record(said, story.known) for said in story.said]
        print(msgspec.json.encode(WhyReport(story.ticket, records, what=what)).decode())
    else:
        print(folded("\n".join(lines_of(story)), indent=10))
    return exit_codes.OK


def lines_of(story: Story) -> list[str]:
    return [
        f"{f'#{record.seq}':>8}  {utc_text(record.time_utc_ms)}  {record.sender:<18}  {text_of(message, story.known)}"
        for record, message in story.said
    ]


def text_of(message: Message, known: ViewState) -> str:
    """One message in plain words; what the reporter has words for is told as in the log."""
    text = words(known, message)
    if text is None and isinstance(message, Heard):
        text = told(known, message)
    return text or type(message).__name__


def by_name(value: Any) -> Any:
    """Structs as maps: in the journal they are positional."""
    match value:
        case msgspec.Struct():
            return {name: by_name(getattr(value, name)) for name in value.__struct_fields__}
        case list() | tuple():
            return [by_name(item) for item in value]
        case Enum():
            return value.value
        case _:
            return value


def _as_record(said: Said, known: ViewState) -> WhyRecord:
    record, message = said
    return WhyRecord(
        seq=record.seq,
        time_utc_ms=record.time_utc_ms,
        cause_seq=record.cause_seq,
        sender=record.sender,
        incarnation=record.incarnation,
        kind=type(message).__name__,
        text=text_of(message, known),
        message=by_name(message),
    )
