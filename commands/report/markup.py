"""HTML and SVG as text in which everything that came from outside is escaped. No attribute runs anything."""

from collections.abc import Iterable, Sequence
from html import escape
from typing import NamedTuple


class Markup(str):
    """Text that is markup already; every other text is escaped on its way into an element."""

    __slots__ = ()


def element(name: str, /, *inside: str, **attributes: object) -> Markup:
    """`<name …>inside</name>`; a trailing underscore of an attribute falls away, the others become hyphens."""
    return Markup(f"<{name}{_attributes(attributes)}>{joined(inside)}</{name}>")


def void(name: str, /, **attributes: object) -> Markup:
    """An element that holds nothing, in the form that HTML and SVG both read."""
    return Markup(f"<{name}{_attributes(attributes)}/>")


def joined(parts: Iterable[str]) -> Markup:
    return Markup("".join(part if isinstance(part, Markup) else escape(part) for part in parts))


class Cell(NamedTuple):
    """`tone` is a class of the style: gain, loss or nothing."""

    text: str
    tone: str = ""


def table(caption: str, header: Sequence[str], rows: Iterable[Sequence[str | Cell]], *, words: int = 1) -> Markup:
    """The first column heads its row; the columns after the first `words` are numbers and end together."""
    heads = joined(element("th", name, scope="col", class_="" if at < words else "number") for at, name in enumerate(header))
    lines = joined(element("tr", *(_cell(at, cell, words) for at, cell in enumerate(row))) for row in rows)
    return scrollable(
        caption,
        element("table", element("caption", caption), element("thead", element("tr", heads)), element("tbody", lines)),
    )


def scrollable(label: str, inside: Markup) -> Markup:
    """What is wider than a phone is moved by itself, by finger or by keyboard."""
    return element("div", inside, class_="wide", role="region", tabindex=0, aria_label=label)


def _cell(at: int, cell: str | Cell, words: int) -> Markup:
    text, tone = cell if isinstance(cell, Cell) else (cell, "")
    name, scope = ("td", "") if at else ("th", "row")
    return element(name, text, scope=scope, class_=" ".join(filter(None, ("" if at < words else "number", tone))))


def _attributes(attributes: dict[str, object]) -> str:
    named = ((name.rstrip("_").replace("_", "-"), str(value)) for name, value in attributes.items() if value != "")
    return "".join(f' {name}="{escape(value)}"' for name, value in named)
