import hashlib
import sys

import numpy as np
import polars as pl
import pytest

from evenkeel.adapters.history import Counts, HistoryUnreadable, TickFile
from evenkeel.adapters.history.columns import ROWS_AT_ONCE
from evenkeel.adapters.history.quotes import joined
from evenkeel.adapters.history.ticks import KEPT_ROWS_MAX
from evenkeel.config.limits import PLAIN
from evenkeel.config.schema import Config
from evenkeel.rules.symbols import spec_for, typical_price

CONFIG = Config(profile="plain", limits=PLAIN)
T = 1_398_902_400_000
NAN, INF = float("nan"), float("inf")

GOOD = [(T, 1.10001, 1.10003), (T, 1.10002, 1.10003), (T + 5, 1.10002, 1.10002)]
REPEATS_AND_CROSSED = [
    (T, 1.1, 1.10002),
    (T, 1.1, 1.10002),  # a repeat
    (T, 1.1, 1.10002),  # a repeat again
    (T + 1, 1.10005, 1.10002),  # crossed
    (T + 1, 1.10005, 1.10002),  # a repeat, although crossed
    (T + 1, 1.1, 1.10002),
    (T + 2, 1.1, 1.10002),  # the same prices later are no repeat
    (T + 3, 1.1, 1.1),  # no spread is no fault
]


def parquet(folder, rows, columns=("time_msc", "bid", "ask")):
    path = folder / "ticks.parquet"
    pl.DataFrame(rows, schema=list(columns), orient="row").write_parquet(path)
    return path


def csv_file(folder, rows, header="time_msc,bid,ask"):
    path = folder / "ticks.csv"
    path.write_text("\n".join([header, *(",".join(map(str, row)) for row in rows)]) + "\n", encoding="utf-8")
    return path


def file_of(path, *, digits=5, **window):
    spec, typical = spec_for("EURUSD", CONFIG, digits=digits), typical_price("EURUSD", CONFIG)
    return TickFile(path, "EURUSD", spec, typical, **window)


def read(path, **options):
    """All of its quotes together."""
    return joined(list(file_of(path, **options).blocks()))


def counted(path, **window):
    """What its counts say once it is read."""
    file = file_of(path, **window)
    list(file.blocks())
    return file.counts


def refusal(path, **options):
    with pytest.raises(HistoryUnreadable) as refused:
        read(path, **options)
    text = str(refused.value)
    assert text.startswith(f"{path}: ")
    assert "\n" not in text
    return text.removeprefix(f"{path}: ")


def quotes(ticks):
    return list(zip(ticks.time_utc_ms.tolist(), ticks.bid_points.tolist(), ticks.ask_points.tolist(), strict=True))


@pytest.mark.parametrize("write", [parquet, csv_file])
def test_prices_become_points_and_equal_times_keep_their_order(tmp_path, write):
    path = write(tmp_path, GOOD)
    assert quotes(read(path)) == [(T, 110_001, 110_003), (T, 110_002, 110_003), (T + 5, 110_002, 110_002)]
    file = file_of(path)
    assert file.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert counted(path) == Counts(3, 0, 0)


@pytest.mark.parametrize("write", [parquet, csv_file])
def test_repeats_and_crossed_quotes_are_dropped_and_counted_apart(tmp_path, write):
    path = write(tmp_path, REPEATS_AND_CROSSED)
    assert read(path).row.tolist() == [0, 5, 6, 7]
    assert counted(path) == Counts(8, 1, 3)


def test_the_window_takes_its_start_and_leaves_its_end(tmp_path):
    path, window = parquet(tmp_path, REPEATS_AND_CROSSED), {"from_utc_ms": T + 1, "to_utc_ms": T + 3}
    assert read(path, **window).row.tolist() == [5, 6]
    assert counted(path, **window) == Counts(4, 1, 1)


