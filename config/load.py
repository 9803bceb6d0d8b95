"""Reads the configuration, checks all of it, and says everything that is wrong at once.

Layers, the later ones win: the profile's limits, default.toml, the user's file, overrides. Tables are merged key by key.

Exception
└── ConfigInvalid    a person mends the file or the command line; `.problems` holds every finding; nothing was started
"""

import difflib
import hashlib
import operator
import re
import tomllib
import zoneinfo
from collections.abc import Iterable, Iterator, Mapping, Set
from importlib.resources import files
from itertools import pairwise
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeAlias, get_args, get_origin

import msgspec
from msgspec import inspect

from evenkeel.config.chains import ProfitBookingConfig
from evenkeel.config.circuit_breaker import STEPS
from evenkeel.config.limits import PROFILES, Profile
from evenkeel.config.locate import KeyPath, NotToml, parse, paths
from evenkeel.config.schema import Config, MaCrossConfig, PythonConfig, RsiConfig

FILE_BYTES_MAX: Final = 256 * 1024
DEFAULT_PROFILE: Final[Profile] = "personal"

Table: TypeAlias = dict[str, Any]

_SECRET: Final = re.compile(r"(password|passwd|passphrase|token|secret|apikey|(^|[_-])key)$", re.IGNORECASE)
_SIGNS: Final = {"gt": ">", "ge": ">=", "lt": "<", "le": "<="}  # by the name that msgspec and operator share


class Problem(msgspec.Struct, frozen=True):
    """One finding. `line` is None where no line holds it; `key` is the dotted path, empty when the file itself is at fault."""

    file: str
    line: int | None
    key: str
    text: str

    def __str__(self) -> str:
        place = self.file if self.line is None else f"{self.file}:{self.line}"
        return ": ".join(part for part in (place, self.key, self.text) if part)


