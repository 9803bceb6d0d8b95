"""The control edge: a person's commands come in here, as observations with who sent them, and their ends go back.

A kill or a pause shuts the gate on the connection's own thread, ahead of every queue; the journal follows.
"""

import queue
import threading
from collections.abc import Callable, Collection, Sequence
from typing import Final, Literal, assert_never

import msgspec

from evenkeel.adapters import control_channel as channel
from evenkeel.adapters.control_channel import (
    NO_SUCH_COMMAND,
    Accepted,
    Command,
    ControlReply,
    ControlServer,
    Done,
    HandledRequest,
    Refused,
    Told,
    Written,
)
from evenkeel.adapters.gate import Gate
from evenkeel.adapters.kill_epoch import UNREADABLE, KillEpoch
from evenkeel.messages.broker_gateway import AdoptPosition
from evenkeel.messages.market import Direction
from evenkeel.messages.operator import (
    CloseTicket,
    CommandAccepted,
    CommandDone,
    CommandRefused,
    KillTrading,
    Mode,
    ModeChanged,
    PauseTrading,
    RaiseSignal,
    RearmTrading,
    RestrictTrading,
    ResumeTrading,
    SegmentAsked,
    StartTrading,
    StopRun,
)
from evenkeel.messages.recovery import StopChain
from evenkeel.messages.shield import LowerShield
from evenkeel.messages.system import Message
from evenkeel.rules.reload import Answer, Kind, Outcome
from evenkeel.runtime.edge import At

OUTCOMES_KEPT: Final = 1024
LOOK_AT_EPOCH_S: Final = 0.1
What = Literal["status", "positions", "limits"]
Said = (
    StartTrading
    | PauseTrading
    | ResumeTrading
    | RestrictTrading
    | KillTrading
    | RearmTrading
    | CloseTicket
    | AdoptPosition
    | StopChain
    | LowerShield
    | RaiseSignal
    | StopRun
)
Heard = CommandAccepted | CommandDone | CommandRefused | ModeChanged | SegmentAsked


class ControlState(msgspec.Struct):
    """`outcomes` are what became of commands, oldest first: ("accepted" | "done" | "refused", detail)."""

    epoch: int = 0
    outcomes: dict[str, tuple[str, str]] = {}


