"""The block shield: closes and blocks a direction of a symbol after a strong move against it (trading_rules 1.12 A).

It watches the trades of a direction while they are open and for a while after they are closed, each by the entry and the risk
that it began with: a trade that its stop has ended is still a witness of a move that goes on. Foreign positions are none.
"""

from typing import Final, NamedTuple

import msgspec

from evenkeel.config.chains import ShieldConfig
from evenkeel.messages.market import ArmWatches, BarClosed, Direction, DisarmWatches, PricesReached, SymbolSpec, Watch
from evenkeel.messages.operator import CommandDone, CommandRefused
from evenkeel.messages.position import (
    ExitReason,
    PositionClosed,
    PositionOpened,
    PositionPriced,
    ReducePosition,
    StopTightened,
)
from evenkeel.messages.shield import LowerShield, ShieldClosing, ShieldLowered, ShieldRaised, ShieldReason
from evenkeel.messages.system import CancelTimer, Message, SetTimer
from evenkeel.rules.exits import exit_price, exit_side, sign
from evenkeel.rules.indicators.atr import Atr, atr_after, atr_millipoints
from evenkeel.rules.indicators.swings import is_beyond_swing, range_against_points
from evenkeel.rules.indicators.trend import Trend, is_aligned, trend_in
from evenkeel.rules.indicators.window import Window, window_after
from evenkeel.rules.lineage import signal_of
from evenkeel.rules.sizing import PPM, ppm_of

NAME: Final = "shield"
TIMEFRAME: Final = "M15"
ATR_BARS: Final = 14
CLOSED_MAX: Final = 256
"""So many closed trades are watched at most; the one that was closed first is forgotten for the next."""
LOOK_MS: Final = 10_000
"""How long the closes of a shield may take before they are listed and asked for again."""
_STOPPED: Final = frozenset({ExitReason.STOP, ExitReason.EMERGENCY, ExitReason.CATASTROPHE, ExitReason.STOP_OUT})
_AWAY: Final = "away"
_GAP: Final = "gap"


class Exposure(msgspec.Struct, array_like=True):
    """A trade of ours. `entry_points` and `risk_points` are those of its opening (a risk of 0: it had no stop, so bars alone
    can tell; order B's is that of the order A beside it); `stop_points` is where its stop is now. `armed` counts the armings
    of its levels."""

    ticket: int
    symbol: str
    spec_id: int
    direction: Direction
    entry_points: int
    risk_points: int
    stop_points: int
    armed: int = 0
    closed_utc_ms: int | None = None
    chain_id: str = ""


class Market(msgspec.Struct, array_like=True):
    """The last M15 bars of a symbol."""

    window: Window = Window()
    atr: Atr = Atr()


class Block(msgspec.Struct, array_like=True):
    """A blocked direction. `tickets` are still to be closed, `listed` those of them that were told of last; `turned_away`: the
    trend has been seen not to lead that way since, so it may turn back."""

    symbol: str
    direction: Direction
    until_utc_ms: int
    tickets: list[int]
    listed: list[int] = []
    turned_away: bool = False


class Blocks(msgspec.Struct):
    """`exposures` by ticket, `blocks` by "symbol direction"."""

    digits: dict[str, int] = {}
    exposures: dict[int, Exposure] = {}
    markets: dict[str, Market] = {}
    blocks: dict[str, Block] = {}


class Trigger(NamedTuple):
    """Why it fires: `measured_points` are beyond `bound_points`."""

    reason: ShieldReason
    measured_points: int
    bound_points: int


# -- what is watched ----------------------------------------------------------------------------------------------------------


def specified(blocks: Blocks, spec: SymbolSpec) -> list[Message]:
    """With other digits the points of what was closed and of the bars mean something else: they are forgotten."""
    before, blocks.digits[spec.symbol] = blocks.digits.get(spec.symbol, spec.digits), spec.digits
    if before == spec.digits:
        return []
    blocks.markets.pop(spec.symbol, None)
    closed = [one for one in blocks.exposures.values() if one.symbol == spec.symbol and one.closed_utc_ms is not None]
    return [message for exposure in closed for message in forget(blocks, exposure)]


