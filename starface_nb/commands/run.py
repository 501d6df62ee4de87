"""`starface-nb run`: the notebooks, executed on a log, with the report beside them."""

from __future__ import annotations

import argparse
import sys
from datetime import UTC, datetime

from starface_nb.commands.values import status
from starface_nb.files import write


def run(options: argparse.Namespace) -> int:
    """Execute the notebooks and return the exit status: 0, 1 with findings, 2 where a notebook failed."""
    from starface_nb.cases import copy_notebooks, open_case
    from starface_nb.cases.copies import curated
    from starface_nb.cases.runner import run_notebooks
    from starface_nb.report import render, to_pdf

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
    executed = run_notebooks(copy_notebooks(options.output, chosen=chosen, replace=True))
    for one in executed:
        ending = f"failed in code cell {one.cell}: {one.error}" if one.error else f"done in {one.seconds:.1f} s"
        print(f"{one.path.name}: {ending}", file=sys.stderr if one.error else sys.stdout)
    page = render(
        case.diagnosis,
        language=case.language,
        customer=case.name,
        answers=case.answers.all(),
        created=datetime.now(UTC),
    )
    write(options.output / "report.html", page.encode())
    write(options.output / "report.pdf", to_pdf(page))
    print(f"report: {options.output / 'report.html'}")
    return 2 if any(one.error for one in executed) else status(case.diagnosis)
