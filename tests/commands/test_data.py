"""`evenkeel data` as its user meets it: an export goes in, a back-test runs on what comes out; every fault has its line."""

import json
import lzma
import struct
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import polars as pl
import pytest

from evenkeel import cli
from evenkeel.rules.price_checks import BARS

NEW_YORK, ATHENS = ZoneInfo("America/New_York"), ZoneInfo("Europe/Athens")
SUNDAY = datetime(2024, 3, 3, 17, tzinfo=NEW_YORK)
TICKS_HEADER = "<DATE>\t<TIME>\t<BID>\t<ASK>\t<LAST>\t<VOLUME>\t<FLAGS>"
BARS_HEADER = "<DATE>\t<TIME>\t<OPEN>\t<HIGH>\t<LOW>\t<CLOSE>\t<TICKVOL>\t<VOL>\t<SPREAD>"

Tick = tuple[datetime, int, int]


class Said(NamedTuple):
    status: int
    out: str
    err: str

    @property
    def object(self) -> Any:
        return json.loads(self.out)


Say = Callable[..., Said]


@pytest.fixture
def say(capsys: pytest.CaptureFixture[str]) -> Say:
    def said(*words: object) -> Said:
        try:
            status = cli.main([str(word) for word in words])
        except SystemExit as ended:
            status = int(ended.code or 0)
        return Said(status, *capsys.readouterr())

    return said


def market(weeks: int = 5) -> Iterator[Tick]:
    """Quotes each 7 minutes and a bit from Sunday 17:00 to Friday 17:00 in New York, over both continents' clock changes."""
    for week in range(weeks):
        opens = (SUNDAY + timedelta(weeks=week)).astimezone(UTC)
        closes = (SUNDAY + timedelta(weeks=week, days=5)).astimezone(UTC)
        time, number = opens + timedelta(seconds=3), 0
        while time < closes:
            bid_points = 110_000 + 10 * abs(number % 120 - 60)
            yield time, bid_points, bid_points + 5 + number % 3
            time, number = time + timedelta(minutes=7, milliseconds=13), number + 1


def price(points: int) -> str:
    return f"{points / 100_000:.5f}"


def mt5_ticks(path: Path, ticks: list[Tick]) -> Path:
    """As the terminal writes them: by the server's clock, and what has not changed is left empty."""
    lines, last = [TICKS_HEADER], ("", "")
    for time, *points in ticks:
        bid, ask = map(price, points)
        shown = time.astimezone(ATHENS).strftime("%Y.%m.%d\t%H:%M:%S.%f")[:-3]
        lines.append(f"{shown}\t{'' if bid == last[0] else bid}\t{'' if ask == last[1] else ask}\t\t\t6")
        last = (bid, ask)
    path.write_text("\n".join(lines) + "\n")
    return path


def utc_rows(ticks: list[Tick]) -> list[tuple[int, float, float]]:
    return [(round(time.timestamp() * 1000), bid / 100_000, ask / 100_000) for time, bid, ask in ticks]


def bars_text(count: int, *, header: str, form: str, shift_points: int = 0, skip: int = -1) -> str:
    """Hourly bars from Monday 2024-03-04 00:00 by the file's clock; `form` is filled with time and four prices."""
    lines = [header]
    for hour in range(count):
        if hour != skip:
            time = datetime(2024, 3, 4, tzinfo=UTC) + timedelta(hours=hour)
            base = 110_000 + 10 * (hour % 9) + shift_points
            lines.append(form.format(time, *map(price, (base, base + 20, base - 20, base + 10))))
    return "\n".join(lines) + "\n"


MT5_BAR = "{:%Y.%m.%d\t%H:%M:%S}\t{}\t{}\t{}\t{}\t96\t0\t7"
DUKASCOPY_BAR = "{:%d.%m.%Y %H:%M:%S}.000,{},{},{},{},99.5"
DUKASCOPY_HEADER = "Gmt time,Open,High,Low,Close,Volume"


