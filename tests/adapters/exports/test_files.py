"""Every format as its makers write it, what is wrong with lines, and that no bytes break a reader."""

import struct
from pathlib import Path
from typing import NamedTuple

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some

from evenkeel.adapters.exports import PriceFile, opened
from evenkeel.adapters.history import HistoryUnreadable
from evenkeel.adapters.history.checks import LINE_CHARACTERS_MAX
from evenkeel.rules.price_checks import BARS

MT5_TICKS = "<DATE>\t<TIME>\t<BID>\t<ASK>\t<LAST>\t<VOLUME>\t<FLAGS>\n"
MT5_BARS = "<DATE>\t<TIME>\t<OPEN>\t<HIGH>\t<LOW>\t<CLOSE>\t<TICKVOL>\t<VOL>\t<SPREAD>\n"
T = 1_577_923_200_000  # 2020-01-02 00:00 by the file's clock
SAMPLE = {
    "mt5-ticks": MT5_TICKS + "2020.01.02\t00:00:00.123\t1.12120\t1.12130\t\t\t6\n",
    "mt5-bars": MT5_BARS + "2020.01.02\t00:00:00\t1.1212\t1.1220\t1.12100\t1.12150\t196\t0\t18\n",
    "mt4-bars": "2020.01.02,00:00,1.126600,1.126700,1.126500,1.126570,0\n2020.01.02,00:01,1.1266,1.1266,1.1266,1.1266,3\n",
    "truefx": "EUR/USD,20200102 00:00:00.973,1.12267,1.12273\nEUR/USD,20200102 00:00:01.973,1.12268,1.12274\n",
    "histdata-ticks": "20200102 000000660,1.126600,1.126770,0\n",
    "histdata-bars": "20200102 000000;1.126600;1.126700;1.126500;1.126570;0\n",
    "dukascopy-ticks": "Gmt time,Ask,Bid,AskVolume,BidVolume\n02.01.2020 00:00:00.179,1.12130,1.12120,1.5,2.25\n",
    "dukascopy-bars": "Gmt time,Open,High,Low,Close,Volume\n02.01.2020 00:00:00.000,1.121,1.122,1.12,1.1215,99.5\n",
    "dukascopy-node-ticks": f"timestamp,askPrice,bidPrice,askVolume,bidVolume\n{T + 104},1.12130,1.1212,0.75,1\n",
    "dukascopy-node-bars": f"timestamp,open,high,low,close\n{T},1.121,1.122,1.12,1.1215\n",
}
READ = {
    "mt5-ticks": [(T + 123, 112_120, 112_130)],
    "mt5-bars": [(T, 112_120, 112_200, 112_100, 112_150, 18)],
    "mt4-bars": [(T, 112_660, 112_670, 112_650, 112_657), (T + 60_000, *[112_660] * 4)],
    "truefx": [(T + 973, 112_267, 112_273), (T + 1_973, 112_268, 112_274)],
    "histdata-ticks": [(T + 660, 112_660, 112_677)],
    "histdata-bars": [(T, 112_660, 112_670, 112_650, 112_657)],
    "dukascopy-ticks": [(T + 179, 112_120, 112_130)],
    "dukascopy-bars": [(T, 112_100, 112_200, 112_000, 112_150)],
    "dukascopy-node-ticks": [(T + 104, 112_120, 112_130)],
    "dukascopy-node-bars": [(T, 112_100, 112_200, 112_000, 112_150)],
}
ZONES = {"mt4-bars": "None", "mt5-ticks": "None", "mt5-bars": "None", "histdata-ticks": "UTC-5", "histdata-bars": "UTC-5"}


class Got(NamedTuple):
    file: PriceFile
    rows: list[tuple[int, ...]]


def read(path: Path, data: str | bytes, symbol: str | None = "EURUSD", digits: int = 5) -> Got:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    file = opened(path, symbol, digits)
    rows: list[tuple[int, ...]] = []
    for block in file.blocks():
        rows += zip(block.time_ms.tolist(), *(column.tolist() for column in block.prices), strict=True)
    return Got(file, rows)


