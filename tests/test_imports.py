"""Who may import whom (DESIGN 3), and what keeps rules and actors free of the world."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).parents[1]

MAY_IMPORT: Final[dict[str, tuple[str, ...]]] = {
    "messages": ("messages",),
    "config": ("config",),
    "rules": ("messages", "config", "rules"),
    "actors": ("messages", "config", "rules", "runtime.actor"),
    "runtime": ("messages.system", "runtime"),
    "adapters": ("messages", "config", "rules", "runtime.edge", "runtime.clock", "runtime.journal", "adapters"),
}
"""By folder, what of evenkeel its modules may name. The other modules put everything together and may name everything."""
COMPOSING: Final = ("__init__.py", "supervisor.py", "cli.py", "commands")

PURE: Final = ("rules", "actors", "messages")
WORLD: Final = (
    *("asyncio", "concurrent", "io", "logging", "loguru", "multiprocessing", "os", "pathlib", "pykka", "queue", "random"),
    *("secrets", "select", "shutil", "signal", "socket", "subprocess", "sys", "tempfile", "threading", "time", "uuid"),
)
"""Clocks, chance, threads and I/O: inputs of a rule or an actor, never theirs to fetch."""
CLOCK_READINGS: Final = ("now", "today", "utcnow")
LOGS: Final = ("runtime", "adapters", "commands", "supervisor.py", "cli.py")
RUNS_DATA: Final = ("pickle", "marshal", "shelve", "yaml")
"""They run what they read."""

STATUS_PATH: Final = (
    "evenkeel.cli",
    "evenkeel.commands.status",
    "evenkeel.adapters.control_channel",
    "evenkeel.adapters.state_folder",
)


@cache
def product_files() -> tuple[Path, ...]:
    """Every Python file that is shipped, relative to the root."""
    tops = sorted({file.parent for file in ROOT.glob("*/__init__.py")})
    files = [*ROOT.glob("*.py"), *(file for top in tops for file in top.rglob("*.py"))]
    return tuple(file.relative_to(ROOT) for file in files)


@cache
def tree_of(file: Path) -> ast.Module:
    return ast.parse((ROOT / file).read_text("utf-8"), str(file))


def imports_in(nodes: Iterator[ast.AST]) -> Iterator[tuple[int, str]]:
    """Line and full dotted name of everything imported; a relative import keeps its dots."""
    for node in nodes:
        match node:
            case ast.Import(names=names):
                yield from ((node.lineno, alias.name) for alias in names)
            case ast.ImportFrom(module=module, names=names, level=level):
                yield from ((node.lineno, f"{'.' * level}{module or ''}.{alias.name}") for alias in names)


def nodes_run_at_import(node: ast.AST) -> Iterator[ast.AST]:
    for child in ast.iter_child_nodes(node):
        if not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            yield child
            yield from nodes_run_at_import(child)


@cache
def imports_of_file(file: Path) -> tuple[tuple[int, str], ...]:
    return tuple(imports_in(ast.walk(tree_of(file))))


def imports_of(*folders: str) -> Iterator[tuple[str, str, str]]:
    """Place, folder and imported name, over the files of `folders` or of all."""
    for file in product_files():
        if not folders or file.parts[0] in folders:
            for line, name in imports_of_file(file):
                yield f"{file.as_posix()}:{line}", file.parts[0], name


def is_within(name: str, module: str) -> bool:
    return name == module or name.startswith(f"{module}.")


def test_every_folder_has_its_row() -> None:
    assert {file.parts[0] for file in product_files()} == {*MAY_IMPORT, *COMPOSING}


def test_each_folder_imports_only_what_its_row_allows() -> None:
    assert [
        f"{place} {name}"
        for place, folder, name in imports_of(*MAY_IMPORT)
        if is_within(name, "evenkeel") and not any(is_within(name, f"evenkeel.{allowed}") for allowed in MAY_IMPORT[folder])
    ] == []


def test_imports_are_written_in_full() -> None:
    assert [f"{place} {name}" for place, _, name in imports_of() if name.startswith(".")] == []


def test_rules_actors_and_messages_touch_no_world() -> None:
    assert [f"{place} {name}" for place, _, name in imports_of(*PURE) if name.split(".")[0] in WORLD] == []


def test_rules_actors_and_messages_read_no_clock() -> None:
    assert [
        f"{file}:{node.lineno} {node.func.attr}"
        for file in product_files()
        if file.parts[0] in PURE
        for node in ast.walk(tree_of(file))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in CLOCK_READINGS
    ] == []


def test_only_those_who_run_things_write_logs() -> None:
    assert [place for place, folder, name in imports_of() if is_within(name, "loguru") and folder not in LOGS] == []


def test_nothing_runs_what_it_reads() -> None:
    assert [f"{place} {name}" for place, _, name in imports_of() if name.split(".")[0] in RUNS_DATA] == []
    assert [
        f"{file}:{node.lineno} {node.id}"
        for file in product_files()
        for node in ast.walk(tree_of(file))
        if isinstance(node, ast.Name) and node.id in {"eval", "exec", "__import__"}
    ] == []


def test_metatrader5_is_imported_only_where_it_is_used() -> None:
    """It exists on Windows alone: an import at the top of a module would end evenkeel everywhere else."""
    assert [
        f"{file}:{line}"
        for file in product_files()
        for line, name in imports_in(nodes_run_at_import(tree_of(file)))
        if is_within(name, "MetaTrader5")
    ] == []


@pytest.mark.parametrize(
    "modules, heavy",
    [
        (STATUS_PATH, {"rich", "numpy", "polars", "pykka", "loguru", "lmdb"}),
        (("evenkeel.supervisor",), {"rich", "polars"}),
    ],
)
def test_what_must_start_fast_loads_nothing_heavy(modules: tuple[str, ...], heavy: set[str]) -> None:
    program = f"import sys, {', '.join(modules)}; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True).stdout.split()
    assert heavy & set(loaded) == set()
