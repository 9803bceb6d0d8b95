"""How the package is called and how it answers (metatrader5.md 1.1 to 1.9, 2.1 and 2.9), whatever the server decides."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from enum import IntEnum
from typing import Any, Final

import msgspec
import numpy as np
import pytest

from evenkeel.adapters.mt5 import constants as c
from evenkeel.adapters.simulated.account_file import MarketTerms, default_account
from evenkeel.adapters.simulated.api import MetaTrader5Like
from evenkeel.adapters.simulated.faults import Call
from evenkeel.adapters.simulated.packs import BrokerEvent, CallEvent, Pack
from evenkeel.runtime.clock import ManualClock

NOON_MS: Final = 1_789_560_000_000
"""A Wednesday, 16 September 2026, 12:00 UTC: the server here is in UTC."""
NOON_S: Final = NOON_MS // 1000
SUCCESS: Final = (1, "Success")
NO_CONNECTION: Final = (-10004, "No IPC connection")
INVALID: Final = (-2, "Invalid arguments")
SYMBOLS: Final = ("EURUSD", "GBPUSD", "USDJPY", "EURJPY")
PRICES: Final = {
    "EURUSD": (108_500, 108_510),
    "GBPUSD": (127_000, 127_012),
    "USDJPY": (151_000, 151_009),
    "EURJPY": (163_800, 163_814),
}
BUY: Final = {"action": 1, "symbol": "EURUSD", "volume": 0.1, "type": 0}

NO_ARGUMENTS: Final = (
    "shutdown version terminal_info account_info positions_total orders_total symbols_total last_error".split()
)
POSITIONAL: Final = (
    "copy_ticks_from copy_ticks_range copy_rates_from copy_rates_from_pos copy_rates_range history_orders_total"
    " history_deals_total order_calc_margin order_calc_profit symbol_info symbol_info_tick symbol_select market_book_add"
    " market_book_release market_book_get"
).split()
WITH_KEYWORDS: Final = (
    "initialize login positions_get orders_get history_orders_get history_deals_get order_check order_send symbols_get".split()
)
CALLS: Final[tuple[tuple[str, tuple[Any, ...], dict[str, Any]], ...]] = (
    ("version", (), {}),
    ("terminal_info", (), {}),
    ("account_info", (), {}),
    ("positions_total", (), {}),
    ("orders_total", (), {}),
    ("symbol_info", ("EURUSD",), {}),
    ("symbol_info_tick", ("EURUSD",), {}),
    ("market_book_get", ("EURUSD",), {}),
    ("copy_rates_from", ("EURUSD", 1, NOON_S, 5), {}),
    ("copy_rates_from_pos", ("EURUSD", 1, 0, 5), {}),
    ("copy_rates_range", ("EURUSD", 1, NOON_S - 60, NOON_S), {}),
    ("copy_ticks_from", ("EURUSD", NOON_S, 5, -1), {}),
    ("copy_ticks_range", ("EURUSD", NOON_S, NOON_S, -1), {}),
    ("positions_get", (), {}),
    ("orders_get", (), {}),
    ("history_orders_total", (1, NOON_S), {}),
    ("history_deals_total", (1, NOON_S), {}),
    ("history_orders_get", (1, NOON_S), {}),
    ("history_deals_get", (1, NOON_S), {}),
    ("order_calc_margin", (0, "EURUSD", 0.1, 1.0851), {}),
    ("order_calc_profit", (0, "EURUSD", 0.1, 1.0851, 1.09), {}),
    ("order_check", (BUY,), {}),
    ("order_send", (BUY,), {}),
)
"""Those that answer None without a connection."""


def module(
    *,
    symbol: dict[str, Any] | None = None,
    terminal: dict[str, Any] | None = None,
    scenario: Pack | None = None,
    clock: ManualClock | None = None,
    start: bool = True,
) -> Any:
    """The package with a still market of four symbols, one of which is not selected."""
    replace, base = msgspec.structs.replace, default_account()
    opened = replace(
        base,
        terminal=replace(base.terminal, **terminal or {}),
        market=MarketTerms(quote_every_s=3600),
        symbols={name: replace(base.symbols[name], **symbol or {}) for name in SYMBOLS},
    )
    mt5 = MetaTrader5Like(opened=opened, clock=clock or ManualClock(NOON_MS), scenario=scenario)
    if start:
        assert mt5.initialize()
        for name, (bid, ask) in PRICES.items():
            mt5.session.quoted(name, NOON_MS, bid, ask)
    return mt5


@pytest.fixture
def mt5() -> Any:
    return module()


def fails(mt5: Any, code: int, text: str | None = None) -> bool:
    found = mt5.last_error()
    assert found == (code, found[1] if text is None else text)
    return True


def opened(mt5: Any, *names: str) -> list[int]:
    """A long position in each, and their tickets."""
    results = [mt5.order_send({**BUY, "symbol": name}) for name in names]
    assert [one.retcode for one in results] == [10009] * len(names)
    return [one.order for one in results]


# -- 1.1, 1.2: names and kinds of arguments --------------------------------------------------------------------------------


def test_every_function_struct_and_helper_has_its_name(mt5: Any) -> None:
    assert all(callable(getattr(mt5, name)) for name in (*NO_ARGUMENTS, *POSITIONAL, *WITH_KEYWORDS, "Buy", "Sell", "Close"))
    assert all(isinstance(getattr(mt5, name), type) for name in FIELDS)
    assert (mt5.__version__, mt5.__author__) == ("5.0.6231", "MetaQuotes Ltd.")


@pytest.mark.parametrize(
    "name",
    [
        "SYMBOL_FILLING_FOK",
        "SYMBOL_ORDER_MARKET",
        "SYMBOL_EXPIRATION_GTC",
        "POSITION_REASON_SL",
        "TRADE_RETCODE_HEDGE_PROHIBITED",
    ],
)
def test_what_people_think_is_there_is_not_there(mt5: Any, name: str) -> None:
    assert not hasattr(mt5, name)


@pytest.mark.parametrize("name", NO_ARGUMENTS)
def test_a_function_without_arguments_raises_for_any(mt5: Any, name: str) -> None:
    with pytest.raises(TypeError):
        getattr(mt5, name)(1)
    with pytest.raises(TypeError):
        getattr(mt5, name)(some=1)


@pytest.mark.parametrize("name", POSITIONAL)
def test_a_positional_function_raises_for_a_keyword(mt5: Any, name: str) -> None:
    arguments = next((one[1] for one in CALLS if one[0] == name), ("EURUSD",))
    with pytest.raises(TypeError):
        getattr(mt5, name)(*arguments, some=1)
    with pytest.raises(TypeError):
        getattr(mt5, name)(symbol="EURUSD")


def test_unknown_keywords_are_ignored(mt5: Any) -> None:
    opened(mt5, "EURUSD", "GBPUSD")
    assert len(mt5.positions_get(magic=7)) == 2
    assert mt5.orders_get(state=1) == ()
    assert len(mt5.symbols_get(path="nowhere")) == len(SYMBOLS)
    assert mt5.history_deals_get(1, NOON_S + 60, symbol="GBPUSD") == mt5.history_deals_get(1, NOON_S + 60)
    assert mt5.order_send(**BUY, colour="red").retcode == 10009
    assert mt5.initialize(colour="red") is True


def test_each_call_forgets_the_last_error_and_asking_for_it_does_not(mt5: Any) -> None:
    assert mt5.symbol_info("NOSUCH") is None
    assert mt5.last_error() == mt5.last_error() == (-4, "Terminal: Not found")
    assert mt5.account_info() is not None
    assert mt5.last_error() == SUCCESS


def test_shutdown_forgets_the_last_error_too(mt5: Any) -> None:
    assert mt5.symbol_info("NOSUCH") is None
    assert mt5.shutdown() is True
    assert mt5.last_error() == SUCCESS


# -- 1.2: errors of Python -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name, arguments, cause",
    [
        ("symbol_info", (), TypeError),
        ("symbol_info", (5,), TypeError),
        ("symbol_info", ("EURUSD", "GBPUSD"), TypeError),
        ("symbol_info_tick", (None,), TypeError),
        ("symbol_select", (5,), TypeError),
        ("market_book_get", (5,), TypeError),
        ("copy_rates_from_pos", ("EURUSD", 1, 0), TypeError),
        ("copy_rates_from_pos", ("EURUSD", 1.0, 0, 1), TypeError),
        ("copy_rates_from_pos", ("EURUSD", 1, 0, 2**31), OverflowError),
        ("copy_rates_from", ("EURUSD", 1, NOON_S, "5"), TypeError),
        ("copy_ticks_from", ("EURUSD", NOON_S, 2.0, -1), TypeError),
        ("order_calc_margin", ("0", "EURUSD", 0.1, 1.0), TypeError),
        ("order_calc_margin", (0, "EURUSD", "0.1", 1.0), TypeError),
        ("order_calc_profit", (0, "EURUSD", 0.1, 1.0, None), TypeError),
    ],
)
def test_a_wrong_type_in_a_fixed_format_is_a_system_error(
    mt5: Any, name: str, arguments: tuple[Any, ...], cause: type[Exception]
) -> None:
    with pytest.raises(SystemError) as error:
        getattr(mt5, name)(*arguments)
    assert isinstance(error.value.__cause__, cause)


@pytest.mark.parametrize("number", [-1, 2**64])
@pytest.mark.parametrize(
    "call",
    [
        lambda mt5, number: mt5.positions_get(ticket=number),
        lambda mt5, number: mt5.orders_get(ticket=number),
        lambda mt5, number: mt5.history_deals_get(position=number),
        lambda mt5, number: mt5.history_orders_get(ticket=number),
        lambda mt5, number: mt5.order_send({**BUY, "magic": number}),
        lambda mt5, number: mt5.order_send({**BUY, "type": number}),
        lambda mt5, number: mt5.order_check({**BUY, "deviation": number}),
        lambda mt5, number: mt5.login(number),
    ],
)
def test_a_negative_or_too_large_number_is_a_system_error(mt5: Any, call: Callable[[Any, int], Any], number: int) -> None:
    with pytest.raises(SystemError) as error:
        call(mt5, number)
    assert isinstance(error.value.__cause__, OverflowError | TypeError)


def test_calculations_take_any_real_number(mt5: Any) -> None:
    assert mt5.order_calc_margin(0, "EURUSD", 1, 1) == mt5.order_calc_margin(0, "EURUSD", 1.0, 1.0)
    assert mt5.order_calc_profit(0, "EURUSD", np.float32(1), 1, np.int64(2)) == 100_000.0
    assert mt5.copy_rates_from_pos("EURUSD", np.int64(1), np.int32(0), 2) is not None


# -- 1.3: initialize and login ---------------------------------------------------------------------------------------------


def test_initialize_takes_one_positional_argument_at_most() -> None:
    mt5 = module(start=False)
    assert mt5.initialize("a", "b") is False
    assert fails(mt5, -2)
    assert mt5.initialize("C:\\terminal64.exe", timeout=5, portable="yes") is True
    assert mt5.last_error() == SUCCESS


@pytest.mark.parametrize(
    "keywords",
    [
        {"password": "x" * 254, "login": 5_000_001},
        {"server": "x" * 254, "login": 5_000_001},
        {"path": "x" * 258},
        {"path": 5},
        {"password": 5, "login": 5_000_001},
        {"login": "5000001"},
        {"login": 5_000_001.0},
        {"login": np.int64(5_000_001)},
    ],
)
def test_initialize_refuses_bad_and_too_long_arguments(keywords: dict[str, Any]) -> None:
    mt5 = module(start=False)
    assert mt5.initialize(**keywords) is False
    assert fails(mt5, -2)


@pytest.mark.parametrize("timeout", ["soon", 5.5])
def test_a_timeout_is_whole_milliseconds(timeout: Any) -> None:
    mt5 = module(start=False)
    assert mt5.initialize(timeout=timeout) is False
    assert fails(mt5, -2, 'Invalid "timeout" argument')


def test_the_longest_credentials_are_taken() -> None:
    mt5 = module(start=False)
    assert mt5.initialize("x" * 257, login=5_000_001, password="x" * 253)
    assert mt5.login(5_000_001, "x" * 253)


def test_positional_login_is_login_password_server(mt5: Any) -> None:
    """Not the order that its own help prints."""
    assert mt5.login(5_000_001, "secret", "Evenkeel-Simulated") is True
    assert mt5.login(5_000_001, "Evenkeel-Simulated", "secret") is False
    assert fails(mt5, -6, "Terminal: Authorization failed")
    assert mt5.login(login=5_000_001, password="secret", server="Evenkeel-Simulated") is True
    assert mt5.last_error() == SUCCESS


def test_login_takes_three_positional_arguments_at_most(mt5: Any) -> None:
    assert mt5.login(5_000_001, "secret", "Evenkeel-Simulated", 1000) is False
    assert fails(mt5, -2)


def test_a_refused_login_keeps_the_connection_and_a_refused_initialize_does_not(mt5: Any) -> None:
    assert mt5.login(999) is False
    assert mt5.account_info() is not None
    assert mt5.initialize(login=999) is False
    assert fails(mt5, -6, "Terminal: Authorization failed")
    assert mt5.account_info() is None
    assert fails(mt5, *NO_CONNECTION)


def test_shutdown_is_always_true() -> None:
    mt5 = module(start=False)
    assert mt5.shutdown() is True
    assert mt5.initialize()
    assert (mt5.shutdown(), mt5.shutdown()) == (True, True)


def test_version_is_500_build_and_date(mt5: Any) -> None:
    assert mt5.version() == (500, 6199, "16 Sep 2026")
    assert type(mt5.version()) is tuple


# -- 1.3: without a connection ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name, arguments, keywords", CALLS)
def test_without_a_connection_a_call_fails_with_10004(name: str, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> None:
    mt5 = module(start=False)
    assert getattr(mt5, name)(*arguments, **keywords) is None
    assert fails(mt5, *NO_CONNECTION)


@pytest.mark.parametrize("name, arguments", [("symbol_select", ("EURUSD",)), ("login", (5_000_001,))])
def test_without_a_connection_selecting_and_login_are_false(name: str, arguments: tuple[Any, ...]) -> None:
    mt5 = module(start=False)
    assert getattr(mt5, name)(*arguments) is False
    assert fails(mt5, *NO_CONNECTION)


@pytest.mark.parametrize("name", ["symbols_total", "symbols_get"])
def test_before_the_first_initialize_symbols_find_the_build_too_old(name: str) -> None:
    mt5 = module(start=False)
    assert getattr(mt5, name)() is None
    text = "Terminal: Incompatible versions, please install the latest version of Terminal and Python module"
    assert fails(mt5, -5, text)
    assert mt5.initialize()
    assert mt5.shutdown()
    assert getattr(mt5, name)() is None
    assert fails(mt5, *NO_CONNECTION)


@pytest.mark.parametrize("name", ["symbols_total", "symbols_get"])
def test_a_terminal_older_than_2364_has_no_list_of_symbols(name: str) -> None:
    for build in (2363, 2364):
        mt5 = module(terminal={"build": build})
        assert (getattr(mt5, name)() is None) is (build == 2363)
        assert fails(mt5, -5 if build == 2363 else 1)


def test_a_terminal_that_dies_fails_the_call_with_10002_and_every_later_one_with_10004() -> None:
    dies = Pack(title="", covers=(), expect="", call=(CallEvent(kind="dead", on=(Call.POSITIONS,), nth=2),))
    mt5 = module(scenario=dies)
    assert mt5.positions_get() == ()
    assert mt5.positions_get() is None
    assert fails(mt5, -10002, "IPC recv failed")
    for _ in range(2):
        assert mt5.account_info() is None
        assert fails(mt5, *NO_CONNECTION)
    assert mt5.initialize() is True
    assert mt5.positions_get() == ()


def test_a_terminal_that_restarts_does_so_too() -> None:
    clock = ManualClock(NOON_MS)
    mt5 = module(scenario=Pack(title="", covers=(), expect="", broker=(BrokerEvent(kind="restart", at_s=5),)), clock=clock)
    clock.advance_to(NOON_MS + 6000)
    assert mt5.order_send(BUY) is None
    assert fails(mt5, -10002, "IPC recv failed")
    assert mt5.terminal_info() is None
    assert fails(mt5, *NO_CONNECTION)
    assert mt5.initialize() is True


# -- 1.3: symbols and depth of market --------------------------------------------------------------------------------------


@pytest.mark.parametrize("arguments, keywords", [((5,), {}), ((), {"group": 5}), ((), {"group": None}), (("x" * 1998,), {})])
def test_a_bad_group_of_symbols_answers_false(mt5: Any, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> None:
    assert mt5.symbols_get(*arguments, **keywords) is False
    assert fails(mt5, -2)


def test_symbols_are_found_by_group_positional_or_by_name(mt5: Any) -> None:
    assert mt5.symbols_total() == len(mt5.symbols_get()) == len(SYMBOLS)
    assert type(mt5.symbols_get()) is tuple
    assert [one.name for one in mt5.symbols_get("*,!*JPY*")] == ["EURUSD", "GBPUSD"]
    assert mt5.symbols_get(group="*,!*JPY*") == mt5.symbols_get("*,!*JPY*")


def test_a_symbol_that_is_not_selected_has_no_tick_until_it_is(mt5: Any) -> None:
    assert mt5.symbol_info("EURJPY").select is False
    assert mt5.symbol_info_tick("EURJPY") is None
    assert fails(mt5, -1, "Terminal: Call failed")
    assert mt5.symbol_select("EURJPY") is True
    assert mt5.symbol_info_tick("EURJPY").bid == 163.8


@pytest.mark.parametrize("enable, selected", [(True, True), ("no", True), (1, True), (0, False), ("", False), (None, False)])
def test_selecting_goes_by_truth(mt5: Any, enable: Any, selected: bool) -> None:
    assert mt5.symbol_select("EURJPY", enable) is True
    assert mt5.symbol_info("EURJPY").select is selected


def test_selecting_an_unknown_symbol_is_false(mt5: Any) -> None:
    assert mt5.symbol_select("NOSUCH") is False
    assert mt5.last_error()[0] != 1


@pytest.mark.parametrize("name", ["market_book_add", "market_book_release"])
def test_the_depth_of_market_fails_in_silence(name: str) -> None:
    mt5 = module()
    assert getattr(mt5, name)("EURUSD") is True
    assert getattr(mt5, name)("NOSUCH") is False
    assert fails(mt5, *SUCCESS)
    for bad in ((), (5,)):
        assert getattr(mt5, name)(*bad) is None
        assert fails(mt5, -2)
    mt5.shutdown()
    assert getattr(mt5, name)("EURUSD") is False
    assert fails(mt5, *SUCCESS)


@pytest.mark.parametrize("name", ["market_book_add", "market_book_release"])
def test_a_symbol_of_30_units_is_a_bad_argument_to_the_depth_of_market_too(mt5: Any, name: str) -> None:
    assert getattr(mt5, name)("x" * 30) is None
    assert fails(mt5, -2)


def test_depth_is_shown_once_it_was_asked_for_and_may_be_empty() -> None:
    mt5 = module()
    assert mt5.market_book_get("EURUSD") is None
    assert mt5.market_book_add("EURUSD")
    assert mt5.market_book_get("EURUSD") == ()
    deep = module(symbol={"liquidity_steps": 500})
    assert deep.market_book_add("EURUSD")
    rows = deep.market_book_get("EURUSD")
    assert {one.type for one in rows} == {c.BOOK_TYPE_SELL, c.BOOK_TYPE_BUY}
    assert [type(value) for value in rows[0]] == [int, float, int, float]


# -- 1.3, 1.4: what is chosen ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["positions_get", "orders_get"])
def test_positions_and_orders_take_no_positional_argument(mt5: Any, name: str) -> None:
    assert getattr(mt5, name)("EURUSD") is None
    assert fails(mt5, -2, "Unnamed arguments not allowed")


def test_the_ticket_goes_before_the_symbol_and_the_symbol_before_the_group(mt5: Any) -> None:
    euro, _ = opened(mt5, "EURUSD", "GBPUSD")
    found = [
        mt5.positions_get(group="GBPUSD", symbol="GBPUSD", ticket=euro),
        mt5.positions_get(group="GBPUSD", symbol="EURUSD"),
        mt5.positions_get(group="EURUSD"),
    ]
    assert [[one.symbol for one in positions] for positions in found] == [["EURUSD"]] * 3


def test_the_same_goes_for_orders(mt5: Any) -> None:
    tickets = [
        mt5.order_send(action=5, symbol=name, volume=0.1, type=2, price=price).order
        for name, price in (("EURUSD", 1.08), ("GBPUSD", 1.26))
    ]
    assert [one.ticket for one in mt5.orders_get(ticket=tickets[1], symbol="EURUSD")] == tickets[1:]
    assert [one.ticket for one in mt5.orders_get(symbol="EURUSD", group="GBP*")] == tickets[:1]
    assert mt5.orders_total() == 2


def test_an_unknown_ticket_or_symbol_is_an_empty_tuple_and_no_error(mt5: Any) -> None:
    opened(mt5, "EURUSD")
    empty = [
        mt5.positions_get(ticket=777),
        mt5.positions_get(symbol="NOSUCH"),
        mt5.orders_get(ticket=777),
        mt5.history_deals_get(ticket=777),
        mt5.history_orders_get(ticket=777),
    ]
    assert empty == [()] * 5
    assert mt5.last_error() == SUCCESS


@pytest.mark.parametrize(
    "keywords, field",
    [({"symbol": 5}, "symbol"), ({"symbol": None}, "symbol"), ({"ticket": "5"}, "ticket"), ({"ticket": np.int64(5)}, "ticket")],
)
def test_a_bad_criterion_answers_none_and_names_it(mt5: Any, keywords: dict[str, Any], field: str) -> None:
    for name in ("positions_get", "orders_get"):
        assert getattr(mt5, name)(**keywords) is None
        assert fails(mt5, -2, f'Invalid "{field}" argument')


@pytest.mark.parametrize(
    "mask, found",
    [
        ("*", "EURUSD GBPUSD USDJPY"),
        ("EURUSD", "EURUSD"),
        ("EUR", ""),
        ("EUR*", "EURUSD"),
        ("*USD", "EURUSD GBPUSD"),
        ("*USD*", "EURUSD GBPUSD USDJPY"),
        ("E*U*D", "EURUSD"),
        ("eur*", ""),
        ("EUR*,USD*", "EURUSD USDJPY"),
        ("  EURUSD  ,   GBPUSD ", "EURUSD GBPUSD"),
        ("*,!EUR*", "GBPUSD USDJPY"),
        ("!EUR*,*", "GBPUSD USDJPY"),
        ("*, !EUR*, !GBP*", "USDJPY"),
        ("!EUR*", ""),
        ("EURUS?", ""),
        ("*" * 255 + "x", "EURUSD GBPUSD USDJPY"),
        ("*," + "x" * 1995, "EURUSD GBPUSD USDJPY"),
    ],
)
def test_a_group_mask_wants_one_item_and_no_exclusion(mt5: Any, mask: str, found: str) -> None:
    opened(mt5, "EURUSD", "GBPUSD", "USDJPY")
    assert [one.symbol for one in mt5.positions_get(group=mask)] == found.split()
    assert [one.symbol for one in mt5.history_deals_get(1, NOON_S + 60, group=mask) if one.symbol] == found.split()
    assert [one.symbol for one in mt5.history_orders_get(1, NOON_S + 60, group=mask)] == found.split()


def test_a_group_is_1997_units_at_most(mt5: Any) -> None:
    assert mt5.positions_get(group="x" * 1997) == ()
    assert mt5.positions_get(group="x" * 1998) is None
    assert fails(mt5, -2)


# -- 1.3, 1.5: history and dates -------------------------------------------------------------------------------------------


def test_with_two_dates_ticket_and_position_are_ignored(mt5: Any) -> None:
    first, _ = opened(mt5, "EURUSD", "GBPUSD")
    for name in ("history_deals_get", "history_orders_get"):
        call = getattr(mt5, name)
        assert call(1, NOON_S + 60, position=first, ticket=first) == call(1, NOON_S + 60)
        assert len(call(1, NOON_S + 60)) >= 2
        assert [one.symbol for one in call(position=first)] == ["EURUSD"]
        assert [one.symbol for one in call(ticket=first)] == ["EURUSD"]


def test_the_ticket_goes_before_the_position(mt5: Any) -> None:
    first, second = opened(mt5, "EURUSD", "GBPUSD")
    assert [one.ticket for one in mt5.history_orders_get(ticket=first, position=second)] == [first]


@pytest.mark.parametrize("keywords", [{}, {"group": "*"}, {"date_from": 1, "date_to": NOON_S}])
def test_history_without_criteria_or_with_dates_by_name_is_refused(mt5: Any, keywords: dict[str, Any]) -> None:
    for name in ("history_deals_get", "history_orders_get"):
        assert getattr(mt5, name)(**keywords) is None
        assert fails(mt5, *INVALID)


def test_one_date_or_three_are_refused(mt5: Any) -> None:
    for arguments in ((NOON_S,), (1, NOON_S, NOON_S)):
        assert mt5.history_deals_get(*arguments) is None
        assert fails(mt5, -2)


@pytest.mark.parametrize(
    "moment",
    [
        NOON_S,
        float(NOON_S),
        NOON_S + 0.999,
        np.float64(NOON_S),
        datetime.fromtimestamp(NOON_S, UTC),
        datetime.fromtimestamp(NOON_S, UTC) + timedelta(microseconds=999_999),
        datetime.fromtimestamp(NOON_S, timezone(timedelta(hours=5))),
        datetime.fromtimestamp(NOON_S),  # noqa: DTZ006 - naive: the computer's own zone
    ],
)
def test_a_date_is_truncated_to_its_second(moment: Any) -> None:
    """The deals are those half a second after it."""
    clock = ManualClock(NOON_MS)
    mt5 = module(clock=clock)
    clock.advance_to(NOON_MS + 500)
    mt5.session.quoted("EURUSD", NOON_MS + 500, *PRICES["EURUSD"])
    opened(mt5, "EURUSD")
    assert mt5.history_deals_total(moment, NOON_S + 60) == 1
    assert mt5.history_orders_total(moment, NOON_S + 60) == 1
    assert mt5.copy_ticks_from("EURUSD", moment, 1, c.COPY_TICKS_ALL)["time_msc"].tolist() == [NOON_MS]


def test_dates_after_2038_are_broken(mt5: Any) -> None:
    opened(mt5, "EURUSD")
    assert mt5.history_deals_total(NOON_S, datetime(2038, 1, 1, tzinfo=UTC)) == 1
    assert mt5.history_deals_total(NOON_S, datetime(2039, 1, 1, tzinfo=UTC)) == 0


@pytest.mark.parametrize(
    "bad", [date(2026, 9, 16), "2026-09-16", np.datetime64("2026-09-16"), None, np.int64(NOON_S), Decimal(5)]
)
def test_what_is_no_date_is_refused(mt5: Any, bad: Any) -> None:
    calls: list[Callable[[], Any]] = [
        lambda: mt5.history_deals_total(bad, NOON_S),
        lambda: mt5.history_orders_get(1, bad),
        lambda: mt5.copy_rates_from("EURUSD", 1, bad, 5),
        lambda: mt5.copy_rates_range("EURUSD", 1, bad, NOON_S),
        lambda: mt5.copy_ticks_from("EURUSD", bad, 5, -1),
    ]
    for call in calls:
        assert call() is None
        assert fails(mt5, *INVALID)


# -- 2.1: the request ------------------------------------------------------------------------------------------------------


class Side(IntEnum):
    BUY = 0


@pytest.mark.parametrize(
    "field, value",
    [
        *((field, value) for field in ("volume", "price", "stoplimit", "sl", "tp") for value in (1, np.float32(1), None, "1")),
        ("volume", Decimal("0.1")),
        *((field, value) for field in ("action", "magic", "order", "deviation", "type") for value in (1.0, np.int64(1), None)),
        *((field, np.int32(0)) for field in ("type_filling", "type_time", "expiration", "position", "position_by")),
        ("expiration", datetime(2027, 1, 1, tzinfo=UTC)),
        *((field, value) for field in ("symbol", "comment") for value in (None, 5, b"EURUSD", "x" * 30, "😀" * 15)),
    ],
)
def test_a_field_of_a_wrong_type_answers_none_and_is_named(mt5: Any, field: str, value: Any) -> None:
    for call in (mt5.order_send, mt5.order_check):
        assert call({**BUY, field: value}) is None
        assert fails(mt5, -2, f'Invalid "{field}" argument')
    assert mt5.positions_total() == 0


@pytest.mark.parametrize("more", [{"volume": np.float64(0.1)}, {"type": Side.BUY}, {"type": False}, {"action": True}])
def test_subclasses_of_float_and_int_are_taken(mt5: Any, more: dict[str, Any]) -> None:
    assert mt5.order_send({**BUY, **more}).retcode == 10009


@pytest.mark.parametrize("comment", ["x" * 29, "😀" * 14 + "x", "é, \"quoted\" <tag> 'n' \t"])
def test_a_comment_of_29_units_of_whatever_is_taken(mt5: Any, comment: str) -> None:
    assert mt5.order_send({**BUY, "comment": comment}).request.comment == comment


@pytest.mark.parametrize("name", ["symbol_info", "symbol_info_tick", "market_book_get", "symbol_select"])
def test_a_symbol_is_29_units_at_most(mt5: Any, name: str) -> None:
    assert not getattr(mt5, name)("x" * 30)
    assert fails(mt5, -2)
    assert not getattr(mt5, name)("x" * 29)
    assert mt5.last_error()[0] != -2


def test_the_first_bad_field_in_the_documented_order_is_named(mt5: Any) -> None:
    order = (
        "action magic order symbol volume price stoplimit sl tp deviation type type_filling type_time expiration comment"
        " position position_by"
    ).split()
    request: dict[str, Any] = dict.fromkeys(reversed(order), None)
    for field in order:
        assert mt5.order_send(request) is None
        assert fails(mt5, -2, f'Invalid "{field}" argument')
        del request[field]


def test_a_request_is_a_dictionary_or_keywords_and_is_echoed(mt5: Any) -> None:
    one, two = mt5.order_send({**BUY, "magic": 7, "colour": "red"}), mt5.order_send(**BUY, magic=7)
    assert one.retcode == two.retcode == 10009
    assert one.request == two.request
    missing = dict.fromkeys(FIELDS["TradeRequest"][0].split(), 0)
    assert one.request._asdict() == {**missing, "comment": "", **BUY, "magic": 7}


@pytest.mark.parametrize("arguments", [(5,), ("EURUSD",), ([BUY],), (BUY, BUY)])
def test_a_request_that_is_no_dictionary_is_refused(mt5: Any, arguments: tuple[Any, ...]) -> None:
    assert mt5.order_send(*arguments) is None
    assert fails(mt5, -2)


def test_a_refused_order_is_an_answer_and_no_error(mt5: Any) -> None:
    assert mt5.order_send().retcode == 10013
    assert mt5.last_error() == SUCCESS


# -- 1.7: structs ----------------------------------------------------------------------------------------------------------

FIELDS: Final[dict[str, tuple[str, str]]] = {
    "TradePosition": (
        "ticket time time_msc time_update time_update_msc type magic identifier reason volume price_open sl tp price_current"
        " swap profit symbol comment external_id",
        "iiiiiiiii fffffff sss",
    ),
    "TradeOrder": (
        "ticket time_setup time_setup_msc time_done time_done_msc time_expiration type type_time type_filling state magic"
        " position_id position_by_id reason volume_initial volume_current price_open sl tp price_current price_stoplimit symbol"
        " comment external_id",
        "iiiiiiiiiiiiii fffffff sss",
    ),
    "TradeDeal": (
        "ticket order time time_msc type entry magic position_id reason volume price commission swap profit fee symbol comment"
        " external_id",
        "iiiiiiiii ffffff sss",
    ),
    "TradeRequest": (
        "action magic order symbol volume price stoplimit sl tp deviation type type_filling type_time expiration comment"
        " position position_by",
        "iiis fffff iiiii s ii",
    ),
    "OrderSendResult": (
        "retcode deal order volume price bid ask comment request_id retcode_external request",
        "iii ffff s ii r",
    ),
    "OrderCheckResult": ("retcode balance equity profit margin margin_free margin_level comment request", "i ffffff s r"),
    "Tick": ("time bid ask last volume time_msc flags volume_real", "i fff iii f"),
    "BookInfo": ("type price volume volume_dbl", "i f i f"),
    "TerminalInfo": (
        "community_account community_connection connected dlls_allowed trade_allowed tradeapi_disabled email_enabled"
        " ftp_enabled notifications_enabled mqid build maxbars codepage ping_last community_balance retransmission company name"
        " language path data_path commondata_path",
        "bbbbbbbbbb iiii ff ssssss",
    ),
    "AccountInfo": (
        "login trade_mode leverage limit_orders margin_so_mode trade_allowed trade_expert margin_mode currency_digits"
        " fifo_close balance credit profit equity margin margin_free margin_level margin_so_call margin_so_so margin_initial"
        " margin_maintenance assets liabilities commission_blocked name server currency company",
        "iiiii bb ii b ffffffffffffff ssss",
    ),
    "SymbolInfo": (
        "custom chart_mode select visible session_deals session_buy_orders session_sell_orders volume volumehigh volumelow time"
        " digits spread spread_float ticks_bookdepth trade_calc_mode trade_mode start_time expiration_time trade_stops_level"
        " trade_freeze_level trade_exemode swap_mode swap_rollover3days margin_hedged_use_leg expiration_mode filling_mode"
        " order_mode order_gtc_mode option_mode option_right bid bidhigh bidlow ask askhigh asklow last lasthigh lastlow"
        " volume_real volumehigh_real volumelow_real option_strike point trade_tick_value trade_tick_value_profit"
        " trade_tick_value_loss trade_tick_size trade_contract_size trade_accrued_interest trade_face_value"
        " trade_liquidity_rate volume_min volume_max volume_step volume_limit swap_long swap_short margin_initial"
        " margin_maintenance session_volume session_turnover session_interest session_buy_orders_volume"
        " session_sell_orders_volume session_open session_close session_aw session_price_settlement session_price_limit_min"
        " session_price_limit_max margin_hedged price_change price_volatility price_theoretical price_greeks_delta"
        " price_greeks_theta price_greeks_gamma price_greeks_vega price_greeks_rho price_greeks_omega price_sensitivity basis"
        " category currency_base currency_profit currency_margin bank description exchange formula isin name page path",
        "b i bb iiiiiiiii b iiiiiiiiii b iiiiii " + "f" * 52 + "s" * 13,
    ),
}
COUNTS: Final = dict(
    zip(FIELDS, (19, 24, 18, 17, 11, 9, 8, 4, 22, 28, 96), strict=True),
)
LETTERS: Final[dict[str, str]] = {"int": "i", "float": "f", "str": "s", "bool": "b", "TradeRequest": "r"}


def sample(name: str) -> Any:
    """One of that type, as a call answers it."""
    mt5 = module(symbol={"liquidity_steps": 500})
    (ticket,) = opened(mt5, "EURUSD")
    mt5.order_send(action=5, symbol="EURUSD", volume=0.1, type=2, price=1.08)
    mt5.market_book_add("EURUSD")
    return {
        "TradePosition": lambda: mt5.positions_get()[0],
        "TradeOrder": lambda: mt5.orders_get()[0],
        "TradeDeal": lambda: mt5.history_deals_get(position=ticket)[0],
        "TradeRequest": lambda: mt5.order_send(BUY).request,
        "OrderSendResult": lambda: mt5.order_send(BUY),
        "OrderCheckResult": lambda: mt5.order_check(BUY),
        "Tick": lambda: mt5.symbol_info_tick("EURUSD"),
        "BookInfo": lambda: mt5.market_book_get("EURUSD")[0],
        "TerminalInfo": mt5.terminal_info,
        "AccountInfo": mt5.account_info,
        "SymbolInfo": lambda: mt5.symbol_info("EURUSD"),
    }[name]()


@pytest.mark.parametrize("name", FIELDS)
def test_a_struct_has_its_fields_in_order_and_of_their_types(name: str) -> None:
    one = sample(name)
    assert type(one).__name__ == name
    assert isinstance(one, tuple)
    assert list(one._asdict()) == FIELDS[name][0].split()
    assert one.n_fields == one.n_sequence_fields == len(one) == COUNTS[name]
    assert "".join(LETTERS[type(value).__name__] for value in one) == FIELDS[name][1].replace(" ", "")
    assert [getattr(one, field) for field in one._asdict()] == list(one)


@pytest.mark.parametrize("name", FIELDS)
def test_a_struct_is_a_struct_sequence_and_no_named_tuple(name: str) -> None:
    one = sample(name)
    assert type(one).__module__ == "builtins"
    assert type(one) is getattr(module(), name)
    assert not any(hasattr(one, missing) for missing in ("_fields", "_make", "_replace", "_field_defaults"))
    with pytest.raises(AttributeError):
        one.ticket = 1
    assert repr(one).startswith(f"{name}({FIELDS[name][0].split()[0]}=")


@pytest.mark.parametrize("name", FIELDS)
def test_a_struct_cannot_leave_its_process(name: str) -> None:
    one = sample(name)
    with pytest.raises(TypeError):
        one.__reduce__()
    with pytest.raises(TypeError):
        one.__reduce_ex__(2)


def test_a_struct_as_a_dictionary_is_shallow(mt5: Any) -> None:
    result = mt5.order_send(BUY)
    assert type(result._asdict()) is dict
    assert isinstance(result._asdict()["request"], mt5.TradeRequest)


def test_a_struct_is_made_from_all_its_fields_at_once(mt5: Any) -> None:
    assert mt5.Tick([1, 1.0, 2.0, 0.0, 0, 1000, 6, 0.0]).ask == 2.0
    with pytest.raises(TypeError):
        mt5.Tick([1, 2])


# -- 1.8, 1.9: bars and ticks ----------------------------------------------------------------------------------------------

RATES: Final = np.dtype(
    [
        *(("time", "<i8"), ("open", "<f8"), ("high", "<f8"), ("low", "<f8"), ("close", "<f8")),
        *(("tick_volume", "<u8"), ("spread", "<i4"), ("real_volume", "<u8")),
    ]
)
TICKS: Final = np.dtype(
    [
        *(("time", "<i8"), ("bid", "<f8"), ("ask", "<f8"), ("last", "<f8"), ("volume", "<u8")),
        *(("time_msc", "<i8"), ("flags", "<u4"), ("volume_real", "<f8")),
    ]
)
OFFSETS: Final = [0, 8, 16, 24, 32, 40, 48, 52]


@pytest.mark.parametrize(
    "name, arguments, dtype",
    [
        ("copy_rates_from", ("EURUSD", 1, NOON_S, 5), RATES),
        ("copy_rates_from_pos", ("EURUSD", 1, 0, 5), RATES),
        ("copy_rates_range", ("EURUSD", 16385, NOON_S - 86_400, NOON_S), RATES),
        ("copy_ticks_from", ("EURUSD", NOON_S - 60, 5, c.COPY_TICKS_ALL), TICKS),
        ("copy_ticks_range", ("EURUSD", NOON_S - 60, NOON_S, c.COPY_TICKS_INFO), TICKS),
        ("copy_rates_range", ("EURUSD", 1, 1000, 2000), RATES),
        ("copy_rates_from", ("EURUSD", 1, 1000, 5), RATES),
        ("copy_ticks_from", ("EURUSD", NOON_S + 60, 5, c.COPY_TICKS_ALL), TICKS),
        ("copy_ticks_range", ("EURUSD", 1000, 2000, c.COPY_TICKS_ALL), TICKS),
        ("copy_ticks_range", ("EURUSD", NOON_S - 60, NOON_S, c.COPY_TICKS_TRADE), TICKS),
    ],
)
def test_bars_and_ticks_are_packed_records_of_60_bytes_even_when_there_are_none(
    mt5: Any, name: str, arguments: tuple[Any, ...], dtype: np.dtype[Any]
) -> None:
    found = getattr(mt5, name)(*arguments)
    assert type(found) is np.ndarray
    assert (found.ndim, found.dtype, found.dtype.itemsize) == (1, dtype, 60)
    assert [found.dtype.fields[field][1] for field in found.dtype.names] == OFFSETS
    assert found.flags.owndata
    assert list(found["time"]) == sorted(found["time"])
    assert mt5.last_error() == SUCCESS
    assert len(found) == 0 or 1000 < found["time"][0] <= found["time"][-1] <= NOON_S
    assert (len(found) == 0) is (NOON_S + 60 in arguments or 1000 in arguments or c.COPY_TICKS_TRADE in arguments)


def test_position_0_is_the_bar_that_forms(mt5: Any) -> None:
    last = mt5.copy_rates_from_pos("EURUSD", 1, 0, 1)
    assert (last["time"].tolist(), last["close"].tolist(), last["tick_volume"].tolist()) == ([NOON_S], [1.085], [1])
    three = mt5.copy_rates_from_pos("EURUSD", 1, 0, 3)
    assert mt5.copy_rates_from_pos("EURUSD", 1, 1, 2).tolist() == three[:2].tolist()


def test_bars_from_a_date_are_the_newest_up_to_it_and_a_range_has_both_ends(mt5: Any) -> None:
    m5, end = c.TIMEFRAME_M5, NOON_S - 600
    assert mt5.copy_rates_from("EURUSD", m5, end + 299, 3)["time"].tolist() == [end - 600, end - 300, end]
    assert mt5.copy_rates_range("EURUSD", m5, end - 600, end)["time"].tolist() == [end - 600, end - 300, end]
    assert mt5.copy_rates_range("EURUSD", m5, end - 599, end + 1)["time"].tolist() == [end - 300, end]


def test_more_bars_than_the_terminal_keeps_are_refused_and_never_cut_short() -> None:
    mt5 = module(terminal={"maxbars": 100})
    assert len(mt5.copy_rates_from_pos("EURUSD", 1, 0, 100)) == 100
    assert mt5.copy_rates_range("EURUSD", 1, NOON_S - 99 * 60, NOON_S) is not None
    assert mt5.terminal_info().maxbars == 100
    calls: list[tuple[str, tuple[Any, ...]]] = [
        ("copy_rates_from_pos", ("EURUSD", 1, 0, 101)),
        ("copy_rates_from", ("EURUSD", 1, NOON_S, 101)),
        ("copy_rates_range", ("EURUSD", 1, NOON_S - 200 * 60, NOON_S)),
        ("copy_rates_range", ("EURUSD", 16385, NOON_S - 200 * 3600, NOON_S)),
    ]
    for name, arguments in calls:
        assert getattr(mt5, name)(*arguments) is None
        assert fails(mt5, -2, "Terminal: Invalid params")


def test_bars_of_a_symbol_that_is_not_selected_are_refused(mt5: Any) -> None:
    assert mt5.copy_rates_range("EURJPY", 1, NOON_S - 600, NOON_S) is None
    assert fails(mt5, -2)


def test_an_unknown_timeframe_is_refused(mt5: Any) -> None:
    assert mt5.copy_rates_from_pos("EURUSD", 7, 0, 1) is None
    assert fails(mt5, -2, "Terminal: Invalid params")


def test_ticks_say_what_changed() -> None:
    clock = ManualClock(NOON_MS)
    mt5 = module(clock=clock)
    clock.advance_to(NOON_MS + 2000)
    mt5.session.quoted("EURUSD", NOON_MS + 1000, 108_501, 108_510)
    mt5.session.quoted("EURUSD", NOON_MS + 1500, 108_501, 108_511)
    ticks = mt5.copy_ticks_from("EURUSD", NOON_S, 10, c.COPY_TICKS_ALL)
    assert ticks["flags"].tolist() == [6, 2, 4]
    assert ticks["time_msc"].tolist() == [NOON_MS, NOON_MS + 1000, NOON_MS + 1500]
    assert ticks["ask"].tolist() == [1.0851, 1.0851, 1.08511]
    assert len(mt5.copy_ticks_from("EURUSD", NOON_S, 2, c.COPY_TICKS_ALL)) == 2


# -- 2.9: the helpers in Python --------------------------------------------------------------------------------------------


def test_buy_and_sell_send_a_plain_deal(mt5: Any) -> None:
    bought, sold = mt5.Buy("EURUSD", 0.1), mt5.Sell("EURUSD", 0.2, 1.5, comment="by hand")
    assert (bought.retcode, sold.retcode) == (10009, 10009)
    asked = bought.request
    assert (asked.price, asked.deviation, asked.type_filling, asked.magic) == (1.0851, 10, 0, 0)
    assert (sold.request.price, sold.request.comment, sold.request.type) == (1.5, "by hand", 1)


def test_buy_of_a_symbol_without_a_tick_raises(mt5: Any) -> None:
    with pytest.raises(AttributeError):
        mt5.Buy("NOSUCH", 0.1)


def test_close_says_whether_all_some_or_none_was_closed(mt5: Any) -> None:
    assert mt5.Close("EURUSD") is False
    opened(mt5, "EURUSD", "EURUSD", "GBPUSD")
    assert mt5.Close("EURUSD") is True
    assert [one.symbol for one in mt5.positions_get()] == ["GBPUSD"]


def test_close_counts_only_what_is_done_whole() -> None:
    script = (CallEvent(kind="retcode", on=(Call.CLOSE,), nth=1, code=10006),)
    mt5 = module(scenario=Pack(title="", covers=(), expect="", call=script))
    opened(mt5, "EURUSD", "EURUSD")
    assert mt5.Close("EURUSD") == "Partially"
    assert mt5.positions_total() == 1


@pytest.mark.parametrize("code, tries", [(10004, 10), (10021, 10), (10006, 1)])
def test_buy_tries_ten_times_after_a_requote_or_without_quotes(code: int, tries: int) -> None:
    script = (CallEvent(kind="retcode", on=(Call.OPEN,), code=code),)
    mt5 = module(scenario=Pack(title="", covers=(), expect="", call=script))
    assert mt5.Buy("EURUSD", 0.1).retcode == code
    assert mt5.session.request_id == tries


def test_close_without_a_connection_raises_and_without_a_tick_or_an_answer_is_none(mt5: Any) -> None:
    (ticket,) = opened(mt5, "EURUSD")
    assert mt5.Close("NOSUCH", ticket=ticket) is None
    mt5.session.api_disabled = True
    assert mt5.Close("EURUSD") is None
    mt5.shutdown()
    with pytest.raises(TypeError):
        mt5.Close("EURUSD")