def test_columns_may_stand_in_any_order_among_others_and_blank_lines_are_no_rows(tmp_path):
    rows = [("x", 1.10003, T, 1.10001), (), ("y", 1.10004, T, 1.10001)]
    ticks = read(csv_file(tmp_path, rows, header="note,ask,time_msc,bid"))
    assert quotes(ticks) == [(T, 110_001, 110_003), (T, 110_001, 110_004)]


def test_csv_needs_no_polars_and_parquet_says_how_to_get_it(tmp_path, monkeypatch):
    table = parquet(tmp_path, GOOD)
    monkeypatch.setitem(sys.modules, "polars", None)
    assert len(read(csv_file(tmp_path, GOOD)).row) == 3
    assert 'pip install "evenkeel[data]"' in refusal(table)


@pytest.mark.parametrize("write", [parquet, csv_file])
@pytest.mark.parametrize(
    "row, said",
    [
        ((T + 9, NAN, 1.1), "row 3: bid nan is not a number"),
        ((T + 9, 1.1, INF), "row 3: ask inf is not a number"),
        ((T + 9, 0.0, 1.1), "row 3: bid 0.0 is not above zero"),
        ((T + 9, 1.1, -1.1), "row 3: ask -1.1 is not above zero"),
        ((T + 9, 110.001, 110.003), "row 3: bid 110.001 is of another scale or symbol: EURUSD is usually near 1.1"),
        ((T + 9, 0.011, 1.1), "row 3: bid 0.011 is of another scale or symbol: EURUSD is usually near 1.1"),
        ((T + 9, 1.1, 1.100015), "row 3: ask 1.100015 has more decimals than the 5 digits of EURUSD; say which with --digits"),
        ((T + 4, 1.1, 1.1), f"row 3: time_msc {T + 4} goes back behind the row before"),
        ((T // 1000, 1.1, 1.1), f"row 3: time_msc {T // 1000} is not UTC milliseconds of 1990 to 2099"),
        ((T * 1000, 1.1, 1.1), f"row 3: time_msc {T * 1000} is not UTC milliseconds of 1990 to 2099"),
    ],
)
def test_a_bad_value_is_named_with_its_row(tmp_path, write, row, said):
    assert refusal(write(tmp_path, [*GOOD, row])).startswith(said)


def test_a_bad_row_outside_the_window_refuses_the_file_too(tmp_path):
    assert "row 3: bid" in refusal(parquet(tmp_path, [*GOOD, (T + 9, NAN, 1.1)]), to_utc_ms=T + 1)


def test_more_decimals_are_read_when_more_digits_are_stated(tmp_path):
    assert quotes(read(csv_file(tmp_path, [(T, 1.100015, 1.10002)]), digits=6)) == [(T, 1_100_015, 1_100_020)]


@pytest.mark.parametrize("name", ["ticks.parquet", "ticks.csv"])
def test_a_file_that_is_not_there_or_is_a_folder_or_is_empty_says_so(tmp_path, name):
    path = tmp_path / name
    assert refusal(path) == "No such file or directory"
    path.touch()
    assert refusal(path) == "is empty"
    path.unlink()
    path.mkdir()
    assert refusal(path)


def test_a_file_that_is_not_what_its_name_says_is_refused(tmp_path):
    path = tmp_path / "ticks.parquet"
    path.write_text("time_msc,bid,ask\n", encoding="utf-8")
    assert refusal(path) == "is not a parquet file, it begins with b'time'"
    path.write_bytes(b"PAR1 and no more of it")
    assert refusal(path).startswith("is not a readable parquet file: ")
    path = tmp_path / "ticks.csv"
    path.write_bytes(b"\x89PNG\r\n\x1a\n\x00\xff")
    assert refusal(path).startswith("is neither parquet nor CSV text: ")


def test_a_file_without_rows_is_refused(tmp_path):
    assert refusal(csv_file(tmp_path, [])) == "has no rows"
    path = parquet(tmp_path, GOOD)
    pl.read_parquet(path).clear().write_parquet(path)
    assert refusal(path) == "has no rows"


def test_a_window_without_rows_is_refused_with_the_span_of_the_file(tmp_path):
    path = parquet(tmp_path, GOOD)
    nothing = f"no row in the stretch asked for; the file runs from {T} to {T + 5} (UTC ms)"
    assert refusal(path, from_utc_ms=T + 6) == nothing
    assert refusal(path, to_utc_ms=T) == nothing


def test_a_window_of_crossed_quotes_only_is_refused(tmp_path):
    assert refusal(parquet(tmp_path, [(T, 1.2, 1.1), (T, 1.2, 1.1)])) == "all 2 rows are crossed, bid above ask"


def test_a_missing_column_is_named_with_those_that_are_there(tmp_path):
    said = "no column ask; there are time_msc, bid, last"
    assert refusal(parquet(tmp_path, GOOD, columns=("time_msc", "bid", "last"))) == said
    assert refusal(csv_file(tmp_path, GOOD, header="time_msc,bid,last")) == said


def test_a_parquet_column_of_the_wrong_type_is_refused(tmp_path):
    assert refusal(parquet(tmp_path, [(T, "1.1", 1.1)])) == "column bid holds String, not numbers"
    assert refusal(parquet(tmp_path, [(float(T), 1.1, 1.1)])) == "column time_msc holds Float64, not whole UTC milliseconds"


def test_a_null_in_a_parquet_is_named_with_its_row(tmp_path):
    assert refusal(parquet(tmp_path, [*GOOD, (T + 9, 1.1, None)])) == "row 3: ask is null"


@pytest.mark.parametrize("line", ["1398902400009,1.1", "1398902400009,,1.1", "2014-05-01,1.1,1.1", f"{10**20},1.1,1.1"])
def test_a_csv_line_that_does_not_fit_is_shown_with_its_row(tmp_path, line):
    said = f"row 3: {line!r} does not hold a whole time_msc and numbers for bid and ask"
    assert refusal(csv_file(tmp_path, [*GOOD, (line,)])) == said


def many(folder, count, **changed):
    """`count` good rows, of which those in `changed` (columns by name, values by row) are others."""
    columns = {"time_msc": T + 100 * np.arange(count), "bid": np.full(count, 1.1), "ask": np.full(count, 1.10002)}
    for name, values in changed.items():
        for row, value in values.items():
            columns[name][row] = value
    path = folder / "many.parquet"
    pl.DataFrame(columns).write_parquet(path)
    return path


def test_a_repeat_is_found_across_the_border_of_two_blocks(tmp_path):
    path = many(tmp_path, ROWS_AT_ONCE + 5, time_msc={ROWS_AT_ONCE: T + 100 * (ROWS_AT_ONCE - 1)})
    blocks = list(file_of(path).blocks())
    assert blocks[-1].row.tolist() == list(range(ROWS_AT_ONCE + 1, ROWS_AT_ONCE + 5))
    assert counted(path) == Counts(ROWS_AT_ONCE + 5, 0, 1)


def test_a_time_that_goes_back_across_the_border_is_refused_with_its_row(tmp_path):
    path = many(tmp_path, ROWS_AT_ONCE + 5, time_msc={ROWS_AT_ONCE: T})
    assert refusal(path).startswith(f"row {ROWS_AT_ONCE}: time_msc {T} goes back")


def test_a_bad_price_in_a_later_block_is_refused_with_its_row_whatever_the_window(tmp_path):
    path = many(tmp_path, ROWS_AT_ONCE + 5, ask={ROWS_AT_ONCE + 3: -1.0})
    assert refusal(path, to_utc_ms=T + 1_000).startswith(f"row {ROWS_AT_ONCE + 3}: ask -1.0 is not above zero")


@pytest.mark.parametrize("count", [1_000, KEPT_ROWS_MAX + 1])
def test_a_second_pass_gives_the_same_blocks_kept_in_memory_or_not(tmp_path, count):
    file = file_of(many(tmp_path, count))
    first, second = joined(list(file.blocks())), joined(list(file.blocks()))
    assert all((one == other).all() for one, other in zip(first, second, strict=True))
    assert file.counts == Counts(count, 0, 0)
