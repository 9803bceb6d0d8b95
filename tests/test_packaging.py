"""What is shipped is what the folders hold: the package list, the wheel, the lock file, the two commands of the README."""

import re
import shutil
import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path
from zipfile import ZipFile

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
PROJECT = PYPROJECT["project"]
PACKAGES = PYPROJECT["tool"]["setuptools"]["packages"]

BUILD = "import sys; from setuptools.build_meta import build_wheel; build_wheel(sys.argv[1])"


def folder_of(package: str) -> Path:
    return ROOT.joinpath(*package.split(".")[1:])


def folders_of_python() -> set[Path]:
    """The root and every folder of product code below it."""
    tops = {file.parent for file in ROOT.glob("*/*.py")} - {ROOT / "tests"}
    return {ROOT} | {file.parent for top in tops for file in top.rglob("*.py")}


def locked() -> dict[str, str]:
    """Each requirement of the lock file and the hashes that follow it."""
    blocks = (ROOT / "requirements.lock").read_text("utf-8").replace("\\\n", " ").splitlines()
    return {line.strip(): hashes for line, _, hashes in (block.partition("--hash=") for block in blocks if block[0] != "#")}


def wanted() -> list[Requirement]:
    """What a run and its tests need besides evenkeel itself."""
    extras = PROJECT["optional-dependencies"]
    lines = [line for name, extra in extras.items() if name != "dev" for line in extra]
    return [Requirement(line) for line in PROJECT["dependencies"] + lines if "evenkeel" not in line]


@pytest.fixture(scope="module")
def wheel_files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The names and the text of what a wheel holds, built offline from a copy, so that the checkout stays as it is."""
    copy, out = tmp_path_factory.mktemp("copy"), tmp_path_factory.mktemp("out")
    for file in [ROOT / "pyproject.toml", ROOT / "README.md", ROOT / "py.typed", *ROOT.glob("*.py")]:
        shutil.copy(file, copy)
    for top in {package.split(".")[1] for package in PACKAGES if "." in package}:
        shutil.copytree(ROOT / top, copy / top, ignore=shutil.ignore_patterns("__pycache__"))
    subprocess.run([sys.executable, "-c", BUILD, out], cwd=copy, check=True, capture_output=True)
    with ZipFile(next(out.glob("*.whl"))) as wheel:
        return {name: wheel.read(name).decode("utf-8") for name in wheel.namelist()}


def test_the_package_list_is_the_folders() -> None:
    assert {folder_of(package) for package in PACKAGES} == folders_of_python()
    assert all((folder_of(package) / "__init__.py").is_file() for package in PACKAGES)


def test_two_modules_stand_at_the_root() -> None:
    assert {file.name for file in ROOT.glob("*.py")} == {"__init__.py", "cli.py", "supervisor.py"}


def test_the_wheel_holds_the_product_and_nothing_else(wheel_files: dict[str, str]) -> None:
    sources = {file for folder in folders_of_python() for file in folder.glob("*.py")}
    data = {*(ROOT / "config").glob("*.toml"), *(ROOT / "adapters/simulated/packs").glob("*.toml")}
    shipped = sources | {ROOT / "py.typed"} | data
    product = {name for name in wheel_files if ".dist-info/" not in name}
    assert product == {f"evenkeel/{file.relative_to(ROOT).as_posix()}" for file in shipped}


def test_the_wheel_brings_the_command(wheel_files: dict[str, str]) -> None:
    [entry_points] = [text for name, text in wheel_files.items() if name.endswith("entry_points.txt")]
    assert "evenkeel = evenkeel.cli:main" in entry_points.splitlines()


def test_the_installed_command_starts() -> None:
    [script] = metadata.entry_points(group="console_scripts", name="evenkeel")
    assert callable(script.load())


def test_the_lock_satisfies_every_dependency() -> None:
    pins: dict[str, list[Requirement]] = {}
    for line in locked():
        pin = Requirement(line)
        pins.setdefault(canonicalize_name(pin.name), []).append(pin)
    for requirement in wanted():
        for pin in pins[canonicalize_name(requirement.name)]:
            [version] = pin.specifier
            assert version.operator == "=="
            assert requirement.specifier.contains(version.version)


def test_the_lock_keeps_metatrader5_for_windows() -> None:
    [terminal] = [line for line in locked() if line.startswith("metatrader5==")]
    assert terminal.endswith("; sys_platform == 'win32'")


def test_every_locked_version_has_a_hash_and_no_address() -> None:
    assert all(re.fullmatch(r"(sha256:[0-9a-f]{64}( +--hash=)?)+", hashes.strip()) for hashes in locked().values())
    text = (ROOT / "requirements.lock").read_text("utf-8")
    assert "http" not in text
    assert "://" not in text
    assert "index" not in text


def test_another_lock_file_is_not_committed() -> None:
    assert "uv.lock" in (ROOT / ".gitignore").read_text("utf-8").splitlines()


@pytest.mark.parametrize("command", ["pip install -e . && evenkeel demo", 'pip install -e ".[test]" && pytest'])
def test_the_gate_runs_the_commands_of_the_readme(command: str) -> None:
    readme = (ROOT / "README.md").read_text("utf-8")
    assert command in [line.strip() for line in readme.splitlines()]
    assert command in (ROOT / ".ci" / "run").read_text("utf-8")
