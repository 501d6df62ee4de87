"""`starface-nb compare`: did the change fix it? Two logs, or one log cut at a time."""

from __future__ import annotations

import argparse
import json
import sys
from typing import TYPE_CHECKING

from starface_nb.commands._shared import add_keepalive_argument, add_time_zone_argument, duration, moment
from starface_nb.errors import SettingError
from starface_nb.text import visible

if TYPE_CHECKING:
    from starface_nb.analysis.compare import Comparison

DONE, OPEN = 0, 1


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument(
        "log", metavar="LOG", nargs="+", help="the log before and the log after the change, or one log over both"
    )
    parser.add_argument("--at", metavar="TIME", help="local time of the change, such as 2026-03-13T11:45, for one log")
    add_time_zone_argument(parser)
    add_keepalive_argument(parser)
    parser.add_argument(
        "--keepalive-after",
        type=duration,
        metavar="DURATION",
        help="the phones' keepalive after the change, where that is what was changed, such as 30s",
    )
    parser.add_argument("--json", action="store_true", help="the result as JSON on standard output")
    parser.add_argument("--language", choices=("en", "de", "fr"), default="en", help="of the text (default: en)")


def run(options: argparse.Namespace) -> int:
    """Compare and return 0 where nothing needs action any more, else 1."""
    result = _result(options)
    if options.json:
        sys.stdout.write(json.dumps(result.to_json(), indent=1, ensure_ascii=False) + "\n")
    else:
        from starface_nb.guide.comparison import comparison_text
        from starface_nb.guide.i18n import translator

        lines = comparison_text(result, translator(options.language, result.time_zone))
        sys.stdout.write("\n".join(map(visible, lines)) + "\n")
    return DONE if result.settled else OPEN


def _result(options: argparse.Namespace) -> Comparison:
    import starface_nb as sf
    from starface_nb.analysis.compare import compare, compare_at

    if len(options.log) > 2:
        raise SettingError(
            "compare takes one log or two.", next_step="Give several files of one side as a folder or a glob in quotes."
        )
    if options.at and len(options.log) == 2:
        raise SettingError("--at cuts one log, but two were given.", next_step="Leave out --at or the second log.")
    at = moment(options.at, options.time_zone, "--at") if options.at else None
    cases = [
        sf.diagnose(sf.read_log(log, time_zone=options.time_zone), keepalive_s=options.keepalive) for log in options.log
    ]
    after = options.keepalive_after
    if len(cases) == 2:
        return compare(*cases, keepalive_after_s=after)
    return compare_at(cases[0], at, keepalive_after_s=after)
