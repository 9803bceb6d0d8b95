"""`evenkeel report` and `backtest --html` as a reader meets them: one file, every number, nothing from elsewhere."""

import argparse
import json
import re
import shutil
import subprocess
import threading
from html.parser import HTMLParser
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import ClassVar

import msgspec
import pytest
from kept import configured, keep
from story import told

from evenkeel.adapters.snapshot_files import SnapshotFiles
from evenkeel.adapters.state_folder import StateFolder
from evenkeel.commands import backtest, report
from evenkeel.commands.report.charts import MARKS_MAX, r_bins
from evenkeel.commands.report.findings import Findings, read
from evenkeel.commands.report.page import ROWS_MAX, page
from evenkeel.commands.report.style import POLICY
from evenkeel.messages.broker_gateway import AccountRead
from evenkeel.rules.snapshots import Loop, Tally, snapshot_of

MONDAY_UTC_MS = 1_767_571_200_000


class Parsed(HTMLParser):
    """Tags with their attributes, the text of each kind of element, and the cells of each table by its caption."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.texts: dict[str, list[str]] = {}
        self.tables: dict[str, dict[str, list[str]]] = {}
        self._caption, self._row = "", list[str]()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag != "meta":  # as a browser writes it, which closes none
            self.open.append(tag)
        if tag == "tr":
            self._row = []

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, "every element is closed in its turn"
        if tag == "tr" and self._row:
            self.tables.setdefault(self._caption, {})[self._row[0]] = self._row[1:]

    def handle_data(self, data: str) -> None:
        where = self.open[-1] if self.open else ""
        self.texts.setdefault(where, []).append(data)
        if where == "caption":
            self._caption = data
        if where in {"td", "th"}:
            self._row.append(data)


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Path]:
    """The JSON and the page of one back-test, and the JSON of another one."""
    folder = tmp_path_factory.mktemp("results")
    rows = ["time_msc,bid,ask"]
    for at in range(1_200):
        bid = 110_000 + 10 * abs(at % (240 if at < 600 else 40) - (120 if at < 600 else 20))
        rows.append(f"{MONDAY_UTC_MS + 10_000 * at},{bid / 100_000},{(bid + 5) / 100_000}")
    (folder / "ticks.csv").write_text("\n".join(rows))
    parser = argparse.ArgumentParser()
    backtest.add_arguments(parser)
    for name, slow in (("a", 3), ("b", 5)):
        flags = ["--ticks", str(folder / "ticks.csv"), "--symbol", "EURUSD", "--strategy", f"ma_cross:fast=2,slow={slow}"]
        flags += ["--json", str(folder / f"{name}.json"), "--html", str(folder / f"{name}.html")]
        assert backtest.run(parser.parse_args(flags)) == 0
    return folder / "a.json", folder / "a.html", folder / "b.json"


@pytest.fixture
def found(results: tuple[Path, Path, Path]) -> Findings:
    return read(results[0])


def report_run(*flags: str) -> int:
    parser = argparse.ArgumentParser()
    report.add_arguments(parser)
    return report.run(parser.parse_args(flags))


def test_the_page_says_every_number_of_the_json_with_its_unit(results: tuple[Path, Path, Path]) -> None:
    told, said = json.loads(results[0].read_text()), Parsed(results[1].read_text())
    numbers = {name: cells[0] for name, cells in said.tables["Every statistic with its formula"].items()}
    assert numbers["Trades"] == str(len(told["trades"]))
    assert numbers["Net"] == f"{told['net_cents'] / 100:,.2f} USD"
    assert numbers["Max drawdown of equity"] == f"{told['equity_drawdown_max_cents'] / 100:,.2f} USD"
    assert numbers["Average R"] == f"{told['statistics']['average_r']:.2f} R"
    assert numbers["Exposure time"] == f"{told['statistics']['exposure_ratio']:.1%}"
    assert all(cells[1] for cells in said.tables["Every statistic with its formula"].values()), "each has its formula"
    rows = said.tables[f"The newest {len(told['trades'])} of {len(told['trades'])} trades, in the order of their closes"]
    assert [rows[f"#{trade['ticket']}"][10] for trade in told["trades"]] == [
        f"{trade['net_cents'] / 100:,.2f} USD" for trade in told["trades"]
    ]
    assert said.tables["Why positions were closed"]["target"][0] == str(told["statistics"]["exits"]["target"])
    assert sum(int(cells[0]) for name, cells in said.tables["By month of UTC"].items() if name != "Month") == len(
        told["trades"]
    )
    costs = {name: cells[0] for name, cells in said.tables["From the prices to the net, over closed trades"].items()}
    assert costs["Net"] == numbers["Net"]
    spread_cents = sum(cents for trade in told["trades"] for name, cents in trade["costs"].items() if "spread" in name)
    assert numbers["Spread"] == f"{spread_cents / 100:,.2f} USD"
    assert costs["Middle to middle"] == f"{(told['statistics']['profit_cents'] - spread_cents) / 100:,.2f} USD"
    assert costs["Slippage at entries"] == "0.00 USD"


def test_the_report_of_a_json_is_the_page_of_its_backtest(
    results: tuple[Path, Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "again.html"
    assert report_run(str(results[0]), "--html", str(out)) == 0
    assert capsys.readouterr().out == f"{out}\n"
    assert out.read_text() == results[1].read_text()


def test_nothing_is_fetched_and_nothing_runs(results: tuple[Path, Path, Path]) -> None:
    text = results[1].read_text()
    said = Parsed(text)
    assert not re.search(r"https?:|//|url\(|@import|javascript:", text.replace(POLICY, ""))
    assert not {tag for tag, _ in said.tags} & {"script", "link", "img", "iframe", "object", "embed", "form"}
    assert {
        name for _, attributes in said.tags for name in attributes if name.startswith("on") or name in {"src", "style"}
    } == set()
    policy = [
        attributes["content"] for tag, attributes in said.tags if attributes.get("http-equiv") == "Content-Security-Policy"
    ]
    assert policy == [POLICY]
    assert "default-src 'none'" in POLICY
    assert "unsafe" not in POLICY


def test_a_reader_who_sees_no_picture_is_told_what_it_shows(results: tuple[Path, Path, Path]) -> None:
    text = results[1].read_text()
    said = Parsed(text)
    pictures = [attributes for tag, attributes in said.tags if tag == "svg"]
    assert len(pictures) == 4
    assert all(attributes["role"] == "img" for attributes in pictures)
    assert len(re.findall(r"<svg [^>]*><title>[^<]{20,}</title>", text)) == len(pictures)
    assert all(attributes.get("scope") for tag, attributes in said.tags if tag == "th")
    assert ("html", {"lang": "en"}) in said.tags


def test_a_name_that_looks_like_markup_is_shown_as_text(found: Findings) -> None:
    evil = "<script>alert('x')</script>\"&"
    trades = [msgspec.structs.replace(trade, reason=evil) for trade in found.trades]
    text = page(msgspec.structs.replace(found, strategy=evil, settings={evil: evil}, trades=trades))
    said = Parsed(text)
    assert "<script" not in text
    assert f"{evil} on EURUSD" in said.texts["h1"]
    assert said.tables["The strategy was configured with"][evil] == [evil]


def test_two_runs_are_told_apart_from_the_first_decision_on(results: tuple[Path, Path, Path], tmp_path: Path) -> None:
    out = tmp_path / "both.html"
    assert report_run(str(results[0]), "--html", str(out), "--compare", str(results[2])) == 0
    text = out.read_text()
    said = Parsed(text)
    assert said.tables["Settings that differ"]["slow"] == ["3", "5"]
    assert "They differ from 2026-01-05 " in text
    listed = re.search(r"The first (\d+) of \1 openings and closes that differ", text)
    assert listed
    kinds = {kind: list(map(int, cells)) for kind, cells in said.tables["Differences by kind"].items() if kind != "What"}
    assert set(kinds) == {"opened", "closed"}
    assert sum(map(sum, kinds.values())) == int(listed[1])
    assert said.tables["Statistics of both"]["Trades"] == [
        str(len(read(results[0]).trades)),
        str(len(read(results[2]).trades)),
    ]
    [other] = [attributes for tag, attributes in said.tags if attributes.get("class") == "other"]
    assert other["points"]


def test_a_run_beside_itself_differs_in_nothing(found: Findings) -> None:
    decisions = 2 * len(found.trades) + len(found.open)
    assert f"The two runs opened and closed the same: {decisions} decisions are equal." in page(found, found)


def test_a_page_has_a_bound_however_many_trades_there_are(found: Findings) -> None:
    many = [msgspec.structs.replace(found.trades[0], ticket=ticket) for ticket in range(20_000)]
    text = page(msgspec.structs.replace(found, trades=many))
    assert f"The newest {ROWS_MAX:,} of 20,000 trades" in text
    assert text.count("<circle") == MARKS_MAX
    assert len(text) < 1_500_000
    assert len(found.prices["EURUSD"]) <= 600
    assert "at most 600 stretches of equal time" in text


def test_a_run_without_trades_has_a_page_too(found: Findings) -> None:
    none = msgspec.structs.replace(found, trades=[], open=[], days=[], equity=[], drawdown=[], prices={}, refusals=[])
    said = Parsed(page(none))
    assert {"Nothing was closed.", "No prices are recorded."} <= set(said.texts["p"])


def test_each_r_is_in_one_bin_and_bins_are_few() -> None:
    assert r_bins([-1.0, -0.9, 2.0]) == [(-1.0, -0.75, 2), *((at / 4, at / 4 + 0.25, 0) for at in range(-3, 8)), (2.0, 2.25, 1)]
    wide = r_bins([-40.0, 900.0])
    assert len(wide) <= 24
    assert sum(many for _, _, many in wide) == 2


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StateFolder:
    """The account's own, which the command finds."""
    monkeypatch.setenv("EVENKEEL_STATE", str(tmp_path))
    folder = StateFolder(tmp_path, "simulated")
    folder.create()
    return folder


