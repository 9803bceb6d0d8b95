import argparse
import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from builders import Scene
from orders import order
from story import told

import evenkeel.supervisor
from evenkeel.actors import attendance
from evenkeel.adapters import wall_clock
from evenkeel.adapters.lmdb_journal import LmdbJournal
from evenkeel.adapters.state_folder import StateFolder
from evenkeel.commands import controls, exit_codes
from evenkeel.config.limits import LimitsConfig
from evenkeel.config.schema import Config
from evenkeel.messages.entry import DenialReason, OrderDenied
from evenkeel.messages.market import Direction
from evenkeel.rules import guard_table, notifier
from evenkeel.rules.controls import CONTROLS, Control
from evenkeel.runtime.journal import decode_record


@pytest.fixture(scope="module")
def scene() -> Scene:
    return told()


def keep(folder: StateFolder, scene: Scene) -> None:
    journal = LmdbJournal.open(folder.journal, day_of=lambda utc_ms: "2026-01-05")
    journal.append([(decode_record(body).seq, body) for body in scene.journal.bodies])
    assert journal.flush(10)
    journal.close(clean=True)


def rows(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    assert controls.run(argparse.Namespace(account="simulated", json=True)) == exit_codes.OK
    report = json.loads(capsys.readouterr().out)
    assert report["v"] == 1
    return {row["id"]: row for row in report["controls"]}


def test_the_table_has_every_control_of_the_checklist_once() -> None:
    assert [control.control_id for control in CONTROLS] == [f"C{number}" for number in range(1, 48)]


@pytest.mark.parametrize("path", sorted({path for control in CONTROLS for path in control.settings}))
def test_every_setting_that_is_named_exists(path: str) -> None:
    kind: Any = Config
    for key in path.split("."):
        fields = {field.name: field.type for field in msgspec.structs.fields(kind)}
        assert key in fields
        kind = fields[key]


@pytest.mark.parametrize("control", CONTROLS, ids=lambda control: control.control_id)
def test_what_is_not_wholly_built_says_so_and_what_is_lacks_nothing(control: Any) -> None:
    if control.built == "partly":
        assert control.lacks
    if control.built == "built":
        assert not control.lacks
    if control.built == "not built":
        assert (control.settings, control.denials, control.kinds, control.limits) == ((), (), (), ())


@pytest.mark.parametrize("control", CONTROLS, ids=lambda control: control.control_id)
def test_what_is_called_built_can_show_itself(control: Control) -> None:
    if control.built == "built":
        assert control.denials or control.kinds or control.limits, "nothing in a journal would ever show it"


SAID_BY = {wall_clock.NAME, wall_clock.STANDSTILL, attendance.NAME, guard_table.SUPERVISION, notifier.NAME}
LIMITS = {field.name for field in msgspec.structs.fields(LimitsConfig)} | {reason.value for reason in DenialReason}


@pytest.mark.parametrize("limit", sorted({limit for control in CONTROLS for limit in control.limits}))
def test_every_word_that_counts_as_evidence_names_a_limit_or_who_holds(limit: str) -> None:
    assert any(known.startswith(limit) for known in LIMITS | SAID_BY)


@pytest.mark.parametrize(
    "reason", [reason for control in CONTROLS for reason in control.denials], ids=lambda reason: reason.value
)
def test_every_refusal_that_counts_as_evidence_is_said_by_some_part(reason: DenialReason, source: str) -> None:
    assert f"DenialReason.{reason.name}" in source


@pytest.fixture(scope="module")
def source() -> str:
    """What may refuse."""
    root = Path(evenkeel.supervisor.__file__).parent
    parts = [path for folder in ("rules", "actors", "adapters") for path in sorted((root / folder).rglob("*.py"))]
    return "".join(path.read_text() for path in parts if path.name != "controls.py")


def test_a_limit_that_made_a_volume_smaller_or_refused_it_is_shown() -> None:
    leverage = CONTROLS[1]
    asked = msgspec.structs.replace(order(), bound_by="total_notional_max")
    assert leverage.is_shown_by(asked)
    assert not leverage.is_shown_by(msgspec.structs.replace(asked, bound_by="entry.volume_lots"))
    denied = OrderDenied("", "", Direction.BUY, "", DenialReason.VOLUME_BELOW_MINIMUM, 0, 1, "steps", asked.lineage)
    assert not leverage.is_shown_by(denied)
    assert leverage.is_shown_by(msgspec.structs.replace(denied, detail="bound by order_notional_max"))


def test_the_last_evidence_comes_out_of_the_journal(
    folder: StateFolder, scene: Scene, capsys: pytest.CaptureFixture[str]
) -> None:
    keep(folder, scene)
    found = rows(capsys)
    denied: OrderDenied = scene.said(OrderDenied)[-1]
    told_of = [row["evidence"]["text"] for row in found.values() if row["evidence"]]
    assert any(f"refused by {denied.by}: {denied.reason.value}" in text for text in told_of)
    assert "the broker agrees" in found["C34"]["evidence"]["text"]
    assert found["C29"]["evidence"] is None


def test_without_a_journal_the_table_names_settings_and_no_evidence(
    folder: StateFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    assert {row["evidence"] for row in rows(capsys).values()} == {None}
    assert controls.run(argparse.Namespace(account="simulated", json=False)) == exit_codes.OK
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 1 + len(CONTROLS)
    assert any("limits.volume_lots_max" in line for line in lines)


def test_forty_columns_are_enough(
    folder: StateFolder, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    controls.run(argparse.Namespace(account="simulated", json=False))
    assert max(map(len, capsys.readouterr().out.splitlines())) <= 40
