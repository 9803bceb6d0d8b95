from hypothesis import given
from hypothesis import strategies as st

from evenkeel.rules.seen_deals import KEPT, is_new, keep


def told(tickets: list[int], newest: int = 0) -> tuple[list[int], int, list[int]]:
    """Which of `tickets` were new, and the newest and recent ones afterwards."""
    recent: list[int] = []
    new = []
    for ticket in tickets:
        if is_new(ticket, newest, recent):
            new.append(ticket)
        newest = keep(ticket, newest, recent)
    return new, newest, recent


def test_a_line_that_is_told_twice_is_new_once():
    assert told([5, 5, 7, 5, 7])[0] == [5, 7]


def test_a_line_that_is_shown_late_is_new_once():
    assert told([5, 9, 7, 7, 5])[:2] == ([5, 9, 7], 9)


def test_what_was_counted_before_anything_was_kept_one_by_one_is_not_new():
    assert told([4999, 5000, 5001, 4999], newest=5000)[0] == [5001]


@given(st.permutations(range(1, KEPT + 1)))
def test_in_whatever_order_the_lines_come_each_is_new_once(tickets):
    assert sorted(told([*tickets, *tickets])[0]) == list(range(1, KEPT + 1))


def test_only_so_many_are_kept_and_what_is_older_than_all_of_them_is_old():
    _, newest, recent = told(list(range(2, 3 * KEPT)))
    assert (len(recent), newest) == (KEPT, 3 * KEPT - 1)
    assert not is_new(1, newest, recent)
