"""The same inputs, the same decisions, to the byte."""

import os
import subprocess
import sys
from pathlib import Path

from story import told

TELL = "from story import told; print(told().journal.hexdigest())"


def digest(hash_seed: str) -> str:
    environment = {**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": str(Path(__file__).parents[1])}
    told_there = subprocess.run([sys.executable, "-c", TELL], env=environment, capture_output=True, text=True, check=True)
    return told_there.stdout.strip()


def test_the_same_story_gives_the_same_journal_bytes_for_any_hash_seed() -> None:
    assert {digest(seed) for seed in ("0", "1", "4242")} == {told().journal.hexdigest()}
