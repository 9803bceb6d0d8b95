"""Where an order comes from: of a signal, or of an earlier trade's end (trading_rules 1.1)."""

from typing import Final

from evenkeel.config.chains import Orders
from evenkeel.config.schema import Config
from evenkeel.messages.entry import Lineage, OrderKind

OF_ORDER_B: Final = "/b"
OF_HEDGE: Final = "/s"
_STARTS_RECOVERY: Final = frozenset({OrderKind.TP_TRAIL.value, OrderKind.TP_CONTINUATION.value})
_RECOVERY: Final = frozenset({OrderKind.SL_RECOVERY.value, OrderKind.PROFIT_RECOVERY.value})


def orders_of(config: Config, strategy: str) -> Orders:
    """What a signal of `strategy` opens; of one that is not configured, a person's say, a single order."""
    return config.strategy[strategy].orders if strategy in config.strategy else "single"


def plugins(config: Config) -> tuple[str, ...]:
    """The strategies whose signals open chains, in the order of the configuration."""
    return tuple(name for name, strategy in config.strategy.items() if strategy.orders != "single")


def has_chains(config: Config) -> bool:
    return bool(plugins(config))


def opens_pyramids(config: Config, strategy: str) -> bool:
    """Its signals open an order B."""
    return config.strategy[strategy].orders in ("pyramid", "dual")


def has_pyramids(config: Config) -> bool:
    """Some signal may open an order B, or a hedge its second order."""
    is_hedged = has_chains(config) and config.shield.hedge.enabled
    return is_hedged or any(opens_pyramids(config, name) for name in config.strategy)


def is_fresh(lineage: Lineage) -> bool:
    """It comes of a signal, not of an earlier trade's end: it counts as a trade, and cooldowns hold it."""
    return lineage.parent_ticket == 0 and lineage.level == 0


def signal_of(chain_id: str) -> str:
    """What the chains of orders A and B of one signal have in common: order B's is named after order A's."""
    return chain_id.removesuffix(OF_ORDER_B)


def hedge_of(chain_id: str, ticket: int) -> str:
    """The chain of the two legs that hedge a chain after `ticket` of it was stopped."""
    return f"{chain_id}{OF_HEDGE}{ticket}"


def budget_chain(chain_id: str) -> str:
    """The chain whose budget pays: the legs of a hedge count in the chain that is hedged."""
    return chain_id.partition(OF_HEDGE)[0]


def starts_recovery(kind: str) -> bool:
    """A stop of an order of this kind may be recovered; one of any other never (trading_rules 1.6)."""
    return kind in _STARTS_RECOVERY


def is_recovery(kind: str) -> bool:
    return kind in _RECOVERY
