"""Chains, shields and breakers in plain words: `chain_told` for the log, `chain_words` for what else a journal has."""

from typing import assert_never

from evenkeel.messages.chain_store import ChainNotSaved, ChainSaved, SaveChain
from evenkeel.messages.circuit_breaker import BreakerChanged
from evenkeel.messages.entry import ReentryRaised
from evenkeel.messages.position import StopTightened, TightenStop
from evenkeel.messages.recovery import (
    ChainEnded,
    ChainStepped,
    ChainWaitOver,
    ChainWaits,
    FreeRecovery,
    ReentrySignalled,
    ReserveRecovery,
    StopChain,
)
from evenkeel.messages.risk_limit import BalanceTierReached, RecoveryRefused, RecoveryReserved
from evenkeel.messages.shield import HedgeEnded, HedgeWanted, LowerShield, ShieldClosing, ShieldLowered, ShieldRaised
from evenkeel.messages.system import Message
from evenkeel.rules.instants import utc_text
from evenkeel.rules.texts import amount_text, lots_text, money_text, price_text, quote_text
from evenkeel.rules.view_chains import OfChains, OfRisk, OfShields, shield_reason
from evenkeel.rules.view_state import ViewState


def chain_told(known: ViewState, message: OfRisk | StopTightened) -> str | None:
    """For the log; None for what is no event. `known` gives digits and currency."""
    match message:
        case ReserveRecovery() | FreeRecovery():
            return None
        case RecoveryRefused():
            measured, bound = (amount_text(value, message.unit, known.account) for value in (message.measured, message.bound))
            return f"no recovery {message.recovery_id}: {message.limit.replace('_', ' ')} {measured} against {bound}"
        case ChainStepped() | ChainEnded() | ChainNotSaved() | HedgeEnded():
            return _chain_told(known, message)
        case ShieldRaised() | ShieldClosing() | ShieldLowered():
            return _shield_told(message)
        case BreakerChanged():
            return _breaker_told(message)
        case StopTightened():
            spec = known.specs.get(message.symbol)
            first = price_text(message.first_stop_points, spec)
            return f"stop of position {message.ticket} moved to {price_text(message.stop_points, spec)}, at the entry {first}"
        case _:
            assert_never(message)


def chain_words(known: ViewState, message: Message) -> str | None:
    """For a story; None for what is told elsewhere."""
    match message:
        case ReentryRaised():
            return _reentry_words(known, message)
        case SaveChain(owner, plugin, chain):
            return f"{owner} has chain {chain.chain_id} of {plugin} written down, version {chain.version}: {chain.state.value}"
        case ChainSaved():
            return f"chain {message.chain_id} is on the disk, version {message.version}"
        case ReserveRecovery() | RecoveryReserved() | FreeRecovery():
            return _recovery_words(message)
        case ChainWaits() | ChainWaitOver() | ReentrySignalled():
            return _wait_words(known, message)
        case HedgeWanted():
            price = price_text(message.kill_points, known.specs.get(message.symbol))
            until = utc_text(message.until_utc_ms)
            return f"chain {message.chain_id} wants position {message.parent_ticket} hedged until {price} or {until}"
        case TightenStop():
            price = price_text(message.stop_points, known.specs.get(message.symbol))
            return f"the stop of position {message.ticket} is to be at {price}"
        case BalanceTierReached(tier):
            return f"the balance belongs to the tier of {tier}"
        case StopChain():
            return f"{message.by} asks to end chain {message.chain_id} of {message.plugin}"
        case LowerShield():
            return f"{message.by} asks to lower the shield against {message.direction.value} of {message.symbol}"
        case _:
            return None


def _chain_told(known: ViewState, message: OfChains) -> str:
    chain = f"chain {message.chain_id} of {message.plugin}"
    match message:
        case ChainStepped():
            about = f", position {message.ticket}" if message.ticket else ""
            detail = f" ({message.detail})" if message.detail else ""
            step = f"{_plain(message.before) or 'new'} -> {_plain(message.after)}"
            return f"{chain}: {step}, level {message.level}, by {_plain(message.event)}{about}{detail}"
        case ChainEnded():
            net = money_text(message.booked_cents, known.account)
            return f"{chain} is over: {_plain(message.status.value)}, {_plain(message.reason)}, net {net}"
        case ChainNotSaved():
            return f"{chain} was not written down, version {message.version}: {message.failure.value}: {message.detail}"
        case HedgeEnded():
            detail = f": {message.detail}" if message.detail else ""
            return f"hedge of {chain} {message.end.value}, net {money_text(message.net_cents, known.account)}{detail}"
        case _:
            assert_never(message)


def _shield_told(message: OfShields) -> str:
    what = f"{message.direction.value} of {message.symbol}"
    match message:
        case ShieldRaised():
            closes = f"; to be closed: {' '.join(map(str, message.tickets))}" if message.tickets else ""
            until = utc_text(message.until_utc_ms)
            return f"shield against {what} until {until}: {shield_reason(message)}{closes}"
        case ShieldClosing():
            left = f"still open: {' '.join(map(str, message.tickets))}" if message.tickets else "everything is closed"
            return f"shield against {what}: {left}"
        case ShieldLowered():
            return f"shield against {what} lowered by {message.by}"
        case _:
            assert_never(message)


def _breaker_told(message: BreakerChanged) -> str:
    phase = f", phase {message.phase} of the restart" if message.phase else ""
    size = f", new volume x {message.size_ppm / 1e6:g}" if message.size_ppm != 1_000_000 else ""
    stops = f", stops to {message.atr_points} points" if message.atr_points else ""
    return f"breaker of {message.scope} {message.level.value}{phase}{size}{stops}: {message.reason}"


def _reentry_words(known: ViewState, message: ReentryRaised) -> str:
    signal, spec = message.signal, known.specs.get(message.symbol)
    lineage = signal.lineage
    target = f"target {message.target_distance_points} points away" if message.target_distance_points else "no target"
    of = f"chain {lineage.chain_id}, level {lineage.level}, after position {lineage.parent_ticket}"
    what = f"{_plain(lineage.order_kind)} of {of}"
    order = f"{signal.direction.value} up to {lots_text(message.volume_steps, spec)} {message.symbol}"
    distances = f"stop {message.stop_distance_points} points away, {target}"
    return f"{what}: {order}, {distances}; {quote_text(signal.quote, spec)}"


def _recovery_words(message: ReserveRecovery | RecoveryReserved | FreeRecovery) -> str:
    match message:
        case ReserveRecovery():
            return f"{message.owner} asks for one of the day's recoveries: {message.recovery_id}"
        case RecoveryReserved():
            return f"recovery {message.recovery_id} is kept for {message.owner}"
        case FreeRecovery():
            return f"recovery {message.recovery_id} is free"
        case _:
            assert_never(message)


def _wait_words(known: ViewState, message: ChainWaits | ChainWaitOver | ReentrySignalled) -> str:
    chain = f"chain {message.chain_id} of {message.plugin}"
    match message:
        case ChainWaits():
            return f"{chain} takes the next signal to {message.direction.value} {message.symbol} as its own"
        case ChainWaitOver():
            return f"{chain} takes no signal any more"
        case ReentrySignalled():
            return f"a signal comes to {chain}: {quote_text(message.quote, known.specs.get(message.symbol))}"
        case _:
            assert_never(message)


def _plain(name: str) -> str:
    return name.replace("_", " ")
