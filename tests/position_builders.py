"""position/EURUSD by itself: what it is told, and what it says."""

from orders import QUOTE, SPEC, opened

from evenkeel.actors.position import Position
from evenkeel.config.schema import Config
from evenkeel.messages.entry import DenialReason, Lineage, OrderDenied, SignalRaised
from evenkeel.messages.market import Direction, PricesReached, Quote, SymbolSpecified
from evenkeel.messages.position import CloseFailed, CloseFailure
from evenkeel.messages.system import TimerDue

BUY, SELL = Direction.BUY, Direction.SELL


class Told:
    """The actor and what it said, one list for each message that it heard."""

    def __init__(self, config: Config, *, specified: bool = True) -> None:
        self.actor = Position("EURUSD", config)
        self.now_utc_ms = 1_000
        if specified:
            self.hear(SymbolSpecified(SPEC))

    def hear(self, message, after_ms: int = 0) -> list:
        self.now_utc_ms += after_ms
        return list(self.actor.handle(message, self.now_utc_ms))

    def signal(self, direction: Direction = BUY, *, after_ms: int = 0, quote: Quote = QUOTE, **lineage):
        raised = SignalRaised("EURUSD", 1, direction, quote, 0, 10, Lineage("strategy", "trend", **lineage))
        (said,) = self.hear(raised, after_ms)
        return said

    def hold(self, ticket: int = 1001, **changed) -> "Told":
        self.hear(opened(ticket, **changed))
        return self

    def reached(self, bid: int, *names: str) -> list:
        return self.hear(PricesReached("position/EURUSD", "EURUSD", 1, Quote(2_000, bid, bid + 10), names))

    def failed(self, generation: int, failure: CloseFailure = CloseFailure.REJECTED) -> list:
        return self.hear(CloseFailed(1001, "EURUSD", generation, failure, "10018"))

    def due(self, name: str) -> list:
        return self.hear(TimerDue("position/EURUSD", name, self.now_utc_ms))


def denial(said) -> tuple[DenialReason, int, int, str]:
    assert isinstance(said, OrderDenied)
    return said.reason, said.measured, said.limit, said.unit
