"""The number that marks an order as ours: application, installation, and a count that is never used twice; and the comment
that says the same in letters, for brokers that lose numbers.

Below 2**53, so that it survives JSON and MQL5's signed integers (metatrader5 3.5).
"""

import re
from typing import Final

APPLICATION: Final = 0x45
_INSTALLATION_BITS: Final = 20
_NUMBER_BITS: Final = 24
NUMBER_MAX: Final = (1 << _NUMBER_BITS) - 1
OPENS_NUMBER_MAX: Final = NUMBER_MAX - 1
"""The last number an open may have; the one above it is shared by all closes and stops that come when none is left."""
RESTORED_JUMP: Final = 1_000_000
"""So far the count jumps when the journal came out of a backup: nobody knows how many were used since (I7)."""
INSTALLATION_MAX: Final = (1 << _INSTALLATION_BITS) - 1
COMMENT_CHARACTERS_MAX: Final = 16

_CHECKS: Final = "0123456789abcdefg"
_COMMENT: Final = re.compile(r"ek([0-9a-f]{5})([0-9a-f]{6})([0-9a-g])")


def magic_for(installation: int, number: int) -> int:
    assert 0 <= installation <= INSTALLATION_MAX, f"installation {installation} needs more than {_INSTALLATION_BITS} bits"
    assert 0 < number <= NUMBER_MAX, f"intent {number} is beyond the {NUMBER_MAX} that an installation may send"
    return ((APPLICATION << _INSTALLATION_BITS | installation) << _NUMBER_BITS) | number


def is_ours(magic: int, installation: int) -> bool:
    """Sent by this installation; another installation's orders are as foreign as a person's."""
    return magic >> _NUMBER_BITS == APPLICATION << _INSTALLATION_BITS | installation


def number_of(magic: int) -> int:
    return magic & NUMBER_MAX


def comment_for(magic: int) -> str:
    """14 letters: application, installation, number, and one that tells whether the others are whole."""
    text = f"{magic >> _NUMBER_BITS & INSTALLATION_MAX:05x}{number_of(magic):06x}"
    return f"ek{text}{_check(text)}"


def magic_in(comment: str) -> int:
    """The magic that a comment of ours names, wherever it stands in the text; 0 where there is none, or not all of it."""
    found = _COMMENT.search(comment)
    if found is None or _check(found[1] + found[2]) != found[3] or not int(found[2], 16):
        return 0
    return magic_for(int(found[1], 16), int(found[2], 16))


def _check(text: str) -> str:
    """One wrong letter, or two that changed places, give another letter: every weight is another remainder of a prime."""
    return _CHECKS[sum(weight * int(letter, 16) for weight, letter in enumerate(text, start=1)) % len(_CHECKS)]
