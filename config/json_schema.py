"""The JSON Schema of a configuration file, for editors that check and explain while one writes.

Draft 7, which taplo understands. It says what holds for one key: names, kinds, ranges. What holds between keys, whether a time
zone exists and whether a text looks like a secret is left to `load`. A file may leave out everything but a strategy's kind.
"""

from typing import Any, Final

import msgspec

from evenkeel.config.locate import KeyPath
from evenkeel.config.schema import Config, StrategyConfig
from evenkeel.config.written import comments

DIALECT: Final = "http://json-schema.org/draft-07/schema#"


def json_schema() -> dict[str, Any]:
    """Of one file. The words about a key are those of default.toml."""
    found = msgspec.json.schema(Config, ref_template="#/definitions/{name}")
    definitions = {name: _plain(one) for name, one in found["$defs"].items()}
    top = definitions.pop("Config")
    _describe(definitions, top, (), _for_every_kind(comments()))
    return {"$schema": DIALECT, **top, "title": "A configuration of evenkeel", "definitions": definitions}


def _for_every_kind(words: dict[KeyPath, str]) -> dict[KeyPath, str]:
    """With those of the first kind of strategy for what default.toml does not show of another one."""
    shared = {path[2]: said for path, said in reversed(words.items()) if path[0] == "strategy" and path[2:] != ("kind",)}
    own = {("strategy", "python", key): shared[key] for key in StrategyConfig.__struct_fields__ if key in shared}
    return own | words


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


def _describe(definitions: dict[str, Any], table: dict[str, Any], at: KeyPath, words: dict[KeyPath, str]) -> None:
    """Puts the words at each key of `table`, which stands at the path `at`, and of the tables below it."""
    for key, held in table["properties"].items():
        inner = held.get("additionalProperties")
        for one in [held, *(inner.get("anyOf", (inner,)) if isinstance(inner, dict) else ())]:
            if "$ref" in one:
                below = definitions[one["$ref"].rpartition("/")[2]]
                kind = below["properties"].get("kind", {"enum": [""]})["enum"][0]
                _describe(definitions, below, (*at, key) if one is held else (*at, key, kind), words)
        if (*at, key) in words:
            held["description"] = words[(*at, key)]
