"""Bars as input: four quotes each, in the order that is stated."""

from pathlib import Path

import pytest
from builders import shared_data

from evenkeel.adapters.history import BarFile, Counts, HistoryUnreadable
from evenkeel.adapters.history.bars import PRICES
from evenkeel.adapters.history.quotes import joined
from evenkeel.config.limits import PLAIN
from evenkeel.config.schema import Config
from evenkeel.rules.symbols import spec_for, typical_price

CONFIG = Config(profile="plain", limits=PLAIN)
T = 1_398_902_400_000
MINUTE_MS = 60_000
RISING = (T, 1.1, 1.105, 1.099, 1.102)
FALLING = (T + MINUTE_MS, 1.102, 1.103, 1.09, 1.1)
FLAT = (T + 3 * MINUTE_MS, 1.1, 1.101, 1.099, 1.1)

Bar = tuple[float, ...]


def row(bar: Bar, spread: float = 0.0002) -> list[float]:
    """Time, bids, asks."""
    return [*bar, *(round(price + spread, 5) for price in bar[1:])]


def written(folder: Path, rows: list[list[float]], names: tuple[str, ...] = ("time", *PRICES)) -> Path:
    path = folder / "bars.csv"
    path.write_text("\n".join([",".join(names), *(",".join(map(str, one)) for one in rows)]) + "\n")
    return path


def file_of(path: Path, symbol: str = "EURUSD", **window: int) -> BarFile:
    return BarFile(path, symbol, spec_for(symbol, CONFIG), typical_price(symbol, CONFIG), **window)


def refusal(path: Path) -> str:
    with pytest.raises(HistoryUnreadable) as refused:
        list(file_of(path).blocks())
    text = str(refused.value)
    assert text.startswith(f"{path}: ")
    assert "\n" not in text
    return text.removeprefix(f"{path}: ")


def test_a_rising_bar_goes_down_first_and_a_falling_one_up(tmp_path: Path) -> None:
    [quotes] = file_of(written(tmp_path, [row(RISING), row(FALLING), row(FLAT)])).blocks()
    bids = [110_000, 109_900, 110_500, 110_200, 110_200, 110_300, 109_000, 110_000, 110_000, 109_900, 110_100, 110_000]
    assert quotes.bid_points.tolist() == bids
    assert quotes.ask_points.tolist() == [bid + 20 for bid in bids]
    assert quotes.row.tolist() == list(range(12))
    steps_ms = [0, 15_000, 30_000, 45_000]
    assert quotes.time_utc_ms.tolist() == [bar[0] + step for bar in (RISING, FALLING, FLAT) for step in steps_ms]


def test_a_stage_whose_bid_is_above_its_ask_is_dropped_and_counted(tmp_path: Path) -> None:
    file = file_of(written(tmp_path, [row(RISING), row(FALLING, spread=-0.0001)]))
    assert joined(list(file.blocks())).row.tolist() == [0, 1, 2, 3]
    assert file.counts == Counts(8, 4, 0)


def test_the_window_takes_bars_by_their_opens(tmp_path: Path) -> None:
    file = file_of(written(tmp_path, [row(RISING), row(FALLING), row(FLAT)]), from_utc_ms=T + 1, to_utc_ms=T + 2 * MINUTE_MS)
    assert joined(list(file.blocks())).row.tolist() == [4, 5, 6, 7]
    assert file.counts == Counts(4, 0, 0)


def changed(bar: Bar, index: int, value: float) -> list[float]:
    cells = row(bar)
    cells[index] = value
    return cells


@pytest.mark.parametrize(
    "rows, words",
    [
        ([row(RISING), row((T, *FALLING[1:]))], f"row 1: time {T} is that of the row before"),
        ([row(RISING), row((T - MINUTE_MS, *FALLING[1:]))], f"row 1: time {T - MINUTE_MS} goes back"),
        ([row(RISING), row((T + 7_000, *FALLING[1:]))], f"row 1: time {T + 7_000} is 7000 ms after the row before"),
        ([row((T + 5, *RISING[1:])), row((T + 5 + MINUTE_MS, *FLAT[1:]))], f"row 0: time {T + 5} is no start of a period"),
        ([row(RISING)], "has one row, which does not tell its period"),
        ([], "has no rows"),
        ([row(RISING), changed(FALLING, 1, 1.2)], "row 1: bid_open (points) 120000 is not between the bar's low and high"),
        ([row(RISING), changed(FALLING, 8, 1.0)], "row 1: ask_close (points) 100000 is not between the bar's low and high"),
        ([changed(RISING, 3, float("nan")), row(FALLING)], "row 0: bid_low nan is not a number"),
        ([row(RISING), changed(FALLING, 6, -1.0)], "row 1: ask_high -1.0 is not above zero"),
        ([row(RISING), changed(FALLING, 2, 110.3)], "row 1: bid_high 110.3 is of another scale or symbol"),
    ],
)
def test_what_is_wrong_is_one_line_with_row_and_value(tmp_path: Path, rows: list[list[float]], words: str) -> None:
    assert refusal(written(tmp_path, rows)).startswith(words)


def test_bars_of_one_side_are_refused_by_the_column_they_lack(tmp_path: Path) -> None:
    path = written(tmp_path, [[T, 1.1, 1.1, 1.1, 1.1]], ("time", "open", "high", "low", "close"))
    assert refusal(path) == "no column bid_open; there are time, open, high, low, close"


@pytest.mark.parametrize(
    "symbol, name, quotes, crossed",
    [
        ("EURUSD", "bars_EURUSD_M1_oanda_201405.parquet", 72_736, 0),
        ("NZDUSD", "bars_NZDUSD_M1_oanda_201405.parquet", 62_172, 0),
        ("GBPUSD", "bars_GBPUSD_M1_fxcm_2012.parquet", 120_468, 1_471),
        ("EURUSD", "bars_EURUSD_H1_oanda.parquet", 297_756, 0),
    ],
)
def test_real_bars_with_both_sides_are_read(symbol: str, name: str, quotes: int, crossed: int) -> None:
    if not shared_data(name).exists():
        pytest.skip("no recorded market data beside the project")
    file = file_of(shared_data(name), symbol)
    assert sum(len(block.row) for block in file.blocks()) == quotes - crossed
    assert file.counts == Counts(quotes, crossed, 0)
