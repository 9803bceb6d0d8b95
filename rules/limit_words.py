"""What follows when a limit of the view is reached, in plain words (limits.md). The names are those of rules.view.LimitView."""

from typing import Final

from evenkeel.rules.view import LimitView, decimal_of

NONE_NEW: Final = "nothing new is opened"
EFFECTS: Final[dict[str, str]] = {
    "positions_max": f"{NONE_NEW} until one closes",
    "trades_per_day": f"{NONE_NEW} until the trading day ends; close only after so many such days in a row",
    "trades_per_hour": f"{NONE_NEW} until the hour ends",
    "trades_limit_days_max": "close only, until a person rearms",
    "requests": f"{NONE_NEW} until the trading day ends; closes are never refused",
    "rejects": f"{NONE_NEW} for some minutes, for longer each further time",
    "consecutive_losses": "the next step: smaller volumes, a pause, close only until a person rearms",
    "day_loss_soft_pct": "new orders are half as large until the trading day ends",
    "day_loss_pct": f"{NONE_NEW} until the trading day ends",
    "week_loss_pct": f"{NONE_NEW} until the week ends",
    "drawdown": "the next step: smaller volumes, half of them, close only, everything closed",
    "balance_floor_pct": "everything is closed, and stays so until a person rearms",
    "open_risk_pct": "new orders shrink to what is left, or are refused",
    "symbol_notional_max": "the fullest symbol: new orders in it shrink to what is left, or are refused",
    "total_notional_max": "new orders shrink to what is left, or are refused",
    "free_margin_after_pct": "new orders shrink to the margin that is left, or are refused",
    "margin_level": "margin in use, of that of the next step: a warning, nothing new, all halved, all closed",
    "recovery_attempts": "no recovery for a pause, nor before the trading day ends",
    "recovery_losses": "no recovery for a pause, nor before the trading day ends",
    "recovery_concurrent": "no further recovery until one ends",
    "profit_protection": "no re-entry until the trading day ends: the day's profit is kept",
    "loss_tiers.day": f"{NONE_NEW} until the trading day ends, of the strategies that it is for",
    "loss_tiers.lifetime": "close only, until a person rearms",
}
"""Nothing here ever stands in the way of a close."""

PER_ORDER: Final[dict[str, str]] = {
    "risk_per_trade_pct": "what each order may lose at its stop; its volume is solved for it",
    "loss_at_catastrophe_stop_pct": "what each order may lose at the broker's stop; its volume is solved for it",
    "volume_lots_max": "the volume of each order",
    "order_notional_max": "the worth of each order",
    "correlated_risk_pct": "the risk of each order with all that would lose together with it",
    "per_symbol_slots": "trades in the order's symbol, or what its strategy declares",
    "confidence_min": "the confidence of each signal",
    "quote_age_s_max": "the age of the quote of each order",
    "quote_age_others_s_max": "the same, of what is no currency pair",
    "intent_expiry_s": "how long each order may be on its way",
    "slippage_points": "the allowance in the worst case of each order",
    "slippage": "fills that slipped within some minutes, counted by risk_limit; reached, it is a hold",
    "requests (second, minute)": "too many of the last second or minute refuse the order, not the next one",
    "session": "the time of each order",
    "recovery_pause_hours": "how long the two limits of recoveries before it hold",
    "chain_risk_budget_r": "the worst loss of the order's own chain",
    "chain_risk_budget_hedged_r": "the same of a chain that hedges",
}
"""What only an order is measured against has no room to show: fields of LimitsConfig, and what each measures."""


def amount_words(limit: LimitView, amount: int, currency_digits: int) -> str:
    """`used` or `limit` of it, as a person reads it."""
    return decimal_of(amount, currency_digits) if limit.unit == "cents" else str(amount)
