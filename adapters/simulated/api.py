"""The simulated package as an object: every name of the real module, bound to one session.

`from evenkeel.adapters.simulated import MetaTrader5` is one of these; tests and the terminal host make their own.
"""

from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from evenkeel.adapters.mt5 import constants as mt5
from evenkeel.adapters.simulated import structs
from evenkeel.adapters.simulated.account_file import AccountFileInvalid, Opened
from evenkeel.adapters.simulated.arguments import Refused, invalid, utf16_units, whole
from evenkeel.adapters.simulated.data_calls import DataCalls
from evenkeel.adapters.simulated.packs import Pack, PackUnknown
from evenkeel.adapters.simulated.server.book import BookUnreadable
from evenkeel.adapters.simulated.session import SUCCESS, Session
from evenkeel.adapters.simulated.trade_calls import TradeCalls
from evenkeel.runtime.clock import Clock

VERSION: Final = "5.0.6231"
_CREDENTIAL_UNITS_MAX: Final = 253
_PATH_UNITS_MAX: Final = 257
_ATTEMPTS: Final = 10
_DEVIATION: Final = 10
_NO_ARGUMENTS: Final = (
    "shutdown",
    "version",
    "terminal_info",
    "account_info",
    "positions_total",
    "orders_total",
    "symbols_total",
)
_POSITIONAL: Final = (
    "copy_ticks_from copy_ticks_range copy_rates_from copy_rates_from_pos copy_rates_range history_orders_total"
    " history_deals_total order_calc_margin order_calc_profit symbol_info symbol_info_tick symbol_select market_book_add"
    " market_book_release market_book_get"
).split()
_WITH_KEYWORDS: Final = (
    "positions_get orders_get history_orders_get history_deals_get order_check order_send symbols_get".split()
)
CONSTANTS: Final = MappingProxyType({name: getattr(mt5, name) for name in sorted(mt5.EXPORTED)})
FUNCTIONS: Final = frozenset({"initialize", "login", "last_error", *_NO_ARGUMENTS, *_POSITIONAL, *_WITH_KEYWORDS})
HELPERS: Final = frozenset({"Buy", "Sell", "Close"})


