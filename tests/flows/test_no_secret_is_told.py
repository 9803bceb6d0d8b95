"""Secrets are planted wherever one may turn up; then every byte that a run has left is read (invariant I37).

Real processes: a supervisor, its terminal host, and a strategy of the user's own that fails with a token in its words.
"""

import contextlib
import os
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import msgspec
import pytest
from live import until

from evenkeel.adapters.control_frames import Deadline, ProofFailed, greet_as_client
from evenkeel.adapters.frame_server import Endpoint
from evenkeel.adapters.lmdb_journal import read_folder
from evenkeel.adapters.local_sockets import connect
from evenkeel.adapters.log_files import ERRORS_NAME, JSON_NAME, MAIN_NAME
from evenkeel.adapters.log_lines import Line, line_of_json, line_of_text
from evenkeel.adapters.simulated.account_file import read_account
from evenkeel.adapters.simulated.api import MetaTrader5Like
from evenkeel.adapters.state_folder import ENDPOINT_NAME, StateFolder
from evenkeel.commands import exit_codes
from evenkeel.messages.codec import decode

ENVIRONMENT, LOCAL, OFFERED, CONFIGURED = "canary-3f1a77c0", "canary-90bd21ee", "c0ffee" * 10 + "7c1f", "canary-55aa01d2"
"""In the environment and in what others say; in a variable of failing code; as a token that is none; in a configuration."""
CONFIG = f"""
# password: {CONFIGURED}
profile = "demo"
[account]
name = "test"
[trading]
enabled = true
[terminal]
account_file = "{{account}}"
[broker_gateway]
reconcile_s = 0.2
reading_gap_s = 0.1
[strategy.leaky]
kind = "python"
object = "leaky.Leaky"
symbols = ["EURUSD"]
"""
ACCOUNT = """
[market]
quote_every_s = 0.1
"""
LEAKY = f"""
import os

failures = iter([1])

class Leaky:
    def __init__(self, spec):
        pass

    def on_tick(self, time_utc_ms, bid_points, ask_points):
        local = "-".join(["canary", "{LOCAL.removeprefix("canary-")}"])
        for _ in failures:
            raise ConnectionError(f"https://signals.example/?token={{os.environ['SIGNALS_API_TOKEN']}} refused")
        return 0
"""
EVENKEEL = [sys.executable, "-m", "evenkeel.cli"]


class Left(NamedTuple):
    """What a run has left, and the secrets that were in it."""

    folder: StateFolder
    told: str
    secrets: dict[str, Path | None]
    """With the one file in which each may lie."""


@pytest.fixture(scope="module")
def left(tmp_path_factory: pytest.TempPathFactory) -> Left:
    home = tmp_path_factory.mktemp("home")
    (home / "account.toml").write_text(ACCOUNT)
    (home / "leaky.py").write_text(LEAKY)
    config = home / "test.toml"
    config.write_text(CONFIG.format(account=home / "account.toml"))
    folder = StateFolder(home / "state", "test")
    folder.create()
    trade_with_a_comment(folder, home / "account.toml")
    secret = {"SIGNALS_API_TOKEN": ENVIRONMENT, "EVENKEEL_STATE": str(home / "state")}
    with (home / "told").open("wb") as told:
        process = subprocess.Popen(
            [*EVENKEEL, "run", "--config", str(config)], env={**os.environ, **secret}, cwd=home, stdout=told, stderr=told
        )
    try:
        until(lambda: "strategy/leaky is down, crash 1" in (home / "told").read_text())
        ports = [folder.endpoint, folder.terminal / ENDPOINT_NAME, folder.terminal_kill / ENDPOINT_NAME]
        tokens = {msgspec.json.decode(port.read_bytes(), type=Endpoint).token: port for port in ports}
        knock(folder.endpoint)
        refused = home / "refused.toml"
        refused.write_text(config.read_text() + f'[strategy.leaky.parameters]\npassword = "{CONFIGURED}"\n')
        checked = evenkeel(folder, "config", "check", "--config", str(refused))
        assert checked.returncode == exit_codes.CONFIG_INVALID
        status = until(lambda: hidden_in(evenkeel(folder, "status", "--account", "test", "--json")))
        assert evenkeel(folder, "stop", "--account", "test").returncode == 0
        assert process.wait(30) == 0
    finally:
        process.kill()
        process.wait()
    return Left(
        folder,
        (home / "told").read_text() + checked.stdout + checked.stderr + status.stdout + status.stderr,
        {ENVIRONMENT: None, LOCAL: None, OFFERED: None, CONFIGURED: None} | tokens,
    )


