"""`starface-nb report`: the customer's report as a page, a PDF, or both."""

from __future__ import annotations

import argparse
import sys
from datetime import UTC, datetime
from pathlib import Path

from starface_nb.commands._shared import add_keepalive_argument, add_log_arguments
from starface_nb.files import replacing


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    add_log_arguments(parser)
    add_keepalive_argument(parser)
    parser.add_argument(
        "-o",
        "--output",
        required=True,
        metavar="FILE",
        help="the report to write: report.html, or report.pdf for a PDF",
    )
    parser.add_argument("--language", default="en", choices=("en", "de", "fr"), help="default: %(default)s")
    parser.add_argument("--pdf", action="store_true", help="write a PDF beside the page, too")
    parser.add_argument("--router", metavar="PRODUCT", help="the customer's router, or a unique part of its name")
    parser.add_argument("--mask", action="store_true", help="call phones Phone 1, Phone 2 ... everywhere")


def run(options: argparse.Namespace) -> int:
    """Write the report; 1 where it holds something to act on, 0 where it does not."""
    from starface_nb.analysis import Settings, diagnose
    from starface_nb.guide.routers import find_product
    from starface_nb.reading import read_log
    from starface_nb.report import render, to_pdf

    target = Path(options.output)
    _check(target)
    router = find_product(options.router) if options.router else None  # a wrong name is said before the work
    log = read_log(options.log, time_zone=options.time_zone)
    found = diagnose(log, Settings(keepalive_s=options.keepalive))
    page = render(found, language=options.language, router=router, mask=options.mask, created=datetime.now(UTC))
    as_pdf = target.suffix.lower() == ".pdf"
    written = []
    if not as_pdf:
        written.append(_write(target, page.encode()))
    if as_pdf or options.pdf:
        written.append(_write(target.with_suffix(".pdf"), to_pdf(page)))
    print(f"Report written: {', '.join(str(path) for path in written)}", file=sys.stderr)
    return int(any(finding.severity == "action" for finding in found.findings))


def _check(target: Path) -> None:
    """Raise where the report cannot be written, before the work is done."""
    from starface_nb.errors import SetupError

    if target.is_dir():
        raise SetupError("This is a folder.", place=str(target), next_step="Name a file, for example report.html.")
    if not target.absolute().parent.is_dir():
        raise SetupError("There is no such folder.", place=str(target.parent), next_step="Create it first.")


def _write(path: Path, content: bytes) -> Path:
    """Write a file whole or not at all, readable by its owner only: it names the customer's phones."""
    from starface_nb.errors import SetupError

    try:
        with replacing(path) as file:
            file.write(content)
    except OSError as error:
        raise SetupError(f"It cannot be written: {error.strerror}.", place=str(path)) from error
    return path
