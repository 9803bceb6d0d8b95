"""A process that damages copies of a journal and says what came of each: LMDB may end it by a signal, which is an answer too.

    python journal_damage.py FOLDER SCRATCH KIND FIRST LAST

FOLDER holds a journal that nobody writes, and in `before` and `head.before` what it was before its last commit. For every
number from FIRST to LAST one line: the number, a tab, and `same` (everything reads as it is), `earlier` (as it was before the
last commit), `found: …` (what the check said), or `MISSED`.
"""

import random
import shutil
import sys
from functools import partial
from pathlib import Path
from typing import Final

from evenkeel.adapters.lmdb_files import DayFile
from evenkeel.adapters.lmdb_journal import verify
from evenkeel.runtime.journal import JournalError

DAY: Final = "1970-01-01.journal"
PAGE_BYTES: Final = 4096


def flipped(content: bytes, number: int) -> bytes:
    """One bit another; every fourth in the two meta pages."""
    chance = random.Random(number)
    bit = chance.randrange(8 * (2 * PAGE_BYTES if number % 4 == 0 else len(content)))
    damaged = bytearray(content)
    damaged[bit // 8] ^= 1 << bit % 8
    return bytes(damaged)


def cut_short(content: bytes, number: int) -> bytes:
    """At every page in turn, then anywhere."""
    at = number * PAGE_BYTES
    return content[: at if at < len(content) else random.Random(number).randrange(len(content))]


def torn(content: bytes, number: int, before: bytes) -> bytes:
    """The last commit when the power failed: of the pages that it wrote some reached the disk, in no order."""
    chance = random.Random(number)
    damaged = bytearray(before.ljust(len(content), b"\0"))
    for at in range(0, len(content), PAGE_BYTES):
        page = slice(at, at + PAGE_BYTES)
        if damaged[page] != content[page] and chance.random() < 0.5:
            damaged[page] = content[page]
    return bytes(damaged)


def content_of(path: Path) -> object:
    file = DayFile(path)
    try:
        return file.rows(0), file.snapshots()
    finally:
        file.close()


def main(folder: Path, scratch: Path, kind: str, first: int, last: int) -> None:
    content, before = (folder / DAY).read_bytes(), (folder / "before").read_bytes()
    damages = {"flip": flipped, "cut": cut_short, "torn": partial(torn, before=before)}
    whole, earlier = content_of(folder / DAY), content_of(folder / "before")
    for number in range(first, last + 1):
        shutil.rmtree(scratch, ignore_errors=True)
        scratch.mkdir()
        shutil.copy(folder / ("head.before" if kind == "torn" else "head"), scratch / "head")
        say(f"{number}\t")
        (scratch / DAY).write_bytes(damages[kind](content, number))
        try:
            verify(scratch)
        except JournalError as error:
            say(f"found: {error}\n")
        else:
            now = content_of(scratch / DAY)
            say("same\n" if now == whole else "earlier\n" if now == earlier else "MISSED\n")


def say(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], int(sys.argv[4]), int(sys.argv[5]))
