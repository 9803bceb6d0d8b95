import msgspec
import pytest
from orders import SPEC

from evenkeel.config.limits import MarginLevelConfig
from evenkeel.messages.market import Direction
from evenkeel.rules.margin import (
    MarginStep,
    half_left_steps,
    held_margin_cents,
    level_ppm,
    margin_per_step,
    margin_step,
    reserved_margin_cents,
)
from evenkeel.rules.sizing import Book, Holding, Reservation


def holding(volume_steps: int) -> Holding:
    return Holding("EURUSD", Direction.BUY, volume_steps, 110_000, 109_900, 0, True, None, 0)


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


@pytest.mark.parametrize("leverage, cents", [(30, 36_667), (1, 1_100_000), (0, 1_100_000)])
def test_positions_block_margin_by_leverage_rounded_up_and_all_of_it_without(leverage, cents):
    book = Book(specs={"EURUSD": SPEC}, holdings={1: holding(10), 2: holding(10)})
    assert (held_margin_cents(book, leverage), reserved_margin_cents(book, leverage)) == (2 * cents, 0)


def test_without_leverage_a_step_blocks_all_that_it_is_worth():
    assert margin_per_step(SPEC, 1) == margin_per_step(SPEC, 0) == 110_000


def test_one_cent_of_margin_is_a_level():
    assert margin_step(MarginLevelConfig(), 1, 1) == (MarginStep.FLATTEN, 1_000_000)


def test_a_level_above_every_step_has_no_limit():
    assert margin_step(MarginLevelConfig(), 3_000, 1_000) == (MarginStep.NONE, 0)


@pytest.mark.parametrize("volume_steps, left_steps", [(10, 5), (9, 4), (6, 3), (5, 0), (1, 0)])
def test_half_of_a_position_stays_or_nothing_where_that_is_too_small(volume_steps, left_steps):
    assert half_left_steps(holding(volume_steps), msgspec.structs.replace(SPEC, volume_min_steps=3)) == left_steps
