"""The house of the process stories."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from house import House, houses


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    yield from houses(tmp_path)
