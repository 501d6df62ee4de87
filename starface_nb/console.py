"""What is said on the terminal: nothing that could steer it, and nothing that its encoding lacks."""

from __future__ import annotations

import io
import os
import sys
from contextlib import suppress
from typing import TYPE_CHECKING

from starface_nb.errors import SettingError
from starface_nb.text import visible

if TYPE_CHECKING:
    import polars as pl


def fall_back() -> None:
    """Let standard output show what its encoding lacks as its code."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")


def need_output() -> None:
    """Refuse to say into a closed standard output what nobody would see.

    Raises
    ------
    SettingError
        It is closed (`>&-`).
    """
    if getattr(sys.stdout, "name", "") == os.devnull:
        raise SettingError("Standard output is closed.", next_step="Write to a file or the terminal, or >/dev/null.")


def say(message: str) -> None:
    """Write one line to standard output."""
    print(visible(message))


def note(*messages: str) -> None:
    """Write a line each to standard error, with who says it; where nothing can be written, the exit status tells."""
    with suppress(OSError):
        for message in messages:
            print(f"starface-nb: {visible(message)}", file=sys.stderr, flush=True)


def write_utf8(text: str) -> None:
    """Write JSON to standard output: UTF-8 whatever the terminal's encoding, what is no text as JSON's own escapes."""
    sys.stdout.flush()
    sys.stdout.buffer.write(text.encode("utf-8", "backslashreplace"))


def harmless(events: pl.DataFrame) -> pl.DataFrame:
    """Return events whose texts cannot steer the terminal that they are shown on."""
    import polars as pl

    texts = pl.col("peer", "address", "file")
    return events.with_columns(texts.map_elements(visible, return_dtype=pl.String))