class MetaTrader5Like:
    """Its names are those of the real module; `session` is the way behind the curtain, for tests.

    Who asks for `__getattr__` names gets `Any`: the real module has no types either.
    """

    def __init__(
        self,
        *,
        opened: Opened | None = None,
        clock: Clock | None = None,
        store: Path | None = None,
        scenario: Pack | None = None,
        **options: Any,
    ) -> None:
        self.session = Session(opened=opened, clock=clock, store=store, scenario=scenario, **options)
        calls = {**_bound(DataCalls(self.session)), **_bound(TradeCalls(self.session)), "shutdown": self._shutdown}
        self._names: dict[str, Any] = {
            "__version__": VERSION,
            "__author__": "MetaQuotes Ltd.",
            **CONSTANTS,
            **{struct.__name__: struct for struct in structs.STRUCTS},
            **{name: _without_arguments(name, calls[name]) for name in _NO_ARGUMENTS},
            **{name: _positional(name, calls[name]) for name in _POSITIONAL},
            **{name: calls[name] for name in _WITH_KEYWORDS},
            **{name: getattr(self, f"_{name}") for name in ("initialize", "login", "last_error")},
            **{name: getattr(self, f"_{name}") for name in sorted(HELPERS)},
        }

    def __getattr__(self, name: str) -> Any:
        names = self.__dict__.get("_names", {})
        if name in names:
            return names[name]
        raise AttributeError(f"module 'MetaTrader5' has no attribute {name!r}")

    def __dir__(self) -> list[str]:
        return sorted(self._names)

    # -- connection -----------------------------------------------------------------------------------------------------

    def _initialize(self, *arguments: Any, **keywords: Any) -> bool:
        """Without arguments the default demo account, with the path of an account file that one."""

        def body() -> bool:
            if len(arguments) > 1:
                raise invalid("Invalid number of arguments")
            path = arguments[0] if arguments else keywords.get("path", "")
            if not isinstance(path, str) or utf16_units(path) > _PATH_UNITS_MAX:
                raise invalid("Invalid 1st unnamed argument" if arguments else 'Invalid "path" argument')
            if "timeout" in keywords:
                whole(keywords["timeout"], "timeout", "u32")
            credentials = self._credentials(keywords)
            self.session.disconnect()
            try:
                self.session.connect(path)
            except (AccountFileInvalid, PackUnknown, BookUnreadable) as error:
                raise Refused(mt5.RES_E_INTERNAL_FAIL_INIT, f"IPC initialize failed, {error}") from error
            if credentials is not None and not self._is_account(*credentials):
                self.session.disconnect()
                raise Refused(mt5.RES_E_AUTH_FAILED, "Terminal: Authorization failed")
            return True

        done: bool = self.session.run("initialize", False, body, connects=True)
        return done

    def _login(self, *arguments: Any, **keywords: Any) -> bool:
        """Positions are login, password, server."""

        def body() -> bool:
            if len(arguments) > 3:
                raise invalid("Invalid number of arguments")
            named = dict(zip(("login", "password", "server"), arguments, strict=False)) | keywords
            credentials = self._credentials(named)
            if credentials is None:
                raise invalid()
            if not self._is_account(*credentials):
                raise Refused(mt5.RES_E_AUTH_FAILED, "Terminal: Authorization failed")
            return True

        done: bool = self.session.run("login", False, body)
        return done

    def _credentials(self, keywords: dict[str, Any]) -> tuple[int, str] | None:
        for name in ("password", "server"):
            value = keywords.get(name, "")
            if not isinstance(value, str) or utf16_units(value) > _CREDENTIAL_UNITS_MAX:
                raise invalid(f'Invalid "{name}" argument')
        if "login" not in keywords:
            return None
        return whole(keywords["login"], "login", "u64"), keywords.get("server", "")

    def _is_account(self, login: int, server: str) -> bool:
        """The simulated server knows one account, by any password."""
        return login in (0, self.session.login) and server in ("", self.session.server_name)

    def _shutdown(self) -> bool:
        with self.session.lock:
            self.session.error = SUCCESS
            self.session.disconnect()
        return True

    def _last_error(self) -> tuple[int, str]:
        return self.session.error

    # -- the helpers in Python ------------------------------------------------------------------------------------------

    def _Buy(self, symbol: str, volume: float, price: float | None = None, *, comment: Any = None, ticket: Any = None) -> Any:
        return self._raw_order(mt5.ORDER_TYPE_BUY, symbol, volume, price, comment, ticket)

    def _Sell(self, symbol: str, volume: float, price: float | None = None, *, comment: Any = None, ticket: Any = None) -> Any:
        return self._raw_order(mt5.ORDER_TYPE_SELL, symbol, volume, price, comment, ticket)

    def _raw_order(self, side: int, symbol: str, volume: float, price: float | None, comment: Any, ticket: Any) -> Any:
        """Ten tries at the newest price where none is given, repeated on a requote and without quotes."""
        order = {"action": mt5.TRADE_ACTION_DEAL, "symbol": symbol, "volume": volume, "type": side, "deviation": _DEVIATION}
        if comment is not None:
            order["comment"] = comment
        if ticket is not None:
            order["position"] = ticket
        if price is not None:
            return self.order_send({**order, "price": price})
        result = None
        for _ in range(_ATTEMPTS):
            tick = self.symbol_info_tick(symbol)
            result = self.order_send({**order, "price": tick.ask if side == mt5.ORDER_TYPE_BUY else tick.bid})
            if result is None or result.retcode not in (mt5.TRADE_RETCODE_REQUOTE, mt5.TRADE_RETCODE_PRICE_OFF):
                break
        return result

    def _Close(self, symbol: str, *, comment: Any = None, ticket: Any = None) -> Any:
        """True: all; "Partially"; False: none; None: a call failed. Only 10009 counts as closed."""
        positions = self.positions_get(symbol=symbol) if ticket is None else self.positions_get(ticket=ticket)
        tried = closed = 0
        for position in positions:
            tried += 1
            for _ in range(_ATTEMPTS):
                tick = self.symbol_info_tick(symbol)
                if tick is None:
                    return None
                is_buy = position.type == mt5.ORDER_TYPE_BUY
                request = {
                    "action": mt5.TRADE_ACTION_DEAL,
                    "symbol": symbol,
                    "volume": position.volume,
                    "type": mt5.ORDER_TYPE_SELL if is_buy else mt5.ORDER_TYPE_BUY,
                    "position": position.ticket,
                    "price": tick.bid if is_buy else tick.ask,
                    "deviation": _DEVIATION,
                    **({} if comment is None else {"comment": comment}),
                }
                result = self.order_send(request)
                if result is None:
                    return None
                if result.retcode not in (mt5.TRADE_RETCODE_REQUOTE, mt5.TRADE_RETCODE_PRICE_OFF):
                    closed += result.retcode == mt5.TRADE_RETCODE_DONE
                    break
        if not closed:
            return False
        return True if closed == tried else "Partially"


def _bound(calls: DataCalls | TradeCalls) -> dict[str, Any]:
    return {name: getattr(calls, name) for name in dir(calls) if not name.startswith("_")}


def _without_arguments(name: str, function: Any) -> Any:
    def called(*arguments: Any, **keywords: Any) -> Any:
        if arguments or keywords:
            raise TypeError(f"{name}() takes no arguments ({len(arguments) + len(keywords)} given)")
        return function()

    called.__name__ = name
    return called


def _positional(name: str, function: Any) -> Any:
    def called(*arguments: Any, **keywords: Any) -> Any:
        if keywords:
            raise TypeError(f"{name}() takes no keyword arguments")
        return function(*arguments)

    called.__name__ = name
    return called
