"""Scenarios: what a market, a broker and a terminal do wrong, and when, as data with a name.

A pack is a TOML file in packs/, played from the opening of the account: [[market]] bends prices, [[broker]] changes account,
symbols and positions, [[call]] makes calls fail. Seconds are of market time.
"""

import tomllib
from importlib import resources
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

from evenkeel.adapters.simulated.faults import Call

Seconds = Annotated[float, Meta(ge=0, le=10_000_000)]
FOREVER_S: Final = 10_000_000.0
_FOLDER: Final = "packs"


class PackUnknown(Exception):
    """No pack of that name; names those there are."""


class _Table(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    pass


class MarketEvent(_Table, frozen=True):
    """What happens to the quotes of `symbols` (none named: of all) from `from_s` to `to_s`.

    shift: the price moves by `percent`, evenly over the time, and stays there. spread: `times` as wide. silence: no quotes.
    frozen: the last quote again and again. crossed: bid above ask. zero: prices of 0. backwards: stamped `seconds` earlier.
    future: stamped `seconds` later. burst: each quote `times` times, one millisecond apart. repeat: each quote twice.
    jitter: `percent` up and down in turn, with a period of `seconds`.
    """

    kind: Literal["shift", "spread", "silence", "frozen", "crossed", "zero", "backwards", "future", "burst", "repeat", "jitter"]
    from_s: Seconds = 0.0
    to_s: Seconds = FOREVER_S
    symbols: tuple[str, ...] = ()
    percent: Annotated[float, Meta(ge=-99, le=1000)] = 0.0
    times: Annotated[float, Meta(ge=0, le=100_000)] = 1.0
    seconds: Seconds = 0.0


class BrokerEvent(_Table, frozen=True):
    """What somebody does at the server or the terminal at `at_s`. `value` is cents, lots, points or a number, by kind; moved
    stops go so many points away from the price. `digits` may only become fewer."""

    kind: Literal[
        "deposit",
        "correction",
        "credit",
        "dividend",
        "commission",
        "person_opens",
        "person_closes_all",
        "person_closes_half",
        "person_removes_stops",
        "person_moves_stops",
        "broker_closes_all",
        "algo_button",
        "connected",
        "trade_allowed",
        "trade_expert",
        "api_disabled",
        "login",
        "server_name",
        "trade_mode_of_account",
        "margin_mode",
        "restart",
        "trade_mode",
        "execution",
        "digits",
        "contract_size",
        "stops_level",
        "freeze_level",
        "filling_mask",
        "volume_step",
        "margin_ratio",
        "tick_value",
        "liquidity",
        "spec_removed",
        "history_lag_ms",
        "visible_lag_ms",
        "server_zone",
    ]
    at_s: Seconds = 0.0
    symbol: str = ""
    value: float | str | bool = 0.0


class CallEvent(_Table, frozen=True):
    """What goes wrong with calls between `from_s` and `to_s`: every one of them, the `nth` one alone (from 1), or a share
    `rate` of them, drawn with the account's seed.

    lost_before, lost_after: no reply; not executed, executed. late: no reply, executed `seconds` later at the price then.
    placed: answered 10008, executed `seconds` later; placed_refused: answered 10008, never executed. retcode: answered `code`,
    not executed.
    unreadable: None. empty: an empty tuple. hang: `seconds` until it answers. dead: the connection breaks, then there is none.
    slip: filled `points` worse. no_magic, no_comment: the server loses them.
    """

    kind: Literal[
        "lost_before",
        "lost_after",
        "late",
        "placed",
        "placed_refused",
        "retcode",
        "unreadable",
        "empty",
        "hang",
        "dead",
        "slip",
        "no_magic",
        "no_comment",
    ]
    on: tuple[Call, ...]
    from_s: Seconds = 0.0
    to_s: Seconds = FOREVER_S
    nth: Annotated[int, Meta(ge=0, le=1_000_000)] = 0
    rate: Annotated[float, Meta(gt=0, le=1)] = 1.0
    code: Annotated[int, Meta(ge=10_000, le=11_000)] = 10006
    seconds: Seconds = 0.0
    points: Annotated[int, Meta(ge=0, le=1_000_000)] = 0


class Pack(_Table, frozen=True):
    """`covers` are identifiers of reliability.md: F1 to F33, PM2 to PM20. `expect` says what a good client does."""

    title: str
    covers: tuple[str, ...]
    expect: str
    market: tuple[MarketEvent, ...] = ()
    broker: tuple[BrokerEvent, ...] = ()
    call: tuple[CallEvent, ...] = ()


def names() -> list[str]:
    return sorted(path.name.removesuffix(".toml") for path in _files().iterdir() if path.name.endswith(".toml"))


def pack(name: str) -> Pack:
    """Raises PackUnknown."""
    if name not in names():
        raise PackUnknown(f"no scenario {name!r}; there are: {', '.join(names())}")
    return msgspec.convert(tomllib.loads(_files().joinpath(f"{name}.toml").read_text(encoding="utf-8")), Pack)


def _files() -> resources.abc.Traversable:
    return resources.files("evenkeel.adapters.simulated").joinpath(_FOLDER)
