"""`starface-nb check`: what is wrong, how sure, what to set; as text for people or as JSON."""

from __future__ import annotations

import argparse
import sys

from starface_nb.commands.values import status


def run(options: argparse.Namespace) -> int:
    """Check the log and return 1 where something needs action, else 0."""
    import starface_nb as sf
    from starface_nb.report.as_json import json_text
    from starface_nb.report.as_text import summary

    log = sf.read_log(options.log, time_zone=options.time_zone)
    case = sf.diagnose(log, keepalive_s=options.keepalive)
    sys.stdout.write(json_text(case) if options.json else summary(case))
    return 0 if options.exit_zero else status(case)
