"""What an exit status means; stable, so that scripts and service managers may rely on it."""

from typing import Final, NamedTuple

OK: Final = 0
FAILED: Final = 1
"""It was tried. Of run, backup, restore, drill and verify also: a journal or a backup is not what was written; of
check-strategy and `data check`: something was found; of health: something alarms, or cannot tell."""
USAGE: Final = 2
NOT_RUNNING: Final = 3
REFUSED: Final = 4
"""Not now, or not this: another process owns the account, another backup is being taken, what was named is no backup."""
OUTCOME_UNKNOWN: Final = 5
CONFIG_INVALID: Final = 6
DIFFERS: Final = 9
"""`evenkeel replay`: today's code or configuration decides something else than the journal holds."""
RESTART: Final = 75
INTERRUPTED: Final = 130


class Meaning(NamedTuple):
    """`restart`: a fresh process may do better, so a service manager starts it again; after all others a person looks."""

    status: int
    text: str
    restart: bool = False


MEANINGS: Final = (
    Meaning(OK, "done"),
    Meaning(FAILED, "failed: what is on disk is not what was written, or parts had to be left behind at the end"),
    Meaning(USAGE, "a flag or an input is wrong; nothing was done"),
    Meaning(NOT_RUNNING, "no supervisor runs"),
    Meaning(REFUSED, "refused: another process owns the account, or a rule says no"),
    Meaning(OUTCOME_UNKNOWN, "no answer in time: it may have been done"),
    Meaning(CONFIG_INVALID, "the configuration is invalid"),
    Meaning(DIFFERS, "`replay`: the present code or configuration decides something otherwise"),
    Meaning(RESTART, "ended by a fault that a fresh process may not have", restart=True),
    Meaning(INTERRUPTED, "interrupted"),
)


def asks_for_restart(status: int) -> bool:
    """Of a process that has ended; a negative status is the signal that ended it, and no end in order."""
    return status < 0 or any(meaning.restart for meaning in MEANINGS if meaning.status == status)
