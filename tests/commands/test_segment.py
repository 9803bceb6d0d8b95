"""Is a start a continuation, and is the journal the one that was left?"""

from pathlib import Path
from typing import Any

import pytest

from evenkeel.commands.segment import note_journal, run_started
from evenkeel.messages.system import RunStarted
from evenkeel.runtime.journal import JournalCorrupt


def started(path: Path, **other: Any) -> RunStarted:
    usual = {"build": "b", "configuration": "c", "account": "a", "installation": 1, "crashed": False, "now_utc_ms": 1000}
    return run_started(path, **usual | other)


def test_the_first_start_continues_nothing(tmp_path: Path) -> None:
    assert not started(tmp_path / "segment").continued


@pytest.mark.parametrize(
    "other, continued",
    [
        ({}, True),
        ({"build": "x"}, False),
        ({"configuration": "x"}, False),
        ({"account": "x"}, False),
        ({"restored": True}, False),
    ],
)
def test_a_start_of_the_same_continues(tmp_path: Path, other: dict[str, Any], continued: bool) -> None:
    started(tmp_path / "segment")
    again = started(tmp_path / "segment", **other)
    assert (again.continued, again.restored) == (continued, "restored" in other)


def test_a_journal_that_ends_before_what_was_durable_is_not_taken_for_the_same(tmp_path: Path) -> None:
    started(tmp_path / "segment")
    note_journal(tmp_path / "segment", 70)
    assert started(tmp_path / "segment", journal_seq=70).continued
    with pytest.raises(JournalCorrupt, match="the journal ends with record 69, but held 70 when it was last in use"):
        started(tmp_path / "segment", journal_seq=69)


def test_a_damaged_file_counts_as_a_change(tmp_path: Path) -> None:
    (tmp_path / "segment").write_text("{")
    assert not started(tmp_path / "segment", journal_seq=5).continued
