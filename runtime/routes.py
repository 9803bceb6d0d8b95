"""Who hears what. One table, compiled and checked before anything starts.

    RouteError    a message without a route, or a route without a child

A route names a child (`risk_limit`), every child of a folder (`strategy/*`), or a field of the message (`position/{symbol}`,
`{owner}`): the child that the field names, or nobody when there is none. `name?` is a child that a run may do without.
"""

from collections.abc import Collection, Mapping, Sequence

from evenkeel.messages.system import Message

Routes = Mapping[type[Message], Sequence[str]]


class RouteError(Exception):
    """The route table and the children do not fit together."""


class RouteTable:
    def __init__(self, routes: Routes, *, children: Collection[str], said: Collection[type[Message]]) -> None:
        """`said` is every type that may be published; each needs an entry in `routes`, an empty one means: journal only."""
        self._children = frozenset(children)
        missing = sorted(kind.__name__ for kind in said if kind not in routes)
        if missing:
            raise RouteError(f"no route for {', '.join(missing)}")
        self.by_type: dict[type[Message], tuple[str, ...]] = {}
        """The receivers of every type whose route names no field: `receivers` without the call."""
        self._fixed: dict[type[Message], tuple[str, ...]] = {}
        self._by_field: dict[type[Message], list[tuple[str, str]]] = {}
        self._resolved: dict[tuple[type[Message], tuple[str, ...]], tuple[str, ...]] = {}
        for kind, patterns in routes.items():
            self._compile(kind, patterns)

    def receivers(self, message: Message) -> tuple[str, ...]:
        """The children that hear `message`, each once: those that a field names, then the others in the order of the route."""
        kind = type(message)
        by_field = self._by_field.get(kind)
        if by_field is None:
            return self.by_type[kind]
        key = (kind, tuple([getattr(message, field) for _, field in by_field]))
        found = self._resolved.get(key)
        if found is None:
            named = [prefix + value for (prefix, _), value in zip(by_field, key[1], strict=True)]
            found = tuple(dict.fromkeys([*(name for name in named if name in self._children), *self._fixed[kind]]))
            if self._children.issuperset(named):  # else the values are not ours to count
                self._resolved[key] = found
        return found

    def _compile(self, kind: type[Message], patterns: Sequence[str]) -> None:
        fixed: list[str] = []
        by_field: list[tuple[str, str]] = []
        for pattern in patterns:
            if pattern.endswith("}"):
                prefix, field = pattern[:-1].split("{")
                if field not in kind.__struct_fields__:
                    raise RouteError(f"{kind.__name__} has no field {field!r} for route {pattern!r}")
                by_field.append((prefix, field))
            elif pattern.endswith("*"):
                fixed += sorted(name for name in self._children if name.startswith(pattern[:-1]))
            elif pattern.removesuffix("?") in self._children:
                fixed.append(pattern.removesuffix("?"))
            elif not pattern.endswith("?"):
                raise RouteError(f"{kind.__name__} is routed to {pattern!r}, which is no child")
        if by_field:
            self._by_field[kind] = by_field
            self._fixed[kind] = tuple(dict.fromkeys(fixed))
        else:
            self.by_type[kind] = tuple(dict.fromkeys(fixed))
