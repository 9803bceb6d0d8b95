"""Levels that wait for a price: armed by an owner, crossed once, forgotten.

The nearest level above and below each price is kept ready, so a quote that crosses nothing costs four comparisons.
"""

from collections.abc import Collection, Iterable

import msgspec

from evenkeel.messages.market import Quote, Side, Watch
from evenkeel.rules.bands import FAR_POINTS, Band


class ArmedWatch(msgspec.Struct, array_like=True):
    """`seen` counts the quotes in a row that were at or beyond the level."""

    owner: str
    watch: Watch
    seen: int = 0


class Watches(msgspec.Struct):
    """The armed watches of one symbol, in the order of arming, and the open interval of each price in which none is crossed."""

    armed: list[ArmedWatch] = []
    bid_floor: int = -FAR_POINTS
    bid_ceiling: int = FAR_POINTS
    ask_floor: int = -FAR_POINTS
    ask_ceiling: int = FAR_POINTS


def arm(watches: Watches, owner: str, wanted: Iterable[Watch]) -> None:
    """Add `wanted`; a watch of the same owner and name is replaced and counts as armed now."""
    by_name = {watch.name: watch for watch in wanted}
    watches.armed = _without(watches, owner, by_name.keys()) + [ArmedWatch(owner, watch) for watch in by_name.values()]
    _set_bounds(watches)


def disarm(watches: Watches, owner: str, names: Collection[str]) -> None:
    """Forget by name; unknown names are ignored."""
    watches.armed = _without(watches, owner, names)
    _set_bounds(watches)


def disarm_reached(watches: Watches, owner: str, names: Collection[str], quote: Quote) -> None:
    """Forget those of `names` whose level `quote` is at or beyond.

    For a fold: a watch of the same name that was armed while the quote was served, at another level, stays.
    """
    watches.armed = [
        armed
        for armed in watches.armed
        if armed.owner != owner
        or armed.watch.name not in names
        or not _is_beyond(armed.watch, quote.bid_points, quote.ask_points)
    ]
    _set_bounds(watches)


def crossed(watches: Watches, bid_points: int, ask_points: int) -> dict[str, list[str]]:
    """The names that this quote completes, by owner, both in the order of arming. They are disarmed by it.

    Call it once for each quote: it also counts confirmations, and a quote that is not at or beyond the level starts them again.
    """
    if watches.bid_floor < bid_points < watches.bid_ceiling and watches.ask_floor < ask_points < watches.ask_ceiling:
        return {}
    complete: dict[str, list[str]] = {}
    waiting: list[ArmedWatch] = []
    for armed in watches.armed:
        armed.seen = armed.seen + 1 if _is_beyond(armed.watch, bid_points, ask_points) else 0
        if armed.seen >= armed.watch.confirmations:
            complete.setdefault(armed.owner, []).append(armed.watch.name)
        else:
            waiting.append(armed)
    watches.armed = waiting
    _set_bounds(watches)
    return complete


def band_of(watches: Watches) -> Band:
    """Strictly inside which `crossed` finds nothing and counts nothing."""
    return Band(watches.bid_floor, watches.bid_ceiling, watches.ask_floor, watches.ask_ceiling)


def _is_beyond(watch: Watch, bid_points: int, ask_points: int) -> bool:
    price_points = bid_points if watch.side is Side.BID else ask_points
    return price_points >= watch.level_points if watch.rising else price_points <= watch.level_points


def _without(watches: Watches, owner: str, names: Collection[str]) -> list[ArmedWatch]:
    return [armed for armed in watches.armed if armed.owner != owner or armed.watch.name not in names]


def _set_bounds(watches: Watches) -> None:
    """While a confirmation is in progress the interval is empty: the next quote must be looked at, wherever it is."""
    watches.bid_floor, watches.bid_ceiling = _interval(watches, Side.BID)
    watches.ask_floor, watches.ask_ceiling = _interval(watches, Side.ASK)
    if any(armed.seen for armed in watches.armed):
        watches.bid_floor = FAR_POINTS


def _interval(watches: Watches, side: Side) -> tuple[int, int]:
    on_side = [armed.watch for armed in watches.armed if armed.watch.side is side]
    floor = max((watch.level_points for watch in on_side if not watch.rising), default=-FAR_POINTS)
    ceiling = min((watch.level_points for watch in on_side if watch.rising), default=FAR_POINTS)
    return floor, ceiling
