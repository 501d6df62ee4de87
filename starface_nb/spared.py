"""Only what this program wrote is replaced: another file where a result shall go may be the only copy of something."""

import re
import zipfile
from collections.abc import Iterable
from pathlib import Path

import polars as pl

from starface_nb.errors import InputError, missing
from starface_nb.files import is_open
from starface_nb.reading.export import AUTHOR, COLUMNS

_PAGE = b"""content="default-src 'none'; style-src 'unsafe-inline'; img-src data:; font-src data:">"""
_TABLE = re.compile(rb'\{"time": ("[^"]*"|null), "kind": "|' + ",".join(COLUMNS).encode() + rb"\r?\n")
_SAVED = f"<cp:lastModifiedBy>{AUTHOR}<".encode()  # whoever saves the sheet anew stands there
PDF = b"%starface-nb\n"  # a comment before the last lines of a report; what is added later stands behind them
INSTEAD = "Choose another name for the result, or remove this file first if nobody needs it."
_HEAD, _TAIL = 1000, 64  # bytes


def report_names(ending: str = "") -> list[str]:
    """Return what a case's results are called: the list of losses, the page, and the PDF where it can be made."""
    pdf = [] if missing("pdf") else [f"report{ending}.pdf"]
    return [f"losses{ending}.csv", f"report{ending}.html", *pdf]


def spare(outputs: Iterable[Path], own: bytes = b"", *, reports: bool = False) -> None:
    """Refuse to replace a file that is no earlier result by its content; of zips, only one whose comment is `own` is.

    To be called before any work. Whose an anonymised log is cannot be told: it is spared like any other; and a report
    gives way to a report alone.

    Raises
    ------
    InputError
        Such a file is there.
    """
    for path in outputs:
        if path.is_file() and not is_open(path) and not _is_result(path, own, reports):
            cause = "Something else lies here already, which would be overwritten."
            raise InputError(cause, place=path, next_step=INSTEAD)


def _is_result(path: Path, own: bytes, reports: bool) -> bool:
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD)
            file.seek(-min(_TAIL, path.stat().st_size), 2)
            tail = file.read()
        if head.startswith(b"PK"):
            with zipfile.ZipFile(path) as archive:
                return archive.comment == own != b"" or _SAVED in archive.open("docProps/core.xml").read(_HEAD)
        if head.startswith(b"PAR1"):
            return tuple(pl.read_parquet_schema(path)) == COLUMNS
        return not head or (reports and (_PAGE in head or PDF in tail)) or _TABLE.match(head) is not None
    except Exception:  # whatever the readers of zip and parquet say of what is foreign
        return False
