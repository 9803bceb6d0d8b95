"""Whatever is asked of the simulated server, in whatever order: the books add up after each step.

Balance is the sum of the deals, to the cent; equity and margin are computed here once more, by fractions and from the positions
alone; volumes are never negative; tickets are never given twice.
"""

from fractions import Fraction
from math import ceil
from typing import Any

import msgspec
from hypothesis import settings
from hypothesis import strategies as some
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from evenkeel.adapters.mt5 import constants as mt5
from evenkeel.adapters.simulated.account_file import COMMON_SYMBOLS
from evenkeel.adapters.simulated.server.records import Position, Request
from evenkeel.adapters.simulated.server.server import TradeServer
from evenkeel.adapters.simulated.server.terms import AccountTerms, Assumptions

MONDAY_UTC_MS = 1_767_571_200_000
CONTRACT = 100_000
SYMBOLS = {
    name: msgspec.structs.replace(COMMON_SYMBOLS[name], commission_cents_per_lot=350, stops_level_points=5)
    for name in ("EURUSD", "USDJPY", "EURJPY")
}
SIZE = {"EURUSD": 10**5, "USDJPY": 10**3, "EURJPY": 10**3}
STEPS = some.sampled_from([-1, 0, 1, 3, 10, 37, 100, 250, None])
NAMES = some.sampled_from(sorted(SYMBOLS))


