"""`starface-nb fleet`: many customers' logs, ranked by who needs help first."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from starface_nb.commands._shared import add_keepalive_argument, add_time_zone_argument


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument(
        "source",
        metavar="FOLDER",
        nargs="+",
        help="a folder with one file or subfolder per customer, or several customers' files and folders",
    )
    parser.add_argument("-o", "--output", required=True, type=Path, metavar="DIR", help="folder of the results")
    add_time_zone_argument(parser)
    add_keepalive_argument(parser)
    parser.add_argument("--language", choices=("en", "de", "fr"), default="en", help="of the page (default: en)")
    engine = parser.add_mutually_exclusive_group()
    engine.add_argument("--workers", type=_count, metavar="N", help="processes on this machine (default: one per core)")
    engine.add_argument("--scheduler", metavar="ADDRESS", help="a running Dask scheduler instead, tcp://host:8786")


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of processes; write 1 or more")
    return int(text)


def run(options: argparse.Namespace) -> int:
    """Examine the fleet, write frame and page, print the ranking; return 1 where somebody needs help."""
    from contextlib import ExitStack

    from starface_nb.analysis import Settings
    from starface_nb.cases.record import write_atomically
    from starface_nb.fleet import fleet_html, run_fleet
    from starface_nb.fleet.page import as_text
    from starface_nb.progress import Progress

    with ExitStack() as stack:
        bars: list[Progress] = []
        summary = run_fleet(
            options.source,
            options.output,
            settings=Settings(keepalive_s=options.keepalive),
            time_zone=options.time_zone,
            workers=options.workers,
            scheduler=options.scheduler,
            on_start=lambda n: bars.append(stack.enter_context(Progress(n, label="fleet", unit="customers"))),
            on_done=lambda _: bars[0].advance(1),
        )
    page = options.output / "fleet.html"
    write_atomically(page, fleet_html(summary, options.language, options.time_zone).encode("utf-8"))
    print(as_text(summary, options.language, options.time_zone))
    print(page, file=sys.stdout)
    return int((summary["verdict"] == "too_short").any() or (summary["state"] == "failed").any())
