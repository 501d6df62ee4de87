"""Arguments that several commands take, and how their values are read."""

from __future__ import annotations

import argparse
import re
from datetime import datetime

from starface_nb.errors import SettingError

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
    add_time_zone_argument(parser)


def add_time_zone_argument(parser: argparse.ArgumentParser) -> None:
    """Add --time-zone."""
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


def moment(text: str, time_zone: str, option: str) -> datetime:
    """Return the time that `option` names: aware, in `time_zone` unless it has an offset.

    Raises
    ------
    SettingError
        It is no time, or there is no such zone.
    """
    from starface_nb.reading.clock import zone

    try:
        when = datetime.fromisoformat(text.strip())
    except ValueError:
        raise SettingError(f"{text!r} is no time.", place=option, next_step="Write it as 2026-03-13T11:45.") from None
    return when if when.tzinfo else when.replace(tzinfo=zone(time_zone))
