"""The package, real or simulated: loaded where it is used, connected, and asked who it is."""

import importlib
from typing import Any, Final, NamedTuple, Protocol, TypeVar

from evenkeel.adapters.mt5 import constants as mt5

DEAD: Final = frozenset(
    {
        mt5.RES_E_INTERNAL_FAIL_SEND,
        mt5.RES_E_INTERNAL_FAIL_RECEIVE,
        mt5.RES_E_INTERNAL_FAIL_INIT,
        mt5.RES_E_INTERNAL_FAIL_CONNECT,
        mt5.RES_E_INTERNAL_FAIL_TIMEOUT,
    }
)
"""After one of these only `initialize` helps: the call in flight fails with -10002, every later one with -10004."""
MARGIN_MODES: Final = {
    mt5.ACCOUNT_MARGIN_MODE_RETAIL_NETTING: "netting",
    mt5.ACCOUNT_MARGIN_MODE_EXCHANGE: "exchange",
    mt5.ACCOUNT_MARGIN_MODE_RETAIL_HEDGING: "hedging",
}
TRADE_MODES: Final = {
    mt5.ACCOUNT_TRADE_MODE_DEMO: "demo",
    mt5.ACCOUNT_TRADE_MODE_CONTEST: "contest",
    mt5.ACCOUNT_TRADE_MODE_REAL: "real",
}

T = TypeVar("T")


class PackageMissing(Exception):
    """The official package is not installed, or not for this system."""


class NotConnected(Exception):
    """`initialize` failed: code and text of the last error."""


class Package(Protocol):
    """Whatever has the names of the package; they have no types there either."""

    def __getattr__(self, name: str) -> Any: ...


class Identity(NamedTuple):
    """Who the terminal says that it is. A trade mode that is not known counts as real."""

    login: int
    server: str
    path: str
    trade_mode: str
    margin_mode: str
    currency: str
    currency_digits: int


class Expected(NamedTuple):
    """What the configuration demands; None demands nothing. `real_login` None: no real account at all."""

    login: int | None = None
    server: str | None = None
    path: str | None = None
    real_login: int | None = None
    margin_mode: str = "hedging"


def load() -> Package:
    """The official package. Raises PackageMissing."""
    try:
        return importlib.import_module("MetaTrader5")
    except ImportError as error:
        raise PackageMissing(f"the package MetaTrader5 cannot be loaded: {error}; it exists for Windows only") from error


def connect(package: Package, *, path: str, timeout_ms: int) -> None:
    """Once a connection: it is costly, and closes the one that is there. Raises NotConnected."""
    done = package.initialize(path, timeout=timeout_ms) if path else package.initialize(timeout=timeout_ms)
    if not done:
        code, text = package.last_error()
        raise NotConnected(f"({code}) {text}")


def identity_of(package: Package) -> Identity | None:
    """None: it cannot say."""
    account, terminal = package.account_info(), package.terminal_info()
    if account is None or terminal is None:
        return None
    return Identity(
        account.login,
        account.server,
        terminal.path,
        TRADE_MODES.get(account.trade_mode, "real"),
        MARGIN_MODES.get(account.margin_mode, "unknown"),
        account.currency,
        account.currency_digits,
    )


def mismatch(identity: Identity | None, expected: Expected) -> str | None:
    """Why no order may be sent there; None: it is the account of the configuration."""
    if identity is None:
        return "the terminal does not say which account it is on"
    if expected.login is not None and identity.login != expected.login:
        return f"the terminal is on login {identity.login}, the configuration names {expected.login}"
    if expected.server is not None and identity.server != expected.server:
        return f"the terminal is on server {identity.server}, the configuration names {expected.server}"
    if expected.path is not None and plain_path(identity.path) != plain_path(expected.path):
        return f"the terminal is the one in {identity.path}, the configuration names {expected.path}"
    if identity.trade_mode != "demo" and identity.trade_mode != "contest" and identity.login != expected.real_login:
        return f"login {identity.login} is a real account and not written in the configuration as [terminal] real_login"
    if identity.margin_mode != expected.margin_mode:
        return f"the account is {identity.margin_mode}, not {expected.margin_mode}"
    return None


def plain_path(path: str) -> str:
    """Without case and without the program's own name."""
    plain = path.replace("/", "\\").rstrip("\\").casefold()
    return plain.removesuffix("\\terminal64.exe")
