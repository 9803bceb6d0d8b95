"""What an exit status means; stable, so that scripts and service managers may rely on it."""

from typing import Final

OK: Final = 0
FAILED: Final = 1
USAGE: Final = 2
"""A flag or an input is wrong; nothing was done."""
NOT_RUNNING: Final = 3
REFUSED: Final = 4
OUTCOME_UNKNOWN: Final = 5
"""No answer in time: it may have been done."""
CONFIG_INVALID: Final = 6
DIFFERS: Final = 9
"""`evenkeel replay`: today's code or configuration decides something else than the journal holds."""
RESTART: Final = 75
"""Ended by a fault that a fresh process may not have: a service manager starts it again."""
INTERRUPTED: Final = 130
