"""Who is in a fleet: one customer per file or subfolder."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from starface_nb.errors import InputError
from starface_nb.text import visible


@dataclass(frozen=True)
class Customer:
    """One customer's log.

    Attributes
    ----------
    name : str
        Name of the file or folder, unique in the fleet.
    path : Path
        Where the log lies.
    slug : str
        The name as a folder's name, safe on every system and unique.
    """

    name: str
    path: Path
    slug: str


def find_customers(sources: Sequence[str | os.PathLike[str]], *, leave_out: Path | None = None) -> list[Customer]:
    """Return the fleet's customers in the order of their names.

    Parameters
    ----------
    sources : sequence of paths
        One folder, whose files and subfolders are the customers, or several customers' files and folders.
    leave_out : Path, optional
        A folder that is no customer: the one the results go to.

    Raises
    ------
    InputError
        A path does not exist, or there is no customer at all.
    """
    paths = [Path(source) for source in sources]
    for path in paths:
        if not path.exists():
            raise InputError("There is no such file or folder.", place=str(path), next_step="Check the path.")
    if len(paths) == 1 and paths[0].is_dir():
        paths = [path for path in paths[0].iterdir() if not path.name.startswith(".")]
    apart = leave_out.resolve() if leave_out else None
    paths = sorted((p for p in paths if p.resolve() != apart), key=lambda p: (p.name.lower(), p.name, str(p)))
    if not paths:
        raise InputError(
            "There is no customer's log.",
            place=str(sources[0]),
            next_step="Put one file or subfolder per customer there.",
        )
    names = [path.name for path in paths]
    return [_customer(path, alone=names.count(path.name) == 1) for path in paths]


def _customer(path: Path, *, alone: bool) -> Customer:
    name = visible(path.name if alone else str(path))
    plain = re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip(".-")[:60]
    unique = hashlib.sha256(os.fsencode(path.name if alone else path)).hexdigest()[:8]
    return Customer(name, path, f"{plain or 'customer'}-{unique}")
