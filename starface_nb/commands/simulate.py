"""`starface-nb simulate`: a log with known truth."""

from __future__ import annotations

import argparse
from dataclasses import replace
from typing import TYPE_CHECKING

from starface_nb.text import moment

if TYPE_CHECKING:
    from starface_nb.simulation import Scenario


def run(options: argparse.Namespace) -> int:
    """Write the log and its truth; return 0."""
    from starface_nb.simulation import simulate

    made = simulate(scenario(options), options.seed)
    path = made.write(options.output)
    count = len(made.truth["unreachable_intervals"])
    print(f"{path}: {len(made.lines)} lines, {count} unreachable intervals; truth in {path.parent / 'truth.json'}")
    return 0


def scenario(options: argparse.Namespace) -> Scenario:
    """Return the scenario that the options ask for.

    Raises
    ------
    SettingError
        An option has a value that makes no sense.
    """
    from starface_nb.reading.clock import zone
    from starface_nb.simulation import Wish, make

    made = make(options.family, options.seed, Wish(options.phones, options.hours, options.timeout, options.renewal))
    time_zone = zone(options.time_zone or made.time_zone).key
    noise = made.style.noise if options.noise is None else options.noise
    return replace(
        made,
        style=replace(made.style, date_format=options.date_format or made.style.date_format, noise=noise),
        start=moment(options.start, time_zone) if options.start else made.start,
        time_zone=time_zone,
        tech=options.driver or made.tech,
    )