@pytest.mark.parametrize("form", SAMPLE)
@pytest.mark.parametrize("ending, encoding", [("\n", "utf-8"), ("\r\n", "utf-8-sig"), ("\n", "utf-16")])
def test_a_format_is_recognised_and_read(tmp_path: Path, form: str, ending: str, encoding: str) -> None:
    got = read(tmp_path / "a.csv", SAMPLE[form].replace("\n", ending).encode(encoding))
    assert (got.file.format, str(got.file.zone)) == (form, ZONES.get(form, "UTC"))
    assert got.rows == READ[form]
    assert got.file.faults.total == 0


def test_an_empty_bid_or_ask_is_as_it_was_and_a_trade_is_no_quote(tmp_path: Path) -> None:
    lines = ["00:00:01.000\t1.1\t\t\t\t2", "00:00:02.000\t\t1.2\t\t\t4", "00:00:03.000\t1.15\t\t\t\t2"]
    lines += ["00:00:04.000\t\t\t1.17\t5\t24", "00:00:05\t\t1.25\t\t\t4"]
    got = read(tmp_path / "a.csv", MT5_TICKS + "".join(f"2020.01.02\t{line}\n" for line in lines))
    assert [(time - T, bid, ask) for time, bid, ask in got.rows] == [
        (2_000, 110_000, 120_000),
        (3_000, 115_000, 120_000),
        (5_000, 115_000, 125_000),
    ]
    assert [len(block.time_ms) for block in got.file.blocks()] == [3], "read again it begins anew"


def test_daily_bars_have_no_time(tmp_path: Path) -> None:
    got = read(tmp_path / "a.csv", MT5_BARS.replace("\t<TIME>", "") + "2020.01.02\t1.1\t1.2\t1.0\t1.1\t1\t0\t3\n")
    assert got.rows == [(T, 110_000, 120_000, 100_000, 110_000, 3)]


@pytest.mark.parametrize(
    "header, time, utc_ms",
    [
        ("Local time", "02.01.2020 01:00:00.000 GMT+0100", T),
        ("Local time", "01.01.2020 18:30:00.000 GMT-0530", T),
        ("Time (UTC)", "2020.01.02 00:00:00", T),
        ("Time (EET)", "2020.01.02 02:00:00", T + 7_200_000),  # by its clock
    ],
)
def test_dukascopy_says_its_zone_in_the_header_or_the_time(tmp_path: Path, header: str, time: str, utc_ms: int) -> None:
    got = read(tmp_path / "a.csv", f"{header},Open,High,Low,Close,Volume\n{time},1.1,1.2,1.0,1.1,5\n")
    assert got.rows[0][0] == utc_ms
    assert str(got.file.zone) == ("EET" if "EET" in header else "UTC")


