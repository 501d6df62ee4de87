"""What the commands' arguments are made of: `arguments.csv` and how each is read; and the list of all commands."""

import csv
import os
import re
from argparse import ArgumentTypeError, Namespace
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

from starface_nb.files import PACKED, has_files_name
from starface_nb.settings import KEEPALIVES_S

Argument = tuple[tuple[str, ...], dict[str, Any]]
Run = Callable[[Namespace], int]
_FORMATS = ("iso", "iso_ms", "short")
_UNITS = {"": 1.0, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86400.0}


COMMANDS: dict[str, tuple[Run, str]] = {}
"""What runs each command and returns the exit status, and what it does in a few words."""


def command(summary: str) -> Callable[[Run], Run]:
    """Make a function a command of its name."""

    def enter(run: Run) -> Run:
        COMMANDS[run.__name__] = run, summary
        return run

    return enter


def duration(text: str, longest_s: float = 366 * 86400.0) -> float:
    """Return seconds for a duration such as `60m`, `3600`, `90s` or `1h`."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(s|min|m|h|d|)", text.strip().lower(), re.ASCII)
    seconds = float(match[1]) * _UNITS[match[2]] if match else 0.0
    if not KEEPALIVES_S[0] <= seconds <= longest_s:
        span = f"1 second to {longest_s / 86400:g} days"
        raise ArgumentTypeError(f"{text!r} is no duration; write for example 60m, 90s or 1h ({span})")
    return seconds


def number(low: float, high: float) -> Callable[[str], float]:
    """Return a reader of numbers from `low` to `high`, of their kind."""

    def read(text: str) -> float:
        try:
            value = type(low)(text)
        except ValueError:
            value = low - 1
        if not low <= value <= high:
            raise ArgumentTypeError(f"{text!r} is no number from {low} to {high}")
        return value

    return read


def case_name(text: str) -> str:
    """Return a case's name, which is no path."""
    if re.search(r"[/\\]", text):
        raise ArgumentTypeError(f"{text!r} is a path; name the case alone, and the folder of all cases with --cases")
    return text


def new_file(text: str) -> Path:
    """Return the path of a file to be written; whether it can be is said before the work is done."""
    if Path(text).is_dir():
        raise ArgumentTypeError(f"{text!r} is a folder; name a file in it")
    return new_place(text)


def new_place(text: str) -> Path:
    """Return the path of a file or folder to be written in a folder that is there."""
    path = _named(text, "/dev/stdout where the system has it")
    if path.suffix.lower() in PACKED:
        raise ArgumentTypeError(f"nothing is compressed here; leave out {path.suffix} in {text!r}")
    parent = path if text.endswith(("/", "/.", os.sep)) else path.parent  # `new/` is a folder, there or not
    if not parent.is_dir():
        raise ArgumentTypeError(f"there is no folder {str(parent)!r}; create it first")
    path.lstat() if path.is_symlink() else path.exists()  # a name that is too long is said now
    if not path.exists() and not os.access(path.parent, os.W_OK):
        raise ArgumentTypeError(f"nothing can be written into the folder {str(path.parent)!r}")
    return path


def new_folder(text: str) -> Path:
    """Return the path of a folder to be written to, which may be missing."""
    if not text:  # a variable of the shell that is empty
        raise ArgumentTypeError("an empty name is no folder; write . for this one")
    path = _named(text, "./- if it is called so")
    if any(level.exists() and not level.is_dir() for level in (path, *path.parents)):
        raise ArgumentTypeError(f"{text!r} is or lies in a file; name a folder")
    if has_files_name(path) and not path.exists() and not text.endswith(("/", os.sep)):
        raise ArgumentTypeError(f"{text!r} is to be a folder; leave out {path.suffix}, or write {text}{os.sep}")
    return path


def _named(text: str, instead: str) -> Path:
    """Return the path that a text names; a lone dash means standard output elsewhere, and is refused."""
    if text == "-":
        raise ArgumentTypeError(f"- is no place to write to here; name one, or write {instead}")
    return Path(text)


def new_folder_or_zip(text: str) -> Path:
    """Return the path of a folder to be written to, or of a file where the name ends in .zip."""
    return new_file(text) if text.lower().endswith(".zip") else new_folder(text)


def stamp_format(text: str) -> str:
    """Return a date format, if it tells moments a minute, an hour, half a day, days or a month apart."""
    apart_h = (0, 1 / 60, 1, 12, 24, 7 * 24, 31 * 24)
    told = {f"{datetime(2026, 3, 10, 11, 45) + timedelta(hours=hours):{text}}" for hours in apart_h}
    if text not in _FORMATS and not (len(told) == len(apart_h) and all(map(str.isprintable, told))):
        raise ArgumentTypeError(
            f"{text!r} writes no day, hour and minute on one line; write for example '%d.%m.%Y %H:%M'"
        )
    return text


_FUNCTIONS = (duration, case_name, new_file, new_place, new_folder, new_folder_or_zip, stamp_format)
_READERS: dict[str, Callable[[str], object]] = {read.__name__: read for read in _FUNCTIONS}
_READERS |= {"": str, "Path": Path, "keepalive": partial(duration, longest_s=KEEPALIVES_S[1])}
_HOW = {"many": ("nargs", "+"), "any": ("nargs", "*"), "append": ("action", "append"), "flag": ("action", "store_true")}


def arguments_of(command: str) -> Iterator[Argument]:
    """Yield a command's arguments, as `argparse` takes them, in the order of its help.

    They stand in `arguments.csv`: the commands that take one, its flags or name, how it is read (`many` or `any`
    number of values, `append` for each time it is given, a `flag`, one of the words between bars, a number from..to, or
    a function of this module), what stands for its value in the help, its default, and whether it must be given.
    """
    with Path(__file__).with_suffix(".csv").open(encoding="utf-8", newline="") as rows:
        for row in csv.DictReader(rows):
            if command in row["commands"].split():
                told = {name: row[name] for name in ("metavar", "default", "help") if row[name]}
                needed = {"required": True} if row["needed"] else {}
                yield tuple(row["flags"].split()), {**told, **_way(row["kind"]), **needed}


def _way(kind: str) -> dict[str, Any]:
    """Return how an argument is read."""
    if "|" in kind:
        return {"choices": kind.split("|")}
    if ".." in kind:
        return {"type": number(*(float(end) if "." in end else int(end) for end in kind.split("..")))}
    way, what = _HOW.get(kind) or ("type", _READERS[kind])
    return {way: what}


def of_case(options: Namespace) -> dict[str, Any]:
    """Return the options that say how a case is opened, as `open_case` takes them."""
    given = {name: getattr(options, name) for name in ("time_zone", "language", "same_customer")}
    return given | {"keepalive_s": options.keepalive}