def test_a_terminals_ticks_are_imported_by_the_clock_that_their_weeks_tell_and_back_tested(tmp_path: Path, say: Say) -> None:
    ticks = list(market())
    export, out = mt5_ticks(tmp_path / "export.csv", ticks), tmp_path / "EURUSD.parquet"
    told = say("data", "import", export, "--to", out, "--symbol", "EURUSD", "--json")
    assert (told.status, told.err) == (0, "")
    assert (told.object["zone"], told.object["zone_by"], told.object["rows"]) == ("Europe/Athens", "estimate", len(ticks))
    assert pl.read_parquet(out).rows() == utc_rows(ticks)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["EURUSD.parquet", "export.csv"]

    run = say(
        "backtest", "--ticks", out, "--symbol", "EURUSD", "--strategy", "breakout:lookback=5,timeframe=M15", "--json", "-"
    )
    assert run.status == 0
    assert (run.object["ticks"], run.object["crossed_dropped"]) == (len(ticks), 0)
    assert run.object["trades"]


def test_a_clock_given_by_hand_wins(tmp_path: Path, say: Say) -> None:
    ticks = list(market(weeks=1))
    export, out = mt5_ticks(tmp_path / "export.csv", ticks), tmp_path / "out.csv"
    assert say("data", "import", export, "--to", out, "--symbol", "EURUSD", "--utc-offset", "+2").status == 0
    assert out.read_text().splitlines()[1] == f"{utc_rows(ticks)[0][0]},1.10600,1.10605"
    told = say("data", "import", export, "--to", out, "--symbol", "EURUSD", "--server-zone", "America/New_York+6", "--json")
    assert (told.object["zone"], told.object["first_utc_ms"]) == ("America/New_York+6", utc_rows(ticks)[0][0] + 3_600_000)


def test_a_clock_that_nothing_tells_is_asked_for(tmp_path: Path, say: Say) -> None:
    export, out = mt5_ticks(tmp_path / "export.csv", list(market())[:50]), tmp_path / "out.csv"
    told = say("data", "import", export, "--to", out, "--symbol", "EURUSD")
    assert (told.status, told.out, out.exists()) == (2, "", False)
    assert "say --server-zone or --utc-offset" in told.err


def test_bad_lines_stop_an_import_unless_they_are_allowed(tmp_path: Path, say: Say) -> None:
    export, out = tmp_path / "a.csv", tmp_path / "out.csv"
    good = [f"EUR/USD,20240304 00:00:0{i}.123,1.10{i}00,1.10{i}05" for i in range(8)]
    back = good[0]
    export.write_text("\n".join([*good[:5], "EUR/USD,20240304 00:00:05.123,1.1o500,1.10505", back, *good[5:]]) + "\n")
    out.write_text("what was there")
    told = say("data", "import", export, "--to", out, "--symbol", "EURUSD")
    assert (told.status, told.out, out.read_text()) == (2, "", "what was there")
    assert told.err.splitlines() == [
        f"{export}: line 6: bid '1.1o500' is not a price",
        f"{export}: line 7: 2024-03-04 00:00:00.123 is not after the row before",
        "2 bad lines (price 1, goes back 1), nothing was written; --bad-lines-max 2 leaves them out",
    ]
    assert say("data", "import", export, "--to", out, "--symbol", "EURUSD", "--bad-lines-max", "2").status == 0
    assert len(out.read_text().splitlines()) == 1 + 8
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.csv", "out.csv"]


def test_a_terminals_bars_have_their_spread(tmp_path: Path, say: Say) -> None:
    export, out = tmp_path / "a.csv", tmp_path / "out.parquet"
    export.write_text(bars_text(100, header=BARS_HEADER, form=MT5_BAR))
    assert say("data", "import", export, "--to", out, "--symbol", "EURUSD", "--utc-offset", "+2").status == 0
    first = pl.read_parquet(out).row(0)
    assert first[1:] == (1.1, 1.1002, 1.0998, 1.1001, 1.10007, 1.10027, 1.09987, 1.10017)
    run = say(
        "backtest", "--bars", out, "--symbol", "EURUSD", "--strategy", "ma_cross:fast=2,slow=5,timeframe=H1", "--json", "-"
    )
    assert (run.status, run.object["ticks"]) == (0, 400)


