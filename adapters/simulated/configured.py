"""The simulated account that a configuration describes: its money, its symbols, its market."""

import math
from fractions import Fraction
from pathlib import Path

import msgspec

from evenkeel.adapters.mt5 import constants as mt5
from evenkeel.adapters.simulated.account_file import COMMON_SYMBOLS, MarketTerms, Opened, TerminalTerms, read_account
from evenkeel.adapters.simulated.server.terms import AccountTerms, Assumptions, SymbolTerms
from evenkeel.config.schema import Config
from evenkeel.rules.symbols import spec_for, typical_price


def opened_of(config: Config) -> Opened:
    """The account file of the configuration, or an account of its own. Raises AccountFileInvalid or UnknownSymbol."""
    terminal = config.terminal
    if terminal.account_file:
        opened = read_account(Path(terminal.account_file))
        return opened if not terminal.play else replace_play(opened, terminal.play)
    account = config.account
    traded = dict.fromkeys(symbol for strategy in config.strategy.values() for symbol in strategy.symbols)
    symbols = {**COMMON_SYMBOLS, **{name: _symbol(name, config) for name in (*traded, *config.symbols)}}
    rates = {
        terms.currency_profit: one.account_per_quote
        for name, one in config.symbols.items()
        if one.account_per_quote is not None and (terms := symbols[name])
    }
    return Opened(
        AccountTerms(
            currency=account.currency,
            currency_digits=account.currency_digits,
            start_balance_cents=round(account.start_balance * 10**account.currency_digits),
            leverage=account.leverage,
        ),
        Assumptions(),
        TerminalTerms(),
        MarketTerms(seed=config.simulated.seed, quote_every_s=config.simulated.quote_every_s, play=terminal.play),
        symbols,
        rates,
    )


def replace_play(opened: Opened, play: str) -> Opened:
    return msgspec.structs.replace(opened, market=msgspec.structs.replace(opened.market, play=play))


def _symbol(name: str, config: Config) -> SymbolTerms:
    """As the configuration has it, over the common symbol of that name."""
    spec = spec_for(name, config)
    base = COMMON_SYMBOLS.get(name) or SymbolTerms(
        name=name,
        currency_base=name[:3],
        currency_profit=name[3:6] or config.account.currency,
        currency_margin=name[:3],
        calc_mode=mt5.SYMBOL_CALC_MODE_FOREX if len(name) == 6 else mt5.SYMBOL_CALC_MODE_CFDLEVERAGE,
    )
    price = typical_price(name, config) or Fraction(base.typical_price_points, 10**base.digits)
    return msgspec.structs.replace(
        base,
        digits=spec.digits,
        contract_size=spec.contract_size,
        steps_per_lot=spec.steps_per_lot,
        volume_min_steps=spec.volume_min_steps,
        volume_max_steps=spec.volume_max_steps,
        stops_level_points=spec.stops_level_points,
        commission_cents_per_lot=spec.commission_cents_per_lot,
        typical_spread_points=spec.typical_spread_points,
        typical_price_points=max(1, math.floor(price * 10**spec.digits)),
    )
