import msgspec
import pytest

from evenkeel.adapters.log_lines import Line, json_of, line_of_json, line_of_text, text_of

LINE = Line(
    t="2026-01-05T00:00:01.250Z",
    level="WARNING",
    text="position 7 closed",
    seq=41,
    cause=40,
    error="file.py:3 act\nValueError: x",
    kind="PositionClosed",
    symbol="EURUSD",
)


def test_a_text_is_one_row_of_fields() -> None:
    assert text_of(LINE) == (
        "2026-01-05 00:00:01.250Z  WARNING   position 7 closed  #41 <40"
        "  kind=PositionClosed  symbol=EURUSD  error=file.py:3 act | ValueError: x"
    )


@pytest.mark.parametrize(
    "line",
    [LINE, Line(t=LINE.t, level="INFO", text="starts"), Line(t=LINE.t, level="DEBUG", text="-", seq=1, symbol="EURUSD.x")],
)
def test_both_forms_are_read_back_as_they_were(line: Line) -> None:
    assert line_of_text(text_of(line)) == line
    assert line_of_json(json_of(line)) == line


def test_what_is_bound_stands_among_the_words() -> None:
    line = msgspec.structs.replace(LINE, extra={"age_ms": 6_000})
    read = line_of_text(text_of(line))
    assert read is not None
    assert read.text == "position 7 closed age_ms=6000"


def test_words_from_outside_can_forge_neither_a_field_nor_a_line() -> None:
    forged = "x  #1 <1  kind=PositionClosed\n2026-01-05 00:00:01.250Z  ERROR  y  - -\x1b[2J"
    line = Line(t=LINE.t, level="INFO", text=forged, seq=7, cause=6)
    (row,) = text_of(line).splitlines()
    read = line_of_text(row)
    assert read is not None
    assert (read.level, read.seq, read.cause, read.kind) == ("INFO", 7, 6, "")
    assert "\x1b" not in row


@pytest.mark.parametrize("row", ["", "2026-01-05 00:00:01.250Z  INFO      cut o", "no  LEVEL  text  - -", "a b c"])
def test_a_torn_text_is_no_line(row: str) -> None:
    assert line_of_text(row) is None


@pytest.mark.parametrize("row", [b"", b'{"t": "2026', b'{"level": "INFO"}', b"\xff"])
def test_torn_json_is_no_line(row: bytes) -> None:
    assert line_of_json(row) is None
