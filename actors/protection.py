"""protection: sees to it, from outside the position actors, that nothing of ours is open without a stop, and that what was
to be closed is closed. The plan's *guard* (DESIGN 7): it takes a symbol over when its actor cannot be relied on.

It opens nothing. Its own death stops entries, as that of every guard.
"""

from collections.abc import Collection, Iterator, Sequence
from typing import Final, assert_never

import msgspec

from evenkeel.config.schema import Config
from evenkeel.messages.broker_gateway import Outcome, PositionsRead
from evenkeel.messages.market import ArmWatches
from evenkeel.messages.operator import LowerMode, Mode, ModeChanged, TradingRearmed
from evenkeel.messages.position import (
    CloseFailed,
    CloseFailure,
    ClosePosition,
    CloseScope,
    ExitReason,
    PositionClosed,
    PositionOpened,
    PositionPriced,
    PositionReduced,
    ReducePosition,
    StopTightened,
)
from evenkeel.messages.protection import (
    Gap,
    PositionProtected,
    StopsRefused,
    StopsSet,
    SymbolGivenBack,
    SymbolTakenOver,
)
from evenkeel.messages.system import ChildDown, ChildServing, Message, MessageParked, RunStarted, SetTimer, TimerDue
from evenkeel.rules.exits import is_served, retry_delay_ms
from evenkeel.rules.guard_table import CRASHES_BEFORE_HOLD
from evenkeel.rules.order_intents import INVALID_STOPS
from evenkeel.rules.protection import (
    AskedClose,
    Ward,
    alarm,
    arm,
    armed_levels,
    gap_of,
    is_within,
    move_entry,
    stops_for,
    ward_of,
    wide_stop_points,
)
from evenkeel.rules.scopes import covers

NAME: Final = "protection"
LOOK_TIMER: Final = "look"
REPAIRS_MAX: Final = 2
"""So often a position without any stop gets one; then it is closed. One that has a wide stop gets its own ever more slowly."""
REPAIR_MS_MAX: Final = 600_000
CRASHES_THAT_FREEZE: Final = 3
KEEP_LEVELS: Final = ("market_feed", "clock")
"""What they drop, a level or the timer of a retry, is in no symbol's name: every symbol that is held is taken over."""
CARRY_CLOSES: Final = ("broker_gateway", "terminal")


class ProtectionState(msgspec.Struct):
    """`taken_over` is the reason by symbol; those in `returning` were rearmed while their actor was in `down`. `look_utc_ms`
    is when the timer comes, 0: there is none. `asks` counts the closes that protection asked for itself."""

    wards: dict[int, Ward] = {}
    taken_over: dict[str, str] = {}
    returning: list[str] = []
    down: list[str] = []
    mode: Mode = Mode.CLOSE_ONLY
    look_utc_ms: int = 0
    asks: int = 0


OfSupervision = RunStarted | ChildDown | ChildServing | MessageParked
OfPositions = PositionOpened | PositionPriced | PositionReduced | PositionClosed | StopTightened | ArmWatches | PositionsRead
OfCloses = ClosePosition | CloseFailed | ReducePosition | CloseScope | ModeChanged
OfStops = StopsSet | StopsRefused
Heard = OfSupervision | OfPositions | OfCloses | OfStops | TradingRearmed | TimerDue


