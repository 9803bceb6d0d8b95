"""Where a simulated account's quotes come from, and what its calendar makes of them."""

from itertools import islice, takewhile
from pathlib import Path
from statistics import correlation, median

import msgspec
import pytest

from evenkeel.adapters.simulated.account_file import COMMON_SYMBOLS, AccountFileInvalid, MarketTerms, default_account
from evenkeel.adapters.simulated.api import MetaTrader5Like
from evenkeel.adapters.simulated.feeds import Quoted, quotes_of
from evenkeel.adapters.simulated.server.clock import ServerClock
from evenkeel.messages.market import Quote
from evenkeel.runtime.clock import ManualClock

MONDAY_UTC_MS = 1_767_571_200_000
THEN_MS = 1_699_999_980_000
HOUR_MS = 3_600_000
TWO = {name: COMMON_SYMBOLS[name] for name in ("EURUSD", "GBPUSD")}


def made(
    terms: MarketTerms, start_utc_ms: int = MONDAY_UTC_MS, *, hours: float = 4, open_until: int | None = None
) -> list[Quoted]:
    quotes = quotes_of(
        terms,
        TWO,
        "USD",
        start_utc_ms=start_utc_ms,
        is_open=lambda name, utc_ms: open_until is None or not open_until <= utc_ms < open_until + 2 * HOUR_MS,
        clock=ServerClock("UTC+2"),
    )
    end_utc_ms = start_utc_ms + round(hours * HOUR_MS)
    return list(takewhile(lambda one: one[1].time_utc_ms < end_utc_ms, quotes))


def moves_of(quotes: list[Quoted], name: str) -> list[float]:
    """From one minute to the next."""
    by_minute = {quote.time_utc_ms // 60_000: quote.bid_points for one, quote in quotes if one == name}
    return [after - before for before, after in zip(list(by_minute.values()), list(by_minute.values())[1:], strict=False)]


def test_the_same_seed_is_the_same_market() -> None:
    terms = MarketTerms(seed=5)
    assert made(terms, hours=0.1) == made(terms, hours=0.1)
    assert made(terms, hours=0.1) != made(MarketTerms(seed=6), hours=0.1)


def test_symbols_of_the_same_currency_move_together_as_much_as_is_asked() -> None:
    together = made(MarketTerms(quote_every_s=20, correlation=1.0), hours=48)
    apart = made(MarketTerms(quote_every_s=20, correlation=0.0), hours=48)
    found = [correlation(moves_of(one, "EURUSD"), moves_of(one, "GBPUSD")) for one in (together, apart)]
    assert found[0] > 0.15
    assert abs(found[1]) < 0.1


def test_spreads_are_wide_round_the_servers_midnight_and_at_the_opening_of_the_week() -> None:
    quotes = made(MarketTerms(quote_every_s=5, rollover_spread=20.0), MONDAY_UTC_MS - 2 * HOUR_MS, hours=36)
    by_hour: dict[int, list[int]] = {}
    for name, quote in quotes:
        if name == "EURUSD":
            since_min = (quote.time_utc_ms - MONDAY_UTC_MS + 2 * HOUR_MS) // 60_000
            by_hour.setdefault(since_min // 5, []).append(quote.ask_points - quote.bid_points)
    spreads = {hour: median(found) for hour, found in by_hour.items()}
    usual, opening, midnight = spreads[12 * 13], spreads[12], spreads[12 * 24]
    assert opening > 1.5 * usual  # Monday 01:00 of the server
    assert midnight > 15 * usual


def test_no_quote_comes_while_it_is_closed_and_it_opens_a_gap_away() -> None:
    closed_utc_ms = MONDAY_UTC_MS + HOUR_MS
    quotes = made(MarketTerms(quote_every_s=5), hours=6, open_until=closed_utc_ms)
    assert [quote for _, quote in quotes if closed_utc_ms <= quote.time_utc_ms < closed_utc_ms + 2 * HOUR_MS] == []
    before = [quote for name, quote in quotes if name == "EURUSD" and quote.time_utc_ms < closed_utc_ms][-1]
    after = next(quote for name, quote in quotes if name == "EURUSD" and quote.time_utc_ms > closed_utc_ms)
    assert abs(after.bid_points - before.bid_points) > 10


@pytest.mark.parametrize("feed", ["ticks", "bars"])
def test_a_recorded_file_is_served_as_if_it_began_now(tmp_path: Path, feed: str) -> None:
    lines = ["time_msc,bid,ask", *(f"{THEN_MS + at},1.{at}1,1.{at}11" for at in (1, 2, 5))]
    if feed == "bars":
        prices = ",".join(f"{side}_{stage}" for side in ("bid", "ask") for stage in ("open", "high", "low", "close"))
        row = "1.1,1.3,1.0,1.2,1.1001,1.3001,1.0001,1.2001"
        lines = [f"time,{prices}", *(f"{THEN_MS + minute * 60_000},{row}" for minute in range(3))]
    file = tmp_path / "file.csv"
    file.write_text("\n".join(lines) + "\n")
    quotes = made(MarketTerms(feed=feed, file=str(file), symbol="EURUSD"), MONDAY_UTC_MS)  # type: ignore[arg-type]
    first = 111_000, 111_100
    assert quotes[0] == ("EURUSD", Quote(MONDAY_UTC_MS, *(first if feed == "ticks" else (110_000, 110_010))))
    assert len(quotes) == (3 if feed == "ticks" else 12)


def test_a_recorded_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(AccountFileInvalid, match=r"nowhere\.csv"):
        list(islice(made(MarketTerms(feed="ticks", file=str(tmp_path / "nowhere.csv"), symbol="EURUSD")), 1))


def test_a_market_that_keeps_weekends_is_closed_on_saturday_and_says_so(tmp_path: Path) -> None:
    file = tmp_path / "account.toml"
    file.write_text("[market]\nweekends = true\n")
    clock = ManualClock(MONDAY_UTC_MS - 40 * HOUR_MS)  # Saturday, 08:00
    package = MetaTrader5Like(clock=clock)
    assert package.initialize(str(file))
    request = {"action": package.TRADE_ACTION_DEAL, "symbol": "EURUSD", "volume": 0.1, "type": package.ORDER_TYPE_BUY}
    package.session.server.on_quote("EURUSD", clock.now_utc_ms(), 108_500, 108_508)
    assert package.order_send(request).retcode == package.TRADE_RETCODE_MARKET_CLOSED


def test_a_terminal_that_holds_the_interpreter_stops_every_other_thread() -> None:
    """As the real extension does: the other thread counts on while a call sleeps, and stands still while it holds."""
    import threading

    def counted_during(hold: bool) -> int:
        opened = default_account()
        terminal = msgspec.structs.replace(opened.terminal, latency_ms=60, hold_interpreter=hold)
        package = MetaTrader5Like(opened=msgspec.structs.replace(opened, terminal=terminal))
        assert package.initialize()
        counted, ended = [0], threading.Event()

        def count() -> None:
            while not ended.is_set():
                counted[0] += 1

        thread = threading.Thread(target=count)
        thread.start()
        before = counted[0]
        package.session.hold(0.06)
        found = counted[0] - before
        ended.set()
        thread.join()
        return found

    tries = 5  # somebody else may have the machine in one of them
    least_held = min(counted_during(hold=True) for _ in range(tries))
    assert least_held * 5 < max(counted_during(hold=False) for _ in range(tries))
