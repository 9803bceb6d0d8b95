import pytest

from evenkeel.adapters.hidden import HIDDEN, SHOWN, Hidden
from evenkeel.adapters.secrets import Secret


@pytest.mark.parametrize(
    "name, is_hidden",
    [
        ("EVENKEEL_SECRET_TELEGRAM", True),
        ("TELEGRAM_TOKEN", True),
        ("broker_password", True),
        ("SOME_API_KEY", True),
        ("EVENKEEL_SECRET_TELEGRAM_FILE", False),
        ("EVENKEEL_SET__webhooks__token", False),
        ("HOME", False),
        ("KEYBOARD", False),
    ],
)
def test_the_name_of_a_variable_says_whether_its_value_is_hidden(name: str, is_hidden: bool) -> None:
    shown = Hidden({name: "hunter22"}).shown("it is hunter22, twice hunter22")
    assert shown == (f"it is {SHOWN}, twice {SHOWN}" if is_hidden else "it is hunter22, twice hunter22")


def test_a_short_value_hides_nothing() -> None:
    assert Hidden({"TOKEN": "on"}).shown("position opened") == "position opened"


def test_of_two_secrets_of_which_one_holds_the_other_nothing_is_left() -> None:
    hidden = Hidden({"A_TOKEN": "abcdefgh"})
    hidden.hide("abcdefgh-ijkl")
    assert hidden.shown("abcdefgh-ijkl abcdefgh") == f"{SHOWN} {SHOWN}"


def test_a_secret_that_is_in_use_is_hidden() -> None:
    Secret("hunter2-of-this-test", "a place")
    assert HIDDEN.shown("refused: hunter2-of-this-test") == f"refused: {SHOWN}"
