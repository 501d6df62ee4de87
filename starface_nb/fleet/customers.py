"""Who is in a fleet: one customer per file or subfolder."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from starface_nb import __version__
from starface_nb.analysis.settings import Settings
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

    def fingerprint(self, settings: Settings, time_zone: str) -> str:
        """Identify the files' state and everything that the result depends on, without reading the log."""
        digest = hashlib.sha256(f"{__version__}\0{settings!r}\0{time_zone}\0".encode())
        for path in sorted(_files(self.path)):
            state = path.stat()
            digest.update(
                f"{os.fspath(path)}\0{state.st_size}\0{state.st_mtime_ns}\0".encode("utf-8", "surrogateescape")
            )
        return digest.hexdigest()[:32]


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
    paths = [path for path in paths if path.resolve() != apart]
    if not paths:
        raise InputError(
            "There is no customer's log.",
            place=str(sources[0]),
            next_step="Put one file or subfolder per customer there.",
        )
    return [
        _customer(path, paths) for path in sorted(paths, key=lambda path: (path.name.lower(), path.name, str(path)))
    ]


def _customer(path: Path, among: Sequence[Path]) -> Customer:
    alone = sum(other.name == path.name for other in among) == 1
    name = visible(path.name if alone else str(path))
    plain = re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip(".-")[:60]
    unique = hashlib.sha256(os.fsencode(path.name if alone else path)).hexdigest()[:8]
    return Customer(name, path, f"{plain or 'customer'}-{unique}")


def _files(path: Path) -> Iterator[Path]:
    if path.is_dir():
        for folder, _, names in os.walk(path):
            yield from (Path(folder, name) for name in names if Path(folder, name).is_file())
    else:
        yield path
