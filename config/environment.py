"""Settings from outside a file: in environment variables, and in flags.

`EVENKEEL_SET__exit__retry_min_s=2` is `retry_min_s = 2` in `[exit]`, and so is `--set exit.retry_min_s=2`. The value is TOML;
what is none is text, so `off` needs no quotes. The key of a flag is TOML too.

In a variable two low lines stand between the names. The keys of the schema may be in capitals, as Windows hands them over, and
the name of a strategy or symbol is the one that another layer has, whatever its case. A name that a variable cannot hold is set
with the table above it: `EVENKEEL_SET__symbols='{"EURUSD.r" = {digits = 5}}'`.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple, get_args, get_origin

import msgspec

from evenkeel.config.findings import structs_of
from evenkeel.config.flag import FLAG
from evenkeel.config.locate import LINE_CHARACTERS_MAX, KeyPath, NotToml, parse
from evenkeel.config.schema import Config

PREFIX: Final = "EVENKEEL_SET__"
ALIKE: Final = "EVENKEEL_SET"
"""What begins so and is no setting is a slip: no other variable of evenkeel does."""
VARIABLES_MAX: Final = 1_000
FLAG_CHARACTERS_SHOWN: Final = 60


class Given(NamedTuple):
    """One setting. `wrong` says why it is none; then path and value are of no use."""

    name: str
    path: KeyPath = ()
    value: object = None
    wrong: str = ""


def variables(environment: Mapping[str, str], below: Mapping[str, Any]) -> list[Given]:
    """The settings among `environment`, outer tables first; `below` is what the layers under it set. Never raises."""
    names = sorted(name for name in environment if name.upper().startswith(ALIKE))
    if len(names) > VARIABLES_MAX:
        return [Given(PREFIX + "*", wrong=f"{len(names)} variables are more than {VARIABLES_MAX}")]
    found: list[Given] = []
    for name in names:
        one = _variable(name, environment[name], below)
        twin = next((other.name for other in found if other.path == one.path and not one.wrong), None)
        found.append(one if twin is None else Given(name, wrong=f"sets the same key as {twin}"))
    return sorted(found, key=lambda one: len(one.path))


def flags(texts: Iterable[str]) -> list[Given]:
    """The settings of `--set KEY=VALUE`, in their order: of two for one key the later one wins. Never raises."""
    return [_flag(text) for text in texts]


def _flag(text: str) -> Given:
    """What stands before the first "=" that ends a key is the key."""
    shown = f"{FLAG} {text if text.isprintable() else ascii(text)}"[:FLAG_CHARACTERS_SHOWN]
    if wrong := _unfit(text):
        return Given(shown, wrong=wrong)
    for at in (at for at, character in enumerate(text) if character == "="):
        try:
            table, _ = parse(f"{text[:at]} = 0")
        except NotToml:
            continue
        if path := _only_path(table):
            return Given(f"{FLAG} {text[:at].strip()}", path, _value(text[at + 1 :]))
    return Given(shown, wrong="is not TABLE.KEY=VALUE, as exit.time_stop_minutes=60")


def _only_path(table: Mapping[str, Any]) -> KeyPath | None:
    """Of a text with one key; None where a line break made it more than that."""
    path: list[str] = []
    here: Any = table
    while isinstance(here, Mapping):
        if len(here) != 1:
            return None
        ((key, here),) = here.items()
        path.append(key)
    return tuple(path) if path else None


def _variable(name: str, text: str, below: Mapping[str, Any]) -> Given:
    parts = name[len(PREFIX) :].split("__")
    if not name.upper().startswith(PREFIX) or not all(parts):
        return Given(name, wrong=f"is not a setting: those are named {PREFIX}TABLE__KEY")
    if wrong := _unfit(text):
        return Given(name, wrong=wrong)
    return Given(name, _path(parts, below), _value(text))


def _unfit(text: str) -> str:
    if len(text) > LINE_CHARACTERS_MAX:
        return f"is longer than {LINE_CHARACTERS_MAX} characters"
    try:
        text.encode()
    except UnicodeEncodeError:
        return "is not UTF-8 text"
    return ""


def _path(parts: list[str], below: Mapping[str, Any]) -> KeyPath:
    """`parts` as the schema, or a layer below, writes them."""
    path: list[str] = []
    kind: Any = Config
    here: Any = below
    for part in parts:
        if get_origin(kind) is dict:
            names = here if isinstance(here, Mapping) and part not in here else ()
            path.append(next((name for name in names if name.casefold() == part.casefold()), part))
            kind = get_args(kind)[1]
        elif structs := structs_of(kind):
            path.append(part.lower())
            fields = {field.encode_name: field.type for struct in structs for field in msgspec.structs.fields(struct)}
            kind = fields.get(path[-1])
        else:
            path.append(part)
        here = here.get(path[-1]) if isinstance(here, Mapping) else None
    return tuple(path)


def _value(text: str) -> object:
    try:
        table, _ = parse(f"value = {text}")
    except NotToml:
        return text
    return table["value"] if table.keys() == {"value"} else text
