"""The real code on the roads where the models' unsafe variants double: it refuses at the step where they go wrong.

Each trace comes from the search, so a model that finds another one drives the code along that. What a variant would do
wrong (send again, call late, pass a limit) is asked of the real gateway, gate, host and limits; the world (what arrives,
what is lost, who dies) is played as the trace says.
"""

from pathlib import Path
from typing import Any

import msgspec
import pytest
from orders import INSTALLATION, SPEC, opened, order, seen
from simulation.desk import READING_GAP_MS, Desk, Host, gateway_desk
from simulation.model import gate, intent, reservation
from simulation.model.gate import GateModel, Scheme
from simulation.model.intent import IntentModel, Policy
from simulation.model.kill import KillModel, KillRule
from simulation.model.reservation import ReservationModel, Rule
from simulation.model.search import search

from evenkeel.actors.risk_limit import RiskLimit
from evenkeel.adapters.broker import Answer
from evenkeel.adapters.terminal_host import verbs
from evenkeel.config.limits import PLAIN
from evenkeel.config.schema import CatastropheStopConfig, Config, EntryConfig
from evenkeel.messages.broker_gateway import (
    CallTerminal,
    OpenRequest,
    OrderOutcomeUnknown,
    OrderRejected,
    Outcome,
    PositionsRead,
    TerminalAnswered,
)
from evenkeel.messages.entry import DenialReason, EntryProposed, OpenPosition, OrderDenied
from evenkeel.messages.market import SymbolSpecified
from evenkeel.messages.operator import Mode, ModeChanged, TradingRearmed
from evenkeel.messages.position import PositionOpened
from evenkeel.rules.magic import magic_for
from evenkeel.rules.order_intents import request_for

REQUEST = request_for(order())


def calls(said: list[Any]) -> list[CallTerminal]:
    return [message for message in said if isinstance(message, CallTerminal)]


def denials(said: list[Any]) -> list[DenialReason]:
    return [message.reason for message in said if isinstance(message, OrderDenied)]


class LossyTerminal:
    """Executes what it is told, and nobody hears of it."""

    refusal = None

    def __init__(self) -> None:
        self.orders: list[int] = []

    def check_identity(self) -> str | None:
        return None

    def who(self) -> tuple[int, str]:
        return 1, "test"

    def open_position(
        self, request: OpenRequest, magic: int, *, intent_id: int = 0, epoch: int = 0, within_ms: int = 0
    ) -> Answer:
        self.orders.append(intent_id)
        return Answer(Outcome.UNKNOWN, detail="the reply was lost")


class Bridge(Host):
    """`asks` is what it said to each open."""

    def __init__(self, folder: Path) -> None:
        self.terminal = LossyTerminal()
        self.asks: list[str] = []
        super().__init__(self.terminal, folder)

    def open(self, call: CallTerminal) -> None:
        assert isinstance(call.request, OpenRequest)
        replied = self.ask(verbs.Open(call.intent_id, call.epoch, call.magic, call.request))
        assert isinstance(replied, verbs.Answered)
        self.asks.append(replied.detail if replied.outcome is Outcome.VOID else replied.outcome.value)


# -- one intent


@pytest.mark.parametrize("policy", intent.UNSAFE.values(), ids=intent.UNSAFE)
def test_where_a_naive_policy_sends_a_second_time_gateway_and_gate_both_refuse(tmp_path: Path, policy: Policy) -> None:
    desk, bridge = gateway_desk(), Bridge(tmp_path)
    refused: set[DenialReason] = set()
    intended: list[CallTerminal] = []

    def want() -> None:
        """Whoever wants the order asks for it: once at first, then where the naive policy would send again."""
        said = desk.hear(order())
        refused.update(denials(said))
        intended.extend(calls(said))

    for step in search(IntentModel(policy)).trace:
        if step.startswith("send"):
            if not intended:
                want()  # nothing is sent here that the journal does not hold
            bridge.open(intended[0])
        elif step == "journal":
            want()
        elif step == "crash":
            desk.crash()
            bridge.restart()
        elif step.startswith("time-out"):
            desk.hear(TerminalAnswered(1, Outcome.UNKNOWN, 0, 0, 0, 0, "no reply"))
        elif step.startswith("query shows nothing"):
            desk.hear(TerminalAnswered(1, Outcome.UNKNOWN, 0, 0, 0, 0, "no reply"))
            desk.hear(PositionsRead(2, (), 0), READING_GAP_MS)
        else:
            assert step == "restart" or step.startswith("tick")
    want()
    bridge.open(msgspec.structs.replace(intended[0], intent_id=2, magic=magic_for(INSTALLATION, 2)))  # and past the gateway

    assert refused == {DenialReason.SLOT_LOCKED}
    assert bridge.asks == ["unknown", "repeated", "slot_locked"]
    assert bridge.terminal.orders == [1]


