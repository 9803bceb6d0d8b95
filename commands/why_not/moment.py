"""The moment of a refusal, out of the journal: what each gate knew when the signal, the proposal or the order came by.

The gates are asked again here, all of them; the run itself stopped at the first.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import msgspec

from evenkeel.actors.broker_gateway import NAME as GATEWAY
from evenkeel.actors.broker_gateway import BrokerGateway, BrokerGatewayState
from evenkeel.actors.position import Position
from evenkeel.actors.risk_limit import RiskLimit
from evenkeel.adapters.lmdb_files import DayFiles
from evenkeel.commands.recorded_runs import NotRecorded, RecordedRuns, first_needed, states_before
from evenkeel.commands.why.records import Said, record_at, said_of
from evenkeel.config.schema import Config
from evenkeel.messages import codec
from evenkeel.messages.entry import DenialReason, EntryProposed, OpenPosition, ReentryRaised, SignalRaised
from evenkeel.messages.system import Message
from evenkeel.rules.entries import Refusal
from evenkeel.rules.position import Plan, PositionState
from evenkeel.rules.proposals import plan_of
from evenkeel.rules.reload import lowered
from evenkeel.rules.risk_limit import RiskState
from evenkeel.runtime.actor import restore, snapshot_of
from evenkeel.runtime.journal import Record


class GateRefusal(NamedTuple):
    by: str
    refusal: Refusal


class Moment(NamedTuple):
    """States and times of the three gates: each just before it was asked, or, where it was not, when the refusal was said.

    `plan` is what a chain asked for, None where a strategy raised the signal. `is_second`: of two orders of the signal the
    second was refused, the first alone was not.
    """

    config: Config
    signal: SignalRaised
    position: PositionState
    risk: RiskState
    gateway: BrokerGatewayState
    signal_utc_ms: int
    proposal_utc_ms: int
    order_utc_ms: int
    plan: Plan | None = None
    is_second: bool = False


def gate_refusals(moment: Moment) -> list[GateRefusal]:
    """All that stands against the signal at that moment, in the order of the gates; the last gate and the broker left out.

    Where the symbol's terms are unknown nothing can be proposed, so the other gates cannot be asked.
    """
    signal = moment.signal
    position = Position(signal.symbol, moment.config)
    position.state = moment.position
    found = [GateRefusal(position.name, refusal) for refusal in position.refusals(signal, moment.signal_utc_ms)]
    if any(one.refusal.reason is DenialReason.SPEC_UNKNOWN for one in found):
        return found
    risk_limit = RiskLimit(moment.config)
    risk_limit.state = moment.risk
    proposal = position.proposal(signal, moment.plan, moment.signal_utc_ms)
    limits = risk_limit.refusals(proposal, moment.proposal_utc_ms, of_second=moment.is_second)
    found += [GateRefusal(risk_limit.name, refusal) for refusal in limits]
    gateway = BrokerGateway(moment.config, ())
    gateway.state = moment.gateway
    order = _order_of(proposal)
    return found + [GateRefusal(GATEWAY, refusal) for refusal in gateway.refusals(order, moment.order_utc_ms)]


def moment_of(files: DayFiles, runs: RecordedRuns, denied: Said, config: Config | None) -> Moment:
    """`denied` is a record of an OrderDenied; `config` stands in where the run recorded none.

    Raises NotRecorded when the signal or the states before it are no longer in the journal.
    """
    chain = _chain(files, denied)
    signal = chain.get(SignalRaised) or chain.get(ReentryRaised)
    if signal is None:
        raise NotRecorded(f"the signal of record {denied.record.seq} is not in the journal")
    raised: SignalRaised | ReentryRaised = signal.message
    proposal, order = chain.get(EntryProposed, denied), chain.get(OpenPosition, denied)
    second = proposal.message.second if isinstance(proposal.message, EntryProposed) else None
    asked_at = {
        f"position/{signal.message.symbol}": signal.record.seq,
        RiskLimit.name: proposal.record.seq,
        GATEWAY: order.record.seq,
    }
    states = _states(files, runs, asked_at, config)
    position, risk = states[f"position/{signal.message.symbol}"], states[RiskLimit.name]
    return Moment(
        config=lowered(
            runs.at(signal.record.seq).config(config), risk.lowered
        ),  # there, and not in the states: a lever moves it
        signal=raised.signal if isinstance(raised, ReentryRaised) else raised,
        position=msgspec.structs.replace(position, lowered=""),
        risk=msgspec.structs.replace(risk, lowered=""),
        gateway=states[GATEWAY],
        signal_utc_ms=signal.record.time_utc_ms,
        proposal_utc_ms=proposal.record.time_utc_ms,
        order_utc_ms=order.record.time_utc_ms,
        plan=plan_of(raised) if isinstance(raised, ReentryRaised) else None,
        is_second=second is not None and second.proposal_id == denied.message.proposal_id,
    )


def _chain(files: DayFiles, denied: Said) -> dict[type[Message], Said]:
    """Signal, proposal and order behind a refusal, by type, as far as there were any."""
    found = _causes(files, denied)
    if SignalRaised in found or ReentryRaised in found:
        return found
    for said in said_of(files, (EntryProposed, OpenPosition), to_seq=denied.record.seq):
        if said.message.proposal_id == denied.message.proposal_id:  # the order waited for the disk: its answer has no cause
            found |= {type(said.message): said} | _causes(files, said)
    return found


def _causes(files: DayFiles, said: Said) -> dict[type[Message], Said]:
    """What led to it, by type, back to what wanted it: none of them comes twice on the way in."""
    found: dict[type[Message], Said] = {}
    while said.record.cause_seq and not isinstance(said.message, SignalRaised | ReentryRaised):
        cause = record_at(files, said.record.cause_seq)
        if cause is None:
            break
        found[type(cause.message)] = said = cause
    return found


def _states(files: DayFiles, runs: RecordedRuns, asked_at: Mapping[str, int], config: Config | None) -> dict[str, Any]:
    """The state of each actor after all that it heard before the record at which it was asked."""
    last = runs.at(max(asked_at.values()))
    specs = {spec.name: spec for spec in last.actors(last.config(config)) if spec.name in asked_at}
    if missing := [name for name in asked_at if name not in specs]:
        raise NotRecorded(f"run {last.number} had no {missing[0]}")
    snapshots = states_before(files, min(asked_at.values()), list(specs.values()))
    first_seq = first_needed(files, list(asked_at), snapshots)
    children = {name: spec.make() for name, spec in specs.items()}
    for name, snapshot in snapshots.items():
        if name in children:
            restore(children[name], snapshot.state)
    starts = {run.from_seq: run for run in runs.runs}
    for record in files.records(first_seq, max(asked_at.values()) - 1):
        if record.seq in starts:
            run = starts[record.seq]
            made = {spec.name: spec for spec in run.actors(run.config(config))}
            children = {name: _made_anew(made[name].make(), child) for name, child in children.items() if name in made}
        hearers = [name for name in record.receivers if name in children and record.seq < asked_at[name]]
        for name in hearers:
            upto_seq = snapshots[name].upto_seq if name in snapshots else 0
            if record.seq > upto_seq and (name, record.seq) not in runs.parked:
                _tell(children[name], name, record)
    return {name: child.state for name, child in children.items()}


def _tell(child: Any, name: str, record: Record) -> None:
    """Raises NotRecorded where the present code does not take what the recorded one was told."""
    message = codec.decode(bytes(record.body))
    try:
        child.handle(message, record.time_utc_ms)
    except AssertionError as error:
        told = f"record {record.seq}: today's {name} does not take {type(message).__name__}; evenkeel replay shows more"
        raise NotRecorded(told) from error


def _made_anew(new: Any, old: Any) -> Any:
    restore(new, snapshot_of(old))
    return new


def _order_of(proposal: EntryProposed) -> OpenPosition:
    """As much of the order as the gateway looks at; it never expires, because nothing waits here."""
    return OpenPosition(
        proposal_id=proposal.proposal_id,
        symbol=proposal.symbol,
        spec_id=proposal.spec_id,
        direction=proposal.direction,
        quote=proposal.quote,
        volume_steps=0,
        stop_distance_points=proposal.stop_distance_points,
        target_distance_points=proposal.target_distance_points,
        catastrophe_distance_points=0,
        deviation_points=0,
        reserved_cents=0,
        expires_utc_ms=0,
        lineage=proposal.lineage,
    )