def opened(config: ShieldConfig, blocks: Blocks, position: PositionOpened, now_utc_ms: int) -> list[Message]:
    """Watched from now on. One that comes up in a blocked direction after all is closed like those that were there."""
    if position.ticket in blocks.exposures:
        return []
    block = blocks.blocks.get(_key(position.symbol, position.direction))
    if block is not None:
        if position.ticket in block.tickets:
            return []
        block.tickets.append(position.ticket)
        return [ReducePosition(position.ticket, position.symbol, 0, ExitReason.SHIELD), _look_at(block, now_utc_ms)]
    exposure = Exposure(
        position.ticket,
        position.symbol,
        position.spec_id,
        position.direction,
        position.entry_points,
        _risk_points(blocks, position),
        position.stop_points,
        chain_id=position.lineage.chain_id,
    )
    blocks.exposures[position.ticket] = exposure
    return _arm(config, exposure)


def _risk_points(blocks: Blocks, position: PositionOpened) -> int:
    """Order B's stop is a sum of money and measures no market: beside an order A it counts as far away as A's, or else the
    shield would close A before its stop, or forbid its recovery, on moves that A is made for."""
    if not position.stop_points:
        return 0
    chain_id, own_points = position.lineage.chain_id, abs(position.entry_points - position.stop_points)
    if signal_of(chain_id) == chain_id:
        return own_points
    beside = (one.risk_points for one in blocks.exposures.values() if one.chain_id == signal_of(chain_id))
    return max(own_points, *beside, 0)


def priced(config: ShieldConfig, blocks: Blocks, deal: PositionPriced) -> list[Message]:
    """The entry is that of the deal; the stop keeps its distance."""
    exposure = blocks.exposures.get(deal.ticket)
    if exposure is None or exposure.entry_points == deal.entry_points:
        return []
    moved_points = deal.entry_points - exposure.entry_points
    exposure.entry_points = deal.entry_points
    exposure.stop_points += moved_points if exposure.stop_points else 0
    return _rearm(config, exposure)


def tightened(config: ShieldConfig, blocks: Blocks, moved: StopTightened) -> list[Message]:
    """A gap is measured from where the stop is; how far is too far, from where the trade began."""
    exposure = blocks.exposures.get(moved.ticket)
    if exposure is None or not exposure.risk_points or exposure.stop_points == moved.stop_points:
        return []
    exposure.stop_points = moved.stop_points
    return _rearm(config, exposure)


def closed(config: ShieldConfig, blocks: Blocks, position: PositionClosed, now_utc_ms: int) -> list[Message]:
    """It is watched on for a while. A stop that was filled far beyond its level fires at once."""
    block = blocks.blocks.get(_key(position.symbol, position.direction))
    if block is not None and position.ticket in block.tickets:
        block.tickets.remove(position.ticket)
    exposure = blocks.exposures.get(position.ticket)
    if exposure is None:
        return []
    forget_utc_ms = position.closed_utc_ms + round(config.lookback_minutes * 60_000)
    trigger = None
    if position.reason in _STOPPED and now_utc_ms < forget_utc_ms:
        trigger = _gap(config, exposure, position.close_points)
    exposure.closed_utc_ms = position.closed_utc_ms
    if trigger is not None:
        return _raise(config, blocks, exposure.symbol, exposure.direction, trigger, now_utc_ms)
    said: list[Message] = [SetTimer(NAME, f"forget/{position.ticket}", forget_utc_ms)]
    if exposure.risk_points:
        said.append(DisarmWatches(NAME, exposure.symbol, (_watch_name(exposure, _GAP),)))
    return [*said, *_make_room(blocks)]


def forget(blocks: Blocks, exposure: Exposure) -> list[Message]:
    del blocks.exposures[exposure.ticket]
    said: list[Message] = []
    if exposure.closed_utc_ms is not None:
        said.append(CancelTimer(NAME, f"forget/{exposure.ticket}"))
    if exposure.risk_points:
        said.append(DisarmWatches(NAME, exposure.symbol, (_watch_name(exposure, _AWAY), _watch_name(exposure, _GAP))))
    return said


# -- what makes it fire -------------------------------------------------------------------------------------------------------


def reached(config: ShieldConfig, blocks: Blocks, prices: PricesReached, now_utc_ms: int) -> list[Message]:
    """Levels of one quote: the first that fires ends the others of its direction."""
    said: list[Message] = []
    for name in prices.names:
        ticket, _, rest = name.partition("/")
        exposure = blocks.exposures.get(int(ticket))
        if exposure is None or name not in (_watch_name(exposure, _AWAY), _watch_name(exposure, _GAP)):
            continue
        price_points = exit_price(exposure.direction, prices.quote)
        judge = _away if rest.startswith(_AWAY) else _gap
        trigger = judge(config, exposure, price_points)
        if trigger is not None:
            said += _raise(config, blocks, exposure.symbol, exposure.direction, trigger, now_utc_ms)
    return said


