from datetime import UTC, datetime

import pytest
from builders import config_of

from evenkeel.config.chains import RecoveryConfig, SlHuntConfig
from evenkeel.messages.recovery import ChainState
from evenkeel.rules.recovery_windows import after_open_time, continuation_minutes, hunt_minutes, window_ends_utc_ms

MINUTE_MS = 60_000


def at(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * 1000


@pytest.mark.parametrize(
    ("symbol", "minutes"),
    [("EURUSD", 30), ("GBPUSD", 25), ("XAUUSD", 20), ("XAUUSD.raw", 20), ("BTCUSD", 12), ("USDMXN", 50), ("US500", 30)],
)
def test_windows_go_by_symbol(symbol, minutes):
    assert hunt_minutes(RecoveryConfig(), symbol) == minutes


def test_a_configured_window_goes_before_the_table():
    config = RecoveryConfig(sl_hunt=SlHuntConfig(window_minutes_by_symbol={"EURUSD": 7.5}))
    assert hunt_minutes(config, "EURUSD") == 7.5


def test_the_logic_has_its_own_window_for_continuations():
    assert [continuation_minutes(RecoveryConfig(), logic) for logic in ("off", "logic1", "logic2", "logic3")] == [
        30,
        30,
        45,
        120,
    ]


def test_while_the_market_is_shut_the_clock_of_a_window_stands_still():
    # New York's 17:00 is 22:00 UTC in January
    assert after_open_time(at("2026-01-09T21:50"), 30 * MINUTE_MS) == at("2026-01-11T22:20")
    assert after_open_time(at("2026-01-10T12:00"), 30 * MINUTE_MS) == at("2026-01-11T22:30")


def test_in_the_week_a_window_is_as_long_as_it_says():
    assert after_open_time(at("2026-01-08T21:50"), 30 * MINUTE_MS) == at("2026-01-08T22:20")
    assert after_open_time(at("2026-01-09T21:30"), 30 * MINUTE_MS) == at("2026-01-09T22:00")


def test_clocks_that_change_over_the_weekend_change_nothing():
    assert after_open_time(at("2026-03-06T21:59"), 2 * MINUTE_MS) == at("2026-03-08T21:01")


def test_what_is_traded_always_has_no_weekend():
    began = at("2026-01-10T12:00")
    ends = window_ends_utc_ms(config_of(), ChainState.RECOVERY_MODE, plugin="x", symbol="BTCUSD", began_utc_ms=began)
    assert ends == began + 12 * MINUTE_MS
