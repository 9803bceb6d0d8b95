"""Numbers as a person says them: prices in the symbol's digits, money in the account's currency."""

from evenkeel.config.schema import AccountConfig
from evenkeel.messages.broker_gateway import AccountRead
from evenkeel.messages.market import Quote, SymbolSpec
from evenkeel.messages.position import PositionOpened
from evenkeel.rules.view import decimal_of, lots_of


def price_text(points: int, spec: SymbolSpec | None) -> str:
    return decimal_of(points, spec.digits) if spec else f"{points} points"


def levels_text(opened: PositionOpened, spec: SymbolSpec | None) -> str:
    entry, stop, target = (
        price_text(points, spec) for points in (opened.entry_points, opened.stop_points, opened.target_points)
    )
    return f"at {entry}, stop {stop}, target {target}"


def lots_text(volume_steps: int, spec: SymbolSpec | None) -> str:
    return f"{lots_of(volume_steps, spec)} lots" if spec else f"{volume_steps} steps"


def money_text(cents: int, account: AccountRead | AccountConfig | None) -> str:
    return f"{decimal_of(cents, account.currency_digits)} {account.currency}" if account else f"{cents} cents"


def quote_text(quote: Quote, spec: SymbolSpec | None) -> str:
    return f"bid {price_text(quote.bid_points, spec)}, ask {price_text(quote.ask_points, spec)}"


def amount_text(value: int, unit: str, account: AccountRead | None) -> str:
    """A number of a refusal as a person says it."""
    match unit:
        case "ms":
            return f"{value / 1000:.1f} s"
        case "cents":
            return money_text(value, account)
        case "ppm":
            return f"{value / 1e6:g}"
        case "count":
            return str(value)
        case _:
            return f"{value} {unit}"
