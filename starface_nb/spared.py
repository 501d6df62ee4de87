"""A log that lies where a result shall go is another customer's, or the only copy: it is never replaced."""

import zipfile
from collections.abc import Iterable
from pathlib import Path

from starface_nb.errors import InputError
from starface_nb.reading import catalogue, order
from starface_nb.reading.scan import scan_logs
from starface_nb.sources.limits import DamagedError, Limits, RefusedError

# the head of our own pages, which quote lines of a log
_PAGE = b"""content="default-src 'none'; style-src 'unsafe-inline'; img-src data:; font-src data:">"""
_HEAD = 1000  # bytes


def spare(outputs: Iterable[Path], own: bytes = b"") -> None:
    """Refuse to replace a file that is a PBX's log by its content, and any zip but one whose comment is `own`.

    To be called before any work. Whose an anonymised log is cannot be told: it is spared like any other.

    Raises
    ------
    InputError
        Such a file is there, or one that may be such but is damaged or too large to tell.
    """
    for path in outputs:
        if path.is_file() and _may_be_needed(path, own):
            cause = "A log or another archive lies here already, which would be overwritten."
            step = "Choose another name for the result, or remove this file first if nobody needs it."
            raise InputError(cause, place=str(path), next_step=step)


def _may_be_needed(path: Path, own: bytes) -> bool:
    try:
        if path.suffix.lower() == ".zip":
            with zipfile.ZipFile(path) as archive:
                return archive.comment != own or not own
        with path.open("rb") as file:
            if _PAGE in file.read(_HEAD):
                return False
        hits, _ = scan_logs([path], catalogue.NEEDLES, progress=False, limits=Limits(allow_damaged=True))
        return bool(order.without_foreign(hits)[0])
    except (zipfile.BadZipFile, DamagedError, RefusedError):
        return True
    except (InputError, OSError):
        return False
