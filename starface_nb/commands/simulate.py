"""`starface-nb simulate`: a log with known truth."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from starface_nb.commands._shared import duration, moment

if TYPE_CHECKING:
    from starface_nb.simulation import Scenario

FAMILIES = (
    "plain",
    "healthy",
    "one_bad_phone",
    "look_alikes",
    "any_packet",
    "router_fixed",
    "inherited_ports",
    "messy",
    "mixed",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's own arguments."""
    parser.add_argument("-o", "--output", required=True, metavar="DIR", help="folder for pbx.log and truth.json")
    parser.add_argument("--family", choices=FAMILIES, default="plain", help="kind of customer (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="decides every chance (default: %(default)s)")
    parser.add_argument("--phones", type=int, metavar="N", help="phones at each site")
    parser.add_argument("--hours", type=float, metavar="H", help="length of the log")
    parser.add_argument("--timeout", type=duration, metavar="DURATION", help="the routers' NAT timeout, such as 15m")
    parser.add_argument("--renewal", choices=("register_only", "any_packet"), help="which packets renew a mapping")
    parser.add_argument("--driver", choices=("SIP", "PJSIP"), help="chan_sip or PJSIP lines (default: SIP)")
    parser.add_argument("--time-zone", metavar="ZONE", help="zone of the log's local times (default: Europe/Berlin)")
    parser.add_argument(
        "--date-format", metavar="FORMAT", help="iso, iso_ms, short (no year) or a strftime format (default: iso)"
    )
    parser.add_argument(
        "--start", metavar="TIME", help="local time of the log's first moment, such as 2026-10-24T12:00"
    )
    parser.add_argument("--noise", type=float, metavar="N", help="unrelated lines per hour")


def run(options: argparse.Namespace) -> int:
    """Write the log and its truth; return 0."""
    from starface_nb.simulation import simulate

    made = simulate(scenario(options), options.seed)
    path = made.write(options.output)
    intervals = made.truth["unreachable_intervals"]
    count = len(intervals) if isinstance(intervals, list) else 0
    print(f"{path}: {len(made.lines)} lines, {count} unreachable intervals; truth in {path.parent / 'truth.json'}")
    return 0


def scenario(options: argparse.Namespace) -> Scenario:
    """Return the scenario that the options ask for.

    Raises
    ------
    SettingError
        An option has a value that makes no sense.
    """
    from dataclasses import replace

    from starface_nb.reading.clock import zone
    from starface_nb.simulation import make
    from starface_nb.simulation.drawing import Wish

    made = make(options.family, options.seed, Wish(options.phones, options.hours, options.timeout, options.renewal))
    time_zone = zone(options.time_zone or made.time_zone).key
    style = made.style
    if options.date_format:
        style = replace(style, date_format=options.date_format)
    if options.noise is not None:
        style = replace(style, noise=options.noise)
    start = moment(options.start, time_zone, "--start") if options.start else made.start
    return made.change(style=style, start=start, time_zone=time_zone, tech=options.driver or made.tech)
