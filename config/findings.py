"""What is wrong with a configuration: each key on its own, and keys that contradict each other."""

import difflib
import operator
import re
import zoneinfo
from collections.abc import Iterable, Iterator, Mapping
from itertools import pairwise
from typing import Any, Final, NamedTuple, get_args, get_origin

import msgspec
from msgspec import inspect

from evenkeel.config.chains import ProfitBookingConfig
from evenkeel.config.circuit_breaker import STEPS
from evenkeel.config.locate import KeyPath, paths
from evenkeel.config.notifier import OUTLETS_MAX, OutletConfig
from evenkeel.config.renamed import NOW
from evenkeel.config.schema import Config, MaCrossConfig, PythonConfig, RsiConfig
from evenkeel.config.units import NAMES_SECRET

_SECRET: Final = re.compile(r"(password|passwd|passphrase|token|secret|apikey|(^|[_-])key)$", re.IGNORECASE)
SECRET_TEXT: Final = "looks like a secret: a configuration holds names of secrets, never secrets"
_SIGNS: Final = {"gt": ">", "ge": ">=", "lt": "<", "le": "<="}  # by the name that msgspec and operator share


class Finding(NamedTuple):
    """What is wrong, and the keys that it was read from; the first is the one to mend."""

    paths: tuple[KeyPath, ...]
    text: str


def dotted(path: KeyPath) -> str:
    """As a person would write it in TOML."""
    return ".".join(key if re.fullmatch(r"[\w-]+", key, re.ASCII) else _shown(key) for key in path)


def structs_of(kind: Any) -> list[type[msgspec.Struct]]:
    """The structs that `kind` is, or is one of; none where it is a value."""
    return [one for one in get_args(kind) or (kind,) if isinstance(one, type) and issubclass(one, msgspec.Struct)]


def wrong(kind: Any, value: object, at: KeyPath) -> Iterator[Finding]:
    """What keeps `value`, found at the path `at`, from being a `kind`. Each key is judged on its own."""
    if get_origin(kind) is dict:
        yield from _wrong_entries(kind, value, at)
    elif get_origin(kind) is tuple:
        yield from _wrong_items(get_args(kind)[0], value, at)
    elif structs := structs_of(kind):
        yield from _wrong_table(structs, value, at)
    elif text := _wrong_value(kind, value):
        yield Finding((at,), f"{text}; {NOW[at]}" if at in NOW else text)


def _wrong_table(structs: list[type[msgspec.Struct]], value: object, at: KeyPath) -> Iterator[Finding]:
    """`structs` is one struct, or several told apart by their tag."""
    if not isinstance(value, Mapping):
        yield Finding((at,), f"{_shown(value)} is not a table")
        return
    tag_field = structs[0].__struct_config__.tag_field
    tag = value.get(tag_field) if tag_field else None
    struct = next((one for one in structs if one.__struct_config__.tag == tag), None)
    if struct is None:
        tags = " or ".join(repr(one.__struct_config__.tag) for one in structs)
        yield Finding((at,), f"{tag_field} is missing or unknown; it is {tags}")
        return
    known = {field.encode_name: field.type for field in msgspec.structs.fields(struct)}
    for key, inner in value.items():
        if key in known:
            yield from wrong(known[key], inner, (*at, key))
        elif key != tag_field:
            yield from _unknown(key, inner, known, at)


def _unknown(key: str, value: object, known: Iterable[str], at: KeyPath) -> Iterator[Finding]:
    """An unknown key, and every secret in it or below it. No text repeats the value."""
    unknown = [(key,), *((key, *path) for path in paths(value))]
    secrets = [path for path in unknown if _SECRET.search(path[-1])]
    for path in secrets:
        yield Finding(((*at, *path),), SECRET_TEXT)
    if (key,) not in secrets:
        now = NOW.get((*at, key))
        hint = f": {now}" if now else _did_you_mean(key, known)
        yield Finding(((*at, key),), f"is unknown{hint}")


