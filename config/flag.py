"""The flag that sets one key; a module of its own, for a command line is asked for its flags before anything else is loaded."""

from typing import Final

FLAG: Final = "--set"