def test_bars_of_one_side_need_the_other(tmp_path: Path, say: Say) -> None:
    bid, ask, out = tmp_path / "bid.csv", tmp_path / "ask.csv", tmp_path / "out.csv"
    bid.write_text(bars_text(10, header=DUKASCOPY_HEADER, form=DUKASCOPY_BAR))
    ask.write_text(bars_text(10, header=DUKASCOPY_HEADER, form=DUKASCOPY_BAR, shift_points=8, skip=4))
    words = ("data", "import", bid, "--to", out, "--symbol", "EURUSD", "--json")
    alone = say(*words)
    assert (alone.status, "give --ask FILE" in alone.err, out.exists()) == (2, True, False)
    both = say(*words, "--ask", ask)
    assert (both.status, both.object["rows"], both.object["unmatched"]) == (0, 9, 1)
    assert out.read_text().splitlines()[1].endswith("1.10000,1.10020,1.09980,1.10010,1.10008,1.10028,1.09988,1.10018")
    assert say(*words, "--spread", "8").object["rows"] == 10
    assert out.read_text().splitlines()[1].endswith("1.10000,1.10020,1.09980,1.10010,1.10008,1.10028,1.09988,1.10018")


def test_bars_that_no_period_of_utc_holds_are_refused(tmp_path: Path, say: Say) -> None:
    export, out = tmp_path / "a.csv", tmp_path / "out.csv"
    lines = bars_text(96, header=BARS_HEADER, form=MT5_BAR).splitlines()
    export.write_text("\n".join([lines[0], *lines[1::4]]) + "\n")
    told = say("data", "import", export, "--to", out, "--symbol", "EURUSD", "--utc-offset", "+2")
    assert (told.status, out.exists()) == (2, False)
    assert "H4 and D1 bars of a server's clock never do" in told.err


def test_a_folder_of_hours_is_put_in_order(tmp_path: Path, say: Say) -> None:
    for hour, bid in ((9, 110_000), (10, 110_100)):
        path = tmp_path / "EURUSD" / "2024" / "02" / "04" / f"{hour:02}h_ticks.bi5"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(lzma.compress(struct.pack(">IIIff", 5, bid + 4, bid, 1, 1), format=lzma.FORMAT_ALONE))
    out = tmp_path / "out.csv"
    assert say("data", "import", tmp_path / "EURUSD", "--to", out, "--symbol", "EURUSD").status == 0
    first_ms = round(datetime(2024, 3, 4, 9, tzinfo=UTC).timestamp() * 1000) + 5
    rows = [f"{first_ms},1.10000,1.10004", f"{first_ms + 3_600_000},1.10100,1.10104"]
    assert out.read_text().splitlines()[1:] == rows


def test_several_files_are_one_and_a_bad_line_names_its_own(tmp_path: Path, say: Say) -> None:
    line = "EUR/USD,202403{:02} 00:00:01.123,1.10{}00,1.10{}05\n"
    first, second, out = tmp_path / "1.csv", tmp_path / "2.csv", tmp_path / "out.csv"
    first.write_text(line.format(4, 1, 1))
    second.write_text(line.format(5, 2, 2) + line.format(3, 3, 3))
    told = say("data", "import", first, second, "--to", out, "--symbol", "EURUSD")
    assert told.err.startswith(f"{second}: line 2: 2024-03-03 00:00:01.123 is not after the row before\n")
    second.write_text(line.format(5, 2, 2))
    assert say("data", "import", first, second, "--to", out, "--symbol", "EURUSD", "--json").object["rows"] == 2


