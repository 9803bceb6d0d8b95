"""Which secrets a configuration names: the keys of kind SecretName, wherever they stand."""

from collections.abc import Iterator
from typing import Any

import msgspec
from msgspec import inspect

from evenkeel.config.locate import KeyPath
from evenkeel.config.units import NAMES_SECRET


def secret_names(table: msgspec.Struct, at: KeyPath = ()) -> Iterator[tuple[KeyPath, str]]:
    """Each secret that `table` names, with the key that names it."""
    for field in msgspec.structs.fields(table):
        value, path = getattr(table, field.name), (*at, field.encode_name)
        if isinstance(value, msgspec.Struct):
            yield from secret_names(value, path)
        elif isinstance(value, dict):
            inner = ((name, one) for name, one in value.items() if isinstance(one, msgspec.Struct))
            for name, one in inner:
                yield from secret_names(one, (*path, name))
        elif value is not None and _names_secret(field.type):
            yield path, value


def _names_secret(kind: Any) -> bool:
    """Of the kind alone, or with None."""
    found = inspect.type_info(kind)
    kinds = found.types if isinstance(found, inspect.UnionType) else (found,)
    return any(isinstance(one, inspect.Metadata) and one.extra == NAMES_SECRET for one in kinds)