class ConfigInvalid(Exception):
    """The configuration cannot be used. The text is one line a problem."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(map(str, self.problems)))


def load(path: Path | None, *, overrides: Mapping[str, object] = {}) -> Config:
    """The configuration of `path` (None: the defaults alone), with `overrides` on top; raises ConfigInvalid with every problem.

    An override's key is dotted ("account.name"); where a name holds a dot, give the table above it as a mapping.
    """
    layers = [_override_layer(overrides)] if path is None else [_file_layer(path), _override_layer(overrides)]
    default = tomllib.loads(packaged("default.toml").read_text("utf-8"))
    merged = _merged(default, *(layer.table for layer in layers))
    wrong = list(_wrong(Config, _with_limits(merged), ()))
    wrong_paths = {finding.paths[0] for finding in wrong}
    config = msgspec.convert(_with_limits(_without(merged, wrong_paths)), Config)
    between = [finding for finding in _contradictions(config) if not _reads_any(finding, wrong_paths)]
    if problems := [_problem(finding, layers) for finding in wrong + between]:
        raise ConfigInvalid(sorted(problems, key=lambda problem: (problem.file, problem.line or 0)))
    return config


def packaged(name: str) -> Path:
    """A configuration file that is shipped with the program: default.toml, demo.toml, plain.toml."""
    return Path(str(files("evenkeel.config") / name))


def canonical(config: Config) -> bytes:
    """JSON with sorted keys: equal configurations give equal bytes, wherever and however they were written."""
    return msgspec.json.encode(config, order="sorted")


def recorded(settings: str) -> Config:
    """The configuration in `canonical` JSON, as a journal holds it; what that version did not know is as the defaults are now.

    Raises ConfigInvalid when this version has no such key or value, and msgspec.DecodeError for what is not JSON.
    """
    return load(None, overrides=msgspec.json.decode(settings, type=dict[str, object]))


def identity(config: Config) -> str:
    """SHA-256 of `canonical`, in hex."""
    return hashlib.sha256(canonical(config)).hexdigest()


class _Layer(NamedTuple):
    """One source of settings, and the line of each of its keys."""

    name: str
    table: Table
    lines: Mapping[KeyPath, int | None]


class _Finding(NamedTuple):
    """What is wrong, and the keys that it was read from; the first is the one to mend."""

    paths: tuple[KeyPath, ...]
    text: str


def _file_layer(path: Path) -> _Layer:
    try:
        table, lines = parse(_text_of(path))
    except NotToml as error:
        raise _refused(path, str(error), error.line) from None
    return _Layer(str(path), table, lines)


def _text_of(path: Path) -> str:
    try:
        if not path.is_file():  # opening a pipe would wait for ever
            raise _refused(path, "is not a file" if path.exists() else "there is no such file")
        with path.open("rb") as file:
            data = file.read(FILE_BYTES_MAX + 1)
    except OSError as error:
        raise _refused(path, f"cannot be read: {error.strerror}") from None
    if len(data) > FILE_BYTES_MAX:
        raise _refused(path, f"is larger than {FILE_BYTES_MAX // 1024} KiB")
    try:
        return data.decode("utf-8-sig")  # editors on Windows put a byte order mark in front
    except UnicodeDecodeError as error:
        raise _refused(path, "is not UTF-8 text", data.count(b"\n", 0, error.start) + 1) from None


def _refused(path: Path, why: str, line: int | None = None) -> ConfigInvalid:
    return ConfigInvalid([Problem(str(path), line, "", why)])


def _override_layer(overrides: Mapping[str, object]) -> _Layer:
    table: Table = {}
    for dotted, value in overrides.items():
        nested: Any = value
        for key in reversed(dotted.split(".")):
            nested = {key: nested}
        table = _merged(table, nested)
    return _Layer("command line", table, dict.fromkeys(paths(table)))


def _merged(*tables: Mapping[str, Any]) -> Table:
    """The tables on top of each other, the last one wins; tables inside them are merged in the same way."""
    merged: Table = {}
    for table in tables:
        for key, value in table.items():
            below = merged.get(key)
            if isinstance(value, Mapping):
                merged[key] = _merged(below if isinstance(below, Mapping) else {}, value)
            else:
                merged[key] = value
    return merged


def _with_limits(table: Table) -> Table:
    """`table` over the limits of the profile that it names."""
    name = table.get("profile")
    profile = next((known for known in PROFILES if known == name), DEFAULT_PROFILE)
    return _merged({"profile": profile, "limits": msgspec.to_builtins(PROFILES[profile])}, table)


def _without(table: Table, wrong: Set[KeyPath], at: KeyPath = ()) -> Table:
    """`table` without the keys in `wrong`."""
    kept = {key: value for key, value in table.items() if (*at, key) not in wrong}
    return {key: _without(value, wrong, (*at, key)) if isinstance(value, dict) else value for key, value in kept.items()}


def _reads_any(finding: _Finding, wrong: Set[KeyPath]) -> bool:
    return any(read[: len(path)] == path for read in finding.paths for path in wrong)


def _problem(finding: _Finding, layers: list[_Layer]) -> Problem:
    """Placed where the uppermost layer sets one of the keys, else at the nearest table above the first key."""
    first = finding.paths[0]
    above = [first[:length] for length in range(len(first) - 1, 0, -1)]
    for path in (*finding.paths, *above):
        for layer in reversed(layers):
            if path in layer.lines:
                return Problem(layer.name, layer.lines[path], _dotted(first), finding.text)
    return Problem(layers[0].name, None, _dotted(first), finding.text)


def _dotted(path: KeyPath) -> str:
    return ".".join(key if re.fullmatch(r"[\w-]+", key, re.ASCII) else _shown(key) for key in path)


def _wrong(kind: Any, value: object, at: KeyPath) -> Iterator[_Finding]:
    """What keeps `value`, found at the path `at`, from being a `kind`. Each key is judged on its own."""
    if get_origin(kind) is dict:
        yield from _wrong_entries(kind, value, at)
    elif get_origin(kind) is tuple:
        yield from _wrong_items(get_args(kind)[0], value, at)
    elif structs := [one for one in get_args(kind) or (kind,) if isinstance(one, type) and issubclass(one, msgspec.Struct)]:
        yield from _wrong_table(structs, value, at)
    elif text := _wrong_value(kind, value):
        yield _Finding((at,), text)


def _wrong_table(structs: list[type[msgspec.Struct]], value: object, at: KeyPath) -> Iterator[_Finding]:
    """`structs` is one struct, or several told apart by their tag."""
    if not isinstance(value, Mapping):
        yield _Finding((at,), f"{_shown(value)} is not a table")
        return
    tag_field = structs[0].__struct_config__.tag_field
    tag = value.get(tag_field) if tag_field else None
    struct = next((one for one in structs if one.__struct_config__.tag == tag), None)
    if struct is None:
        tags = " or ".join(repr(one.__struct_config__.tag) for one in structs)
        yield _Finding((at,), f"{tag_field} is missing or unknown; it is {tags}")
        return
    known = {field.encode_name: field.type for field in msgspec.structs.fields(struct)}
    for key, inner in value.items():
        if key in known:
            yield from _wrong(known[key], inner, (*at, key))
        elif key != tag_field:
            yield from _unknown(key, inner, known, at)


def _unknown(key: str, value: object, known: Iterable[str], at: KeyPath) -> Iterator[_Finding]:
    """An unknown key, and every secret in it or below it. No text repeats the value."""
    unknown = [(key,), *((key, *path) for path in paths(value))]
    secrets = [path for path in unknown if _SECRET.search(path[-1])]
    for path in secrets:
        yield _Finding(((*at, *path),), "looks like a secret: a configuration holds names of secrets, never secrets")
    if (key,) not in secrets:
        yield _Finding(((*at, key),), f"is unknown{_did_you_mean(key, known)}")


def _wrong_entries(kind: Any, value: object, at: KeyPath) -> Iterator[_Finding]:
    if not isinstance(value, Mapping):
        yield _Finding((at,), f"{_shown(value)} is not a table")
        return
    name_kind, entry_kind = get_args(kind)
    for name, entry in value.items():
        if text := _wrong_value(name_kind, name):
            yield _Finding(((*at, name),), text)
        yield from _wrong(entry_kind, entry, (*at, name))


def _wrong_items(kind: Any, value: object, at: KeyPath) -> Iterator[_Finding]:
    if not isinstance(value, list | tuple):
        yield _Finding((at,), f"{_shown(value)} is not a list")
        return
    for number, item in enumerate(value, start=1):
        if text := _wrong_value(kind, item):
            yield _Finding((at,), f"item {number}: {text}")


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


def _contradictions(config: Config) -> Iterator[_Finding]:
    """What is wrong between keys that are each right. A limit may come from the profile, so that is read with it."""
    for relation, table, at, keys in _orders(config):
        above = [("profile",)] if at[0] == "limits" else []
        numbers = [(key, getattr(table, key)) for key in keys if getattr(table, key) != "off"]
        for (low_key, low), (high_key, high) in pairwise(numbers):
            if not getattr(operator, relation)(low, high):
                text = f"{low:g} is not {_SIGNS[relation]} {high_key}, which is {high:g}"
                yield _Finding(((*at, low_key), (*at, high_key), *above), text)
    for key in STEPS:
        steps = getattr(config.circuit_breaker, key)
        if steps != "off" and not all(low < high for low, high in pairwise(steps)):
            yield _Finding((("circuit_breaker", key),), f"{', '.join(f'{step:g}' for step in steps)} do not rise")
    if config.entry.volume_lots is None and config.limits.risk_per_trade_pct == "off":
        read = (("entry", "volume_lots"), ("limits", "risk_per_trade_pct"), ("profile",))
        yield _Finding(read, "nothing decides the volume: give it, or limits.risk_per_trade_pct")
    if no_zone := _wrong_zone(config.trading_calendar.zone):
        yield _Finding((("trading_calendar", "zone"),), no_zone)
    yield from _wrong_pyramid(config.profit_booking)
    for name, strategy in config.strategy.items():
        if isinstance(strategy, PythonConfig) and not strategy.object:
            yield _Finding((("strategy", name, "object"), ("strategy", name, "kind")), "is missing: the dotted name of a class")


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


def _wrong_pyramid(booking: ProfitBookingConfig) -> Iterator[_Finding]:
    at, levels = ("profit_booking",), len(booking.multipliers)
    if booking.multipliers[:1] != (1,):
        yield _Finding(((*at, "multipliers"),), "the first is 1: level 0 is the one order of the signal")
    beyond = [level for level in booking.levels_enabled if level >= levels]
    if beyond:
        text = f"level {beyond[0]} is not one of the {levels} of multipliers"
        yield _Finding(((*at, "levels_enabled"), (*at, "multipliers")), text)


def _wrong_zone(zone: str) -> str | None:
    try:
        zoneinfo.ZoneInfo(zone)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):  # no such name, a path, a folder of zones
        return f"{zone!r} is not a time zone{_did_you_mean(zone, zoneinfo.available_timezones())}"
    return None