class Protection:
    """`guards` are the children without which nothing may be opened, position actors among them. Times are the run's clock."""

    def __init__(self, config: Config, guards: Collection[str]) -> None:
        self.state = ProtectionState()
        self._config = config
        self._guards = guards
        self._symbols = [_symbol_of(name) for name in guards if _symbol_of(name)]
        self._stop_config = config.catastrophe_stop
        self._needs_broker_stop = config.catastrophe_stop.at_broker == "on"
        self._grace_ms = round(config.protection.grace_s * 1000)
        self._answer_ms = round(config.protection.close_answer_s * 1000)

    def handle(self, message: Heard, now_utc_ms: int, /) -> Sequence[Message]:
        said = list(self._heard(message, now_utc_ms))
        said += self._settle(now_utc_ms)
        return [*said, *self._plan(now_utc_ms)]

    def _heard(self, message: Heard, now_utc_ms: int) -> Sequence[Message]:
        match message:
            case PositionOpened() | PositionPriced() | PositionReduced() | PositionClosed():
                return self._of_positions(message, now_utc_ms)
            case StopTightened() | ArmWatches() | PositionsRead():
                return self._of_positions(message, now_utc_ms)
            case ClosePosition() | CloseFailed() | ReducePosition() | CloseScope() | ModeChanged():
                return self._of_closes(message, now_utc_ms)
            case StopsSet() | StopsRefused():
                return self._of_stops(message, now_utc_ms)
            case RunStarted() | ChildDown() | ChildServing() | MessageParked():
                return self._of_supervision(message, now_utc_ms)
            case TradingRearmed():
                return self._rearmed()
            case TimerDue():
                self.state.look_utc_ms = 0
                return [said for ward in self._wards() for said in self._tend(ward, now_utc_ms)]
            case _:
                assert_never(message)

    def _wards(self, symbol: str | None = None) -> list[Ward]:
        return [ward for ward in self.state.wards.values() if symbol in (None, ward.symbol)]

    # -- what is open ---------------------------------------------------------------------------------------------------

    def _of_positions(self, message: OfPositions, now_utc_ms: int) -> Sequence[Message]:
        wards = self.state.wards
        match message:
            case PositionOpened():
                return self._opened(message, now_utc_ms)
            case PositionPriced() if message.ticket in wards:
                move_entry(wards[message.ticket], message.entry_points, message.volume_steps)
            case PositionReduced() if message.ticket in wards:
                ward = wards[message.ticket]
                ward.volume_steps = message.volume_steps
                if ward.close is not None and ward.close.remaining_steps >= message.volume_steps:
                    ward.close = None
            case PositionClosed():
                wards.pop(message.ticket, None)
            case StopTightened() if message.ticket in wards:
                wards[message.ticket].stop_points = message.stop_points
                wards[message.ticket].first_stop_points = message.first_stop_points
            case ArmWatches() if _symbol_of(message.owner):
                for ticket, levels in armed_levels(message.watches).items():
                    if ticket in wards:
                        arm(wards[ticket], levels)
            case PositionsRead():
                return self._read(message)
            case PositionPriced() | PositionReduced() | StopTightened() | ArmWatches():
                pass  # closed already, its deal came late; or no levels of a position
            case _:
                assert_never(message)
        return ()

    def _opened(self, opened: PositionOpened, now_utc_ms: int) -> Sequence[Message]:
        ward = self.state.wards.setdefault(opened.ticket, ward_of(opened))
        if not self._is_ours_to_close(ward):
            return ()
        if opened.late and self._config.broker_gateway.late_fill == "close":
            return [self._close(ward, ExitReason.LATE_FILL, now_utc_ms)]
        return self._secure(ward, now_utc_ms)

    def _read(self, reading: PositionsRead) -> Sequence[Message]:
        """What a reading shows to be lost is told at once: the gateway, which hears it too, sets it again."""
        said: list[Message] = []
        for seen in reading.positions:
            ward = self.state.wards.get(seen.ticket)
            if ward is None or ward.broker_stop_points == seen.stop_points:
                continue
            ward.broker_stop_points = seen.stop_points
            gap = self._gap(ward)
            if gap in (Gap.NO_BROKER_STOP, Gap.BROKER_STOP_FAR) and ward.symbol not in self.state.taken_over:
                said += self._alarm(ward, gap)
        return said

    # -- closes ---------------------------------------------------------------------------------------------------------

    def _of_closes(self, message: OfCloses, now_utc_ms: int) -> Sequence[Message]:
        match message:
            case ClosePosition():
                return self._close_asked(message, now_utc_ms)
            case CloseFailed():
                return self._close_failed(message, now_utc_ms)
            case ReducePosition():
                ward = self.state.wards.get(message.ticket)
                if ward is None or not self._is_ours_to_close(ward) or message.remaining_steps >= ward.volume_steps:
                    return ()
                return [self._close(ward, message.reason, now_utc_ms, remaining_steps=message.remaining_steps)]
            case CloseScope():
                return self._close_scope(message, now_utc_ms)
            case ModeChanged():
                self.state.mode = message.mode
                if message.mode is not Mode.FLATTEN:
                    return ()
                return [
                    self._close(ward, ExitReason.FLATTEN, now_utc_ms) for ward in self._wards() if self._is_ours_to_close(ward)
                ]
            case _:
                assert_never(message)

    def _close_scope(self, asked: CloseScope, now_utc_ms: int) -> Sequence[Message]:
        return [
            self._close(ward, asked.reason, now_utc_ms)
            for ward in self._wards()
            if self._is_ours_to_close(ward)
            and covers(asked.scope, symbol=ward.symbol, strategy=ward.strategy, chain_id=ward.chain_id)
        ]

    def _is_ours_to_close(self, ward: Ward) -> bool:
        """Its symbol is taken over, or has no position actor (any more)."""
        return ward.symbol in self.state.taken_over or ward.symbol not in self._symbols

    def _close_asked(self, asked: ClosePosition, now_utc_ms: int) -> Sequence[Message]:
        """Somebody else's close has an end within a time, or it is asked for again."""
        ward = self.state.wards.get(asked.ticket)
        if ward is not None and asked.generation > 0:
            due_utc_ms = now_utc_ms + self._answer_ms
            ward.close = AskedClose(asked.reason, asked.remaining_steps, asked.generation, due_utc_ms)
        return ()

    def _close_failed(self, failed: CloseFailed, now_utc_ms: int) -> Sequence[Message]:
        """A position actor asks again itself; protection does it for those that it has taken over, and for its own."""
        ward = self.state.wards.get(failed.ticket)
        if ward is None or ward.close is None or ward.close.generation != failed.generation:
            return ()
        close, exits = ward.close, self._config.exit
        last_ms = round(exits.retry_max_s * 1000)
        if failed.generation > 0 and not self._is_ours_to_close(ward):
            close.due_utc_ms = now_utc_ms + last_ms + self._answer_ms
            return ()
        close.refused = close.refused + 1 if failed.failure is CloseFailure.REJECTED else 0
        if not close.refused:
            return self._ask_again(ward, now_utc_ms)
        close.due_utc_ms = now_utc_ms + retry_delay_ms(close.refused, round(exits.retry_min_s * 1000), last_ms)
        return ()

    def _close(self, ward: Ward, reason: ExitReason, now_utc_ms: int, *, remaining_steps: int = 0) -> ClosePosition:
        """Ask for it. The broker is never asked for more than what is there, so an ask too many takes nothing twice."""
        self.state.asks += 1
        refused = ward.close.refused if ward.close is not None else 0
        due_utc_ms = now_utc_ms + self._answer_ms
        ward.close = AskedClose(reason, remaining_steps, -self.state.asks, due_utc_ms, refused)
        return ClosePosition(ward.ticket, ward.symbol, remaining_steps, reason, -self.state.asks)

    # -- stops ----------------------------------------------------------------------------------------------------------

    def _of_stops(self, message: OfStops, now_utc_ms: int) -> Sequence[Message]:
        ward = self.state.wards.get(message.ticket)
        if ward is None:
            return ()
        match message:
            case StopsSet():
                ward.broker_stop_points = message.stop_points
                return ()
            case StopsRefused():
                is_beyond = message.outcome is Outcome.REJECTED and message.code == INVALID_STOPS
                is_final = is_beyond and ward.close is None and self._gap(ward) is not None
                return [self._close(ward, ExitReason.UNPROTECTED, now_utc_ms)] if is_final else ()
            case _:
                assert_never(message)

    def _gap(self, ward: Ward) -> Gap | None:
        is_taken_over = ward.symbol in self.state.taken_over
        return gap_of(ward, needs_broker_stop=self._needs_broker_stop, is_taken_over=is_taken_over)

    def _wanted_points(self, ward: Ward, gap: Gap) -> int:
        """Where the stop at the broker is to be; 0: nobody knows."""
        if gap is Gap.LEVELS_NOT_ARMED or ward.symbol in self.state.taken_over:
            return ward.stop_points
        return wide_stop_points(self._stop_config, ward)

    def _alarm(self, ward: Ward, gap: Gap) -> Sequence[Message]:
        return alarm(ward, gap, self._wanted_points(ward, gap))

    # -- symbols --------------------------------------------------------------------------------------------------------

    def _of_supervision(self, message: OfSupervision, now_utc_ms: int) -> Sequence[Message]:
        down = self.state.down
        match message:
            case RunStarted():
                self.state.down, self.state.look_utc_ms = [], 0
                return ()
            case ChildDown():
                symbol, said = _symbol_of(message.child), self._freeze(message)
                if symbol and symbol not in down:
                    down.append(symbol)
                if symbol and message.crashes >= CRASHES_BEFORE_HOLD:
                    said += self._take_over(symbol, f"its actor crashed {message.crashes} times", now_utc_ms)
                return said
            case ChildServing():
                symbol = _symbol_of(message.child)
                if symbol in down:
                    down.remove(symbol)
                return self._give_back(symbol) if symbol in self.state.returning else ()
            case MessageParked():
                return self._parked(message, now_utc_ms)
            case _:
                assert_never(message)

    def _freeze(self, down: ChildDown) -> list[Message]:
        """A guard that dies again and again: nobody knows what else is wrong."""
        is_frozen = self.state.mode in (Mode.FREEZE, Mode.FLATTEN)
        if down.child not in self._guards or down.crashes < CRASHES_THAT_FREEZE or is_frozen:
            return []
        return [LowerMode(Mode.FREEZE, NAME, f"{down.child} crashed {down.crashes} times")]

    def _parked(self, parked: MessageParked, now_utc_ms: int) -> Sequence[Message]:
        """What was in the message is lost to its receiver: a level reached or armed, a timer, a close."""
        reason = f"{parked.child} crashed twice on {parked.kind} {parked.seq}"
        symbol = _symbol_of(parked.child)
        if parked.child in CARRY_CLOSES:
            asked = [ward for ward in self._wards() if ward.close is not None]
            return [said for ward in asked for said in self._ask_again(ward, now_utc_ms)]
        lost = [symbol] if symbol else list(dict.fromkeys(ward.symbol for ward in self._wards()))
        if not symbol and parked.child not in KEEP_LEVELS:
            return ()
        for ward in self._wards():
            ward.is_armed = ward.is_armed and ward.symbol not in lost
        return [said for name in lost for said in self._take_over(name, reason, now_utc_ms)]

    def _take_over(self, symbol: str, reason: str, now_utc_ms: int) -> list[Message]:
        self.state.returning = [name for name in self.state.returning if name != symbol]
        if symbol in self.state.taken_over:
            return []
        self.state.taken_over[symbol] = reason
        said: list[Message] = [SymbolTakenOver(symbol, reason)]
        for ward in self._wards(symbol):
            said += self._secure(ward, now_utc_ms)
        return said

    def _secure(self, ward: Ward, now_utc_ms: int) -> Sequence[Message]:
        """Of a symbol that is taken over: close what is to be closed or has no stop of its own, give the rest to the broker."""
        if self.state.mode is Mode.FLATTEN:
            return [self._close(ward, ExitReason.FLATTEN, now_utc_ms)]
        if ward.close is not None:
            return self._ask_again(ward, now_utc_ms)
        if not ward.stop_points:
            return [self._close(ward, ExitReason.UNPROTECTED, now_utc_ms)]
        ward.since_utc_ms, ward.repairs = now_utc_ms, 1
        return [stops_for(ward, ward.stop_points)]

    def _rearmed(self) -> Sequence[Message]:
        """A person has looked. A symbol whose actor does not serve goes back when it does."""
        state = self.state
        state.returning = [symbol for symbol in state.taken_over if symbol in state.down]
        back = [symbol for symbol in state.taken_over if symbol not in state.down]
        return [said for symbol in back for said in self._give_back(symbol)]

    def _give_back(self, symbol: str) -> Sequence[Message]:
        """The wide stop again where the app's levels are armed; where they are not, the broker keeps them."""
        del self.state.taken_over[symbol]
        self.state.returning = [name for name in self.state.returning if name != symbol]
        armed = [ward for ward in self._wards(symbol) if ward.is_armed and ward.close is None]
        wide = wide_stop_points if self._needs_broker_stop else lambda *_: 0
        return [SymbolGivenBack(symbol), *(stops_for(ward, wide(self._stop_config, ward)) for ward in armed)]

    # -- what is due ----------------------------------------------------------------------------------------------------

    def _tend(self, ward: Ward, now_utc_ms: int) -> Sequence[Message]:
        """What its time has come for: a close again, a repair, at last a close."""
        due_utc_ms = self._due_utc_ms(ward)
        if due_utc_ms is None or now_utc_ms < due_utc_ms:
            return ()
        if ward.close is not None:
            is_unanswered, again = not ward.close.refused, self._ask_again(ward, now_utc_ms)
            return [*self._alarm(ward, Gap.CLOSE_UNANSWERED), *again] if again and is_unanswered else again
        gap = self._gap(ward)
        assert gap is not None, "something is due"
        wanted_points, said = self._wanted_points(ward, gap), self._alarm(ward, gap)
        ward.since_utc_ms, ward.repairs = now_utc_ms, ward.repairs + 1
        if not wanted_points and ward.broker_stop_points:
            return said  # the broker's stop is all that is known of it
        if not wanted_points or (ward.repairs > REPAIRS_MAX and not is_within(ward, ward.bound_points)):
            return [*said, self._close(ward, ExitReason.UNPROTECTED, now_utc_ms)]
        return [*said, stops_for(ward, wanted_points)]

    def _ask_again(self, ward: Ward, now_utc_ms: int) -> list[Message]:
        """What the mode does not serve waits on."""
        close = ward.close
        assert close is not None, "there is something to ask for"
        if not is_served(self.state.mode, close.reason):
            close.due_utc_ms = now_utc_ms + self._answer_ms
            return []
        return [self._close(ward, close.reason, now_utc_ms, remaining_steps=close.remaining_steps)]

    def _settle(self, now_utc_ms: int) -> Iterator[Message]:
        """Note since when something is lacking, and that it is not lacking any more."""
        for ward in self.state.wards.values():
            gap = self._gap(ward)
            if gap is None:
                ward.since_utc_ms, ward.repairs = None, 0
                if ward.is_alarmed and ward.close is None:
                    ward.is_alarmed = False
                    yield PositionProtected(ward.ticket, ward.symbol)
                continue
            ward.since_utc_ms = now_utc_ms if ward.since_utc_ms is None else ward.since_utc_ms
            wide_points = wide_stop_points(self._stop_config, ward)
            if gap is Gap.NO_BROKER_STOP and not ward.bound_points and wide_points:  # it never had one: nobody else sets it
                ward.bound_points, ward.since_utc_ms, ward.repairs = wide_points, now_utc_ms, 1
                yield stops_for(ward, wide_points)

    def _due_utc_ms(self, ward: Ward) -> int | None:
        if ward.close is not None:
            return ward.close.due_utc_ms
        if ward.since_utc_ms is None:
            return None
        return ward.since_utc_ms + retry_delay_ms(max(1, ward.repairs), self._grace_ms, REPAIR_MS_MAX)

    def _plan(self, now_utc_ms: int) -> Sequence[Message]:
        """One timer for the earliest of all."""
        dues = [due for due in map(self._due_utc_ms, self.state.wards.values()) if due is not None]
        if not dues or 0 < self.state.look_utc_ms <= min(dues):
            return ()
        self.state.look_utc_ms = max(min(dues), now_utc_ms)
        return [SetTimer(NAME, LOOK_TIMER, self.state.look_utc_ms)]


def _symbol_of(child: str) -> str:
    """Of a position actor; "" of any other."""
    folder, _, symbol = child.partition("/")
    return symbol if folder == "position" else ""
