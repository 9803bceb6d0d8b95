"""Tables of a terminal: whole where there is room, folded or as lists where there is less, and nothing is ever cut off."""

import pytest

from evenkeel.commands.tables import folded, table

HEADER = ("limit", "left", "when it is reached")
ROW = ("positions_max", "80 %", "nothing new is opened until one of the open positions closes")


def drawn(width: int | None) -> list[str]:
    return table(HEADER, [ROW], left_aligned={"limit", "when it is reached"}, width=width)


def test_without_a_width_a_row_is_a_line() -> None:
    header, row = drawn(None)
    assert row == "  ".join(ROW)
    assert header.index("when") == row.index("nothing")


def test_where_it_is_too_narrow_the_last_column_goes_on_below_itself() -> None:
    lines = drawn(60)
    assert [line[21:] for line in lines] == [
        "when it is reached",
        "nothing new is opened until one of the",
        "open positions closes",
    ]
    assert lines[1].startswith("positions_max  80 %")
    assert all(len(line) <= 60 for line in lines)


def test_where_the_last_column_would_have_no_room_it_stands_below_each_row() -> None:
    assert drawn(40) == [
        "limit          left",
        "    when it is reached",
        "positions_max  80 %",
        "    nothing new is opened until one of",
        "    the open positions closes",
    ]


def test_several_columns_of_words_stand_below_where_they_must() -> None:
    header = ("holds", "item", "what was found", "what to do")
    row = ("no", "notifier", "nobody is told", "name one")
    assert table(header, [row], left_aligned=header, width=30) == [
        "holds  item",
        "    what was found, what to do",
        "no     notifier",
        "    nobody is told",
        "    name one",
    ]


def test_where_the_other_columns_have_no_room_either_each_row_is_a_list() -> None:
    row = ("symbol_notional_max of the whole account", "", "nothing")
    lines = table(HEADER, [row], left_aligned={"limit", "when it is reached"}, width=42)
    assert lines == [
        "limit               symbol_notional_max of",
        "                    the whole account",
        "when it is reached  nothing",
    ]


@pytest.mark.parametrize(("columns", "below"), [("46", " " * 11), ("20", "  ")])
def test_a_sentence_goes_on_below_its_words(columns: str, below: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    first, *more = folded("tells      nobody: no [notifier.outlet.NAME] is configured", indent=11).splitlines()
    assert first.startswith("tells      nobody:")
    assert more
    assert all(line.startswith(below) and line[len(below)] != " " for line in more)
    assert "[notifier.outlet.NAME]" in first + "".join(more)


def test_a_sentence_in_a_file_stays_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    assert folded("word " * 50) == "word " * 50
