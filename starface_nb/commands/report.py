"""`starface-nb report`: the customer's report as a page, a PDF, or both."""

from __future__ import annotations

import argparse
import sys
from datetime import UTC, datetime

from starface_nb.commands.values import status
from starface_nb.files import write


def run(options: argparse.Namespace) -> int:
    """Write the report; 1 where it holds something to act on, 0 where it does not."""
    import starface_nb as sf
    from starface_nb.guide.routers import find_product
    from starface_nb.report import render, to_pdf

    router = find_product(options.router) if options.router else None  # a wrong name is said before the work
    case = sf.diagnose(sf.read_log(options.log, time_zone=options.time_zone), keepalive_s=options.keepalive)
    page = render(case, language=options.language, router=router, mask=options.mask, created=datetime.now(UTC))
    only_pdf = options.output.suffix.lower() == ".pdf"
    written = [] if only_pdf else [options.output]
    if written:
        write(options.output, page.encode())
    if only_pdf or options.pdf:
        written.append(options.output.with_suffix(".pdf"))
        write(written[-1], to_pdf(page))
    print(f"Report written: {', '.join(map(str, written))}", file=sys.stderr)
    return status(case)
