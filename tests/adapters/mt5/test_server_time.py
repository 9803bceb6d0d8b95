"""The broker's clock: found from fresh ticks, believed after three, kept on disk, told of when it changes."""

from pathlib import Path

import pytest

from evenkeel.adapters.mt5.server_time import OffsetUnknown, ServerTime
from evenkeel.adapters.simulated.server.clock import ServerClock

HOUR_MS = 3_600_000
MARCH_UTC_MS = 1_774_746_000_000
"""Sunday, 29 March 2026, 01:00 UTC: Europe's clocks go forward."""
OCTOBER_UTC_MS = 1_792_890_000_000
"""Sunday, 25 October 2026, 01:00 UTC: they go back."""


def seen(time: ServerTime, offset_ms: int, now_utc_ms: int, *, age_ms: int = 300, times: int = 1) -> ServerTime:
    """`times` new ticks, after one that may have stood there for long."""
    for at in range(times + 1):
        time.observe("EURUSD", now_utc_ms + at * 1000 - age_ms + offset_ms, now_utc_ms + at * 1000)
    return time


def test_before_the_first_fresh_tick_no_time_can_be_told() -> None:
    time = ServerTime(None)
    with pytest.raises(OffsetUnknown):
        time.utc_ms(1)
    with pytest.raises(OffsetUnknown):
        time.offset_ms(1)


@pytest.mark.parametrize("offset_h", [0, 2, 3, -5, 5.5])
def test_the_first_fresh_tick_says_the_offset(offset_h: float) -> None:
    offset_ms = round(offset_h * HOUR_MS)
    time = seen(ServerTime(None), offset_ms, MARCH_UTC_MS)
    assert time.offset_ms(MARCH_UTC_MS) == offset_ms
    assert time.utc_ms(MARCH_UTC_MS + offset_ms) == MARCH_UTC_MS


@pytest.mark.parametrize("age_ms", [10 * 60_000, 5 * HOUR_MS + 7 * 60_000, 49 * HOUR_MS])
def test_a_stale_tick_says_nothing(age_ms: int) -> None:
    assert not seen(ServerTime(None), 2 * HOUR_MS, MARCH_UTC_MS, age_ms=age_ms).is_known


@pytest.mark.parametrize("pause_h", [0.25, 1, 15, 49])
def test_a_quiet_market_whose_last_tick_grows_old_changes_nothing(pause_h: float) -> None:
    """Looked at again and again, also when its age is just a quarter of an hour, or several."""
    told: list[tuple[int, int]] = []
    time = seen(ServerTime(None, lambda before, now: told.append((before, now))), 2 * HOUR_MS, MARCH_UTC_MS)
    last_ms = MARCH_UTC_MS + 1_000 + 2 * HOUR_MS
    for since_ms in range(0, round(pause_h * HOUR_MS) + 120_000, 5_000):
        time.observe("EURUSD", last_ms, MARCH_UTC_MS + since_ms)
    assert (time.rows, told) == (((0, 2 * HOUR_MS),), [])


def test_a_tick_that_stood_there_at_the_start_says_nothing() -> None:
    time = ServerTime(None)
    for at in range(10):
        time.observe("EURUSD", MARCH_UTC_MS, MARCH_UTC_MS + 30 * 60_000 + at)
    assert not time.is_known


def test_one_odd_tick_changes_nothing_three_that_agree_do_and_it_is_told() -> None:
    told: list[tuple[int, int]] = []
    time = seen(ServerTime(None, lambda before, now: told.append((before, now))), 2 * HOUR_MS, MARCH_UTC_MS)

    seen(time, 3 * HOUR_MS, MARCH_UTC_MS + 10_000)
    seen(time, 2 * HOUR_MS, MARCH_UTC_MS + 3 * HOUR_MS)
    assert (time.offset_ms(MARCH_UTC_MS + 4 * HOUR_MS), told) == (2 * HOUR_MS, [])

    seen(time, 3 * HOUR_MS, MARCH_UTC_MS + 5 * HOUR_MS, times=3)
    assert (time.offset_ms(MARCH_UTC_MS + 6 * HOUR_MS), told) == (3 * HOUR_MS, [(2 * HOUR_MS, 3 * HOUR_MS)])


@pytest.mark.parametrize("change_utc_ms", [MARCH_UTC_MS, OCTOBER_UTC_MS])
def test_history_on_both_sides_of_a_clock_change_is_read_with_its_own_offset(change_utc_ms: int) -> None:
    broker, time = ServerClock("EET"), ServerTime(None)
    for now_utc_ms in range(change_utc_ms - 20_000, change_utc_ms + 20_000, 1000):
        time.observe("EURUSD", broker.server_ms(now_utc_ms), now_utc_ms)

    for utc_ms in (
        change_utc_ms - 30 * HOUR_MS,
        change_utc_ms - 2 * HOUR_MS,
        change_utc_ms + 2 * HOUR_MS,
        change_utc_ms + 30 * HOUR_MS,
    ):
        assert time.utc_ms(broker.server_ms(utc_ms)) == utc_ms
        assert time.server_s(utc_ms) == broker.server_ms(utc_ms) // 1000


def test_the_table_survives_the_process_and_a_damaged_one_is_as_none(tmp_path: Path) -> None:
    store = tmp_path / "server-time"
    seen(ServerTime(store), 3 * HOUR_MS, MARCH_UTC_MS)
    assert ServerTime(store).offset_ms(MARCH_UTC_MS) == 3 * HOUR_MS

    store.write_bytes(store.read_bytes()[:-1])
    assert not ServerTime(store).is_known