class AnyStory(RuleBasedStateMachine):
    margin_mode = mt5.ACCOUNT_MARGIN_MODE_RETAIL_HEDGING

    def __init__(self) -> None:
        super().__init__()
        account = AccountTerms(start_balance_cents=300_000, margin_mode=self.margin_mode, orders_max=20)
        self.server = TradeServer(account, SYMBOLS, Assumptions(hedged_margin="full", server_zone="EET"))
        self.now_utc_ms = MONDAY_UTC_MS
        self.bids = {"EURUSD": 108_500, "USDJPY": 151_000, "EURJPY": 163_800}
        for name in SYMBOLS:
            self.server.on_quote(name, self.now_utc_ms, self.bids[name], self.bids[name] + 10)

    @rule(name=NAMES, move=some.integers(-400, 400), spread=some.integers(0, 60), hours=some.sampled_from([0, 0, 0, 1, 9, 30]))
    def quote(self, name: str, move: int, spread: int, hours: int) -> None:
        self.now_utc_ms += 1_000 + hours * 3_600_000
        self.bids[name] = max(50_000, self.bids[name] + move)
        self.server.on_quote(name, self.now_utc_ms, self.bids[name], self.bids[name] + spread)

    @rule(name=NAMES, jump=some.sampled_from([-20_000, -3_000, 3_000, 20_000]))
    def gap(self, name: str, jump: int) -> None:
        self.quote(name, jump, 200, 0)

    @rule(
        name=NAMES,
        kind=some.integers(0, 8),
        action=some.sampled_from([1, 1, 1, 5, 5, 6, 7, 8, 10, 99]),
        steps=STEPS,
        away=some.integers(-300, 300),
        sl=some.integers(-200, 200),
        tp=some.integers(-200, 200),
        filling=some.integers(0, 3),
        when=some.integers(0, 3),
        data=some.data(),
    )
    def ask(
        self,
        name: str,
        kind: int,
        action: int,
        steps: int | None,
        away: int,
        sl: int,
        tp: int,
        filling: int,
        when: int,
        data: Any,
    ) -> None:
        held, orders = sorted(self.server.book.positions), sorted(self.server.book.orders)
        tickets = some.sampled_from([0, 0, 77, *held, *held])
        price = self.bids[name] + away
        self.server.send(
            Request(
                action,
                name,
                steps,
                price,
                price + sl // 2,
                price + sl if sl else 0,
                price + tp if tp else 0,
                deviation=5,
                type=kind % 2 if action == 1 else kind,
                type_filling=filling,
                type_time=when,
                expiration_server_s=self.now_utc_ms // 1000 + 20_000,
                order=data.draw(some.sampled_from([0, *orders])),
                position=data.draw(tickets),
                position_by=data.draw(tickets),
            )
        )

    @rule(name=NAMES, steps=some.sampled_from([1, 10]), kind=some.integers(0, 1), executed=some.booleans())
    def answered_before_it_is_known(self, name: str, steps: int, kind: int, executed: bool) -> None:
        placed = self.server.place(Request(mt5.TRADE_ACTION_DEAL, name, steps, type=kind))
        self.quote(name, steps, 10, 0)
        self.server.end_placed(placed.order, executed=executed)

    @rule(name=NAMES, mode=some.sampled_from([0, 1, 2, 3, 4, 4, 4]), liquidity=some.sampled_from([0, 0, 5]))
    def the_broker_changes_its_terms(self, name: str, mode: int, liquidity: int) -> None:
        terms = self.server.symbols[name]
        self.server.replace_terms(msgspec.structs.replace(terms, trade_mode=mode, liquidity_steps=liquidity))

    @rule(cents=some.integers(-50_000, 50_000), kind=some.sampled_from([2, 3, 4, 5, 7]))
    def operation(self, cents: int, kind: int) -> None:
        self.server.book.operate(kind, cents, "by hand")
        self.server.arm()

    @invariant()
    def the_balance_is_the_sum_of_the_deals(self) -> None:
        kept = self.server.book.kept
        money = sum(deal.net_cents for deal in kept.deals if deal.type != mt5.DEAL_TYPE_CREDIT)
        credit = sum(deal.net_cents for deal in kept.deals if deal.type == mt5.DEAL_TYPE_CREDIT)
        assert kept.balance_cents == 300_000 + money
        assert kept.credit_cents == credit

    @invariant()
    def equity_and_margin_come_out_the_same_when_computed_apart(self) -> None:
        state, positions = self.server.state(), list(self.server.book.positions.values())
        floating = sum(self.profit_cents(one) + one.swap_cents for one in positions)
        assert state.equity_cents == self.server.book.kept.balance_cents + self.server.book.kept.credit_cents + floating
        margin = sum(
            ceil(Fraction(one.volume_steps * CONTRACT, 100 * 100) * 100 * Fraction(*one.margin_rate)) for one in positions
        )
        assert state.margin_cents == margin

    def profit_cents(self, one: Position) -> int:
        price = self.server.prices[one.symbol]
        now = price.bid_points if one.type == mt5.POSITION_TYPE_BUY else price.ask_points
        sign = 1 if one.type == mt5.POSITION_TYPE_BUY else -1
        quoted = sign * (now - Fraction(one.open_cost, one.open_parts)) * one.volume_steps * CONTRACT / (100 * SIZE[one.symbol])
        if one.symbol == "EURUSD":
            exact = quoted * 100
        elif one.symbol == "USDJPY":
            exact = quoted * 100 * SIZE["USDJPY"] / now
        else:  # yen into dollars: sold at the ask, bought at the bid of USDJPY
            yen = self.server.prices["USDJPY"]
            exact = quoted * 100 * SIZE["USDJPY"] / (yen.ask_points if quoted > 0 else yen.bid_points)
        size = (2 * abs(exact) + 1) // 2
        return int(size) if exact >= 0 else -int(size)

    @invariant()
    def nothing_is_negative_and_no_ticket_is_given_twice(self) -> None:
        kept = self.server.book.kept
        assert all(one.volume_steps > 0 for one in kept.positions.values())
        assert all(0 <= one.volume_left_steps <= one.volume_steps for one in [*kept.orders.values(), *kept.done_orders])
        deals = [deal.ticket for deal in kept.deals]
        assert deals == sorted(set(deals))
        orders = [order.ticket for order in [*kept.done_orders, *kept.orders.values()]]
        assert len(orders) == len(set(orders))

    @invariant()
    def what_every_position_took_and_gave_is_its_volume(self) -> None:
        if self.margin_mode != mt5.ACCOUNT_MARGIN_MODE_RETAIL_HEDGING:
            return
        kept = self.server.book.kept
        volumes: dict[int, int] = {}
        for deal in kept.deals:
            if deal.symbol:
                sign = 1 if deal.entry == mt5.DEAL_ENTRY_IN else -1
                volumes[deal.position_id] = volumes.get(deal.position_id, 0) + sign * deal.volume_steps
        held = {one.identifier: one.volume_steps for one in kept.positions.values()}
        assert {identifier: volume for identifier, volume in volumes.items() if volume} == held

    @invariant()
    def the_account_is_above_its_stop_out(self) -> None:
        state = self.server.state()
        assert not self.server.book.positions or 2 * state.equity_cents >= state.margin_cents - 2


class AnyNettingStory(AnyStory):
    margin_mode = mt5.ACCOUNT_MARGIN_MODE_RETAIL_NETTING


TestAnyStory = AnyStory.TestCase
TestAnyStory.settings = settings(max_examples=40, stateful_step_count=40, deadline=None)
TestAnyNettingStory = AnyNettingStory.TestCase
TestAnyNettingStory.settings = settings(max_examples=40, stateful_step_count=40, deadline=None)