def _wrong_entries(kind: Any, value: object, at: KeyPath) -> Iterator[Finding]:
    if not isinstance(value, Mapping):
        yield Finding((at,), f"{_shown(value)} is not a table")
        return
    name_kind, entry_kind = get_args(kind)
    for name, entry in value.items():
        if text := _wrong_value(name_kind, name):
            yield Finding(((*at, name),), text)
        if isinstance(entry, str) and _SECRET.search(name):
            yield Finding(((*at, name),), SECRET_TEXT)
        yield from wrong(entry_kind, entry, (*at, name))


def _wrong_items(kind: Any, value: object, at: KeyPath) -> Iterator[Finding]:
    if not isinstance(value, list | tuple):
        yield Finding((at,), f"{_shown(value)} is not a list")
        return
    for number, item in enumerate(value, start=1):
        if text := _wrong_value(kind, item):
            yield Finding((at,), f"item {number}: {text}")


def _wrong_value(kind: Any, value: object) -> str | None:
    if isinstance(value, int | float) and not abs(value) < 2**63:
        return "is not a finite number within 64 bits"
    try:
        msgspec.convert(value, kind)
    except msgspec.ValidationError:
        return _explained(inspect.type_info(kind), value)
    return None


def _explained(kind: inspect.Type, value: object) -> str:
    """Why `value`, which was refused, is not a `kind`: the bound that it breaks, or else what may stand there."""
    kinds = kind.types if isinstance(kind, inspect.UnionType) else (kind,)
    if any(isinstance(one, inspect.Metadata) and one.extra == NAMES_SECRET for one in kinds):
        return "is not a secret's name (small letters, digits, _): a configuration holds names of secrets, never secrets"
    for one in kinds:
        if isinstance(one, inspect.IntType | inspect.FloatType) and type(value) in (int, float):
            for name, sign in _SIGNS.items():
                bound = getattr(one, name)
                if bound is not None and not getattr(operator, name)(value, bound):
                    return f"{value} is not {sign} {bound:,.15g}"
    wanted = [_wanted(one) for one in kinds if not isinstance(one, inspect.NoneType)]
    return f"{_shown(value)} is not {' or '.join(wanted)}"


def _wanted(kind: inspect.Type) -> str:
    match kind:
        case inspect.IntType():
            return "a whole number"
        case inspect.FloatType():
            return "a number"
        case inspect.BoolType():
            return "true or false"
        case inspect.StrType(pattern=pattern):
            return "text like " + str(pattern).removeprefix(r"\A").removesuffix(r"\Z")
        case inspect.LiteralType(values=values):
            return " or ".join(map(repr, values))
        case inspect.VarTupleType(item_type=item, min_length=fewest, max_length=most):
            count = "" if fewest is None else f"{fewest} " if fewest == most else f"{fewest} to {most} "
            return f"a list of {count}{'names' if isinstance(item, inspect.StrType) else 'numbers'}"
        case _:
            raise AssertionError(f"the schema has a kind without words: {kind}")


def _shown(value: object) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case str():
            return repr(value if len(value) <= 60 else f"{value[:57]}...")
        case Mapping():
            return "a table"
        case list() | tuple():
            return "a list"
        case _:
            return str(value)


