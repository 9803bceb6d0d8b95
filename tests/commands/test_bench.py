"""`evenkeel bench`: every figure is measured on the real parts and told; how large it is, is the machine's affair."""

from itertools import islice
from pathlib import Path
from typing import Any

import msgspec
import polars as pl
import pytest

from evenkeel.cli import main
from evenkeel.commands.bench import replay, replay_input, restart
from evenkeel.commands.bench.figures import NS_PER_MS, BenchFailed, latencies, rates
from evenkeel.commands.bench.flatten import flatten
from evenkeel.commands.bench.kill import kill_while_a_call_hangs
from evenkeel.commands.bench.starts import small_command, supervisor_import
from evenkeel.commands.bench.trade import trade_costs

FIGURES = [
    "wake_lateness",
    *("publish_to_handle.1000_per_s", "publish_to_handle.5000_per_s"),
    *("quote_to_call_terminal.1000_per_s.exits", "quote_to_call_terminal.1000_per_s.entries"),
    "call_terminal_to_commit.1000_per_s",
    *("quote_to_call_terminal.5000_per_s.exits", "quote_to_call_terminal.5000_per_s.entries"),
    "call_terminal_to_commit.5000_per_s",
    *("deliveries.bare_loop", "deliveries.stepped.no_journal", "deliveries.stepped.digest_journal"),
    *("deliveries.stepped.memory_journal", "deliveries.threaded.no_journal", "deliveries.threaded.lmdb_journal"),
    *("deliveries.real_children.stepped.no_journal", "deliveries.real_children.stepped.digest_journal"),
    *("journal.batch_of_1", "journal.free_running"),
    *("kill_to_refusal.epoch", "kill_to_refusal.gate"),
    *(
        "indicators.atr",
        "indicators.adx",
        "indicators.rsi",
        "indicators.trend",
        "indicators.swings",
        "indicators.pair",
        "indicators.running_median",
    ),
]
WITH_AIM = {
    "quote_to_call_terminal.5000_per_s.exits",
    "quote_to_call_terminal.5000_per_s.entries",
    "deliveries.stepped.no_journal",
    "kill_to_refusal.epoch",
    "kill_to_refusal.gate",
}


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    out = tmp_path_factory.mktemp("bench") / "figures.json"
    assert main(["bench", "runtime", "--seconds", "0.1", "--json", str(out)]) == 0
    found: dict[str, Any] = msgspec.json.decode(out.read_bytes())
    return found


def test_every_figure_is_measured_in_its_order(measured: dict[str, Any]) -> None:
    assert [figure["name"] for figure in measured["figures"]] == FIGURES


def test_every_figure_states_its_samples_and_positive_numbers(measured: dict[str, Any]) -> None:
    for figure in measured["figures"]:
        assert figure["n"] > 0
        assert all(value >= 0 for value in figure["values"].values())


def test_the_aims_stand_beside_their_figures(measured: dict[str, Any]) -> None:
    assert {figure["name"] for figure in measured["figures"] if figure["aim"] is not None} == WITH_AIM


def test_ten_thousand_messages_wait_at_each_kill(measured: dict[str, Any]) -> None:
    kills = [figure for figure in measured["figures"] if figure["name"].startswith("kill_to_refusal")]
    assert all(figure["values"]["queued_min"] >= 10_000 for figure in kills)


def test_a_kill_is_measured_while_a_call_of_the_terminal_hangs() -> None:
    (figure,) = kill_while_a_call_hangs(0.05)
    assert figure.name == "kill_to_refusal.hung"
    assert figure.n == 3
    assert figure.values["queued_min"] >= 10_000


def test_a_flatten_is_measured_to_its_first_and_its_last_close() -> None:
    found = list(flatten(0.01))
    assert [figure.name for figure in found] == ["flatten.idle", "flatten.queued"]
    assert all(0 < figure.values["p50_first_ms"] <= figure.values["p50_last_ms"] for figure in found)


def test_it_says_what_it_ran_on(measured: dict[str, Any]) -> None:
    assert measured["machine"].keys() == {"system", "cpus", "python", "build", "load"}


def test_a_replay_is_measured_in_processes_of_its_own_and_equals_every_tick(tmp_path: Path) -> None:
    """The first figures: the rest take a minute."""
    ticks = tmp_path / "ticks.parquet"
    replay_input.synthetic(ticks, rows=5_000)
    found = {figure.name: figure for figure in islice(replay.figures(ticks, "EURUSD", rounds=1, long=False), 7)}
    assert list(found)[:3] == ["replay.job.run", "replay.job.start_to_result", "replay.job.peak"]
    assert all(found[name].aim is not None for name in list(found)[:3])
    assert found["replay.job.every_tick"].values["times_slower"] > 0
    assert found["replay.floor"].values["bars_and_search_per_s"] > 0
    assert "10,000 ticks" in found["replay.job.run"].what


def test_waves_make_one_trade_each_and_bars_a_million(tmp_path: Path) -> None:
    replay_input.waves(tmp_path / "waves.parquet", 3)
    bids = pl.read_parquet(tmp_path / "waves.parquet")["bid"].to_numpy()
    assert (bids == 1.1).sum() == 3
    ticks = tmp_path / "ticks.parquet"
    replay_input.synthetic(ticks, rows=20_000)
    count = replay_input.bars_of(ticks, tmp_path / "bars.parquet")
    assert 900_000 < count <= 1_000_000


@pytest.mark.parametrize(
    "flags",
    [
        ["replay", "--rounds", "0"],
        ["--seconds", "0"],
        ["--seconds", "soon"],
        ["--seconds", "nan"],
        ["everything"],
        ["--json", "no/such/folder/out.json"],
    ],
)
def test_bad_flags_end_with_status_2(flags: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as ended:
        main(["bench", *flags])
    assert ended.value.code == 2


def test_a_latency_is_that_of_the_sample_at_its_rank() -> None:
    found = latencies([number * NS_PER_MS for number in range(1, 1001)])
    assert found == {"p50_ms": 500.0, "p99_ms": 990.0, "p99.9_ms": 999.0, "max_ms": 1000.0}


def test_no_sample_is_no_figure() -> None:
    with pytest.raises(BenchFailed):
        latencies([])


def test_a_rate_is_told_of_the_median_round_and_of_the_best() -> None:
    assert rates(6, [2_000_000_000, 1_000_000_000, 3_000_000_000]) == {"median_per_s": 3.0, "best_per_s": 6.0}


def test_each_trade_is_measured_with_its_aim() -> None:
    cost, flat = trade_costs(100)
    assert (cost.name, flat.name) == ("replay.trade.settled", "replay.trade.settled.flat")
    assert cost.n == 100
    assert 0 < cost.values["median_us"] <= cost.values["p99_us"]
    assert cost.aim is not None
    assert flat.aim is not None


def test_a_start_is_measured_against_a_bare_interpreter(tmp_path: Path) -> None:
    for found in (supervisor_import(rounds=1), small_command(1, tmp_path)):
        assert found.values["bare_median_s"] > 0
        assert found.aim is not None


def test_a_restart_is_measured_on_a_journal_that_a_real_run_has_written() -> None:
    (figure,) = restart.figures(records=1_000, positions=2, rounds=1)
    assert figure.values["records"] >= 1_000
    assert figure.values["positions"] == 2
    assert 0 < figure.values["serving_max_ms"] < figure.values["max_ms"]
    assert figure.aim is not None
