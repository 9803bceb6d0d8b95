import pytest
from hypothesis import given
from hypothesis import strategies as st

from evenkeel.rules.magic import INSTALLATION_MAX, NUMBER_MAX, is_ours, magic_for, number_of

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