def bar_closed(config: ShieldConfig, blocks: Blocks, bar: BarClosed, now_utc_ms: int) -> list[Message]:
    """A bar of M15; others are nothing to it. One that comes late is part of what later ones are held against, no more."""
    if bar.timeframe != TIMEFRAME:
        return []
    market = blocks.markets[bar.symbol] = _market_after(blocks.markets.get(bar.symbol, Market()), bar)
    if bar.late:
        return []
    trend = trend_in(market.window)
    said: list[Message] = []
    for direction in Direction:
        block = blocks.blocks.get(_key(bar.symbol, direction))
        if block is not None:
            said += _after_trend(blocks, block, trend)
        elif any(one.symbol == bar.symbol and one.direction is direction for one in blocks.exposures.values()):
            trigger = bars_trigger(config, market, direction)
            if trigger is not None:
                said += _raise(config, blocks, bar.symbol, direction, trigger, now_utc_ms)
    return said


def bars_trigger(config: ShieldConfig, market: Market, direction: Direction) -> Trigger | None:
    """A run of bars against it, wide enough, that ends beyond the swing before it; None while there are too few of them."""
    atr = atr_millipoints(market.atr, ATR_BARS)
    range_points = range_against_points(market.window, direction, config.bars)
    if atr is None or range_points is None:
        return None
    bound_points = -(-atr * ppm_of(config.atr_multiple) // (1000 * PPM))
    if range_points < bound_points or not is_beyond_swing(market.window, direction, config.bars, config.swing_bars):
        return None
    return Trigger(ShieldReason.BARS, range_points, bound_points)


def _away(config: ShieldConfig, exposure: Exposure, price_points: int) -> Trigger | None:
    measured_points = sign(exposure.direction) * (exposure.entry_points - price_points)
    bound_points = _times(exposure.risk_points, config.risk_multiple)
    return Trigger(ShieldReason.AWAY, measured_points, bound_points) if measured_points > bound_points else None


def _gap(config: ShieldConfig, exposure: Exposure, price_points: int) -> Trigger | None:
    measured_points = sign(exposure.direction) * (exposure.stop_points - price_points)
    bound_points = _times(exposure.risk_points, config.gap_ratio)
    is_gap = exposure.risk_points > 0 and measured_points > bound_points
    return Trigger(ShieldReason.GAP, measured_points, bound_points) if is_gap else None


# -- while it stands ----------------------------------------------------------------------------------------------------------


def look(blocks: Blocks, key: str, now_utc_ms: int) -> list[Message]:
    """What is still open is listed, when it is not what was listed last, and asked for again."""
    block = blocks.blocks.get(key)
    if block is None or not block.tickets:
        return []
    said: list[Message] = [ReducePosition(ticket, block.symbol, 0, ExitReason.SHIELD) for ticket in block.tickets]
    if block.listed != block.tickets:
        block.listed = list(block.tickets)
        said.append(ShieldClosing(block.symbol, block.direction, tuple(block.tickets)))
    return [*said, _look_at(block, now_utc_ms)]


def time_over(blocks: Blocks, key: str, now_utc_ms: int) -> list[Message]:
    """Its time is over; it stays until what it closes is closed."""
    block = blocks.blocks.get(key)
    if block is None:
        return []
    if block.tickets:
        return [SetTimer(NAME, f"lower/{key}", now_utc_ms + LOOK_MS)]
    return _lower(blocks, block, "time")


def lower(blocks: Blocks, command: LowerShield) -> list[Message]:
    """A person's word lowers it at once; what is being closed goes on being closed."""
    block = blocks.blocks.get(_key(command.symbol, command.direction))
    what = f"{command.direction.value} of {command.symbol}"
    if block is None:
        return [CommandRefused(command.command_id, f"no shield blocks {what}")]
    return [*_lower(blocks, block, command.by), CommandDone(command.command_id, f"{what} is free again")]


def _raise(
    config: ShieldConfig, blocks: Blocks, symbol: str, direction: Direction, trigger: Trigger, now_utc_ms: int
) -> list[Message]:
    """Everything at once: the direction is blocked, what is open of it is to be closed, what witnessed it is used up, so that
    only a trade opened after the shield makes it fire again. While it stands nothing of its direction is watched."""
    key = _key(symbol, direction)
    assert key not in blocks.blocks, "what is watched is no part of a blocked direction"
    witnesses = [one for one in blocks.exposures.values() if one.symbol == symbol and one.direction is direction]
    tickets = [one.ticket for one in witnesses if one.closed_utc_ms is None]
    until_utc_ms = now_utc_ms + round(config.block_minutes * 60_000)
    trend = trend_in(blocks.markets.get(symbol, Market()).window)
    block = Block(symbol, direction, until_utc_ms, tickets, turned_away=_leads_away(direction, trend))
    blocks.blocks[key] = block
    raised = ShieldRaised(symbol, direction, *trigger, until_utc_ms, tuple(tickets))
    said: list[Message] = [raised, SetTimer(NAME, f"lower/{key}", until_utc_ms)]
    said += [_look_at(block, now_utc_ms)] if tickets else []
    return said + [message for witness in witnesses for message in forget(blocks, witness)]


def _after_trend(blocks: Blocks, block: Block, trend: Trend | None) -> list[Message]:
    """Lowers it once the trend has turned back to its direction, and nothing of it is left to be closed."""
    block.turned_away = block.turned_away or _leads_away(block.direction, trend)
    if not block.turned_away or block.tickets or not is_aligned(block.direction, trend):
        return []
    return _lower(blocks, block, "trend")


def _lower(blocks: Blocks, block: Block, by: str) -> list[Message]:
    key = _key(block.symbol, block.direction)
    del blocks.blocks[key]
    lowered = ShieldLowered(block.symbol, block.direction, by)
    return [lowered, CancelTimer(NAME, f"lower/{key}"), CancelTimer(NAME, f"look/{key}")]


# -- the parts of it ----------------------------------------------------------------------------------------------------------


def _arm(config: ShieldConfig, exposure: Exposure) -> list[Message]:
    """Where it is too far away, and, while it is open, its stop: the first price there tells whether there was a gap."""
    if not exposure.risk_points:
        return []
    exposure.armed += 1
    s, side = sign(exposure.direction), exit_side(exposure.direction)
    is_rising = exposure.direction is Direction.SELL
    away_points = exposure.entry_points - s * (_times(exposure.risk_points, config.risk_multiple) + 1)
    watches = [Watch(_watch_name(exposure, _AWAY), side, is_rising, away_points)]
    if exposure.closed_utc_ms is None:
        watches.append(Watch(_watch_name(exposure, _GAP), side, is_rising, exposure.stop_points))
    return [ArmWatches(NAME, exposure.symbol, exposure.spec_id, tuple(watches))]


def _rearm(config: ShieldConfig, exposure: Exposure) -> list[Message]:
    before = (_watch_name(exposure, _AWAY), _watch_name(exposure, _GAP))
    return [DisarmWatches(NAME, exposure.symbol, before), *_arm(config, exposure)] if exposure.risk_points else []


def _make_room(blocks: Blocks) -> list[Message]:
    over = [one for one in blocks.exposures.values() if one.closed_utc_ms is not None]
    if len(over) <= CLOSED_MAX:
        return []
    return forget(blocks, min(over, key=lambda one: (one.closed_utc_ms or 0, one.ticket)))


def _market_after(market: Market, bar: BarClosed) -> Market:
    window = window_after(
        market.window,
        open_points=bar.open_points,
        high_points=bar.high_points,
        low_points=bar.low_points,
        close_points=bar.close_points,
    )
    atr = atr_after(market.atr, ATR_BARS, high_points=bar.high_points, low_points=bar.low_points, close_points=bar.close_points)
    return Market(window, atr)


def _look_at(block: Block, now_utc_ms: int) -> SetTimer:
    return SetTimer(NAME, f"look/{_key(block.symbol, block.direction)}", now_utc_ms + LOOK_MS)


def _leads_away(direction: Direction, trend: Trend | None) -> bool:
    """A trend that is not known leads nowhere."""
    return trend is not None and not is_aligned(direction, trend)


def _times(points: int, multiple: float) -> int:
    return points * ppm_of(multiple) // PPM


def _watch_name(exposure: Exposure, level: str) -> str:
    return f"{exposure.ticket}/{level}/{exposure.armed}"


def _key(symbol: str, direction: Direction) -> str:
    return f"{symbol} {direction.value}"
