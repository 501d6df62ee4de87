"""Whose a report is: digests by which only the same customer's report is replaced, in a page and in a PDF."""

import re
from collections.abc import Iterable
from hashlib import sha256
from pathlib import Path
from typing import Any

from starface_nb.cases.identity import foreign, identity
from starface_nb.errors import InputError
from starface_nb.files import is_open
from starface_nb.reading.log import Log
from starface_nb.spared import INSTEAD, PDF

_LEAST = 100  # lines: a shorter log could be guessed from what a masked report quotes, and its digest would prove it
_MARK = re.compile(rb'<meta name="starface-nb" content="([^"]*)">|%starface-nb ([^\n]*)\n' + PDF)


def mark(log: Log, *, mask: bool) -> str:
    """Return what a report keeps of its log: digests of its files, phones and public addresses.

    What is guessed of a phone's name could be tried on its digest: a masked report has only those of long files.
    """
    own = {"peers": (), "addresses": ()} if mask else identity(log, ())
    files = [file.fingerprint for file in log.files if not mask or file.lines >= _LEAST]
    told = {"logs": files, "peers": own["peers"], "addresses": own["addresses"]}
    return ";".join(f"{name}={','.join(map(_digest, texts))}" for name, texts in told.items())


def mark_of(report: bytes) -> str:
    """Return the mark of a page or PDF; empty where it has none."""
    found = _MARK.search(report)
    return (found[1] or found[2] or b"").decode("ascii", "replace") if found else ""


def spare_others(reports: Iterable[Path], log: Log) -> None:
    """Refuse to replace a report that is not known to be the customer's whose log this is.

    Raises
    ------
    InputError
        It is another customer's, is masked and of another log, or was made by 0.1, which left no mark.
    """
    now = _read(mark(log, mask=False))
    for path in reports:
        if path.is_file() and not is_open(path) and path.stat().st_size:
            before = _read(mark_of(path.read_bytes()))
            if before["logs"].isdisjoint(now["logs"]) and foreign(before, now):
                cause = "Another customer's report lies here, or one that does not tell whose (a masked or an old one)."
                raise InputError(cause, place=str(path), next_step=INSTEAD)


def _digest(text: str) -> str:
    return sha256(text.encode("utf-8", "replace")).hexdigest()[:8]


def _read(text: str) -> dict[str, Any]:
    parts = {name: values for name, _, values in (part.partition("=") for part in text.split(";"))}
    kept = {name: set(filter(None, parts.get(name, "").split(","))) for name in ("logs", "peers", "addresses")}
    return {"fingerprint": text, **kept}
