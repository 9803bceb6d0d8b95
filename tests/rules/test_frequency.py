import pytest

from evenkeel.config.limits import RejectsConfig, RequestsConfig, SlippageConfig
from evenkeel.messages.entry import DenialReason
from evenkeel.rules.entries import Refusal
from evenkeel.rules.frequency import (
    RejectCounts,
    RequestCounts,
    TradeCounts,
    day_counted,
    hour_end_utc_ms,
    reject_counted,
    request_counted,
    request_not_sent,
    request_refusal,
    slip_counted,
    slippage_points_max,
    trade_counted,
    trades_in_hour,
)

HOUR_MS = 3_600_000
MINUTE_MS = 60_000


def test_an_hour_is_the_clocks():
    counts = trade_counted(TradeCounts(), HOUR_MS - 1)
    assert trades_in_hour(counts, HOUR_MS - 1) == 1
    assert trades_in_hour(counts, HOUR_MS) == 0
    assert hour_end_utc_ms(HOUR_MS) == 2 * HOUR_MS
    assert trade_counted(counts, HOUR_MS) == TradeCounts(today=2, hour=1, in_hour=1)


@pytest.mark.parametrize("today, limit, days", [(3, 3, 2), (2, 3, 0), (0, 3, 1), (3, "off", 0)])
def test_a_day_joins_the_row_ends_it_or_had_no_trade(today, limit, days):
    assert day_counted(TradeCounts(today=today, days_at_limit=1), limit) == TradeCounts(days_at_limit=days)


def requests_at(config, *times_utc_ms):
    counts = RequestCounts()
    for utc_ms in times_utc_ms:
        counts = request_counted(config, counts, utc_ms)
    return counts


@pytest.mark.parametrize(
    "times_utc_ms, now_utc_ms, reason",
    [
        ([0, 1], 999, DenialReason.REQUESTS_PER_SECOND),
        ([0, 1], 1000, None),
        ([0, 1000, 2000], 59_999, DenialReason.REQUESTS_PER_MINUTE),
        ([0, 1000, 2000], 60_000, None),
        ([0, MINUTE_MS, 2 * MINUTE_MS, 3 * MINUTE_MS], HOUR_MS, DenialReason.REQUESTS_PER_DAY),
    ],
)
def test_requests_count_in_the_last_second_minute_and_day(times_utc_ms, now_utc_ms, reason):
    config = RequestsConfig(open_and_modify_per_s=2, open_and_modify_per_min=3, open_and_modify_per_day=4)
    refusal = request_refusal(config, requests_at(config, *times_utc_ms), now_utc_ms)
    assert (refusal and refusal.reason) == reason


def test_only_as_many_times_are_kept_as_a_limit_asks_for():
    config = RequestsConfig(open_and_modify_per_s=2, open_and_modify_per_min="off", open_and_modify_per_day="off")
    assert requests_at(config, *range(100)) == RequestCounts(100, (98, 99))


def test_a_request_that_was_not_sent_does_not_count():
    assert request_not_sent(RequestCounts(3, (1, 2, 2)), 2) == RequestCounts(2, (1, 2))
    assert request_not_sent(RequestCounts(0, ()), 2) == RequestCounts(0, ())


def test_holds_for_rejects_double_up_to_the_longest():
    counts, minutes = RejectCounts(), []
    for _ in range(10):
        counts, hold_ms = reject_counted(RejectsConfig(), counts, is_held=False)
        minutes.append(hold_ms // MINUTE_MS)
    assert minutes == [0, 0, 0, 0, 5, 10, 20, 40, 60, 60]


def test_a_hold_for_rejects_that_stands_is_not_prolonged():
    assert reject_counted(RejectsConfig(), RejectCounts(5, 1), is_held=True) == (RejectCounts(6, 1), 0)


@pytest.mark.parametrize("multiple, median_points, most_points", [(3.0, 10, 30), (3.0, 0, 5), (3.0, 1, 5), ("off", 10, None)])
def test_a_fill_may_slip_by_a_multiple_of_the_spread_and_by_the_floor(multiple, median_points, most_points):
    assert slippage_points_max(SlippageConfig(multiple_max=multiple), median_points, 5) == most_points


def test_slipped_fills_count_for_so_long():
    config = SlippageConfig()
    assert slip_counted(config, (0,), 5 * MINUTE_MS) == ((), True)
    assert slip_counted(config, (0,), 5 * MINUTE_MS + 1) == ((5 * MINUTE_MS + 1,), False)


def test_another_trade_leaves_the_days_in_a_row_as_they_are():
    assert trade_counted(TradeCounts(days_at_limit=2), 0) == TradeCounts(today=1, in_hour=1, days_at_limit=2)


def test_a_refused_request_says_how_many_there_were_and_how_many_may_be():
    config = RequestsConfig(open_and_modify_per_s=2, open_and_modify_per_min=3, open_and_modify_per_day=4)
    refused = request_refusal(config, requests_at(config, 0, 1000, 2000), 59_999)
    assert refused == Refusal(DenialReason.REQUESTS_PER_MINUTE, 3, 3, "count")


def test_limits_of_requests_and_rejects_that_are_off_refuse_nothing_and_keep_no_times():
    off = RequestsConfig(open_and_modify_per_s="off", open_and_modify_per_min="off", open_and_modify_per_day="off")
    counts = requests_at(off, 0, 1, 2)
    assert (counts, request_refusal(off, counts, 3)) == (RequestCounts(today=3), None)
    rejects = reject_counted(RejectsConfig(in_a_row_max="off"), RejectCounts(in_a_row=99), is_held=False)
    assert rejects == (RejectCounts(in_a_row=100), 0)
