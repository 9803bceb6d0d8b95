"""`--set KEY=VALUE`. Light: the command line asks for flags."""

import argparse


def add_set_flag(parser: argparse.ArgumentParser) -> None:
    """`flags` are the texts, in their order; config/environment.py reads them."""
    parser.add_argument(
        "--set",
        dest="flags",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="a setting over all others, as exit.time_stop_minutes=60; may repeat",
    )
