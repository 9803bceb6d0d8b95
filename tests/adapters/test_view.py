import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import lmdb
import pytest

from evenkeel.adapters.lmdb_row import LmdbRow
from evenkeel.adapters.view import FILE_NAME, ViewError, read_view, view_writer

READ = """
import sys
from pathlib import Path
from evenkeel.adapters.view import read_view
print(read_view(Path(sys.argv[1])))
"""


@pytest.fixture
def writer(tmp_path: Path) -> Iterator[LmdbRow]:
    writer = view_writer(tmp_path / "view")
    yield writer
    writer.close()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "view" / FILE_NAME


def test_where_nothing_was_written_there_is_no_view(tmp_path: Path) -> None:
    assert read_view(tmp_path / "missing") is None
    view_writer(tmp_path / "view").close()
    assert read_view(tmp_path / "view") is None


def test_the_newest_view_is_read(writer: LmdbRow, file: Path) -> None:
    for number in range(300):
        writer.put(b"%d" % number * 5_000)
    writer.close()
    assert read_view(file.parent) == b"299" * 5_000
    assert file.stat().st_size < 1_000_000, "old views leave nothing behind"


def test_it_is_for_the_user_alone(writer: LmdbRow, file: Path) -> None:
    writer.put(b"{}")
    assert file.stat().st_mode & 0o077 == 0 or sys.platform == "win32"


def test_another_process_reads_while_the_writer_has_it_open(writer: LmdbRow, file: Path) -> None:
    writer.put(b"one")
    told = subprocess.run(
        [sys.executable, "-c", READ, str(file.parent)], capture_output=True, text=True, check=True, timeout=30
    )
    assert told.stdout == "b'one'\n"
    writer.put(b"two")


def test_the_writers_own_process_is_told_that_it_cannot_read(writer: LmdbRow, file: Path) -> None:
    writer.put(b"{}")
    with pytest.raises(ViewError, match="already open in this process"):
        read_view(file.parent)


@pytest.mark.parametrize("kept", [1, 4_096, 8_192, 12_288])
def test_a_file_with_a_missing_end_is_an_error_for_readers_and_made_anew_by_the_writer(
    writer: LmdbRow, file: Path, kept: int
) -> None:
    writer.put(b"old" * 5_000)
    writer.close()
    file.write_bytes(file.read_bytes()[:kept])
    with pytest.raises(ViewError, match=FILE_NAME):
        read_view(file.parent)
    assert_made_anew(writer, file)


def test_a_file_of_something_else_is_made_anew(writer: LmdbRow, file: Path) -> None:
    file.write_bytes(b"not a database" * 1_000)
    with pytest.raises(ViewError, match="not an LMDB file"):
        read_view(file.parent)
    assert_made_anew(writer, file)


def test_a_view_that_somebody_changed_is_an_error(writer: LmdbRow, file: Path) -> None:
    writer.put(b"{}")
    writer.close()
    with lmdb.open(str(file), subdir=False) as env, env.begin(write=True) as txn:
        found = txn.get(b"view")
        assert found
        txn.put(b"view", found[:-1] + b"!")
    with pytest.raises(ViewError, match="not what was written"):
        read_view(file.parent)
    assert_made_anew(writer, file)


def test_a_view_that_does_not_fit_is_an_error_and_the_next_one_is_kept(writer: LmdbRow, file: Path) -> None:
    with pytest.raises(ViewError, match=r"MAP_FULL|map"):
        writer.put(b"x" * (17 << 20))
    assert_made_anew(writer, file)


def assert_made_anew(writer: LmdbRow, file: Path) -> None:
    writer.put(b"new")
    writer.close()
    assert read_view(file.parent) == b"new"
