"""Calls that phones begin may renew their bindings: what lies behind one says less of the timeout."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from zipfile import ZipFile

import numpy as np
import polars as pl
import pytest

import starface_nb as sf
from starface_nb.analysis.compare import compare
from starface_nb.analysis.diagnose import _calls_inside as calls_inside
from starface_nb.analysis.exposure import Window, expose
from starface_nb.model.schemas import CAUSE
from starface_nb.privacy import anonymise

TIMEOUT_S, HOUR_S, DAYS = 1040.0, 3600.0, 3
BEGUN = datetime(2026, 3, 2, 8)


def phone(name: str, seed: int, per_day: float = 40.0) -> list[tuple[float, str]]:
    """Return the lines of a phone that registers every hour and begins a call now and then, each with its second."""
    rng, said = np.random.default_rng(seed), list[tuple[float, str]]()
    offset, past = rng.uniform(0, HOUR_S), 24 * HOUR_S * DAYS
    calls = np.sort(rng.uniform(0, past, int(per_day * DAYS)))
    registers = np.arange(offset, past, HOUR_S)
    alive, is_lost = -np.inf, True
    for number, at in enumerate(registers):
        if at > alive + TIMEOUT_S:
            said.append(
                (at, f"VERBOSE[7] chan_sip.c: Registered SIP '{name}' at 203.0.113.9:{41_500 + 100 * seed + number}")
            )
        if is_lost:
            said.append((at, f"NOTICE[7] chan_sip.c: Peer '{name}' is now Reachable. (25ms / 2000ms)"))
        alive = at
        for call in calls[(calls > at) & (calls < at + HOUR_S)]:
            said.append((call, dialled(name, len(said))))
            alive = call if call < alive + TIMEOUT_S else alive
        lost = at + 60.0 * np.ceil((alive + TIMEOUT_S - at) / 60.0) + 2.0
        if is_lost := lost < at + HOUR_S:
            said.append((lost, f"NOTICE[7] chan_sip.c: Peer '{name}' is now UNREACHABLE!  Last qualify: 25"))
    return said


def dialled(name: str, number: int) -> str:
    """Return what the PBX says of an outgoing call."""
    channel = f"SIP/{name}-{number:08x}"
    return (
        f'VERBOSE[9][C-{number:08x}] pbx.c: Executing [0301@out:2] Dial("{channel}", "SIP/0301@line,60") in new stack'
    )


@pytest.mark.parametrize("phones", [3, 12])
def test_the_bracket_holds_where_calls_renew(tmp_path: Path, phones: int) -> None:
    lines = sorted(line for number in range(phones) for line in phone(f"{2000 + number}", number))
    text = "".join(f"[{BEGUN + timedelta(seconds=round(at))}] {said}\n" for at, said in lines)
    (path := tmp_path / "full").write_text(text)
    log = sf.read_log(path, progress=False)
    assert log.calls["by"].n_unique() == phones
    case = sf.diagnose(log)
    low, high = case.sites.select("low_s", "high_s").row(0)
    assert low < TIMEOUT_S <= high <= low + 65.0  # one probe, its timeout and whole seconds
    assert (case.intervals["cause"] == "nat_expiry").mean() > 0.99
    anonymise([path], tmp_path / "copy.zip", key=bytes(32))  # by another, a new name may hold these digits
    copy = sf.diagnose(sf.read_log(tmp_path / "copy.zip", progress=False))
    assert copy.sites.select("low_s", "high_s").row(0) == pytest.approx((low, high), abs=0.2)
    assert "0301" not in ZipFile(tmp_path / "copy.zip").read("var/log/asterisk/full").decode()


def test_calls_are_no_cure(tmp_path: Path) -> None:
    """After the "change" the phones telephone all day: nothing of the router has changed."""
    quiet, busy = tmp_path / "before" / "full", tmp_path / "after" / "full"
    for path, calls, begun in ((quiet, 0.0, BEGUN), (busy, 330.0, BEGUN + timedelta(days=7))):
        path.parent.mkdir()
        lines = sorted(line for number in range(5) for line in phone(f"{2000 + number}", number, calls))
        path.write_text("".join(f"[{begun + timedelta(seconds=round(at))}] {said}\n" for at, said in lines))
    before, after = (sf.diagnose(sf.read_log(path, progress=False)) for path in (quiet, busy))
    assert after.intervals.height < before.intervals.height / 2
    assert compare(before, after).verdict not in ("fixed", "better")


@pytest.mark.parametrize("calls", [0.0, 330.0])
def test_losses_count_however_many_calls_there_are(tmp_path: Path, calls: float) -> None:
    path = tmp_path / "full"
    lines = sorted(line for number in range(5) for line in phone(f"{2000 + number}", number, calls))
    path.write_text("".join(f"[{BEGUN + timedelta(seconds=round(at))}] {said}\n" for at, said in lines))
    case = sf.diagnose(sf.read_log(path, progress=False))
    case = replace(case, intervals=case.intervals.with_columns(pl.lit("nat_expiry", CAUSE).alias("cause")))
    assert case.log.first is not None
    assert case.log.last is not None
    stretch = case.phones.select("peer", start=pl.lit(case.log.first), end=pl.lit(case.log.last))
    window = Window(case, tuple(case.sites["site"]), case.log.first, case.log.last, stretch)
    lived = expose(window, dict.fromkeys(case.phones["peer"], HOUR_S))
    begun = case.intervals.filter(pl.col("start") < case.log.last)
    assert sum(one.losses for one in lived.values()) == begun.height > 0
    assert (sum(one.seconds for one in lived.values()) < HOUR_S) == (calls > 0)


def test_calls_in_losses_by_the_timeout_say_nothing_of_one_by_a_phone_that_was_off(tmp_path: Path) -> None:
    path = tmp_path / "full"
    text = (f"[{BEGUN + timedelta(seconds=round(at))}] {said}\n" for at, said in sorted(phone("2000", 0, 60.0)))
    path.write_text("".join(text))
    log = sf.read_log(path, progress=False)
    found = sf.diagnose(log).intervals
    none = pl.Series([0] * found.height)
    off = found.with_columns(pl.lit("phone_offline", CAUSE).alias("cause"))
    counted = calls_inside(log, off, none)
    silent, busy = (int((counted > 0).arg_min() or 0), int((counted > 0).arg_max() or 0))
    assert (counted[silent], counted[busy] > 0) == (0, True)
    one_off = pl.when(pl.int_range(pl.len()) == silent).then(pl.lit("phone_offline", CAUSE))
    mixed = found.with_columns(one_off.otherwise(pl.lit("nat_expiry", CAUSE)).alias("cause"))
    assert calls_inside(log, mixed, none).sum() == 0
