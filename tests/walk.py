"""Over all commands: their parsers, words that make each do something quick, and how it ends."""

from pathlib import Path

from evenkeel.cli import PROGRAM, leaves, main, whole_parser

LEAVES = {leaf.prog.removeprefix(f"{PROGRAM} "): leaf for leaf in leaves(whole_parser())}
TICKS = "time_msc,bid,ask\n1767600000000,1.1,1.1001\n1767600060000,1.1,1.1001\n1767600120000,1.1,1.1001\n"


def ended(words: list[str]) -> int:
    try:
        return main(words)
    except SystemExit as end:
        return int(end.code or 0)


def contents(folder: Path) -> dict[Path, bytes | None]:
    """Every path below it; None for what is no file."""
    return {path: path.read_bytes() if path.is_file() else None for path in folder.rglob("*")}
