"""What an exit status means; stable, so that scripts and service managers may rely on it."""

from typing import Final

OK: Final = 0
FAILED: Final = 1
"""It was tried. Of run, backup, restore, drill and verify also: a journal or a backup is not what was written."""
USAGE: Final = 2
"""A flag or an input is wrong; nothing was done."""
NOT_RUNNING: Final = 3
REFUSED: Final = 4
"""Not now, or not this: another process owns the account, another backup is being taken, what was named is no backup."""
OUTCOME_UNKNOWN: Final = 5
"""No answer in time: it may have been done."""
CONFIG_INVALID: Final = 6
RESTART: Final = 75
"""Ended by a fault that a fresh process may not have: a service manager starts it again."""
INTERRUPTED: Final = 130
