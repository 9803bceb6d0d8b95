"""Live systems in this process, and waiting for what they do: real threads and real processes take real time."""

import itertools
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from loguru import logger

from evenkeel.adapters.os import AccountLock
from evenkeel.adapters.state_folder import StateFolder
from evenkeel.commands.inside import Inside, Market, inside, synthetic_market
from evenkeel.commands.live import LiveSystem
from evenkeel.config.load import load

START_UTC_MS = 1_767_600_000_000
LOOK_EVERY_S = 0.01
LOOKS_MAX = 6_000
Found = TypeVar("Found")


def until(look: Callable[[], Found | None]) -> Found:
    """What `look` finds, as soon as that is neither None nor False; fails after a minute."""
    pause = threading.Event()
    for _ in range(LOOKS_MAX):
        found = look()
        if found is not None and found is not False:
            return found
        pause.wait(LOOK_EVERY_S)
    raise AssertionError("waited a minute in vain")


@contextmanager
def live_system(
    root: Path, overrides: Mapping[str, object], *, speed: float, is_over: Callable[[], bool] = lambda: False
) -> Iterator[LiveSystem]:
    """On the synthetic market, its state below `root`; once it `is_over` no quote comes any more."""
    folder = StateFolder(root, "simulated")
    folder.create()
    logger.disable("evenkeel")

    def market_of(system: LiveSystem, made: Inside) -> Market:
        market = synthetic_market(system, made, speed=speed, start_utc_ms=START_UTC_MS, is_live=False)
        return market._replace(quotes=itertools.takewhile(lambda _: not is_over(), market.quotes))

    with AccountLock(folder.lock):
        made = LiveSystem(load(None, overrides=overrides), folder, inside(market_of), on_fatal=lambda reason: None)
        made.boot()
        yield made
        made.stop("the test")
    logger.enable("evenkeel")
