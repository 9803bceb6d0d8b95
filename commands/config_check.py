"""`evenkeel config check`: is this configuration fit to run?"""

import argparse
import sys
from pathlib import Path

import msgspec

from evenkeel.commands.exit_codes import CONFIG_INVALID, OK
from evenkeel.config.load import ConfigInvalid, Problem, identity, load
from evenkeel.config.schema import Config


class Report(msgspec.Struct, frozen=True):
    """What `--json` prints. `identity` is the resolved configuration's; empty, like `profile`, when there are problems."""

    valid: bool
    profile: str = ""
    identity: str = ""
    problems: tuple[Problem, ...] = ()


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("what", choices=("check",), help="check the configuration as a whole")
    parser.add_argument("--config", type=Path, help="TOML file over the defaults")
    parser.add_argument("--json", action="store_true", help="one JSON object on standard output")


def run(arguments: argparse.Namespace) -> int:
    """Check `arguments.config` (a Path, or None for the defaults); the answer goes to stdout, problems to stderr.

    With `arguments.json` one Report goes to stdout and nothing to stderr. Returns 0, or 6 when the configuration is invalid.
    """
    path: Path | None = arguments.config
    try:
        config = load(path)
    except ConfigInvalid as invalid:
        if arguments.json:
            _print_json(Report(valid=False, problems=invalid.problems))
        else:
            print(invalid, file=sys.stderr)
        return CONFIG_INVALID
    if arguments.json:
        _print_json(Report(valid=True, profile=config.profile, identity=identity(config)))
    else:
        print(_summary(config))
    return OK


def _print_json(report: Report) -> None:
    print(msgspec.json.encode(report).decode())


def _summary(config: Config) -> str:
    trading = "on" if config.trading.enabled else "off"
    strategies = " ".join(config.strategy) or "none"
    return (
        f"ok: profile {config.profile}, account {config.account.name}, trading {trading}, strategies {strategies}, "
        f"identity {identity(config)[:12]}"
    )
