"""`starface-nb events`: every event found in a log."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from starface_nb.commands._shared import add_log_arguments
from starface_nb.errors import SettingError
from starface_nb.files import replacing
from starface_nb.text import visible

if TYPE_CHECKING:
    import polars as pl

FORMATS = ("jsonl", "csv", "parquet")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    add_log_arguments(parser)
    parser.add_argument("--format", choices=FORMATS, help="default: from FILE's ending, else jsonl")
    parser.add_argument("-o", "--output", metavar="FILE", help="write to FILE instead of standard output")


def run(options: argparse.Namespace) -> int:
    """Read the log and write its events."""
    from starface_nb.reading import read_log
    from starface_nb.reading.export import write

    chosen = options.format or _by_ending(options.output)
    if chosen == "parquet" and not options.output and sys.stdout.isatty():
        raise SettingError("parquet is binary.", next_step="Name a file with -o, or choose --format jsonl or csv.")
    log = read_log(options.log, time_zone=options.time_zone)
    if options.output:
        _to_file(log.events, Path(options.output), chosen, options.time_zone)
    else:
        write(log.events, sys.stdout.buffer, chosen, options.time_zone)
    for note in log.notes:
        print(f"starface-nb: {visible(note)}", file=sys.stderr)
    if log.unparsed.height:
        print(
            f"starface-nb: {log.unparsed.height} lines look like events but are none or cannot be read.",
            file=sys.stderr,
        )
    return 0


def _by_ending(output: str | None) -> str:
    ending = Path(output).suffix.lstrip(".").lower() if output else ""
    return ending if ending in FORMATS else "jsonl"


def _to_file(events: pl.DataFrame, path: Path, chosen: str, time_zone: str) -> None:
    from starface_nb.reading.export import write

    try:
        with replacing(path) as file:
            write(events, file, chosen, time_zone)
    except OSError as error:
        raise SettingError(
            f"cannot be written: {error.strerror}.", place=str(path), next_step="Choose another file."
        ) from None
