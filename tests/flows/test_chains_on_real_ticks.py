"""Everything switched on over recorded ticks: trades add up to the cent, a jump finds what every tick finds, and every kind of
step is taken. Some days of each file; all of them with EVENKEEL_REAL=all.
"""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import pytest
from both_ways import IS_ALL, both, part_of, said
from builders import shared_data

from evenkeel.messages.broker_gateway import DealDone
from evenkeel.messages.circuit_breaker import BreakerChanged, BreakerLevel
from evenkeel.messages.position import PositionClosed, PositionOpened
from evenkeel.messages.recovery import ChainEnded
from evenkeel.messages.shield import HedgeEnd, HedgeEnded, ShieldRaised
from evenkeel.rules.lineage import budget_chain

STRATEGY = "ma_cross:fast=10,slow=20,timeframe=M5,orders=dual,slots=12"
OFF = (
    "[limits]\n"
    + "".join(
        f'{key} = "off"\n'
        for key in (
            "positions_max",
            "profit_protection",
            "order_notional_max",
            "symbol_notional_max",
            "total_notional_max",
            "day_loss_pct",
            "day_loss_soft_pct",
            "week_loss_pct",
        )
    )
    + "per_symbol_slots = 12\nrisk_per_trade_pct = 1.0\n"
    + '[limits.loss_tiers]\napplies_to = "off"\n'
    + "[limits.drawdown]\n"
    + "".join(f'{key} = "off"\n' for key in ("reduce_pct", "halve_pct", "close_only_pct", "flatten_pct"))
)
CONFIG = f"""
profile = "demo"
[trading]
enabled = true
[entry]
stop_pips = 12
cooldown_minutes = 0
volume_lots = 0.5
{OFF}
[recovery]
reversal_exit = "off"
trailing_start_ratio = "off"
stop_pips_min = 2
profit_protection = "off"
[recovery.exit_continuation]
enabled = true
[shield]
atr_multiple = 3.0
[shield.hedge]
enabled = true
[symbols.EURUSD]
daily_atr_points = 600
[symbols.NZDUSD]
daily_atr_points = 600
[symbols.XAGUSD]
contract_size = 5000
daily_atr_points = 600
"""
"""The limits of an account that is to be traded for days on end would end the chains of this one on the first."""
FILES: list[tuple[str, str, dict[str, Any]]] = [
    ("EURUSD", "ticks_EURUSD_oanda_20140501_15.parquet", {"from_time": "2014-05-08", "to_time": "2014-05-08T16:00"}),
    ("NZDUSD", "ticks_NZDUSD_oanda_20140501_15.parquet", {"from_time": "2014-05-08", "to_time": "2014-05-09"}),
    ("XAGUSD", "ticks_XAGUSD_dukascopy_201603.parquet", {"digits": 3, "from_time": "2016-03-02", "to_time": "2016-03-03"}),
]
pytestmark = [pytest.mark.timeout(1_800)] if IS_ALL else []
EACH = {"tp_trail", "profit_trail", "shield_a", "shield_b"}
SOMEWHERE = {*EACH, "tp_continuation", "sl_recovery", "profit_recovery"}


@pytest.fixture(scope="module")
def journals(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Sequence[bytes]]:
    """What was written over each file; a jump and every tick have written the same, and trades add up to the broker's deals."""
    path = tmp_path_factory.mktemp("real") / "chains.toml"
    path.write_text(CONFIG)
    written: dict[str, Sequence[bytes]] = {}
    for symbol, name, flags in FILES:
        found, written[symbol] = both([(symbol, shared_data(name))], STRATEGY, path, **part_of(flags))
        assert {closed.ticket for closed in found.heard.closed} == {one.ticket for one in said(written[symbol], PositionClosed)}
    return written


@pytest.mark.parametrize("symbol", [symbol for symbol, _, _ in FILES])
def test_what_the_trades_brought_is_what_the_broker_booked_to_the_cent(
    journals: dict[str, Sequence[bytes]], symbol: str
) -> None:
    deals = [done.deal for done in said(journals[symbol], DealDone)]
    trades = said(journals[symbol], PositionClosed)
    assert sum(deal.profit_cents + deal.commission_cents + deal.swap_cents for deal in deals) == sum(
        trade.net_cents for trade in trades
    )


@pytest.mark.parametrize("symbol", [symbol for symbol, _, _ in FILES])
def test_a_chain_s_books_are_those_of_its_trades_and_of_its_hedges(journals: dict[str, Sequence[bytes]], symbol: str) -> None:
    net_cents: Counter[str] = Counter()
    for trade in said(journals[symbol], PositionClosed):
        net_cents[budget_chain(trade.lineage.chain_id)] += trade.net_cents
    chains = [end for end in said(journals[symbol], ChainEnded) if budget_chain(end.chain_id) == end.chain_id]
    assert len(chains) > 3
    assert {end.chain_id: end.booked_cents for end in chains} == {end.chain_id: net_cents[end.chain_id] for end in chains}


@pytest.mark.parametrize("symbol", [symbol for symbol, _, _ in FILES])
def test_every_order_of_a_chain_has_one_cause_and_no_live_twin(journals: dict[str, Sequence[bytes]], symbol: str) -> None:
    opened = said(journals[symbol], PositionOpened)
    assert {one.lineage.order_kind for one in opened} >= EACH
    causes = [
        (one.lineage.parent_ticket, one.lineage.order_kind, one.lineage.number) for one in opened if one.lineage.parent_ticket
    ]
    assert len(causes) == len(set(causes))


def test_every_kind_of_step_was_taken_somewhere(journals: dict[str, Sequence[bytes]]) -> None:
    bodies = [body for symbol in journals for body in journals[symbol]]
    opened = [one.lineage for one in said(bodies, PositionOpened)]
    assert {one.order_kind for one in opened} >= SOMEWHERE
    assert {0, 1} <= {one.level for one in opened if one.order_kind == "profit_trail"}
    assert {end.end for end in said(bodies, HedgeEnded)} >= {HedgeEnd.KILLED, HedgeEnd.EXPIRED, HedgeEnd.REFUSED}
    assert said(bodies, ShieldRaised)
    assert {change.level for change in said(bodies, BreakerChanged)} >= {BreakerLevel.YELLOW, BreakerLevel.ORANGE}