def _did_you_mean(word: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(word, known, n=1)
    return f"; did you mean {close[0]!r}?" if close else ""


def contradictions(config: Config) -> Iterator[Finding]:
    """What is wrong between keys that are each right. A limit may come from the profile, so that is read with it."""
    for relation, table, at, keys in _orders(config):
        above = [("profile",)] if at[0] == "limits" else []
        numbers = [(key, getattr(table, key)) for key in keys if getattr(table, key) != "off"]
        for (low_key, low), (high_key, high) in pairwise(numbers):
            if not getattr(operator, relation)(low, high):
                text = f"{low:g} is not {_SIGNS[relation]} {high_key}, which is {high:g}"
                yield Finding(((*at, low_key), (*at, high_key), *above), text)
    for key in STEPS:
        steps = getattr(config.circuit_breaker, key)
        if steps != "off" and not all(low < high for low, high in pairwise(steps)):
            yield Finding((("circuit_breaker", key),), f"{', '.join(f'{step:g}' for step in steps)} do not rise")
    if config.entry.volume_lots is None and config.limits.risk_per_trade_pct == "off":
        read = (("entry", "volume_lots"), ("limits", "risk_per_trade_pct"), ("profile",))
        yield Finding(read, "nothing decides the volume: give it, or limits.risk_per_trade_pct")
    if no_zone := _wrong_zone(config.trading_calendar.zone):
        yield Finding((("trading_calendar", "zone"),), no_zone)
    yield from _wrong_pyramid(config.profit_booking)
    for name in config.webhooks.strategies:
        if name not in config.strategy:
            text = f"{name!r} is no strategy here{_did_you_mean(name, config.strategy)}"
            yield Finding((("webhooks", "strategies"),), text)
    for name, strategy in config.strategy.items():
        if isinstance(strategy, PythonConfig) and not strategy.object:
            yield Finding((("strategy", name, "object"), ("strategy", name, "kind")), "is missing: the dotted name of a class")
    if len(config.notifier.outlet) > OUTLETS_MAX:
        yield Finding((("notifier", "outlet"),), f"has {len(config.notifier.outlet)} outlets, {OUTLETS_MAX} are allowed")
    for name, outlet in config.notifier.outlet.items():
        yield from _wrong_outlet(("notifier", "outlet", name), outlet)


def _orders(config: Config) -> Iterator[tuple[str, msgspec.Struct, KeyPath, tuple[str, ...]]]:
    """The keys of one table whose numbers must stand in this order; "off" takes no part."""
    limits, drawdown = config.limits, config.limits.drawdown
    steps = ("reduce_pct", "halve_pct", "close_only_pct", "flatten_pct")
    yield "le", config.exit, ("exit",), ("retry_min_s", "retry_max_s")
    yield "lt", config.journal, ("journal",), ("map_warn_pct", "map_stop_pct")
    yield "lt", config.journal, ("journal",), ("disk_stop_mb", "disk_warn_mb")
    yield "le", limits, ("limits",), ("day_loss_soft_pct", "day_loss_pct")
    yield "lt", drawdown, ("limits", "drawdown"), steps
    yield "le", drawdown, ("limits", "drawdown"), ("halve_to_ratio", "reduce_to_ratio")
    levels, losses = ("flatten_pct", "halve_pct", "hold_pct", "warn_pct"), ("reduce_after", "hold_after", "close_only_after")
    yield "lt", limits.margin_level, ("limits", "margin_level"), levels
    yield "le", limits.consecutive_losses, ("limits", "consecutive_losses"), losses
    yield "le", limits.rejects, ("limits", "rejects"), ("hold_minutes", "hold_minutes_max")
    for name, strategy in config.strategy.items():
        if isinstance(strategy, MaCrossConfig):
            yield "lt", strategy, ("strategy", name), ("fast", "slow")
        if isinstance(strategy, RsiConfig):
            yield "lt", strategy, ("strategy", name), ("low", "high")
    for name, symbol in config.symbols.items():
        yield "le", symbol, ("symbols", name), ("volume_min_lots", "volume_max_lots")


def _wrong_pyramid(booking: ProfitBookingConfig) -> Iterator[Finding]:
    at, levels = ("profit_booking",), len(booking.multipliers)
    if booking.multipliers[:1] != (1,):
        yield Finding(((*at, "multipliers"),), "the first is 1: level 0 is the one order of the signal")
    beyond = [level for level in booking.levels_enabled if level >= levels]
    if beyond:
        text = f"level {beyond[0]} is not one of the {levels} of multipliers"
        yield Finding(((*at, "levels_enabled"), (*at, "multipliers")), text)


def _wrong_outlet(at: KeyPath, outlet: OutletConfig) -> Iterator[Finding]:
    if outlet.kind == "program" and not (outlet.command and outlet.command[0]):
        yield Finding(((*at, "command"), (*at, "kind")), "is missing: a program and its arguments")
    if outlet.kind == "webhook" and outlet.shape in ("telegram", "ntfy") and not outlet.to:
        what = "the number of a chat" if outlet.shape == "telegram" else "a topic"
        yield Finding(((*at, "to"), (*at, "shape")), f"is missing: {what}")


def _wrong_zone(zone: str) -> str | None:
    try:
        zoneinfo.ZoneInfo(zone)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):  # no such name, a path, a folder of zones
        return f"{zone!r} is not a time zone{_did_you_mean(zone, zoneinfo.available_timezones())}"
    return None
