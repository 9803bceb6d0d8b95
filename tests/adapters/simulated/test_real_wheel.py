"""Against the official package itself: downloaded for Windows, read as text, never run."""

import ast
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from evenkeel.adapters.mt5 import constants
from evenkeel.adapters.simulated.api import FUNCTIONS, HELPERS, MetaTrader5Like
from evenkeel.adapters.simulated.structs import STRUCTS

VERSION = "5.0.6231"
"""What the simulated package was compared with last; a newer one is a change of its own."""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    folder = tmp_path_factory.mktemp("wheel")
    arguments = [
        "download",
        f"MetaTrader5=={VERSION}",
        "--platform",
        "win_amd64",
        "--python-version",
        "3.13",
        "--only-binary=:all:",
        "--no-deps",
    ]
    try:
        done = subprocess.run(
            [sys.executable, "-m", "pip", *arguments, "--dest", str(folder)],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    except subprocess.TimeoutExpired:
        pytest.skip("THE OFFICIAL PACKAGE WAS NOT COMPARED: pip cannot download it here within a minute")
    found = list(Path(folder).glob("*.whl"))
    if done.returncode or not found:
        pytest.skip(f"THE OFFICIAL PACKAGE WAS NOT COMPARED: pip cannot download it here: {done.stderr[-200:]}")
    return zipfile.ZipFile(found[0])


def python_of(wheel: zipfile.ZipFile) -> ast.Module:
    return ast.parse(wheel.read("MetaTrader5/__init__.py"))


def binary_of(wheel: zipfile.ZipFile) -> bytes:
    name = next(name for name in wheel.namelist() if name.startswith("MetaTrader5/_core"))
    return wheel.read(name)


def value_of(node: ast.expr) -> int:
    """Numbers, negative ones, and bits put together."""
    match node:
        case ast.Constant(value=int(number)):
            return number
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return -value_of(operand)
        case ast.BinOp(left=left, op=ast.BitOr(), right=right):
            return value_of(left) | value_of(right)
        case _:
            raise AssertionError(ast.dump(node))


def test_every_constant_has_the_value_of_the_real_one_and_none_is_missing(wheel: zipfile.ZipFile) -> None:
    real = {
        target.id: value_of(node.value)
        for node in python_of(wheel).body
        if isinstance(node, ast.Assign) and isinstance(target := node.targets[0], ast.Name) and target.id.isupper()
    }
    assert len(real) > 200
    assert {name: getattr(constants, name) for name in constants.EXPORTED} == real


def test_every_function_of_the_real_one_is_there_and_no_other(wheel: zipfile.ZipFile) -> None:
    helpers = {
        node.name for node in python_of(wheel).body if isinstance(node, ast.FunctionDef) and not node.name.startswith("_")
    }
    assert helpers == HELPERS
    binary = binary_of(wheel)
    assert [name for name in FUNCTIONS if b"\0" + name.encode() + b"\0" not in binary] == []
    assert len(FUNCTIONS) == 32


def test_the_structs_have_the_fields_of_the_real_ones(wheel: zipfile.ZipFile) -> None:
    binary = binary_of(wheel)
    for struct in STRUCTS:
        assert b"\0" + struct.__name__.encode() + b"\0" in binary, struct.__name__
        missing = [name for name in struct.__match_args__ if b"\0" + name.encode() + b"\0" not in binary]
        assert missing == [], f"{struct.__name__}: {missing}"
    assert {struct.__name__: struct.n_fields for struct in STRUCTS} == {
        "TradePosition": 19,
        "TradeOrder": 24,
        "TradeDeal": 18,
        "TradeRequest": 17,
        "OrderSendResult": 11,
        "OrderCheckResult": 9,
        "Tick": 8,
        "TerminalInfo": 22,
        "SymbolInfo": 96,
        "AccountInfo": 28,
        "BookInfo": 4,
    }


def test_the_simulated_package_has_every_name_of_the_real_one_and_no_more(wheel: zipfile.ZipFile) -> None:
    ours = {name for name in dir(MetaTrader5Like()) if not name.startswith("__")}
    structs = {struct.__name__ for struct in STRUCTS}
    assert ours == FUNCTIONS | HELPERS | structs | constants.EXPORTED
