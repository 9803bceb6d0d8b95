"""What stands between a terminal and trading, one finding a question, each with what to do about it. Only reads."""

from collections.abc import Iterator, Sequence
from typing import Any, Final, Literal

import msgspec

from evenkeel.adapters.mt5 import constants as mt5
from evenkeel.adapters.mt5.module import Expected, Package, identity_of, mismatch
from evenkeel.adapters.mt5.server_time import FRESH_MS, STEP_MS
from evenkeel.adapters.mt5.translate import Trading, Untranslatable, filling_of, spec_of

_FILLINGS: Final = {mt5.ORDER_FILLING_FOK: "FOK", mt5.ORDER_FILLING_IOC: "IOC", mt5.ORDER_FILLING_RETURN: "RETURN"}
_EXECUTIONS: Final = {0: "Request", 1: "Instant", 2: "Market", 3: "Exchange"}
_SUFFIXES_SHOWN: Final = 5


class Finding(msgspec.Struct, frozen=True):
    """`state` "bad": nothing can be traded until it is mended; "odd": it works, look at it."""

    name: str
    state: Literal["good", "odd", "bad"]
    text: str
    remedy: str = ""


def examine(package: Package, expected: Expected, symbols: Sequence[str], now_utc_ms: int) -> Iterator[Finding]:
    """Of a package that is connected."""
    yield _version(package)
    yield from _terminal(package)
    yield from _account(package, expected)
    newest = 0
    for name in symbols:
        yield from _symbol(package, name)
        tick = package.symbol_info_tick(name)
        newest = max(newest, 0 if tick is None else tick.time_msc)
    yield _clock(newest, now_utc_ms)


def _version(package: Package) -> Finding:
    version = package.version()
    if version is None:
        return Finding("terminal", "bad", _error(package), "start the terminal and log in; then ask again")
    return Finding(
        "terminal", "good", f"build {version[1]} of {version[2]}, package {getattr(package, '__version__', 'unknown')}"
    )


def _terminal(package: Package) -> Iterator[Finding]:
    info = package.terminal_info()
    if info is None:
        yield Finding("terminal", "bad", _error(package), "start the terminal and log in; then ask again")
        return
    yield Finding("path", "good", info.path or "the terminal tells none")
    yield _is(
        info.connected, "broker link", "connected", "the terminal has no link to its broker", "look at its lower right corner"
    )
    button = "press Algo Trading in its tool bar, or start it with a profile in which it is on"
    yield _is(info.trade_allowed, "algo button", "automatic trading is on", "automatic trading is off (10027)", button)
    option = "Tools, Options, Expert Advisors: allow automatic trading via the external Python API"
    yield _is(not info.tradeapi_disabled, "python api", "allowed", "trading through Python is disabled (-8)", option)


def _account(package: Package, expected: Expected) -> Iterator[Finding]:
    identity = identity_of(package)
    wrong = mismatch(identity, expected)
    if identity is None or wrong is not None:
        text = wrong or "unknown"
        yield Finding("account", "bad", text, "log the terminal in to the configured account, or change [terminal]")
    else:
        text = (
            f"login {identity.login} at {identity.server}, {identity.trade_mode}, {identity.margin_mode}, {identity.currency}"
        )
        yield Finding("account", "good", text)
    info = package.account_info()
    if info is None:
        return
    investor = "log in with the trading password, not the investor's"
    yield _is(info.trade_allowed, "trading", "allowed for the account", "forbidden for the account (10017)", investor)
    asks = "ask the broker whether the account may be traded by programs"
    yield _is(info.trade_expert, "experts", "allowed by the server", "forbidden by the server (10026)", asks)


def _symbol(package: Package, name: str) -> Iterator[Finding]:
    info = package.symbol_info(name)
    if info is None:
        near = [one.name for one in package.symbols_get(f"*{name[:6]}*") or ()][:_SUFFIXES_SHOWN]
        hint = f"this broker writes it {' or '.join(near)}: use that name" if near else "look for its name in the Market Watch"
        yield Finding(name, "bad", "no such symbol", hint)
        return
    if not info.visible and not package.symbol_select(name, True):
        yield Finding(name, "bad", f"cannot be selected: {_error(package)}", "show it in the Market Watch")
        return
    if info.trade_mode != mt5.SYMBOL_TRADE_MODE_FULL:
        yield Finding(name, "bad", f"trade mode {info.trade_mode}: not open to both directions", "ask the broker")
    try:
        filling = filling_of(Trading(info.trade_exemode, info.filling_mode))
        spec = spec_of(info, spec_id=1, currency_digits=2, commission_cents_per_lot=0)
    except (Untranslatable, ZeroDivisionError) as error:
        yield Finding(name, "bad", str(error), "wait for a quote; if it stays so, the broker's terms cannot be traded")
        return
    execution = _EXECUTIONS.get(info.trade_exemode, str(info.trade_exemode))
    worth = spec.worth.numerator / spec.worth.denominator / 100
    text = (
        f"{execution} execution, {_FILLINGS[filling]} filling (mask {info.filling_mode}), {info.digits} digits, "
        f"a point of a lot {worth:g}, stops level {info.trade_stops_level}, spread {info.spread}"
    )
    zero = info.trade_stops_level == 0
    remedy = "a stops level of 0 may mean that it floats: the first order on a demo account tells" if zero else ""
    yield Finding(name, "odd" if zero else "good", text, remedy)


def _clock(newest_ms: int, now_utc_ms: int) -> Finding:
    difference_ms = newest_ms - now_utc_ms
    offset_ms = round(difference_ms / STEP_MS) * STEP_MS
    if not newest_ms or not -FRESH_MS <= difference_ms - offset_ms <= 2_000:
        return Finding(
            "clock offset", "odd", "no fresh quote: the broker's clock cannot be told now", "ask again while the market is open"
        )
    return Finding(
        "clock offset",
        "good",
        f"UTC{offset_ms / 3_600_000:+g} h, the newest quote {(offset_ms - difference_ms) / 1000:.1f} s old",
    )


def _is(good: bool, name: str, yes: str, no: str, remedy: str) -> Finding:
    return Finding(name, "good", yes) if good else Finding(name, "bad", no, remedy)


def _error(package: Package) -> str:
    code, text = package.last_error()
    return f"({code}) {text}"


def plain(finding: Finding) -> str:
    """One line, and the remedy below it."""
    mark: dict[str, Any] = {"good": "ok ", "odd": "?? ", "bad": "NO "}
    return f"{mark[finding.state]} {finding.name:14} {finding.text}" + (
        f"\n    {'':14} {finding.remedy}" if finding.remedy else ""
    )
