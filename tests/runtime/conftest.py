"""Systems that end with their test, and silence: a child's crash is what these tests are about, no news."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from loguru import logger
from runtime_builders import Holds, Stepped, System, Threaded


@pytest.fixture(autouse=True)
def _silence() -> Iterator[None]:
    logger.disable("evenkeel")
    yield
    logger.enable("evenkeel")


@pytest.fixture
def threaded() -> Iterator[Callable[..., Threaded]]:
    """Boots children on real threads and ends them."""
    yield from _booted(Threaded)


@pytest.fixture
def holds(threaded: Callable[..., Threaded]) -> Iterator[Callable[..., Holds]]:
    """Makes trouble that is over before the system of the test ends."""
    made: list[Holds] = []

    def make(*, at: int) -> Holds:
        made.append(Holds(at=at))
        return made[-1]

    yield make
    for hold in made:
        hold.released.set()


@pytest.fixture(params=[Stepped, Threaded], ids=["stepped", "threaded"])
def boot(request: pytest.FixtureRequest) -> Iterator[Callable[..., System]]:
    """Boots children on either host: the test runs on both."""
    yield from _booted(request.param)


def _booted(kind: Callable[..., Any]) -> Iterator[Callable[..., Any]]:
    made: list[System] = []

    def make(*specs: Any, **options: Any) -> System:
        made.append(kind(*specs, **options))
        return made[-1]

    yield make
    for one in made:
        one.end()
