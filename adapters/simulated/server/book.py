"""The server's books: what an executed order does to positions, deals and balance, and the file that outlives a process.

Carries out and records; asks for no reason and refuses nothing.
"""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from evenkeel.adapters.mt5 import constants as mt5
from evenkeel.adapters.os import write_durably
from evenkeel.adapters.simulated.server.money import Money, Ratio
from evenkeel.adapters.simulated.server.prices import Price
from evenkeel.adapters.simulated.server.records import Books, Deal, Order, Position
from evenkeel.adapters.simulated.server.terms import AccountTerms, Assumptions, SymbolTerms

HISTORY_KEPT: Final = 10_000


class BookUnreadable(Exception):
    """The file is no book, or one with a position in a symbol that is not there. A person mends or removes it."""


class Why(NamedTuple):
    """Who or what made an order: its magic, reason and comment, as they stand in order and deal."""

    magic: int = 0
    reason: int = mt5.DEAL_REASON_EXPERT
    comment: str = ""


class Filled(NamedTuple):
    order: int
    deal: int
    price_points: int


class Book:
    """Not thread-safe: its owner holds the lock. Balance moves by deals only.

    With `store` every change is in the file when the method that made it returns. Raises BookUnreadable.
    """

    def __init__(
        self,
        account: AccountTerms,
        symbols: Mapping[str, SymbolTerms],
        prices: Mapping[str, Price],
        money: Money,
        assumptions: Assumptions,
        *,
        store: Path | None,
    ) -> None:
        self.account, self._symbols, self._prices, self._money = account, symbols, prices, money
        self._assumptions, self._store = assumptions, store
        self.kept = _read(store, symbols) or Books(account.start_balance_cents)
        self.now_utc_ms = max((quote[0] for quote in self.kept.quotes.values()), default=0)

    # -- what there is --------------------------------------------------------------------------------------------------

    @property
    def positions(self) -> Mapping[int, Position]:
        return self.kept.positions

    @property
    def orders(self) -> Mapping[int, Order]:
        return self.kept.orders

    def held(self, symbol: str) -> list[Position]:
        return [position for position in self.kept.positions.values() if position.symbol == symbol]

    def deals_between(self, after_ticket: int, upto_ticket: int) -> Sequence[Deal]:
        """after_ticket < ticket <= upto_ticket, of those that are kept."""
        deals = self.kept.deals
        next_ticket = self.kept.last_deal_ticket - len(deals) + 1
        return deals[max(0, after_ticket + 1 - next_ticket) : max(0, upto_ticket + 1 - next_ticket)]

    def profit_cents(self, position: Position) -> int:
        """Floating, without swap."""
        now_points = self._prices[position.symbol].exit_points(position.is_buy)
        return self._worth_cents(position, position.volume_steps, now_points, 1)

    # -- what happens ---------------------------------------------------------------------------------------------------

    def add_order(self, order: Order) -> None:
        self.kept.orders[order.ticket] = order
        self.save()

    def next_order_ticket(self) -> int:
        self.kept.last_order_ticket += 1
        return self.kept.last_order_ticket

    def end_order(self, order: Order, state: int) -> None:
        """Into the history: filled, cancelled, expired or rejected."""
        self.kept.orders.pop(order.ticket, None)
        order.state, order.done_utc_ms = state, self.now_utc_ms
        self.kept.done_orders.append(order)
        del self.kept.done_orders[:-HISTORY_KEPT]
        self.save()

    def enter(self, order: Order, volume_steps: int, why: Why) -> Filled:
        """Fill `volume_steps` of an order that opens: a new position when hedging, else netted with the one there is."""
        price_points = self._prices[order.symbol].entry_points(order.is_buy)
        held = None if self.account.is_hedging else next(iter(self.held(order.symbol)), None)
        if held is None:
            deal = self._open(order, volume_steps, price_points, why)
        elif held.is_buy is order.is_buy:
            deal = self._add(held, order, volume_steps, price_points, why)
        elif volume_steps <= held.volume_steps:
            deal = self._take(held, volume_steps, price_points, 1, order.ticket, why, mt5.DEAL_ENTRY_OUT)
        else:
            deal = self._reverse(held, order, volume_steps, price_points, why)
        order.position_id = self.kept.deals[-1].position_id
        return Filled(order.ticket, deal, price_points)

    def leave(
        self,
        position: Position,
        volume_steps: int,
        why: Why,
        *,
        asked_steps: int | None = None,
        filling: int = mt5.ORDER_FILLING_FOK,
    ) -> Filled:
        """Close `volume_steps` of `position` at the current quote; where more was asked the order's rest is cancelled."""
        price_points = self._prices[position.symbol].exit_points(position.is_buy)
        rest_steps = 0 if asked_steps is None else asked_steps - volume_steps
        ticket = self._closing_order(position, volume_steps, price_points, why, rest_steps=rest_steps, filling=filling)
        deal = self._take(position, volume_steps, price_points, 1, ticket, why, mt5.DEAL_ENTRY_OUT)
        return Filled(ticket, deal, price_points)

    def close_by(self, one: Position, other: Position, why: Why) -> Filled:
        """Each closes at the price at which the other was opened; the profit stands on the first one's deal."""
        volume_steps = min(one.volume_steps, other.volume_steps)
        ticket = self._closing_order(one, volume_steps, 0, why, kind=mt5.ORDER_TYPE_CLOSE_BY, by=other.identifier)
        cost, parts = other.open_cost, other.open_parts
        own_cost, own_parts = one.open_cost, one.open_parts
        deal = self._take(one, volume_steps, cost, parts, ticket, why, mt5.DEAL_ENTRY_OUT_BY)
        self._take(other, volume_steps, own_cost, own_parts, ticket, why, mt5.DEAL_ENTRY_OUT_BY, with_profit=False)
        return Filled(ticket, deal, cost // parts)

    def set_levels(self, position: Position, sl_points: int, tp_points: int) -> None:
        position.sl_points, position.tp_points, position.update_utc_ms = sl_points, tp_points, self.now_utc_ms
        self.save()

    def charge_swap(self, position: Position, swap_cents: int) -> None:
        position.swap_cents += swap_cents
        self.save()

    def reopen(self, position: Position, price_points: int, why: Why) -> None:
        """Close at the market and open again at `price_points`: another ticket, the same identifier (swap modes 7 and 8)."""
        volume_steps = position.volume_steps
        self.leave(position, volume_steps, why)
        side = mt5.ORDER_TYPE_BUY if position.is_buy else mt5.ORDER_TYPE_SELL
        position.ticket = self._closing_order(position, volume_steps, price_points, why, kind=side)
        position.volume_steps, position.open_cost, position.open_parts = volume_steps, price_points, 1
        position.update_utc_ms = self.now_utc_ms
        self.kept.positions[position.ticket] = position
        entry, is_buy = mt5.DEAL_ENTRY_IN, position.is_buy
        self._record(position, position.ticket, entry, volume_steps, price_points, 1, 0, 0, why, is_buy=is_buy)

    def operate(self, kind: int, cents: int, comment: str) -> int:
        """A line that is no trade: deposit, correction, charge, dividend. Credit stands beside the balance."""
        if kind == mt5.DEAL_TYPE_CREDIT:
            self.kept.credit_cents += cents
        else:
            self.kept.balance_cents += cents
        self._append(
            Deal(
                0, 0, "", kind, mt5.DEAL_ENTRY_IN, 0, mt5.DEAL_REASON_CLIENT, 0, 0, 1, cents, 0, 0, 0, comment, self.now_utc_ms
            )
        )
        return self.kept.last_deal_ticket

    def save(self) -> None:
        if self._store is not None:
            self.kept.quotes = {
                symbol: (price.time_utc_ms, price.bid_points, price.ask_points) for symbol, price in self._prices.items()
            }
            write_durably(self._store, msgspec.msgpack.encode(self.kept))

    # -- how ------------------------------------------------------------------------------------------------------------

    def _open(self, order: Order, volume_steps: int, price_points: int, why: Why) -> int:
        known = self.kept.positions.get(order.ticket)
        if known is not None:  # the rest of an order that was filled in part
            return self._add(known, order, volume_steps, price_points, why)
        rate: Ratio = self._money.margin_rate(order.symbol) or (1, 1)
        position = Position(
            ticket=order.ticket,
            identifier=order.ticket,
            symbol=order.symbol,
            type=mt5.POSITION_TYPE_BUY if order.is_buy else mt5.POSITION_TYPE_SELL,
            volume_steps=volume_steps,
            open_cost=price_points,
            open_parts=1,
            sl_points=order.sl_points,
            tp_points=order.tp_points,
            magic=why.magic,
            reason=why.reason,
            comment=why.comment,
            time_utc_ms=self.now_utc_ms,
            update_utc_ms=self.now_utc_ms,
            margin_rate=rate,
        )
        self.kept.positions[position.ticket] = position
        return self._record(
            position, order.ticket, mt5.DEAL_ENTRY_IN, volume_steps, price_points, 1, 0, 0, why, is_buy=order.is_buy
        )

    def _add(self, held: Position, order: Order, volume_steps: int, price_points: int, why: Why) -> int:
        """The price becomes the average by volume; netting replaces stop and target, none clears them (metatrader5.md 3.2)."""
        total_steps = held.volume_steps + volume_steps
        held.open_cost = held.open_cost * held.volume_steps + price_points * volume_steps * held.open_parts
        held.open_parts *= total_steps
        held.volume_steps = total_steps
        if not self.account.is_hedging:
            held.sl_points, held.tp_points = order.sl_points, order.tp_points
        held.update_utc_ms = self.now_utc_ms
        _shorten(held)
        return self._record(held, order.ticket, mt5.DEAL_ENTRY_IN, volume_steps, price_points, 1, 0, 0, why, is_buy=held.is_buy)

    def _reverse(self, held: Position, order: Order, volume_steps: int, price_points: int, why: Why) -> int:
        """One deal, entry INOUT; the identifier stays, the ticket becomes the order's."""
        profit_cents = self._worth_cents(held, held.volume_steps, price_points, 1)
        swap_cents, held.swap_cents = held.swap_cents, 0
        del self.kept.positions[held.ticket]
        held.volume_steps = volume_steps - held.volume_steps
        held.ticket = order.ticket
        held.type = mt5.POSITION_TYPE_BUY if order.is_buy else mt5.POSITION_TYPE_SELL
        held.open_cost, held.open_parts = price_points, 1
        held.sl_points, held.tp_points = order.sl_points, order.tp_points
        held.magic, held.reason, held.comment = why.magic, why.reason, why.comment
        held.margin_rate = self._money.margin_rate(held.symbol) or (1, 1)
        held.time_utc_ms = held.update_utc_ms = self.now_utc_ms
        self.kept.positions[held.ticket] = held
        return self._record(
            held,
            order.ticket,
            mt5.DEAL_ENTRY_INOUT,
            volume_steps,
            price_points,
            1,
            profit_cents,
            swap_cents,
            why,
            is_buy=order.is_buy,
        )

    def _take(
        self,
        position: Position,
        volume_steps: int,
        cost: int,
        parts: int,
        order_ticket: int,
        why: Why,
        entry: int,
        *,
        with_profit: bool = True,
    ) -> int:
        """Take volume off at `cost / parts` points; swap leaves with the volume, in proportion."""
        profit_cents = self._worth_cents(position, volume_steps, cost, parts) if with_profit else 0
        swap_cents = position.swap_cents
        if volume_steps < position.volume_steps:
            swap_cents = position.swap_cents * volume_steps // position.volume_steps
            position.volume_steps -= volume_steps
            position.swap_cents -= swap_cents
            position.update_utc_ms = self.now_utc_ms
        else:
            del self.kept.positions[position.ticket]
            position.swap_cents = 0
        return self._record(
            position,
            order_ticket,
            entry,
            volume_steps,
            cost,
            parts,
            profit_cents,
            swap_cents,
            why,
            is_buy=not position.is_buy,
        )

    def _closing_order(
        self,
        position: Position,
        volume_steps: int,
        price_points: int,
        why: Why,
        *,
        kind: int | None = None,
        by: int = 0,
        rest_steps: int = 0,
        filling: int = mt5.ORDER_FILLING_FOK,
    ) -> int:
        """An order that is done already; its ticket."""
        side = mt5.ORDER_TYPE_SELL if position.is_buy else mt5.ORDER_TYPE_BUY
        order = Order(
            ticket=self.next_order_ticket(),
            symbol=position.symbol,
            type=side if kind is None else kind,
            volume_steps=volume_steps + rest_steps,
            volume_left_steps=rest_steps,
            price_points=price_points,
            stoplimit_points=0,
            sl_points=0,
            tp_points=0,
            type_filling=filling,
            type_time=mt5.ORDER_TIME_GTC,
            expiration_utc_ms=0,
            magic=why.magic,
            reason=why.reason,
            comment=why.comment,
            setup_utc_ms=self.now_utc_ms,
            position_id=position.identifier,
            position_by_id=by,
        )
        order.state = mt5.ORDER_STATE_CANCELED if rest_steps else mt5.ORDER_STATE_FILLED
        order.done_utc_ms = self.now_utc_ms
        self.kept.done_orders.append(order)
        del self.kept.done_orders[:-HISTORY_KEPT]
        return order.ticket

    def _worth_cents(self, position: Position, volume_steps: int, cost: int, parts: int) -> int:
        """Of a close at `cost / parts` points."""
        moved = position.sign * (cost * position.open_parts - position.open_cost * parts)
        return self._money.profit_cents(position.symbol, moved * volume_steps, position.open_parts * parts, cost // parts)

    def _record(
        self,
        position: Position,
        order_ticket: int,
        entry: int,
        volume_steps: int,
        cost: int,
        parts: int,
        profit_cents: int,
        swap_cents: int,
        why: Why,
        *,
        is_buy: bool,
    ) -> int:
        terms = self._symbols[position.symbol]
        charged_steps = self._charged_steps(terms, entry, volume_steps, position)
        commission_cents = -_ceil(terms.commission_cents_per_lot * charged_steps, terms.steps_per_lot)
        self.kept.balance_cents += profit_cents + commission_cents + swap_cents
        self._append(
            Deal(
                ticket=0,
                order=order_ticket,
                symbol=position.symbol,
                type=mt5.DEAL_TYPE_BUY if is_buy else mt5.DEAL_TYPE_SELL,
                entry=entry,
                position_id=position.identifier,
                reason=why.reason,
                volume_steps=volume_steps,
                price_cost=cost,
                price_parts=parts,
                profit_cents=profit_cents,
                commission_cents=commission_cents,
                swap_cents=swap_cents,
                magic=why.magic,
                comment=why.comment,
                time_utc_ms=self.now_utc_ms,
            )
        )
        return self.kept.last_deal_ticket

    @staticmethod
    def _charged_steps(terms: SymbolTerms, entry: int, volume_steps: int, position: Position) -> int:
        """Of a reversal, what it opened is charged going in, what it closed going out."""
        if terms.commission_on == "both":
            return volume_steps
        opened_steps = {mt5.DEAL_ENTRY_IN: volume_steps, mt5.DEAL_ENTRY_INOUT: position.volume_steps}.get(entry, 0)
        return opened_steps if terms.commission_on == "in" else volume_steps - opened_steps

    def _append(self, deal: Deal) -> None:
        self.kept.last_deal_ticket += 1
        self.kept.deals.append(msgspec.structs.replace(deal, ticket=self.kept.last_deal_ticket))
        del self.kept.deals[:-HISTORY_KEPT]
        self.save()


def _read(store: Path | None, symbols: Mapping[str, SymbolTerms]) -> Books | None:
    """What the file holds, None where there is none."""
    if store is None or not store.exists():
        return None
    try:
        kept = msgspec.msgpack.decode(store.read_bytes(), type=Books)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BookUnreadable(f"{store}: not a broker's book: {error}") from error
    for position in kept.positions.values():
        if position.symbol not in symbols:
            raise BookUnreadable(f"{store}: position {position.ticket} is in {position.symbol}, which is not configured")
    kept.orders = {ticket: order for ticket, order in kept.orders.items() if order.symbol in symbols}
    kept.quotes = {symbol: quote for symbol, quote in kept.quotes.items() if symbol in symbols}
    return kept


def _shorten(held: Position) -> None:
    """Keep the numbers of an average small."""
    common = math.gcd(held.open_cost, held.open_parts)
    held.open_cost, held.open_parts = held.open_cost // common, held.open_parts // common


def _ceil(numerator: int, denominator: int) -> int:
    return -(-numerator // denominator)
