"""A replay that jumps and one that serves every quote write the same journal, to the byte.

Of real files some days each, of different ones different days; all of them with EVENKEEL_REAL=all in the environment.
"""

import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from both_ways import IS_ALL, both, part_of, said
from builders import shared_data
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some

from evenkeel.config.circuit_breaker import STEPS
from evenkeel.config.load import packaged
from evenkeel.messages.circuit_breaker import BreakerChanged
from evenkeel.messages.entry import DenialReason, OpenPosition, OrderDenied
from evenkeel.messages.operator import HoldPlaced, ModeChanged
from evenkeel.messages.position import ExitReason, PositionClosed, PositionOpened, StopTightened
from evenkeel.messages.risk_limit import LimitReached
from evenkeel.messages.shield import ShieldLowered, ShieldRaised

pytestmark = [pytest.mark.timeout(1_800)] if IS_ALL else []
MONDAY_UTC_MS = 1_767_571_200_000
QUICK = "ma_cross:fast=2,slow=5"
TICKS_STRATEGY = "python:object=every_tick_strategies.EveryFew,few=37"

Row = tuple[int, int, int]


def rows_of(seed: int, count: int, start_points: int = 110_000, calm: int = 4) -> list[Row]:
    """A walk with equal stamps, repeats, crossed quotes, silent hours, jumps, calm spells, restless ones, a frozen feed."""
    dice = random.Random(seed)
    time_utc_ms, bid_points = MONDAY_UTC_MS + dice.randrange(60_000), start_points
    rows: list[Row] = []
    while len(rows) < count:
        if rows and dice.random() < 0.03:
            rows.append(rows[-1])
            continue
        if dice.random() < 0.001:  # frozen: the same price again and again
            rows += [(time_utc_ms + 700 * i, bid_points, bid_points + 10) for i in range(1, 60)]
            time_utc_ms = rows[-1][0]
        time_utc_ms += dice.choice((0, 1, 400, 2_000, 9_000, 60_000 if dice.random() < 0.1 else 5_000))
        bid_points += 5 * dice.randint(-calm, calm) * (4 if len(rows) // 400 % 3 == 2 else 1)
        if dice.random() < 0.002:
            time_utc_ms += dice.randrange(50_000_000)
            bid_points += 5 * dice.randint(-60, 60)
        spread_points = dice.choice((0, 5, 10, 15, -5)) if dice.random() < 0.98 else dice.choice((40, 80, 120))
        rows.append((time_utc_ms, bid_points, bid_points + spread_points))
    return rows


def csv_of(rows: Sequence[Row], path: Path, digits: int = 5) -> Path:
    lines = [f"{time},{bid / 10**digits:.{digits}f},{ask / 10**digits:.{digits}f}\n" for time, bid, ask in rows]
    path.write_text("".join(["time_msc,bid,ask\n", *lines]))
    return path


def config_of(folder: Path, profile: str, more: str = "") -> Path:
    """`profile` with room to trade all day, and terms for what no terminal tells here."""
    terms = "\n".join(
        f"[symbols.{symbol}]\ndaily_atr_points = 600\ntypical_spread_points = 10" for symbol in ("EURUSD", "GBPUSD")
    )
    volume = "volume_lots = 0.1\n" if profile == "plain" else ""
    path = folder / f"{profile}.toml"
    path.write_text(
        f'profile = "{profile}"\n[trading]\nenabled = true\n'
        f"[entry]\nstop_pips = 6\ntarget_pips = 9\ncooldown_minutes = 1\n{volume}"
        f'[limits.consecutive_losses]\nhold_after = "off"\nclose_only_after = "off"\n'
        f"[exit]\ntime_stop_minutes = 30\n{terms}\n{more}"
    )
    return path


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("strategy", [QUICK, "ma_cross:fast=1,slow=3,timeframe=M5", "ma_cross:fast=1,slow=2,timeframe=H1"])
def test_plain_markets_of_any_kind(tmp_path: Path, seed: int, strategy: str) -> None:
    found, _ = both([("EURUSD", csv_of(rows_of(seed, 6_000), tmp_path / "ticks.csv"))], strategy, None)
    assert found.heard.closed


@pytest.mark.parametrize("seed", range(4))
def test_every_limit_and_the_circuit_breaker(tmp_path: Path, seed: int) -> None:
    ticks = csv_of(rows_of(seed, 6_000, calm=2), tmp_path / "ticks.csv")
    found, bodies = both([("EURUSD", ticks)], QUICK, config_of(tmp_path, "personal"))
    assert found.heard.closed
    assert {"yellow", "orange", "red"} <= {level for level, _ in breaks(bodies)}


def breaker_of(**steps: str) -> str:
    """A breaker with these triggers and no other, quick to calm down."""
    off = dict.fromkeys(STEPS, '"off"')
    lines = [f"{key} = {value}\n" for key, value in (off | steps).items()]
    return (
        f"[circuit_breaker]\nsample_s = 20\natr_bars = 5\nquiet_minutes = 5\nrestart_minutes = [8, 4, 10, 10]\n{''.join(lines)}"
    )


def breaks(bodies: Sequence[bytes], scope: str = "EURUSD") -> list[tuple[str, str]]:
    """Levels that were reached, each with the first words of why."""
    changes = [change for change in said(bodies, BreakerChanged) if change.scope == scope and change.quote is not None]
    return [(change.level.value, change.reason.split(" of ")[0]) for change in changes]


@pytest.mark.parametrize(
    "trigger, steps, why",
    [
        ("spread_ratio", "[2, 5, 9]", "spread"),
        ("move_atr", "[2, 2.5, 3]", "range"),
        ("gap_atr", "[0.2, 0.6, 1]", "gap"),
        ("price_change_pct", "[0.1, 0.15, 0.2]", "price change"),
        ("atr_ratio", "[1.05, 1.15, 1.25]", "ATR"),
        ("volatility_pct", "[0.255, 0.3, 0.34]", "ATR"),
    ],
)
def test_each_trigger_of_the_circuit_breaker_and_what_follows(tmp_path: Path, trigger: str, steps: str, why: str) -> None:
    ticks = csv_of(rows_of(1, 5_000, calm=2), tmp_path / "ticks.csv")
    _, bodies = both([("EURUSD", ticks)], QUICK, config_of(tmp_path, "plain", breaker_of(**{trigger: steps})))
    assert {("yellow", why), ("orange", why), ("red", why)} <= set(breaks(bodies))
    assert {change.phase for change in said(bodies, BreakerChanged)} == {0, 1, 2, 3, 4}


def test_a_breaker_that_reaches_black(tmp_path: Path) -> None:
    ticks = csv_of(rows_of(1, 2_000, calm=2), tmp_path / "ticks.csv")
    _, bodies = both([("EURUSD", ticks)], QUICK, config_of(tmp_path, "plain", breaker_of(gap_atr="[0.1, 0.2, 0.4, 0.7]")))
    assert ("black", "gap") in breaks(bodies)
    assert said(bodies, HoldPlaced)[-1].until_utc_ms == 0


def test_a_breaker_of_the_whole_account(tmp_path: Path) -> None:
    """The broker refuses every order of an account without money, until nothing is sent any more."""
    poor = "[account]\nstart_balance = 50\nleverage = 1\n" + breaker_of(errors_per_hour="[1, 2, 3]")
    ticks = csv_of(rows_of(2, 2_000), tmp_path / "ticks.csv")
    _, bodies = both([("EURUSD", ticks)], QUICK, config_of(tmp_path, "plain", poor))
    levels = [change.level.value for change in said(bodies, BreakerChanged) if change.scope == "account"]
    assert levels[:3] == ["yellow", "orange", "red"]
    assert "account" in {hold.scope for hold in said(bodies, HoldPlaced)}


def test_a_pair_that_stops_moving_alike(tmp_path: Path) -> None:
    rows = [(MONDAY_UTC_MS + 25 * (at - MONDAY_UTC_MS), bid, ask) for at, bid, ask in rows_of(5, 2_500, calm=2)]
    turn = rows[1_500][1]
    mirrored = [(at, bid, ask) if n < 1_500 else (at, 2 * turn - ask, 2 * turn - bid) for n, (at, bid, ask) in enumerate(rows)]
    files = [("EURUSD", csv_of(rows, tmp_path / "one.csv")), ("GBPUSD", csv_of(mirrored, tmp_path / "other.csv"))]
    more = breaker_of(correlation_change="[0.6, 0.9, 1.2]") + 'correlation_pairs = [["EURUSD", "GBPUSD"]]\n'
    _, bodies = both(files, QUICK, config_of(tmp_path, "plain", more))
    broken = [change for change in said(bodies, BreakerChanged) if change.reason.startswith("correlation of EURUSD GBPUSD")]
    assert {change.scope for change in broken} == {"EURUSD", "GBPUSD"}


@pytest.mark.parametrize("seed", range(6))
def test_limits_that_trip_while_positions_are_open(tmp_path: Path, seed: int) -> None:
    more = (
        "[circuit_breaker]\nenabled = false\n[limits]\nrisk_per_trade_pct = 2.0\nday_loss_pct = 1.0\nday_loss_soft_pct = 0.5\n"
    )
    more += "[limits.drawdown]\nreduce_pct = 0.5\nhalve_pct = 1\nclose_only_pct = 2\nflatten_pct = 3\n"
    ticks = csv_of(rows_of(seed, 8_000, calm=3), tmp_path / "ticks.csv")
    _, bodies = both([("EURUSD", ticks)], QUICK, config_of(tmp_path, "personal", more))
    assert any(hold.who == "risk_limit" for hold in said(bodies, HoldPlaced)) or len(said(bodies, ModeChanged)) > 1


WEEK_AND_FLOOR = "[limits]\nrisk_per_trade_pct = 2.0\nweek_loss_pct = 1.0\nbalance_floor_pct = 98.5\n"
MARGIN = (
    "[account]\nleverage = 1\n[limits]\nrisk_per_trade_pct = 1.0\nfree_margin_after_pct = 1.0\nday_loss_soft_pct = 0.2\n"
    "[limits.margin_level]\nwarn_pct = 116\nhold_pct = 114\nhalve_pct = 112\nflatten_pct = 103\n"
)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("more", [WEEK_AND_FLOOR, MARGIN], ids=["week and floor", "margin"])
def test_limits_on_equity_over_more_than_a_day(tmp_path: Path, seed: int, more: str) -> None:
    quiet = '[limits.drawdown]\nclose_only_pct = "off"\nflatten_pct = "off"\n[circuit_breaker]\nenabled = false\n'
    ticks = csv_of(rows_of(seed, 8_000, calm=3), tmp_path / "ticks.csv")
    _, bodies = both([("EURUSD", ticks)], QUICK, config_of(tmp_path, "personal", more + quiet))
    assert said(bodies, LimitReached) if more is MARGIN else said(bodies, HoldPlaced)


def test_symbols_that_move_alike_share_a_budget(tmp_path: Path) -> None:
    """Unknown to each other at first, later known as twins, and as strangers where they are none."""
    more = "[limits]\nvolume_lots_max = 50.0\n" + "".join(
        f'{key} = "off"\n'
        for key in ("order_notional_max", "symbol_notional_max", "total_notional_max", "trades_per_day", "trades_per_hour")
    )
    more += "correlated_risk_pct = 0.2\nrisk_per_trade_pct = 0.15\n[circuit_breaker]\nenabled = false\n"
    rows = [(MONDAY_UTC_MS + 25 * (at - MONDAY_UTC_MS), bid, ask) for at, bid, ask in rows_of(5, 2_500, calm=2)]
    eurusd = ("EURUSD", csv_of(rows, tmp_path / "eurusd.csv"))
    bound: list[list[str]] = []
    for name, seed in (("twin", 5), ("stranger", 6)):
        prices = [(bid + 15_000, ask + 15_000) for _, bid, ask in rows_of(seed, 2_500, calm=2)]
        gbpusd = csv_of([(at, *pair) for (at, _, _), pair in zip(rows, prices, strict=True)], tmp_path / f"{name}.csv")
        _, bodies = both([eurusd, ("GBPUSD", gbpusd)], QUICK, config_of(tmp_path, "personal", more))
        bound.append([order.bound_by for order in said(bodies, OpenPosition)])
    twins, strangers = ([name == "correlated_risk_pct" for name in names] for names in bound)
    assert any(twins[-len(twins) // 4 :])
    assert not any(strangers[-len(strangers) // 4 :])


@pytest.mark.parametrize("seed, profile", [(0, "plain"), (1, "personal")])
def test_two_symbols_in_one_order_of_time(tmp_path: Path, seed: int, profile: str) -> None:
    files = [
        ("EURUSD", csv_of(rows_of(seed, 4_000), tmp_path / "eurusd.csv")),
        ("GBPUSD", csv_of(rows_of(seed + 100, 3_000, 125_000), tmp_path / "gbpusd.csv")),
    ]
    found, _ = both(files, QUICK, config_of(tmp_path, profile))
    assert {closed.symbol for closed in found.heard.closed} == {"EURUSD", "GBPUSD"}


def test_one_symbol_ends_while_samples_of_the_other_are_still_to_come(tmp_path: Path) -> None:
    """They fall into the silence between two stretches, and the breaker trips on one of them."""
    files = [
        ("EURUSD", csv_of(rows_of(1067, 2526, calm=2), tmp_path / "eurusd.csv")),
        ("GBPUSD", csv_of(rows_of(1074, 2779, 125_000, calm=3), tmp_path / "gbpusd.csv")),
    ]
    _, bodies = both(files, "ma_cross:fast=1,slow=2,timeframe=H1", config_of(tmp_path, "plain"))
    assert any(hold.who == "circuit_breaker" for hold in said(bodies, HoldPlaced))


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    seed=some.integers(0, 10**9),
    count=some.integers(3, 2_500),
    stop_pips=some.integers(1, 30),
    target_pips=some.integers(1, 40),
    slow=some.integers(2, 9),
    spread=some.sampled_from(["off", "1.5"]),
)
def test_random_markets_and_levels(
    tmp_path: Path, seed: int, count: int, stop_pips: int, target_pips: int, slow: int, spread: str
) -> None:
    spread_max = '"off"' if spread == "off" else spread
    entry = f"[entry]\nvolume_lots = 0.1\nstop_pips = {stop_pips}\ntarget_pips = {target_pips}\n"
    entry += f"spread_multiple_max = {spread_max}\n"
    config = tmp_path / "random.toml"
    config.write_text(f'profile = "plain"\n[trading]\nenabled = true\n{entry}[catastrophe_stop]\nat_broker = "off"\n')
    rows = [row for row in rows_of(seed, count) if row[1] <= row[2]] or [(MONDAY_UTC_MS, 110_000, 110_010)]
    both([("EURUSD", csv_of(rows, tmp_path / "ticks.csv"))], f"ma_cross:fast=1,slow={slow}", config)


def test_a_margin_call(tmp_path: Path) -> None:
    """The broker's own stop-out, which has no level of ours."""
    entry = "[account]\nstart_balance = 200\nleverage = 500\n[entry]\nvolume_lots = 0.5\nstop_pips = 300\ntarget_pips = 300\n"
    config = tmp_path / "poor.toml"
    config.write_text(f'profile = "plain"\n[trading]\nenabled = true\n{entry}[catastrophe_stop]\nat_broker = "off"\n')
    found, _ = both([("EURUSD", csv_of(rows_of(7, 6_000), tmp_path / "ticks.csv"))], QUICK, config)
    assert "stop_out" in {closed.reason.value for closed in found.heard.closed}


@pytest.mark.parametrize("profile", ["plain", "personal"])
def test_a_strategy_that_looks_at_every_quote(tmp_path: Path, profile: str) -> None:
    files = [
        ("EURUSD", csv_of(rows_of(3, 5_000), tmp_path / "eurusd.csv")),
        ("GBPUSD", csv_of(rows_of(4, 5_000, 125_000), tmp_path / "gbpusd.csv")),
    ]
    found, _ = both(files, TICKS_STRATEGY, config_of(tmp_path, profile))
    assert len(found.heard.closed) > 10


CHAINED = "[circuit_breaker]\nenabled = false\n[recovery]\nreversal_grace_minutes = 2\nduplicate_minutes = 1\nrr_ratio = 3.0\n"


@pytest.mark.parametrize("profile, seed, orders", [("plain", 0, "trend"), ("personal", 1, "trend"), ("plain", 2, "dual")])
def test_stops_that_follow_and_trades_that_an_opposite_signal_ends(
    tmp_path: Path, profile: str, seed: int, orders: str
) -> None:
    ticks = csv_of(rows_of(seed, 5_000, calm=2), tmp_path / "ticks.csv")
    found, bodies = both([("EURUSD", ticks)], f"{QUICK},orders={orders}", config_of(tmp_path, profile, CHAINED))
    steps = said(bodies, StopTightened)
    followed = [closed for closed in found.heard.closed if closed.ticket in {step.ticket for step in steps}]
    assert any(closed.reason is ExitReason.STOP and closed.profit_cents > 0 for closed in followed)
    assert len(steps) > len(followed)
    assert any(closed.reason is ExitReason.SIGNAL for closed in found.heard.closed)


BY_PRICE = "block_minutes = 40"
BY_BARS = "risk_multiple = 50.0\ngap_ratio = 50.0\natr_multiple = 0.5\nbars = 2\nswing_bars = 3\nblock_minutes = 240"


@pytest.mark.parametrize("knobs, reasons", [(BY_PRICE, {"away", "gap"}), (BY_BARS, {"bars"})])
def test_shields_that_rise_and_are_lowered(tmp_path: Path, knobs: str, reasons: set[str]) -> None:
    ticks = csv_of(rows_of(2, 6_000), tmp_path / "ticks.csv")
    config = config_of(tmp_path, "plain", f"{CHAINED}[shield]\n{knobs}\n")
    _, bodies = both([("EURUSD", ticks)], f"{QUICK},orders=trend", config)
    assert {one.reason.value for one in said(bodies, ShieldRaised)} == reasons
    assert {one.by for one in said(bodies, ShieldLowered)} == {"time", "trend"}
    assert any(denied.reason is DenialReason.SHIELD for denied in said(bodies, OrderDenied))


REAL: list[tuple[str, str, dict[str, Any]]] = [
    ("EURUSD", "ticks_EURUSD_oanda_20140501_15.parquet", {"to_time": "2014-05-06"}),
    ("EURUSD", "ticks_EURUSD_fxcm_20140501_15.parquet", {"from_time": "2014-05-08", "to_time": "2014-05-10"}),
    ("NZDUSD", "ticks_NZDUSD_oanda_20140501_15.parquet", {"from_time": "2014-05-09", "to_time": "2014-05-14"}),
    (
        "XAGUSD",
        "ticks_XAGUSD_dukascopy_201603.parquet",
        {"digits": 3, "from_time": "2016-03-17", "to_time": "2016-03-23"},
    ),
    ("EURUSD", "ticks_EURUSD_histdata_20200101.parquet", {}),
    ("EURUSD", "ticks_EURUSD_nautilus_20190101.parquet", {}),
    ("EURUSD", "bars_EURUSD_M1_oanda_201405.parquet", {"from_time": "2014-05-12"}),
    ("NZDUSD", "bars_NZDUSD_M1_oanda_201405.parquet", {"to_time": "2014-05-07"}),
    ("GBPUSD", "bars_GBPUSD_M1_fxcm_2012.parquet", {"from_time": "2012-02-10", "to_time": "2012-02-17"}),
    ("EURUSD", "bars_EURUSD_H1_oanda.parquet", {"from_time": "2018-07-01"}),
]


@pytest.mark.parametrize("symbol, name, flags", REAL, ids=[name for _, name, _ in REAL])
def test_every_real_file(tmp_path: Path, symbol: str, name: str, flags: dict[str, Any]) -> None:
    config = tmp_path / "plain.toml"
    silver = "[symbols.XAGUSD]\ncontract_size = 5000\n"
    config.write_text(packaged("plain.toml").read_text() + silver)
    _, written = both([(symbol, shared_data(name))], "ma_cross:fast=10,slow=20", config, **part_of(flags))
    assert len(written) > 10


def test_two_real_files_under_every_limit(tmp_path: Path) -> None:
    """A day of them: tick by tick the breaker's samples are slow."""
    files = [(symbol, shared_data(f"ticks_{symbol}_oanda_20140501_15.parquet")) for symbol in ("EURUSD", "NZDUSD")]
    more = "[symbols.NZDUSD]\ndaily_atr_points = 600\n"
    flags = part_of({"from_time": "2014-05-07T06:00", "to_time": "2014-05-08"})
    found, _ = both(files, "ma_cross:fast=10,slow=20", config_of(tmp_path, "personal", more), **flags)
    assert found.heard.closed


def test_pyramids_with_their_recoveries_and_levels(tmp_path: Path) -> None:
    off = ("trades_per_day", "trades_per_hour", "positions_max", "profit_protection", "day_loss_pct", "day_loss_soft_pct")
    more = '[recovery]\nreversal_exit = "off"\n[shield]\nenabled = false\n[circuit_breaker]\nenabled = false\n[limits]\n'
    more += "".join(f'{key} = "off"\n' for key in (*off, "week_loss_pct", "intent_expiry_s"))
    more += '[catastrophe_stop]\nat_broker = "off"\n[limits.rejects]\nin_a_row_max = "off"\n[limits.drawdown]\n'
    more += "".join(f'{key} = "off"\n' for key in ("reduce_pct", "halve_pct", "close_only_pct", "flatten_pct"))
    config = config_of(tmp_path, "personal", more)
    config.write_text(config.read_text().replace("[entry]\n", "[entry]\nvolume_lots = 0.1\n"))
    rows = [(MONDAY_UTC_MS + 12 * (at - MONDAY_UTC_MS), bid, ask) for at, bid, ask in rows_of(5, 1_800, calm=3)]
    ticks = csv_of(rows, tmp_path / "ticks.csv")
    _, bodies = both([("EURUSD", ticks)], f"{QUICK},orders=pyramid,slots=16", config)
    opened = {(trade.lineage.order_kind, trade.lineage.level) for trade in said(bodies, PositionOpened)}
    assert {("profit_trail", 0), ("profit_trail", 1), ("profit_recovery", 0)} <= opened
    booked = [end.net_cents for end in said(bodies, PositionClosed) if end.reason is ExitReason.BOOKED]
    assert booked
    assert min(booked) >= 700
