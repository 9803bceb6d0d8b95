"""Floats of a terminal become our integers and back; what fits none of them is said, never guessed."""

import math
from fractions import Fraction
from typing import Any

import msgspec
import pytest

from evenkeel.adapters.mt5 import constants as mt5
from evenkeel.adapters.mt5 import translate
from evenkeel.adapters.mt5.translate import Trading, Untranslatable
from evenkeel.adapters.simulated.account_file import COMMON_SYMBOLS, default_account
from evenkeel.adapters.simulated.api import MetaTrader5Like
from evenkeel.adapters.simulated.server.terms import AccountTerms, SymbolTerms
from evenkeel.messages.broker_gateway import Cash, CashKind, CloseRequest, OpenRequest, Outcome, StopRequest
from evenkeel.messages.market import Direction, PointWorth, SymbolSpec
from evenkeel.runtime.clock import ManualClock

NOW_UTC_MS = 1_767_600_000_000
EURUSD = SymbolSpec(1, "EURUSD", 5, 100_000, 100, 1, 10_000, 0, PointWorth(100, 1), 11_000_000, 8)
FOK_AND_IOC = Trading(mt5.SYMBOL_TRADE_EXECUTION_MARKET, 3)


@pytest.mark.parametrize("digits", [2, 3, 5, 6])
def test_every_price_of_its_digits_comes_back_as_the_same_float(digits: int) -> None:
    for points in (1, 7, 99, 12_345, 108_461, 151_003, 9_999_999):
        shown = translate.price(points, digits)
        assert shown == float(f"{points / 10**digits:.{digits}f}")
        assert translate.points(shown, digits) == points


def test_a_price_between_two_points_is_refused_and_names_itself() -> None:
    with pytest.raises(Untranslatable, match=r"price 1\.084605 is no whole point of 5 digits"):
        translate.points(1.084605, 5)


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_what_is_no_number_never_becomes_one_of_ours(number: float) -> None:
    for convert in (translate.points, translate.near_points, translate.steps, translate.cents):
        with pytest.raises(Untranslatable):
            convert(number, 2)


@pytest.mark.parametrize("lots, per_lot, steps", [(0.01, 100, 1), (0.29, 100, 29), (1.1, 10, 11), (100.0, 100, 10_000)])
def test_lots_are_whole_steps_whatever_the_float_says(lots: float, per_lot: int, steps: int) -> None:
    assert translate.steps(lots, per_lot) == steps
    assert translate.lots(steps, per_lot) == lots


def test_a_volume_between_two_steps_is_refused() -> None:
    with pytest.raises(Untranslatable, match="no whole step"):
        translate.steps(0.015, 100)


@pytest.mark.parametrize("digits, money, cents", [(2, 0.29, 29), (2, -1234.56, -123456), (0, 1500.0, 1500), (3, 1.005, 1005)])
def test_money_is_counted_in_the_smallest_unit_of_its_currency(digits: int, money: float, cents: int) -> None:
    assert translate.cents(money, digits) == cents


REJECTED = {
    *(10004, 10006, 10007, 10013, 10014, 10015, 10016, 10017, 10018, 10019, 10020, 10021, 10022, 10024, 10026, 10027),
    *(10029, 10030, 10032, 10033, 10034, 10035, 10036, 10038, 10040, 10042, 10043, 10044, 10045, 10046),
}
OTHERS = {
    **dict.fromkeys((10009, 10010, 10025), Outcome.ACCEPTED),
    10008: Outcome.PENDING,
    **dict.fromkeys((10011, 10012, 10023, 10028, 10031, 10039, 10041), Outcome.UNKNOWN),
    **dict.fromkeys((-1, 0, 1, 10000, 10001, 10002, 10003, 10005, 10037, 10047, 99_999), Outcome.UNKNOWN),
}


@pytest.mark.parametrize("code", sorted(REJECTED))
def test_a_definite_reject_is_one_of_a_closed_list(code: int) -> None:
    assert translate.outcome_of(code) is Outcome.REJECTED


@pytest.mark.parametrize("code, outcome", sorted(OTHERS.items()))
def test_whatever_is_not_in_the_list_is_accepted_pending_or_unknown(code: int, outcome: Outcome) -> None:
    assert translate.outcome_of(code) is outcome


