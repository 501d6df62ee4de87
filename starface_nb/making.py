"""The commands that make logs: without personal data, or with known truth."""

import os
from argparse import Namespace
from dataclasses import replace
from functools import partial
from pathlib import Path

import starface_nb as sf
from starface_nb.arguments import command
from starface_nb.console import note, say
from starface_nb.errors import SettingError
from starface_nb.files import real
from starface_nb.sources.apart import keep_apart
from starface_nb.text import moment

_ASIDE = "Keep it in a folder of its own."


@command("the same log without personal data")
def anonymise(options: Namespace) -> int:
    """Write the same log without personal data, and say what was left out."""
    if options.key:
        keep_apart([*options.log, options.output], [options.key], "The key is the log or the output itself")
        if real(options.key).is_relative_to(real(options.output)):
            raise SettingError("The key would be handed out with the log.", place=options.key, next_step=_ASIDE)
    made = list[Path]()
    key = partial(sf.privacy.load_key, options.key, made) if options.key else None
    try:
        done = sf.privacy.anonymise(
            options.log,
            options.output,
            key=key() if key and os.path.exists(options.key) else key,  # noqa: PTH110  a new one once the log was read
            shift_weeks=options.shift_weeks,
            time_zone=options.time_zone,
        )
    except BaseException:
        for path in made:  # of no use to anybody: nothing was written with it
            path.unlink(missing_ok=True)
        raise
    say(f"{done.path}: {done.kept:,} of {done.lines:,} lines, rewritten")
    note(*done.notes)
    say(f"replaced: {done.names:,} names and numbers, {done.addresses:,} addresses")
    say(f"left out: {done.left_out:,} lines that are not understood")
    if done.refused:
        say(f"left out: {done.refused:,} lines that could not be rewritten with certainty")
    if done.beside:
        say(f"left out: {done.beside:,} files beside the log (settings, lists of peers, a router's log)")
    if options.key:
        say(f"key: {options.key}; keep it secret, whoever has it can tell who is who")
        note(*sf.privacy.weaknesses(options.key))
    return 0


@command("a log with known truth")
def simulate(options: Namespace) -> int:
    """Write a log with known truth."""
    from starface_nb.reading.clock import zone

    sf.simulation.earlier_files(options.output)  # a foreign log there is said before the work
    wish = sf.simulation.Wish(options.phones, options.hours, options.timeout, options.renewal)
    drawn = sf.simulation.make(options.family, options.seed, wish)
    time_zone = zone(options.time_zone or drawn.time_zone).key
    form, noise = options.date_format or drawn.style.date_format, options.noise
    style = replace(drawn.style, date_format=form, noise=drawn.style.noise if noise is None else noise)
    start, tech = (
        drawn.start if options.start is None else moment(options.start, time_zone),
        options.driver or drawn.tech,
    )
    sites = tuple(replace(site, public_ip=_own_address(site.public_ip, options.seed)) for site in drawn.sites)
    asked = replace(drawn, sites=sites, style=style, start=start, time_zone=time_zone, tech=tech)
    made = sf.simulation.simulate(asked, options.seed)
    path, count = made.write(options.output), len(made.truth["unreachable_intervals"])
    say(f"{path}: {len(made.lines)} lines, {count} unreachable intervals; truth in {path.with_name('truth.json')}")
    return 0


def _own_address(address: str, seed: int) -> str:
    """Return a site's address among those for documentation: another seed is another customer (RFC 5737, section 3)."""
    network, _, last = address.rpartition(".")
    return f"{network}.{(int(last) - 1 + 6 * seed) % 254 + 1}"
