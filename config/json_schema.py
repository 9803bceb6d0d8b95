"""The JSON Schema of a configuration file, for editors that check and explain while one writes.

Draft 7, which taplo understands. It says what holds for one key: names, kinds, ranges. What holds between keys, whether a time
zone exists and whether a text looks like a secret is left to `load`. A file may leave out everything but a strategy's kind.
"""

import re
from typing import Any, Final

import msgspec

from evenkeel.config.load import packaged
from evenkeel.config.locate import KeyPath, parse
from evenkeel.config.schema import Config

DIALECT: Final = "http://json-schema.org/draft-07/schema#"
_ABSENT: Final = re.compile(r"(?m)^#(?=[a-z_]+ = |\[)")  # a setting of default.toml that is only shown
_COMMENT: Final = re.compile(r"""^(?:[^"'#]|"[^"]*"|'[^']*')*#\s*(.*)$""")


def json_schema() -> dict[str, Any]:
    """Of one file. The words about a key are those of default.toml."""
    found = msgspec.json.schema(Config, ref_template="#/definitions/{name}")
    definitions = {name: _plain(one) for name, one in found["$defs"].items()}
    for path, words in comments().items():
        _describe(definitions, path, words)
    top = definitions.pop("Config")
    return {"$schema": DIALECT, **top, "title": "A configuration of evenkeel", "definitions": definitions}


def comments() -> dict[KeyPath, str]:
    """What default.toml says behind each key, without the columns of the profiles."""
    text = _ABSENT.sub("", packaged("default.toml").read_text("utf-8"))
    lines, (_, places) = text.split("\n"), parse(text)
    found = {path: _COMMENT.match(lines[line - 1]) for path, line in places.items()}
    return {path: _without_columns(path, match[1]) for path, match in found.items() if match is not None}


def _without_columns(path: KeyPath, comment: str) -> str:
    """A limit's comment begins with its value in each of the four profiles, in columns; some have none."""
    if path[0] != "limits":
        return comment
    return re.sub(r"^\S+ +\S+ +\S+ +\S+ +(?=\S)", "", comment) if re.match(r"(off|[\d.]+)  ", comment) else comment


def _plain(one: Any) -> Any:
    """Without what is not Draft 7, or not true of a file that may leave out keys."""
    if isinstance(one, list):
        return [_plain(item) for item in one]
    if not isinstance(one, dict):
        return one
    kept = {key: _plain(value) for key, value in one.items() if key != "discriminator"}
    if "required" in kept:
        kept["required"] = [name for name in kept["required"] if name == "kind"]
    if isinstance(kept.get("pattern"), str):
        kept["pattern"] = kept["pattern"].replace(r"\A", "^").replace(r"\Z", "$")
    if isinstance(kept.get("description"), str):
        kept["description"] = " ".join(kept["description"].split())
    if "default" in kept and (kept["default"] is None or isinstance(kept["default"], dict)):
        del kept["default"]  # TOML has no null, and a table's defaults stand at its keys
    return kept


def _describe(definitions: dict[str, Any], path: KeyPath, words: str) -> None:
    """Puts `words` at the key; below a name of one's own choice at each of the tables that may stand there."""
    tables = [definitions["Config"]]
    for key in path[:-1]:
        tables = [below for table in tables for below in _below(definitions, table, key)]
    for table in tables:
        if path[-1] in table.get("properties", {}):
            table["properties"][path[-1]]["description"] = words


def _below(definitions: dict[str, Any], table: dict[str, Any], key: str) -> list[dict[str, Any]]:
    held = table.get("properties", {}).get(key, table.get("additionalProperties"))
    if not isinstance(held, dict):
        return []
    found = [held, *held.get("anyOf", ()), *held.get("allOf", ())]
    return [definitions[one["$ref"].rpartition("/")[2]] if "$ref" in one else one for one in found]
