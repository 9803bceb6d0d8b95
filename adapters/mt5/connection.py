"""The connection to the terminal: made, made again after it died, and whose account it is on."""

import functools
import threading
from collections.abc import Callable
from typing import Final, ParamSpec, TypeVar

from loguru import logger

from evenkeel.adapters.mt5.module import DEAD, Expected, Identity, NotConnected, Package, connect, identity_of, mismatch
from evenkeel.adapters.mt5.server_time import OffsetUnknown

RECONNECT_AFTER_S: Final = 5.0

_ODD: Final = (ValueError, ArithmeticError, KeyError, AttributeError, TypeError, SystemError, OffsetUnknown)
"""What comes of an answer that fits nothing: numbers that are none, fields that are missing, the package's own errors."""

P = ParamSpec("P")
R = TypeVar("R")


def readable(read: Callable[P, R | None]) -> Callable[P, R | None]:
    """A reading that cannot be understood is one that could not be made: None."""

    @functools.wraps(read)
    def guarded(*arguments: P.args, **keywords: P.kwargs) -> R | None:
        try:
            return read(*arguments, **keywords)
        except _ODD as error:
            logger.warning("{} cannot be read: {}: {}", read.__name__, type(error).__name__, error)
            return None

    return guarded


class Connection:
    """`lock` is held by whoever calls `package`. `refusal` says why nothing may be opened there; None: it may."""

    def __init__(
        self, package: Package, expected: Expected, *, path: str, timeout_ms: int, monotonic_s: Callable[[], float]
    ) -> None:
        self.package, self._expected = package, expected
        self._path, self._timeout_ms, self._monotonic_s = path, timeout_ms, monotonic_s
        self.lock = threading.RLock()
        self._tried_s: float | None = None
        self.identity: Identity | None = None
        self.refusal: str | None = "not connected yet"

    def connect(self) -> None:
        """Raises NotConnected. A wrong account is connected all the same."""
        with self.lock:
            self._tried_s = self._monotonic_s()
            connect(self.package, path=self._path, timeout_ms=self._timeout_ms)
            self.identity = identity_of(self.package)
            self.refusal = mismatch(self.identity, self._expected)
            if self.refusal is not None:
                logger.error("no new positions: {}", self.refusal)
            else:
                logger.info("login {} at {}: ready", *self.who())

    def who(self) -> tuple[int, str]:
        """Login and server, as the terminal last said them."""
        return (0, "") if self.identity is None else (self.identity.login, self.identity.server)

    def check_identity(self) -> str | None:
        """Why nothing may be opened, asked anew."""
        with self.lock:
            identity = identity_of(self.package)
            if identity is None:
                self.died()
                self.refusal = "the terminal does not say which account it is on"
            else:
                self.identity, self.refusal = identity, mismatch(identity, self._expected)
            return self.refusal

    def died(self) -> bool:
        """After a failed call: is the connection gone? Then it is made again, at most every five seconds."""
        code, text = self.package.last_error()
        if code not in DEAD:
            return False
        self.refusal = f"the connection to the terminal is lost: ({code}) {text}"
        now_s = self._monotonic_s()
        if self._tried_s is None or now_s - self._tried_s >= RECONNECT_AFTER_S:
            try:
                self.connect()
            except NotConnected as error:
                logger.warning("the terminal cannot be reached: {}", error)
        return True

    def is_linked(self) -> bool:
        """The terminal reaches its broker."""
        terminal = self.package.terminal_info()
        return terminal is not None and bool(terminal.connected)
