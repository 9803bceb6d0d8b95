"""position/EURUSD by itself: what it is told, and what it says."""

import msgspec
from orders import QUOTE, SPEC, opened

from evenkeel.actors.position import Position
from evenkeel.config.limits import PLAIN
from evenkeel.config.schema import Config, EntryConfig, MaCrossConfig
from evenkeel.messages.entry import DenialReason, Lineage, OrderDenied, OrderKind, SignalRaised
from evenkeel.messages.market import ArmWatches, Direction, PricesReached, Quote, SymbolSpecified
from evenkeel.messages.position import CloseFailed, CloseFailure, ClosePosition, ExitReason, PositionOpened
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


MINUTE_MS = 60_000
PLACES = {BUY: 1, SELL: -1}


def chained(orders: str = "trend", *, entry: EntryConfig | None = None, logic: str = "off", **knobs) -> Config:
    plain = Config(profile="plain", limits=PLAIN)
    return msgspec.structs.replace(
        plain,
        entry=entry or EntryConfig(stop_pips=5.0, target_pips=10.0, cooldown_minutes=0.0),
        recovery=msgspec.structs.replace(plain.recovery, **knobs),
        exit=msgspec.structs.replace(plain.exit, time_stop_minutes="off"),
        strategy={"trend": MaCrossConfig(symbols=("EURUSD",), orders=orders, logic=logic), "plain": MaCrossConfig()},
    )


def of_chain(kind: OrderKind = OrderKind.TP_TRAIL, chain_id: str = "X", **more) -> Lineage:
    return Lineage("strategy", "trend", chain_id=chain_id, order_kind=kind.value, **more)


def at(direction: Direction, gain_points: int) -> Quote:
    """The quote at which a trade entered at 110010 would be closed with that gain; the spread is 10."""
    price = 110_010 + PLACES[direction] * gain_points
    return Quote(2_000, price, price + 10) if direction is BUY else Quote(2_000, price - 10, price)


def trade(direction: Direction = BUY, ticket: int = 1001, kind: OrderKind = OrderKind.TP_TRAIL, **changed) -> PositionOpened:
    s = PLACES[direction]
    changed = {"lineage": of_chain(kind), "stop_points": 110_010 - 50 * s, "target_points": 110_010 + 100 * s, **changed}
    return opened(ticket, direction=direction, **changed)


def reach(told: Told, direction: Direction, gain_points: int) -> list:
    return told.hear(PricesReached("position/EURUSD", "EURUSD", 1, at(direction, gain_points), ("1001/trail/1",)))


def levels(said: list) -> dict[str, int]:
    (armed,) = [message for message in said if isinstance(message, ArmWatches)]
    return {watch.name.split("/")[1]: watch.level_points for watch in armed.watches}


def closes(said: list) -> list[tuple[int, ExitReason]]:
    return [(message.ticket, message.reason) for message in said if isinstance(message, ClosePosition)]
