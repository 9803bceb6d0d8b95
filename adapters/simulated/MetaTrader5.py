"""The official package's names, on a simulated terminal: `from evenkeel.adapters.simulated import MetaTrader5 as mt5`.

`initialize()` opens a demo account (USD, hedging, 1:100) on a seeded market that is open at any hour;
`initialize("account.toml")` opens another. Differences to the real one that are known stand in server/terms.py (`Assumptions`).
"""

from typing import Any

from evenkeel.adapters.simulated.api import MetaTrader5Like

_package = MetaTrader5Like()


def __getattr__(name: str) -> Any:
    return getattr(_package, name)


def __dir__() -> list[str]:
    return dir(_package)
