"""Tables of a terminal: whole where there is room, folded or as lists where there is less, and nothing is ever cut off."""

from evenkeel.commands.tables import table

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


def test_where_the_other_columns_have_no_room_either_each_row_is_a_list() -> None:
    row = ("symbol_notional_max of the whole account", "", "nothing")
    lines = table(HEADER, [row], left_aligned={"limit", "when it is reached"}, width=42)
    assert lines == [
        "limit               symbol_notional_max of",
        "                    the whole account",
        "when it is reached  nothing",
    ]