def test_a_fill_that_comes_after_two_readings_without_it_is_known_by_its_magic_beside_the_order_that_followed() -> None:
    """The one way to two positions in a slot: DESIGN 9.4 has the late one protected, and closed unless told otherwise."""
    desk = gateway_desk()
    desk.hear(order())
    desk.hear(TerminalAnswered(1, Outcome.UNKNOWN, 0, 0, 0, 0, "no reply"))
    for _ in range(2):
        desk.hear(PositionsRead(2, (), 0), READING_GAP_MS)
    assert len(calls(desk.hear(order(proposal_id="EURUSD-2")))) == 1
    said = desk.hear(PositionsRead(3, (seen(),), 0), READING_GAP_MS)
    (late,) = [message for message in said if isinstance(message, PositionOpened)]
    assert (late.late, late.lineage.proposal_id) == (True, "EURUSD-1")


# -- two processes and one bridge


@pytest.mark.parametrize("scheme", gate.UNSAFE.values(), ids=gate.UNSAFE)
def test_where_leases_and_tokens_let_two_orders_through_the_host_executes_one(tmp_path: Path, scheme: Scheme) -> None:
    bridge = Bridge(tmp_path)
    for step in search(GateModel(scheme)).trace:
        if step == "the bridge crashes":
            bridge.restart()
        elif step.endswith("arrives, called"):
            token = int(step.split()[0])
            bridge.open(CallTerminal(token, magic_for(INSTALLATION, token), 0, 0, REQUEST))
    assert bridge.asks == ["unknown", "slot_locked"]
    assert bridge.terminal.orders == [1]


# -- the kill


@pytest.mark.parametrize("rule", [rule for rule in KillRule if rule is not KillRule.EPOCH_ON_DISK_AT_THE_CALL])
def test_where_a_weaker_kill_comes_too_late_the_real_one_sends_nothing(tmp_path: Path, rule: KillRule) -> None:
    desk, bridge = gateway_desk(), Bridge(tmp_path)
    decided: list[CallTerminal] = []
    refused: list[DenialReason] = []
    for step in search(KillModel(rule)).trace:
        match step:
            case "kill":
                bridge.kill_epoch.raise_epoch("close_only")
            case "the kill is heard":
                desk.hear(ModeChanged(Mode.CLOSE_ONLY, bridge.kill_epoch.read().epoch, "test", ""))
            case "re-arm":
                desk.hear(TradingRearmed("test", bridge.kill_epoch.read().epoch))
                desk.hear(ModeChanged(Mode.RUN, bridge.kill_epoch.read().epoch, "test", ""))
            case "crash and restart":
                desk.crash()
                bridge.restart()
            case "decide":
                said = desk.hear(order())
                decided += calls(said)
                refused += denials(said)
            case "call" | "check and call":
                for call in decided:
                    bridge.open(call)
            case _:
                assert step == "check"  # the real check and the real call are one verb of the host: it is asked at the call
    assert bridge.terminal.orders == []
    assert refused or bridge.asks == ["epoch"]


# -- the limit


def limits() -> Desk:
    config = Config(
        profile="plain",
        limits=msgspec.structs.replace(PLAIN, positions_max=reservation.LIMIT),
        entry=EntryConfig(volume_lots=0.1),
        catastrophe_stop=CatastropheStopConfig(at_broker="off"),
    )
    desk = Desk(lambda: RiskLimit(config))
    desk.hear(SymbolSpecified(SPEC))
    return desk


def proposal(number: str) -> EntryProposed:
    wanted = order(proposal_id=number)
    return EntryProposed(number, "EURUSD", 1, wanted.direction, wanted.quote, 50, 100, 10, wanted.lineage)


@pytest.mark.parametrize("rule", reservation.UNSAFE.values(), ids=reservation.UNSAFE)
def test_where_a_weaker_count_passes_its_limit_the_real_one_denies_the_order_beyond_it(rule: Rule) -> None:
    desk = limits()
    orders: dict[str, OpenPosition] = {}
    denied: list[str] = []
    for step in search(ReservationModel(rule)).trace:
        number, _, what = step.partition(": ")
        match what:
            case "passes the limit":
                for said in desk.hear(proposal(number)):
                    if isinstance(said, OpenPosition):
                        orders[number] = said
                    else:
                        assert (said.reason, said.measured) == (DenialReason.POSITIONS, reservation.LIMIT)
                        denied.append(number)
            case "its reply comes":
                desk.hear(opened(1000 + int(number), lineage=orders[number].lineage))
            case "its reply is lost" | "is lost, and nobody says so" | "is late, and nobody says so":
                desk.hear(OrderOutcomeUnknown(number, "EURUSD", order().direction, 1, "", orders[number].lineage))
            case "is refused":
                desk.hear(OrderRejected(number, "EURUSD", order().direction, 1, 10_006, "", orders[number].lineage))
            case "" if step == "crash and restart":
                desk.crash()
            case _:
                assert what in ("is sent", "is filled")
    assert len(orders) == reservation.LIMIT
    assert len(denied) == 1
