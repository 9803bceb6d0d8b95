"""The terms of symbols, the numbers under which they are known, and when terms that were read anew deserve another one."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

import msgspec
from loguru import logger

from evenkeel.adapters.mt5 import translate
from evenkeel.adapters.mt5.connection import Connection, readable
from evenkeel.adapters.mt5.translate import Trading, Untranslatable
from evenkeel.adapters.os import write_durably
from evenkeel.messages.market import SymbolSpec

WORTH_MOVED: Final = 0.01
"""The worth of a point follows the rates; so much of a change is new terms."""


class Terms:
    """`specs` are those that were ever read, `trading` how orders are filled where they were read in this process. In the
    symbols of `between_units` nothing may be opened. The caller holds the connection's lock.

    `commission_cents` by symbol: the package tells none. Raises OSError or ValueError when `store` is damaged.
    """

    def __init__(self, connection: Connection, commission_cents: Mapping[str, int], store: Path | None) -> None:
        self._connection, self._package = connection, connection.package
        self._commission_cents, self._store = commission_cents, store
        self.specs: dict[str, SymbolSpec] = read_specs(store)
        self.trading: dict[str, Trading] = {}
        self.between_units: set[str] = set()
        self._last_spec_id = max((spec.spec_id for spec in self.specs.values()), default=0)

    def of(self, name: str) -> SymbolSpec | None:
        """As they are known, read where they are not yet."""
        return self.specs[name] if name in self.specs and name in self.trading else self.symbol(name)

    @readable
    def symbol(self, name: str) -> SymbolSpec | None:
        """The terms as they are now; another number where they differ from those before.

        While something is open in a symbol its prices and volumes keep their units: new digits or steps are taken up when it is
        flat, and nothing is opened there until then.
        """
        spec, known = self._read(name), self.specs.get(name)
        if spec is None:
            return None
        if known is not None and same_terms(known, spec):
            self.between_units.discard(name)
            return known
        if known is not None and not same_units(known, spec) and self._is_exposed(name):
            if name not in self.between_units:
                logger.error("{} changed digits or volume steps while something is open in it: nothing new there", name)
            self.between_units.add(name)
            return known
        self.between_units.discard(name)
        self._last_spec_id += 1
        self.specs[name] = spec
        if self._store is not None:  # numbers stay the same for ever: the journal speaks of them
            write_durably(self._store, msgspec.json.encode(self.specs))
        return spec

    def _read(self, name: str) -> SymbolSpec | None:
        """Under the next number; None: the terminal does not say, or what makes no sense."""
        if self._connection.identity is None:
            return None
        info = self._package.symbol_info(name)
        if info is not None and not info.visible and self._package.symbol_select(name, True):
            info = self._package.symbol_info(name)
        if info is None:
            self._connection.died()
            return None
        try:
            spec = translate.spec_of(
                info,
                spec_id=self._last_spec_id + 1,
                currency_digits=self._connection.identity.currency_digits,
                commission_cents_per_lot=self._commission_cents.get(name, 0),
            )
        except (Untranslatable, ZeroDivisionError) as error:
            logger.warning("{}: {}", name, error)
            return None
        self.trading[name] = Trading(info.trade_exemode, info.filling_mode)
        return spec

    def _is_exposed(self, name: str) -> bool:
        """Something is open in it, or nobody can tell."""
        rows = self._package.positions_get(symbol=name)
        return rows is None or rows is False or bool(rows)


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
