"""The configuration of an account: the file of `--config`, what the environment and `--set` set, the account of `--account`.

For the commands that serve an account. What must be the same wherever it is done again (back-tests, replays, simulated worlds)
reads no environment.
"""

import argparse
import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from evenkeel.commands.flags import add_set_flag
from evenkeel.config.flag import FLAG
from evenkeel.config.load import Setting, load, settings
from evenkeel.config.schema import Config


def add_config_flags(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--config", type=Path, metavar="FILE", help="TOML file over the defaults")
    add_set_flag(parser)
    parser.add_argument("--account", metavar="NAME", help="name of the account's state folder (default: the configuration's)")


def configured(arguments: argparse.Namespace, overrides: Mapping[str, object] = {}) -> Config:
    """Raises ConfigInvalid. `overrides` are those of further flags."""
    overrides = {**_account(arguments), **overrides}
    return load(arguments.config, environment=os.environ, flags=arguments.flags, overrides=overrides)


def configured_settings(arguments: argparse.Namespace) -> Iterator[Setting]:
    """Each value of `configured` with its origin; raises ConfigInvalid, at once."""
    return settings(arguments.config, environment=os.environ, flags=arguments.flags, overrides=_account(arguments))


def config_words(arguments: argparse.Namespace) -> list[str]:
    """The same configuration for another command that serves the account: its flags, the account's name left out."""
    words = ["--config", str(arguments.config)] if arguments.config else []
    return words + [word for flag in arguments.flags for word in (FLAG, flag)]


def _account(arguments: argparse.Namespace) -> dict[str, object]:
    return {"account.name": arguments.account} if arguments.account else {}
