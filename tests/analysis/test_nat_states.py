"""A router's own NAT table beside the log: expiries confirmed, living entries named, its clock, its own timeout."""

from __future__ import annotations

import json
import random
from datetime import timedelta
from functools import cache
from pathlib import Path

import polars as pl
import pytest

import starface_nb as sf
from starface_nb import guide
from starface_nb.guide.words import router_text
from starface_nb.simulation import Fault, Phone, Router, Scenario, Simulated, Site, simulate

SITE = "203.0.113.7"
TUPLES = "src=192.168.1.{n} dst=198.51.100.1 sport=5060 dport=5060 src=198.51.100.1 dst={at} sport=5060 dport={port}"


@cache
def customer(timeout_s: float) -> Simulated:
    """Return a customer whose phones lose their entries, one of which is also switched off at times."""
    phones = tuple(Phone(f"10{n}.snomd345", jitter=0.01) for n in range(6))
    off = [Fault("phone_offline", 3600.0 * n, 3600.0 * n + 2500, "a", phones[0].peer) for n in (4, 9, 13)]
    return simulate(Scenario((Site("a", SITE, phones, Router(timeout_s)),), 18, faults=tuple(off)), 7)


def table(made: Simulated, timeout_s: float, *, ends: bool = True, kept_s: int = 0, shift_s: float = 0.0) -> str:
    """Return the log of the router's NAT table: each entry ends a timeout after the registration that made it."""
    chance, lines = random.Random(1), list[tuple[float, str]]()  # noqa: S311
    last = made.log.last
    assert last is not None
    rows = made.log.events.filter(kind="registered").sort("time").select("peer", "time", "address", "port").rows()
    for n, (_, time, address, port) in enumerate(rows):
        tuples = TUPLES.format(n=n % 250, at=address, port=port)
        if kept_s:
            lines.append((time.timestamp() + 0.1, f"[UPDATE] udp      17 {kept_s} {tuples} [ASSURED]"))
        if ends and time + timedelta(seconds=timeout_s) < last:
            lines.append((time.timestamp() + timeout_s + chance.random(), f"[DESTROY] udp      17 {tuples}"))
    lines.append((made.log.first.timestamp(), "[DESTROY] tcp      6 src=10.0.0.1 dst=10.0.0.2"))  # type: ignore[union-attr]
    return "".join(f"[{at + shift_s:.6f}\t]\t {text}\n" for at, text in sorted(lines))


def diagnosed(folder: Path, made: Simulated, text: str) -> sf.Diagnosis:
    log, other = folder / "full", folder / "conntrack.txt"
    log.write_text("\n".join(made.lines) + "\n", "utf-8")
    other.write_text(text, "utf-8")
    return sf.diagnose(sf.read_log([log, other], progress=False))


def said(case: sf.Diagnosis) -> list[tuple[str, dict[str, str] | None]]:
    return [
        (cause, json.loads(text).get("router"))
        for cause, text in case.intervals.select(pl.col("cause").cast(pl.String), "evidence").iter_rows()
    ]


@pytest.mark.parametrize("shift_s", [0.0, 7200.0, -3600.0])
def test_expiries_are_confirmed_whatever_the_clock(shift_s: float, tmp_path: Path) -> None:
    made = customer(1500.0)
    case = diagnosed(tmp_path, made, table(made, 1500.0, shift_s=shift_s))
    told = said(case)
    expired = [router for cause, router in told if cause == "nat_expiry"]
    assert len(expired) > 40
    confirmed = [router for router in expired if router and router["says"] == "nat_expiry"]
    assert len(confirmed) >= 0.95 * len(expired)
    assert not [router for cause, router in told if router and cause != "nat_expiry"]
    assert case.router is not None
    assert case.router.logs[0].clock.offset_s == -shift_s
    assert case.intervals.filter(cause="nat_expiry")["confidence"].median() >= 0.99  # type: ignore[operator]


def test_an_entry_that_still_lived_contradicts_an_expiry(tmp_path: Path) -> None:
    made = customer(1500.0)
    lines = table(made, 1500.0).splitlines(keepends=True)
    phone = made.log.events.filter(kind="registered", peer="103.snomd345")["port"].to_list()
    kept = [line for line in lines if not any(f"dport={port}\n" in line for port in phone)]
    case = diagnosed(tmp_path, made, "".join(kept))
    mine = case.intervals.filter(peer="103.snomd345")
    assert mine.filter(cause="unknown").height > 0.8 * mine.height > 4
    others = case.intervals.filter(pl.col("peer") != "103.snomd345")
    assert others.filter(cause="unknown").height <= 1
    assert "router_contradicts" in {finding.id for finding in case.findings}
    for language in guide.LANGUAGES:
        text = router_text(json.loads(mine.filter(cause="unknown")["evidence"][0]), guide.translator(language))
        assert "NAT" in text
        assert "{" not in text


@pytest.mark.parametrize(("kept_s", "told_as"), [(1500, None), (3600, "nat_table_contradicts")])
def test_the_tables_own_timeout_is_held_against_the_bracket(kept_s: int, told_as: str | None, tmp_path: Path) -> None:
    made = customer(1500.0)
    case = diagnosed(tmp_path, made, table(made, 1500.0, ends=False, kept_s=kept_s))
    (told,) = [finding for finding in case.findings if finding.id == "nat_table"]
    assert (told.values["told_s"], told.values.get("told_as")) == (kept_s, told_as)
    assert not [router for _, router in said(case) if router]
    for language in guide.LANGUAGES:
        assert "{" not in guide.finding_text(told, guide.translator(language))


def test_another_routers_table_proves_nothing(tmp_path: Path) -> None:
    made, chance = customer(1500.0), random.Random(3)  # noqa: S311
    first = made.log.first
    assert first is not None
    lines = []
    for n in range(400):
        at = first.timestamp() + chance.uniform(0, 18 * 3600)
        lines.append((at, TUPLES.format(n=n % 250, at=SITE, port=chance.randrange(1024, 65536))))
    text = "".join(f"[{at:.6f}] [DESTROY] udp 17 {tuples}\n" for at, tuples in sorted(lines))
    assert not [router for _, router in said(diagnosed(tmp_path, made, text)) if router]
