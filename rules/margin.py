"""What margin the account uses and what level that leaves: by the broker's word while it is fresh, else by leverage."""

from enum import IntEnum
from fractions import Fraction

from evenkeel.config.limits import MarginLevelConfig
from evenkeel.config.units import Off
from evenkeel.messages.market import SymbolSpec
from evenkeel.rules.sizing import PPM, Book, Holding, Reservation, notional_per_step, ppm_of_pct, share_of


class MarginStep(IntEnum):
    NONE = 0
    WARN = 1
    HOLD = 2
    HALVE = 3
    FLATTEN = 4


def margin_per_step(spec: SymbolSpec, leverage: int) -> Fraction:
    """Cents that the broker blocks for one step, as far as leverage alone tells: a broker may want more."""
    return notional_per_step(spec) / max(1, leverage)


def held_margin_cents(book: Book, leverage: int) -> int:
    """Of all positions, gross, foreign ones too; each rounded up, symbols without terms left out."""
    return sum(_margin_cents(part, book, leverage) for part in book.holdings.values())


def reserved_margin_cents(book: Book, leverage: int) -> int:
    """Of all orders in flight or of unknown outcome."""
    return sum(_margin_cents(part, book, leverage) for part in book.reservations.values())


def margin_step(config: MarginLevelConfig, equity_cents: int, margin_cents: int) -> tuple[MarginStep, int]:
    """The gravest step that is reached, with its limit in ppm (0 without one). No margin in use is no level."""
    if margin_cents <= 0:
        return MarginStep.NONE, 0
    for step, limit_pct in steps_of(config):
        if limit_pct != "off" and equity_cents <= level_equity_cents(margin_cents, limit_pct):
            return step, ppm_of_pct(limit_pct)
    return MarginStep.NONE, 0


def steps_of(config: MarginLevelConfig) -> tuple[tuple[MarginStep, float | Off], ...]:
    """The gravest first."""
    return (
        (MarginStep.FLATTEN, config.flatten_pct),
        (MarginStep.HALVE, config.halve_pct),
        (MarginStep.HOLD, config.hold_pct),
        (MarginStep.WARN, config.warn_pct),
    )


def level_equity_cents(margin_cents: int, limit_pct: float) -> int:
    """The largest equity at which that margin level is reached."""
    return share_of(margin_cents, ppm_of_pct(limit_pct))


def level_ppm(equity_cents: int, margin_cents: int) -> int:
    """Equity over margin in use; call it with some."""
    return equity_cents * PPM // margin_cents


def half_left_steps(holding: Holding, spec: SymbolSpec) -> int:
    """What stays of a position of which half is closed: at most half, and nothing where that is less than a broker trades."""
    left_steps = holding.volume_steps // 2
    return left_steps if left_steps >= spec.volume_min_steps else 0


def _margin_cents(part: Holding | Reservation, book: Book, leverage: int) -> int:
    spec = book.specs.get(part.symbol)
    if spec is None:
        return 0
    return -(-part.volume_steps * spec.notional_cents_per_lot // (spec.steps_per_lot * max(1, leverage)))
