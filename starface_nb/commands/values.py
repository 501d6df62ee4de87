"""How the values of arguments are read, and the exit status that several commands have."""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from starface_nb.analysis.diagnosis import Diagnosis

_UNITS = {"": 1.0, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86400.0}
_LONGEST = 366 * 86400.0


def duration(text: str) -> float:
    """Return seconds for a duration such as `60m`, `3600`, `90s` or `1h`."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(s|min|m|h|d|)", text.strip())
    seconds = float(match[1]) * _UNITS[match[2]] if match else 0.0
    if not 0 < seconds <= _LONGEST:
        raise argparse.ArgumentTypeError(f"{text!r} is no duration; write for example 60m, 90s or 1h")
    return seconds


def number(low: float, high: float) -> Callable[[str], float]:
    """Return a reader of numbers from `low` to `high`, of their kind."""

    def read(text: str) -> float:
        try:
            value = type(low)(text)
        except ValueError:
            value = low - 1
        if not low <= value <= high:
            raise argparse.ArgumentTypeError(f"{text!r} is no number from {low} to {high}")
        return value

    return read


def new_file(text: str) -> Path:
    """Return the path of a file to be written; whether it can be is said before the work is done."""
    path = Path(text)
    if path.is_dir():
        raise argparse.ArgumentTypeError(f"{text!r} is a folder; name a file in it")
    if not path.absolute().parent.is_dir():
        raise argparse.ArgumentTypeError(f"there is no folder {str(path.parent)!r}; create it first")
    return path


def new_folder(text: str) -> Path:
    """Return the path of a folder to be written to, which may be missing."""
    path = Path(text)
    if any(level.exists() and not level.is_dir() for level in (path, *path.parents)):
        raise argparse.ArgumentTypeError(f"{text!r} is or lies in a file; name a folder")
    return path


def status(case: Diagnosis) -> int:
    """Return 1 where something was found that needs action, else 0."""
    return int(any(finding.severity == "action" for finding in case.findings))
