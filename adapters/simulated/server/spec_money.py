"""Money of a server whose symbols are SymbolSpecs: the worth that a replay declares, nothing exchanged by quotes."""

from collections.abc import Callable, Mapping, Sequence

from evenkeel.adapters.mt5 import constants as mt5
from evenkeel.adapters.simulated.server.money import Ratio, rounded
from evenkeel.adapters.simulated.server.records import Position
from evenkeel.adapters.simulated.server.terms import SymbolTerms
from evenkeel.messages.market import SymbolSpec

ProfitCents = Callable[[SymbolSpec, int, int, int], int]
"""Of a spec, points, volume in steps and the close in points: cents."""


class SpecMoney:
    """Every position counts in full for the margin: nothing is spared for opposite ones. Rounded up to the cent."""

    def __init__(self, specs: Mapping[str, SymbolSpec], profit_cents: ProfitCents, leverage: int) -> None:
        self._specs, self._profit_cents, self._leverage = specs, profit_cents, leverage

    def profit_cents(self, symbol: str, point_steps: int, parts: int, close_points: int) -> int:
        return self._profit_cents(self._specs[symbol], rounded(point_steps, parts), 1, close_points)

    def margin_rate(self, symbol: str) -> Ratio | None:
        return 1, 1

    def margin_cents(self, symbol: str, volume_steps: int, cost: int, parts: int, rate: Ratio) -> int:
        spec = self._specs[symbol]
        return -(-spec.notional_cents_per_lot * volume_steps // (spec.steps_per_lot * self._leverage))

    def held_cents(self, positions: Sequence[Position]) -> int:
        return sum(self.margin_cents(one.symbol, one.volume_steps, 0, 1, one.margin_rate) for one in positions)

    def worth_of(self, currency: str) -> Ratio | None:
        return 1, 1

    def relies_on(self, symbol: str) -> frozenset[str]:
        return frozenset()


def terms_of(spec: SymbolSpec, currency: str) -> SymbolTerms:
    """Instant execution, always open, no swap."""
    return SymbolTerms(
        name=spec.symbol,
        digits=spec.digits,
        contract_size=spec.contract_size,
        steps_per_lot=spec.steps_per_lot,
        volume_min_steps=spec.volume_min_steps,
        volume_max_steps=spec.volume_max_steps,
        stops_level_points=spec.stops_level_points,
        execution=mt5.SYMBOL_TRADE_EXECUTION_INSTANT,
        currency_profit=currency,
        currency_margin=currency,
        commission_cents_per_lot=spec.commission_cents_per_lot,
        typical_spread_points=spec.typical_spread_points,
    )
