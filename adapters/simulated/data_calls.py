"""The calls of the simulated package that read the account, the terminal, symbols and prices."""

from typing import TYPE_CHECKING, Any, Final

from evenkeel.adapters.mt5 import constants as mt5
from evenkeel.adapters.simulated import structs
from evenkeel.adapters.simulated.arguments import TEXT_UNITS_MAX, Refused, fixed, invalid, matches, text, utf16_units
from evenkeel.adapters.simulated.faults import Call
from evenkeel.adapters.simulated.rates import PERIOD_S, Bar
from evenkeel.adapters.simulated.server.terms import SymbolTerms
from evenkeel.adapters.simulated.session import CALL_FAILED, SYMBOLS_NEED_BUILD, Session

if TYPE_CHECKING:
    import numpy as np

_NOT_FOUND: Final = (mt5.RES_E_NOT_FOUND, "Terminal: Not found")
_BAD_PARAMS: Final = (mt5.RES_E_INVALID_PARAMS, "Terminal: Invalid params")
_OLD_BUILD: Final = (
    mt5.RES_E_INVALID_VERSION,
    "Terminal: Incompatible versions, please install the latest version of Terminal and Python module",
)
_RATES: Final = [
    *(("time", "<i8"), ("open", "<f8"), ("high", "<f8"), ("low", "<f8"), ("close", "<f8")),
    *(("tick_volume", "<u8"), ("spread", "<i4"), ("real_volume", "<u8")),
]
_TICKS: Final = [
    *(("time", "<i8"), ("bid", "<f8"), ("ask", "<f8"), ("last", "<f8"), ("volume", "<u8")),
    *(("time_msc", "<i8"), ("flags", "<u4"), ("volume_real", "<f8")),
]
_BOTH_CHANGED: Final = mt5.TICK_FLAG_BID | mt5.TICK_FLAG_ASK
_DEPTH: Final = 5


