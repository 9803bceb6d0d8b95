"""What a document tells a reader to type, and a reader who does so word by word.

In a block `console` lines that begin with `$ ` are typed; what follows until the next one is what the reader sees: these
lines, in this order, among others. `…` stands for any text in a line; a line of it alone is skipped. A block `toml FILE` or
`python FILE` is what the reader writes into that file; `toml FILE +` is added to its end. Commands that go on (`run`,
`watchdog`, …) stay while the rest is typed.
"""

import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

from builders import AT_ANY_HOUR

FENCE: Final = re.compile(r"^```(?P<info>.*)$")
GOES_ON: Final = re.compile(r"([A-Z_]+=\S+ )*evenkeel (run|watchdog|webhooks|terminal|logs -f)\b")
COMMAND_S: Final = 60
SHOWN_S: Final = 30
LOOKS_MORE: Final = 60
LOOK_EVERY_S: Final = 0.2


class Step(NamedTuple):
    """`line` is that of the document. With `file` the text is written into it, else it is typed."""

    line: int
    text: str
    shown: tuple[str, ...] = ()
    file: str = ""
    is_added: bool = False


class Block(NamedTuple):
    line: int
    info: str
    lines: tuple[str, ...]


def blocks_of(document: str) -> Iterator[Block]:
    """The fenced blocks of a document."""
    inside: list[str] | None = None
    start, info = 0, ""
    for number, line in enumerate(document.splitlines(), start=1):
        fence = FENCE.match(line)
        if fence is None:
            if inside is not None:
                inside.append(line)
        elif inside is None:
            inside, start, info = [], number + 1, fence["info"].strip()
        else:
            yield Block(start, info, tuple(inside))
            inside = None


def steps_of(document: str) -> list[Step]:
    return [step for block in blocks_of(document) for step in _steps(block)]


def _steps(block: Block) -> Iterator[Step]:
    kind, *more = block.info.split() or [""]
    if kind != "console":
        if more:
            yield Step(block.line, "\n".join(block.lines) + "\n", file=more[0], is_added=more[1:] == ["+"])
        return
    typed: tuple[int, str] | None = None
    shown: list[str] = []
    for number, line in enumerate(block.lines, start=block.line):
        if line.startswith("$ "):
            if typed is not None:
                yield Step(*typed, shown=tuple(shown))
            typed, shown = (number, line[2:]), []
        else:
            shown.append(line)
    assert typed is not None, f"line {block.line}: a console block begins with what is typed"
    yield Step(*typed, shown=tuple(shown))


class Reader:
    """Somebody with a folder, a shell and a document. `close` ends what still goes on."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("EVENKEEL")},
            "HOME": str(folder / "home"),
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            **{f"EVENKEEL_SET__{key.replace('.', '__')}": value for key, value in AT_ANY_HOUR.items()},
            "COLUMNS": "160",
            "NO_COLOR": "1",
        }
        (folder / "home").mkdir()
        self._going_on: list[tuple[subprocess.Popen[str], threading.Thread]] = []

    def follow(self, steps: list[Step]) -> str | None:
        """The first thing that is not as the document says; None when all is."""
        return next((wrong for step in steps if (wrong := self._done(step)) is not None), None)

    def close(self) -> None:
        for process, drain in self._going_on:
            process.kill()
            drain.join()
            process.communicate()

    def _done(self, step: Step) -> str | None:
        if step.file:
            self._write(step)
            return None
        return self._start(step) if GOES_ON.match(step.text) else self._type(step)

    def _write(self, step: Step) -> None:
        path = self._folder / step.file
        path.parent.mkdir(parents=True, exist_ok=True)
        before = path.read_text("utf-8") if step.is_added else ""
        path.write_text(before + step.text, "utf-8")

    def _type(self, step: Step) -> str | None:
        """Whoever looks at `status` too early looks again, and whoever is requoted asks again."""
        wrong = self._typed(step)
        for _ in range(LOOKS_MORE):
            if wrong is None or (step.text != "evenkeel status" and "Requote" not in wrong):
                break
            threading.Event().wait(LOOK_EVERY_S)
            wrong = self._typed(step)
        return wrong

    def _typed(self, step: Step) -> str | None:
        """What is not as the document says."""
        done = subprocess.run(
            ["bash", "-c", step.text],
            cwd=self._folder,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            timeout=COMMAND_S,
            check=False,
        )
        said = f"line {step.line}: $ {step.text}\n{done.stdout}"
        expected = [line for line in step.shown if line.strip() != "…"]
        status = next((int(line.split()[-1]) for line in expected if re.fullmatch(r"# exit status \d+", line)), 0)
        if done.returncode != status or "Traceback" in done.stdout:
            return f"{said}\nended with {done.returncode}"
        missing = first_missing([line for line in expected if not line.startswith("# exit status")], done.stdout.splitlines())
        return None if missing is None else f"{said}\nnot seen: {missing}"

    def _start(self, step: Step) -> str | None:
        process = subprocess.Popen(
            ["bash", "-c", re.sub(r"(?=evenkeel )", "exec ", step.text, count=1)],
            cwd=self._folder,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
        )
        assert process.stdout is not None
        drain = threading.Thread(target=process.stdout.read, daemon=True)  # a full pipe would hold it up
        self._going_on.append((process, drain))
        watch = threading.Timer(SHOWN_S, process.kill)
        watch.start()
        expected, heard = [line for line in step.shown if line.strip() != "…"], list[str]()
        while expected:
            line = process.stdout.readline()
            if not line:
                break
            heard.append(line)
            if is_seen(expected[0], line):
                expected.pop(0)
        watch.cancel()
        drain.start()
        return f"line {step.line}: $ {step.text}\n{''.join(heard)}\nnot seen: {expected[0]}" if expected else None


def first_missing(expected: list[str], seen: list[str]) -> str | None:
    """The first line of `expected` that is not among `seen`, after those before it."""
    rest = iter(seen)
    return next((line for line in expected if not any(is_seen(line, one) for one in rest)), None)


def is_seen(expected: str, line: str) -> bool:
    """Spaces count as one: a column is as wide as its longest word."""
    words = [re.escape(" ".join(part.split())) for part in expected.split("…")]
    return re.search(".*".join(words), " ".join(line.split())) is not None
