"""The command line: finds the command, runs it, turns errors into one clear message and an exit status."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from importlib import import_module

from starface_nb import __version__
from starface_nb.errors import StarfaceError

COMMANDS = {
    "check": "verdict on a log: in the terminal, or as JSON",
    "events": "every event found in a log",
    "report": "the customer's report, self-contained, offline",
    "run": "execute the notebooks on a log",
    "lab": "open JupyterLab on the notebooks",
    "compare": "did the change fix it?",
    "anonymise": "the same log without personal data",
    "simulate": "a log with known truth",
    "fleet": "many customers at once",
}
FOUND_NOTHING, FOUND_SOMETHING, WRONG_INPUT = 0, 1, 2
INTERRUPTED = 130


def build_parser(command: str | None = None) -> argparse.ArgumentParser:
    """Return the parser; only `command`'s own arguments are added, so that the others need not be imported."""
    parser = argparse.ArgumentParser(
        prog="starface-nb",
        description="Which phone lost STARFACE Cloud when and why, and what the router's NAT timeout is.",
        epilog="Exit status: 0 nothing found that needs action, 1 findings, 2 wrong usage or unreadable input.",
    )
    parser.add_argument("--version", action="version", version=f"starface-nb {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, summary in COMMANDS.items():
        sentence = summary[0].upper() + summary[1:] + ("" if summary.endswith("?") else ".")
        sub = commands.add_parser(name, help=summary, description=sentence)
        if name == command:
            import_module(f"starface_nb.commands.{name}").add_arguments(sub)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    command = next((a for a in arguments if a in COMMANDS), None)
    options = build_parser(command).parse_args(arguments)
    try:
        status: int = import_module(f"starface_nb.commands.{options.command}").run(options)
        sys.stdout.flush()
    except StarfaceError as error:
        print(f"starface-nb: {error}", file=sys.stderr)  # noqa: T201
        return WRONG_INPUT
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FOUND_NOTHING
    except KeyboardInterrupt:
        print("starface-nb: interrupted; nothing half-written was left.", file=sys.stderr)  # noqa: T201
        return INTERRUPTED
    return status
