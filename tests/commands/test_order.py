"""The commands of a person, from their words to what the supervisor is asked."""

import argparse
import json
from collections.abc import Iterator
from typing import Any

import pytest

from evenkeel.adapters import control_channel as channel
from evenkeel.adapters.control_channel import ControlServer, Done
from evenkeel.adapters.kill_epoch import KillEpoch
from evenkeel.adapters.state_folder import StateFolder
from evenkeel.commands import exit_codes, order


@pytest.fixture
def asked(folder: StateFolder) -> Iterator[list[Any]]:
    """What a supervisor is asked, which does everything."""
    heard: list[Any] = []

    def handled(request: Any) -> Done:
        heard.append(request)
        return Done(request.command_id, "as you wish")

    server = ControlServer(folder.control, handled, started_utc_ms=1, build="b")
    server.start()
    yield heard
    server.stop()


def told(*words: str) -> int:
    parser = argparse.ArgumentParser()
    parser.set_defaults(command=words[0])
    order.add_arguments(parser)
    return order.run(parser.parse_args(list(words[1:])))


@pytest.mark.parametrize(
    "words, kind, fields",
    [
        ("pause", channel.Pause, {"scope": "account", "for_ms": 0}),
        ("pause --symbol EURUSD --for 1.5", channel.Pause, {"scope": "EURUSD", "for_ms": 90_000}),
        ("resume --strategy trend", channel.Resume, {"scope": "strategy/trend"}),
        ("close-only", channel.Restrict, {"mode": "close_only", "scope": "account"}),
        ("freeze", channel.Restrict, {"mode": "freeze", "scope": "account"}),
        ("flatten", channel.Restrict, {"mode": "flatten", "scope": "account"}),
        ("flatten --symbol EURUSD", channel.Restrict, {"mode": "flatten", "scope": "EURUSD"}),
        ("kill --symbol EURUSD", channel.Kill, {"epoch": 0, "flatten": False, "scope": "EURUSD"}),
        ("kill --strategy trend --flatten", channel.Kill, {"epoch": 0, "flatten": True, "scope": "strategy/trend"}),
        ("kill --flatten", channel.Kill, {"epoch": 1, "flatten": True, "scope": "account"}),
        ("close 1001", channel.Close, {"ticket": 1001}),
    ],
)
def test_words_become_one_request(asked: list[Any], words: str, kind: type, fields: dict[str, Any]) -> None:
    assert told(*words.split()) == exit_codes.OK
    (request,) = asked
    assert type(request) is kind
    assert {name: getattr(request, name) for name in fields} == fields


@pytest.mark.parametrize(
    "words",
    ["pause --for 0", "pause --for inf", "pause --for nan", "pause --for 10081"],
)
def test_a_pause_that_makes_no_sense_is_refused_before_anybody_is_asked(
    asked: list[Any], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert told(*words.split()) == exit_codes.USAGE
    assert capsys.readouterr().err.startswith("pause: ")
    assert asked == []


@pytest.mark.parametrize("words", ["pause --symbol EUR/USD", "close 0"])
def test_a_name_or_a_ticket_that_is_none_is_refused_before_anybody_is_asked(
    asked: list[Any], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        told(*words.split())
    assert repr(words.split()[-1]) in capsys.readouterr().err
    assert asked == []


def test_a_kill_of_a_symbol_that_nobody_hears_says_what_works_without_a_supervisor(
    folder: StateFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    assert told("kill", "--symbol", "EURUSD", "--json") == exit_codes.NOT_RUNNING
    assert json.loads(capsys.readouterr().out)["detail"].endswith("needs no supervisor: evenkeel kill")
    assert KillEpoch(folder.kill_epoch).read().epoch == 0
