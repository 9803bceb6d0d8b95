"""What stands between a script and the simulated server: the connection, the last error, time, and what goes wrong.

One session is one terminal with one account, as one process has with the real package.
"""

import ctypes
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import msgspec

from evenkeel.adapters.mt5 import constants as mt5
from evenkeel.adapters.simulated.account_file import Opened, default_account, read_account
from evenkeel.adapters.simulated.arguments import Pending, Refused
from evenkeel.adapters.simulated.faults import Call
from evenkeel.adapters.simulated.feeds import quotes_of
from evenkeel.adapters.simulated.packs import BrokerEvent, CallEvent, Pack, pack
from evenkeel.adapters.simulated.play import Arriving, Deeds, Troubles, do, played
from evenkeel.adapters.simulated.rates import Rates
from evenkeel.adapters.simulated.server.records import Position
from evenkeel.adapters.simulated.server.server import TradeServer
from evenkeel.runtime.clock import Clock, SystemClock

SUCCESS: Final = (mt5.RES_S_OK, "Success")
NO_CONNECTION: Final = (mt5.RES_E_INTERNAL_FAIL_CONNECT, "No IPC connection")
LOST_CONNECTION: Final = (mt5.RES_E_INTERNAL_FAIL_RECEIVE, "IPC recv failed")
CALL_FAILED: Final = (mt5.RES_E_FAIL, "Terminal: Call failed")
LOST_REPLY: Final = (mt5.RES_E_INTERNAL_FAIL, "IPC call failed")
SYMBOLS_NEED_BUILD: Final = 2364
_WARM_UP_MS: Final = 60_000
_SNAPSHOTS_KEPT: Final = 10_000


