"""Who hears what, and what is refused before anything starts."""

import pytest
from runtime_builders import Asked, Counted, Seen

from evenkeel.messages.system import Message
from evenkeel.runtime.routes import RouteError, Routes, RouteTable

CHILDREN = ("clerk", "desk/b", "desk/a")


def receivers(routes: Routes, message: Message) -> tuple[str, ...]:
    return RouteTable(routes, children=CHILDREN, said=()).receivers(message)


@pytest.mark.parametrize(
    "patterns, heard_by",
    [
        ([], ()),
        (["clerk"], ("clerk",)),
        (["desk/*"], ("desk/a", "desk/b")),
        (["{of}"], ("desk/b",)),
        (["clerk", "{of}"], ("desk/b", "clerk")),
        (["{of}", "desk/*"], ("desk/b", "desk/a")),
        (["nobody?", "clerk?"], ("clerk",)),
        (["shop/*"], ()),
        (["shop/{of}"], ()),
    ],
)
def test_a_message_reaches_each_child_of_its_route_once(patterns: list[str], heard_by: tuple[str, ...]) -> None:
    assert receivers({Asked: patterns}, Asked("desk/b", 1)) == heard_by


def test_a_field_names_a_child_of_a_folder() -> None:
    table = RouteTable({Asked: ["desk/{of}"]}, children=CHILDREN, said=())
    assert [table.receivers(Asked(of, 1)) for of in ("a", "b", "c", "a")] == [("desk/a",), ("desk/b",), (), ("desk/a",)]


def test_every_message_needs_a_route() -> None:
    with pytest.raises(RouteError, match="no route for Counted, Seen"):
        RouteTable({Asked: ["clerk"]}, children=CHILDREN, said=(Asked, Counted, Seen))


def test_every_route_needs_a_child() -> None:
    with pytest.raises(RouteError, match="Asked is routed to 'cook', which is no child"):
        RouteTable({Asked: ["cook"]}, children=CHILDREN, said=())


def test_every_route_by_field_needs_the_field() -> None:
    with pytest.raises(RouteError, match="Asked has no field 'symbol'"):
        RouteTable({Asked: ["desk/{symbol}"]}, children=CHILDREN, said=())