def test_no_code_beyond_the_table_is_a_definite_reject() -> None:
    assert {code for code in range(-20_000, 20_000) if translate.outcome_of(code) is Outcome.REJECTED} == REJECTED


@pytest.mark.parametrize(
    "last_error, outcome",
    [
        (-2, Outcome.REJECTED),
        (-8, Outcome.REJECTED),
        *((code, Outcome.UNKNOWN) for code in (1, -1, -3, -4, -5, -6, -7, -10000, -10001, -10002, -10003, -10004, -10005)),
    ],
)
def test_an_order_without_a_result_is_unknown_unless_the_terminal_says_that_nothing_left(
    last_error: int, outcome: Outcome
) -> None:
    assert translate.outcome_of_error(last_error) is outcome


@pytest.mark.parametrize(
    "execution, mask, filling",
    [(0, 0, 0), (1, 0, 0), (2, 1, 0), (2, 2, 1), (2, 3, 0), (3, 0, 2), (3, 2, 1)],
)
def test_the_filling_follows_from_execution_and_mask(execution: int, mask: int, filling: int) -> None:
    assert translate.filling_of(Trading(execution, mask)) == filling


def test_market_execution_that_allows_no_filling_takes_no_order() -> None:
    with pytest.raises(Untranslatable, match="allows no market order"):
        translate.filling_of(Trading(mt5.SYMBOL_TRADE_EXECUTION_MARKET, 0))


def test_an_order_is_made_of_floats_plain_ints_and_a_short_ascii_comment() -> None:
    request = OpenRequest("EURUSD", 1, Direction.BUY, 10, 108_461, 5, 108_000, 0, 0)

    sent = translate.open_request(request, 77, EURUSD, FOK_AND_IOC)

    floats = {name for name, value in sent.items() if type(value) is float}
    assert floats == {"volume", "price", "sl", "tp"}
    assert {type(value) for name, value in sent.items() if name not in (*floats, "symbol", "comment")} == {int}
    assert (sent["volume"], sent["price"], sent["sl"], sent["tp"]) == (0.1, 1.08461, 1.08, 0.0)
    assert sent["comment"] == "ek0000000004dd"


def test_a_close_names_the_position_and_the_opposite_side() -> None:
    request = CloseRequest("EURUSD", 1001, Direction.BUY, 0)

    sent = translate.close_request(
        request, 4, 9, EURUSD, FOK_AND_IOC, ticket=2002, is_buy=True, price_points=108_453, deviation_points=10
    )

    assert (sent["position"], sent["type"], sent["volume"]) == (2002, mt5.ORDER_TYPE_SELL, 0.04)


def test_stops_are_always_sent_both_because_an_omitted_one_would_be_removed() -> None:
    sent = translate.stop_request(StopRequest("EURUSD", 1001, 108_000, 0), EURUSD, ticket=1001)
    assert (sent["sl"], sent["tp"]) == (1.08, 0.0)


# Terms of symbols, as a terminal tells them


def info_of(account: AccountTerms, symbol: SymbolTerms, *others: SymbolTerms) -> Any:
    opened = msgspec.structs.replace(default_account(), account=account, symbols={one.name: one for one in (symbol, *others)})
    package = MetaTrader5Like(opened=opened, clock=ManualClock(NOW_UTC_MS))
    assert package.initialize()
    info = package.symbol_info(symbol.name)
    assert info is not None
    return info


def spec_of(info: Any, currency_digits: int = 2) -> SymbolSpec:
    return translate.spec_of(info, spec_id=3, currency_digits=currency_digits, commission_cents_per_lot=350)


def worth_of(spec: SymbolSpec) -> Fraction:
    return Fraction(spec.worth.numerator, spec.worth.denominator)


def test_a_point_of_a_symbol_quoted_in_the_accounts_currency_has_an_exact_worth() -> None:
    spec = spec_of(info_of(AccountTerms(), COMMON_SYMBOLS["EURUSD"]))
    assert (worth_of(spec), spec.digits, spec.steps_per_lot, spec.spec_id, spec.commission_cents_per_lot) == (
        100,
        5,
        100,
        3,
        350,
    )


