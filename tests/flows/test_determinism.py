"""The same inputs, the same decisions, to the byte: whatever the process, its hashes, its time zone and its Python.

Other Pythons are looked for as `python3.12` and so on, and where EVENKEEL_PYTHONS names them (paths, `os.pathsep` between
them). One that is not there or lacks what evenkeel needs is skipped, and the test says so.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest
from builders import market_of, recorded
from story import CONFIG, SPECS, digests

TELL: Final = "import story; print(*story.digests())"
PROBE: Final = "import sys, story; print(*sys.version_info[:2], sep='.')"
VERSIONS: Final = ("3.11", "3.12", "3.13", "3.14")
HERE: Final = ".".join(map(str, sys.version_info[:2]))


def run_in(python: str, code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    tests = Path(__file__).parents[1]
    path = os.pathsep.join([str(tests), str(tests.parents[1]), *filter(None, [os.environ.get("PYTHONPATH")])])
    known = {name: value for name, value in os.environ.items() if name not in ("PYTHONHOME", "PYTHONHASHSEED")}
    return subprocess.run(
        [python, "-c", code], env={**known, "PYTHONPATH": path, **environment}, capture_output=True, text=True, check=False
    )


def digests_of(python: str, hash_seed: str, **environment: str) -> list[str]:
    told_there = run_in(python, TELL, PYTHONHASHSEED=hash_seed, **environment)
    assert told_there.returncode == 0, told_there.stderr
    return told_there.stdout.split()


def python_of(version: str) -> str:
    """An interpreter of that version that can run the story; skips the test, with the reason, where there is none."""
    named = filter(None, os.environ.get("EVENKEEL_PYTHONS", "").split(os.pathsep))
    reasons = []
    for python in (*named, shutil.which(f"python{version}")):
        if python is None:
            continue
        probe = run_in(python, PROBE)
        if probe.returncode:
            reasons.append(f"{python}: {probe.stderr.strip().splitlines()[-1] if probe.stderr.strip() else 'does not run'}")
        elif probe.stdout.strip() == version:
            return python
    pytest.skip(f"no Python {version} that can run the story: {'; '.join(reasons) or 'none found'}")


@pytest.mark.parametrize(("hash_seed", "zone"), [("0", "UTC"), ("1", "America/New_York"), ("4242", "Asia/Kathmandu")])
def test_the_same_stories_give_the_same_journal_bytes_for_any_hash_seed_and_time_zone(hash_seed: str, zone: str) -> None:
    assert digests_of(sys.executable, hash_seed, TZ=zone) == digests()


@pytest.mark.parametrize("version", [version for version in VERSIONS if version != HERE])
def test_the_same_stories_give_the_same_journal_bytes_on_another_python(version: str) -> None:
    assert digests_of(python_of(version), "7") == digests()


def test_three_stories_give_three_journals() -> None:
    assert len(set(digests())) == 3


def test_a_market_is_its_seed_s_alone() -> None:
    first, same, other = (recorded(market_of(CONFIG, SPECS, seed=seed, every_ms=30_000), 100) for seed in (3, 3, 4))
    assert first == same != other
