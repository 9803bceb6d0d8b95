"""Positions, orders and deals as the package shows them: floats, and the server's clock."""

from typing import Any

from evenkeel.adapters.simulated import structs
from evenkeel.adapters.simulated.server.records import Deal, Order, Position
from evenkeel.adapters.simulated.server.terms import SymbolTerms
from evenkeel.adapters.simulated.session import Session


class Shown:
    def __init__(self, session: Session) -> None:
        self._session = session

    def position(self, held: Position) -> Any:
        server, terms = self._session.server, self._terms(held.symbol)
        price = server.prices.get(held.symbol)
        now_points = price.exit_points(held.is_buy) if price else 0
        time_ms, update_ms = server.clock.server_ms(held.time_utc_ms), server.clock.server_ms(held.update_utc_ms)
        opened = round(held.open_cost / held.open_parts / 10**terms.digits, terms.digits + (3 if held.open_parts > 1 else 0))
        return structs.TradePosition(
            [
                *(held.ticket, time_ms // 1000, time_ms, update_ms // 1000, update_ms),
                *(held.type, held.magic, held.identifier, held.reason),
                *(held.volume_steps / terms.steps_per_lot, opened),
                *(
                    price_of(held.sl_points, terms.digits),
                    price_of(held.tp_points, terms.digits),
                    price_of(now_points, terms.digits),
                ),
                *(self.money(held.swap_cents), self.money(server.book.profit_cents(held))),
                *(held.symbol, held.comment, ""),
            ]
        )

    def order(self, order: Order) -> Any:
        server, terms = self._session.server, self._terms(order.symbol)
        price = server.prices.get(order.symbol)
        setup_ms, done_ms = server.clock.server_ms(order.setup_utc_ms), order.done_utc_ms
        done_ms = server.clock.server_ms(done_ms) if done_ms else 0
        expires_s = server.clock.server_ms(order.expiration_utc_ms) // 1000 if order.expiration_utc_ms else 0
        points = [order.price_points, order.sl_points, order.tp_points]
        points += [price.entry_points(order.is_buy) if price else 0, order.stoplimit_points]
        volumes = [order.volume_steps / terms.steps_per_lot, order.volume_left_steps / terms.steps_per_lot]
        return structs.TradeOrder(
            [
                *(order.ticket, setup_ms // 1000, setup_ms, done_ms // 1000, done_ms, expires_s),
                *(order.type, order.type_time, order.type_filling, order.state),
                *(order.magic, order.position_id, order.position_by_id, order.reason),
                *volumes,
                *(price_of(one, terms.digits) for one in points),
                *(order.symbol, order.comment, ""),
            ]
        )

    def deal(self, deal: Deal) -> Any:
        digits, steps = 0, 1
        if deal.symbol:
            digits, steps = self._terms(deal.symbol).digits, self._terms(deal.symbol).steps_per_lot
        time_ms = self._session.server.clock.server_ms(deal.time_utc_ms)
        price = round(deal.price_cost / deal.price_parts / 10**digits, digits + (3 if deal.price_parts > 1 else 0))
        money = (deal.commission_cents, deal.swap_cents, deal.profit_cents, 0)
        return structs.TradeDeal(
            [
                *(deal.ticket, deal.order, time_ms // 1000, time_ms, deal.type, deal.entry),
                *(deal.magic, deal.position_id, deal.reason),
                *(deal.volume_steps / steps, price),
                *map(self.money, money),
                *(deal.symbol, deal.comment, ""),
            ]
        )

    def money(self, cents: int) -> float:
        digits = self._session.server.account.currency_digits
        return float(round(cents / 10**digits, digits))

    def _terms(self, symbol: str) -> SymbolTerms:
        return self._session.server.symbols[symbol]


def price_of(points: int, digits: int) -> float:
    return float(round(points / 10**digits, digits))
