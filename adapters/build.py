"""Which build this is: the version and a digest of the source. A changed build opens a new segment of the journal."""

import functools
import hashlib
from importlib import metadata
from pathlib import Path
from typing import Final

FOLDERS: Final = ("actors", "adapters", "config", "messages", "rules", "runtime")
_ROOT: Final = Path(__file__).parent.parent


@functools.cache
def build_id() -> str:
    """`VERSION+DIGEST` over what decides: supervisor.py and every module of FOLDERS, not where they lie."""
    digest = hashlib.sha256()
    files = [_ROOT / "supervisor.py", *(path for folder in FOLDERS for path in sorted((_ROOT / folder).rglob("*.py")))]
    for path in files:
        digest.update(path.relative_to(_ROOT).as_posix().encode())
        digest.update(path.read_bytes())
    return f"{metadata.version('evenkeel')}+{digest.hexdigest()[:12]}"
