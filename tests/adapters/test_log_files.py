import datetime
import itertools
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

import pytest

from evenkeel.adapters import log_files
from evenkeel.adapters.log_files import Daily, Output, Shelf, Sized, trade_files
from evenkeel.adapters.log_lines import Line, line_of_text, text_of

FILES = 4


def line(text: str, day: str = "2026-01-05") -> Line:
    return Line(t=f"{day}T12:00:00.000Z", level="INFO", text=text)


class Desk(NamedTuple):
    """Makes outputs in a folder, and closes them when the test is over."""

    folder: Path
    held: ExitStack

    def sized(self, bytes_max: int = 300) -> Output:
        return self._output(Sized(self.folder, "x.log", bytes_max, FILES))

    def daily(self, bytes_max: int = 10_000, days: int = 3) -> Output:
        return self._output(Daily(self.folder, "trades", bytes_max, days))

    def _output(self, shelf: Shelf) -> Output:
        self.held.callback(shelf.close)
        return Output(shelf, body_of, takes=lambda line: True)


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    with ExitStack() as held:
        yield Desk(tmp_path, held)


def body_of(told: Line) -> bytes:
    return text_of(told).encode() + b"\n"


def put_all(output: Output, lines: Iterator[Line]) -> None:
    for one in lines:
        output.put(one)


def words(path: Path) -> list[str]:
    lines = (line_of_text(row) for row in path.read_text().splitlines())
    return [line.text for line in lines if line is not None]


def test_a_full_file_becomes_an_older_one_and_the_oldest_goes(desk: Desk, tmp_path: Path) -> None:
    output = desk.sized()
    for number in range(100):
        output.put(line(f"line {number}"))
    oldest_first = [tmp_path / f"x.log.{age}" for age in range(FILES - 1, 0, -1)] + [tmp_path / "x.log"]
    assert sorted(tmp_path.iterdir()) == sorted(oldest_first)
    assert all(path.stat().st_size <= 300 for path in oldest_first)
    kept = [word for path in oldest_first for word in words(path)]
    assert kept == [f"line {number}" for number in range(100 - len(kept), 100)]


def test_a_file_that_cannot_be_rotated_grows_on_to_a_bound(desk: Desk, tmp_path: Path) -> None:
    """As on Windows, while somebody reads it; here because something else has the name that an older one needs."""
    in_the_way = tmp_path / f"x.log.{FILES - 1}"
    (in_the_way / "something").mkdir(parents=True)
    (tmp_path / f"x.log.{FILES - 2}").touch()
    output = desk.sized()
    with pytest.raises(OSError, match=r"x.log.1 cannot take its place"):
        put_all(output, (line(f"line {number}") for number in itertools.count()))
    assert 500 < (tmp_path / "x.log").stat().st_size <= log_files.GROWS_MAX * 300
    (in_the_way / "something").rmdir()
    in_the_way.rmdir()
    output.put(line("let go"))
    assert words(tmp_path / "x.log") == ["lines lost before this one: 1", "let go"]


def test_each_day_that_has_trades_has_a_file(desk: Desk, tmp_path: Path) -> None:
    output = desk.daily()
    for text, day in (("one", "2026-01-05"), ("two", "2026-01-05"), ("three", "2026-01-07")):
        output.put(line(text, day))
    assert [(path.name, words(path)) for path in trade_files(tmp_path)] == [
        ("trades-2026-01-07.log", ["three"]),
        ("trades-2026-01-05.log", ["one", "two"]),
    ]


def test_the_newest_days_are_kept_and_nothing_else_is_touched(desk: Desk, tmp_path: Path) -> None:
    for name in ("trades-mine.log", "trades-2025-12-31.txt"):
        (tmp_path / name).touch()
    output = desk.daily()
    for day in range(1, 9):
        output.put(line("x", str(datetime.date(2026, 1, day))))
    assert [path.name for path in trade_files(tmp_path)] == [f"trades-2026-01-0{day}.log" for day in (8, 7, 6)]
    assert {"trades-mine.log", "trades-2025-12-31.txt"} < {path.name for path in tmp_path.iterdir()}


def test_a_clock_that_is_wrong_for_a_moment_costs_one_day_at_most(desk: Desk, tmp_path: Path) -> None:
    output = desk.daily()
    for day in ("2026-01-05", "2026-01-06", "2026-01-07", "2099-01-01", "2026-01-07"):
        output.put(line("x", day))
    assert [path.name[7:17] for path in trade_files(tmp_path)] == ["2099-01-01", "2026-01-07", "2026-01-06"]


def test_a_day_has_a_bound_and_the_next_one_tells_of_it(desk: Desk, tmp_path: Path) -> None:
    output = desk.daily(bytes_max=200)
    with pytest.raises(OSError, match="200 bytes"):
        put_all(output, (line(f"line {number}") for number in itertools.count()))
    output.put(line("next", "2026-01-06"))
    assert (tmp_path / "trades-2026-01-05.log").stat().st_size <= 200
    assert words(tmp_path / "trades-2026-01-06.log") == ["lines lost before this one: 1", "next"]


def test_a_line_that_was_written_in_part_does_not_spoil_the_next(desk: Desk, tmp_path: Path) -> None:
    desk.sized(10_000).put(line("whole"))
    with (tmp_path / "x.log").open("ab") as file:
        file.write(body_of(line("torn"))[:30])
    desk.sized(10_000).put(line("after"))
    assert words(tmp_path / "x.log") == ["whole", "after"]


def test_the_bounds_are_as_documented(tmp_path: Path) -> None:
    main, json, errors, _ = (output.shelf for output in log_files.outputs(tmp_path))
    for shelf, bytes_max, files in ((main, 50_000_000, 10), (json, 50_000_000, 5), (errors, 10_000_000, 5)):
        for _ in range(files + 1):
            with open(tmp_path / shelf.name, "wb") as file:
                file.seek(bytes_max - 1)  # a hole takes no room
                file.write(b"\n")
            shelf.file_for(datetime.date(2026, 1, 5), 1)
            shelf.close()
        kept = sorted(path.stat().st_size for path in tmp_path.glob(f"{shelf.name}*"))
        assert kept == [0] + [bytes_max] * (files - 1)
