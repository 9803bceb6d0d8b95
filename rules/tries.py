"""How often a chain asks for one thing that it does not get, and how long it waits in between."""

from typing import Final

TRIES_MAX: Final = 3
"""So often one order is asked for, each time as a new signal."""


def back_off_ms(tries: int) -> int:
    """After the `tries`-th try: 1, 2, 4 s."""
    return 1000 << (tries - 1)
