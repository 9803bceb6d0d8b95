"""`evenkeel service`: writes what a service manager needs to start `evenkeel watchdog`, and takes it away again.

The watchdog starts the supervisor, which starts the process that owns the terminal; the service manager watches the watchdog.
Nothing is started here, and a file that was not written by this command is never replaced or removed.
"""

import argparse
import getpass
import os
import sys
from pathlib import Path
from typing import Final

import msgspec

from evenkeel.adapters.os import StateError, private_folder, state_root, write_durably
from evenkeel.adapters.state_folder import StateFolder
from evenkeel.commands import exit_codes
from evenkeel.commands.configured import add_config_flags, configured
from evenkeel.commands.service import systemd, task_scheduler
from evenkeel.commands.service.places import is_ours, task_path, unit_path
from evenkeel.config.load import ConfigInvalid

STATE: Final = "EVENKEEL_STATE"
SECRET: Final = "EVENKEEL_SECRET_"
OF_A_FILE: Final = "_FILE"
EXPLANATION: Final = """\
--systemd writes a unit for your own user manager (~/.config/systemd/user), --task-scheduler a task that begins when you log on
to Windows; a terminal with a window needs that. No secret is written: of a variable EVENKEEL_SECRET_... its name alone,
unless it names a file (EVENKEEL_SECRET_..._FILE). --print shows the text and writes nothing.
"""


class ServiceReport(msgspec.Struct, frozen=True):
    """What `--json` prints. `written`: the file was made, replaced or removed; `next` is what to type, in order."""

    action: str
    account: str
    path: str
    written: bool
    text: str
    next: tuple[str, ...]
    v: int = 1


class _Unusable(Exception):
    """A flag is wrong; one line."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = EXPLANATION
    parser.add_argument("action", choices=("install", "uninstall"), help="write the file, or remove it")
    manager = parser.add_mutually_exclusive_group(required=True)
    manager.add_argument("--systemd", action="store_true", help="a user unit of systemd")
    manager.add_argument("--task-scheduler", action="store_true", help="a task of Windows' Task Scheduler")
    add_config_flags(parser)
    parser.add_argument("--env", metavar="NAME", action="append", default=[], help="hand this variable on; may repeat")
    parser.add_argument("--print", dest="only_print", action="store_true", help="show what would be written, and end")
    parser.add_argument("--json", action="store_true", help="one JSON object on standard output")


def run(arguments: argparse.Namespace) -> int:
    try:
        folder = StateFolder(state_root(), configured(arguments).account.name)
        path = unit_path(folder.account) if arguments.systemd else task_path(folder)
        report = _install(arguments, folder, path) if arguments.action == "install" else _uninstall(arguments, folder, path)
    except ConfigInvalid as error:
        print(error, file=sys.stderr)
        return exit_codes.CONFIG_INVALID
    except (_Unusable, StateError) as error:
        print(f"service: {error}", file=sys.stderr)
        return exit_codes.USAGE
    except FileExistsError as error:
        print(f"service: {error}", file=sys.stderr)
        return exit_codes.REFUSED
    except OSError as error:
        print(f"service: {path}: {error.strerror}", file=sys.stderr)
        return exit_codes.FAILED
    _show(report, arguments)
    return exit_codes.OK


def _install(arguments: argparse.Namespace, folder: StateFolder, path: Path) -> ServiceReport:
    """Raises _Unusable, FileExistsError for a file of somebody else, StateError or OSError."""
    if arguments.config is None:
        raise _Unusable("--config FILE: what shall be started?")
    command = [sys.executable, "-m", "evenkeel.cli", "watchdog", "--config", str(arguments.config.absolute())]
    command += ["--account", folder.account] if arguments.account else []
    here = Path.cwd()
    for word in (*command, str(here)):
        if not word.isprintable():
            raise _Unusable(f"{word!r} has characters that no service file can hold")
    if arguments.systemd:
        values, names = _variables(arguments.env)
        text = systemd.unit(folder.account, command, folder=here, values=values, names=names)
        content, steps = text.encode(), systemd.next_steps(folder.account)
    else:
        if arguments.env:
            raise _Unusable("--env: a task has the variables of its user; set one for good with setx NAME VALUE")
        content = task_scheduler.task(folder.account, command, folder=here, user=_user())
        text, steps = content.decode("utf-16"), task_scheduler.next_steps(folder.account, path)
        if state := os.environ.get(STATE):
            steps = [f"setx {STATE} {state}", *steps]
    if not arguments.only_print:
        _refuse_foreign(path)
        if arguments.systemd:
            path.parent.mkdir(parents=True, exist_ok=True)
        else:
            private_folder(folder.folder)
            private_folder(path.parent)
        write_durably(path, content)
    return ServiceReport("install", folder.account, str(path), not arguments.only_print, text, tuple(steps))


def _uninstall(arguments: argparse.Namespace, folder: StateFolder, path: Path) -> ServiceReport:
    """Raises FileExistsError for a file of somebody else, or OSError."""
    _refuse_foreign(path)
    was_there = path.exists()
    if was_there and not arguments.only_print:
        path.unlink()
    kind = systemd if arguments.systemd else task_scheduler
    steps = kind.steps_before_removal(folder.account)
    return ServiceReport("uninstall", folder.account, str(path), was_there and not arguments.only_print, "", tuple(steps))


def _refuse_foreign(path: Path) -> None:
    if (path.exists() or path.is_symlink()) and not is_ours(path):
        raise FileExistsError(f"{path} was not written by this command, and is left as it is")


def _variables(names: list[str]) -> tuple[dict[str, str], list[str]]:
    """Those that are set in the unit, and those that it only names. The state folder's is always set where it is set here."""
    values, named = {}, []
    for name in dict.fromkeys([*([STATE] if os.environ.get(STATE) else []), *names]):
        value = os.environ.get(name)
        if not name.replace("_", "").isalnum() or not name.isascii():
            raise _Unusable(f"--env {name!r}: a variable's name alone, letters, digits and _")
        if name != STATE and not (name.startswith(SECRET) and name.endswith(OF_A_FILE)):
            named.append(name)
        elif value is None or not value.isprintable():
            raise _Unusable(f"--env {name}: it is not set here to something that a unit can hold")
        else:
            values[name] = str(state_root()) if name == STATE else value
    return values, named


def _user() -> str:
    domain = os.environ.get("USERDOMAIN", "")
    return f"{domain}\\{getpass.getuser()}" if domain else getpass.getuser()


def _show(report: ServiceReport, arguments: argparse.Namespace) -> None:
    """The text, or the file's name, to standard output; what to type next beside it."""
    if arguments.json:
        print(msgspec.json.encode(report).decode())
        return
    if arguments.only_print and report.text:
        print(report.text, end="")
        return
    if report.action == "uninstall":
        done = f"removed {report.path}" if report.written else f"there is no {report.path}" if not arguments.only_print else ""
        print(done or f"would remove {report.path}")
        print("what it started is ended by:", *(f"  {step}" for step in report.next), sep="\n", file=sys.stderr)
        return
    print(report.path)
    print("nothing is started yet; next:", *(f"  {step}" for step in report.next), sep="\n", file=sys.stderr)
