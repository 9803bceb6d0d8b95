from pathlib import Path

import msgspec
import pytest
from orders import order

from evenkeel.adapters.gate import NUMBERS_KEPT, DurableGate, Gate, GateDamaged
from evenkeel.messages.broker_gateway import CallTerminal, OpenRequest
from evenkeel.messages.entry import DenialReason, Lineage
from evenkeel.messages.operator import Mode
from evenkeel.rules.order_intents import request_for

REQUEST = request_for(order())
OTHER_SLOT = request_for(order(lineage=Lineage("strategy", "trend", slot=1)))


@pytest.fixture
def gate() -> Gate:
    gate = Gate()
    gate.mode = Mode.RUN
    return gate


def call(intent_id: int = 1, request: OpenRequest = REQUEST) -> CallTerminal:
    return CallTerminal(intent_id, intent_id, 3, 0, request)


def asked(gate: Gate, intent_id: int = 1, request: OpenRequest = REQUEST, kill_epoch: int = 3) -> DenialReason | None:
    return gate.refusal(call(intent_id, request), request, kill_epoch)


def test_an_order_of_the_present_epoch_may_go_in_run(gate):
    assert asked(gate) is None


def test_an_order_that_was_decided_before_the_kill_on_disk_is_void(gate):
    assert asked(gate, kill_epoch=4) is DenialReason.EPOCH
    assert asked(gate, kill_epoch=2) is None


def test_a_new_gate_is_shut():
    assert asked(Gate()) is DenialReason.MODE


@pytest.mark.parametrize("mode", [Mode.CLOSE_ONLY, Mode.FREEZE, Mode.FLATTEN])
def test_every_mode_but_run_shuts_it(gate, mode):
    gate.mode = mode
    assert asked(gate) is DenialReason.MODE


def test_who_shuts_it_keeps_it_shut_until_the_command_is_answered_whatever_others_ask(gate):
    gate.shut("pause-1")
    gate.shut("kill-1")
    gate.answered("pause-1")
    gate.answered("somebody-else")
    assert asked(gate) is DenialReason.MODE
    gate.answered("kill-1")
    assert asked(gate) is None


def test_one_unresolved_order_takes_its_symbol_and_slot(gate):
    gate.admit(call(1), REQUEST)
    assert asked(gate, 2) is DenialReason.SLOT_LOCKED
    assert asked(gate, 2, OTHER_SLOT) is None
    gate.resolve(1)
    assert asked(gate, 2) is None


@pytest.mark.parametrize("intent_id", [4, 5])
def test_a_number_is_used_once_and_never_a_lower_one(gate, intent_id):
    gate.admit(call(5), REQUEST)
    gate.resolve(5)
    assert asked(gate, intent_id) is DenialReason.REPEATED
    assert asked(gate, 6) is None


def test_what_another_order_came_to_frees_nothing(gate):
    gate.admit(call(1), REQUEST)
    gate.resolve(2)
    assert asked(gate, 3) is DenialReason.SLOT_LOCKED


def test_a_number_that_another_symbol_used_is_refused(gate):
    """A supervisor that lost its newest records counts again from further back, and its magics were used by other orders."""
    gate.admit(call(5), REQUEST)
    gate.resolve(5)
    other = msgspec.structs.replace(REQUEST, symbol="GBPUSD")
    assert gate.refusal(call(5), other, 0) is DenialReason.REPEATED
    assert gate.refusal(call(4), other, 0) is None


def test_numbers_that_were_used_long_ago_are_refused_all_together(gate):
    for number in range(1, NUMBERS_KEPT * 3):
        gate.admit(call(number), REQUEST)
        gate.resolve(number)
    other = msgspec.structs.replace(REQUEST, symbol="GBPUSD")
    assert all(gate.refusal(call(number), other, 0) is DenialReason.REPEATED for number in range(1, NUMBERS_KEPT * 3))
    assert gate.refusal(call(NUMBERS_KEPT * 3), other, 0) is None


