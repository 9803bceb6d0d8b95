"""How settings are written in TOML, and the words that default.toml has for each."""

import json
import re
from typing import Final

from evenkeel.config.load import packaged
from evenkeel.config.locate import KeyPath, parse

_ABSENT: Final = re.compile(r"(?m)^#(?=[a-z_]+ = |\[)")  # a setting of default.toml that is only shown
_COMMENT: Final = re.compile(r"""^(?:[^"'#]|"[^"]*"|'[^']*')*#\s*(.*)$""")
_COLUMNS: Final = re.compile(r"^(?:off|[\d.]+) {2,}\S+ +\S+ +\S+ +(?=\S)")  # a limit's value in each of the four profiles


def toml_key(name: str) -> str:
    return name if re.fullmatch(r"[\w-]+", name, re.ASCII) else toml_value(name)


def toml_value(value: object) -> str:
    """Of true or false, a finite number, text, or a list of them."""
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(toml_value, value))}]"
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")  # the rest of JSON's words are TOML's too


def comments() -> dict[KeyPath, str]:
    """What default.toml says behind each key. In place of a name of one's own choice stands a strategy's kind, or nothing."""
    text = _ABSENT.sub("", packaged("default.toml").read_text("utf-8"))
    lines, (table, places) = text.split("\n"), parse(text)
    said: dict[KeyPath, str] = {}
    first: dict[str, str] = {}  # of a strategy's key, where it is said for the first kind
    for path, line in places.items():
        found = _COMMENT.match(lines[line - 1])
        if found is None:
            continue
        words = _COLUMNS.sub("", found[1])
        if path[0] == "strategy":
            words = first.get(path[-1], words) if path[-1] != "kind" else words
            first.setdefault(path[-1], words)
            path = ("strategy", table["strategy"][path[1]]["kind"], *path[2:])
        elif path[0] == "symbols":
            path = ("symbols", "", *path[2:])
        said[path] = words
    return said
