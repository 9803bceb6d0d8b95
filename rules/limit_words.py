"""What follows when a limit of the view is reached, in plain words (limits.md). The names are those of rules.view.LimitView."""

from typing import Final

from evenkeel.rules.view import LimitView, decimal_of

NONE_NEW: Final = "nothing new is opened"
EFFECTS: Final[dict[str, str]] = {
    "positions_max": f"{NONE_NEW} until one closes",
    "trades_per_day": f"{NONE_NEW} until the trading day ends; close only after so many such days in a row",
    "trades_per_hour": f"{NONE_NEW} until the hour ends",
    "consecutive_losses": "close only, until a person rearms; before that smaller volumes and a pause",
    "day_loss_pct": f"{NONE_NEW} until the trading day ends",
    "week_loss_pct": f"{NONE_NEW} until the week ends",
    "drawdown": "the next step: smaller volumes, half of them, close only, everything closed",
    "open_risk_pct": "new orders shrink to what is left, or are refused",
    "recovery_attempts": "no recovery for a pause, nor before the trading day ends",
    "recovery_losses": "no recovery for a pause, nor before the trading day ends",
    "recovery_concurrent": "no further recovery until one ends",
    "profit_protection": "no re-entry until the trading day ends: the day's profit is kept",
}
"""Nothing here ever stands in the way of a close."""


def amount_words(limit: LimitView, amount: int, currency_digits: int) -> str:
    """`used` or `limit` of it, as a person reads it."""
    return decimal_of(amount, currency_digits) if limit.unit == "cents" else str(amount)
