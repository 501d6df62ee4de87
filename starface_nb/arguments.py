"""What the commands' arguments are made of: their types, those that several share, and the list of all commands."""

import os
import re
from argparse import ArgumentTypeError, Namespace
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from starface_nb.files import PACKED, has_files_name
from starface_nb.settings import KEEPALIVES_S

Argument = tuple[tuple[str, ...], dict[str, Any]]
Run = Callable[[Namespace], int]
_UNITS = {"": 1.0, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86400.0}


@dataclass(frozen=True)
class Command:
    """A command: what runs it and returns the exit status, what it does in a few words, and its arguments."""

    run: Run
    summary: str
    arguments: tuple[Argument, ...]


COMMANDS: dict[str, Command] = {}


def command(summary: str, *arguments: Argument) -> Callable[[Run], Run]:
    """Make a function a command of its name."""

    def enter(run: Run) -> Run:
        COMMANDS[run.__name__] = Command(run, summary, arguments)
        return run

    return enter


def arg(*flags: str, **values: Any) -> Argument:
    """Return an argument as `argparse` takes it."""
    return flags, values


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


LOG = arg(
    "log",
    nargs="+",
    metavar="LOG",
    help="a file, gz/bz2/xz/lzma/zst, zip or tar (support bundle), folder, glob, or - for standard input",
)
TIME_ZONE = arg(
    "--time-zone",
    metavar="ZONE",
    help="zone of the log's local times (default: as a support bundle says, or else Europe/Berlin)",
)
KEEPALIVE = arg(
    "--keepalive",
    type=partial(duration, longest_s=KEEPALIVES_S[1]),
    metavar="DURATION",
    help="the phones' keepalive interval (default: 60m, or what a support bundle makes of it)",
)
LANGUAGE = arg(
    "--language", choices=["en", "de", "fr"], default="en", help="of what is written for people (default: en)"
)
JSON = arg("--json", action="store_true", help="the whole result as JSON on standard output")

ROUTER_LOG = arg(
    "--router-log",
    action="append",
    metavar="FILE",
    help="the router's own log, laid beside, of each router (one in the bundle or folder is found by its content)",
)
SAME_CUSTOMER = arg("--same-customer", action="store_true", help="the case is this log's, whatever it looks like")


def of_case(options: Namespace) -> dict[str, Any]:
    """Return the options that say how a case is opened, as `open_case` takes them."""
    given = {name: getattr(options, name) for name in ("time_zone", "language", "same_customer")}
    return given | {"keepalive_s": options.keepalive}


def as_kept(shared: Argument) -> Argument:
    """Return a shared argument without its default: a case that is reopened has its own settings."""
    flags, values = shared
    return flags, {**values, "default": None}


def folder(about: str) -> Argument:
    """Return the argument that names the folder of the results."""
    return arg("-o", "--output", type=new_folder, required=True, metavar="DIR", help=about)


READ = (LOG, TIME_ZONE, KEEPALIVE, ROUTER_LOG)
OF_A_CASE = (as_kept(TIME_ZONE), as_kept(KEEPALIVE), ROUTER_LOG, as_kept(LANGUAGE), SAME_CUSTOMER)
"""The arguments of the commands that diagnose a log, and of those that open a case."""
