"""`evenkeel backtest` as its user meets it: the result, the table, and one line for every mistake."""

import argparse
import contextlib
import io
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import polars as pl
import pytest
from orders import closed

from evenkeel.adapters.history import Recorded
from evenkeel.commands import backtest
from evenkeel.commands.backtest.plan import Input, Plan, ResultLost, plan_of, recorded, write
from evenkeel.commands.backtest.replay import prepared, replayed
from evenkeel.commands.backtest.report import result_of, summary
from evenkeel.commands.backtest.trades import HeardTrades, TradeListener
from evenkeel.config.load import packaged
from evenkeel.messages.entry import Lineage
from evenkeel.messages.market import Direction
from evenkeel.messages.position import ExitReason, PositionOpened, PositionPriced, PositionReduced
from evenkeel.messages.system import ChildDown

MONDAY_UTC_MS = 1_767_571_200_000
QUICK = "ma_cross:fast=2,slow=3"
RESULT_KEYS = ["symbol", "ticks", "bars", "crossed_dropped", "repeats_dropped", "trades", "open", "net_cents"]
RESULT_KEYS += ["run_s", "total_s", "peak_mb", "journal_sha256", "equity_drawdown_max_cents", "days", "refusals"]
RESULT_KEYS += ["account", "strategy", "settings", "digits", "from_utc_ms", "to_utc_ms", "statistics"]
RESULT_KEYS += ["equity", "drawdown", "prices", "v"]
TRADE_KEYS = ["ticket", "direction", "open_utc_ms", "open_price", "close_utc_ms", "close_price", "reason"]
TRADE_KEYS += ["volume_lots", "profit_cents", "symbol", "commission_cents", "swap_cents", "net_cents", "r", "costs"]

Row = tuple[object, object, object]


