"""`evenkeel strategy new NAME`: a strategy of the user's own that runs, in one file, and its test."""

import argparse
import importlib.util
import keyword
import re
import sys
from pathlib import Path
from string import Template
from typing import Final

import msgspec

from evenkeel.commands import exit_codes

NAME_CHARACTERS_MAX: Final = 60
STRATEGY: Final = Template('''\
"""$class_name: buys on the first close above the highs of the last bars, sells on the first below their lows.

A place to begin: change `side` to what you believe in. Then ask: evenkeel check-strategy --help
"""

from collections import deque

from evenkeel.messages.market import SymbolSpec
from evenkeel.rules.bars import Bar


class $class_name:
    """It hears every closed bar of one symbol, oldest first, and answers 1 to buy, -1 to sell, 0 for nothing.

    Prices are whole points: 110_123 is 1.10123 where the symbol has five digits (spec.digits).
    """

    def __init__(self, spec: SymbolSpec, lookback: int = 20) -> None:
        """`lookback` comes from parameters = { lookback = 20 } in the configuration; add parameters of your own here."""
        self.window_bars = lookback + 2  # its answer must follow from so many last bars alone
        self.highs = deque[int](maxlen=lookback)
        self.lows = deque[int](maxlen=lookback)
        self.before = 0
        self.heard = 0

    def on_bar(self, bar: Bar) -> int:
        before, self.before = self.before, self.side(bar)
        self.highs.append(bar.high_points)
        self.lows.append(bar.low_points)
        self.heard += 1
        if self.heard < self.window_bars or self.before == before:
            return 0
        return self.before

    def side(self, bar: Bar) -> int:
        """1 above the channel of the bars before, -1 below it, 0 inside."""
        if len(self.highs) < (self.highs.maxlen or 0):
            return 0
        return int(bar.close_points > max(self.highs)) - int(bar.close_points < min(self.lows))
''')
TEST: Final = Template('''\
"""What $class_name promises. Run it with: pytest $test_file"""

from evenkeel.config.load import load
from evenkeel.rules.bars import Bar
from evenkeel.rules.strategy_check import first_difference, synthetic_bars
from evenkeel.rules.symbols import spec_for

from $name import $class_name

SPEC = spec_for("EURUSD", load(None))


def bar(close_points: int) -> Bar:
    """One minute that stood still."""
    return Bar(0, close_points, close_points, close_points, close_points, close_points + 10, 10, 1)


def answers(closes: list[int]) -> list[int]:
    strategy = $class_name(SPEC, lookback=3)
    return [strategy.on_bar(bar(close)) for close in closes]


def test_it_buys_on_the_first_close_above_the_channel() -> None:
    assert answers([100, 101, 102, 101, 103, 104]) == [0, 0, 0, 0, 1, 0]


def test_it_sells_on_the_first_close_below_the_channel() -> None:
    assert answers([100, 101, 102, 101, 99, 98]) == [0, 0, 0, 0, -1, 0]


def test_it_answers_from_its_last_bars_alone() -> None:
    """What `evenkeel run` demands of every strategy before it starts it."""
    bars = synthetic_bars(seed=1, count=500)
    assert first_difference(lambda: $class_name(SPEC), bars, samples=50, seed=1) is None
''')
ADVICE: Final = Template("""\
written: $strategy_file, $test_file

try it:
  pytest $test_file
  evenkeel check-strategy --ticks FILE --symbol EURUSD --strategy python:object=$name.$class_name,lookback=20
  evenkeel backtest --ticks FILE --symbol EURUSD --strategy python:object=$name.$class_name,lookback=20

into the configuration, and evenkeel is started in the folder of $strategy_file (or that folder is in PYTHONPATH):

[strategy.$name]
kind = "python"
object = "$name.$class_name"
symbols = ["EURUSD"]
timeframe = "M5"
parameters = { lookback = 20 }
""")
EXPLANATION: Final = """\
Two files are written, NAME.py and test_NAME.py; neither may be there already. NAME is small letters, digits and underscores,
and no module that Python knows already.

exit status: 0 written, 2 the name cannot be used, 4 a file is there already, 1 they could not be written
"""


class Written(msgspec.Struct, frozen=True):
    """What `--json` prints. `object` is what the configuration names."""

    files: tuple[str, ...]
    object: str
    v: int = 1


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = EXPLANATION
    parser.add_argument("what", choices=("new",), help="write a strategy and its test")
    parser.add_argument("name", metavar="NAME", help="of the module, as my_breakout; its class is then MyBreakout")
    parser.add_argument("--to", type=Path, default=Path(), metavar="FOLDER", help="where to (the present folder)")
    parser.add_argument("--json", action="store_true", help="one JSON object on standard output")


def run(arguments: argparse.Namespace) -> int:
    """Both files or none; the advice goes to stdout, what was wrong in one line to stderr."""
    name, folder = arguments.name, arguments.to
    if complaint := _unfit(name, folder):
        print(f"strategy new {name!r}: {complaint}", file=sys.stderr)
        return exit_codes.USAGE
    words = {
        "name": name,
        "class_name": "".join(part.capitalize() for part in name.split("_")),
        "strategy_file": str(folder / f"{name}.py"),
        "test_file": str(folder / f"test_{name}.py"),
    }
    files = {Path(words["strategy_file"]): STRATEGY, Path(words["test_file"]): TEST}
    if taken := [path for path in files if path.exists()]:
        print(f"{taken[0]}: is there already; nothing was written", file=sys.stderr)
        return exit_codes.REFUSED
    written: list[Path] = []
    try:
        for path, template in files.items():
            with path.open("x", encoding="utf-8", newline="\n") as file:
                written.append(path)
                file.write(template.substitute(words))
    except OSError as error:
        for path in written:
            path.unlink(missing_ok=True)
        print(f"{folder}: cannot be written to: {error.strerror}; nothing was written", file=sys.stderr)
        return exit_codes.FAILED
    if arguments.json:
        written_files = (words["strategy_file"], words["test_file"])
        print(msgspec.json.encode(Written(written_files, f"{name}.{words['class_name']}")).decode())
    else:
        print(ADVICE.substitute(words), end="")
    return exit_codes.OK


def _unfit(name: str, folder: Path) -> str | None:
    """Why a module cannot have that name, or lie there."""
    if not re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", name) or keyword.iskeyword(name):
        return "is no name for a module: small letters, digits and single underscores, as my_breakout"
    if len(name) > NAME_CHARACTERS_MAX:
        return f"is longer than {NAME_CHARACTERS_MAX} letters"
    if name in sys.stdlib_module_names or (not (folder / f"{name}.py").exists() and importlib.util.find_spec(name)):
        return "is a module that Python knows already; your file would not be found, or hide it"
    if not folder.is_dir():
        return f"{folder} is no folder"
    return None