def hidden_in(done: "subprocess.CompletedProcess[str]") -> "subprocess.CompletedProcess[str] | None":
    return done if "***" in done.stdout else None


def trade_with_a_comment(folder: StateFolder, account: Path) -> None:
    """Somebody has opened a position by hand, and its comment holds what it should not."""
    package = MetaTrader5Like(opened=read_account(account), store=folder.simulated / "book")
    assert package.initialize()
    until(lambda: package.symbol_info_tick("EURUSD"))
    result = package.order_send(
        {"action": 1, "symbol": "EURUSD", "volume": 0.1, "type": 0, "price": 2.0, "deviation": 10**6, "comment": ENVIRONMENT}
    )
    assert result.retcode == 10009, result
    package.shutdown()


def knock(endpoint_file: Path) -> None:
    """Somebody who does not know the token offers another one, and talks nonsense."""
    endpoint = msgspec.json.decode(endpoint_file.read_bytes(), type=Endpoint)
    with connect(endpoint.address, 5.0) as connection, contextlib.suppress(ProofFailed):
        greet_as_client(connection, OFFERED, Deadline(5.0))
    with connect(endpoint.address, 5.0) as connection, contextlib.suppress(OSError):
        connection.sendall(OFFERED.encode() * 10)


def evenkeel(folder: StateFolder, *words: str) -> "subprocess.CompletedProcess[str]":
    environment = {**os.environ, "EVENKEEL_STATE": str(folder.folder.parent)}
    return subprocess.run([*EVENKEEL, *words], env=environment, capture_output=True, text=True, timeout=30, check=False)


def test_no_secret_is_in_any_file_but_the_one_that_it_belongs_to(left: Left) -> None:
    files = [path for path in left.folder.folder.parent.rglob("*") if path.is_file()]
    assert {left.folder.logs / name for name in (MAIN_NAME, JSON_NAME, ERRORS_NAME)} <= set(files)
    of_the_broker = [path for path in files if path.is_relative_to(left.folder.simulated)]
    assert any(ENVIRONMENT.encode() in path.read_bytes() for path in of_the_broker)  # what people wrote there is theirs
    for path in set(files) - set(of_the_broker):
        content = path.read_bytes()
        found = [secret for secret, home in left.secrets.items() if secret.encode() in content and path != home]
        assert not found, path


def test_no_secret_is_told(left: Left) -> None:
    assert not [secret for secret in left.secrets if secret in left.told]
    assert "ConnectionError: https://signals.example/?token=*** refused" in left.told
    assert "looks like a secret" in left.told
    assert "is not ours" in left.told


def test_each_line_tells_of_the_record_that_it_says_it_does(left: Left) -> None:
    records = {record.seq: record for record in read_folder(left.folder.journal)}
    lines = [line_of_json(row) for row in (left.folder.logs / JSON_NAME).read_bytes().splitlines()]
    of_messages = [line for line in lines if line is not None and line.kind]
    assert len(of_messages) > 5
    for line in of_messages:
        assert line.seq is not None
        record = records[line.seq]
        assert (line.kind, line.cause or 0) == (type(decode(bytes(record.body))).__name__, record.cause_seq), line


def test_the_text_holds_the_same_lines_as_the_json(left: Left) -> None:
    texts = [line_of_text(row) for row in (left.folder.logs / MAIN_NAME).read_text().splitlines()]
    rows = [line_of_json(row) for row in (left.folder.logs / JSON_NAME).read_bytes().splitlines()]
    assert [identity(line) for line in texts] == [identity(line) for line in rows]


def identity(line: Line | None) -> tuple[str, str, int | None, int | None, str]:
    assert line is not None
    return line.t, line.level, line.seq, line.cause, line.kind
