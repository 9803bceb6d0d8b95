"""HTML and SVG as text in which everything that came from outside is escaped. No attribute runs anything."""

from collections.abc import Collection, Iterable, Sequence
from html import escape
from typing import Final, NamedTuple

FORMULA: Final = "Formula"


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


def table(caption: str, header: Sequence[str], rows: Iterable[Sequence[str | Cell]], *, words: Collection[str] = ()) -> Markup:
    """The first column heads its row; the columns named in `words` are text, the others numbers, which end together.

    A column called FORMULA is prose, and wraps.
    """
    kinds = ["prose" if name == FORMULA else "" if not at or name in words else "number" for at, name in enumerate(header)]
    heads = joined(element("th", name, scope="col", class_=kind) for name, kind in zip(header, kinds, strict=True))
    lines = joined(
        element("tr", *(_cell(cell, kind, heads_row=not at) for at, (cell, kind) in enumerate(zip(row, kinds, strict=True))))
        for row in rows
    )
    return scrollable(
        caption,
        element("table", element("caption", caption), element("thead", element("tr", heads)), element("tbody", lines)),
    )


def scrollable(label: str, inside: Markup) -> Markup:
    """What is wider than a phone is moved by itself, by finger or by keyboard."""
    return element("div", inside, class_="wide", role="region", tabindex=0, aria_label=label)


def folded(summary: str, inside: Markup) -> Markup:
    """Shown when its summary is opened; needs no script."""
    return element("details", element("summary", summary), inside)


def _cell(cell: str | Cell, kind: str, *, heads_row: bool) -> Markup:
    text, tone = cell if isinstance(cell, Cell) else (cell, "")
    name, scope = ("th", "row") if heads_row else ("td", "")
    return element(name, text, scope=scope, class_=" ".join(filter(None, (kind, tone))))


def _attributes(attributes: dict[str, object]) -> str:
    named = ((name.rstrip("_").replace("_", "-"), str(value)) for name, value in attributes.items() if value != "")
    return "".join(f' {name}="{escape(value)}"' for name, value in named)