class DataCalls:
    """Bound into the module; see metatrader5.md 1.3, 1.8 and 1.9."""

    def __init__(self, session: Session) -> None:
        self._session = session

    # -- account and terminal -------------------------------------------------------------------------------------------

    def version(self) -> Any:
        session = self._session
        return session.run("version", None, lambda: (500, session.terminal.build, session.terminal.build_date))

    def terminal_info(self) -> Any:
        return self._session.run("terminal_info", None, self._terminal_info)

    def account_info(self) -> Any:
        return self._session.run("account_info", None, self._account_info, call=Call.ACCOUNT)

    def _terminal_info(self) -> Any:
        session, terms = self._session, self._session.terminal
        return structs.TerminalInfo(
            [
                *(False, False, session.connected, False, session.algo_button, session.api_disabled),
                *(False, False, False, False),
                *(terms.build, terms.maxbars, 0, 20_000),
                *(0.0, 0.0),
                *("MetaQuotes Ltd.", "MetaTrader 5", "English", terms.path, terms.path, terms.path),
            ]
        )

    def _account_info(self) -> Any:
        session, account, state = self._session, self._session.server.account, self._session.server.state()
        size, digits = 10**account.currency_digits, account.currency_digits

        def money(cents: int) -> float:
            return float(round(cents / size, digits))

        return structs.AccountInfo(
            [
                *(session.login, account.trade_mode, account.leverage, account.orders_max, int(account.stop_out_in_money)),
                *(account.trade_allowed, account.trade_expert, account.margin_mode, digits, account.fifo_close),
                *(money(state.balance_cents), money(state.credit_cents), money(state.profit_cents)),
                *(money(state.equity_cents), money(state.margin_cents), money(state.free_cents), round(state.level_pct, 2)),
                *(account.margin_call, account.stop_out, 0.0, 0.0, 0.0, 0.0, 0.0),
                *(account.name, session.server_name, account.currency, account.company),
            ]
        )

    # -- symbols --------------------------------------------------------------------------------------------------------

    def symbols_total(self) -> Any:
        if self._session.known_build < SYMBOLS_NEED_BUILD:
            self._session.error = _OLD_BUILD
            return None
        return self._session.run("symbols_total", None, lambda: len(self._listed()))

    def symbols_get(self, *arguments: Any, **keywords: Any) -> Any:
        if self._session.known_build < SYMBOLS_NEED_BUILD:
            self._session.error = _OLD_BUILD
            return None
        try:
            group = arguments[0] if arguments else keywords.get("group", "*")
            mask = text(group, "group", 1997)
            if len(arguments) > 1:
                raise invalid("Invalid number of arguments")
        except Refused as refusal:
            self._session.error = (refusal.code, refusal.text)
            return False

        def body() -> Any:
            return tuple(self._symbol_info(one) for one in self._listed() if matches(mask, one.name))

        return self._session.run("symbols_get", None, body, call=Call.SYMBOLS)

    def _listed(self) -> list[SymbolTerms]:
        return [terms for terms in self._session.server.symbols.values() if terms.name not in self._session.removed]

    def symbol_info(self, *arguments: Any) -> Any:
        def body() -> Any:
            (name,) = fixed(arguments, "s")
            return self._symbol_info(self._known(name))

        return self._session.run("symbol_info", None, body, call=Call.SYMBOLS)

    def symbol_info_tick(self, *arguments: Any) -> Any:
        def body() -> Any:
            (name,) = fixed(arguments, "s")
            terms, price = self._known(name), self._session.server.prices.get(name)
            if name not in self._session.selected:
                raise Refused(*CALL_FAILED)
            if price is None:
                return structs.Tick([0, 0.0, 0.0, 0.0, 0, 0, 0, 0.0])
            quote = self._session.shown.get(name) or (price.time_utc_ms, price.bid_points, price.ask_points)
            server_ms = self._session.server.clock.server_ms(quote[0])
            size, digits = 10**terms.digits, terms.digits
            bid, ask = round(quote[1] / size, digits), round(quote[2] / size, digits)
            return structs.Tick([server_ms // 1000, bid, ask, 0.0, 0, server_ms, _BOTH_CHANGED, 0.0])

        return self._session.run("symbol_info_tick", None, body, call=Call.QUOTES)

    def symbol_select(self, *arguments: Any) -> bool:
        def body() -> bool:
            name, *rest = fixed(arguments, "sb", required=1)
            self._known(name)
            (self._session.selected.add if not rest or rest[0] else self._session.selected.discard)(name)
            return True

        chosen: bool = self._session.run("symbol_select", False, body)
        return chosen

    # -- depth of market ------------------------------------------------------------------------------------------------

    def market_book_add(self, *arguments: Any) -> bool | None:
        """A failure of the terminal is silent: False, and a last error of success."""
        return self._book_call("market_book_add", arguments, self._session.booked.add)

    def market_book_release(self, *arguments: Any) -> bool | None:
        return self._book_call("market_book_release", arguments, self._session.booked.discard)

    def market_book_get(self, *arguments: Any) -> Any:
        def body() -> Any:
            (name,) = fixed(arguments, "s")
            terms, price = self._known(name), self._session.server.prices.get(name)
            if name not in self._session.booked:
                raise Refused(*CALL_FAILED)
            if price is None or not terms.liquidity_steps:
                return ()  # most brokers show no depth
            volume = terms.liquidity_steps / terms.steps_per_lot
            rows = [(mt5.BOOK_TYPE_SELL, price.ask_points + at) for at in range(_DEPTH - 1, -1, -1)]
            rows += [(mt5.BOOK_TYPE_BUY, price.bid_points - at) for at in range(_DEPTH)]
            shown = ((kind, round(points / 10**terms.digits, terms.digits)) for kind, points in rows)
            return tuple(structs.BookInfo([kind, at, int(volume), volume]) for kind, at in shown)

        return self._session.run("market_book_get", None, body)

    def _book_call(self, name: str, arguments: tuple[Any, ...], change: Any) -> bool | None:
        if len(arguments) != 1 or not isinstance(arguments[0], str) or utf16_units(arguments[0]) > TEXT_UNITS_MAX:
            self._session.error = (mt5.RES_E_INVALID_PARAMS, "Invalid arguments")
            return None

        def body() -> bool:
            self._known(arguments[0])
            change(arguments[0])
            return True

        done: bool = self._session.run(name, False, body)
        if not done:
            self._session.error = (mt5.RES_S_OK, "Success")
        return done

    # -- bars and ticks -------------------------------------------------------------------------------------------------

    def copy_rates_from(self, *arguments: Any) -> Any:
        def body() -> Any:
            name, timeframe, from_s, count = fixed(arguments, "siti")
            bars = [bar for bar in self._bars(name, timeframe, count) if bar[0] <= from_s]
            return self._rates(name, bars[max(0, len(bars) - count) :])

        return self._session.run("copy_rates_from", None, body, call=Call.QUOTES)

    def copy_rates_from_pos(self, *arguments: Any) -> Any:
        def body() -> Any:
            name, timeframe, start, count = fixed(arguments, "siii")
            bars = self._bars(name, timeframe, count)
            end = len(bars) - start
            return self._rates(name, bars[max(0, end - count) : max(0, end)])

        return self._session.run("copy_rates_from_pos", None, body, call=Call.QUOTES)

    def copy_rates_range(self, *arguments: Any) -> Any:
        def body() -> Any:
            name, timeframe, from_s, to_s = fixed(arguments, "sitt")
            period_s = PERIOD_S.get(timeframe, 60)
            bars = self._bars(name, timeframe, max(0, to_s - from_s) // period_s)
            return self._rates(name, [bar for bar in bars if from_s <= bar[0] <= to_s])

        return self._session.run("copy_rates_range", None, body, call=Call.QUOTES)

    def copy_ticks_from(self, *arguments: Any) -> Any:
        def body() -> Any:
            name, from_s, count, flags = fixed(arguments, "stii")
            return self._ticks(name, flags, from_s * 1000, None, count)

        return self._session.run("copy_ticks_from", None, body, call=Call.QUOTES)

    def copy_ticks_range(self, *arguments: Any) -> Any:
        def body() -> Any:
            name, from_s, to_s, flags = fixed(arguments, "stti")
            return self._ticks(name, flags, from_s * 1000, to_s * 1000, None)

        return self._session.run("copy_ticks_range", None, body, call=Call.QUOTES)

    def _bars(self, name: str, timeframe: int, asked: int) -> list[Bar]:
        """A request larger than the terminal's limit is refused, never cut short."""
        if self._known(name).name not in self._session.selected or timeframe not in PERIOD_S:
            raise Refused(*_BAD_PARAMS)
        if asked < 0 or asked > self._session.terminal.maxbars:
            raise Refused(*_BAD_PARAMS)
        return self._session.rates_of(name).bars(timeframe)

    def _rates(self, name: str, bars: list[Bar]) -> "np.ndarray[Any, Any]":
        import numpy as np

        size, digits = 10 ** self._session.server.symbols[name].digits, self._session.server.symbols[name].digits
        rows = [(bar[0], *(round(points / size, digits) for points in bar[1:5]), bar[5], bar[6], 0) for bar in bars]
        return np.array(rows, dtype=_RATES)

    def _ticks(self, name: str, flags: int, from_ms: int, to_ms: int | None, count: int | None) -> "np.ndarray[Any, Any]":
        import numpy as np

        terms, price = self._known(name), self._session.server.prices.get(name)
        if name not in self._session.selected:
            raise Refused(*CALL_FAILED)
        if flags not in (mt5.COPY_TICKS_ALL, mt5.COPY_TICKS_INFO, mt5.COPY_TICKS_TRADE):
            raise Refused(*_BAD_PARAMS)
        rows: list[tuple[Any, ...]] = []
        size, digits, offset_ms = 10**terms.digits, terms.digits, self._session.server.clock.offset_ms
        kept = price.ticks if price is not None and price.ticks is not None and flags != mt5.COPY_TICKS_TRADE else ()
        before = (0, 0)
        for utc_ms, bid_points, ask_points in kept:
            changed = (mt5.TICK_FLAG_BID if bid_points != before[0] else 0) | (
                mt5.TICK_FLAG_ASK if ask_points != before[1] else 0
            )
            before = (bid_points, ask_points)
            server_ms = utc_ms + offset_ms(utc_ms)
            if server_ms < from_ms or (to_ms is not None and server_ms > to_ms):
                continue
            bid, ask = round(bid_points / size, digits), round(ask_points / size, digits)
            rows.append((server_ms // 1000, bid, ask, 0.0, 0, server_ms, changed or _BOTH_CHANGED, 0.0))
            if count is not None and len(rows) >= count:
                break
        return np.array(rows, dtype=_TICKS)

    def _known(self, name: str) -> SymbolTerms:
        terms = self._session.server.symbols.get(name)
        if terms is None or name in self._session.removed:
            raise Refused(*_NOT_FOUND)
        return terms

    def _symbol_info(self, terms: SymbolTerms) -> Any:
        server, size = self._session.server, 10**terms.digits
        price = server.prices.get(terms.name)
        bid = round(price.bid_points / size, terms.digits) if price else 0.0
        ask = round(price.ask_points / size, terms.digits) if price else 0.0
        server_s = server.clock.server_ms(price.time_utc_ms) // 1000 if price else 0
        spread = price.ask_points - price.bid_points if price else 0
        selected = terms.name in self._session.selected
        tick_size = round(terms.tick_size_points / size, terms.digits)
        values = dict.fromkeys(structs.SymbolInfo.__match_args__, 0.0) | {
            **dict.fromkeys(_SYMBOL_INTS, 0),
            **dict.fromkeys(_SYMBOL_TEXTS, ""),
            "custom": False,
            "select": selected,
            "visible": selected,
            "time": server_s,
            "digits": terms.digits if terms.shown_digits is None else terms.shown_digits,
            "spread": spread // terms.points_per_shown,
            "spread_float": True,
            "ticks_bookdepth": _DEPTH if terms.liquidity_steps else 0,
            "trade_calc_mode": terms.calc_mode,
            "trade_mode": terms.trade_mode,
            "trade_stops_level": terms.stops_level_points // terms.points_per_shown,
            "trade_freeze_level": terms.freeze_level_points // terms.points_per_shown,
            "trade_exemode": terms.execution,
            "swap_mode": terms.swap_mode,
            "swap_rollover3days": terms.swap_triple_day,
            "margin_hedged_use_leg": server.assumptions.hedged_margin == "larger_leg",
            "expiration_mode": terms.expiration_mask,
            "filling_mode": terms.filling_mask,
            "order_mode": terms.order_mask,
            "order_gtc_mode": terms.gtc_mode,
            **dict.fromkeys(("bid", "bidhigh", "bidlow"), bid),
            **dict.fromkeys(("ask", "askhigh", "asklow"), ask),
            "point": round(terms.points_per_shown / size, terms.digits),
            "trade_tick_value": self._tick_value(terms, gain=True),
            "trade_tick_value_profit": self._tick_value(terms, gain=True),
            "trade_tick_value_loss": self._tick_value(terms, gain=False),
            "trade_tick_size": tick_size,
            "trade_contract_size": float(terms.contract_size),
            "trade_liquidity_rate": float(terms.liquidity_rate),
            "volume_min": terms.volume_min_steps / terms.steps_per_lot,
            "volume_max": terms.volume_max_steps / terms.steps_per_lot,
            "volume_step": terms.volume_step_steps / terms.steps_per_lot,
            "volume_limit": terms.volume_limit_steps / terms.steps_per_lot,
            "swap_long": float(terms.swap_long),
            "swap_short": float(terms.swap_short),
            "margin_initial": float(terms.margin_initial),
            "margin_hedged": float(terms.margin_hedged),
            "currency_base": terms.currency_base,
            "currency_profit": terms.currency_profit,
            "currency_margin": terms.currency_margin,
            "description": terms.description,
            "name": terms.name,
            "path": terms.path or terms.name,
        }
        return structs.SymbolInfo(values[name] for name in structs.SymbolInfo.__match_args__)

    def _tick_value(self, terms: SymbolTerms, *, gain: bool) -> float:
        """Of one lot in the account's currency; 0.0 while there is nothing to exchange it by."""
        if terms.shown_tick_value is not None:
            return terms.shown_tick_value
        price = self._session.server.prices.get(terms.name)
        if price is None:
            return 0.0
        points = terms.tick_size_points * (1 if gain else -1)
        lots = 1_000_000  # so that the rounding to cents does not show
        close_points = price.bid_points
        cents = self._session.server.money.profit_cents(terms.name, points * terms.steps_per_lot * lots, 1, close_points)
        return float(abs(cents) / lots / 10**self._session.server.account.currency_digits)


_SYMBOL_INTS: Final = (
    "chart_mode session_deals session_buy_orders session_sell_orders volume volumehigh volumelow time digits spread"
    " ticks_bookdepth trade_calc_mode trade_mode start_time expiration_time trade_stops_level trade_freeze_level trade_exemode"
    " swap_mode swap_rollover3days expiration_mode filling_mode order_mode order_gtc_mode option_mode option_right"
).split()
_SYMBOL_TEXTS: Final = (
    "basis category currency_base currency_profit currency_margin bank description exchange formula isin name page path"
).split()
