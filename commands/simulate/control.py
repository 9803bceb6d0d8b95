"""What most public bots do, to show that the worlds can tell: an order without an answer is sent again."""

from collections.abc import Sequence
from typing import Final

import msgspec

from evenkeel.actors.broker_gateway import BrokerGateway, BrokerGatewayState
from evenkeel.adapters.gate import DurableGate, Gate
from evenkeel.config.schema import Config
from evenkeel.messages.broker_gateway import CallTerminal, OpenRequest, Outcome, TerminalAnswered
from evenkeel.messages.entry import DenialReason
from evenkeel.messages.system import Message

TRIES_MAX: Final = 3


class NaiveState(BrokerGatewayState):
    """`tries` counts how often each open was sent, `calls` are those that may be sent again."""

    calls: dict[int, CallTerminal] = msgspec.field(default_factory=dict)
    tries: dict[int, int] = msgspec.field(default_factory=dict)


class NaiveGateway(BrokerGateway):
    """A gateway that takes a reply which did not come for an order that was not carried out."""

    state: NaiveState

    def __init__(self, config: Config, guards: Sequence[str]) -> None:
        super().__init__(config, guards)
        self.state = NaiveState()

    def handle(self, message: Message, now_utc_ms: int, /) -> Sequence[Message]:
        state = self.state
        if isinstance(message, TerminalAnswered) and message.outcome is Outcome.UNKNOWN and message.intent_id in state.calls:
            tries = state.tries[message.intent_id] = state.tries.get(message.intent_id, 1) + 1
            if tries <= TRIES_MAX:
                return [state.calls[message.intent_id]]
        said = super().handle(message, now_utc_ms)  # type: ignore[arg-type]
        for one in said:
            if isinstance(one, CallTerminal) and isinstance(one.request, OpenRequest):
                state.calls[one.intent_id] = msgspec.structs.replace(one, expires_utc_ms=0)
        return said


class OpenGate(Gate):
    """Lets everything pass."""

    def refusal(self, call: CallTerminal, request: OpenRequest, kill_epoch: int) -> DenialReason | None:
        return None


class OpenHostGate(OpenGate, DurableGate):
    """The same in the terminal host."""
