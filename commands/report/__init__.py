"""`evenkeel report`: a page for a browser about a back-test or a recorded run, alone or beside another one.

Only reads, so it works while the supervisor runs. Light: the command line asks it for its flags.
"""

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from evenkeel.commands import exit_codes

if TYPE_CHECKING:
    from evenkeel.commands.report.findings import Findings

EXPLANATION: Final = """\
RUN and OTHER are each the JSON that `evenkeel backtest --json` or `evenkeel report --json` has written, or the number of a
run of the account's journal, as `evenkeel replay --list` numbers them; without RUN it is the journal's last

of a recorded run equity is what the account's readings said, deposits and withdrawals included, and prices are those of
the bars that were heard

exit status: 0 done, 1 the journal cannot be read or does not hold it, 2 a file or a flag is wrong
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = EXPLANATION
    parser.add_argument("run", nargs="?", metavar="RUN", help="a JSON file, or the number of a run (default: the last)")
    parser.add_argument("--html", type=Path, metavar="OUT", help="write the page there")
    parser.add_argument("--compare", metavar="OTHER", help="a second run, of either kind: which decisions differ, from where")
    parser.add_argument("--json", action="store_true", help="one JSON object of RUN to standard output")
    parser.add_argument("--account", default="simulated", help="the account's name (default: %(default)s)")
    parser.add_argument(
        "--folder", type=Path, metavar="DIR", help="a copy of the journal's folder, in place of the account's own"
    )


def run(arguments: argparse.Namespace) -> int:
    """What was written is said on stdout, what went wrong in one line on stderr. OUT is replaced as a whole or not at all."""
    import msgspec

    from evenkeel.adapters.os import StateError
    from evenkeel.commands.backtest.plan import ResultLost
    from evenkeel.commands.recorded_runs import NotRecorded
    from evenkeel.commands.report.findings import Unreadable
    from evenkeel.commands.strategy_flag import BadInput
    from evenkeel.runtime.journal import JournalError

    try:
        _report(arguments)
    except (BadInput, Unreadable, StateError) as error:
        print(f"report: {error}", file=sys.stderr)
        return exit_codes.USAGE
    except OSError as error:
        print(f"report: {error.filename}: cannot be read: {error.strerror}", file=sys.stderr)
        return exit_codes.FAILED
    except (NotRecorded, ResultLost) as error:
        print(f"report: {error}", file=sys.stderr)
        return exit_codes.FAILED
    except (JournalError, msgspec.DecodeError) as error:
        print(f"report: the journal cannot be read: {error}", file=sys.stderr)
        return exit_codes.FAILED
    return exit_codes.OK


def _report(arguments: argparse.Namespace) -> None:
    import msgspec

    from evenkeel.commands.backtest.plan import require_writable, write
    from evenkeel.commands.report.page import page
    from evenkeel.commands.strategy_flag import BadInput

    out: Path | None = arguments.html
    if out is None and not arguments.json:
        raise BadInput("say where the page goes: --html OUT.html, or --json")
    if out is not None:
        require_writable("--html", out)
    this = _findings(arguments.run, arguments)
    if out is not None:
        other = None if arguments.compare is None else _findings(arguments.compare, arguments)
        write("--html", out, page(this, other).encode())
    if arguments.json:
        print(msgspec.json.encode(this).decode())
    else:
        print(out)


def _findings(named: str | None, arguments: argparse.Namespace) -> "Findings":
    from evenkeel.adapters.os import state_root
    from evenkeel.adapters.state_folder import StateFolder
    from evenkeel.commands.report.findings import read
    from evenkeel.commands.report.recorded import recorded_findings
    from evenkeel.commands.strategy_flag import BadInput

    if named is not None and not named.isdecimal():
        return read(Path(named))
    if arguments.folder is not None and not arguments.folder.is_dir():
        raise BadInput(f"--folder {arguments.folder}: there is no such folder")
    number = None if named is None else int(named)
    if arguments.folder:
        return recorded_findings(arguments.folder, number)
    folder = StateFolder(state_root(), arguments.account)
    return recorded_findings(folder.journal, number, folder.snapshots)
