"""`starface-nb anonymise`: the same log without personal data."""

from __future__ import annotations

import argparse
from pathlib import Path

from starface_nb.commands._shared import add_log_arguments


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    add_log_arguments(parser)
    parser.add_argument(
        "-o", "--output", required=True, type=Path, metavar="OUT", help="a file, a name ending in .zip, or a folder"
    )
    parser.add_argument(
        "--key",
        type=Path,
        metavar="FILE",
        help="secret that decides the replacements, made if missing: the same key gives the same ones in another log",
    )
    parser.add_argument("--shift-weeks", type=int, default=0, metavar="N", help="move all times by N weeks")


def run(options: argparse.Namespace) -> int:
    """Write the anonymised log and say what was left out; return 0."""
    from starface_nb.privacy import anonymise
    from starface_nb.privacy.key import load_key

    done = anonymise(
        options.log,
        options.output,
        key=load_key(options.key) if options.key else None,
        shift_weeks=options.shift_weeks,
        time_zone=options.time_zone,
    )
    print(f"{done.path}: {done.kept:,} of {done.lines:,} lines, rewritten")
    print(f"replaced: {done.names:,} names and numbers, {done.addresses:,} addresses")
    print(f"left out: {done.left_out:,} lines that are not understood")
    if done.refused:
        print(f"left out: {done.refused:,} lines that could not be rewritten with certainty")
    if options.key:
        print(f"key: {options.key}; keep it secret, whoever has it can tell who is who")
    return 0
