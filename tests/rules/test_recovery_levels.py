import msgspec
import pytest
from builders import config_of

from evenkeel.config.chains import RecoveryConfig
from evenkeel.config.schema import Config
from evenkeel.messages.market import Direction, Quote
from evenkeel.rules.recovery_levels import (
    Terms,
    level_stop_points,
    loss_cents,
    recovery_level,
    reduction_pct,
    spread_points,
    target_points,
    tight_stop_points,
)
from evenkeel.rules.symbols import spec_for

CONFIG: Config = config_of()
RECOVERY = RecoveryConfig()


def terms(symbol: str = "EURUSD", spread: int = 2, stops_level: int = 0) -> Terms:
    spec = msgspec.structs.replace(spec_for(symbol, CONFIG), stops_level_points=stops_level)
    return Terms(spec, 10 if symbol == "EURUSD" else 1, spread)


@pytest.mark.parametrize(
    ("direction", "entry", "stop", "level"),
    [
        (Direction.BUY, 200_000, 199_000, 199_700),
        (Direction.SELL, 200_000, 201_000, 200_300),
        (Direction.BUY, 110_000, 109_500, 109_850),
        (Direction.SELL, 120_000, 120_500, 120_150),
    ],
)
def test_70_percent_is_measured_from_the_stop_back_toward_the_entry(direction, entry, stop, level):
    assert recovery_level(direction, stop_points=stop, gap_points=abs(entry - stop), ratio=0.7) == level


def test_check_3_d6_a_trade_of_level_3_comes_back_by_its_own_gap_not_by_the_first_ones():
    """prevents: 70 % of the first gap, which lies at or beyond the entry of deeper levels"""
    own_gap = level_stop_points(RECOVERY, terms(), first_points=500, level=3)
    assert own_gap == 245
    back = recovery_level(Direction.BUY, stop_points=109_755, gap_points=own_gap, ratio=0.7) - 109_755
    assert back == 172  # 17.15 pips, up to the next point; 0.7 of the first gap were 35
    assert back < own_gap


def test_stops_compound_from_level_to_level():
    stops = [level_stop_points(RECOVERY, terms(), first_points=5000, level=level) for level in range(1, 6)]
    assert stops == [5000, 3500, 2450, 1715, 1200]


def test_beyond_level_5_the_stop_is_a_fifth_of_the_first():
    assert level_stop_points(RECOVERY, terms(), first_points=5000, level=6) == 1000


@pytest.mark.parametrize(
    ("mode", "symbol", "pct"),
    [
        ("aggressive", "EURUSD", 40),
        ("balanced", "EURUSD", 30),
        ("conservative", "EURUSD", 20),
        ("adaptive", "XAUUSD", 35),
        ("adaptive", "EURUSD.pro", 25),
        ("adaptive", "US500", 30),
    ],
)
def test_the_reduction_goes_by_mode_and_adaptive_by_symbol(mode, symbol, pct):
    assert reduction_pct(mode, symbol) == pct


def test_no_stop_is_nearer_than_ten_pips():
    assert level_stop_points(RECOVERY, terms(), first_points=110, level=4) == 100
    assert tight_stop_points(RECOVERY, terms(), 150) == 100


def test_no_stop_is_nearer_than_the_stops_level_and_two_spreads():
    assert tight_stop_points(RECOVERY, terms(spread=30, stops_level=80), 100) == 140


def test_distances_round_down_and_losses_up():
    assert tight_stop_points(RECOVERY, terms(), 333) == 166
    assert target_points(msgspec.structs.replace(RECOVERY, rr_ratio=1.5), 333) == 499
    assert loss_cents(terms().spec, distance_points=333, volume_steps=1) == 333


def test_d17_money_comes_from_the_symbols_own_worth():
    """prevents: 10,000 times a move of whatever symbol as its profit"""
    assert loss_cents(terms("XAUUSD").spec, distance_points=500, volume_steps=50) == 25_000
    assert loss_cents(terms("EURUSD").spec, distance_points=500, volume_steps=50) == 25_000
    assert loss_cents(spec_for("USDJPY", CONFIG), distance_points=500, volume_steps=50) < 25_000


def test_the_spread_is_that_of_the_quote():
    assert spread_points(Quote(0, 100, 103)) == 3
