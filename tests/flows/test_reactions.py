"""Every loss that the table of reactions names is noticed as it says: a test stands behind each row."""

import ast
from functools import cache
from pathlib import Path
from typing import Final

import pytest

from evenkeel.adapters.terminal_host.keeper import BEAT_S
from evenkeel.adapters.wall_clock import LOOK_S as CLOCK_LOOK_S
from evenkeel.commands.live import JOURNAL_LEASE_S, SUPERVISION_LEASE_S
from evenkeel.commands.main_loop import TICK_S
from evenkeel.commands.watchdog import LOOK_S
from evenkeel.config.schema import WatchdogConfig
from evenkeel.rules.outage import REACTIONS
from evenkeel.runtime.shell import LEASE_S
from evenkeel.runtime.threaded import WATCH_EVERY_S

TESTS: Final = Path(__file__).parents[1]

PROVEN_BY: Final = {
    "an actor dies": "flows/test_crash_at_every_message.py::test_an_actor_killed_at_any_message_changes_no_decision",
    "an actor dies twice": "flows/test_orders.py::test_the_second_crash_of_a_position_s_actor_holds_its_symbol_until_a_rearm",
    "an actor does not come back from a message": (
        "runtime/test_pykka_failures.py::test_an_actor_that_does_not_come_back_ends_the_process"
    ),
    "an edge hangs": "runtime/test_pykka_failures.py::test_a_stuck_edge_is_replaced_and_only_what_it_saw_still_counts",
    "the supervising thread": "commands/test_run.py::test_a_supervising_thread_that_stands_still_ends_the_process",
    "the journal's writer stands still": (
        "commands/test_run.py::test_a_journal_that_stands_still_is_told_once_and_ends_nothing_because_exits_go_on"
    ),
    "the process dies": "flows/test_watchdog.py::test_a_supervisor_that_dies_is_started_again",
    "the process hangs": "flows/test_watchdog.py::test_a_supervisor_that_hangs_is_killed_and_started_again",
    "the process cannot be kept alive": (
        "flows/test_watchdog.py::test_when_restarts_do_not_help_the_account_is_held_and_said_so"
    ),
    "a position without a stop, while held": (
        "flows/test_watchdog.py::test_a_held_account_closes_what_has_no_stop_then_all_of_ours_when_a_person_says_so"
    ),
    "the outage lasts, while held": "rules/test_outage.py::test_what_a_held_account_closes",
    "the terminal host dies": (
        "flows/test_host_is_killed.py::test_a_host_killed_in_the_middle_of_an_order_leaves_no_duplicate_and_no_question"
    ),
    "the terminal host hangs": (
        "adapters/terminal_host/test_service.py::test_an_answer_that_does_not_come_in_time_is_unknown_and_the_keeper_hears_of_it"
    ),
    "the broker's link": (
        "adapters/test_terminal.py::"
        "test_what_waited_while_the_quotes_stood_still_is_void_and_nothing_bursts_out_when_they_are_back"
    ),
    "the machine was suspended": (
        "adapters/test_wall_clock.py::test_after_a_suspended_machine_new_risk_waits_until_the_broker_was_read_again"
    ),
    "the wall clock jumps": "adapters/test_wall_clock.py::test_a_jump_holds_new_risk_once_and_the_return_ends_it",
    "no word from a person": "actors/test_attendance.py::test_silence_lowers_the_mode_to_close_only",
}

NOTICED_S: Final = {
    "an actor dies": WATCH_EVERY_S,
    "an actor dies twice": WATCH_EVERY_S,
    "an actor does not come back from a message": LEASE_S + WATCH_EVERY_S,
    "the supervising thread": SUPERVISION_LEASE_S + TICK_S,
    "the journal's writer stands still": JOURNAL_LEASE_S + TICK_S,
    "the process dies": LOOK_S,
    "the process hangs": WatchdogConfig().silent_s + LOOK_S,
    "the terminal host dies": BEAT_S,
    "the machine was suspended": CLOCK_LOOK_S,
    "the wall clock jumps": CLOCK_LOOK_S,
}


@cache
def functions_in(file: Path) -> frozenset[str]:
    tree = ast.parse(file.read_text("utf-8"))
    return frozenset(node.name for node in tree.body if isinstance(node, ast.FunctionDef))


def test_every_row_has_its_test_and_no_other_loss_is_claimed() -> None:
    assert {row.loss for row in REACTIONS} == set(PROVEN_BY)


@pytest.mark.parametrize("loss", PROVEN_BY)
def test_the_test_behind_a_row_is_there(loss: str) -> None:
    file, _, name = PROVEN_BY[loss].partition("::")
    assert name in functions_in(TESTS / file)


@pytest.mark.parametrize("row", [row for row in REACTIONS if row.within_s is not None], ids=lambda row: row.loss)
def test_what_is_promised_leaves_room_for_what_notices_it(row) -> None:  # type: ignore[no-untyped-def]
    assert NOTICED_S[row.loss] < row.within_s
