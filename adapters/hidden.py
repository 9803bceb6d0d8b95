"""Words that nobody may read: the values of environment variables whose names say so, and what else was hidden on purpose.

An error of foreign code may hold one (a refused request shows its address, and a token in it), so whatever an error says is
shown through here before it reaches a log, the journal or a terminal.
"""

import os
import re
from collections.abc import Mapping
from typing import Final

from evenkeel.config.environment import PREFIX

SHORTEST: Final = 8
"""Shorter ones hide nothing, and would be found in the middle of other words."""
SHOWN: Final = "***"
_NAME: Final = re.compile(
    r"SECRET|TOKEN|PASSWORD|PASSWD|PASSPHRASE|CREDENTIAL|API_?KEY|PRIVATE_?KEY|ACCESS_?KEY", re.IGNORECASE
)


class Hidden:
    """What is hidden in this process; grows by `hide`."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        """`X_FILE` is the name of a file, no secret, and a setting of the configuration never is one."""
        self._secrets: tuple[str, ...] = ()
        for name, value in environment.items():
            if _NAME.search(name) and not name.upper().endswith("_FILE") and not name.startswith(PREFIX):
                self.hide(value)

    def hide(self, secret: str) -> None:
        """From now on nobody reads it. The longest are replaced first: one may be a part of another."""
        if len(secret) >= SHORTEST and secret not in self._secrets:
            self._secrets = tuple(sorted([*self._secrets, secret], key=len, reverse=True))

    def shown(self, text: str) -> str:
        """`text` with SHOWN for each secret in it. From any thread."""
        for secret in self._secrets:
            text = text.replace(secret, SHOWN)
        return text


HIDDEN: Final = Hidden(os.environ)
"""What is hidden in this process."""
