"""The numbers under which the terms of symbols are known, and when terms that were read anew deserve another one."""

from pathlib import Path
from typing import Final

import msgspec

from evenkeel.messages.market import SymbolSpec

WORTH_MOVED: Final = 0.01
"""The worth of a point follows the rates; so much of a change is new terms."""


def read_specs(store: Path | None) -> dict[str, SymbolSpec]:
    """Raises OSError or ValueError when the file is damaged: numbers must not be given out twice."""
    if store is None or not store.exists():
        return {}
    return msgspec.json.decode(store.read_bytes(), type=dict[str, SymbolSpec])


def same_units(known: SymbolSpec, now: SymbolSpec) -> bool:
    """A point and a step are worth what they were in price and volume."""
    return (known.digits, known.steps_per_lot) == (now.digits, now.steps_per_lot)


def same_terms(known: SymbolSpec, now: SymbolSpec) -> bool:
    """Nothing changed but what follows the price: the worth of a point within a hundredth, spread and notional."""
    before, after = known.worth.numerator / known.worth.denominator, now.worth.numerator / now.worth.denominator
    if abs(after - before) > WORTH_MOVED * before:
        return False
    floating = {
        "spec_id": known.spec_id,
        "worth": known.worth,
        "notional_cents_per_lot": known.notional_cents_per_lot,
        "typical_spread_points": known.typical_spread_points,
    }
    moved = abs(now.notional_cents_per_lot - known.notional_cents_per_lot) > known.notional_cents_per_lot // 5
    return not moved and msgspec.structs.replace(now, **floating) == known
