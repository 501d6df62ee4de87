"""The command line: finds the command, runs it, turns errors into one clear message and an exit status."""

import argparse
import io
import os
import re
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from struct import error as StructError  # noqa: N812  a class, whatever its name
from traceback import extract_tb
from types import FrameType
from typing import Any, NoReturn

from starface_nb import __version__, errors
from starface_nb.arguments import arguments_of
from starface_nb.commands import COMMANDS
from starface_nb.console import fall_back, need_output, note
from starface_nb.sources.apart import keep_apart
from starface_nb.text import visible

_WRONG_INPUT, _FAULT, _TERMINATED = 2, 3, 143
_SMALL = 1 << 20  # bytes of logs
_AGAIN_S = 20  # a signal to end that was lost in a callback comes again
_ending = list[BaseException]()  # what signals to end have raised


class _Once(argparse.Action):
    """Keeps an option's value, and refuses another one later on: of two times or places one would not be looked at."""

    def __call__(
        self, _parser: argparse.ArgumentParser, namespace: argparse.Namespace, values: Any, option_string: Any = None
    ) -> None:
        """Keep the value."""
        if option_string and vars(self).setdefault("given", values) != values:
            raise argparse.ArgumentError(self, "given twice; it takes one value")
        setattr(namespace, self.dest, values)


class Parser(argparse.ArgumentParser):
    """A parser that says what is wrong in one line."""

    def __init__(self, **values: Any) -> None:
        super().__init__(**values)
        self.register("action", None, _Once)
        self._negative_number_matcher = re.compile("-[0-9]")  # as in -5m: its own check says what is wrong with it

    def error(self, message: str) -> NoReturn:
        """End with the message and where help is."""
        self.exit(_WRONG_INPUT, f"{self.prog}: {visible(message)}. See {self.prog} --help.\n")

    def _print_message(self, message: str, file: Any = None) -> None:
        if file is sys.stdout:  # help and version
            need_output()
        super()._print_message(message, file)


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of all commands."""
    parser = Parser(
        prog="starface-nb",
        description="Which phone lost STARFACE Cloud when and why, and what the router's NAT timeout is.",
        epilog="Exit status: 0 nothing found that needs action, 1 findings, 2 wrong usage or unreadable input, "
        "3 a fault of the program.",
    )
    parser.add_argument("--version", action="version", version=f"starface-nb {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    for name, (_, summary) in COMMANDS.items():
        sentence = summary[0].upper() + summary[1:] + ("" if summary.endswith("?") else ".")
        own = commands.add_parser(name, help=summary, description=sentence)
        for flags, values in arguments_of(name):
            own.add_argument(*flags, **values)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status."""
    if argv is None:
        for number in (signal.SIGTERM, signal.SIGINT):
            if signal.getsignal(number) != signal.SIG_IGN:  # as a shell's background or `nohup` may ask
                signal.signal(number, _end)
        os.umask(os.umask(0o077) & 0o077)  # what is written can be read by its owner, whatever was left to others
        _open_streams()
        _find_home()
        _find_zone()
        os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # no large matrix is multiplied here: more would only wait
    fall_back()
    try:
        parser = build_parser()
        options = parser.parse_args(argv)
        if options.command is None:
            parser.print_help()
            return 0
        if empty := [name for name, value in vars(options).items() if value in ("", [""]) and name != "log"]:
            flag = "--" + empty[0].replace("_", "-")  # as a variable of the shell may be
            raise errors.SettingError("An empty value was given.", place=flag, next_step="Leave it out, or give one.")
        if argv is None:
            errors.need_counts()
            errors.need_memory()
            errors.need_files()
            errors.need_threads()
            _few_threads(options)
            _keep_streams_apart(options)
        status = COMMANDS[options.command][0](options)
        sys.stdout.flush()
    except SystemExit:
        raise
    except BaseException as error:  # panics of polars are no Exceptions
        if sys.flags.dev_mode and not isinstance(error, errors.StarfaceError | OSError | KeyboardInterrupt):
            raise
        return _told(_ending[0] if _ending else errors.memory_error(error) or error)
    return _told(_ending[0]) if _ending else status


def _few_threads(options: argparse.Namespace) -> None:
    """Let polars do a small log's work in one thread, before it is loaded: to wake others takes longer than they do."""
    if options.command in ("check", "compare", "events"):  # which start no other programs
        logs = [Path(log) for log in options.log]
        if all(log.is_file() for log in logs) and sum(log.stat().st_size for log in logs) <= _SMALL:
            os.environ.setdefault("POLARS_MAX_THREADS", "1")


