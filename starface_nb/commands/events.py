"""`starface-nb events`: every event found in a log."""

from __future__ import annotations

import argparse
import sys

from starface_nb.errors import SettingError
from starface_nb.files import replacing
from starface_nb.text import visible

_FORMATS = ("jsonl", "csv", "parquet")


def run(options: argparse.Namespace) -> int:
    """Read the log, write its events and return 0."""
    from starface_nb.reading import read_log
    from starface_nb.reading.export import write

    ending = options.output.suffix[1:].lower() if options.output else ""
    chosen = options.format or (ending if ending in _FORMATS else "jsonl")
    if chosen == "parquet" and not options.output and sys.stdout.isatty():
        raise SettingError("parquet is binary.", next_step="Name a file with -o, or choose --format jsonl or csv.")
    log = read_log(options.log, time_zone=options.time_zone)
    if options.output:
        with replacing(options.output) as file:
            write(log.events, file, chosen, options.time_zone)
    else:
        write(log.events, sys.stdout.buffer, chosen, options.time_zone)
    notes = list(log.notes)
    if log.unparsed.height:
        notes.append(f"{log.unparsed.height} lines look like events but are none or cannot be read.")
    for note in notes:
        print(f"starface-nb: {visible(note)}", file=sys.stderr)
    return 0
