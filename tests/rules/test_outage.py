"""The supervisor is gone: start it again, leave it, or hold the account, and what to close meanwhile."""

import pytest

from evenkeel.config.schema import WatchdogConfig
from evenkeel.messages.broker_gateway import BrokerPosition
from evenkeel.messages.market import Direction
from evenkeel.rules.outage import NOTHING_SEEN, End, Verdict, after_end, back_off_s, look, to_close

CONFIG = WatchdogConfig(restarts_max=3, restarts_minutes=10.0)
CRASHED = End(-9, asked=False, hung=False, fresh_may_do_better=True)
HUNG = End(-9, asked=False, hung=True, fresh_may_do_better=True)
STOPPED = End(0, asked=True, hung=False, fresh_may_do_better=False)
STOPPED_WITH_LATE_CHILDREN = End(1, asked=True, hung=False, fresh_may_do_better=False)
STOPPED_WITHOUT_JOURNAL = End(75, asked=True, hung=False, fresh_may_do_better=True)
INVALID = End(6, asked=False, hung=False, fresh_may_do_better=False)


@pytest.mark.parametrize(
    "end, has_served, verdict",
    [
        (STOPPED, True, Verdict.LEAVE),
        (STOPPED_WITH_LATE_CHILDREN, True, Verdict.LEAVE),
        (STOPPED_WITHOUT_JOURNAL, True, Verdict.RESTART),
        (CRASHED, True, Verdict.RESTART),
        (CRASHED, False, Verdict.RESTART),
        (HUNG, True, Verdict.RESTART),
        (INVALID, False, Verdict.LEAVE),
        (INVALID, True, Verdict.HOLD),
    ],
)
def test_an_end_is_left_mended_or_held(end: End, has_served: bool, verdict: Verdict) -> None:
    assert after_end(end, has_served=has_served, restarts_s=[], now_s=0.0, config=CONFIG) is verdict


def test_the_fourth_crash_in_ten_minutes_makes_it_hold() -> None:
    found = [
        after_end(CRASHED, has_served=True, restarts_s=[100.0] * restarts, now_s=200.0, config=CONFIG) for restarts in range(4)
    ]
    assert found == [Verdict.RESTART] * 3 + [Verdict.HOLD]


def test_restarts_of_long_ago_are_forgotten() -> None:
    assert after_end(CRASHED, has_served=True, restarts_s=[0.0] * 9, now_s=600.0, config=CONFIG) is Verdict.RESTART


def test_a_supervisor_that_is_never_to_be_restarted_is_held_at_once() -> None:
    config = WatchdogConfig(restarts_max=0)
    assert after_end(CRASHED, has_served=True, restarts_s=[], now_s=0.0, config=config) is Verdict.HOLD


def test_the_first_restart_is_at_once_and_each_other_waits_longer() -> None:
    assert [back_off_s(recent) for recent in range(5)] == [0.0, 1.0, 2.0, 4.0, 8.0]
    assert back_off_s(50) == 30.0


def position(ticket: int, stop_points: int) -> BrokerPosition:
    return BrokerPosition(ticket, "EURUSD", 1, Direction.BUY, 10, 110_000, stop_points, 0, 7, 0)


SAFE, BARE, FOREIGN = position(1, 109_000), position(2, 0), position(3, 0)
SEEN = look([SAFE, BARE, FOREIGN], frozenset({1, 2}))


@pytest.mark.parametrize(
    "changes, before, outage_s, flatten_asked, closed",
    [
        pytest.param({}, NOTHING_SEEN, 0, False, [], id="a missing stop is not believed at the first look"),
        pytest.param({}, SEEN, 0, False, [BARE], id="seen twice, that position is closed"),
        pytest.param({"close_unprotected": "off"}, SEEN, 0, False, [], id="unless that is switched off by name"),
        pytest.param({}, SEEN, 86_400, False, [BARE], id="a long outage alone closes nothing that has a stop"),
        pytest.param({"flatten_after_minutes": 15.0}, NOTHING_SEEN, 899, False, [], id="not before the time"),
        pytest.param({"flatten_after_minutes": 15.0}, NOTHING_SEEN, 900, False, [SAFE, BARE], id="then all of ours"),
        pytest.param({}, NOTHING_SEEN, 0, True, [SAFE, BARE], id="a person's flatten is carried out"),
    ],
)
def test_what_a_held_account_closes(
    changes: dict[str, object], before: object, outage_s: float, flatten_asked: bool, closed: list[BrokerPosition]
) -> None:
    config = WatchdogConfig(**changes)  # type: ignore[arg-type]
    found = to_close(before, SEEN, outage_s=outage_s, flatten_asked=flatten_asked, config=config)  # type: ignore[arg-type]
    assert list(found) == closed