def _told(error: BaseException) -> int:
    """Say what happened in one line; return the exit status."""
    if isinstance(error, KeyboardInterrupt):
        raise error  # it may come before all this is loaded, too, and is said there
    if isinstance(error, SystemExit):
        return _TERMINATED
    if isinstance(error, BrokenPipeError):  # the reader has seen enough
        _close_output()
        return 0
    if isinstance(error, errors.StarfaceError):
        return _say(str(error))
    if sys.flags.optimize > 1 and _is_importing(error):
        return _say("PYTHONOPTIMIZE: without docstrings (2, or -OO) a library does not load. Unset it, or set it to 1.")
    if _is_loading(error):
        return _say(f"A library does not load: {error}. Install starface-nb anew, or what that library needs.")
    if isinstance(error, FileNotFoundError) and error.filename is None:  # what a gone current folder leads to
        return _say("the current folder has gone. Change into another one.")
    if isinstance(error, OSError):
        if error.filename is None and sys.stdout is sys.__stdout__:
            _close_output()
        place = error.filename2 or error.filename or "output"
        return _say(f"{place}: {error.strerror or error}. Choose another file or folder, or make room there.")
    last = extract_tb(error.__traceback__)[-1]
    return _say(
        f"a fault of the program, not of the log: {type(error).__name__}: {error} "
        f"({Path(last.filename).name}, line {last.lineno}). Please report it with the command that led to it.",
        _FAULT,
    )


def _is_loading(error: BaseException) -> bool:
    """Say whether an error is a library's that is being imported, or the system's that cannot load it."""
    own = (getattr(error, "name", None) or "").startswith("starface_nb")
    kind = isinstance(error, ImportError) or (isinstance(error, OSError) and error.errno is None)
    return kind and not own and _is_importing(error)


def _is_importing(error: BaseException) -> bool:
    return any(frame.name == "<module>" for frame in extract_tb(error.__traceback__))


def _say(message: str, status: int = _WRONG_INPUT) -> int:
    note(message)
    return status


def _open_streams() -> None:
    """Let standard input, output and error that are closed (`>&-`) be empty: what is opened next must not be theirs."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115, PTH123  until the end


def _find_home() -> None:
    """Let libraries that look for a home on import find one: if not in HOME, the user's, or none that is there."""
    try:
        Path.home()
    except RuntimeError:
        os.environ.pop("HOME", None)
        home = os.path.expanduser("~")  # noqa: PTH111  says where it knows none
        os.environ["HOME"] = f"{os.sep}nonexistent" if home == "~" else home


def _find_zone() -> None:
    """Leave out a TZ that names a file without a zone's rules, as the system does: a library fails on it on import."""
    if os.path.exists(name := os.environ.get("TZ", "").removeprefix(":")):  # noqa: PTH110  also of no name at all
        from zoneinfo import ZoneInfo

        try:
            with open(name, "rb") as rules:  # noqa: PTH123
                ZoneInfo.from_file(rules)
        except (OSError, ValueError, EOFError, StructError):
            del os.environ["TZ"]


def _keep_streams_apart(options: argparse.Namespace) -> None:
    """Refuse to write onto what is read by way of the shell (`>>full`); then nothing is said there either."""
    given = vars(options)
    read = [path for name in ("log", "source", "router_log") for path in given.get(name) or ()]
    read += filter(None, [given.get("key")])
    refused = dict[str, errors.InputError]()
    for name in ("stdout", "stderr"):
        try:
            with suppress(OSError):  # it is no file
                number = getattr(sys, name).fileno()
                keep_apart(read, [number] if os.fstat(number).st_size else [])
        except errors.InputError as error:
            refused[name] = error
    if "stderr" in refused:
        sys.stderr = io.StringIO() if "stdout" in refused else sys.stdout
    for told in refused.values():
        raise told


def _end(number: int, _frame: FrameType | None) -> NoReturn:
    """End as an error does, so that what is begun is taken back, whatever libraries make of the exception."""
    if number == signal.SIGINT:
        _ending.append(KeyboardInterrupt())
    else:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # nor is it worth a word what they say of it
        _ending.append(SystemExit(_TERMINATED))
    if hasattr(signal, "setitimer"):
        signal.signal(signal.SIGALRM, lambda *_: _end(number, None))
        signal.setitimer(signal.ITIMER_REAL, _AGAIN_S)
    raise _ending[-1]


def _close_output() -> None:
    """Let what is still buffered for standard output go nowhere, so that Python does not try again at its end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
