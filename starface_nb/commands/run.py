"""`starface-nb run`: the notebooks, executed on a log, with the report beside them."""

from __future__ import annotations

import argparse
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from starface_nb.commands._shared import add_keepalive_argument, add_log_arguments

if TYPE_CHECKING:
    from starface_nb.cases import Case
    from starface_nb.cases.runner import Executed


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    add_log_arguments(parser)
    add_keepalive_argument(parser)
    parser.add_argument("-o", "--output", required=True, type=Path, metavar="DIR", help="folder of the case")
    parser.add_argument("--language", choices=("en", "de", "fr"), help="of texts and report (default: en)")
    parser.add_argument(
        "--notebooks", metavar="NAMES", help="only these, by the beginning of their names: 00,02 (default: all)"
    )
    parser.set_defaults(time_zone=None, keepalive=None)  # a case that is reopened has its own


def run(options: argparse.Namespace) -> int:
    """Execute the notebooks and return the exit status: 0, 1 with findings, 2 where a notebook failed."""
    from starface_nb.cases import copy_notebooks, open_case
    from starface_nb.cases.copies import curated

    chosen = options.notebooks.split(",") if options.notebooks else None
    curated(chosen)  # a wrong name is said before the log is read
    case = open_case(
        options.log,
        folder=options.output,
        time_zone=options.time_zone,
        keepalive_s=options.keepalive,
        language=options.language,
    )
    for note in case.notes:
        print(note, file=sys.stderr)
    executed = _execute(copy_notebooks(options.output, chosen=chosen, replace=True))
    for one in executed:
        ending = f"failed in code cell {one.cell}: {one.error}" if one.error else f"done in {one.seconds:.1f} s"
        print(f"{one.path.name}: {ending}", file=sys.stderr if one.error else sys.stdout)
    print(f"report: {_report(case, options.output)}")
    if any(one.error for one in executed):
        return 2
    return int(any(finding.severity == "action" for finding in case.diagnosis.findings))


def _execute(copies: list[Path]) -> list[Executed]:
    from starface_nb.cases.runner import code_cells, run_notebooks
    from starface_nb.progress import Progress

    with Progress(sum(map(code_cells, copies)), "notebooks", unit="cells") as bar:
        return run_notebooks(copies, on_cell=lambda path, done, cells: bar.advance())  # noqa: ARG005


def _report(case: Case, folder: Path) -> Path:
    """Write the report beside the notebooks, as a page and as PDF, and return the page."""
    from starface_nb.cases.record import write_atomically
    from starface_nb.report import render, to_pdf

    page = render(case.diagnosis, language=case.language, case=case, created=datetime.now(UTC))
    write_atomically(folder / "report.html", page.encode("utf-8"))
    write_atomically(folder / "report.pdf", to_pdf(page))
    return folder / "report.html"