@pytest.mark.parametrize(
    "line, kind, said",
    [
        ("2020.01.02\t00:00:01\t1.12345x\t1.2\t\t\t6", "price", "bid '1.12345x' is not a price"),
        ("2020.01.02\t00:00:01\tnan\t1.2\t\t\t6", "price", "bid 'nan'"),
        ("2020.01.02\t00:00:01\t1e5\t1.2\t\t\t6", "price", "bid '1e5'"),
        ("2020.01.02\t00:00:01\t-1.1\t1.2\t\t\t6", "price", "bid '-1.1'"),
        ("2020.01.02\t00:00:01\t0.0\t1.2\t\t\t6", "price", "bid 0.0 is not above zero"),
        ("2020.01.02\t00:00:01\t999999999999\t1.2\t\t\t6", "price", "too large"),
        ("2020.01.02\t00:00:01\t1.1234567\t1.2\t\t\t6", "decimals", "bid 1.1234567 has more decimals than 5"),
        ("2020.02.30\t00:00:01\t1.1\t1.2\t\t\t6", "time", "date '2020.02.30' is no day"),
        ("1970.01.02\t00:00:01\t1.1\t1.2\t\t\t6", "time", "not of 1990 to 2099"),
        ("2020.01.02\t24:00:01\t1.1\t1.2\t\t\t6", "time", "time '24:00:01' is no time of day"),
        ("2020.01.02\t٠٠:00:01\t1.1\t1.2\t\t\t6", "time", "is no time of day"),
        ("2020.01.02\t00:00:01", "fields", "has 2 fields, not 7"),
        ("2020.01.02\t00:00:01\t" + "1" * LINE_CHARACTERS_MAX * 3, "too long", "longer than a line may be"),
    ],
)
def test_a_bad_line_is_named_counted_and_left_out(tmp_path: Path, line: str, kind: str, said: str) -> None:
    good = "2020.01.02\t00:00:0{}\t1.1\t1.2\t\t\t6\n"
    got = read(tmp_path / "a.csv", MT5_TICKS + good.format(1) + f"{line}\n" + good.format(2))
    assert len(got.rows) == 2
    assert got.file.faults.counts == {kind: 1}
    [shown] = got.file.faults.shown
    assert shown.startswith(f"{tmp_path / 'a.csv'}: line 3: ")
    assert said in shown
    assert len(shown) < 300


def test_only_the_first_bad_lines_are_shown_and_all_are_counted(tmp_path: Path) -> None:
    got = read(tmp_path / "a.csv", SAMPLE["truefx"] + "GBP/USD,20200102 00:00:00.973,1.1,1.2\n" * 9 + "x\n")
    assert got.file.faults.counts == {"symbol": 9, "fields": 1}
    assert len(got.file.faults.shown) == 5


@pytest.mark.parametrize(
    "name, data, said",
    [
        ("a.csv", "hello,world\n", "no known form"),
        ("a.csv", "", "is empty"),
        ("a.csv", "<DATE>\t<TIME>\t<BID>\n", "the header has no <ASK>"),
        ("a.csv", "Time (Mars),Ask,Bid\n", "no time zone"),
        ("a.parquet", "PAR1 but not really", "is not a readable parquet file"),
        ("00h_ticks.bi5", b"", "which hour it holds is in its path"),
        ("EURUSD/2016/12/01/00h_ticks.bi5", b"", "which hour it holds is in its path"),
        ("EURUSD/2016/02/01/00h_ticks.bi5", b"]\0\0", "is cut short"),
        ("EURUSD/2016/02/01/00h_ticks.bi5", b"x" * 100, "is not LZMA"),
    ],
)
def test_what_is_no_price_file_is_refused_in_one_line(tmp_path: Path, name: str, data: str | bytes, said: str) -> None:
    with pytest.raises(HistoryUnreadable) as refused:
        read(tmp_path / name, data)
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)


def bi5(records: list[tuple[int, int, int]], tail: bytes = b"") -> bytes:
    import lzma

    raw = b"".join(struct.pack(">IIIff", ms, ask, bid, 1.5, 2.25) for ms, ask, bid in records)
    return lzma.compress(raw + tail, format=lzma.FORMAT_ALONE)


def test_an_hour_of_dukascopy_has_its_hour_in_the_path_and_months_from_zero(tmp_path: Path) -> None:
    path = tmp_path / "EURUSD" / "2016" / "02" / "01" / "13h_ticks.bi5"
    got = read(path, bi5([(179, 108_712, 108_708), (3_599_999, 108_713, 108_709)]))
    hour_ms = 1_456_837_200_000  # 2016-03-01 13:00 UTC
    assert got.rows == [(hour_ms + 179, 108_708, 108_712), (hour_ms + 3_599_999, 108_709, 108_713)]


