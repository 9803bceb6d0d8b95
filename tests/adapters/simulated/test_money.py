"""Worked figures: every expected number was computed by hand from metatrader5.md 3.6 to 3.9, not by the code under test."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from evenkeel.adapters.mt5 import constants as mt5
from evenkeel.adapters.simulated.server.clock import ServerClock
from evenkeel.adapters.simulated.server.records import Position, Request, Result
from evenkeel.adapters.simulated.server.server import TradeServer
from evenkeel.adapters.simulated.server.terms import AccountTerms, Assumptions, SymbolTerms

BUY, SELL = mt5.ORDER_TYPE_BUY, mt5.ORDER_TYPE_SELL
RICH_CENTS = 1_000_000_00
"""A start balance that no margin here exhausts."""


def utc_ms(text: str) -> int:
    return round(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


MONDAY_MS = utc_ms("2026-03-02 10:00")

EURUSD = SymbolTerms(name="EURUSD")
USDJPY = SymbolTerms(
    name="USDJPY", digits=3, currency_base="USD", currency_profit="JPY", currency_margin="USD", typical_price_points=150_000
)
EURJPY = SymbolTerms(name="EURJPY", digits=3, currency_base="EUR", currency_profit="JPY", currency_margin="EUR")


def in_dollars(name: str, **terms: Any) -> SymbolTerms:
    """A symbol with which nothing is exchanged on an account in USD."""
    return SymbolTerms(name=name, **{"currency_base": "USD", "currency_profit": "USD", "currency_margin": "USD", **terms})


class Story:
    """A server and its quotes, a second apart unless a time is given."""

    def __init__(
        self,
        *symbols: SymbolTerms,
        assume: Assumptions = Assumptions(),  # noqa: B008 - frozen
        rates: dict[str, float] | None = None,
        **account: Any,
    ) -> None:
        terms = AccountTerms(**{"start_balance_cents": RICH_CENTS, **account})
        self.server = TradeServer(terms, {one.name: one for one in symbols}, assume, rates=rates or {})
        self.now_ms = MONDAY_MS

    def quote(self, symbol: str, bid_points: int, ask_points: int | None = None, at: str | None = None) -> None:
        self.now_ms = utc_ms(at) if at else self.now_ms + 1000
        self.server.on_quote(symbol, self.now_ms, bid_points, bid_points if ask_points is None else ask_points)

    def deal(self, symbol: str, side: int, steps: int, **more: Any) -> Result:
        result = self.server.send(Request(mt5.TRADE_ACTION_DEAL, symbol, steps, type=side, **more))
        assert result.is_done, result
        return result

    def close(self, position: Position, steps: int | None = None) -> Result:
        side = SELL if position.is_buy else BUY
        return self.deal(position.symbol, side, steps or position.volume_steps, position=position.ticket)

    @property
    def only(self) -> Position:
        (position,) = self.server.book.kept.positions.values()
        return position

    @property
    def last(self) -> Any:
        return self.server.book.kept.deals[-1]

    @property
    def margin_cents(self) -> int:
        return self.server.state().margin_cents


# -- profit and margin by calculation mode ------------------------------------------------------------------------------


def test_a_lot_of_usdjpy_at_leverage_100_blocks_1000_dollars() -> None:
    story = Story(USDJPY)
    story.quote("USDJPY", 150_000, 150_020)
    story.deal("USDJPY", BUY, 100)
    assert story.margin_cents == 1000_00  # 1 x 100 000 / 100 USD, whatever the price


def test_usdjpy_gains_are_exchanged_at_the_price_of_the_close() -> None:
    story = Story(USDJPY)
    story.quote("USDJPY", 150_000)
    story.deal("USDJPY", BUY, 100)
    story.quote("USDJPY", 151_000)
    story.close(story.only)
    assert story.last.profit_cents == 662_25  # 1.000 x 100 000 = 100 000 JPY / 151.000 = 662.2516 USD


def test_usdjpy_losses_are_exchanged_at_the_price_of_the_close() -> None:
    story = Story(USDJPY)
    story.quote("USDJPY", 150_000)
    story.deal("USDJPY", SELL, 10)
    story.quote("USDJPY", 151_000)
    story.close(story.only)
    assert (
        story.last.profit_cents == -66_23
    )  # 10 000 JPY / 151.000 = 66.2252: half away from zero would be 66.23 only above .225
    # 66.22516... rounds to 66.23


def test_eurusd_profit_and_margin_on_a_dollar_account() -> None:
    story = Story(EURUSD)
    story.quote("EURUSD", 110_000, 110_010)
    story.deal("EURUSD", BUY, 50)
    assert story.margin_cents == 550_05  # 0.5 x 100 000 / 100 = 500 EUR at the ask 1.10010
    story.quote("EURUSD", 110_250, 110_260)
    story.close(story.only)
    assert story.last.profit_cents == 120_00  # 1.10250 - 1.10010 = 240 points of 0.50


def test_a_short_eurusd_loses_when_the_ask_rises() -> None:
    story = Story(EURUSD)
    story.quote("EURUSD", 110_000, 110_010)
    story.deal("EURUSD", SELL, 10)
    story.quote("EURUSD", 110_100, 110_110)
    assert story.server.state().profit_cents == -11_00  # 1.10000 - 1.10110 = -110 points of 0.10


def test_a_gain_in_the_cross_eurjpy_sells_yen_at_the_ask_of_usdjpy() -> None:
    story = Story(EURUSD, USDJPY, EURJPY)
    story.quote("EURUSD", 110_000, 110_010)
    story.quote("USDJPY", 150_000, 150_020)
    story.quote("EURJPY", 165_000, 165_030)
    story.deal("EURJPY", BUY, 100)
    assert story.margin_cents == 1100_10  # 1000 EUR at the ask 1.10010
    story.quote("EURJPY", 165_530, 165_560)
    story.close(story.only)
    assert story.last.profit_cents == 333_29  # 0.500 x 100 000 = 50 000 JPY / 150.020 = 333.2889


def test_a_loss_in_the_cross_eurjpy_buys_yen_at_the_bid_of_usdjpy() -> None:
    story = Story(USDJPY, EURJPY)
    story.quote("USDJPY", 150_000, 150_020)
    story.quote("EURJPY", 165_000, 165_030)
    story.deal("EURJPY", BUY, 100)
    story.quote("EURJPY", 164_530, 164_560)
    story.close(story.only)
    assert story.last.profit_cents == -333_33  # 50 000 JPY / 150.000 = 333.3333


def test_euros_are_exchanged_through_two_symbols_where_there_is_no_eurusd() -> None:
    story = Story(USDJPY, EURJPY)
    story.quote("USDJPY", 150_000, 150_000)
    story.quote("EURJPY", 165_000, 165_000)
    story.deal("EURJPY", BUY, 100)
    assert story.margin_cents == 1100_00  # 1000 EUR x 165.000 JPY / 150.000


@pytest.mark.parametrize("mode", [mt5.SYMBOL_CALC_MODE_FUTURES, mt5.SYMBOL_CALC_MODE_EXCH_FUTURES])
def test_futures_count_ticks_and_block_their_initial_margin(mode: int) -> None:
    terms = {"digits": 2, "steps_per_lot": 1, "tick_size_points": 25, "tick_value": 12.5, "contract_size": 50}
    story = Story(in_dollars("ES", calc_mode=mode, margin_initial=12_000.0, margin_ratio=1.1, **terms))
    story.quote("ES", 500_000)
    story.deal("ES", BUY, 2)
    assert story.margin_cents == 26_400_00  # 2 x 12 000 x 1.1
    story.quote("ES", 501_000)
    story.close(story.only)
    assert story.last.profit_cents == 1000_00  # 10.00 = 40 ticks x 12.50 x 2


BY_PRICE = {
    # 1 lot = 100 ounces, bought at 2000.50: 100 x 2000.50 = 200 050 USD
    mt5.SYMBOL_CALC_MODE_CFD: 200_050_00,
    # and by the leverage of 100
    mt5.SYMBOL_CALC_MODE_CFDLEVERAGE: 2_000_50,
    # as CFD, x tick value / tick size = 0.5 / 0.05 = 10
    mt5.SYMBOL_CALC_MODE_CFDINDEX: 2_000_500_00,
    mt5.SYMBOL_CALC_MODE_EXCH_STOCKS: 200_050_00,
    mt5.SYMBOL_CALC_MODE_EXCH_STOCKS_MOEX: 200_050_00,
}


@pytest.mark.parametrize("mode", BY_PRICE)
def test_what_is_margined_by_its_price_blocks_the_price_of_the_opening(mode: int) -> None:
    gold = in_dollars("GOLD", digits=2, contract_size=100, calc_mode=mode, tick_size_points=5, tick_value=0.5)
    story = Story(gold, start_balance_cents=10_000_000_00)
    story.quote("GOLD", 200_000, 200_050)
    story.deal("GOLD", BUY, 100)
    story.quote("GOLD", 201_050, 201_100)
    assert story.margin_cents == BY_PRICE[mode]
    story.close(story.only)
    assert story.last.profit_cents == 1000_00  # 2010.50 - 2000.50 = 10.00 x 100


def test_the_margin_of_a_short_cfd_counts_the_bid() -> None:
    story = Story(in_dollars("GOLD", digits=2, contract_size=100, calc_mode=mt5.SYMBOL_CALC_MODE_CFDLEVERAGE))
    story.quote("GOLD", 200_000, 200_050)
    story.deal("GOLD", SELL, 10)
    assert story.margin_cents == 200_00  # 0.1 x 100 x 2000.00 / 100


def test_the_margin_ratio_scales_the_margin() -> None:
    shares = in_dollars("ACME", digits=2, contract_size=1, steps_per_lot=1, calc_mode=32, margin_ratio=0.25)
    story = Story(shares)
    story.quote("ACME", 15_020, 15_025)
    story.deal("ACME", BUY, 100)
    assert story.margin_cents == 3756_25  # 100 x 150.25 x 0.25


def test_forex_without_leverage_blocks_the_whole_contract() -> None:
    story = Story(SymbolTerms(name="EURUSD", calc_mode=mt5.SYMBOL_CALC_MODE_FOREX_NO_LEVERAGE))
    story.quote("EURUSD", 110_000, 110_010)
    story.deal("EURUSD", BUY, 10)
    assert story.margin_cents == 11_001_00  # 10 000 EUR at 1.10010
    story.quote("EURUSD", 110_110, 110_120)
    assert story.server.state().profit_cents == 10_00  # 100 points of 0.10


def test_collateral_neither_gains_nor_blocks_margin() -> None:
    story = Story(in_dollars("BOND", digits=2, contract_size=100, calc_mode=mt5.SYMBOL_CALC_MODE_SERV_COLLATERAL))
    story.quote("BOND", 100_00)
    story.deal("BOND", BUY, 100)
    story.quote("BOND", 150_00)
    state = story.server.state()
    assert (state.profit_cents, state.margin_cents) == (0, 0)


def test_an_initial_margin_replaces_the_formula() -> None:
    story = Story(SymbolTerms(name="EURUSD", margin_initial=500.0))
    story.quote("EURUSD", 110_000, 110_010)
    story.deal("EURUSD", BUY, 200)
    assert story.margin_cents == 1100_10  # 2 x 500 EUR at 1.10010; no leverage in it


def test_without_free_margin_nothing_is_opened() -> None:
    story = Story(USDJPY, start_balance_cents=999_99)
    story.quote("USDJPY", 150_000)
    result = story.server.send(Request(mt5.TRADE_ACTION_DEAL, "USDJPY", 100, type=BUY))
    assert result.retcode == mt5.TRADE_RETCODE_NO_MONEY
    story.deal("USDJPY", BUY, 99)


# -- accounts in other money --------------------------------------------------------------------------------------------


def test_an_account_in_euros_has_its_margin_in_euros_and_buys_the_dollars_it_lost() -> None:
    story = Story(EURUSD, currency="EUR")
    story.quote("EURUSD", 110_000, 110_010)
    story.deal("EURUSD", BUY, 100)
    assert story.margin_cents == 1000_00
    story.quote("EURUSD", 110_510, 110_520)
    story.close(story.only)
    assert story.last.profit_cents == 452_45  # 500 USD / 1.10510 = 452.4477


def test_an_account_in_yen_has_no_smaller_unit() -> None:
    story = Story(USDJPY, currency="JPY", currency_digits=0, start_balance_cents=5_000_000)
    story.quote("USDJPY", 150_000, 150_010)
    story.deal("USDJPY", BUY, 100)
    assert story.margin_cents == 150_010  # 1000 USD at the ask 150.010
    story.quote("USDJPY", 150_511, 150_521)
    story.close(story.only)
    assert story.last.profit_cents == 50_100  # 0.501 x 100 000 JPY
    assert story.server.state().balance_cents == 5_050_100


def test_a_cent_account_counts_a_hundred_of_its_units_for_a_dollar() -> None:
    story = Story(USDJPY, EURUSD, currency="USC", rates={"USD": 100.0, "EUR": 110.0})
    story.quote("EURUSD", 110_000, 110_000)
    story.deal("EURUSD", BUY, 1)
    assert story.margin_cents == 1100_00  # 0.01 x 100 000 / 100 = 10 EUR x 110 USC
    story.quote("EURUSD", 110_100, 110_100)
    story.close(story.only)
    assert story.last.profit_cents == 100_00  # 1.00 USD = 100.00 USC


# -- hedged margin, level, stop-out -------------------------------------------------------------------------------------

HEDGED = [
    # bought 1 lot (1000.00), sold 0.4 lot (400.00)
    ("uncovered", 0.0, 600_00),  # 0.6 lot is uncovered; the covered part is free
    ("uncovered", 50_000.0, 800_00),  # 600 + 0.4 x 50 000 / 100
    ("uncovered", 100_000.0, 1000_00),  # 600 + 0.4 x 100 000 / 100
    ("larger_leg", 100_000.0, 1000_00),
    ("full", 0.0, 1400_00),
]


@pytest.mark.parametrize("hedged, margin_hedged, cents", HEDGED)
def test_opposite_positions_block_margin_as_the_server_is_assumed_to(hedged: Any, margin_hedged: float, cents: int) -> None:
    terms = SymbolTerms(
        name="USDJPY",
        digits=3,
        currency_base="USD",
        currency_profit="JPY",
        currency_margin="USD",
        margin_hedged=margin_hedged,
    )
    story = Story(terms, assume=Assumptions(hedged_margin=hedged))
    story.quote("USDJPY", 150_000)
    story.deal("USDJPY", BUY, 100)
    story.deal("USDJPY", SELL, 40)
    assert story.margin_cents == cents


def test_covered_volume_is_free_without_hedged_margin_even_where_an_initial_margin_is_set() -> None:
    story = Story(
        in_dollars("ES", digits=2, steps_per_lot=1, calc_mode=1, tick_size_points=25, tick_value=12.5, margin_initial=12_000.0)
    )
    story.quote("ES", 500_000)
    story.deal("ES", BUY, 3)
    story.deal("ES", SELL, 2)
    assert story.margin_cents == 12_000_00  # 1 uncovered; margin_hedged 0: the 2 covered are free


def test_the_larger_leg_decides_on_either_side() -> None:
    story = Story(USDJPY)
    story.quote("USDJPY", 150_000)
    story.deal("USDJPY", BUY, 40)
    story.deal("USDJPY", SELL, 100)
    story.deal("USDJPY", SELL, 20)
    assert story.margin_cents == 800_00  # 1.2 - 0.4 = 0.8 lot short


def test_equity_free_margin_and_level() -> None:
    story = Story(EURUSD, start_balance_cents=10_000_00)
    assert story.server.state().level_pct == 0.0
    story.quote("EURUSD", 110_000, 110_010)
    story.deal("EURUSD", BUY, 100)
    state = story.server.state()
    assert (state.balance_cents, state.profit_cents, state.equity_cents) == (10_000_00, -10_00, 9_990_00)
    assert (state.margin_cents, state.free_cents) == (1100_10, 8_889_90)
    assert state.level_pct == pytest.approx(908.0992, abs=1e-4)  # 9990.00 / 1100.10


def two_longs() -> Story:
    """1 lot at 1.10000 and 1 lot at 1.10500 on 3000.00: margin 1100.00 + 1105.00 = 2205.00, stop-out below 1102.50."""
    story = Story(EURUSD, start_balance_cents=3000_00)
    story.quote("EURUSD", 110_000)
    story.deal("EURUSD", BUY, 100)
    story.quote("EURUSD", 110_500)
    story.deal("EURUSD", BUY, 100)
    return story


def test_above_the_stop_out_level_nothing_is_closed() -> None:
    story = two_longs()
    story.quote("EURUSD", 109_302)  # 3000 - 698 - 1198 = 1104.00: 50.07 %
    assert len(story.server.book.kept.positions) == 2


def test_a_stop_out_closes_what_loses_most_and_stops_above_the_level() -> None:
    story = two_longs()
    first, second = story.server.book.kept.positions.values()
    story.quote("EURUSD", 109_300)  # 3000 - 700 - 1200 = 1100.00: 49.89 %
    assert story.only.ticket == first.ticket
    assert story.last.position_id == second.identifier
    assert (story.last.reason, story.last.profit_cents) == (mt5.DEAL_REASON_SO, -1200_00)
    assert mt5.DEAL_REASON_SO == 6
    assert story.last.comment.startswith("so ")
    assert story.server.book.kept.done_orders[-1].reason == mt5.ORDER_REASON_SO
    assert story.server.state().level_pct == 100.0  # 1800 - 700 = 1100.00 over 1100.00


def test_a_stop_out_goes_on_while_the_account_stays_below_the_level() -> None:
    story = two_longs()
    second = list(story.server.book.kept.positions.values())[1]
    story.quote("EURUSD", 108_900)  # -1100 -1600: equity 300; without the second one 300 / 1100 = 27 %
    assert not story.server.book.kept.positions
    assert story.server.book.kept.deals[-2].position_id == second.identifier
    assert story.server.state().balance_cents == 300_00


def test_a_stop_out_in_money_compares_the_equity() -> None:
    story = Story(EURUSD, start_balance_cents=2000_00, stop_out_in_money=True, stop_out=500.0, margin_call=1000.0)
    story.quote("EURUSD", 110_000)
    story.deal("EURUSD", BUY, 100)
    story.quote("EURUSD", 108_501)  # 2000 - 1499 = 501.00
    assert story.server.book.kept.positions
    story.quote("EURUSD", 108_499)  # 499.00
    assert not story.server.book.kept.positions
    assert (story.last.reason, story.last.profit_cents) == (6, -1501_00)


def test_a_fully_hedged_account_without_margin_is_stopped_out_below_zero() -> None:
    story = Story(EURUSD, start_balance_cents=100_00, leverage=5000)
    story.quote("EURUSD", 110_000)
    story.deal("EURUSD", BUY, 100)
    story.deal("EURUSD", SELL, 100)
    assert story.margin_cents == 0
    story.quote("EURUSD", 109_960, 110_050)  # -40 - 50: equity 10.00
    assert len(story.server.book.kept.positions) == 2
    story.quote("EURUSD", 109_940, 110_050)  # -60 - 50: equity -10.00
    assert not story.server.book.kept.positions


# -- swaps --------------------------------------------------------------------------------------------------------------


def swapped(mode: int, long: float, short: float, **terms: Any) -> Story:
    story = Story(SymbolTerms(name="EURUSD", swap_mode=mode, swap_long=long, swap_short=short, **terms))
    story.quote("EURUSD", 110_000)
    return story


SWAPS = [
    # 1 lot of EURUSD opened at 1.10000, at the day's end at 1.20000
    (mt5.SYMBOL_SWAP_MODE_POINTS, -5.5, -5_50),  # 5.5 points of 1.00 USD
    (mt5.SYMBOL_SWAP_MODE_CURRENCY_SYMBOL, -3.0, -3_60),  # 3.00 EUR at 1.20000
    (mt5.SYMBOL_SWAP_MODE_CURRENCY_MARGIN, -3.0, -3_60),  # the margin currency is EUR, too
    (mt5.SYMBOL_SWAP_MODE_CURRENCY_DEPOSIT, -3.0, -3_00),
    (mt5.SYMBOL_SWAP_MODE_INTEREST_CURRENT, -3.6, -12_00),  # 120 000 x 3.6 % / 360
    (mt5.SYMBOL_SWAP_MODE_INTEREST_OPEN, -3.6, -11_00),  # 110 000 x 3.6 % / 360
]


@pytest.mark.parametrize("mode, long, cents", SWAPS)
def test_the_swap_of_one_night_by_mode(mode: int, long: float, cents: int) -> None:
    story = swapped(mode, long, 0.0)
    story.deal("EURUSD", BUY, 100)
    story.quote("EURUSD", 120_000)
    story.quote("EURUSD", 120_000, at="2026-03-02 23:59:59")
    assert story.only.swap_cents == 0
    story.quote("EURUSD", 120_000, at="2026-03-03 00:00")
    assert story.only.swap_cents == cents
    assert story.server.state().equity_cents == RICH_CENTS + 10_000_00 + cents
    assert story.server.state().balance_cents == RICH_CENTS


def test_short_positions_have_a_swap_of_their_own() -> None:
    story = swapped(mt5.SYMBOL_SWAP_MODE_POINTS, -5.0, 1.5)
    story.deal("EURUSD", SELL, 50)
    story.quote("EURUSD", 110_000, at="2026-03-03 00:00")
    assert story.only.swap_cents == 75  # 1.5 points of 0.50


def test_a_swap_in_the_base_currency_does_not_follow_the_margin_currency() -> None:
    story = swapped(mt5.SYMBOL_SWAP_MODE_CURRENCY_SYMBOL, -3.0, 0.0, currency_margin="USD")
    story.deal("EURUSD", BUY, 100)
    story.quote("EURUSD", 110_000, at="2026-03-03 00:00")
    assert story.only.swap_cents == -3_30  # 3.00 EUR at 1.10000


WEEKS = [
    # swap after the end of Monday, Tuesday ... Sunday at 1.00 a night
    (mt5.DAY_OF_WEEK_WEDNESDAY, [-100, -200, -500, -600, -700, -700, -700]),
    (mt5.DAY_OF_WEEK_FRIDAY, [-100, -200, -300, -400, -700, -700, -700]),
]


@pytest.mark.parametrize("triple, after", WEEKS)
def test_a_week_has_seven_nights_of_swap_and_none_on_the_weekend(triple: int, after: list[int]) -> None:
    story = swapped(mt5.SYMBOL_SWAP_MODE_CURRENCY_DEPOSIT, -1.0, 0.0, swap_triple_day=triple)
    story.deal("EURUSD", BUY, 100)
    got = []
    for day in range(3, 10):
        story.quote("EURUSD", 110_000, at=f"2026-03-{day:02} 00:01")
        got.append(story.only.swap_cents)
    assert got == after


def test_nights_that_passed_without_a_quote_are_charged_together() -> None:
    story = swapped(mt5.SYMBOL_SWAP_MODE_CURRENCY_DEPOSIT, -1.0, 0.0)
    story.deal("EURUSD", BUY, 100)
    story.quote("EURUSD", 110_000, at="2026-03-09 08:00")
    assert story.only.swap_cents == -7_00


def test_the_swap_leaves_in_proportion_to_the_volume_that_is_closed() -> None:
    story = swapped(mt5.SYMBOL_SWAP_MODE_CURRENCY_DEPOSIT, -7.0, 0.0)
    story.deal("EURUSD", BUY, 100)
    story.quote("EURUSD", 110_000, at="2026-03-03 00:00")
    story.close(story.only, 30)
    assert story.last.swap_cents == -2_10  # 7.00 x 0.3
    assert story.only.swap_cents == -4_90
    story.close(story.only)
    assert story.last.swap_cents == -4_90
    assert story.server.state().balance_cents == RICH_CENTS - 7_00


REOPENED = [
    # opened at 1.10000; at the day's end 1.10100/1.10120. Mode, side, closed at, opened again at
    (mt5.SYMBOL_SWAP_MODE_REOPEN_CURRENT, BUY, 110_100, 110_105),  # a buyer pays 5 points more
    (mt5.SYMBOL_SWAP_MODE_REOPEN_CURRENT, SELL, 110_120, 110_117),  # a seller gets 3 points less
    (mt5.SYMBOL_SWAP_MODE_REOPEN_BID, BUY, 110_100, 110_105),
    (mt5.SYMBOL_SWAP_MODE_REOPEN_BID, SELL, 110_120, 110_097),
]


@pytest.mark.parametrize("mode, side, closed, opened", REOPENED)
def test_swap_by_reopening_opens_beside_the_price(mode: int, side: int, closed: int, opened: int) -> None:
    story = swapped(mode, -5.0, -3.0)
    ticket = story.deal("EURUSD", side, 100).order
    story.quote("EURUSD", 110_100, 110_120, at="2026-03-02 20:00")
    story.quote("EURUSD", 110_100, 110_120, at="2026-03-03 00:00")
    assert story.only.ticket != ticket
    assert story.only.identifier == ticket
    assert (story.only.open_cost, story.only.open_parts, story.only.volume_steps) == (opened, 1, 100)
    assert story.only.swap_cents == 0
    out, back = story.server.book.kept.deals[-2:]
    assert (out.entry, out.position_id, back.entry, back.position_id) == (mt5.DEAL_ENTRY_OUT, ticket, mt5.DEAL_ENTRY_IN, ticket)
    assert back.price_cost == opened


@pytest.mark.parametrize("mode, side, closed, opened", REOPENED)
def test_swap_by_reopening_closes_at_the_price_itself(mode: int, side: int, closed: int, opened: int) -> None:
    """Otherwise close and opening cancel each other out and the night costs nothing."""
    story = swapped(mode, -5.0, -3.0)
    story.deal("EURUSD", side, 100)
    story.quote("EURUSD", 110_100, 110_120, at="2026-03-02 20:00")
    story.quote("EURUSD", 110_100, 110_120, at="2026-03-03 00:00")
    out = story.server.book.kept.deals[-2]
    assert out.price_cost == closed
    assert out.profit_cents == (closed - 110_000) * (100 if side == BUY else -100)  # a point is 1.00 USD


def test_the_opening_deal_of_a_swap_by_reopening_belongs_to_an_order_in_the_history() -> None:
    story = swapped(mt5.SYMBOL_SWAP_MODE_REOPEN_CURRENT, -5.0, -3.0)
    story.deal("EURUSD", BUY, 100)
    story.quote("EURUSD", 110_000, at="2026-03-03 00:00")
    assert {deal.order for deal in story.server.book.kept.deals} <= {one.ticket for one in story.server.book.kept.done_orders}


# -- commission ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("charged_on, at_opening, at_close", [("in", -3_50, 0), ("out", 0, -3_50), ("both", -3_50, -3_50)])
def test_commission_stands_on_deals_only(charged_on: Any, at_opening: int, at_close: int) -> None:
    story = Story(SymbolTerms(name="EURUSD", commission_cents_per_lot=7_00, commission_on=charged_on))
    story.quote("EURUSD", 110_000)
    story.deal("EURUSD", BUY, 50)
    assert story.last.commission_cents == at_opening
    state = story.server.state()
    assert (state.balance_cents, state.profit_cents) == (RICH_CENTS + at_opening, 0)
    story.close(story.only)
    assert story.last.commission_cents == at_close
    assert story.server.state().balance_cents == RICH_CENTS + at_opening + at_close


# -- the server's clock -------------------------------------------------------------------------------------------------

OFFSETS = [
    ("UTC", "2026-07-01 00:00", 0),
    ("UTC+3", "2026-01-01 00:00", 180),
    ("UTC+3", "2026-07-01 00:00", 180),
    ("UTC-5:30", "2026-07-01 00:00", -330),
    ("EET", "2026-03-29 00:59:59", 120),  # the last Sunday of March, 01:00 UTC
    ("EET", "2026-03-29 01:00:00", 180),
    ("EET", "2026-10-25 00:59:59", 180),  # the last Sunday of October, 01:00 UTC
    ("EET", "2026-10-25 01:00:00", 120),
    ("NEW_YORK_CLOSE", "2026-03-08 06:59:59", 120),  # the second Sunday of March, 02:00 EST
    ("NEW_YORK_CLOSE", "2026-03-08 07:00:00", 180),
    ("NEW_YORK_CLOSE", "2026-11-01 05:59:59", 180),  # the first Sunday of November, 02:00 EDT
    ("NEW_YORK_CLOSE", "2026-11-01 06:00:00", 120),
]


@pytest.mark.parametrize("zone, at, minutes", OFFSETS)
def test_the_server_is_ahead_of_utc_by_its_zone(zone: str, at: str, minutes: int) -> None:
    clock = ServerClock(zone)
    assert clock.offset_ms(utc_ms(at)) == minutes * 60_000
    assert clock.server_ms(utc_ms(at)) == utc_ms(at) + minutes * 60_000


DAY_ENDS = [
    ("UTC", "2026-03-02 10:00", "2026-03-03 00:00"),
    ("UTC+3", "2026-03-02 20:59", "2026-03-02 21:00"),
    ("UTC+3", "2026-03-02 21:00", "2026-03-03 21:00"),
    ("EET", "2026-03-28 10:00", "2026-03-28 22:00"),
    ("EET", "2026-03-28 22:00", "2026-03-29 21:00"),  # a day of 23 hours
    ("EET", "2026-10-24 10:00", "2026-10-24 21:00"),
    ("EET", "2026-10-24 21:00", "2026-10-25 22:00"),  # a day of 25 hours
    ("NEW_YORK_CLOSE", "2026-03-06 12:00", "2026-03-06 22:00"),
    ("NEW_YORK_CLOSE", "2026-03-07 22:00", "2026-03-08 21:00"),
    ("NEW_YORK_CLOSE", "2026-03-09 12:00", "2026-03-09 21:00"),
    ("NEW_YORK_CLOSE", "2026-10-31 21:00", "2026-11-01 22:00"),
]


@pytest.mark.parametrize("zone, now, end", DAY_ENDS)
def test_a_day_ends_at_the_midnight_of_the_server(zone: str, now: str, end: str) -> None:
    assert ServerClock(zone).day_end_utc_ms(utc_ms(now)) == utc_ms(end)


def test_of_an_hour_that_the_server_showed_twice_the_first_counts() -> None:
    assert ServerClock("EET").utc_ms(utc_ms("2026-10-25 03:30")) == utc_ms("2026-10-25 00:30")


@pytest.mark.parametrize("zone", ["UTC+3", "EET", "NEW_YORK_CLOSE"])
def test_server_time_and_back_is_the_same_instant(zone: str) -> None:
    clock: ServerClock = ServerClock(zone)
    back: Callable[[int], int] = clock.utc_ms
    for at in ("2026-01-15 12:00", "2026-03-08 07:00", "2026-03-29 01:00", "2026-07-15 12:00", "2026-11-01 08:00"):
        assert back(clock.server_ms(utc_ms(at))) == utc_ms(at)


@pytest.mark.parametrize("zone, before, end", [("UTC+3", "20:59:59", "21:00"), ("NEW_YORK_CLOSE", "21:59:59", "22:00")])
def test_the_swap_is_charged_at_the_midnight_of_the_server(zone: str, before: str, end: str) -> None:
    terms = SymbolTerms(name="EURUSD", swap_mode=mt5.SYMBOL_SWAP_MODE_CURRENCY_DEPOSIT, swap_long=-1.0)
    story = Story(terms, assume=Assumptions(server_zone=zone))
    story.quote("EURUSD", 110_000)
    story.deal("EURUSD", BUY, 100)
    story.quote("EURUSD", 110_000, at=f"2026-03-02 {before}")
    assert story.only.swap_cents == 0
    story.quote("EURUSD", 110_000, at=f"2026-03-02 {end}")
    assert story.only.swap_cents == -1_00
