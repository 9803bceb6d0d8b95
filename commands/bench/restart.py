"""From the start of a killed process to serving: over a journal of many records, with positions to look after.

The journal is a real one: `evenkeel run` writes it, with market time running fast, and is killed. Then it is started again in
real time, as often as there are rounds, and killed each time when the broker agrees.
"""

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final, NamedTuple

import msgspec

from evenkeel.adapters.lmdb_files import DayFiles
from evenkeel.adapters.state_folder import StateFolder
from evenkeel.commands.bench.figures import NS_PER_S, Aim, BenchFailed, Figure, latencies, monotonic_ns, sleep_until

AIM_S: Final = 10.0
ACCOUNT: Final = "bench"
BUILDING_SPEED: Final = 2_500.0
SERVING_SPEED: Final = 1.001
"""Real time, but with the terminal inside: the host of a terminal is a process with a start of its own."""
DEADLINE_S: Final = 1_800.0
COMMAND_S: Final = 30.0
LOOK_EVERY_NS: Final = NS_PER_S // 2
SYMBOLS: Final = ("EURUSD", "GBPUSD", "AUDUSD", "NZDUSD", "USDJPY", "USDCAD", "USDCHF", "USDSEK", "USDNOK", "USDSGD")
SERVES: Final = f"account {ACCOUNT} serves"
AGREES: Final = "the broker agrees: "
CONFIG: Final = """
profile = "plain"
[account]
name = "{account}"
start_balance = 1000000.0
[trading]
enabled = true
[entry]
volume_lots = 0.01
stop_pips = 9000
target_pips = "off"
cooldown_minutes = 0
spread_multiple_max = "off"
[exit]
emergency_r = "off"
time_stop_minutes = "off"
[limits]
slippage_points = 100000
[catastrophe_stop]
at_broker = "off"
[circuit_breaker]
sample_s = 1
[journal]
backup_every_h = "off"
[strategy.quick]
kind = "ma_cross"
symbols = {symbols}
fast = 2
slow = 3
"""
"""Nothing ever closes, and a look at the spread of each symbol is written every second."""


class Account(NamedTuple):
    folder: StateFolder
    config: Path
    environment: dict[str, str]

    def command(self, *words: str) -> "subprocess.CompletedProcess[str]":
        command = [*_evenkeel(), *words, "--account", ACCOUNT]
        return subprocess.run(command, env=self.environment, capture_output=True, text=True, timeout=COMMAND_S, check=False)

    def started(self, speed: float, errors: int) -> "subprocess.Popen[str]":
        command = [*_evenkeel(), "run", "--config", str(self.config), "--speed", str(speed)]
        return subprocess.Popen(command, env=self.environment, stderr=errors, text=True)

    def records(self) -> int:
        with DayFiles(self.folder.journal) as files:
            days = files.days()
            return files.file(days[-1]).head().seq if days else 0


class _Position(msgspec.Struct):
    ticket: int


class _Positions(msgspec.Struct):
    positions: list[_Position]


class Start(NamedTuple):
    """Nanoseconds from the start of the process until every child serves, by its log, and until the broker agrees."""

    served_ns: int
    agreed_ns: int


def figures(*, records: int, positions: int, rounds: int) -> Iterator[Figure]:
    """Raises BenchFailed."""
    with TemporaryDirectory(prefix="evenkeel-bench-") as scratch:
        account = _account(Path(scratch), positions)
        build_s = _build(account, records, positions)
        found, written = [_start(account, positions) for _ in range(rounds)], account.records()
        agreed_ns, served = [start.agreed_ns for start in found], latencies([start.served_ns for start in found])
        values = {"records": float(written), "positions": float(positions), "written_in_s": build_s}
        values |= latencies(agreed_ns) | {f"serving_{name}": value for name, value in served.items()}
        what = "from the start of a killed process to its agreement with the broker; serving: to every child's"
        aim = Aim(f"at most {AIM_S:.0f} s", max(agreed_ns) <= AIM_S * NS_PER_S)
        yield Figure("restart", what, rounds, values, aim)


def _evenkeel() -> list[str]:
    return [sys.executable, "-m", "evenkeel.cli"]


def _account(scratch: Path, positions: int) -> Account:
    config = scratch / "bench.toml"
    config.write_text(CONFIG.format(account=ACCOUNT, symbols=list(SYMBOLS[:positions])))
    return Account(StateFolder(scratch / "state", ACCOUNT), config, {**os.environ, "EVENKEEL_STATE": str(scratch / "state")})


def _build(account: Account, records: int, positions: int) -> float:
    """Run until there are so many, then die; returns the seconds that it took."""
    began_ns = monotonic_ns()
    with _killed(account.started(BUILDING_SPEED, subprocess.DEVNULL)) as process:
        while not _is_built(account, records, positions):
            sleep_until(monotonic_ns() + LOOK_EVERY_NS)
            if process.poll() is not None:
                raise BenchFailed(f"the run that writes the journal ended with status {process.returncode}")
            if monotonic_ns() - began_ns > DEADLINE_S * NS_PER_S:
                raise BenchFailed(f"{account.records()} records after {DEADLINE_S:.0f} s")
    return (monotonic_ns() - began_ns) / NS_PER_S


def _is_built(account: Account, records: int, positions: int) -> bool:
    """Positions first: a run that is told to trade late would open them at the end of its journal."""
    if not account.folder.endpoint.exists():
        return False
    if len(_open_positions(account)) == positions:
        return account.records() >= records
    account.command("start", "--id", "bench")  # carried out once
    return False


def _open_positions(account: Account) -> Sequence[_Position]:
    told = account.command("positions", "--json")
    return msgspec.json.decode(told.stdout, type=_Positions).positions if told.returncode == 0 else ()


def _start(account: Account, positions: int) -> Start:
    began_ns = monotonic_ns()
    with _killed(account.started(SERVING_SPEED, subprocess.PIPE)) as process:
        assert process.stderr is not None
        served_ns, agreed_ns, heard = 0, 0, []
        for line in process.stderr:
            heard.append(line)
            if SERVES in line:
                served_ns = monotonic_ns() - began_ns
            if AGREES in line:
                agreed_ns = monotonic_ns() - began_ns
                if f"{AGREES}{positions} open" not in line:
                    raise BenchFailed(f"not as it was left: {line.strip()}")
            if served_ns and agreed_ns:  # two threads say so, in any order
                return Start(served_ns, agreed_ns)
    raise BenchFailed(f"the process ended before it served: {''.join(heard[-3:]).strip()}")


@contextlib.contextmanager
def _killed(process: "subprocess.Popen[str]") -> "Iterator[subprocess.Popen[str]]":
    try:
        yield process
    finally:
        process.kill()
        process.communicate()
