import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from evenkeel.adapters.signal_ids import KEPT_MS, IdsUnusable, Kept, SignalIds

NOW_UTC_MS = 1_795_000_000_000


@pytest.fixture
def ids(tmp_path: Path) -> Iterator[SignalIds]:
    made = SignalIds(tmp_path / "signals.lmdb", ids_max=3)
    yield made
    made.close()


def test_an_id_is_new_once(ids: SignalIds) -> None:
    assert ids.kept("a") is None
    assert ids.begin("a", "digest", NOW_UTC_MS) is None
    assert ids.begin("a", "another", NOW_UTC_MS + 1) == Kept("digest", "pending", since_utc_ms=NOW_UTC_MS, number=1)


def test_what_became_of_an_id_is_kept_with_when_it_came(ids: SignalIds) -> None:
    ids.begin("a", "digest", NOW_UTC_MS)
    ids.settle("a", Kept("digest", "raised", "at 1.1", NOW_UTC_MS + 900))
    assert ids.kept("a") == Kept("digest", "raised", "at 1.1", NOW_UTC_MS, number=1)


def test_ids_are_counted_also_those_that_were_forgotten(ids: SignalIds) -> None:
    ids.begin("a", "digest", NOW_UTC_MS)
    ids.begin("b", "digest", NOW_UTC_MS)
    ids.forget("b")
    ids.begin("b", "digest", NOW_UTC_MS)
    first = ids.kept("a")
    assert first is not None
    assert ids.begun_since(first) == 2


def test_an_id_that_was_forgotten_is_new_again(ids: SignalIds) -> None:
    ids.begin("a", "digest", NOW_UTC_MS)
    ids.forget("a")
    ids.forget("never seen")
    assert ids.begin("a", "digest", NOW_UTC_MS) is None


def test_an_id_is_kept_a_day(ids: SignalIds) -> None:
    ids.begin("a", "digest", NOW_UTC_MS)
    assert ids.begin("a", "digest", NOW_UTC_MS + KEPT_MS) is not None
    assert ids.begin("a", "digest", NOW_UTC_MS + KEPT_MS + 1) is None


def test_too_many_ids_of_a_day_are_refused_not_forgotten(ids: SignalIds) -> None:
    for name in "abc":
        ids.begin(name, "digest", NOW_UTC_MS)
    with pytest.raises(IdsUnusable, match="holds 3 ids of the last day"):
        ids.begin("d", "digest", NOW_UTC_MS)
    assert ids.begin("a", "digest", NOW_UTC_MS) is not None


def test_an_id_outlives_the_process_that_is_killed_after_it_began_it(tmp_path: Path) -> None:
    path = tmp_path / "signals.lmdb"
    program = (
        "import os, sys; from pathlib import Path; from evenkeel.adapters.signal_ids import SignalIds\n"
        f"SignalIds(Path(sys.argv[1])).begin('a', 'digest', {NOW_UTC_MS}); os.kill(os.getpid(), 9)"
    )
    assert subprocess.run([sys.executable, "-c", program, path], check=False).returncode == -9
    ids = SignalIds(path)
    assert ids.begin("a", "digest", NOW_UTC_MS) == Kept("digest", since_utc_ms=NOW_UTC_MS, number=1)
    ids.close()


def test_a_file_that_is_no_such_file_is_told(tmp_path: Path) -> None:
    (tmp_path / "signals.lmdb").write_bytes(b"no database" * 1000)
    with pytest.raises(IdsUnusable, match=r"signals\.lmdb"):
        SignalIds(tmp_path / "signals.lmdb")