def test_an_export_without_a_quote_becomes_nothing(tmp_path: Path, say: Say) -> None:
    export = mt5_ticks(tmp_path / "a.csv", [])
    told = say("data", "import", export, "--to", tmp_path / "out.csv", "--symbol", "EURUSD", "--utc-offset", "+2")
    assert (told.status, told.err) == (2, f"{export}: there are no rows\n")


def own_ticks(path: Path, rows: list[tuple[int, float, float]]) -> Path:
    pl.DataFrame(rows, schema=["time_msc", "bid", "ask"], orient="row").write_parquet(path)
    return path


def test_check_has_nothing_to_say_of_clean_quotes(tmp_path: Path, say: Say) -> None:
    told = say("data", "check", own_ticks(tmp_path / "a.parquet", utc_rows(list(market()))), "--symbol", "EURUSD")
    assert (told.status, told.err) == (0, "")
    assert "nothing found" in told.out
    assert "clock: UTC, confidence high: 8 of 8 week ends and beginnings fit" in told.out


def test_check_finds_what_is_wrong_and_where(tmp_path: Path, say: Say) -> None:
    rows = utc_rows(list(market()))
    rows[7] = (rows[7][0], 1.2, 1.1)
    rows[9] = rows[8]
    rows[20] = (rows[20][0], 110.0, 110.01)
    del rows[100:130]
    told = say("data", "check", own_ticks(tmp_path / "a.parquet", rows), "--symbol", "EURUSD", "--json")
    assert told.status == 1
    assert told.object["v"] == 1
    [file] = told.object["files"]
    found = {one["flaw"]: (one["count"], one["examples"][0]["place"]) for one in file["findings"]}
    assert found == {"gap": (1, 99), "scale": (1, 20), "jump": (2, 20), "crossed": (1, 7), "repeated": (1, 9)}
    table = say("data", "check", tmp_path / "a.parquet", "--symbol", "EURUSD").out
    assert "crossed                    1  2024-03-03 22:49:03.091 (line or row 7)" in table


def test_check_finds_daily_bars_behind_hourly_ones(tmp_path: Path, say: Say) -> None:
    text = bars_text(60, header=DUKASCOPY_HEADER, form=DUKASCOPY_BAR)
    days = (datetime(2024, 3, 7, tzinfo=UTC) + timedelta(days=day) for day in range(19))
    text += "".join(
        DUKASCOPY_BAR.format(day, *map(price, (110_000, 110_020, 109_980, 110_010))) + "\n" for day in days if day.weekday() < 5
    )
    (tmp_path / "a.csv").write_text(text)
    told = say("data", "check", tmp_path / "a.csv", "--symbol", "EURUSD", "--json")
    assert told.status == 1
    [found] = [one for one in told.object["files"][0]["findings"] if one["flaw"] == "mixed time frames"]
    assert (found["count"], found["examples"][0]["place"]) == (12, 63), "all but the first, before which is a gap"


def test_check_tells_server_time_that_is_called_utc(tmp_path: Path, say: Say) -> None:
    shifted = [(time.astimezone(ATHENS).replace(tzinfo=UTC), *points) for time, *points in market()]
    path = own_ticks(tmp_path / "a.parquet", utc_rows(shifted))
    told = say("data", "check", path)
    assert told.status == 1
    assert "they fit Europe/Athens (8 of 8, confidence high), not UTC" in told.out
    assert say("data", "check", path, "--server-zone", "Europe/Athens").status == 0


def test_check_counts_bad_lines_and_refuses_what_is_no_price_file(tmp_path: Path, say: Say) -> None:
    path = mt5_ticks(tmp_path / "a.csv", list(market(weeks=1)))
    path.write_text(path.read_text() + "2024.03.10\t12:00\tx\t\t\t\t6\n")
    told = say("data", "check", path, "--symbol", "EURUSD", "--json")
    assert (told.status, told.object["files"][0]["bad_lines"]) == (1, {"price": 1})
    (tmp_path / "b.csv").write_text("hello\n")
    refused = say("data", "check", tmp_path / "b.csv")
    assert (refused.status, refused.out, refused.err.count("\n")) == (2, "", 1)


