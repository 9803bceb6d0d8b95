import pytest
from hypothesis import given
from hypothesis import strategies as st

from evenkeel.rules.magic import (
    COMMENT_CHARACTERS_MAX,
    INSTALLATION_MAX,
    NUMBER_MAX,
    comment_for,
    is_ours,
    magic_for,
    magic_in,
    number_of,
)

installations = st.integers(0, INSTALLATION_MAX)
numbers = st.integers(1, NUMBER_MAX)


@given(installations, numbers)
def test_a_magic_gives_its_number_back_and_is_ours(installation, number):
    magic = magic_for(installation, number)
    assert (number_of(magic), is_ours(magic, installation)) == (number, True)
    assert 0 < magic < 2**53


@given(installations, installations, numbers)
def test_another_installation_s_orders_are_foreign(ours, theirs, number):
    assert is_ours(magic_for(theirs, number), ours) == (ours == theirs)


@pytest.mark.parametrize("magic", [0, 1, 123_456, 2**53])
def test_what_a_person_or_another_program_sends_is_foreign(magic):
    assert not is_ours(magic, 0)


@pytest.mark.parametrize("installation, number", [(INSTALLATION_MAX + 1, 1), (0, 0), (0, NUMBER_MAX + 1)])
def test_a_number_that_would_be_used_twice_is_never_given(installation, number):
    with pytest.raises(AssertionError):
        magic_for(installation, number)


@given(installations, numbers)
def test_a_comment_names_its_magic_in_a_few_ascii_letters(installation, number):
    magic = magic_for(installation, number)
    comment = comment_for(magic)
    assert magic_in(comment) == magic
    assert len(comment) <= COMMENT_CHARACTERS_MAX
    assert comment.isascii()


@given(installations, numbers, st.integers(2, 13), st.sampled_from("0123456789abcdefg"))
def test_one_letter_that_was_changed_makes_it_nobody_s(installation, number, at, letter):
    comment = comment_for(magic_for(installation, number))
    changed = comment[:at] + letter + comment[at + 1 :]
    assert magic_in(changed) == 0 or changed == comment


@given(installations, numbers, st.integers(0, 13))
def test_a_comment_that_was_cut_is_nobody_s(installation, number, left):
    assert magic_in(comment_for(magic_for(installation, number))[:left]) == 0


@pytest.mark.parametrize("comment", ["", "ek", "[sl 1.08500]", "ek0000000000000", "EK00007000001C", "so 48.2%"])
def test_what_is_no_comment_of_ours_names_no_magic(comment):
    assert magic_in(comment) == 0
