"""`signal --file`: each line is answered, and raised at most once."""

import argparse
import datetime
import io
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from evenkeel.adapters import control_channel as channel
from evenkeel.adapters.control_channel import ControlReply, ControlServer, Done, HandledRequest, Refused
from evenkeel.adapters.state_folder import StateFolder
from evenkeel.commands import exit_codes, raise_signal
from evenkeel.commands.signal_lines import LINE_BYTES_MAX

NOW = datetime.datetime.now(datetime.UTC)


class Supervisor:
    """Raises what is asked, but nothing in GBPUSD."""

    def __init__(self, folder: StateFolder) -> None:
        self.raised: list[channel.RaiseSignal] = []
        self.server = ControlServer(folder.control, self._handled, started_utc_ms=0, build="test")

    def _handled(self, request: HandledRequest) -> ControlReply:
        assert isinstance(request, channel.RaiseSignal)
        if request.symbol == "GBPUSD":
            return Refused(request.command_id, "GBPUSD is not traded here")
        self.raised.append(request)
        return Done(request.command_id, "raised")


class Told(NamedTuple):
    status: int
    lines: list[dict[str, Any]]
    ends: dict[str, int]
    talk: str


Says = Callable[..., Told]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StateFolder:
    monkeypatch.setenv("EVENKEEL_STATE", str(tmp_path))
    made = StateFolder(tmp_path, "simulated")
    made.create()
    return made


@pytest.fixture
def supervisor(folder: StateFolder) -> Iterator[Supervisor]:
    made = Supervisor(folder)
    made.server.start()
    yield made
    made.server.stop()


@pytest.fixture
def says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Says:
    """`signal --file` of these lines as a file, or on standard input, with the arguments given."""

    def says(*lines: str, words: tuple[str, ...] = (), on_stdin: bool = False) -> Told:
        text = "".join(f"{line}\n" for line in lines).encode()
        (tmp_path / "signals.jsonl").write_bytes(text)
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text)))
        parser = argparse.ArgumentParser()
        raise_signal.add_arguments(parser)
        source = "-" if on_stdin else str(tmp_path / "signals.jsonl")
        status = raise_signal.run(parser.parse_args(["--file", source, "--json", *words]))
        printed = capsys.readouterr()
        found = [json.loads(line) for line in printed.out.splitlines()] or [{"ends": {}}]
        return Told(status, found[:-1], found[-1]["ends"], printed.err)

    return says


def line(signal_id: str, **fields: Any) -> str:
    told = {"id": signal_id, "time": NOW.isoformat(), "symbol": "EURUSD", "direction": "buy"}
    return json.dumps(told | fields)


@pytest.mark.parametrize("on_stdin", [False, True])
def test_each_line_is_raised_and_answered(supervisor: Supervisor, says: Says, on_stdin: bool) -> None:
    told = says(line("a"), "", line("b", direction="sell", confidence=0.5), words=("--age", "3600"), on_stdin=on_stdin)
    assert (told.status, told.ends) == (exit_codes.OK, {"raised": 2})
    assert [(one["v"], one["line"], one["id"], one["end"]) for one in told.lines] == [
        (1, 1, "a", "raised"),
        (1, 3, "b", "raised"),
    ]
    assert [(one.source_id, one.direction, one.confidence, one.origin) for one in supervisor.raised] == [
        ("a", "buy", 1.0, "file"),
        ("b", "sell", 0.5, "file"),
    ]


def test_a_file_that_is_read_twice_raises_nothing_twice(supervisor: Supervisor, says: Says) -> None:
    lines = [line("a"), line("b", symbol="GBPUSD")]
    assert says(*lines, words=("--age", "3600")).status == exit_codes.REFUSED
    told = says(*lines, words=("--age", "3600"))
    assert (told.status, told.ends) == (exit_codes.REFUSED, {"raised": 1, "refused": 1})
    assert [one["repeated"] for one in told.lines] == [True, True]
    assert len(supervisor.raised) == 1


def test_of_a_file_with_a_wrong_line_nothing_is_raised(supervisor: Supervisor, says: Says) -> None:
    told = says(line("a"), "{}", line("b", symbol="EUR/USD"), "x" * (LINE_BYTES_MAX + 1), line("c", token="hunter2"), line("d"))
    assert (told.status, told.ends) == (exit_codes.USAGE, {"wrong": 4})
    assert [(one["line"], one["end"]) for one in told.lines] == [(2, "wrong"), (3, "wrong"), (4, "wrong"), (5, "wrong")]
    assert told.lines[2]["detail"] == f"longer than {LINE_BYTES_MAX} bytes"
    assert "nothing is raised" in told.talk
    assert supervisor.raised == []


def test_of_standard_input_a_wrong_line_is_told_and_the_next_one_raised(supervisor: Supervisor, says: Says) -> None:
    long = "x" * (3 * LINE_BYTES_MAX)
    told = says(line("a"), "no json", long, line("b"), words=("--age", "3600"), on_stdin=True)
    assert told.status == exit_codes.USAGE
    assert [one["end"] for one in told.lines] == ["raised", "wrong", "wrong", "raised"]
    assert [one.source_id for one in supervisor.raised] == ["a", "b"]


def test_a_signal_that_is_too_old_is_refused(supervisor: Supervisor, says: Says) -> None:
    told = says(line("a", time="2026-01-05T09:30:00Z"))
    assert (told.status, told.ends) == (exit_codes.REFUSED, {"refused": 1})
    assert supervisor.raised == []


def test_without_a_supervisor_each_line_says_so_and_may_be_sent_again(folder: StateFolder, says: Says) -> None:
    told = says(line("a"), line("b"), words=("--age", "3600"))
    assert (told.status, told.ends) == (exit_codes.NOT_RUNNING, {"not_running": 2})
    supervisor = Supervisor(folder)
    supervisor.server.start()
    assert says(line("a"), line("b"), words=("--age", "3600")).ends == {"raised": 2}
    supervisor.server.stop()


@pytest.mark.parametrize(
    "words", [("EURUSD", "buy"), ("--strategy", "trend"), ("--confidence", "0.5"), ("--id", "x"), ("--account", "none/such")]
)
def test_what_is_of_one_signal_does_not_go_with_a_file(folder: StateFolder, says: Says, words: tuple[str, ...]) -> None:
    told = says(line("a"), words=words)
    assert (told.status, told.lines) == (exit_codes.USAGE, [])
    assert told.talk.startswith("signal: ")


def test_an_account_that_is_not_there_is_not_made(tmp_path: Path, folder: StateFolder, says: Says) -> None:
    assert says(line("a"), words=("--account", "other")).status == exit_codes.NOT_RUNNING
    assert not (tmp_path / "other").exists()
