"""operator: the only one who changes the mode, on a person's word or, downwards only, on a limit's.

It places a person's holds, and follows each flattening until the broker shows nothing of ours, twice.
"""

from collections.abc import Collection, Iterable, Sequence
from typing import Final, assert_never

import msgspec

from evenkeel.messages.broker_gateway import BrokerAgreed, BrokerDisagreed, BrokerPosition, PositionsRead, ReadTerminal
from evenkeel.messages.operator import (
    ACCOUNT,
    CloseTicket,
    CommandAccepted,
    CommandDone,
    CommandRefused,
    HoldEnded,
    HoldPlaced,
    KillTrading,
    LowerMode,
    Mode,
    ModeChanged,
    PauseTrading,
    RearmTrading,
    RestrictTrading,
    ResumeTrading,
    StartTrading,
    TradingRearmed,
)
from evenkeel.messages.position import CloseScope, ExitReason, PositionClosed, PositionOpened, ReducePosition
from evenkeel.messages.system import Message, RunStarted, SetTimer, TimerDue
from evenkeel.rules.flatten import Flattening, after_reading, begun
from evenkeel.rules.magic import is_ours
from evenkeel.rules.scopes import covers

NAME: Final = "operator"
PERSON: Final = "person"
"""Whose holds a resume ends. Those of a kill and of a flattening end with a rearm alone."""
CRASHES_THAT_END_RUN: Final = 3
STRICTNESS: Final = (Mode.RUN, Mode.CLOSE_ONLY, Mode.FREEZE, Mode.FLATTEN)
"""Without a person the mode may only move to the right."""
FLATTEN_TIMER: Final = "flatten"


class OperatorState(msgspec.Struct):
    """`needs_rearm` after a kill, a limit's demand, a freeze or a flattening; `is_paused` after a pause; `paused` until when
    (0: a resume) by scope; `closing` are the commands that asked, by ticket; `symbols` and `strategies` of each open position;
    `flattening` by scope, the account's for as long as the mode is FLATTEN."""

    mode: Mode = Mode.CLOSE_ONLY
    epoch: int = 0
    needs_rearm: str = ""
    is_paused: bool = False
    is_agreed: bool = False
    symbols: dict[int, str] = {}
    closing: dict[int, list[str]] = {}
    strategies: dict[int, str] = {}
    paused: dict[str, int] = {}
    flattening: dict[str, Flattening] = {}
    installation: int = 0
    looks: int = 0


Command = StartTrading | PauseTrading | ResumeTrading | RestrictTrading | KillTrading | RearmTrading | CloseTicket
OfTheBroker = BrokerAgreed | BrokerDisagreed | PositionsRead | PositionOpened | PositionClosed
Heard = Command | RunStarted | LowerMode | OfTheBroker | TimerDue


