"""The health edge beside the real children, on the deterministic host: what alarms, once, and what does not."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import pytest
from builders import MONDAY_UTC_MS, World, config_of
from stage import BUY, CONFIG, READINGS_AT_START, Stage, blind, fault, mined

from evenkeel.adapters.health import Health, Sources
from evenkeel.adapters.simulated.faults import Call, Fault, FaultKind
from evenkeel.messages.broker_gateway import AccountRead
from evenkeel.messages.health import HealthAlarmed, HealthEased
from evenkeel.messages.market import DisarmWatches
from evenkeel.messages.operator import HoldPlaced
from evenkeel.rules.exits import guarded_tickets
from evenkeel.runtime.stepped import SteppedHost

MINUTE_S = 60
HOUR_S = 3_600
FRIDAY_2100_S = (4 * 24 + 21) * HOUR_S
"""Seconds from the stage's Monday to Friday 21:00 UTC, an hour before the week's close."""


WITHOUT_LIMITS = config_of(profile="plain", entry__volume_lots=0.1, circuit_breaker__enabled=False, strategy={})


class Child(NamedTuple):
    name: str
    serving: bool


class Journal(NamedTuple):
    durable_seq: int = 0
    failure: str | None = None


def health_edge(world: World, host: Callable[[], SteppedHost]) -> Mapping[str, Callable[[], Any]]:
    """With its real sources, as far as this host has them; parts of a live run alone are always well."""

    def quote_ns(symbol: str) -> int | None:
        quote = world.board.served(symbol)
        return None if quote is None else quote.monotonic_ns

    def held() -> dict[int, str]:
        positions = host().child("broker_gateway").state.book.positions
        return {ticket: position.symbol for ticket, position in positions.items()}

    def armed() -> set[int]:
        symbols = host().child("market_feed").state.symbols.values()
        return guarded_tickets(armed.watch for symbol in symbols for armed in symbol.watches.armed)

    sources = Sources(
        children=lambda: [Child(name, True) for name in ("position/EURUSD", "position/GBPUSD", "market_feed", "storage")],
        quote_ns=quote_ns,
        held=held,
        armed=armed,
        read_ns=lambda: host().child("terminal").read_ns,
        journal=Journal(),
        last_seq=lambda: 0,
        stores=dict,
        backup_utc_ms=world.clock.now_utc_ms,
        heard_utc_ms=lambda: None,
    )
    clock, began_ns = world.clock, MONDAY_UTC_MS * 1_000_000
    return {
        "health": lambda: Health(
            CONFIG, ("EURUSD", "GBPUSD"), sources, monotonic_ns=clock.monotonic_ns, started_ns=began_ns, utc_ms=clock.now_utc_ms
        )
    }


class Ward:
    """A stage that is looked after: each second a quote of each symbol that ticks, a reading of the broker, and a look."""

    def __init__(self, *faults: Fault, **changes: Any) -> None:
        self.stage = Stage(*faults, more_edges=health_edge, **changes)
        self.ticking = ["EURUSD", "GBPUSD"]

    def live(self, seconds: int, *, every_s: int = 1) -> None:
        stage = self.stage
        for _ in range(0, seconds, every_s):
            stage.wait(every_s)
            for symbol in self.ticking:
                stage.quote(110_000, symbol, after_ms=0)
            stage.look()
            stage.scene.host.poke("health", lambda edge: edge.poll(stage.now_utc_ms))

    def skip(self, seconds: int) -> None:
        self.stage.wait(seconds)

    def alarms(self) -> list[tuple[str, str]]:
        """Check and scope of each that was said."""
        return [(said.check, said.scope) for said in self.stage.said(HealthAlarmed)]

    def eased(self) -> list[tuple[str, str]]:
        return [(said.check, said.scope) for said in self.stage.said(HealthEased)]

    def detail(self, check: str) -> str:
        return next(said.detail for said in self.stage.said(HealthAlarmed) if said.check == check)


@pytest.fixture
def ward() -> Ward:
    """With one long position in EURUSD, and a minute behind it."""
    made = Ward()
    made.stage.signal(BUY)
    made.live(MINUTE_S + 10)
    assert made.alarms() == []
    return made


def ticket_of(ward: Ward) -> str:
    (ticket,) = ward.stage.tickets
    return str(ticket)


def test_a_frozen_feed_alarms_for_the_position_and_then_for_the_symbol_each_once(ward: Ward) -> None:
    ticket = ticket_of(ward)
    ward.ticking = ["GBPUSD"]
    ward.live(2 * MINUTE_S)
    assert ward.alarms() == [("position_not_evaluated", ticket), ("quotes_stale", "EURUSD")]
    assert ward.detail("position_not_evaluated") == "not evaluated for 10.0 s: no quote of EURUSD"

    ward.ticking = ["EURUSD", "GBPUSD"]
    ward.live(25)
    assert ward.eased() == [], "25 good seconds are not enough"
    ward.live(10)
    assert set(ward.eased()) == {("position_not_evaluated", ticket), ("quotes_stale", "EURUSD")}


def test_a_feed_that_comes_and_goes_is_one_alarm(ward: Ward) -> None:
    for _ in range(4):
        ward.ticking = ["GBPUSD"]
        ward.live(12)
        ward.ticking = ["EURUSD", "GBPUSD"]
        ward.live(6)
    assert (len(ward.alarms()), ward.eased()) == (1, [])


def test_a_position_whose_watches_are_lost_alarms_while_quotes_flow(ward: Ward) -> None:
    feed = ward.stage.scene.host.child("market_feed").state.symbols["EURUSD"]
    names = tuple(armed.watch.name for armed in feed.watches.armed)
    ward.stage.tell(DisarmWatches("position/EURUSD", "EURUSD", names))
    ward.live(30)
    assert ward.alarms() == [("position_not_evaluated", ticket_of(ward))]
    assert ward.detail("position_not_evaluated") == "not evaluated for 10.0 s: nobody waits for its stop"


def test_a_target_alone_does_not_watch_over_a_position(ward: Ward) -> None:
    feed = ward.stage.scene.host.child("market_feed").state.symbols["EURUSD"]
    losing = tuple(armed.watch.name for armed in feed.watches.armed if "/target/" not in armed.watch.name)
    ward.stage.tell(DisarmWatches("position/EURUSD", "EURUSD", losing))
    ward.live(30)
    assert ward.alarms() == [("position_not_evaluated", ticket_of(ward))]


def test_a_position_that_closes_is_over_and_so_is_its_alarm(ward: Ward) -> None:
    ticket = ticket_of(ward)
    ward.ticking = ["GBPUSD"]
    ward.live(20)
    ward.stage.quote(109_900)
    assert ward.stage.tickets == []
    ward.ticking = ["EURUSD", "GBPUSD"]
    ward.live(40)
    assert ("position_not_evaluated", ticket) in ward.eased()


def test_a_broker_that_does_not_answer_alarms() -> None:
    ward = Ward(*blind(READINGS_AT_START + 70, 40))
    ward.live(150)
    assert ward.alarms() == [("broker_disconnected", "")]
    assert ward.detail("broker_disconnected") == "the last reading of the broker was 15.0 s ago"
    assert ward.eased() == [("broker_disconnected", "")]


def test_a_drawdown_beyond_its_limit_alarms_and_a_little_less_does_not_end_it() -> None:
    ward = Ward(config=WITHOUT_LIMITS)
    ward.live(MINUTE_S)

    def equity(cents: int) -> None:
        ward.stage.tell(AccountRead(1_000_000, cents, 0, "USD", 2, 100))
        ward.live(40)

    equity(799_900)
    assert ("drawdown", "") in ward.alarms()
    assert ward.detail("drawdown") == "equity 7999.00 USD is 20.01 % below 10000.00 USD"
    equity(815_000)
    assert ("drawdown", "") not in ward.eased()
    equity(850_000)
    assert ("drawdown", "") in ward.eased()


def test_errors_at_the_start_alarm_until_they_are_an_hour_old() -> None:
    ward = Ward(fault(FaultKind.REJECT, Call.OPEN))
    ward.live(3)
    ward.stage.signal(BUY)
    ward.live(20)
    assert ward.alarms() == [("errors_at_start", "")]
    assert ward.detail("errors_at_start").startswith("1 error in the first 60 s; the last error: EURUSD rejected: 10006")
    ward.live(HOUR_S + MINUTE_S, every_s=4)
    assert (len(ward.alarms()), ward.eased()) == (1, [("errors_at_start", "")])


def test_a_limit_that_holds_entries_alarms_until_the_hold_is_over(ward: Ward) -> None:
    until_utc_ms = ward.stage.now_utc_ms + 30_000
    ward.stage.tell(HoldPlaced("risk_limit", "account", "day_loss_pct: lost 310 of 300 cents", until_utc_ms))
    ward.live(20)
    assert ward.detail("limit_reached") == "lost 310 of 300 cents; entries are held"
    ward.live(50)
    assert (ward.alarms(), ward.eased()) == ([("limit_reached", "day_loss_pct")],) * 2


def test_a_crash_of_the_edge_itself_repeats_no_alarm_and_ends_none() -> None:
    ward = Ward(sabotage=mined("health", lambda message: isinstance(message, HoldPlaced), {1}))
    ward.stage.signal(BUY)
    ward.live(MINUTE_S + 10)
    ward.ticking = ["GBPUSD"]
    ward.live(15)
    ward.stage.tell(HoldPlaced("somebody", "GBPUSD", "a test", 1))
    assert ward.stage.scene.host.publisher.incarnation("health") == 2
    ward.live(5)
    assert (len(ward.alarms()), ward.eased()) == (1, []), "the new one has not looked for long enough to know"
    ward.ticking = ["EURUSD", "GBPUSD"]
    ward.live(40)
    assert (len(ward.alarms()), len(ward.eased())) == (1, 1)


def test_a_calm_evening_with_its_rollover_alarms_nothing(ward: Ward) -> None:
    ward.skip(21 * HOUR_S + 50 * MINUTE_S)
    ward.live(10 * MINUTE_S, every_s=4)
    ward.ticking = []
    ward.live(6 * MINUTE_S, every_s=4)
    ward.ticking = ["EURUSD", "GBPUSD"]
    ward.live(10 * MINUTE_S, every_s=4)
    assert ward.alarms() == []


def test_a_weekend_with_an_open_position_alarms_nothing(ward: Ward) -> None:
    ward.skip(FRIDAY_2100_S - 70)
    ward.live(HOUR_S, every_s=4)
    ward.ticking = []
    ward.live(10 * MINUTE_S, every_s=4)
    ward.skip(47 * HOUR_S + 45 * MINUTE_S)
    ward.live(8 * MINUTE_S, every_s=4)
    ward.ticking = ["EURUSD", "GBPUSD"]
    ward.live(10 * MINUTE_S, every_s=4)
    assert ward.stage.tickets
    assert ward.alarms() == []


def test_a_market_that_does_not_open_alarms_once_its_grace_is_over(ward: Ward) -> None:
    ward.ticking = []
    ward.skip(FRIDAY_2100_S + 49 * HOUR_S - 70)
    ward.live(10 * MINUTE_S, every_s=4)
    assert ward.alarms() == []
    ward.live(2 * MINUTE_S, every_s=4)
    assert ("position_not_evaluated", ticket_of(ward)) in ward.alarms()
