"""Reads the configuration, checks all of it, and says everything that is wrong at once.

Layers, the later ones win: the profile's limits, default.toml, the user's file, the environment, flags (`--set`), overrides
(what other flags mean). Tables are merged key by key.

Exception
└── ConfigInvalid    a person mends the file or the command line; `.problems` holds every finding; nothing was started
"""

import hashlib
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from importlib.resources import files
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple, TypeAlias

import msgspec

from evenkeel.config.environment import flags as settings_in
from evenkeel.config.environment import variables
from evenkeel.config.findings import Finding, contradictions, dotted, wrong
from evenkeel.config.flag import FLAG
from evenkeel.config.limits import PROFILES, Profile
from evenkeel.config.locate import KeyPath, NotToml, parse, paths
from evenkeel.config.schema import Config

FILE_BYTES_MAX: Final = 256 * 1024
DEFAULT_PROFILE: Final[Profile] = "personal"

Table: TypeAlias = dict[str, Any]
Source: TypeAlias = Literal["default", "profile", "file", "environment", "command line"]


class Problem(msgspec.Struct, frozen=True):
    """One finding. `line` is None where no line holds it; `key` is the dotted path, empty when the file itself is at fault."""

    file: str
    line: int | None
    key: str
    text: str

    def __str__(self) -> str:
        place = self.file if self.line is None else f"{self.file}:{self.line}"
        key = "" if self.file == f"{FLAG} {self.key}" else self.key  # the flag has named it
        return ": ".join(part for part in (place, key, self.text) if part)


class ConfigInvalid(Exception):
    """The configuration cannot be used. The text is one line a problem."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(map(str, self.problems)))


class Setting(NamedTuple):
    """One value of a configuration and where it comes from.

    `place` is the profile, FILE:LINE, the variable's name, or the flag.
    """

    path: KeyPath
    value: object
    source: Source
    place: str


def load(
    path: Path | None,
    *,
    environment: Mapping[str, str] = {},
    flags: Sequence[str] = (),
    overrides: Mapping[str, object] = {},
) -> Config:
    """The configuration of `path` (None: the defaults alone), with what `environment` and `flags` set and `overrides` on top.

    An override's key is dotted ("account.name"); where a name holds a dot, give the table above it as a mapping. Variables and
    flags are written as config/environment.py says. Raises ConfigInvalid with every problem.
    """
    return _resolved(path, environment, flags, overrides)[0]


def settings(
    path: Path | None,
    *,
    environment: Mapping[str, str] = {},
    flags: Sequence[str] = (),
    overrides: Mapping[str, object] = {},
) -> Iterator[Setting]:
    """Every value of the configuration that `load` gives, in the order of the schema; raises what it raises, at once."""
    config, layers = _resolved(path, environment, flags, overrides)
    return (_setting(at, value, config, layers) for at, value in _leaves(msgspec.to_builtins(config), ()))


def _resolved(
    path: Path | None, environment: Mapping[str, str], flags: Sequence[str], overrides: Mapping[str, object]
) -> "tuple[Config, list[_Layer]]":
    default = tomllib.loads(packaged("default.toml").read_text("utf-8"))
    layers = [] if path is None else [_file_layer(path)]
    found = variables(environment, _merged(default, *(layer.table for layer in layers)))
    layers += [_layer("environment", one.name, _nested(one.path, one.value)) for one in found if not one.wrong]
    flagged = settings_in(flags)
    layers += [_layer("command line", one.name, _nested(one.path, one.value)) for one in flagged if not one.wrong]
    layers.append(_override_layer(overrides))
    merged = _merged(default, *(layer.table for layer in layers))
    alone = list(wrong(Config, _with_limits(merged), ()))
    wrong_paths = {finding.paths[0] for finding in alone}
    config = msgspec.convert(_with_limits(_without(merged, wrong_paths)), Config)
    between = [finding for finding in contradictions(config) if not _reads_any(finding, wrong_paths)]
    problems = [Problem(one.name, None, "", one.wrong) for one in (*found, *flagged) if one.wrong]
    if problems := [*problems, *(_problem(finding, layers) for finding in alone + between)]:
        raise ConfigInvalid(sorted(problems, key=lambda problem: (problem.file, problem.line or 0)))
    return config, layers


def _leaves(value: Any, at: KeyPath) -> Iterator[tuple[KeyPath, object]]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _leaves(inner, (*at, key))
    else:
        yield at, value


def _setting(at: KeyPath, value: object, config: Config, layers: "list[_Layer]") -> Setting:
    for layer in reversed(layers):
        if at in layer.lines:
            line = layer.lines[at]
            return Setting(at, value, layer.source, layer.name if line is None else f"{layer.name}:{line}")
    return Setting(at, value, "profile", config.profile) if at[0] == "limits" else Setting(at, value, "default", "")


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

    source: Source
    name: str
    table: Table
    lines: Mapping[KeyPath, int | None]


def _layer(source: Source, name: str, table: Table) -> _Layer:
    """One without lines."""
    return _Layer(source, name, table, dict.fromkeys(paths(table)))


def _file_layer(path: Path) -> _Layer:
    try:
        table, lines = parse(_text_of(path))
    except NotToml as error:
        raise _refused(path, str(error), error.line) from None
    return _Layer("file", str(path), table, lines)


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
    tables = [_nested(tuple(key.split(".")), value) for key, value in overrides.items()]
    return _layer("command line", "command line", _merged(*tables))


def _nested(path: KeyPath, value: object) -> Table:
    nested: Any = value
    for key in reversed(path):
        nested = {key: nested}
    return dict(nested)


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


def _reads_any(finding: Finding, wrong: Set[KeyPath]) -> bool:
    return any(read[: len(path)] == path for read in finding.paths for path in wrong)


def _problem(finding: Finding, layers: list[_Layer]) -> Problem:
    """Placed where the uppermost layer sets one of the keys, else at the nearest table above the first key."""
    first = finding.paths[0]
    above = [first[:length] for length in range(len(first) - 1, 0, -1)]
    for path in (*finding.paths, *above):
        for layer in reversed(layers):
            if path in layer.lines:
                return Problem(layer.name, layer.lines[path], dotted(first), finding.text)
    return Problem(layers[0].name, None, dotted(first), finding.text)
