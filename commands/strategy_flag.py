"""`--strategy NAME[:KEY=VALUE,...]`: a strategy of the configuration by its name, or a kind of strategy, with keys set."""

import difflib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final

from evenkeel.config.load import ConfigInvalid, load
from evenkeel.config.schema import BreakoutConfig, MaCrossConfig, PythonConfig, RsiConfig, SomeStrategyConfig

KINDS: Final[Mapping[str, type[SomeStrategyConfig]]] = {
    "ma_cross": MaCrossConfig,
    "rsi": RsiConfig,
    "breakout": BreakoutConfig,
    "python": PythonConfig,
}
Value = int | float | str | bool


class BadInput(Exception):
    """One line that names the flag and its value."""


def strategy_of(
    text: str, symbols: Sequence[str], config_path: Path, flags: Sequence[str] = ()
) -> tuple[str, SomeStrategyConfig]:
    """The strategy that `text` names, by its name, for `symbols`; keys that it leaves out are as the configuration has them.

    A key that the kind `python` does not have is a parameter of the user's class. Raises BadInput; ConfigInvalid when the
    file itself is invalid.
    """
    name, colon, listed = text.partition(":")
    configured = load(config_path, flags=flags).strategy
    if name not in configured and name not in KINDS:
        known = [*configured, *KINDS]
        raise BadInput(f"--strategy {text!r}: unknown strategy {name!r}{_did_you_mean(name, known)}")
    kind = type(configured[name]) if name in configured else KINDS[name]
    table = _table(text, kind, listed.split(",") if colon else [])
    if name not in configured:
        table["kind"] = name
    try:
        overrides = {"strategy": {name: {**table, "symbols": list(symbols)}}}
        return name, load(config_path, flags=flags, overrides=overrides).strategy[name]
    except ConfigInvalid as invalid:  # the file alone is valid, so it is the flag
        problem = invalid.problems[0]
        raise BadInput(f"--strategy {text!r}: {problem.key.rpartition('.')[2]} {problem.text}") from None


def _table(text: str, kind: type[SomeStrategyConfig], parts: Sequence[str]) -> dict[str, object]:
    known = [name for name in kind.__struct_fields__ if name not in ("symbols", "parameters")]
    keys: dict[str, object] = {}
    parameters: dict[str, Value] = {}
    for part in parts:
        name, equals, value = part.partition("=")
        if not equals:
            raise BadInput(f"--strategy {text!r}: {part!r} is not KEY=VALUE")
        if name in keys or name in parameters:
            raise BadInput(f"--strategy {text!r}: {name} is given twice")
        if name in known:
            keys[name] = _value(value)
        elif kind is PythonConfig:
            parameters[name] = _value(value)
        else:
            raise BadInput(f"--strategy {text!r}: unknown parameter {name!r}{_did_you_mean(name, known)}")
    return {**keys, "parameters": parameters} if parameters else keys


def _value(text: str) -> Value:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return {"true": True, "false": False}.get(text, text)


def _did_you_mean(word: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(word, known, n=1)
    return f"; did you mean {near[0]!r}?" if near else f"; there is {', '.join(known)}"
