"""What a position gets that came without an order of ours: its stop in the app, and the wide one at the broker."""

from collections.abc import Container, Mapping
from typing import Final, NamedTuple

from evenkeel.config.schema import Config
from evenkeel.messages.broker_gateway import BrokerPosition
from evenkeel.messages.market import SymbolSpec
from evenkeel.rules.catastrophe_stop import catastrophe_distance_points
from evenkeel.rules.entries import distance_points
from evenkeel.rules.exits import sign
from evenkeel.rules.symbols import points_per_pip


class Plan(NamedTuple):
    """Price levels, 0 for none: the app's stop and the widest stop that the broker may hold."""

    stop_points: int
    broker_stop_points: int


NO_PLAN: Final = Plan(0, 0)
"""Before the terms of its symbol are known: its own actor gives it the configured distances when they are."""


def adoption_refusal(
    ticket: int,
    seen: BrokerPosition | None,
    ours: Container[int],
    orders: Container[int],
    specs: Mapping[str, SymbolSpec],
    guards: Container[str],
) -> str | None:
    """Why a person's word cannot make `ticket` ours, in words for that person. `seen` is the foreign position, if any;
    `orders` are others' waiting orders; `guards` have the actor of each symbol that is managed."""
    if ticket in ours:
        return f"position {ticket} is ours already"
    if ticket in orders:
        return f"{ticket} is an order that waits at the broker, not a position yet"
    if seen is None:
        return f"the broker shows no position {ticket}"
    if f"position/{seen.symbol}" not in guards:
        return f"position {ticket} is in {seen.symbol}, which nobody here manages: name it in the configuration first"
    spec = specs.get(seen.symbol)
    if spec is None or spec.spec_id != seen.spec_id:
        return f"the terms of {seen.symbol} are not known yet: try again in a moment"
    return None


def plan_for(config: Config, seen: BrokerPosition, spec: SymbolSpec | None, daily_atr_points: int | None) -> Plan:
    """The configured stop, from its own opening price, and the catastrophe stop as for an entry of ours. Without daily bars
    the daily range is left out: a nearer stop is better than none."""
    if spec is None or spec.spec_id != seen.spec_id:
        return NO_PLAN
    stop_distance_points = distance_points(config.entry.stop_pips, points_per_pip(spec, config))
    stop_points = seen.open_points - sign(seen.direction) * stop_distance_points
    if config.catastrophe_stop.at_broker == "off":
        return Plan(stop_points, 0)
    wide_points = catastrophe_distance_points(
        config.catastrophe_stop,
        spec,
        stop_distance_points=stop_distance_points,
        spread_median_points=0,
        daily_atr_points=daily_atr_points or 0,
    )
    return Plan(stop_points, max(1, seen.open_points - sign(seen.direction) * wide_points))
