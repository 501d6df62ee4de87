"""From what the PBX did to the lines it writes."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from datetime import UTC, timedelta
from functools import cache
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np

from starface_nb.simulation.journal import Row
from starface_nb.simulation.spec import Scenario

_ISO = "%Y-%m-%d %H:%M:%S"
_NOISES = 6
_LAST = 1 << 40


@cache
def _messages(tech: str) -> dict[str, list[str]]:
    found = tomllib.loads((Path(__file__).parent / "messages.toml").read_text("utf-8"))
    texts: dict[str, list[str]] = found["any"] | found[tech]
    built = texts["built"][0].format(version=texts.pop("version"))
    return texts | {"start": [built, *texts["start"]], "rotate": [built, *texts["rotate"]]}


def text_lines(rows: list[Row], scenario: Scenario, seed: int) -> list[str]:
    """Return the log's lines without their line ends, noise and rotation marks among them."""
    stamp, messages = _stamp(scenario), _messages(scenario.tech)
    lines = [
        f"[{stamp(t)}] {text.format(**values)}"
        for t, _, kind, values in sorted(rows + _noise(scenario, seed), key=lambda row: row[:2])
        for text in messages[kind]
    ]
    if scenario.style.cut_last:
        lines[-1] = lines[-1][: max(10, len(lines[-1]) // 2)]
    return lines


def _noise(scenario: Scenario, seed: int) -> list[Row]:
    """Return unrelated lines, one at each end at least, and the marks of log rotation."""
    found: list[Row] = [(t, -1, "rotate", {}) for t in scenario.style.rotations]
    found += [(0.0, _LAST, "noise5", {}), (scenario.seconds, _LAST, "noise5", {})]
    if scenario.style.noise > 0:
        rng = np.random.default_rng([seed, 1])
        times = rng.uniform(0, scenario.seconds, rng.poisson(scenario.style.noise * scenario.hours))
        which = rng.integers(0, _NOISES, times.size)
        numbers = rng.integers(1000, 9999, times.size)
        for t, w, n in zip(times.tolist(), which.tolist(), numbers.tolist(), strict=True):
            if scenario.tech == "SIP" and n % 10 == 0:  # a stranger tries his luck
                found.append((t, -2, "failed", {"peer": n, "ip": f"192.0.2.{n % 200}", "port": n}))
            else:
                found.append((t, -2, f"noise{w}", {"n": n}))
    return found


def _stamp(scenario: Scenario) -> Callable[[float], str]:
    """Return a function that writes a second of the log as local time."""
    start, zone, form = scenario.start.astimezone(UTC), ZoneInfo(scenario.time_zone), scenario.style.date_format
    known: dict[int, str] = {}

    def stamp(t: float) -> str:
        local = (start + timedelta(seconds=t)).astimezone(zone)
        if form == "iso_ms":
            return f"{local:{_ISO}},{local.microsecond // 1000:03d}"
        if form == "short":
            return f"{local:%b} {local.day:2d} {local:%H:%M:%S}"
        return local.strftime(_ISO if form == "iso" else form)

    def stamp_of_second(t: float) -> str:
        if int(t) not in known:
            known[int(t)] = stamp(t)
        return known[int(t)]

    return stamp if form == "iso_ms" else stamp_of_second
