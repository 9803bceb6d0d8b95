"""The trades of a back-test, heard while it runs."""

from collections.abc import Callable, Sequence

import msgspec

from evenkeel.messages.broker_gateway import OrderRejected
from evenkeel.messages.entry import OrderDenied
from evenkeel.messages.market import Quote
from evenkeel.messages.position import ExitReason, PositionClosed, PositionOpened, PositionPriced, PositionReduced
from evenkeel.messages.system import ChildDown, Message
from evenkeel.runtime.edge import At


class HeardTrades(msgspec.Struct):
    """`opened` by ticket is what is open now; `refused` counts by gate and reason; `crashes` are one line each.

    `entries` and `exits` are the quotes that positions were opened and closed on, by ticket, where they are known.
    """

    closed: list[PositionClosed] = []
    opened: dict[int, PositionOpened] = {}
    refused: dict[tuple[str, str], int] = {}
    crashes: list[str] = []
    entries: dict[int, Quote] = {}
    exits: dict[int, Quote] = {}


class Nothing(msgspec.Struct):
    """A state that is never written down: what a replay has heard is worth nothing after a crash."""


class TradeListener:
    """Stands where a live run has its reporter: hears of trades, writes them into `heard`, says nothing.

    `newest` is the quote of a symbol that is being served, on which a replay without latency decides and fills.
    """

    poll_s: float | None = None

    def __init__(self, heard: HeardTrades, newest: Callable[[str], Quote | None] = lambda symbol: None) -> None:
        self.state = Nothing()
        self.heard = heard
        self._newest = newest

    def remember(self, message: Message) -> None:
        match message:
            case PositionOpened():
                if message.ticket not in self.heard.opened and not message.adopted:
                    self._quoted(self.heard.entries, message)
                self.heard.opened[message.ticket] = message
            case PositionPriced():
                self._correct(message.ticket, entry_points=message.entry_points, volume_steps=message.volume_steps)
            case PositionReduced():
                self._correct(message.ticket, volume_steps=message.volume_steps)
            case PositionClosed():
                self.heard.opened.pop(message.ticket, None)
                if message.reason is not ExitReason.NEVER_OPENED:  # an order that never became a position is no trade
                    self._quoted(self.heard.exits, message)
                    self.heard.closed.append(message)
            case OrderDenied():
                self._count(message.by.partition("/")[0], message.reason.value)
            case OrderRejected():
                self._count("broker", str(message.code))
            case ChildDown():
                self.heard.crashes.append(f"{message.child} crashed: {message.error}")
            case _:
                pass  # whatever else a reporter hears is no part of a result

    def act(self, message: Message, at: At) -> Sequence[Message]:
        return ()

    def resume(self, now_utc_ms: int) -> Sequence[Message]:
        return ()

    def poll(self, now_utc_ms: int) -> Sequence[Message]:
        """Never called: it sees nothing by itself."""
        return ()

    def close(self) -> None:
        """Nothing to let go of."""

    def _quoted(self, quotes: dict[int, Quote], message: PositionOpened | PositionClosed) -> None:
        quote = self._newest(message.symbol)
        if quote is not None:
            quotes[message.ticket] = quote

    def _correct(self, ticket: int, **facts: int) -> None:
        opened = self.heard.opened.get(ticket)
        if opened is not None:
            self.heard.opened[ticket] = msgspec.structs.replace(opened, **facts)

    def _count(self, by: str, reason: str) -> None:
        """By the actor that said it, whatever its symbol; "gate" is the last one before the broker."""
        self.heard.refused[by, reason] = self.heard.refused.get((by, reason), 0) + 1
