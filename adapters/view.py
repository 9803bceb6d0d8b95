"""The view database: the newest view of a run, for whoever asks while the supervisor does not answer.

It holds nothing that is not in the journal.
"""

from pathlib import Path
from typing import Final

from evenkeel.adapters.lmdb_row import LmdbRow, RowError, read_row

FILE_NAME: Final = "view.lmdb"
_KEY: Final = b"view"
ViewError = RowError


def view_writer(folder: Path) -> LmdbRow:
    """Keeps the newest view in `folder`, JSON."""
    return LmdbRow(folder / FILE_NAME, _KEY)


def read_view(folder: Path) -> bytes | None:
    """As `read_row` says."""
    return read_row(folder / FILE_NAME, _KEY)
