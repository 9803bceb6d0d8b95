"""operator: the only one who changes the mode, on a person's word or, downwards only, on a limit's."""

from collections.abc import Sequence
from typing import Final, assert_never

import msgspec

from evenkeel.messages.broker_gateway import BrokerAgreed, BrokerDisagreed
from evenkeel.messages.operator import (
    CloseTicket,
    CommandAccepted,
    CommandDone,
    CommandRefused,
    KillTrading,
    LowerMode,
    Mode,
    ModeChanged,
    PauseTrading,
    RearmTrading,
    ResumeTrading,
    StartTrading,
    TradingRearmed,
)
from evenkeel.messages.position import ExitReason, PositionClosed, PositionOpened, ReducePosition
from evenkeel.messages.system import Message, RunStarted

CRASHES_THAT_END_RUN: Final = 3
STRICTNESS: Final = (Mode.RUN, Mode.CLOSE_ONLY, Mode.FREEZE, Mode.FLATTEN)
"""A limit may only move the mode to the right."""


class OperatorState(msgspec.Struct):
    """`needs_rearm` after a kill or a limit's demand; `is_paused` after a pause; `closing` are the commands that asked, by
    ticket; `symbols` the symbol of each open position."""

    mode: Mode = Mode.CLOSE_ONLY
    epoch: int = 0
    needs_rearm: str = ""
    is_paused: bool = False
    is_agreed: bool = False
    symbols: dict[int, str] = {}
    closing: dict[int, list[str]] = {}


Command = StartTrading | PauseTrading | ResumeTrading | KillTrading | RearmTrading | CloseTicket
Heard = Command | RunStarted | LowerMode | BrokerAgreed | BrokerDisagreed | PositionOpened | PositionClosed


class Operator:
    def __init__(self, *, trading_enabled: bool) -> None:
        self.state = OperatorState()
        self._trading_enabled = trading_enabled

    def handle(self, message: Heard, now_utc_ms: int, /) -> Sequence[Message]:
        match message:
            case StartTrading():
                return self._start(message)
            case PauseTrading():
                return self._pause(message)
            case ResumeTrading():
                return self._resume(message)
            case KillTrading():
                return self._kill(message)
            case RearmTrading():
                return self._rearm(message)
            case CloseTicket():
                return self._close(message)
            case LowerMode():
                return self._lower(message)
            case RunStarted():
                return self._run_started(message)
            case BrokerAgreed():
                self.state.is_agreed = True
                return ()
            case BrokerDisagreed():
                self.state.is_agreed = False
                return ()
            case PositionOpened():
                self.state.symbols[message.ticket] = message.symbol
                return ()
            case PositionClosed():
                return self._closed(message)
            case _:
                assert_never(message)

    def _run_started(self, started: RunStarted) -> Sequence[Message]:
        """RUN survives a crash and a service restart, not a change of what runs, nor three crashes in ten minutes."""
        state = self.state
        state.is_agreed = False
        if state.mode is Mode.RUN and started.restored:
            return [self._change(Mode.CLOSE_ONLY, "evenkeel", "the journal was restored from a backup")]
        if state.mode is Mode.RUN and not started.continued:
            return [self._change(Mode.CLOSE_ONLY, "evenkeel", "build, configuration or account changed")]
        if state.mode is Mode.RUN and started.crashes_recent >= CRASHES_THAT_END_RUN:
            return [self._change(Mode.CLOSE_ONLY, "evenkeel", f"{started.crashes_recent} crashes in ten minutes")]
        return [self._change(state.mode, "evenkeel", "the process started")]

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

    def _pause(self, command: PauseTrading) -> Sequence[Message]:
        if self.state.mode is not Mode.RUN:
            return [CommandRefused(command.command_id, f"the mode is {self.state.mode.value}, there is nothing to pause")]
        self.state.is_paused = True
        return [self._change(Mode.CLOSE_ONLY, command.by, "pause"), CommandDone(command.command_id, "no new entries")]

    def _resume(self, command: ResumeTrading) -> Sequence[Message]:
        if not self.state.is_paused or self.state.mode is not Mode.CLOSE_ONLY:
            why = self.state.needs_rearm or f"the mode is {self.state.mode.value} and nothing is paused"
            return [CommandRefused(command.command_id, why)]
        self.state.is_paused = False
        return [self._change(Mode.RUN, command.by, "resume"), CommandDone(command.command_id, "trading")]

    def _kill(self, command: KillTrading) -> Sequence[Message]:
        """Idempotent: a second kill may only make it stricter."""
        state = self.state
        state.epoch = max(state.epoch, command.epoch)
        state.needs_rearm, state.is_paused = "killed", False
        mode = _stricter(state.mode, Mode.FLATTEN if command.flatten else Mode.CLOSE_ONLY)
        positions = len(state.symbols)
        detail = f"mode {mode.value}, epoch {state.epoch}, {positions} position{'' if positions == 1 else 's'} open"
        return [self._change(mode, command.by, "kill"), CommandDone(command.command_id, detail)]

    def _rearm(self, command: RearmTrading) -> Sequence[Message]:
        if not self.state.is_agreed:
            return [CommandRefused(command.command_id, "the broker's readings do not match what is believed here yet")]
        self.state.needs_rearm, self.state.is_paused = "", False
        return [
            self._change(Mode.CLOSE_ONLY, command.by, "rearm"),
            TradingRearmed(command.by, self.state.epoch),
            CommandDone(command.command_id, "mode close_only: start trading when you are ready"),
        ]

    def _close(self, command: CloseTicket) -> Sequence[Message]:
        symbol = self.state.symbols.get(command.ticket)
        if symbol is None:
            return [CommandRefused(command.command_id, f"position {command.ticket} is not open here")]
        self.state.closing.setdefault(command.ticket, []).append(command.command_id)
        return [
            CommandAccepted(command.command_id),
            ReducePosition(command.ticket, symbol, 0, ExitReason.OPERATOR),
        ]

    def _closed(self, closed: PositionClosed) -> Sequence[Message]:
        self.state.symbols.pop(closed.ticket, None)
        asked = self.state.closing.pop(closed.ticket, [])
        return [CommandDone(command_id, f"closed, {closed.reason.value}") for command_id in asked]

    def _lower(self, demand: LowerMode) -> Sequence[Message]:
        """It stands until a person rearms, also when a pause or a start yet to come keeps the mode as strict already."""
        self.state.needs_rearm, self.state.is_paused = self.state.needs_rearm or demand.reason, False
        return [self._change(_stricter(self.state.mode, demand.mode), demand.by, demand.reason)]


def _stricter(one: Mode, other: Mode) -> Mode:
    return max(one, other, key=STRICTNESS.index)
