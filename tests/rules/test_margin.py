import pytest
from orders import SPEC

from evenkeel.config.schema import MarginLevelConfig
from evenkeel.messages.market import Direction
from evenkeel.rules.margin import MarginStep, held_margin_cents, level_ppm, margin_per_step, margin_step, reserved_margin_cents
from evenkeel.rules.sizing import Book, Reservation


@pytest.mark.parametrize(
    "equity_cents, step",
    [
        (2_001, MarginStep.NONE),
        (2_000, MarginStep.WARN),
        (1_500, MarginStep.HOLD),
        (1_200, MarginStep.HALVE),
        (1_000, MarginStep.FLATTEN),
        (-5, MarginStep.FLATTEN),
    ],
)
def test_the_gravest_step_of_the_margin_level_counts(equity_cents, step):
    assert margin_step(MarginLevelConfig(), equity_cents, 1_000)[0] is step


def test_without_margin_in_use_there_is_no_level():
    assert margin_step(MarginLevelConfig(), -1, 0) == (MarginStep.NONE, 0)


def test_a_step_that_is_off_is_passed_over():
    config = MarginLevelConfig(flatten_pct="off", halve_pct="off")
    assert margin_step(config, 0, 1_000) == (MarginStep.HOLD, 1_500_000)


def test_margin_follows_from_leverage():
    assert margin_per_step(SPEC, 100) == 1_100
    book = Book(specs={"EURUSD": SPEC}, reservations={"p": Reservation("EURUSD", Direction.BUY, 10, 0, True)})
    assert (reserved_margin_cents(book, 30), held_margin_cents(book, 30)) == (36_667, 0)


def test_a_symbol_without_terms_is_left_out():
    book = Book(reservations={"p": Reservation("EURUSD", Direction.BUY, 10, 0, True)})
    assert reserved_margin_cents(book, 30) == 0


def test_the_level_is_rounded_down():
    assert level_ppm(2, 3) == 666_666
