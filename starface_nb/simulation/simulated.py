"""A simulated log and its truth: what the PBX did as the lines it writes, and why."""

import hashlib
import json
import os
from collections import Counter
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, replace
from functools import cache, cached_property
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl

from starface_nb.errors import SettingError
from starface_nb.files import new_folder, write
from starface_nb.reading import read_log
from starface_nb.reading.log import Log
from starface_nb.simulation.engine import Engine
from starface_nb.simulation.journal import Row
from starface_nb.simulation.spec import Router, Scenario
from starface_nb.simulation.world import SiteState, Timeline
from starface_nb.tables import table

_ISO = "%Y-%m-%d %H:%M:%S"
_NOISES = 6
_LAST = 1 << 40
_TRUTH, _FILES = "truth.json", "files"


@dataclass(frozen=True)
class Simulated:
    """One simulated customer.

    Attributes
    ----------
    scenario, seed
        What was simulated; the same pair gives the same log.
    lines : list of str
        Physical lines without line ends.
    truth : dict
        In the structure of the recorded logs' `truth.json`, with the product's names for causes; besides,
        `sites[].eras` holds each timeout with its oracle bracket: the intersection of the true cycles' brackets.
        `also` of an interval lists causes that are as right as `cause`.
    """

    scenario: Scenario
    seed: int
    lines: list[str]
    truth: dict[str, Any]

    @cached_property
    def log(self) -> Log:
        """The log, read."""
        with TemporaryDirectory() as folder:
            self._write_log(Path(folder))
            log = read_log(folder, time_zone=self.scenario.time_zone, progress=False)
        names = {file.name: f"{self.truth['run']}/{Path(file.name).name}" for file in log.files}
        return replace(
            log,
            events=log.events.with_columns(pl.col("file").replace(names)),
            files=tuple(replace(file, name=names[file.name]) for file in log.files),
            pauses=None,  # nothing is missing from it
        )

    def write(self, folder: str | Path) -> Path:
        """Write `pbx.log`, its older parts as `pbx.log.1` and so on, and `truth.json`; return the log.

        A date format of one's own is named in a `logger.conf` beside them. What an earlier simulation wrote there goes.

        Raises
        ------
        SettingError
            The folder holds a log or truth that no simulation wrote.
        """
        folder = Path(folder)
        earlier = earlier_files(folder)
        folder.parent.mkdir(parents=True, exist_ok=True)
        with nullcontext(folder) if folder.exists() else new_folder(folder) as place:
            written = self._write_log(place)
            truth = {**self.truth, _FILES: written}
            write(place / _TRUTH, json.dumps(truth, indent=1, ensure_ascii=False).encode() + b"\n")
        for path in set(earlier) - {folder / name for name in written}:
            path.unlink()
        return folder / "pbx.log"

    def _write_log(self, folder: Path) -> dict[str, str]:
        """Write the log's files; return their names with the SHA-256 of their content."""
        # A rotation's mark, which is the second line of a new file, begins a part.
        marks = [i - 1 for i, line in enumerate(self.lines) if "Asterisk Queue Logger restarted" in line]
        parts = [self.lines[i:j] for i, j in pairwise([0, *marks, len(self.lines)])]
        finished = self.scenario.at(self.scenario.seconds).timestamp()
        files = {}
        for age, part in enumerate(reversed(parts)):
            end = "" if not age and self.scenario.style.cut_last else "\n"
            files[f"pbx.log.{age}" if age else "pbx.log"] = ("\n".join(part) + end).encode()
        date_format = self.scenario.style.date_format
        if date_format not in ("iso", "iso_ms", "short"):
            files["logger.conf"] = f"[general]\ndateformat = {date_format}\n".encode()
        for name, content in files.items():
            write(folder / name, content)
            os.utime(folder / name, (finished, finished))  # lines without a year are dated by the file's time
        return {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}


def earlier_files(folder: Path) -> list[Path]:
    """Return the log files in a folder, all as an earlier simulation wrote them.

    Raises
    ------
    SettingError
        There is one that no simulation wrote, or that was changed since: it would be overwritten.
    """
    found = [path for pattern in ("pbx.log", "pbx.log.*", "logger.conf") for path in folder.glob(pattern)]
    try:
        written = json.loads((folder / _TRUTH).read_bytes())[_FILES]
        foreign = [path for path in found if written.get(path.name) != hashlib.sha256(path.read_bytes()).hexdigest()]
    except FileNotFoundError:
        foreign = found
    except (ValueError, TypeError, KeyError, AttributeError):
        foreign = [folder / _TRUTH]
    if foreign:
        raise SettingError(
            "This was not written by a simulation, or changed since: it would be overwritten.",
            place=str(foreign[0]),
            next_step="Choose another folder.",
        )
    return found


def simulate(scenario: Scenario, seed: int = 0) -> Simulated:
    """Run a scenario.

    Parameters
    ----------
    scenario : Scenario
    seed : int
        Decides every chance.

    Returns
    -------
    Simulated
    """
    engine = Engine(scenario, seed).run()
    return Simulated(scenario, seed, _text_lines(engine.journal.rows, scenario, seed), _truth(engine, seed))


# ---- the truth ----