class Session:
    """`open_account` None: `initialize` decides by its path. `store` keeps the account through the death of the process.

    `clock` gives real time; market time runs from its time at the opening with the market's speed.
    """

    def __init__(
        self,
        *,
        opened: Opened | None = None,
        clock: Clock | None = None,
        store: Path | None = None,
        scenario: Pack | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._given, self._store, self._sleep, self._scenario = opened, store, sleep, scenario
        self._clock: Clock = clock or SystemClock()
        self.lock = threading.RLock()
        self.error = SUCCESS
        self.is_initialized = False
        self.known_build = 0
        self.request_id = 0
        self.booked: set[str] = set()
        self._opened: Opened | None = None

    # -- one call -------------------------------------------------------------------------------------------------------

    def run(self, name: str, failure: Any, body: Callable[[], Any], *, connects: bool = False, call: Call | None = None) -> Any:
        """The conventions that all calls share; `failure` is what the call answers when it cannot."""
        with self.lock:
            self.error = SUCCESS
            try:
                if not connects:
                    self._require_connection()
                    self._advance()
                    trouble = self._trouble(call) if call is not None else None
                    if trouble is not None and trouble.kind == "empty":
                        return ()
                return body()
            except Refused as refusal:
                self.error = (refusal.code, refusal.text)
                return failure
            except Pending as pending:
                text = f"<built-in function {name}> returned a result with an exception set"
                raise SystemError(text) from pending.__cause__

    def trouble(self, call: Call) -> CallEvent | None:
        """What is written for this trade request; what fails it before it leaves is raised."""
        return self._trouble(call)

    def _trouble(self, call: Call) -> CallEvent | None:
        found = self._troubles.at(call, self.elapsed_s)
        if found is None:
            return None
        match found.kind:
            case "unreadable":
                raise Refused(*CALL_FAILED)
            case "dead":
                self.is_initialized = False
                raise Refused(*LOST_CONNECTION)
            case "hang":
                self.hold(found.seconds)
                return None
            case _:
                return found

    def _require_connection(self) -> None:
        if not self.is_initialized:
            raise Refused(*NO_CONNECTION)

    # -- connection -----------------------------------------------------------------------------------------------------

    def connect(self, path: str) -> None:
        """Open the account, the first time; again it is the same one. Raises AccountFileInvalid or BookUnreadable."""
        if self._opened is None:
            opened = self._given or (read_account(Path(path)) if path.endswith(".toml") else default_account())
            self._open(opened)
        self._advance()
        self.is_initialized = True
        self.known_build = self.terminal.build

    def disconnect(self) -> None:
        self.is_initialized = False

    def _open(self, opened: Opened) -> None:
        self._opened = opened
        self.terminal, self.market = opened.terminal, opened.market
        scenario = self._scenario or (pack(opened.market.play) if opened.market.play else None)
        self.connected = opened.terminal.connected
        self.algo_button = opened.terminal.trade_allowed
        self.api_disabled = opened.terminal.tradeapi_disabled
        self.login, self.server_name = opened.account.login, opened.account.server
        empty = msgspec.structs.replace(opened.account, start_balance_cents=0)
        self.server = TradeServer(
            empty,
            opened.symbols,
            opened.assumptions,
            store=self._store,
            keep_ticks=opened.terminal.ticks_kept,
            rates=opened.rates,
        )
        self.selected = {name for name in opened.symbols if name not in opened.terminal.unselected}
        self.rates = {name: Rates(opened.terminal.maxbars) for name in opened.symbols}
        self._seeded: set[str] = set()
        self.removed: set[str] = set()
        self.shown: dict[str, tuple[int, int, int]] = {}
        self._troubles = Troubles(scenario.call if scenario else (), opened.market.seed)
        self._deeds = Deeds(scenario.broker if scenario else ())
        self._later: list[tuple[int, Callable[[], None]]] = []
        self._snapshots: deque[tuple[int, tuple[Position, ...]]] = deque(maxlen=_SNAPSHOTS_KEPT)
        self._began_ms = self._clock.monotonic_ns() // 1_000_000
        self._began_utc_ms = self._clock.now_utc_ms()
        start_utc_ms = self._began_utc_ms - _WARM_UP_MS
        checks = self.server.checks
        self._quotes: Iterator[Arriving] = played(
            quotes_of(
                opened.market,
                opened.symbols,
                opened.account.currency,
                start_utc_ms=start_utc_ms,
                is_open=lambda name, utc_ms: checks.is_open(self.server.symbols[name], utc_ms),
                clock=self.server.clock,
            ),
            scenario.market if scenario else (),
            self._began_utc_ms,
        )
        self._next = next(self._quotes, None)
        if not self.server.book.kept.deals and not self.server.book.kept.balance_cents:
            self.server.book.now_utc_ms = max(self.server.now_utc_ms, start_utc_ms)
            self.server.book.operate(mt5.DEAL_TYPE_BALANCE, opened.account.start_balance_cents, "Initial deposit")

    # -- time -----------------------------------------------------------------------------------------------------------

    @property
    def now_utc_ms(self) -> int:
        real_ms = self._clock.monotonic_ns() // 1_000_000 - self._began_ms
        return self._began_utc_ms + round(real_ms * self.market.speed)

    @property
    def elapsed_s(self) -> float:
        return (self.now_utc_ms - self._began_utc_ms) / 1000

    def next_quote_in_s(self) -> float | None:
        """Real seconds until there is news; None at the end of a recorded market."""
        if self._next is None:
            return None
        return max(0.0, (self._next[0] - self.now_utc_ms) / 1000 / self.market.speed)

    def _advance(self) -> None:
        """Let happen what has become due since the last call."""
        now_utc_ms, server = self.now_utc_ms, self.server
        while self._next is not None and self._next[0] <= now_utc_ms:
            arrives_utc_ms, name, quote = self._next
            self._next = next(self._quotes, None)
            self._deeds_before(arrives_utc_ms)
            self.quoted(name, arrives_utc_ms, quote.bid_points, quote.ask_points, stamped_utc_ms=quote.time_utc_ms)
        self._deeds_before(now_utc_ms)
        if server.assumptions.visible_lag_ms:
            self.snapshot()

    def quoted(
        self, name: str, time_utc_ms: int, bid_points: int, ask_points: int, *, stamped_utc_ms: int | None = None
    ) -> None:
        """One quote, to the server and into the bars, with the stamp that it bears. Prices of 0 are shown by the terminal, and
        never reach the server's book; a terminal without its broker shows what it had."""
        server, terms = self.server, self.server.symbols[name]
        stamp_utc_ms = time_utc_ms if stamped_utc_ms is None else stamped_utc_ms
        if bid_points <= 0 or ask_points <= 0:
            self.shown[name] = (stamp_utc_ms, bid_points, ask_points)
            return
        if terms.tick_size_points > 1:
            bid_points -= bid_points % terms.tick_size_points
            ask_points += -ask_points % terms.tick_size_points
        server.on_quote(name, time_utc_ms, bid_points, ask_points)
        if self.connected:
            self.shown.pop(name, None)
        if stamp_utc_ms != time_utc_ms:
            server.restamp(name, stamp_utc_ms)
        offset_ms = server.clock.offset_ms(time_utc_ms)
        self.rates[name].add((time_utc_ms + offset_ms) // 1000, bid_points, ask_points - bid_points)

    def _deeds_before(self, utc_ms: int) -> None:
        for due in [one for one in self._later if one[0] <= utc_ms]:
            self._later.remove(due)
            due[1]()
        elapsed_s = (utc_ms - self._began_utc_ms) / 1000
        for event in self._deeds.due(elapsed_s):
            self._do(event)

    def later(self, seconds: float, deed: Callable[[], None]) -> None:
        """Do it `seconds` of market time from now."""
        self._later.append((self.now_utc_ms + round(seconds * 1000), deed))

    def _do(self, event: BrokerEvent) -> None:
        value = event.value
        match event.kind:
            case "algo_button":
                self.algo_button = bool(value)
            case "connected":
                self.connected = bool(value)
                prices = {} if self.connected else self.server.prices
                self.shown = {name: (one.time_utc_ms, one.bid_points, one.ask_points) for name, one in prices.items()}
            case "spec_removed":
                self.removed.add(event.symbol)
                do(event, self.server)
            case "api_disabled":
                self.api_disabled = bool(value)
            case "login":
                self.login = int(float(value))
            case "server_name":
                self.server_name = str(value)
            case "restart":
                if self.is_initialized:
                    self.is_initialized = False
                    raise Refused(*LOST_CONNECTION)
            case "trade_allowed" | "trade_expert":
                self._change_account(event.kind, bool(value))
            case "trade_mode_of_account":
                self._change_account("trade_mode", int(float(value)))
            case "margin_mode":
                self._change_account("margin_mode", int(float(value)))
            case "history_lag_ms" | "visible_lag_ms":
                self.server.assumptions = msgspec.structs.replace(self.server.assumptions, **{event.kind: round(float(value))})
                if event.kind == "visible_lag_ms":
                    self._snapshots.clear()
                    self.snapshot(since_utc_ms=0)
            case "server_zone":
                self.server.set_zone(str(value))
            case _:
                do(event, self.server)

    def _change_account(self, field: str, value: int | bool) -> None:
        self.server.set_account(msgspec.structs.replace(self.server.account, **{field: value}))

    # -- what is seen ---------------------------------------------------------------------------------------------------

    @property
    def is_own_account(self) -> bool:
        """The terminal is on the account that was opened; on another one nothing of it is seen."""
        return self.login == self.server.account.login

    def snapshot(self, *, since_utc_ms: int | None = None) -> None:
        """Positions as they are, for a terminal that shows them late."""
        if self.server.assumptions.visible_lag_ms:
            held = tuple(msgspec.structs.replace(one) for one in self.server.book.positions.values())
            if not self._snapshots or self._snapshots[-1][1] != held:
                self._snapshots.append((self.now_utc_ms if since_utc_ms is None else since_utc_ms, held))

    def visible_positions(self) -> list[Position]:
        lag_ms = self.server.assumptions.visible_lag_ms
        if not self.is_own_account:
            return []
        if not lag_ms:
            return list(self.server.book.positions.values())
        shown: tuple[Position, ...] = ()
        for utc_ms, held in self._snapshots:
            if utc_ms > self.now_utc_ms - lag_ms:
                break
            shown = held
        return list(shown)

    def rates_of(self, name: str) -> Rates:
        """With a history before the first quote."""
        if name not in self._seeded:
            self._seeded.add(name)
            terms, price = self.server.symbols[name], self.server.prices.get(name)
            points = price.bid_points if price else terms.typical_price_points
            start_s = (self._began_utc_ms - _WARM_UP_MS + self.server.clock.offset_ms(self._began_utc_ms)) // 1000
            self.rates[name].seed(f"{self.market.seed}-{name}-history", start_s, points, terms.typical_spread_points)
        return self.rates[name]

    def hold(self, seconds: float) -> None:
        """Spend time as the real extension does: with the interpreter's lock held, if the account file wants it."""
        if seconds <= 0:
            return
        if not self.terminal.hold_interpreter:
            self._sleep(seconds)
        elif sys.platform == "win32":
            ctypes.PyDLL("kernel32").Sleep(round(seconds * 1000))
        else:
            ctypes.PyDLL(None).usleep(round(seconds * 1_000_000))
