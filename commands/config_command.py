"""`evenkeel config check|show|schema`: is a configuration fit to run, what holds and from where, and what may be written."""

import argparse
import json
import sys

from evenkeel.commands import config_check, config_show
from evenkeel.commands.configured import add_config_flags
from evenkeel.commands.exit_codes import OK, USAGE

EXPLANATION = """\
check    everything that is wrong, at once; and the odds of each pyramid
show     every setting with its value, as TOML that can be read again; --origin says where each comes from
schema   the JSON Schema of a file (draft 7), for editors: evenkeel config schema > evenkeel.schema.json, and
         "#:schema ./evenkeel.schema.json" as the first line of the TOML file (taplo, Even Better TOML)

layers, the later ones win: defaults, the profile's limits, --config, the environment, --set and other flags
EVENKEEL_SET__exit__retry_min_s=2 in the environment, or --set exit.retry_min_s=2, sets retry_min_s in [exit]; the value is
TOML, or else text
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = EXPLANATION
    parser.add_argument("what", choices=("check", "show", "schema"))
    add_config_flags(parser)
    parser.add_argument("--origin", action="store_true", help="of show: where each value comes from")
    parser.add_argument("--json", action="store_true", help="one JSON object on standard output")


def run(arguments: argparse.Namespace) -> int:
    """0, 2 for a flag out of place, or 6 when the configuration is invalid; its problems go to stderr, or into the JSON."""
    if arguments.origin and arguments.what != "show":
        print("config: --origin is of show", file=sys.stderr)
        return USAGE
    match arguments.what:
        case "check":
            return config_check.run(arguments)
        case "show":
            return config_show.run(arguments)
        case _:
            from evenkeel.config.json_schema import json_schema

            print(json.dumps(json_schema(), indent=2, ensure_ascii=False))
            return OK
