"""The documents are true: what they tell a reader to type is typed, word by word, by somebody with an empty folder."""

import argparse
import random
import re
import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from guided import Reader, blocks_of, first_missing, steps_of

from evenkeel.cli import COMMANDS, parser_of
from evenkeel.config.limits import PROFILES

ROOT = Path(__file__).parents[1]
GUIDES = sorted((ROOT / "docs").glob("*.md"))
DESIGN = [ROOT / "ARCHITECTURE.md", *sorted((ROOT / "docs" / "design").glob("*.md"))]
DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *GUIDES]
FIRST_UTC_MS, QUOTES = 1_767_571_200_000, 20_000
TOOLS = ("openssl", "curl")
A_FILE = re.compile(r"`((?:actors|adapters|commands|config|messages|rules|runtime|tests)/[\w/]+(?:\.\w+|/))`")
TOLD = re.compile(r"(?:[A-Z_]+=\S+ )*evenkeel (?P<words>[^`#|>&]*)")


@pytest.fixture
def reader(tmp_path: Path) -> Iterator[Reader]:
    one = Reader(tmp_path)
    yield one
    one.close()


def quotes(path: Path) -> None:
    """A random walk, as the guide says that the reader has one."""
    chance, time_utc_ms, bid_points = random.Random(1), FIRST_UTC_MS, 110_000
    rows = ["time_msc,bid,ask"]
    for _ in range(QUOTES):
        time_utc_ms += chance.randrange(500, 4_000)
        bid_points += chance.choice((-3, -2, -1, -1, 0, 1, 1, 2, 3))
        rows.append(f"{time_utc_ms},{bid_points / 1e5:.5f},{(bid_points + 12) / 1e5:.5f}")
    path.write_text("\n".join(rows) + "\n", "utf-8")


@pytest.mark.parametrize("guide", GUIDES, ids=lambda path: path.stem)
def test_a_guide_that_is_followed_word_by_word_leads_where_it_says(guide: Path, reader: Reader, tmp_path: Path) -> None:
    steps = steps_of(guide.read_text("utf-8"))
    missing = [tool for tool in TOOLS if any(tool in step.text for step in steps) and shutil.which(tool) is None]
    if missing:
        pytest.skip(f"needs {', '.join(missing)}")
    quotes(tmp_path / "EURUSD.csv")
    assert reader.follow(steps) is None


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.stem)
def test_every_command_that_a_document_names_exists_with_its_flags(document: Path) -> None:
    told = [(line, words) for line, words in told_commands(document) if words]
    assert told or document in GUIDES
    for line, words in told:
        command = next((command for command in COMMANDS if command.name == words[0]), None)
        assert command is not None or words[0].startswith("-"), f"{document.name}:{line}: no command {words[0]!r}"
        if command is not None:
            known = {flag for action in every_action(parser_of(command)) for flag in action.option_strings}
            flags = {word.partition("=")[0] for word in words[1:] if re.match(r"--?[a-z]", word)}
            assert flags <= known, f"{document.name}:{line}: {command.name} has no {sorted(flags - known)}"


def test_the_readme_names_every_command() -> None:
    readme = (ROOT / "README.md").read_text("utf-8")
    assert [command.name for command in COMMANDS if f"`{command.name}" not in readme] == []


def test_the_guide_of_the_limits_names_each_of_them() -> None:
    guide = (ROOT / "docs" / "limits.md").read_text("utf-8")
    missing = [name for name in PROFILES["personal"].__struct_fields__ if f"`{name}" not in guide]
    assert missing == []


def test_every_link_between_the_documents_leads_somewhere() -> None:
    broken = [
        f"{document.name}: {target}"
        for document in [*DOCUMENTS, *DESIGN, ROOT / "CHANGELOG.md"]
        for target in re.findall(r"\]\(([^)#:]+?)(?:#[^)]*)?\)", document.read_text("utf-8"))
        if not (document.parent / target).exists()
    ]
    assert broken == []


@pytest.mark.parametrize("document", DESIGN, ids=lambda path: path.stem)
def test_every_file_that_the_architecture_names_is_there(document: Path) -> None:
    assert [path for path in A_FILE.findall(document.read_text("utf-8")) if not (ROOT / path).exists()] == []


def test_a_line_that_is_not_seen_is_named_and_an_ellipsis_stands_for_anything() -> None:
    seen = ["ticket  symbol", "  1001  EURUSD"]
    assert first_missing(["ticket symbol", "1001 …USD"], seen) is None
    assert first_missing(["1001 EURUSD", "ticket symbol"], seen) == "ticket symbol"


def told_commands(document: Path) -> Iterator[tuple[int, list[str]]]:
    """Of every block and of every piece of code in a line, with its line."""
    text = document.read_text("utf-8")
    lines = [
        (number, line.removeprefix("$ "))
        for block in blocks_of(text)
        for number, line in enumerate(block.lines, start=block.line)
        if line.startswith("$ " if "$ " in "\n".join(block.lines) else ("evenkeel ", "EVENKEEL_"))
    ]
    lines += [(text.count("\n", 0, found.start()) + 1, found[1]) for found in re.finditer(r"(?<!`)`([^`\n]+)`(?!`)", text)]
    for number, line in lines:
        found = TOLD.match(line)
        if found is not None:
            yield number, shlex.split(found["words"].replace("…", "").replace("'", ""))


def every_action(parser: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    """Its own and those of its sub-commands."""
    for action in parser._actions:
        yield action
        if isinstance(action, argparse._SubParsersAction):
            for inner in action.choices.values():
                yield from every_action(inner)
