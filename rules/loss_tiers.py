"""Gross closed losses of the day and of the lifetime, by the tier of the balance (trading_rules 1.11).

What is won does not count. Losses of trades that the tiers do not apply to are not counted either.
"""

from collections.abc import Iterator

import msgspec

from evenkeel.config.schema import Config
from evenkeel.messages.entry import DenialReason
from evenkeel.rules.entries import Refusal
from evenkeel.rules.fixed_stop import money_cents
from evenkeel.rules.lineage import plugins
from evenkeel.rules.stop_systems import TIERS, tier_of


class TierLosses(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Reached: at the limit that held at that time. The day's is over with the day, the lifetime's when a person rearms."""

    day_cents: int = 0
    lifetime_cents: int = 0
    is_day_reached: bool = False
    is_lifetime_reached: bool = False


class TierLimits(msgspec.Struct, frozen=True, array_like=True, gc=False):
    day_cents: int
    lifetime_cents: int


def applies_to(config: Config, strategy: str) -> bool:
    match config.limits.loss_tiers.applies_to:
        case "off":
            return False
        case "chains":
            return strategy in plugins(config)
        case "all":
            return True


def scopes(config: Config) -> list[str]:
    """What is held while a limit is reached."""
    return ["account"] if config.limits.loss_tiers.applies_to == "all" else [f"strategy/{name}" for name in plugins(config)]


def balance_tier(config: Config, balance_cents: int) -> int:
    """The tier, in units of the account's currency, that a balance belongs to."""
    return tier_of(balance_cents // 10**config.account.currency_digits)


def limits_at(config: Config, balance_cents: int) -> TierLimits:
    column, digits = TIERS.index(balance_tier(config, balance_cents)), config.account.currency_digits
    tiers = config.limits.loss_tiers
    return TierLimits(money_cents(tiers.day[column], digits), money_cents(tiers.lifetime[column], digits))


def after_loss(config: Config, losses: TierLosses, lost_cents: int, balance_cents: int | None, *, is_today: bool) -> TierLosses:
    """A trade closed with a net loss of `lost_cents`, on this trading day or found later; in the lowest tier while no balance
    is known."""
    most = limits_at(config, balance_cents or 0)
    day_cents = losses.day_cents + (lost_cents if is_today else 0)
    lifetime_cents = losses.lifetime_cents + lost_cents
    return TierLosses(
        day_cents,
        lifetime_cents,
        losses.is_day_reached or day_cents >= most.day_cents,
        losses.is_lifetime_reached or lifetime_cents >= most.lifetime_cents,
    )


def at_day_start(losses: TierLosses) -> TierLosses:
    return msgspec.structs.replace(losses, day_cents=0, is_day_reached=False)


def rearmed(losses: TierLosses) -> TierLosses:
    """A lifetime's limit that was reached is answered for: it is counted anew. One that was not goes on."""
    if not losses.is_lifetime_reached:
        return losses
    return msgspec.structs.replace(losses, lifetime_cents=0, is_lifetime_reached=False)


def tier_refusals(config: Config, losses: TierLosses, balance_cents: int | None, strategy: str) -> Iterator[Refusal]:
    """A limit that is reached; without a balance there is no tier, and nothing is opened."""
    if not applies_to(config, strategy):
        return
    if balance_cents is None:
        yield Refusal(DenialReason.EQUITY_UNKNOWN, detail="without a balance there is no loss tier")
        return
    most = limits_at(config, balance_cents)
    if losses.is_day_reached or losses.day_cents >= most.day_cents:
        yield Refusal(DenialReason.LOSS_TIER_DAY, losses.day_cents, most.day_cents, "cents")
    if losses.is_lifetime_reached or losses.lifetime_cents >= most.lifetime_cents:
        yield Refusal(DenialReason.LOSS_TIER_LIFETIME, losses.lifetime_cents, most.lifetime_cents, "cents")


def rooms_cents(config: Config, losses: TierLosses, balance_cents: int, open_cents: int) -> Iterator[tuple[str, int]]:
    """What the next order may lose at its stop, by limit, so that one unit of the currency is left when it and everything
    open (`open_cents` of the strategies that the tiers apply to) has lost. A limit that is reached has refused already."""
    most, kept_cents = limits_at(config, balance_cents), 10**config.account.currency_digits
    if losses.day_cents < most.day_cents:
        yield "loss_tiers.day", most.day_cents - losses.day_cents - open_cents - kept_cents
    if losses.lifetime_cents < most.lifetime_cents:
        yield "loss_tiers.lifetime", most.lifetime_cents - losses.lifetime_cents - open_cents - kept_cents