def test_a_file_of_before_counts_every_number_up_to_its_last_as_used(tmp_path):
    path = tmp_path / "gate"
    path.write_bytes(b'[["EURUSD",0,7,7],["GBPUSD",0,5,0]]')
    gate = DurableGate(path)
    gate.mode = Mode.RUN
    assert gate.unresolved == frozenset({7})
    assert gate.refusal(call(6), msgspec.structs.replace(REQUEST, symbol="GBPUSD"), 0) is DenialReason.REPEATED
    assert gate.refusal(call(8), msgspec.structs.replace(REQUEST, symbol="GBPUSD"), 0) is None


def test_a_new_gate_waits_for_no_mode_but_close_only():
    assert Gate().mode is Mode.CLOSE_ONLY


def test_only_who_shut_it_is_told_that_it_had(gate):
    gate.shut("kill-1")
    assert not gate.answered("somebody-else")
    assert gate.answered("kill-1")
    assert not gate.answered("kill-1")


# Across the death of its process


OTHER_SYMBOL = msgspec.structs.replace(REQUEST, symbol="GBPUSD")


def reopened(path: Path) -> DurableGate:
    gate = DurableGate(path)
    gate.mode = Mode.RUN
    return gate


def test_a_gate_without_a_file_admits_the_first_number(tmp_path):
    assert asked(reopened(tmp_path / "gate")) is None


def test_an_empty_file_of_before_admits_the_first_number(tmp_path):
    (tmp_path / "gate").write_bytes(b"[]")
    assert asked(reopened(tmp_path / "gate")) is None


def test_what_was_admitted_stands_for_every_resource_after_its_process(tmp_path):
    gate = reopened(tmp_path / "gate")
    gate.admit(call(5), REQUEST)
    gate.admit(call(7, OTHER_SLOT), OTHER_SLOT)
    gate.resolve(7)
    again = reopened(tmp_path / "gate")
    assert again.unresolved == frozenset({5})
    assert [asked(again, number, OTHER_SYMBOL) for number in (5, 7)] == [DenialReason.REPEATED] * 2
    assert asked(again, 6, OTHER_SLOT) is DenialReason.REPEATED
    assert asked(again, 8) is DenialReason.SLOT_LOCKED
    assert asked(again, 8, OTHER_SLOT) is None
    assert asked(again, 4, OTHER_SYMBOL) is None


def test_what_is_settled_is_settled_after_its_process_too(tmp_path):
    gate = reopened(tmp_path / "gate")
    gate.admit(call(5), REQUEST)
    gate.resolve(4)
    assert reopened(tmp_path / "gate").unresolved == frozenset({5})
    gate.resolve(5)
    again = reopened(tmp_path / "gate")
    assert again.unresolved == frozenset()
    assert asked(again, 6) is None


def test_numbers_of_long_ago_are_refused_after_its_process_too(tmp_path):
    gate = DurableGate(tmp_path / "gate")
    for number in range(1, NUMBERS_KEPT + 1):
        Gate.admit(gate, call(number), REQUEST)
    gate.admit(call(NUMBERS_KEPT + 1), REQUEST)
    again = reopened(tmp_path / "gate")
    assert {asked(again, number, OTHER_SYMBOL) for number in range(1, NUMBERS_KEPT + 2)} == {DenialReason.REPEATED}
    assert asked(again, NUMBERS_KEPT + 2, OTHER_SYMBOL) is None


def test_as_many_numbers_as_are_kept_are_refused_one_by_one(gate):
    """A number between them that was never used may still be used by another symbol."""
    for number in range(2, 2 * NUMBERS_KEPT + 1, 2):
        gate.admit(call(number), REQUEST)
    assert asked(gate, 3, OTHER_SYMBOL) is None
    assert asked(gate, 4, OTHER_SYMBOL) is DenialReason.REPEATED


def test_a_file_that_is_no_gate_s_is_named(tmp_path):
    path = tmp_path / "gate"
    path.write_bytes(b'{"rows":[]}')
    with pytest.raises(GateDamaged, match=r"gate: .*used"):
        DurableGate(path)


def test_what_cannot_be_written_may_not_leave(tmp_path):
    gate = DurableGate(tmp_path / "missing" / "gate")
    with pytest.raises(OSError):
        gate.admit(call(), REQUEST)