def _truth(engine: Engine, seed: int) -> dict[str, Any]:
    scenario, local = engine.scenario, engine.scenario.local
    episodes = sorted((e for e in engine.journal.episodes if e.shown), key=lambda e: (e.start, e.peer))
    intervals = [
        {
            "peer": e.peer, "site": e.site, "start": local(e.start), "end": local(e.end), "cause": e.cause,
            "also": list(e.also), "repeat_lines": [{"at": local(t)} for t in e.repeats], "ended_by": e.ended_by,
            "duration_s": None if e.end is None else round(e.end - e.start, 1), "open_at_log_end": e.end is None,
            "mapping_died": local(e.died), "obstacle_since": local(e.since),
        }
        for e in episodes
    ]  # fmt: skip
    return {
        "run": f"{scenario.family or 'simulated'}-{seed}", "family": scenario.family, "seed": seed,
        "time_zone": scenario.time_zone, "log_start": local(0.0), "log_end": local(scenario.seconds),
        "asterisk": "18 chan_sip" if scenario.tech == "SIP" else "22 res_pjsip",
        "pbx_down": [{"start": local(down.start), "end": local(down.end)} for down in engine.down.faults],
        "sites": [_site_truth(engine, site) for site in engine.sites],
        "trunks": list(scenario.trunks),
        "faults": [
            {"kind": f.kind, "site": f.site, "phone": f.phone, "start": local(f.start), "end": local(f.end)}
            for f in scenario.faults
        ],
        "unreachable_intervals": intervals,
        "lagged_intervals": [
            {"peer": peer, "start": local(start), "end": local(end)} for peer, start, end in sorted(engine.journal.lags)
        ],
        "intervals_by_cause": Counter(sorted(e.cause for e in episodes)),
    }  # fmt: skip


def _site_truth(engine: Engine, site: SiteState) -> dict[str, object]:
    first, local = site.eras[0][1], engine.scenario.local
    return {
        "site": site.spec.name, "public_ip": site.addresses[0][1], "addresses": [ip for _, ip in site.addresses],
        **_policy(first), "loss_rate": site.spec.loss_rate,
        "changes": [{"at": local(t), "T_s": router.timeout_s} for t, router in site.eras[1:]]
        + [{"at": local(t), "public_ip": ip} for t, ip in site.addresses[1:]],
        "phones": [
            {"peer": p.spec.peer, "user_agent": p.spec.user_agent, "reregister_s": p.spec.reregister_s,
             "expires_s": p.spec.expires_s}
            for p in site.phones
        ],
        "eras": [_era_truth(engine, site, i) for i in range(len(site.eras))],
    }  # fmt: skip


def _policy(router: Router) -> dict[str, object]:
    policy = "register-only" if router.renewal == "register_only" else "outbound"
    return {"T_s": _effective(router), "refresh_policy": policy, "port_policy": router.ports}


def _effective(router: Router) -> float:
    """Return the timeout that acts: a phone's flow is too young at its REGISTER's last packet for the longer one."""
    return router.timeout_s if router.unreplied_s is None else router.unreplied_s


def _era_truth(engine: Engine, site: SiteState, i: int) -> dict[str, object]:
    start, router = site.eras[i]
    effective = _effective(router)
    mine = [(low, high) for s, timeout, low, high in engine.journal.cycles if s is site and timeout == effective]
    uppers = [high for _, high in mine if high is not None]
    return {
        "start": engine.scenario.local(start if i else 0.0), **_policy(router),
        "oracle_low_s": round(max((low for low, _ in mine), default=0.0), 1),
        "oracle_high_s": round(min(uppers), 1) if uppers else None,
        "cycles_expired": len(uppers), "cycles_survived": len(mine) - len(uppers),
    }  # fmt: skip


# ---- the lines ----


@cache
def _messages(tech: str) -> dict[str, list[str]]:
    found = table("simulation/messages")
    texts: dict[str, list[str]] = found["any"] | found[tech]
    built = texts["built"][0].format(version=texts.pop("version"))
    return texts | {"start": [built, *texts["start"]], "rotate": [built, *texts["rotate"]]}


def _text_lines(rows: list[Row], scenario: Scenario, seed: int) -> list[str]:
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
        down = Timeline(fault for fault in scenario.faults if fault.kind == "pbx_restart")
        for t, w, n in zip(times.tolist(), which.tolist(), numbers.tolist(), strict=True):
            if down.at(t):  # nobody writes
                continue
            if scenario.tech == "SIP" and n % 10 == 0:  # a stranger tries his luck
                found.append((t, -2, "failed", {"peer": n, "ip": f"192.0.2.{n % 200}", "port": n}))
            else:
                found.append((t, -2, f"noise{w}", {"n": n}))
    return found


def _stamp(scenario: Scenario) -> Callable[[float], str]:
    """Return a function that writes a second of the log as local time."""
    zone, form = ZoneInfo(scenario.time_zone), scenario.style.date_format

    def stamp(t: float) -> str:
        local = scenario.at(t).astimezone(zone)
        if form == "iso_ms":
            return f"{local:{_ISO}},{local.microsecond // 1000:03d}"
        if form == "short":
            return f"{local:%b} {local.day:2d} {local:%H:%M:%S}"
        # by itself, %s is read in the zone of the machine
        return local.strftime(_ISO if form == "iso" else form.replace("%s", f"{local.timestamp():.0f}"))

    of_second = cache(stamp)
    return stamp if form == "iso_ms" else lambda t: of_second(int(t))
