"""`starface-nb check`: what is wrong, how sure, what to set; as text for people or as JSON."""

from __future__ import annotations

import argparse
import sys

from starface_nb.commands._shared import add_keepalive_argument, add_log_arguments

FOUND_NOTHING, FOUND_SOMETHING = 0, 1


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    add_log_arguments(parser)
    add_keepalive_argument(parser)
    parser.add_argument("--json", action="store_true", help="the whole result as JSON on standard output")
    parser.add_argument("--exit-zero", action="store_true", help="exit with status 0 even where something was found")


def run(options: argparse.Namespace) -> int:
    """Check the log and return 1 where something needs action, else 0."""
    import starface_nb as sf

    log = sf.read_log(options.log if len(options.log) > 1 else options.log[0], time_zone=options.time_zone)
    case = sf.diagnose(log, keepalive_s=options.keepalive)
    if options.json:
        from starface_nb.report.as_json import json_text

        text = json_text(case)
    else:
        from starface_nb.report.as_text import summary

        text = summary(case)
    sys.stdout.write(text)
    found = any(finding.severity == "action" for finding in case.findings)
    return FOUND_SOMETHING if found and not options.exit_zero else FOUND_NOTHING
