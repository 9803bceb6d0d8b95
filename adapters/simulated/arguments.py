"""How the real binding reads arguments: its conventions, its strictness, its error texts (metatrader5.md 1.2, 1.5, 2.1)."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from evenkeel.adapters.mt5 import constants as mt5

TEXT_UNITS_MAX: Final = 29
GROUP_UNITS_MAX: Final = 1997
_U32: Final = 2**32
_U64: Final = 2**64
_I32: Final = 2**31
_I64: Final = 2**63

_REQUEST_FIELDS: Final = (
    ("action", "u32"),
    ("magic", "u64"),
    ("order", "u64"),
    ("symbol", "text"),
    ("volume", "float"),
    ("price", "float"),
    ("stoplimit", "float"),
    ("sl", "float"),
    ("tp", "float"),
    ("deviation", "u64"),
    ("type", "u32"),
    ("type_filling", "u32"),
    ("type_time", "u32"),
    ("expiration", "i64"),
    ("comment", "text"),
    ("position", "u64"),
    ("position_by", "u64"),
)
"""In the order in which they are looked at."""
REQUEST_ORDER: Final = (
    "action magic order symbol volume price stoplimit sl tp deviation type type_filling type_time expiration comment position"
    " position_by"
).split()


class Refused(Exception):
    """The call fails with this last error."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code, self.text = code, text


class Pending(Exception):
    """A Python error that the binding leaves pending: CPython makes a SystemError of it."""


def invalid(text: str = "Invalid arguments") -> Refused:
    return Refused(mt5.RES_E_INVALID_PARAMS, text)


def utf16_units(text: str) -> int:
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def fixed(arguments: tuple[Any, ...], kinds: str, *, required: int | None = None) -> list[Any]:
    """Positional arguments by a fixed format: s text, i C int, d number, t date, b truth. Raises Pending or Refused."""
    needed = len(kinds) if required is None else required
    if not needed <= len(arguments) <= len(kinds):
        raise Pending from TypeError(f"function takes {needed} arguments ({len(arguments)} given)")
    return [_fixed(value, kind) for value, kind in zip(arguments, kinds, strict=False)]


def _fixed(value: Any, kind: str) -> Any:
    match kind:
        case "s":
            if not isinstance(value, str):
                raise Pending from TypeError(f"must be str, not {type(value).__name__}")
            if utf16_units(value) > TEXT_UNITS_MAX:
                raise invalid()
            return value
        case "i":
            if isinstance(value, float) or not hasattr(value, "__index__"):
                raise Pending from TypeError(f"{type(value).__name__!r} object cannot be interpreted as an integer")
            number = value.__index__()
            if not -_I32 <= number < _I32:
                raise Pending from OverflowError("signed integer is out of range of a C int")
            return number
        case "d":
            if isinstance(value, str) or not (hasattr(value, "__float__") or hasattr(value, "__index__")):
                raise Pending from TypeError(f"must be real number, not {type(value).__name__}")
            return float(value)
        case "b":
            return bool(value)
        case _:
            return date_s(value)


def date_s(value: Any) -> int:
    """Seconds, truncated toward zero to 32 bits. A naive datetime is the computer's own zone, as its `timestamp` has it."""
    if isinstance(value, datetime):
        value = value.timestamp()
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise invalid()
    seconds = int(value)
    return (seconds + _I32) % _U32 - _I32


def text(value: Any, name: str, units_max: int = TEXT_UNITS_MAX) -> str:
    if not isinstance(value, str) or utf16_units(value) > units_max:
        raise invalid(f'Invalid "{name}" argument')
    return value


def whole(value: Any, name: str, kind: str) -> int:
    """An int proper: numpy's are refused, too large ones and negative ones leave an error pending."""
    if not isinstance(value, int):
        raise invalid(f'Invalid "{name}" argument')
    low, high = {"u32": (0, _U32), "u64": (0, _U64), "i64": (-_I64, _I64)}[kind]
    if not low <= value < high:
        raise Pending from OverflowError(f"{name}: {value} does not fit")
    return int(value)


def request_of(arguments: tuple[Any, ...], keywords: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a trade request, missing ones 0 or "". Raises Refused at the first bad one."""
    if len(arguments) > 1 or (arguments and not isinstance(arguments[0], dict)):
        raise invalid("Unnamed arguments not allowed" if len(arguments) > 1 else "Invalid 1st unnamed argument")
    given: Mapping[str, Any] = arguments[0] if arguments else keywords
    parsed: dict[str, Any] = {}
    for name, kind in _REQUEST_FIELDS:
        if name not in given:
            parsed[name] = "" if kind == "text" else 0.0 if kind == "float" else 0
            continue
        value = given[name]
        if kind == "text":
            parsed[name] = text(value, name)
        elif kind == "float":
            if not isinstance(value, float):
                raise invalid(f'Invalid "{name}" argument')
            parsed[name] = float(value)
        else:
            parsed[name] = whole(value, name, kind)
    return parsed


def matches(mask: str, name: str) -> bool:
    """A group mask: at least one item matches, and no exclusion does; only exclusions match nothing. Case counts."""
    items = [item.lstrip(" ").rstrip(" ")[:255] for item in mask.split(",")]
    wanted = [item for item in items if item and not item.startswith("!")]
    excluded = [item[1:] for item in items if item.startswith("!")]
    return any(_like(item, name) for item in wanted) and not any(_like(item, name) for item in excluded)


def _like(pattern: str, name: str) -> bool:
    """`*` is any run of characters; nothing else is special."""
    parts = pattern.split("*")
    if len(parts) == 1:
        return pattern == name
    if not name.startswith(parts[0]) or not name[len(parts[0]) :].endswith(parts[-1]):
        return False
    at, end = len(parts[0]), len(name) - len(parts[-1])
    for part in parts[1:-1]:
        found = name.find(part, at, end)
        if found < 0:
            return False
        at = found + len(part)
    return at <= end
