"""`starface-nb anonymise`: the same log without personal data."""

from __future__ import annotations

import argparse


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
