"""One recorded story: two symbols, most of an hour of quotes, a person who pauses, closes and kills, a broker that requotes,
rejects and loses answers. At least 300 messages; told to any system that is a `Scene`."""

from builders import STARTED, Scene, config_of, market_of, recorded, sabotaged, scene, specs_of

from evenkeel.adapters.replay.every_tick import RecordedQuote
from evenkeel.adapters.simulated.faults import Call, Fault, FaultKind, FaultScript
from evenkeel.messages.operator import CloseTicket, KillTrading, PauseTrading, RearmTrading, ResumeTrading, StartTrading
from evenkeel.messages.system import Message

SYMBOLS = ("EURUSD", "GBPUSD")
CONFIG = config_of(
    circuit_breaker__sample_s=600.0,
    circuit_breaker__errors_per_hour=(50.0,),  # a child that dies is an error too; alone it must not reach a level
    attendance__absent_hours_max=0.5,
)
SPECS = specs_of(CONFIG, SYMBOLS)
MARKET = market_of(CONFIG, SPECS, seed=3, every_ms=30_000)
DAILY = {symbol: MARKET.daily(symbol) for symbol in SYMBOLS}
QUOTES: list[RecordedQuote] = recorded(MARKET, 220)
FAULTS = FaultScript(
    (
        Fault(FaultKind.REJECT, Call.OPEN, 3),
        Fault(FaultKind.LOST_AFTER, Call.OPEN, 5),
        Fault(FaultKind.LOST_BEFORE, Call.OPEN, 7),
        Fault(FaultKind.REQUOTE, Call.OPEN, 8),
        Fault(FaultKind.REJECT, Call.CLOSE, 2),
        Fault(FaultKind.LOST_BEFORE, Call.CLOSE, 4),
        Fault(FaultKind.LOST_AFTER, Call.CLOSE, 5),
    )
)
COMMANDS: dict[int, Message] = {
    60: PauseTrading("pause-1", "test"),
    80: ResumeTrading("resume-1", "test"),
    120: CloseTicket("close-1", "test", 1009),
    150: KillTrading("kill-1", "test", 1, flatten=True),
    175: RearmTrading("rearm-1", "test"),
    176: StartTrading("start-2", "test"),
}

__all__ = ["COMMANDS", "CONFIG", "DAILY", "FAULTS", "QUOTES", "SPECS", "STARTED", "begun", "digests", "tell", "told"]


def tell(to: Scene) -> Scene:
    """Serve every quote, with the commands between them."""
    for row, symbol, time_utc_ms, bid, ask in QUOTES:
        command = COMMANDS.get(row)
        if command is not None:
            to.host.say("person", [command])
        to.replay.serve([(row, symbol, time_utc_ms, bid, ask)])
    return to


def told(**changes: object) -> Scene:
    return tell(begun(**changes))


def begun(**changes: object) -> Scene:
    """Booted, before the first quote."""
    return scene(CONFIG, SPECS, daily=DAILY, faults=FAULTS, **changes)  # type: ignore[arg-type]


def digests() -> list[str]:
    """Of the journals of three tellings: undisturbed, with a crash, and with a crash after which the child is away."""
    tellings = (
        told(),
        told(sabotage=sabotaged("broker_gateway", 50, after=True)),
        told(sabotage=sabotaged("broker_gateway", 50, after=True), restart_after_ms=90_000),
    )
    return [one.journal.hexdigest() for one in tellings]
