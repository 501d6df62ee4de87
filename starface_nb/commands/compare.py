"""`starface-nb compare`: did the change fix it? Two logs, or one log cut at a time."""

from __future__ import annotations

import argparse
import json
import sys

from starface_nb.errors import SettingError
from starface_nb.text import moment, visible


def run(options: argparse.Namespace) -> int:
    """Compare and return 0 where nothing needs action any more, else 1."""
    import starface_nb as sf
    from starface_nb.analysis.compare import compare, compare_at
    from starface_nb.guide.comparison import comparison_text
    from starface_nb.guide.i18n import translator

    if len(options.log) > 2:
        raise SettingError(
            "compare takes one log or two.", next_step="Give several files of one side as a folder or a glob in quotes."
        )
    if options.at and len(options.log) == 2:
        raise SettingError("--at cuts one log, but two were given.", next_step="Leave out --at or the second log.")
    at = moment(options.at, options.time_zone) if options.at else None
    cases = [
        sf.diagnose(sf.read_log(log, time_zone=options.time_zone), keepalive_s=options.keepalive) for log in options.log
    ]
    after = options.keepalive_after
    result = (
        compare(*cases, keepalive_after_s=after)
        if len(cases) == 2
        else compare_at(cases[0], at, keepalive_after_s=after)
    )
    if options.json:
        lines = [json.dumps(result.to_json(), indent=1, ensure_ascii=False)]
    else:
        lines = [visible(line) for line in comparison_text(result, translator(options.language, result.time_zone))]
    sys.stdout.write("\n".join(lines) + "\n")
    return int(not result.settled)
