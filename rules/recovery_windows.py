"""How long a chain waits (trading_rules 1.5.3, 1.6.3, 1.7). While the market is closed over the weekend the window's clock
stands still, except for symbols that are traded always."""

from typing import Final

from evenkeel.config.chains import Logic, RecoveryConfig
from evenkeel.config.schema import Config
from evenkeel.messages.recovery import ChainState
from evenkeel.rules.recovery_levels import NAME_LETTERS
from evenkeel.rules.session import ROLLOVER, ZONE
from evenkeel.rules.stop_systems import FACTORS
from evenkeel.rules.trading_calendar import day_start, week_end

_MINUTES: Final = {
    12: ("BTCUSD",),
    15: ("ETHUSD",),
    18: ("XAGUSD",),
    20: ("XAUUSD", "GBPJPY", "AUDJPY", "NZDJPY"),
    25: ("GBPUSD", "EURJPY"),
    28: ("USDJPY", "USDCAD"),
    30: ("EURUSD", "AUDUSD", "NZDUSD", "EURGBP", "GBPAUD", "GBPNZD"),
    35: ("USDCHF", "AUDCAD", "EURCAD"),
    40: ("EURCHF", "AUDNZD"),
    45: ("USDTRY", "USDSEK", "USDNOK", "USDPLN"),
    50: ("USDZAR", "USDMXN", "USDDKK", "USDHUF"),
}
HUNT_MINUTES: Final = {symbol: minutes for minutes, symbols in _MINUTES.items() for symbol in symbols}
TRADED_ALWAYS: Final = ("BTC", "ETH")
_FROM_SATURDAY_TO_SUNDAY_MS: Final = 36 * 3_600_000


def hunt_minutes(config: RecoveryConfig, symbol: str) -> float:
    """As configured for the symbol, else the table's, else as configured for all."""
    hunt = config.sl_hunt
    configured = hunt.window_minutes_by_symbol.get(symbol)
    return HUNT_MINUTES.get(symbol[:NAME_LETTERS], hunt.window_minutes) if configured is None else configured


def continuation_minutes(config: RecoveryConfig, logic: Logic) -> float:
    """The logic's own window goes before the configured one."""
    return FACTORS[logic].window_minutes or config.tp_continuation.window_minutes


def window_ends_utc_ms(config: Config, state: ChainState, *, plugin: str, symbol: str, began_utc_ms: int) -> int:
    """When a wait in `state` that began then is over; its last millisecond is the one before."""
    recovery, strategy = config.recovery, config.strategy.get(plugin)
    match state:
        case ChainState.AWAITING_TP:
            minutes = continuation_minutes(recovery, "off" if strategy is None else strategy.logic)
        case ChainState.AWAITING_EXIT:
            minutes = recovery.exit_continuation.window_minutes
        case _:
            minutes = hunt_minutes(recovery, symbol)
    length_ms = round(minutes * 60_000)
    return began_utc_ms + length_ms if symbol.startswith(TRADED_ALWAYS) else after_open_time(began_utc_ms, length_ms)


def after_open_time(from_utc_ms: int, length_ms: int) -> int:
    """When the market has been open for `length_ms` since: it is shut from New York's Friday to its Sunday, 17:00."""
    opens_utc_ms = week_end(from_utc_ms, ROLLOVER, ZONE)
    shuts_utc_ms = day_start(opens_utc_ms - _FROM_SATURDAY_TO_SUNDAY_MS, ROLLOVER, ZONE)
    left_ms = max(0, shuts_utc_ms - from_utc_ms)
    return from_utc_ms + length_ms if length_ms <= left_ms else after_open_time(opens_utc_ms, length_ms - left_ms)
