"""The broker's own book of a hedging account: prices, positions, deals, money, and the file that outlives our process."""

from collections import defaultdict, deque
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

import msgspec

from evenkeel.adapters.os import write_durably
from evenkeel.messages.broker_gateway import BrokerPosition, Deal, DealEntry, DealReason
from evenkeel.messages.market import Direction, Quote, SymbolSpec

DEALS_KEPT: Final = 10_000
STOP_OUT_MARGIN_LEVEL_PCT: Final = 50
_FAR_POINTS: Final = 1 << 62
_ROUNDING_CENTS: Final = 2  # of each position: its profit is rounded now and again at the quote that decides
_OPPOSITE: Final = {Direction.BUY: Direction.SELL, Direction.SELL: Direction.BUY}

ProfitCents = Callable[[SymbolSpec, int, int, int], int]


class BookUnreadable(Exception):
    """The file is no book, or one with a position in a symbol that is not configured. A person mends or removes it."""


class Price:
    """The newest quote of a symbol, and the band strictly inside which a quote changes nothing at the broker."""

    __slots__ = (
        "ask_ceiling",
        "ask_floor",
        "ask_points",
        "bid_ceiling",
        "bid_floor",
        "bid_points",
        "ticks",
        "time_utc_ms",
    )

    def __init__(self, quote: Quote, keep_ticks: int) -> None:
        self.time_utc_ms, self.bid_points, self.ask_points = quote.time_utc_ms, quote.bid_points, quote.ask_points
        self.ticks: deque[tuple[int, int, int]] | None = deque(maxlen=keep_ticks) if keep_ticks else None
        self.shut_band()

    def __str__(self) -> str:
        return f"{self.bid_points}/{self.ask_points}"

    def quote(self) -> Quote:
        return Quote(self.time_utc_ms, self.bid_points, self.ask_points)

    def entry_points(self, direction: Direction) -> int:
        """What an order of `direction` is filled at."""
        return self.ask_points if direction is Direction.BUY else self.bid_points

    def exit_points(self, direction: Direction) -> int:
        """What a position of `direction` is closed at."""
        return self.bid_points if direction is Direction.BUY else self.ask_points

    def allows(self, direction: Direction, *, stop_points: int, target_points: int, stops_level_points: int) -> bool:
        """Stop and target (0: none) stand on their sides of the closing price, at least the stops level away."""
        now_points, sign = self.exit_points(direction), _sign(direction)
        near_points = max(1, stops_level_points)
        stop_stands = not stop_points or sign * (now_points - stop_points) >= near_points
        return stop_stands and (not target_points or sign * (target_points - now_points) >= near_points)

    def exit_reason(self, position: BrokerPosition) -> DealReason | None:
        """Which of the position's own levels this quote reaches; both ends count."""
        now_points, sign = self.exit_points(position.direction), _sign(position.direction)
        if position.stop_points and sign * (now_points - position.stop_points) <= 0:
            return DealReason.STOP
        if position.target_points and sign * (now_points - position.target_points) >= 0:
            return DealReason.TARGET
        return None

    def shut_band(self) -> None:
        self.bid_floor = self.bid_ceiling = self.ask_floor = self.ask_ceiling = 0

    def open_band(self) -> None:
        self.bid_floor = self.ask_floor = 0
        self.bid_ceiling = self.ask_ceiling = _FAR_POINTS

    def narrow_band(self, position: BrokerPosition, reach_points: int) -> None:
        """Leave out the position's levels and whatever is `reach_points` or more against it."""
        if position.direction is Direction.BUY:
            self.bid_floor = max(self.bid_floor, position.stop_points, self.bid_points - reach_points)
            self.bid_ceiling = min(self.bid_ceiling, position.target_points or _FAR_POINTS)
        else:
            self.ask_ceiling = min(self.ask_ceiling, position.stop_points or _FAR_POINTS, self.ask_points + reach_points)
            self.ask_floor = max(self.ask_floor, position.target_points)


class _Kept(msgspec.Struct):
    """What the file holds. Deals are without a hole, the newest `DEALS_KEPT` of them; tickets of both kinds count apart."""

    balance_cents: int
    positions: dict[int, BrokerPosition] = {}
    deals: list[Deal] = []
    quotes: dict[str, Quote] = {}
    last_position_ticket: int = 1000
    last_deal_ticket: int = 5000


