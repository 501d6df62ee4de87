"""`starface-nb fleet`: many customers' logs, ranked by who needs help first."""

from __future__ import annotations

import argparse

from starface_nb.files import write


def run(options: argparse.Namespace) -> int:
    """Examine the fleet, write frame and page, print the ranking; return 1 where somebody needs help."""
    from starface_nb.analysis import Settings
    from starface_nb.fleet import as_text, fleet_html, run_fleet

    summary = run_fleet(
        options.source,
        options.output,
        settings=Settings(keepalive_s=options.keepalive),
        time_zone=options.time_zone,
        workers=options.workers,
        scheduler=options.scheduler,
    )
    page = options.output / "fleet.html"
    write(page, fleet_html(summary, options.language, options.time_zone).encode())
    print(as_text(summary, options.language, options.time_zone))
    print(page)
    return int((summary["verdict"] == "too_short").any() or (summary["state"] == "failed").any())