def test_a_recorded_run_is_reported_from_the_journal(
    tmp_path: Path, folder: StateFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    keep(folder.journal, configured(told().records())).close(clean=True)
    assert report_run("--html", str(tmp_path / "run.html"), "--json") == 0
    told_now = msgspec.json.decode(capsys.readouterr().out, type=Findings)
    said = Parsed((tmp_path / "run.html").read_text())
    assert said.texts["h1"][0].startswith("run 1 on ")
    assert told_now.trades
    assert 0 < told_now.statistics.costs.fills_known < told_now.statistics.costs.fills, "the broker closed one by itself"
    assert said.tables["From the prices to the net, over closed trades"]["Middle to middle"][0] == "–"
    assert said.tables["From the prices to the net, over closed trades"]["Spread at entries"][0].startswith("-")
    assert said.tables["Every statistic with its formula"]["Trades"][0] == str(len(told_now.trades))


def test_a_run_in_which_the_account_did_not_change_has_a_report(
    tmp_path: Path, folder: StateFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    before = configured(told().records())
    last = before[-1]
    start, settings = (
        msgspec.structs.replace(one, seq=last.seq + at, time_utc_ms=last.time_utc_ms + 60_000)
        for at, one in enumerate(before[:2], 1)
    )
    keep(folder.journal, [*before, start, settings]).close(clean=True)
    assert report_run("2", "--html", str(tmp_path / "run.html"), "--json") == 0
    told_now = msgspec.json.decode(capsys.readouterr().out, type=Findings)
    assert (told_now.trades, told_now.account.currency) == ([], "USD")


def test_the_minute_snapshots_of_a_recorded_run_are_in_its_report(
    tmp_path: Path, folder: StateFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    scene = told()
    keep(folder.journal, configured(scene.records())).close(clean=True)
    begun_utc_ms = scene.records()[0].time_utc_ms
    files = SnapshotFiles(folder.snapshots, 30)
    for minute in range(-60, 61):
        tally = Tally(account=AccountRead(0, 1_000_000 + minute * 100, 0, "USD", 2, 100), trades=4, won=1)
        at_utc_ms = begun_utc_ms + minute * 60_000
        files.put(snapshot_of(tally, Loop(), utc_ms=at_utc_ms, written_utc_ms=0, positions=0, alarms=0, lost=0))
    assert report_run("--html", str(tmp_path / "run.html"), "--json") == 0
    figures = msgspec.json.decode(capsys.readouterr().out, type=Findings).of_account
    assert figures is not None
    assert (figures.snapshots, figures.from_utc_ms) == (61, begun_utc_ms), "those before the run are not of it"
    said = Parsed((tmp_path / "run.html").read_text())
    shown = said.tables["The account over the snapshots"]
    assert shown["Capital, mean"][0] == "10,030.00 USD"
    assert shown["Win rate, lifetime"] == ["25.0%", "won / closed: 1 / 4"]
    recent = next(table for caption, table in said.tables.items() if caption.startswith("Net of the trades closed since"))
    assert recent["Last 1 h"][4:] == ["60.00 USD", "0", "61"]


@pytest.mark.parametrize(
    ("flags", "status", "words"),
    [
        (["absent.json", "--html", "out.html"], 2, "absent.json: cannot be read"),
        (["old.json", "--html", "out.html"], 2, "is no result of this version's backtest --json"),
        (["old.json"], 2, "say where the page goes: --html OUT.html"),
        (["old.json", "--html", "absent/out.html"], 2, "--html absent/out.html: cannot be written"),
    ],
)
def test_what_is_wrong_is_one_line(
    flags: list[str],
    status: int,
    words: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("old.json").write_text('{"symbol":"EURUSD"}')
    assert report_run(*flags) == status
    said = capsys.readouterr()
    assert (said.out, said.err.count("\n")) == ("", 1)
    assert words in said.err


CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine: the page is not shown in a browser")


def shown(page: Path, profile: Path) -> tuple[str, list[str]]:
    """The document as a browser has it, and what its console said."""
    assert CHROMIUM is not None
    flags = "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking"
    flags += " --disable-component-update --disable-sync --enable-logging=stderr --dump-dom --disable-dev-shm-usage"
    done = subprocess.run(
        [CHROMIUM, *flags.split(), f"--user-data-dir={profile}", page.as_uri()],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return done.stdout, [line for line in done.stderr.splitlines() if "CONSOLE" in line or "Content Security" in line]


@needs_chromium
def test_a_browser_shows_the_page_with_its_style_and_complains_of_nothing(
    results: tuple[Path, Path, Path], tmp_path: Path
) -> None:
    document, complaints = shown(results[1], tmp_path)
    assert complaints == []
    said = Parsed(document)
    assert {"Equity and drawdown", "Exits by reason", "Costs", "Trades on the price"} <= set(said.texts["h2"])
    assert said.tables["Every statistic with its formula"]["Net"][0].endswith(" USD")
    assert sum(tag == "svg" for tag, _ in said.tags) == 4
    assert sum(tag == "circle" for tag, _ in said.tags) == len(read(results[0]).trades), "a dot for each close"


class Listener(BaseHTTPRequestHandler):
    """Remembers who came."""

    came: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        self.came.append(self.path)
        self.send_error(404)


@needs_chromium
def test_what_somebody_smuggles_into_the_page_is_neither_fetched_nor_run(
    results: tuple[Path, Path, Path], tmp_path: Path
) -> None:
    server = HTTPServer(("127.0.0.1", 0), Listener)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    evil = f'<img src="http://127.0.0.1:{server.server_port}/seen"><script>document.body.id = "ran"</script></body>'
    tampered = tmp_path / "tampered.html"
    tampered.write_text(results[1].read_text().replace("</body>", evil))
    document, complaints = shown(tampered, tmp_path / "profile")
    server.shutdown()
    server.server_close()
    assert Listener.came == []
    assert '<body id="ran">' not in document
    assert len(complaints) == 2, "one for the picture, one for the script"
