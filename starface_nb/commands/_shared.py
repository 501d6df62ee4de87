"""Arguments that several commands take, and how their values are read."""

from __future__ import annotations

import argparse
import re

_UNITS = {"": 1.0, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86400.0}


def duration(text: str) -> float:
    """Return seconds for a duration such as `60m`, `3600`, `90s` or `1h`."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(s|min|m|h|d|)", text.strip())
    if not match or float(match[1]) <= 0:
        raise argparse.ArgumentTypeError(f"{text!r} is no duration; write for example 60m, 90s or 1h")
    return float(match[1]) * _UNITS[match[2]]


def add_log_arguments(parser: argparse.ArgumentParser, *, many: bool = True, optional: bool = False) -> None:
    """Add LOG... (or [LOG...]) and --time-zone."""
    parser.add_argument(
        "log",
        metavar="LOG",
        nargs="*" if optional else "+" if many else None,
        help="a file, gz/bz2/xz/zst, zip or tar (support bundle), folder, glob, or - for standard input",
    )
    parser.add_argument(
        "--time-zone",
        default="Europe/Berlin",
        metavar="ZONE",
        help="zone of the log's local times (default: %(default)s)",
    )


def add_keepalive_argument(parser: argparse.ArgumentParser) -> None:
    """Add --keepalive."""
    parser.add_argument(
        "--keepalive",
        type=duration,
        default=3600.0,
        metavar="DURATION",
        help="the phones' keepalive interval (default: 60m)",
    )