class Book:
    """Carries out and records; asks for no reason and refuses nothing. Not thread-safe: its terminal holds the lock.

    Balance moves by deals only. With `store` every change is in the file when the method that made it returns. Raises
    BookUnreadable when the file is no book, or holds a position in another symbol.
    """

    def __init__(
        self,
        specs: Mapping[str, SymbolSpec],
        profit_cents: ProfitCents,
        *,
        start_balance_cents: int,
        leverage: int,
        store: Path | None,
        keep_ticks: int,
    ) -> None:
        self._specs, self._profit_cents, self._leverage, self._store = specs, profit_cents, leverage, store
        self._kept = _read(store, specs) or _Kept(start_balance_cents)
        quotes = {symbol: quote for symbol, quote in self._kept.quotes.items() if symbol in specs}
        self.prices = {symbol: Price(quote, keep_ticks) for symbol, quote in quotes.items()}
        self.now_utc_ms = max((quote.time_utc_ms for quote in quotes.values()), default=0)

    @property
    def balance_cents(self) -> int:
        return self._kept.balance_cents

    @property
    def positions(self) -> Mapping[int, BrokerPosition]:
        """By ticket, in its order."""
        return self._kept.positions

    @property
    def last_deal_ticket(self) -> int:
        return self._kept.last_deal_ticket

    def history(self, after_ticket: int, upto_ticket: int) -> tuple[Deal, ...]:
        """Deals with after_ticket < ticket <= upto_ticket."""
        deals = self._kept.deals
        next_ticket = self._kept.last_deal_ticket - len(deals) + 1
        return tuple(deals[max(0, after_ticket + 1 - next_ticket) : max(0, upto_ticket + 1 - next_ticket)])

    def equity_cents(self) -> int:
        return self.balance_cents + sum(map(self._floating_cents, self.positions.values()))

    def margin_cents(self) -> int:
        """Every position counts in full: nothing is spared for opposite ones."""
        return sum(self.margin_for_cents(self._specs[held.symbol], held.volume_steps) for held in self.positions.values())

    def margin_for_cents(self, spec: SymbolSpec, volume_steps: int) -> int:
        """Rounded up to the cent, so never less than the broker blocks."""
        return _ceil(spec.notional_cents_per_lot * volume_steps, spec.steps_per_lot * self._leverage)

    def enter(
        self,
        symbol: str,
        direction: Direction,
        volume_steps: int,
        *,
        stop_points: int,
        target_points: int,
        magic: int,
        reason: DealReason,
    ) -> BrokerPosition:
        """A new position at the current quote."""
        self._kept.last_position_ticket += 1
        position = BrokerPosition(
            ticket=self._kept.last_position_ticket,
            symbol=symbol,
            spec_id=self._specs[symbol].spec_id,
            direction=direction,
            volume_steps=volume_steps,
            open_points=self.prices[symbol].entry_points(direction),
            stop_points=stop_points,
            target_points=target_points,
            magic=magic,
            opened_utc_ms=self.now_utc_ms,
        )
        self._kept.positions[position.ticket] = position
        self._record(
            position,
            DealEntry.IN,
            volume_steps=volume_steps,
            price_points=position.open_points,
            profit_cents=0,
            magic=magic,
            reason=reason,
        )
        return position

    def leave(self, position: BrokerPosition, *, volume_steps: int, magic: int, reason: DealReason) -> int:
        """Close `volume_steps` of `position` at the current quote, whose price in points is returned."""
        close_points = self.prices[position.symbol].exit_points(position.direction)
        rest_steps = position.volume_steps - volume_steps
        if rest_steps:
            self._kept.positions[position.ticket] = msgspec.structs.replace(position, volume_steps=rest_steps)
        else:
            del self._kept.positions[position.ticket]
        self._record(
            position,
            DealEntry.OUT,
            volume_steps=volume_steps,
            price_points=close_points,
            profit_cents=self._worth_cents(position, volume_steps=volume_steps, close_points=close_points),
            magic=magic,
            reason=reason,
        )
        return close_points

    def set_levels(self, position: BrokerPosition, *, stop_points: int, target_points: int) -> None:
        self._kept.positions[position.ticket] = msgspec.structs.replace(
            position, stop_points=stop_points, target_points=target_points
        )
        self._save()

    def take_exits(self, symbol: str) -> None:
        """Close each position of `symbol` whose stop or target the current quote reaches."""
        price = self.prices[symbol]
        for position in tuple(self.positions.values()):
            if position.symbol == symbol and (reason := price.exit_reason(position)) is not None:
                self._leave_whole(position, reason)

    def stop_out(self) -> None:
        """While the margin level is below the broker's limit, close the position that loses most."""
        while self.positions and self._stop_out_slack_cents() < 0:
            losing_most = min(self.positions.values(), key=self._floating_cents)
            self._leave_whole(losing_most, DealReason.STOP_OUT)

    def arm_bands(self) -> None:
        """Set each symbol's band anew, from the current quotes.

        What the account can lose before the stop-out is divided among the exposed symbols, so that no quotes inside their
        bands can bring it there together.
        """
        held_by_symbol = defaultdict[str, list[BrokerPosition]](list)
        for position in self.positions.values():
            held_by_symbol[position.symbol].append(position)
        slack_cents = self._stop_out_slack_cents() - _ROUNDING_CENTS * len(self.positions)
        for price in self.prices.values():
            price.open_band()
        for symbol, held in held_by_symbol.items():
            volume_steps = sum(position.volume_steps for position in held)
            loss_cents = slack_cents // len(held_by_symbol)
            reach_points = self._reach_points(symbol, volume_steps=volume_steps, loss_cents=loss_cents)
            for position in held:
                self.prices[symbol].narrow_band(position, reach_points)

    def _leave_whole(self, position: BrokerPosition, reason: DealReason) -> None:
        """The broker's own close: its deal carries the magic of the position."""
        self.leave(position, volume_steps=position.volume_steps, magic=position.magic, reason=reason)

    def _reach_points(self, symbol: str, *, volume_steps: int, loss_cents: int) -> int:
        """A distance, at most half of the price, within which `volume_steps` lose at most `loss_cents`.

        Linear from the loss at half of the price, where a point is worth most if the worth depends on the price.
        """
        bid_points = self.prices[symbol].bid_points
        half_points = bid_points // 2
        worst_cents = -self._profit_cents(self._specs[symbol], -half_points, volume_steps, bid_points - half_points)
        return half_points * max(0, min(loss_cents, worst_cents)) // max(1, worst_cents)

    def _stop_out_slack_cents(self) -> int:
        return (self.equity_cents() * 100 - self.margin_cents() * STOP_OUT_MARGIN_LEVEL_PCT) // 100

    def _floating_cents(self, position: BrokerPosition) -> int:
        now_points = self.prices[position.symbol].exit_points(position.direction)
        return self._worth_cents(position, volume_steps=position.volume_steps, close_points=now_points)

    def _worth_cents(self, position: BrokerPosition, *, volume_steps: int, close_points: int) -> int:
        points = _sign(position.direction) * (close_points - position.open_points)
        return self._profit_cents(self._specs[position.symbol], points, volume_steps, close_points)

    def _record(
        self,
        position: BrokerPosition,
        entry: DealEntry,
        *,
        volume_steps: int,
        price_points: int,
        profit_cents: int,
        magic: int,
        reason: DealReason,
    ) -> None:
        spec, kept = self._specs[position.symbol], self._kept
        commission_cents = -_ceil(spec.commission_cents_per_lot * volume_steps, spec.steps_per_lot)
        kept.last_deal_ticket += 1
        kept.deals.append(
            Deal(
                deal_ticket=kept.last_deal_ticket,
                position_ticket=position.ticket,
                symbol=position.symbol,
                spec_id=position.spec_id,
                direction=position.direction if entry is DealEntry.IN else _OPPOSITE[position.direction],
                entry=entry,
                volume_steps=volume_steps,
                price_points=price_points,
                profit_cents=profit_cents,
                commission_cents=commission_cents,
                swap_cents=0,
                magic=magic,
                reason=reason,
                time_utc_ms=self.now_utc_ms,
            )
        )
        del kept.deals[:-DEALS_KEPT]
        kept.balance_cents += profit_cents + commission_cents
        self._save()

    def _save(self) -> None:
        if self._store is not None:
            self._kept.quotes = {symbol: price.quote() for symbol, price in self.prices.items()}
            write_durably(self._store, msgspec.msgpack.encode(self._kept))


def _read(store: Path | None, specs: Mapping[str, SymbolSpec]) -> _Kept | None:
    """What the file holds, None where there is none."""
    if store is None or not store.exists():
        return None
    try:
        kept = msgspec.msgpack.decode(store.read_bytes(), type=_Kept)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BookUnreadable(f"{store}: not a broker's book: {error}") from error
    for position in kept.positions.values():
        if position.symbol not in specs:
            raise BookUnreadable(f"{store}: position {position.ticket} is in {position.symbol}, which is not configured")
    return kept


def _sign(direction: Direction) -> int:
    return 1 if direction is Direction.BUY else -1


def _ceil(numerator: int, denominator: int) -> int:
    return -(-numerator // denominator)
