"""When bars fire the shield: a run against the direction, wide enough, that ends beyond the swing before it."""

import pytest
from orders import SPEC
from shield_builders import BUY, FALL, FLAT, RISE, SELL, bar, trade

from evenkeel.config.chains import ShieldConfig
from evenkeel.messages.market import Direction
from evenkeel.messages.shield import ShieldReason
from evenkeel.rules.shield import Blocks, Market, Trigger, bar_closed, bars_trigger, opened, specified

CONFIG = ShieldConfig()


def after(*bars: tuple[int, int, int, int]) -> Market:
    """A symbol's bars when nothing is watched."""
    blocks = Blocks()
    for prices in bars:
        assert bar_closed(CONFIG, blocks, bar(prices), 0) == []
    return blocks.markets["GOLD"]


def test_three_bars_down_beyond_the_swing_low_fire_against_buying():
    trigger = bars_trigger(CONFIG, after(*FLAT, *FALL), BUY)
    assert trigger == Trigger(ShieldReason.BARS, measured_points=65, bound_points=32)


def test_up_and_down_are_mirror_images():
    assert bars_trigger(CONFIG, after(*FLAT, *RISE), SELL) == bars_trigger(CONFIG, after(*FLAT, *FALL), BUY)


@pytest.mark.parametrize(
    "why, bars, direction",
    [
        ("it is the other direction", (*FLAT, *FALL), SELL),
        ("one of the three closed where it opened", (*FLAT, FALL[0], (9_980, 9_980, 9_955, 9_980), FALL[2]), BUY),
        ("there are too few bars for an average range", FALL, BUY),
        (
            "the last close is at the swing, not beyond it",
            (*FLAT, *[(o + 50, h + 50, w + 50, c + 50) for o, h, w, c in FALL]),
            BUY,
        ),
        (
            "they span less than the range that it takes",
            (
                *[(10_000, 10_040, 9_990, 10_000)] * 17,
                (9_999, 9_999, 9_980, 9_995),
                (9_995, 9_995, 9_980, 9_990),
                (9_990, 9_990, 9_970, 9_980),
            ),
            BUY,
        ),
    ],
)
def test_bars_do_not_fire_when(why: str, bars: tuple[tuple[int, int, int, int], ...], direction: Direction):
    assert bars_trigger(CONFIG, after(*bars), direction) is None, why


def test_how_many_bars_and_how_wide_is_configured():
    market = after(*FLAT, *FALL)
    assert bars_trigger(ShieldConfig(bars=4), market, BUY) is None
    assert bars_trigger(ShieldConfig(bars=2), market, BUY) is not None
    assert bars_trigger(ShieldConfig(atr_multiple=4.0), market, BUY) is None
    assert bars_trigger(ShieldConfig(swing_bars=10, bars=10), market, BUY) is None


def test_a_trade_that_is_told_of_twice_is_watched_once():
    blocks = Blocks()
    specified(blocks, SPEC)
    assert opened(CONFIG, blocks, trade(1), 0) != []
    assert opened(CONFIG, blocks, trade(1), 0) == []