class Operator:
    """`scopes` are the symbols and strategies ("strategy/NAME") that there are; readings that conclude lie `reading_gap_ms`
    apart."""

    def __init__(self, *, trading_enabled: bool, scopes: Collection[str], reading_gap_ms: int) -> None:
        self.state = OperatorState()
        self._trading_enabled = trading_enabled
        self._scopes = scopes
        self._reading_gap_ms = reading_gap_ms

    def handle(self, message: Heard, now_utc_ms: int, /) -> Sequence[Message]:
        match message:
            case StartTrading() | RearmTrading() | CloseTicket():
                return self._plain(message)
            case PauseTrading() | ResumeTrading() | RestrictTrading() | KillTrading():
                return self._scoped(message, now_utc_ms)
            case LowerMode():
                return self._lower(message, now_utc_ms)
            case RunStarted():
                return self._run_started(message, now_utc_ms)
            case TimerDue():
                return self._look(now_utc_ms)
            case _:
                return self._of_the_broker(message, now_utc_ms)

    def _plain(self, command: StartTrading | RearmTrading | CloseTicket) -> Sequence[Message]:
        match command:
            case StartTrading():
                return self._start(command)
            case RearmTrading():
                return self._rearm(command)
            case CloseTicket():
                return self._close(command)
            case _:
                assert_never(command)

    def _scoped(
        self, command: PauseTrading | ResumeTrading | RestrictTrading | KillTrading, now_utc_ms: int
    ) -> Sequence[Message]:
        scope = command.scope
        if scope != ACCOUNT and not self._is_there(scope):
            return [CommandRefused(command.command_id, f"there is no {scope} here")]
        match command:
            case PauseTrading():
                return self._pause(command, now_utc_ms)
            case ResumeTrading():
                return self._resume(command, now_utc_ms)
            case RestrictTrading():
                return self._restrict(command, now_utc_ms)
            case KillTrading():
                return self._kill(command, now_utc_ms)
            case _:
                assert_never(command)

    def _is_there(self, scope: str) -> bool:
        held = ((symbol, self.state.strategies.get(ticket, "")) for ticket, symbol in self.state.symbols.items())
        return scope in self._scopes or any(covers(scope, symbol=symbol, strategy=strategy) for symbol, strategy in held)

    def _of_the_broker(self, message: OfTheBroker, now_utc_ms: int) -> Sequence[Message]:
        match message:
            case BrokerAgreed() | BrokerDisagreed():
                self.state.is_agreed = isinstance(message, BrokerAgreed)
                return ()
            case PositionsRead():
                return self._read(message, now_utc_ms)
            case PositionOpened():
                return self._opened(message, now_utc_ms)
            case PositionClosed():
                return self._closed(message)
            case _:
                assert_never(message)

    # -- the mode -------------------------------------------------------------------------------------------------------

    def _run_started(self, started: RunStarted, now_utc_ms: int) -> Sequence[Message]:
        """RUN survives a crash, a service restart and what a person has reloaded, not another change of what runs, nor three
        crashes in ten minutes. What was being flattened still is."""
        state = self.state
        state.is_agreed, state.installation = False, started.installation
        if state.mode is Mode.RUN and started.restored:
            return [
                self._change(Mode.CLOSE_ONLY, "evenkeel", "the journal was restored from a backup"),
                *self._go_on(now_utc_ms),
            ]
        if state.mode is Mode.RUN and not started.continued and not self._may_go_on(started):
            reason = f"raised: {started.raised}" if started.raised else "build, configuration or account changed"
            return [self._change(Mode.CLOSE_ONLY, "evenkeel", reason), *self._go_on(now_utc_ms)]
        if state.mode is Mode.RUN and started.crashes_recent >= CRASHES_THAT_END_RUN:
            reason = f"{started.crashes_recent} crashes in ten minutes"
            return [self._change(Mode.CLOSE_ONLY, "evenkeel", reason), *self._go_on(now_utc_ms)]
        return [self._change(state.mode, "evenkeel", "the process started"), *self._go_on(now_utc_ms)]

    def _may_go_on(self, started: RunStarted) -> bool:
        """With a configuration that a person asked for while the run went on, and that lets nothing more through."""
        return started.reloaded and not started.raised and self._trading_enabled

    def _change(self, mode: Mode, by: str, reason: str) -> ModeChanged:
        self.state.mode = mode
        return ModeChanged(mode, self.state.epoch, by, reason)

    def _start(self, command: StartTrading) -> Sequence[Message]:
        if not self._trading_enabled:
            return [CommandRefused(command.command_id, "trading is off in the configuration: [trading] enabled = true")]
        if self.state.needs_rearm:
            return [CommandRefused(command.command_id, f"{self.state.needs_rearm}: rearm first")]
        self.state.is_paused = False
        return [self._change(Mode.RUN, command.by, "start"), CommandDone(command.command_id, "trading")]

    def _restrict(self, command: RestrictTrading, now_utc_ms: int) -> Sequence[Message]:
        state, mode = self.state, command.mode
        if command.scope != ACCOUNT:
            return self._end_scope(command, "flatten", now_utc_ms)
        if _stricter(state.mode, mode) is not mode:
            return [CommandRefused(command.command_id, f"the mode is {state.mode.value}: a rearm makes it milder")]
        state.is_paused = False
        if mode in (Mode.FREEZE, Mode.FLATTEN):
            state.needs_rearm = state.needs_rearm or f"{mode.value} by {command.by}"
        return [
            self._change(mode, command.by, "asked for"),
            *self._flatten_if_so(now_utc_ms),
            CommandDone(command.command_id, self._standing()),
        ]

    def _kill(self, command: KillTrading, now_utc_ms: int) -> Sequence[Message]:
        """Idempotent: a second kill may only make it stricter."""
        state = self.state
        if command.scope != ACCOUNT:
            if command.flatten:
                return self._end_scope(command, "kill", now_utc_ms)
            return [HoldPlaced("kill", command.scope, f"killed by {command.by}", 0, command.command_id)]
        state.epoch = max(state.epoch, command.epoch)
        state.needs_rearm, state.is_paused = "killed", False
        mode = _stricter(state.mode, Mode.FLATTEN if command.flatten else Mode.CLOSE_ONLY)
        return [
            self._change(mode, command.by, "kill"),
            *self._flatten_if_so(now_utc_ms),
            CommandDone(command.command_id, self._standing()),
        ]

    def _standing(self) -> str:
        return f"mode {self.state.mode.value}, epoch {self.state.epoch}, {self._open()}"

    def _open(self) -> str:
        positions = len(self.state.symbols)
        return f"{positions} position{'' if positions == 1 else 's'} open"

    def _rearm(self, command: RearmTrading) -> Sequence[Message]:
        """Also the end of a flattening that is not flat yet: a close that was asked for goes on, no new one is asked for."""
        state = self.state
        if not state.is_agreed:
            return [CommandRefused(command.command_id, "the broker's readings do not match what is believed here yet")]
        state.needs_rearm, state.is_paused = "", False
        state.paused = {scope: until for scope, until in state.paused.items() if until}
        state.flattening = {}
        return [
            self._change(Mode.CLOSE_ONLY, command.by, "rearm"),
            TradingRearmed(command.by, state.epoch),
            CommandDone(
                command.command_id, "mode close_only, losses and drawdown count from now: start trading when you are ready"
            ),
        ]

    def _lower(self, demand: LowerMode, now_utc_ms: int) -> Sequence[Message]:
        """It stands until a person rearms, also when a pause or a start yet to come keeps the mode as strict already."""
        self.state.needs_rearm, self.state.is_paused = self.state.needs_rearm or demand.reason, False
        mode = _stricter(self.state.mode, demand.mode)
        return [self._change(mode, demand.by, demand.reason), *self._flatten_if_so(now_utc_ms)]

    # -- pauses ---------------------------------------------------------------------------------------------------------

    def _pause(self, command: PauseTrading, now_utc_ms: int) -> Sequence[Message]:
        if command.scope != ACCOUNT or command.for_ms:
            until_utc_ms = now_utc_ms + command.for_ms if command.for_ms else 0
            self.state.paused[command.scope] = until_utc_ms
            return [HoldPlaced(PERSON, command.scope, f"paused by {command.by}", until_utc_ms, command.command_id)]
        if self.state.mode is not Mode.RUN:
            return [CommandRefused(command.command_id, f"the mode is {self.state.mode.value}, there is nothing to pause")]
        self.state.is_paused = True
        return [
            self._change(Mode.CLOSE_ONLY, command.by, "pause"),
            CommandDone(command.command_id, f"no new entries, {self._open()}"),
        ]

    def _resume(self, command: ResumeTrading, now_utc_ms: int) -> Sequence[Message]:
        """Of the account: its pause, as a mode and as a hold."""
        state, scope = self.state, command.scope
        until_utc_ms = state.paused.pop(scope, None)
        is_held = until_utc_ms is not None and (until_utc_ms == 0 or now_utc_ms < until_utc_ms)
        is_paused = scope == ACCOUNT and state.is_paused and state.mode is Mode.CLOSE_ONLY
        said: list[Message] = [HoldEnded(PERSON, scope)] if is_held else []
        if is_paused:
            state.is_paused = False
            said.append(self._change(Mode.RUN, command.by, "resume"))
        if said:
            return [*said, CommandDone(command.command_id, "trading" if is_paused else f"the pause of {scope} is over")]
        if scope != ACCOUNT:
            return [CommandRefused(command.command_id, f"{scope} is not paused")]
        why = state.needs_rearm or f"the mode is {state.mode.value} and nothing is paused"
        return [CommandRefused(command.command_id, why)]

    # -- closes ---------------------------------------------------------------------------------------------------------

    def _close(self, command: CloseTicket) -> Sequence[Message]:
        symbol = self.state.symbols.get(command.ticket)
        if symbol is None:
            return [CommandRefused(command.command_id, f"position {command.ticket} is not open here")]
        self.state.closing.setdefault(command.ticket, []).append(command.command_id)
        return [
            CommandAccepted(command.command_id),
            ReducePosition(command.ticket, symbol, 0, ExitReason.OPERATOR),
        ]

    def _opened(self, opened: PositionOpened, now_utc_ms: int) -> Sequence[Message]:
        """What appears in a scope that is being flattened is closed too: a late fill, an adopted position."""
        state, ticket, strategy = self.state, opened.ticket, opened.lineage.strategy
        state.symbols[ticket], state.strategies[ticket] = opened.symbol, strategy
        scopes = [one for one in state.flattening.values() if covers(one.scope, symbol=opened.symbol, strategy=strategy)]
        said: list[Message] = []
        for one in scopes:
            was_flat = one.is_flat
            said.append(begun(one, self._held_in(one.scope), now_utc_ms))
            said += self._look(now_utc_ms) if was_flat else ()
            if one.scope != ACCOUNT:  # the mode tells its owner
                said.append(ReducePosition(ticket, opened.symbol, 0, ExitReason.FLATTEN))
        return said

    def _closed(self, closed: PositionClosed) -> Sequence[Message]:
        self.state.symbols.pop(closed.ticket, None)
        self.state.strategies.pop(closed.ticket, None)
        asked = self.state.closing.pop(closed.ticket, [])
        return [CommandDone(command_id, f"closed, {closed.reason.value}") for command_id in asked]

    # -- flattening -----------------------------------------------------------------------------------------------------

    def _end_scope(self, command: RestrictTrading | KillTrading, who: str, now_utc_ms: int) -> Sequence[Message]:
        """Hold a scope until a person rearms, and close what is in it."""
        count = len(self._held_in(command.scope))
        reason = f"{who} by {command.by}, {count} position{'' if count == 1 else 's'} to be closed"
        return [
            HoldPlaced(who, command.scope, reason, 0, command.command_id),
            CloseScope(command.scope, ExitReason.FLATTEN),
            *self._flatten(command.scope, now_utc_ms),
        ]

    def _flatten_if_so(self, now_utc_ms: int) -> Sequence[Message]:
        """A change to FLATTEN makes each position's owner close it."""
        return self._flatten(ACCOUNT, now_utc_ms) if self.state.mode is Mode.FLATTEN else ()

    def _flatten(self, scope: str, now_utc_ms: int) -> Sequence[Message]:
        flattening = self.state.flattening.setdefault(scope, Flattening(scope))
        return [begun(flattening, self._held_in(scope), now_utc_ms), *self._look(now_utc_ms)]

    def _go_on(self, now_utc_ms: int) -> Sequence[Message]:
        """After a start of the process. The account's closes follow from the mode."""
        unfinished = [one.scope for one in self.state.flattening.values() if not one.is_flat]
        closes = [CloseScope(scope, ExitReason.FLATTEN) for scope in unfinished if scope != ACCOUNT]
        return [*closes, *self._look(now_utc_ms)]

    def _look(self, now_utc_ms: int) -> Sequence[Message]:
        """Read the broker until everything is flat; a reading that the terminal does not answer is asked for again."""
        if all(one.is_flat for one in self.state.flattening.values()):
            return ()
        self.state.looks += 1
        return [
            ReadTerminal(self.state.looks),
            SetTimer(NAME, FLATTEN_TIMER, now_utc_ms + max(1, self._reading_gap_ms)),
        ]

    def _read(self, reading: PositionsRead, now_utc_ms: int) -> Sequence[Message]:
        said: list[Message] = []
        for one in list(self.state.flattening.values()):
            was_flat = one.is_flat
            ours = [seen.ticket for seen in reading.positions if self._is_of(one.scope, seen)]
            foreign = [seen.ticket for seen in self._foreign_in(one.scope, reading.positions)]
            news = after_reading(one, ours, foreign, now_utc_ms, self._reading_gap_ms)
            said += [news] if news is not None else []
            if one.is_flat and one.scope != ACCOUNT:
                del self.state.flattening[one.scope]
            elif was_flat and not one.is_flat:
                said += self._look(now_utc_ms)
        return said

    def _held_in(self, scope: str) -> list[int]:
        strategies = self.state.strategies
        return [
            ticket
            for ticket, symbol in self.state.symbols.items()
            if covers(scope, symbol=symbol, strategy=strategies.get(ticket, ""))
        ]

    def _is_of(self, scope: str, seen: BrokerPosition) -> bool:
        """Ours and in the scope. Of one that nobody has told us of the strategy is not known yet."""
        is_known = seen.ticket in self.state.symbols
        strategy = self.state.strategies.get(seen.ticket, "") if is_known else None
        return covers(scope, symbol=seen.symbol, strategy=strategy) and (
            is_known or is_ours(seen.magic, self.state.installation)
        )

    def _foreign_in(self, scope: str, positions: Iterable[BrokerPosition]) -> list[BrokerPosition]:
        others = (seen for seen in positions if seen.ticket not in self.state.symbols)
        return [
            seen
            for seen in others
            if covers(scope, symbol=seen.symbol, strategy="") and not is_ours(seen.magic, self.state.installation)
        ]


def _stricter(one: Mode, other: Mode) -> Mode:
    return max(one, other, key=STRICTNESS.index)