class ControlEdge:
    """`view` answers questions with JSON; `wake` lets the host poll this edge; `on_stop` ends the process in order.

    `strategies` are those of the configuration, `plugins` the ones with chains, and `has_shield` tells whether there are
    shields: what is asked of others is refused here, for nobody else would answer. `on_reload` is called on the connection's
    thread, and says itself what comes of it.
    """

    poll_s: float | None = LOOK_AT_EPOCH_S

    def __init__(
        self,
        make_server: Callable[[Callable[[HandledRequest], ControlReply]], ControlServer],
        *,
        gate: Gate,
        kill_epoch: KillEpoch,
        view: Callable[[What], bytes],
        wake: Callable[[], None],
        on_stop: Callable[[str], None],
        strategies: Collection[str] = (),
        plugins: Collection[str] = (),
        has_shield: bool = False,
        on_reload: Callable[[channel.Reload], Answer],
    ) -> None:
        self.state = ControlState()
        self._strategies = strategies
        self._plugins = plugins
        self._has_shield = has_shield
        self._on_reload = on_reload
        self._server = make_server(self._handled)
        self._gate = gate
        self._kill_epoch = kill_epoch
        self._view = view
        self._wake = wake
        self._on_stop = on_stop
        self._inbox: queue.SimpleQueue[Said] = queue.SimpleQueue()
        self._in_hand: set[str] = set()
        self._changed = threading.Condition()

    def remember(self, message: Said | Heard, /) -> None:
        with self._changed:
            if not isinstance(message, ModeChanged):
                self._in_hand.discard(message.command_id)
            match message:
                case CommandAccepted():
                    self._outcome(message.command_id, "accepted", "")
                case CommandDone():
                    self._outcome(message.command_id, "done", message.detail)
                case CommandRefused():
                    self._outcome(message.command_id, "refused", message.reason)
                case ModeChanged():
                    self.state.epoch = max(self.state.epoch, message.epoch)
                case KillTrading():
                    self.state.epoch = max(self.state.epoch, message.epoch)
                    self.state.outcomes.setdefault(message.command_id, ("accepted", ""))
                case StopRun():
                    self._outcome(message.command_id, "done", "stopping in order")
                case (
                    StartTrading()
                    | PauseTrading()
                    | ResumeTrading()
                    | RestrictTrading()
                    | RearmTrading()
                    | CloseTicket()
                    | AdoptPosition()
                    | StopChain()
                    | LowerShield()
                    | RaiseSignal()
                    | SegmentAsked()
                ):
                    self.state.outcomes.setdefault(message.command_id, ("accepted", ""))
                case _:
                    assert_never(message)

    def act(self, message: Heard, at: At, /) -> Sequence[Message]:
        """Whoever waits for this command's end is told by `remember`."""
        return ()

    def resume(self, now_utc_ms: int, /) -> Sequence[Message]:
        self._server.start()
        return self._raised_by_hand()

    def poll(self, now_utc_ms: int, /) -> Sequence[Message]:
        """The commands that came in, and a kill that was written while nobody could be told."""
        said: list[Message] = []
        while not self._inbox.empty():
            said.append(self._inbox.get())
        return said or self._raised_by_hand()

    def close(self) -> None:
        self._server.stop()

    def _raised_by_hand(self) -> list[Message]:
        kill = self._kill_epoch.read()
        if kill == UNREADABLE or kill.epoch <= self.state.epoch:
            return []
        command_id = f"epoch-{kill.epoch}"
        self._gate.shut(command_id)
        return [KillTrading(command_id, "the kill epoch on disk", kill.epoch, kill.mode == Mode.FLATTEN.value)]

    def _handled(self, request: HandledRequest) -> ControlReply:
        """On a connection's thread."""
        match request:
            case channel.Ask():
                return Told(self._view(request.what))
            case channel.Follow():
                return self._reply(request.command_id) or Refused(request.command_id, NO_SUCH_COMMAND)
            case channel.Stop():
                self._take(request)
                self._on_stop(request.by)
                return Done(request.command_id, "stopping in order")
            case _:
                return self._command(request)

    def _command(self, command: Written | channel.Reload) -> ControlReply:
        known = self._reply(command.command_id)
        if known is not None:
            return known  # asked before this process was started
        if isinstance(command, channel.Reload):
            return self._reload(command)
        if isinstance(command, channel.Kill) and not self._is_on_disk(command):
            return Refused(command.command_id, f"epoch {command.epoch} is not on disk: raise it there first")
        if isinstance(command, channel.Rearm) and self._kill_epoch.read() == UNREADABLE:
            return Refused(command.command_id, "the kill epoch on disk cannot be read: kill again to mend it")
        if isinstance(command, channel.StopChain) and command.plugin not in self._plugins:
            return Refused(command.command_id, f"{command.plugin} is no strategy with chains; {_list(self._plugins)}")
        if isinstance(command, channel.RaiseSignal) and command.strategy not in ("", *self._strategies):
            there = f"configured: {' '.join(self._strategies)}" if self._strategies else "none is configured"
            return Refused(command.command_id, f"there is no strategy {command.strategy}; {there}")
        if isinstance(command, channel.LowerShield) and not self._has_shield:
            return Refused(command.command_id, "no shield is configured")
        if isinstance(command, channel.Kill | channel.Pause | channel.Restrict):
            self._gate.shut(command.command_id)
        self._take(command)
        self._wait_for(command)
        return self._reply(command.command_id) or Accepted(command.command_id)

    def _reload(self, command: channel.Reload) -> ControlReply:
        """A lowering is answered when it is in force."""
        answer = self._on_reload(command)
        has_lowered = any(change.kind is Kind.FREE for change in answer.changes)
        if has_lowered and answer.outcome in (Outcome.LOWERED, Outcome.LEFT):
            self._wait_for(command)
            if not self._is_over(command.command_id):
                return Accepted(command.command_id)
        return Told(msgspec.json.encode(answer))

    def _wait_for(self, command: Command) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._is_over(command.command_id), command.wait_ms / 1000)

    def _is_on_disk(self, kill: channel.Kill) -> bool:
        """A kill of a smaller scope has no epoch: the gate is shut until its hold stands."""
        if kill.scope != channel.ACCOUNT:
            return kill.epoch == 0
        return 0 < kill.epoch <= self._kill_epoch.read().epoch

    def _take(self, command: Written) -> None:
        self._in_hand.add(command.command_id)
        self._inbox.put(_said(command))
        self._wake()

    def _is_over(self, command_id: str) -> bool:
        return self.state.outcomes.get(command_id, ("", ""))[0] in ("done", "refused")

    def _reply(self, command_id: str) -> ControlReply | None:
        match self.state.outcomes.get(command_id):
            case ("done", detail):
                return Done(command_id, detail)
            case ("refused", reason):
                return Refused(command_id, reason)
            case ("accepted", _):
                return Accepted(command_id)
            case _:
                return Accepted(command_id) if command_id in self._in_hand else None

    def _outcome(self, command_id: str, end: str, detail: str) -> None:
        outcomes = self.state.outcomes
        outcomes[command_id] = (end, detail)
        while len(outcomes) > OUTCOMES_KEPT:
            del outcomes[next(iter(outcomes))]
        self._changed.notify_all()


def _list(plugins: Collection[str]) -> str:
    return f"with chains: {' '.join(plugins)}" if plugins else "none is configured"


def _said(command: Written) -> Said:
    who = (command.command_id, command.by)
    match command:
        case channel.Start():
            return StartTrading(*who)
        case channel.Pause():
            return PauseTrading(*who, command.scope, command.for_ms)
        case channel.Resume():
            return ResumeTrading(*who, command.scope)
        case channel.Restrict():
            return RestrictTrading(*who, Mode(command.mode), command.scope)
        case channel.Kill():
            return KillTrading(*who, command.epoch, command.flatten, command.scope)
        case channel.Rearm():
            return RearmTrading(*who)
        case channel.Close():
            return CloseTicket(*who, command.ticket)
        case channel.Adopt():
            return AdoptPosition(*who, command.ticket)
        case channel.StopChain():
            return StopChain(*who, command.plugin, command.chain_id)
        case channel.LowerShield():
            return LowerShield(*who, command.symbol, Direction(command.direction))
        case channel.RaiseSignal():
            direction, source = Direction(command.direction), (command.origin, command.source_id)
            return RaiseSignal(*who, command.symbol, direction, command.strategy, command.confidence, *source)
        case channel.Stop():
            return StopRun(*who)
        case _:
            assert_never(command)
