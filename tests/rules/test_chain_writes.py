from chains import chain, next_of

from evenkeel.rules.chain_writes import WRITES_MAX, Writing, is_awaited, next_write, not_written, write_again, written


def test_a_change_during_a_write_is_written_after_it() -> None:
    writing, first = Writing(), chain(version=0)
    given = next_write(writing, first, 5)
    assert given is not None
    assert (given.version, given.updated_utc_ms) == (1, 5)
    changed = next_of(given, level=2)
    assert next_write(writing, changed, 6) is None
    assert not written(writing, changed)
    after = next_write(writing, changed, 7)
    assert after is not None
    assert after.version == 2
    assert written(writing, after)
    assert next_write(writing, after, 8) is None


def test_an_answer_to_another_write_is_nothing_to_wait_for() -> None:
    writing = Writing()
    assert not is_awaited(writing, 0)
    next_write(writing, chain(version=0), 5)
    assert [is_awaited(writing, version) for version in (0, 1, 2)] == [False, True, False]


def test_a_store_that_refuses_is_asked_again_ever_later_and_then_left_alone_until_something_changes() -> None:
    writing, row = Writing(), chain(version=0)
    waits_ms = []
    for _ in range(WRITES_MAX + 1):
        given = next_write(writing, row, 0)
        assert given is not None
        again_utc_ms = not_written(writing, given, 0)
        waits_ms.append(again_utc_ms)
        if again_utc_ms is not None:
            write_again(writing)
        row = given
    assert waits_ms == [1000, 2000, 4000, None]
    assert next_write(writing, row, 0) is None
    assert next_write(writing, next_of(row, level=2), 0) is not None