def test_an_hour_without_ticks_is_empty(tmp_path: Path) -> None:
    assert read(tmp_path / "EURUSD" / "2016" / "02" / "01" / "13h_ticks.bi5", b"").rows == []


def test_records_that_are_wrong_are_counted(tmp_path: Path) -> None:
    data = bi5([(1, 108_712, 108_708), (3_600_000, 1, 1), (2, 0, 1)], tail=b"odd")
    got = read(tmp_path / "EURUSD" / "2016" / "02" / "01" / "13h_ticks.bi5", data)
    assert len(got.rows) == 1
    assert got.file.faults.counts == {"record": 1, "time": 1, "price": 1}


@pytest.mark.parametrize("symbol, digits, bid", [("USDJPY", 3, 108_708), ("XAUUSD", 3, 108_708), ("EURUSD", 6, 1_087_080)])
def test_their_prices_are_put_into_our_points(tmp_path: Path, symbol: str, digits: int, bid: int) -> None:
    path = tmp_path / symbol / "2016" / "02" / "01" / "13h_ticks.bi5"
    [(_, found, _)] = read(path, bi5([(1, 108_712, 108_708)]), symbol, digits).rows
    assert found == bid


def test_rows_of_our_own_files_that_hold_no_price_are_counted(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    bids = [1.1, float("nan"), -1.0, 1.123456, 1.1, 1.2]
    times = [T, T + 1, T + 2, T + 3, 1_577_923_200, T + 5]
    pl.DataFrame({"time_msc": times, "bid": bids, "ask": [1.2] * 6}).write_parquet(path)
    file = opened(path, "EURUSD", 5)
    [block] = file.blocks()
    assert (block.place.tolist(), block.prices[0].tolist()) == ([0, 5], [110_000, 120_000])
    assert file.faults.counts == {"time": 1, "price": 2, "decimals": 1}
    assert file.faults.shown[0].endswith("row 4: 1577923200 is not UTC milliseconds of 1990 to 2099; seconds or microseconds?")


def test_bars_of_our_own(tmp_path: Path) -> None:
    got = read(tmp_path / "a.csv", ",".join(["time", *BARS]) + "\n" + ",".join([str(T), *["1.1"] * 8]) + "\n")
    assert (got.file.format, got.rows) == ("bars", [(T, *[110_000] * 8)])


def test_a_line_without_an_end_is_never_held_whole(tmp_path: Path) -> None:
    with pytest.raises(HistoryUnreadable, match="line 2 is longer than 1000 characters"):
        read(tmp_path / "a.csv", "time_msc,bid,ask\n" + "1" * 5_000)


STARTS = some.sampled_from(
    [text.encode() for text in SAMPLE.values()] + [b"time_msc,bid,ask\n1577923200000,1.1,1.2\n", b"PAR1", b""]
)


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(start=STARTS, rest=some.binary(max_size=120), cut=some.integers(0, 80), suffix=some.sampled_from([".csv", ".parquet"]))
def test_any_bytes_give_rows_or_a_refusal(tmp_path: Path, start: bytes, rest: bytes, cut: int, suffix: str) -> None:
    try:
        got = read(tmp_path / f"a{suffix}", start[: len(start) - cut] + rest)
    except HistoryUnreadable as refused:
        assert "\n" not in str(refused)  # noqa: PT017
        return
    assert all(price > 0 or got.file.names[-1] == "spread" for _, *prices in got.rows for price in prices)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=some.one_of(some.binary(max_size=200), some.binary(max_size=100).map(lambda raw: bi5([], tail=raw))))
def test_any_bytes_of_an_hour_give_rows_or_a_refusal(tmp_path: Path, data: bytes) -> None:
    try:
        got = read(tmp_path / "EURUSD" / "2016" / "02" / "01" / "13h_ticks.bi5", data)
    except HistoryUnreadable as refused:
        assert "\n" not in str(refused)  # noqa: PT017
        return
    assert all(bid > 0 and ask > 0 for _, bid, ask in got.rows)