def test_ticks_become_bars_and_bars_longer_ones(tmp_path: Path, say: Say) -> None:
    ticks = utc_rows(list(market(weeks=1)))
    ticks[5] = (ticks[5][0], 1.2, 1.1)
    source, bars = own_ticks(tmp_path / "a.parquet", ticks), tmp_path / "bars.parquet"
    made = say("data", "convert", source, "--to", bars, "--symbol", "EURUSD", "--timeframe", "M15", "--json")
    assert (made.status, made.object["kind"], made.object["crossed"]) == (0, "M15 bars", 1)
    frame = pl.read_parquet(bars)
    assert frame.columns == ["time", *BARS]
    assert frame["bid_high"].max() == max(bid for _, bid, _ in ticks if bid < 1.15)
    hours = tmp_path / "hours.csv"
    assert say("data", "convert", bars, "--to", hours, "--symbol", "EURUSD", "--timeframe", "H1").status == 0
    assert len(hours.read_text().splitlines()) == 1 + 120
    shorter = say("data", "convert", hours, "--to", tmp_path / "no.csv", "--symbol", "EURUSD", "--timeframe", "M15")
    assert (shorter.status, (tmp_path / "no.csv").exists()) == (2, False)


def test_parquet_becomes_csv_and_back(tmp_path: Path, say: Say) -> None:
    source = own_ticks(tmp_path / "a.parquet", utc_rows(list(market(weeks=1))))
    text, back = tmp_path / "a.csv", tmp_path / "b.parquet"
    assert say("data", "convert", source, "--to", text, "--symbol", "EURUSD").status == 0
    assert say("data", "convert", text, "--to", back, "--symbol", "EURUSD").status == 0
    assert pl.read_parquet(back).equals(pl.read_parquet(source))


def test_without_polars_one_line_says_what_to_install(tmp_path: Path, say: Say, monkeypatch: pytest.MonkeyPatch) -> None:
    export = tmp_path / "a.csv"
    export.write_text("EUR/USD,20240304 00:00:01.123,1.10100,1.10105\n")
    monkeypatch.setitem(sys.modules, "polars", None)
    told = say("data", "import", export, "--to", tmp_path / "out.parquet", "--symbol", "EURUSD")
    assert (told.status, told.err.count("\n")) == (1, 1)
    assert 'pip install "evenkeel[data]"' in told.err
    assert say("data", "import", export, "--to", tmp_path / "out.csv", "--symbol", "EURUSD").status == 0


@pytest.mark.parametrize(
    "words, said",
    [
        (("--to", "a.csv"), "is what is read"),
        (("--to", "out.txt"), "ends neither in .parquet nor in .csv"),
        (("--to", "out.csv", "--symbol", "EURUDS"), "did you mean"),
        (("--to", "out.csv", "--utc-offset", "2"), "--utc-offset '2' is no difference to UTC"),
        (("--to", "out.csv", "--server-zone", "Mars"), "--server-zone 'Mars' is no time zone"),
        (("--to", "out.csv", "--ask", "a.csv"), "does not go together"),
        (("--to", "out.csv", "--spread", "5"), "has a bid and an ask already"),
        (("--to", "out.csv", "--symbol", "USDJPY"), "bad lines"),
        (("--to", "missing/out.csv"), "is no file in a folder that is there"),
    ],
)
def test_what_cannot_be_done_is_said_and_nothing_is_written(
    tmp_path: Path, say: Say, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a.csv").write_text("EUR/USD,20240304 00:00:01.123,1.10100,1.10105\n")
    symbol = () if "--symbol" in words else ("--symbol", "EURUSD")
    told = say("data", "import", "a.csv", *words, *symbol)
    assert told.status == 2
    assert (said in told.err, told.out) == (True, ""), told.err
    assert [path.name for path in tmp_path.iterdir()] == ["a.csv"]
