"""The command line: finds the command, runs it, turns errors into one clear message and an exit status."""

from __future__ import annotations

import argparse
import os
import re
import sys
import tomllib
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from traceback import extract_tb
from typing import Any, NoReturn

from starface_nb import __version__
from starface_nb.errors import StarfaceError
from starface_nb.text import visible

COMMANDS = tomllib.loads(Path(__file__).with_suffix(".toml").read_text("utf-8"))
_SHARED = COMMANDS.pop("shared")
_WRONG_INPUT, _INTERRUPTED = 2, 130
_UNITS = {"": 1.0, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86400.0}
_LONGEST_S = 366 * 86400.0


def duration(text: str) -> float:
    """Return seconds for a duration such as `60m`, `3600`, `90s` or `1h`."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(s|min|m|h|d|)", text.strip())
    seconds = float(match[1]) * _UNITS[match[2]] if match else 0.0
    if not 0 < seconds <= _LONGEST_S:
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


_TYPES = {"duration": duration, "file": new_file, "folder": new_folder, "path": Path}


class Parser(argparse.ArgumentParser):
    """A parser that says what is wrong in one line."""

    def error(self, message: str) -> NoReturn:
        """End with the message and where help is."""
        self.exit(_WRONG_INPUT, f"{self.prog}: {visible(message)}. See {self.prog} --help.\n")


def build_parser() -> argparse.ArgumentParser:
    """Return the parser that `cli.toml` describes."""
    parser = Parser(
        prog="starface-nb",
        description="Which phone lost STARFACE Cloud when and why, and what the router's NAT timeout is.",
        epilog="Exit status: 0 nothing found that needs action, 1 findings, 2 wrong usage or unreadable input.",
    )
    parser.add_argument("--version", action="version", version=f"starface-nb {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, about in COMMANDS.items():
        summary = about["summary"]
        sentence = summary[0].upper() + summary[1:] + ("" if summary.endswith("?") else ".")
        command = commands.add_parser(name, help=summary, description=sentence)
        own = {key: value for key, value in about.items() if isinstance(value, dict)}
        for flags in dict.fromkeys([*about["takes"], *own]):
            _add(command, flags, _SHARED.get(flags, {}) | own.get(flags, {}), about.get("reopens", False))
    return parser


def _add(command: argparse.ArgumentParser, flags: str, values: dict[str, Any], reopens: bool) -> None:
    """Add one argument; a case that is reopened has its own settings, so they have no defaults there."""
    kind, low, high = (values.pop(key, None) for key in ("type", "low", "high"))
    if kind:
        values["type"] = number(low, high) if kind == "number" else _TYPES[kind]
    if reopens and flags in _SHARED:
        values.pop("default", None)
    command.add_argument(*flags.split(), **values)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    options = build_parser().parse_args(arguments)
    try:
        commands = import_module("starface_nb.commands")  # not before --help was answered
        status: int = getattr(commands, options.command)(options)
        sys.stdout.flush()
    except BrokenPipeError:  # the reader has seen enough
        _close_output()
        return 0
    except KeyboardInterrupt:
        return _say("interrupted; nothing half-written was left.", _INTERRUPTED)
    except StarfaceError as error:
        return _say(str(error))
    except OSError as error:
        if error.filename is None and sys.stdout is sys.__stdout__:
            _close_output()
        place = error.filename2 or error.filename or "output"
        return _say(f"{place}: {error.strerror or error}. Choose another file or folder, or make room there.")
    except Exception as error:
        if sys.flags.dev_mode:
            raise
        last = extract_tb(error.__traceback__)[-1]
        return _say(
            f"a fault of the program, not of the log: {type(error).__name__}: {error} "
            f"({Path(last.filename).name}, line {last.lineno}). Please report it with the command that led to it."
        )
    return status


def _say(message: str, status: int = _WRONG_INPUT) -> int:
    print(f"starface-nb: {visible(message)}", file=sys.stderr)  # noqa: T201
    return status


def _close_output() -> None:
    """Let what is still buffered for standard output go nowhere, so that Python does not try again at its end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