def test_a_point_of_usdjpy_is_worth_what_the_yen_cost() -> None:
    info = info_of(AccountTerms(), COMMON_SYMBOLS["USDJPY"])
    assert float(worth_of(spec_of(info))) == pytest.approx(100 * 100_000 / 1000 / info.bid, rel=1e-4)


def test_an_account_in_yen_has_no_decimals() -> None:
    yen = AccountTerms(currency="JPY", currency_digits=0, start_balance_cents=1_500_000)
    spec = spec_of(info_of(yen, COMMON_SYMBOLS["USDJPY"]), currency_digits=0)
    assert worth_of(spec) == 100  # 0.001 yen for each of 100,000 dollars


def test_an_account_in_euro_pays_for_the_dollars() -> None:
    info = info_of(AccountTerms(currency="EUR"), COMMON_SYMBOLS["EURUSD"])
    assert float(worth_of(spec_of(info))) == pytest.approx(100 / info.bid, rel=1e-4)


def test_a_cent_account_is_its_own_currency() -> None:
    cent = AccountTerms(currency="USC", currency_digits=2)
    eurusc = msgspec.structs.replace(COMMON_SYMBOLS["EURUSD"], name="EURUSDc", currency_profit="USC", contract_size=1_000)
    assert worth_of(spec_of(info_of(cent, eurusc))) == 1


def test_six_digits_and_a_coarse_tick_are_understood() -> None:
    odd = SymbolTerms(name="ODD", digits=6, tick_size_points=25, contract_size=10_000, typical_price_points=2_000_000)
    spec = spec_of(info_of(AccountTerms(), odd))
    assert (spec.digits, worth_of(spec)) == (6, 1)


def test_a_symbol_whose_tick_is_worth_nothing_is_refused() -> None:
    unexchanged = msgspec.structs.replace(COMMON_SYMBOLS["EURUSD"], name="EURXTS", currency_profit="XTS")
    with pytest.raises(Untranslatable, match="nothing can be sized"):
        spec_of(info_of(AccountTerms(), unexchanged))


class Line:
    """A row of the history as the package shows it."""

    def __init__(self, **fields: object) -> None:
        self.ticket, self.symbol, self.comment, self.type = 5, "", "by hand", mt5.DEAL_TYPE_BALANCE
        self.profit = self.commission = self.swap = self.fee = 0.0
        self.__dict__.update(fields)


CASH_KINDS = {
    (2, "", CashKind.BALANCE),
    (3, "", CashKind.CREDIT),
    (4, "", CashKind.CHARGE),
    (5, "", CashKind.CORRECTION),
    (6, "", CashKind.BONUS),
    *((commission, "", CashKind.COMMISSION) for commission in (7, 8, 9, 10, 11)),
    (12, "", CashKind.INTEREST),
    (13, "EURUSD", CashKind.CANCELED),
    (14, "EURUSD", CashKind.CANCELED),
    (15, "EURUSD", CashKind.DIVIDEND),
    (16, "EURUSD", CashKind.DIVIDEND),
    (17, "EURUSD", CashKind.TAX),
    (18, "", CashKind.OTHER),
    (0, "XAUUSD", CashKind.UNKNOWN_SYMBOL),
    (1, "XAUUSD", CashKind.UNKNOWN_SYMBOL),
}


@pytest.mark.parametrize("deal_type, symbol, kind", sorted(CASH_KINDS))
def test_every_line_that_is_no_trade_we_know_is_cash_with_all_of_its_money(deal_type: int, symbol: str, kind: CashKind) -> None:
    row = Line(type=deal_type, symbol=symbol, profit=10.0, commission=-1.25, swap=-0.5, fee=-0.25)
    assert translate.cash_of(row, currency_digits=2, time_utc_ms=7) == Cash(5, kind, 800, "by hand", 7)


def test_only_what_bought_or_sold_is_a_trade() -> None:
    assert [kind for kind in range(20) if translate.is_trade(Line(type=kind, symbol="EURUSD"))] == [0, 1]
    assert not translate.is_trade(Line(type=0))