def zigzag(count: int = 1_200) -> list[Row]:
    """A quote each 10 s, down and up in long waves, whose crossings reach their targets, then in short ones, which do not."""
    rows: list[Row] = []
    for index in range(count):
        wave = 240 if index < 600 else 40
        bid_points = 110_000 + 10 * abs(index % wave - wave // 2)
        rows.append((MONDAY_UTC_MS + 10_000 * index, bid_points / 100_000, (bid_points + 5) / 100_000))
    return rows


def csv_file(path: Path, rows: list[Row], header: str = "time_msc,bid,ask") -> Path:
    path.write_text("\n".join([header, *(",".join(map(str, row)) for row in rows)]) + "\n")
    return path


@pytest.fixture
def ticks(tmp_path: Path) -> Path:
    return csv_file(tmp_path / "ticks.csv", zigzag())


def arguments(ticks: Path, *more: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    backtest.add_arguments(parser)
    given = ["--ticks", str(ticks)]
    for flag, value in (("--symbol", "EURUSD"), ("--strategy", QUICK)):
        given += [] if flag in more else [flag, value]
    return parser.parse_args([*given, *more])


def quick_plan() -> Plan:
    return plan_of(config_path=None, symbols=["EURUSD"], strategy=QUICK)


def sources(ticks: Path) -> list[Recorded]:
    return recorded(quick_plan(), [Input("ticks", ticks)])


def result(ticks: Path, *more: str) -> dict[str, Any]:
    out = ticks.with_name("result.json")
    assert backtest.run(arguments(ticks, *more, "--json", str(out))) == 0
    found: dict[str, Any] = json.loads(out.read_text())
    return found


def refusal(capsys: pytest.CaptureFixture[str], ticks: Path, *more: str, status: int = 2) -> str:
    """The one line on stderr; nothing else was said."""
    assert backtest.run(arguments(ticks, *more)) == status
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.count("\n") == 1
    return said.err.rstrip("\n")


# -- the result -------------------------------------------------------------------------------------------------------------


def test_the_result_holds_each_trade_with_prices_as_decimals(ticks: Path) -> None:
    found = result(ticks)
    assert list(found) == RESULT_KEYS
    trade = found["trades"][0]
    assert list(trade) == TRADE_KEYS
    assert trade["volume_lots"] == 0.1
    assert (trade["ticket"], trade["direction"], trade["reason"]) == (1001, "buy", "target")
    assert (trade["open_price"], trade["close_price"], trade["profit_cents"]) == (1.10125, 1.1033, 2050)
    half = -25  # five points of 0.1 lots are 50 cents, half of them at each end
    assert trade["costs"] == {
        "entry_spread_cents": half,
        "entry_slippage_cents": 0,
        "exit_spread_cents": half,
        "exit_slippage_cents": 0,
    }
    assert list(found["open"][0]) == ["ticket", "direction", "open_utc_ms", "open_price", "volume_lots", "symbol"]
    assert found["net_cents"] == sum(trade["profit_cents"] for trade in found["trades"])
    assert (found["symbol"], found["ticks"], found["bars"]) == ("EURUSD", 1_200, 199)
    assert found["total_s"] >= found["run_s"] > 0
    assert found["peak_mb"] > 10


def test_each_day_is_told_with_its_trades_and_its_last_equity(ticks: Path) -> None:
    found = result(ticks)
    [day] = found["days"]
    assert (day["date"], day["trades"], day["net_cents"]) == ("2026-01-05", len(found["trades"]), found["net_cents"])
    assert 0 < abs(day["equity_cents"] - 1_000_000 - found["net_cents"]) < 5_000, "what is open floats"
    assert found["equity_drawdown_max_cents"] > 0


def test_several_files_are_replayed_in_one_order_of_time(ticks: Path, tmp_path: Path) -> None:
    other = csv_file(tmp_path / "other.csv", [(time + 3, bid + 0.2, ask + 0.2) for time, bid, ask in zigzag(900)])
    found = result(ticks, "--ticks", str(other), "--symbol", "EURUSD", "--symbol", "GBPUSD")
    assert (found["symbol"], found["ticks"], found["bars"]) == ("EURUSD,GBPUSD", 2_100, 199 + 149)
    assert {trade["symbol"] for trade in found["trades"]} == {"EURUSD", "GBPUSD"}
    opens = [trade["close_utc_ms"] for trade in found["trades"]]
    assert opens == sorted(opens)


@pytest.mark.parametrize(
    "more, words",
    [
        (("--symbol", "EURUSD", "--symbol", "GBPUSD"), ("2 for 1 files", "EURUSD, GBPUSD")),
        (("--symbol", "EURUSD", "--symbol", "EURUSD"), ("--symbol EURUSD", "2 times")),
    ],
)
def test_files_and_symbols_must_pair(
    ticks: Path, capsys: pytest.CaptureFixture[str], more: tuple[str, ...], words: tuple[str, ...]
) -> None:
    said = refusal(capsys, ticks, *more)
    assert all(word in said for word in words)


def test_crossed_quotes_and_repeats_are_counted_and_ticks_are_all_rows(tmp_path: Path) -> None:
    first, second, *others = zigzag()
    crossed = (second[0], second[1], 1.0)
    found = result(csv_file(tmp_path / "ticks.csv", [first, first, crossed, crossed, second, *others]))
    assert (found["ticks"], found["crossed_dropped"], found["repeats_dropped"]) == (1_203, 1, 2)


def test_a_parquet_gives_the_same_trades_as_a_csv(ticks: Path, tmp_path: Path) -> None:
    path = tmp_path / "ticks.parquet"
    pl.DataFrame(zigzag(), schema=["time_msc", "bid", "ask"], orient="row").write_parquet(path)
    assert result(path)["trades"] == result(ticks)["trades"]


def test_from_is_the_first_moment_and_to_the_first_one_left_out(ticks: Path) -> None:
    found = result(ticks, "--from", "2026-01-05T01:00", "--to", "2026-01-05T03:00:00+01:00")
    assert found["ticks"] == 360
    assert all(trade["open_utc_ms"] >= MONDAY_UTC_MS + 3_600_000 for trade in found["trades"])


def test_keys_left_out_of_the_strategy_are_those_of_the_configuration(ticks: Path, tmp_path: Path) -> None:
    config = tmp_path / "mine.toml"
    plain = packaged("plain.toml").read_text()
    config.write_text(f'{plain}\n[strategy.ma_cross]\nkind = "ma_cross"\ntimeframe = "M5"\nfast = 2\nslow = 9\n')
    found = result(ticks, "--config", str(config), "--strategy", "ma_cross:slow=3")
    assert found["bars"] == 39
    assert found["trades"] == result(ticks, "--strategy", "ma_cross:fast=2,slow=3,timeframe=M5")["trades"]


def test_other_strategies_of_the_configuration_do_not_trade(ticks: Path, tmp_path: Path) -> None:
    config = tmp_path / "mine.toml"
    config.write_text(packaged("plain.toml").read_text() + '\n[strategy.other]\nkind = "ma_cross"\nfast = 1\nslow = 2\n')
    assert result(ticks, "--config", str(config))["journal_sha256"] == result(ticks)["journal_sha256"]


@pytest.mark.parametrize("form", [(), ("--every-tick",)])
def test_a_quote_is_as_old_as_its_time_says(ticks: Path, tmp_path: Path, form: tuple[str, ...]) -> None:
    config = tmp_path / "mine.toml"
    config.write_text(packaged("plain.toml").read_text() + "\n[limits]\nquote_age_s_max = 5\n")
    assert result(ticks, "--config", str(config), *form)["trades"] == result(ticks)["trades"]


def test_json_to_stdout_is_the_json_alone(ticks: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert backtest.run(arguments(ticks, "--json", "-")) == 0
    said = capsys.readouterr()
    assert json.loads(said.out)["ticks"] == 1_200
    assert said.err == ""


# -- the journal's digest ---------------------------------------------------------------------------------------------------


def test_the_digest_does_not_depend_on_where_the_input_lies(ticks: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "folder with a space" / "other.csv"
    elsewhere.parent.mkdir()
    elsewhere.write_bytes(ticks.read_bytes())
    assert result(elsewhere)["journal_sha256"] == result(ticks)["journal_sha256"]


@pytest.mark.parametrize(
    "more",
    [
        ("--strategy", "ma_cross:fast=2,slow=4"),
        ("--strategy", "ma_cross:fast=2,slow=3,confidence=0.5"),
        ("--symbol", "GBPUSD"),
        ("--digits", "6"),
        ("--from", "2026-01-04"),
        ("--to", "2026-01-06"),
    ],
)
def test_the_digest_depends_on_every_flag_that_decides(ticks: Path, more: tuple[str, str]) -> None:
    assert result(ticks, *more)["journal_sha256"] != result(ticks)["journal_sha256"]


def test_the_digest_depends_on_the_input(ticks: Path, tmp_path: Path) -> None:
    later = (MONDAY_UTC_MS + 12_000_000, *zigzag()[-1][1:])
    longer = csv_file(tmp_path / "longer.csv", [*zigzag(), later])
    assert result(longer)["trades"] == result(ticks)["trades"]
    assert result(longer)["journal_sha256"] != result(ticks)["journal_sha256"]


def test_two_processes_with_other_hash_seeds_give_the_same_digest(ticks: Path) -> None:
    def digest(hash_seed: str) -> str:
        command = [sys.executable, "-m", "evenkeel.cli", "backtest"]
        flags = ["--ticks", str(ticks), "--symbol", "EURUSD", "--strategy", QUICK, "--json", "-"]
        environment = os.environ | {"PYTHONHASHSEED": hash_seed}
        done = subprocess.run([*command, *flags], env=environment, capture_output=True, check=True)
        assert done.stderr == b""
        return str(json.loads(done.stdout)["journal_sha256"])

    assert digest("1") == digest("2") == result(ticks)["journal_sha256"]


# -- what a person sees -----------------------------------------------------------------------------------------------------


def test_the_table_has_a_number_a_line_and_help_explains_each(ticks: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert backtest.run(arguments(ticks)) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len({len(line) for line in lines}) == 1, "aligned"
    names = [line.split("  ")[0] for line in lines]
    assert {"win rate", "max drawdown", "closed by stop", "refused by position: slot_taken", "peak_mb"} <= set(names)
    for name in names:
        general = "closed by X" if name.startswith("closed by") else "refused by X" if name.startswith("refused") else name
        assert general.removesuffix(" dropped") in backtest.EXPLANATION


def test_progress_is_shown_on_a_terminal_and_gone_at_the_end(ticks: Path) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    with contextlib.redirect_stderr(Terminal()) as screen:
        assert backtest.run(arguments(ticks)) == 0
    assert screen.getvalue().endswith("\r    \r")


def test_progress_is_told_in_rising_shares(ticks: Path) -> None:
    shares: list[float] = []
    replayed(prepared(quick_plan(), sources(ticks)), shares.append)
    assert shares[-1] == 1.0
    assert shares == sorted(shares)


def test_money_is_shown_in_the_digits_of_the_account(ticks: Path) -> None:
    plan = quick_plan()
    given = prepared(plan, sources(ticks))
    done = replayed(given)
    found = result_of(given, done)
    yen = msgspec.structs.replace(plan.config.account, currency="JPY", currency_digits=0)
    net = f"{found.net_cents:,} JPY"
    assert net in summary(found, done.heard, yen)


# -- mistakes ---------------------------------------------------------------------------------------------------------------

GOOD = zigzag(3)
T = MONDAY_UTC_MS

BAD_FILES: dict[str, tuple[Callable[[Path], object], tuple[str, ...]]] = {
    "missing column": (lambda path: csv_file(path, GOOD, "time_msc,bid,offer"), ("ask", "offer")),
    "time going back": (lambda path: csv_file(path, [*GOOD, (T - 1, 1.1, 1.1)]), ("row 3", str(T - 1))),
    "not a number": (lambda path: csv_file(path, [GOOD[0], (T + 1, "nan", 1.1)]), ("row 1", "bid", "nan")),
    "zero price": (lambda path: csv_file(path, [*GOOD, (T + 90_000, 0, 1.1)]), ("row 3", "bid", "0")),
    "negative price": (lambda path: csv_file(path, [(T, 1.1, -1.1)]), ("row 0", "ask", "-1.1")),
    "100 times off": (lambda path: csv_file(path, [(T, 110.001, 110.002)]), ("row 0", "bid", "110.001", "EURUSD")),
    "no rows": (lambda path: csv_file(path, []), ("no rows",)),
    "empty file": (lambda path: path.write_bytes(b""), ("empty",)),
    "not a parquet": (lambda path: path.write_bytes(b"\x00\x01\xff" * 50), ("neither parquet nor CSV",)),
    "no such file": (lambda path: None, ("No such file",)),
    "a folder": (lambda path: path.mkdir(), ("directory",)),
}


@pytest.mark.parametrize(("make", "names"), BAD_FILES.values(), ids=BAD_FILES)
def test_a_bad_file_is_refused_in_one_line_that_names_file_row_and_value(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], make: Callable[[Path], object], names: tuple[str, ...]
) -> None:
    path, out = tmp_path / "bad.csv", tmp_path / "out" / "result.json"
    out.parent.mkdir()
    out.write_text("as before")
    make(path)
    said = refusal(capsys, path, "--json", str(out))
    assert [name for name in (str(path), *names) if name not in said] == []
    assert out.read_text() == "as before"
    assert list(out.parent.iterdir()) == [out]


def test_a_file_called_parquet_that_is_none_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = csv_file(tmp_path / "ticks.parquet", GOOD)
    assert f"{path}: is not a parquet file" in refusal(capsys, path)


@pytest.mark.parametrize(
    ("flag", "value", "names"),
    [
        ("--strategy", "ma_cros", ("'ma_cros'", "did you mean 'ma_cross'?")),
        ("--strategy", "", ("unknown strategy ''", "ma_cross")),
        ("--strategy", "ma_cross:fats=3", ("'fats'", "did you mean 'fast'?")),
        ("--strategy", "ma_cross:symbols=GBPUSD", ("'symbols'", "fast, slow")),
        ("--strategy", "ma_cross:fast", ("'fast' is not KEY=VALUE",)),
        ("--strategy", "ma_cross:", ("'' is not KEY=VALUE",)),
        ("--strategy", "ma_cross:fast=ten", ("fast", "'ten' is not a whole number")),
        ("--strategy", "ma_cross:fast=0", ("fast 0 is not >= 1",)),
        ("--strategy", "ma_cross:fast=5,fast=6", ("fast is given twice",)),
        ("--strategy", "ma_cross:fast=20,slow=10", ("fast 20 is not < slow, which is 10",)),
        ("--strategy", "ma_cross:fast=20", ("fast 20 is not < slow, which is 20",)),
        ("--strategy", "ma_cross:timeframe=M2", ("timeframe", "'M2'", "'M5'")),
        ("--symbol", "EURUSE", ("'EURUSE'", "did you mean EURUSD?")),
        ("--symbol", "eurusd", ("'eurusd'", "did you mean EURUSD?")),
        ("--symbol", "../EURUSD", ("'../EURUSD'",)),
        ("--symbol", "US500", ("'US500'",)),
        ("--symbol", "", ("unknown symbol ''",)),
        ("--digits", "3", ("row 1", "1.1119", "--digits")),
        ("--from", "yesterday", ("--from 'yesterday'", "2014-05-01")),
        ("--to", "2014-13-01", ("--to '2014-13-01'",)),
        ("--from", "2027-01-01", ("no row in the stretch asked for",)),
    ],
)
def test_a_bad_flag_is_refused_in_one_line_that_names_the_value(
    ticks: Path, capsys: pytest.CaptureFixture[str], flag: str, value: str, names: tuple[str, ...]
) -> None:
    said = refusal(capsys, ticks, flag, value)
    assert [name for name in names if name not in said] == []


@pytest.mark.parametrize("digits", ["9", "-1", "two"])
def test_digits_that_no_price_has_are_a_usage_error(ticks: Path, digits: str) -> None:
    with pytest.raises(SystemExit) as ended:
        arguments(ticks, f"--digits={digits}")
    assert ended.value.code == 2


@pytest.mark.parametrize(
    ("out", "why"),
    [("absent/result.json", "No such file"), ("ticks.csv/result.json", "Not a directory"), (".", "is not a file")],
)
def test_an_output_that_cannot_be_written_is_refused_before_the_ticks_are_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], out: str, why: str
) -> None:
    path = tmp_path / "ticks.csv"
    path.write_text("no ticks at all")
    said = refusal(capsys, path, "--json", str(tmp_path / out))
    assert said.startswith(f"--json {tmp_path / out}: ")
    assert why in said


def test_the_ticks_are_never_overwritten_by_the_result(ticks: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = ticks.read_bytes()
    assert "is the file of the ticks" in refusal(capsys, ticks, "--json", str(ticks))
    assert ticks.read_bytes() == before


def test_a_result_that_cannot_be_written_after_all_is_one_line_that_names_the_file(tmp_path: Path) -> None:
    out = tmp_path / "absent" / "result.json"
    with pytest.raises(ResultLost, match=r"^--json .*result.json: could not be written: No such file or directory$"):
        write("--json", out, b"{}")


def test_an_invalid_configuration_ends_with_status_6_and_its_lines(
    ticks: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "mine.toml"
    config.write_text("[entry]\nstop_pip = 3\n")
    said = refusal(capsys, ticks, "--config", str(config), status=6)
    assert said == f"{config}:2: entry.stop_pip: is unknown; did you mean 'stop_pips'?"


def test_trading_that_the_configuration_keeps_off_is_refused_with_status_4(
    ticks: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "mine.toml"
    config.write_text('profile = "plain"\n[entry]\nvolume_lots = 0.1\n')
    assert "trading is off" in refusal(capsys, ticks, "--config", str(config), status=4)


# -- parts ------------------------------------------------------------------------------------------------------------------


def test_an_open_trade_has_the_price_of_its_deal_and_the_volume_that_is_left() -> None:
    listener = TradeListener(HeardTrades())
    opened = PositionOpened(7, "EURUSD", 1, Direction.BUY, 10, 110_000, 0, 0, 0, 0, 0, Lineage("strategy", "ma_cross"))
    for message in (
        opened,
        PositionPriced(7, "EURUSD", 1, 110_003, 10, 0),
        PositionReduced(7, "EURUSD", 1, 4, 110_100, 60, ExitReason.PERSON),
    ):
        listener.remember(message)
    assert listener.heard.opened == {7: msgspec.structs.replace(opened, entry_points=110_003, volume_steps=4)}


def test_an_order_that_never_became_a_position_is_no_trade_of_the_result() -> None:
    listener = TradeListener(HeardTrades())
    listener.remember(closed(reason=ExitReason.NEVER_OPENED))
    assert listener.heard.closed == []


def test_a_crash_of_a_child_is_not_passed_over() -> None:
    listener = TradeListener(HeardTrades())
    listener.remember(ChildDown("position/EURUSD", 1, 1, "ValueError: no"))
    assert listener.heard.crashes == ["position/EURUSD crashed: ValueError: no"]


def test_the_command_line_can_ask_for_the_flags_without_loading_what_the_work_needs() -> None:
    heavy = "{'msgspec', 'numpy', 'polars', 'pykka', 'lmdb'}"
    code = f"import sys, evenkeel.commands.backtest; print({heavy} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout.strip() == b"set()"
