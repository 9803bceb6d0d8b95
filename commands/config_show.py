"""`evenkeel config show`: every setting with its value, and where it comes from."""

import argparse
import sys

import msgspec

from evenkeel.commands.configured import configured_settings
from evenkeel.commands.exit_codes import CONFIG_INVALID, OK
from evenkeel.config.findings import dotted
from evenkeel.config.load import ConfigInvalid, Problem, Setting, Source
from evenkeel.config.written import toml_key, toml_value


class Row(msgspec.Struct, frozen=True):
    """`value` is null where the setting is absent. `place`: the profile, FILE:LINE, the variable's name, or the flag."""

    key: str
    value: object
    source: Source
    place: str


class Shown(msgspec.Struct, frozen=True):
    """What `--json` prints."""

    valid: bool
    settings: tuple[Row, ...] = ()
    problems: tuple[Problem, ...] = ()
    v: int = 1


def run(arguments: argparse.Namespace) -> int:
    try:
        found = list(configured_settings(arguments))
    except ConfigInvalid as invalid:
        if arguments.json:
            _print_json(Shown(valid=False, problems=invalid.problems))
        else:
            print(invalid, file=sys.stderr)
        return CONFIG_INVALID
    if arguments.json:
        rows = tuple(Row(dotted(one.path), one.value, one.source, one.place) for one in found)
        _print_json(Shown(valid=True, settings=rows))
    else:
        print(astoml_value(found, with_origin=arguments.origin))
    return OK


def astoml_value(found: list[Setting], *, with_origin: bool) -> str:
    """A file that is the same configuration; what is absent stands in it as a comment."""
    tables: dict[tuple[str, ...], list[tuple[str, str]]] = {}
    for one in found:
        rows = tables.setdefault(one.path[:-1], [])
        rows.append((_line(one), f"  # {_origin(one)}" if with_origin else ""))
    width = max(len(line) for rows in tables.values() for line, origin in rows if len(line) <= _WIDTH)
    text: list[str] = []
    for path, rows in tables.items():
        text += ["", f"[{'.'.join(map(toml_key, path))}]"] if path else []
        text += [f"{line.ljust(width)}{origin}".rstrip() for line, origin in rows]
    return "\n".join(text)


_WIDTH = 60
"""A longer line does not move the origins of the others."""


def _print_json(shown: Shown) -> None:
    print(msgspec.json.encode(shown).decode())


def _line(one: Setting) -> str:
    key = toml_key(one.path[-1])
    return f"# {key} is absent" if one.value is None else f"{key} = {toml_value(one.value)}"


def _origin(one: Setting) -> str:
    if one.source == "profile":
        return f"profile {one.place}"
    return one.source if one.source == "command line" else one.place or one.source
