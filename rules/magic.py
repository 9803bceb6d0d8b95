"""The number that marks an order as ours: application, installation, and a count that is never used twice.

Below 2**53, so that it survives JSON and MQL5's signed integers (metatrader5 3.5).
"""

from typing import Final

APPLICATION: Final = 0x45
_INSTALLATION_BITS: Final = 20
_NUMBER_BITS: Final = 24
NUMBER_MAX: Final = (1 << _NUMBER_BITS) - 1
INSTALLATION_MAX: Final = (1 << _INSTALLATION_BITS) - 1


def magic_for(installation: int, number: int) -> int:
    assert 0 <= installation <= INSTALLATION_MAX, f"installation {installation} needs more than {_INSTALLATION_BITS} bits"
    assert 0 < number <= NUMBER_MAX, f"intent {number} is beyond the {NUMBER_MAX} that an installation may send"
    return ((APPLICATION << _INSTALLATION_BITS | installation) << _NUMBER_BITS) | number


def is_ours(magic: int, installation: int) -> bool:
    """Sent by this installation; another installation's orders are as foreign as a person's."""
    return magic >> _NUMBER_BITS == APPLICATION << _INSTALLATION_BITS | installation


def number_of(magic: int) -> int:
    return magic & NUMBER_MAX
