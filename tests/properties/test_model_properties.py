"""More evidence of a kind never speaks against what it is evidence of, and the dialect says nothing."""

from __future__ import annotations

from dataclasses import replace

import polars as pl
from hypothesis import assume, given
from hypothesis import strategies as st
from made_logs import BEGIN, diagnosed, slow

import starface_nb as sf
from starface_nb.analysis.diagnosis import Diagnosis
from starface_nb.simulation import Wish, simulate
from tests.simulation.families import make

SITE = "203.0.113.7"
ROUNDED = 0.001
"""Probabilities are told in thousandths."""


def line(second: float, text: str, level: str = "NOTICE") -> tuple[float, str]:
    when = pl.Series([second * 1e6 + BEGIN.timestamp() * 1e6]).cast(pl.Int64).cast(pl.Datetime("us"))[0]
    return second, f"[{when:%Y-%m-%d %H:%M:%S}] {level}[1] chan_sip.c: {text}"


def cycles(timeout: int, phones: int, count: int) -> list[tuple[float, str]]:
    """Return the lines of phones that register every hour behind a router that forgets them after `timeout` seconds."""
    rows = []
    for phone in range(phones):
        for number in range(count):
            begin, peer = 3600 * number + 417 * phone, f"2{phone}.snomd345"
            port = 20000 + 100 * phone + number
            rows.append(line(begin, f"Registered SIP '{peer}' at {SITE}:{port}", "VERBOSE"))
            rows.append(line(begin, f"Peer '{peer}' is now Reachable. (30ms / 2000ms)"))
            rows.append(
                line(begin + (timeout // 60 + 1) * 60 + 4, f"Peer '{peer}' is now UNREACHABLE!  Last qualify: 30")
            )
    return rows


def healthy(first: int, name: str = "99.snomd345") -> list[tuple[float, str]]:
    """Return the lines of a phone of the same site that was never lost."""
    return [
        line(first, f"Registered SIP '{name}' at {SITE}:31000", "VERBOSE"),
        line(first, f"Peer '{name}' is now Reachable. (30ms / 2000ms)"),
    ]


def found(rows: list[tuple[float, str]]) -> Diagnosis:
    return diagnosed([text for _, text in sorted(rows)])


@slow
@given(st.integers(130, 3300), st.integers(1, 3), st.integers(1, 6), st.integers(0, 1200), st.integers(1, 3))
def test_a_healthy_phone_more_never_makes_a_nat_fault_likelier(timeout, phones, count, first, more):
    rows = cycles(timeout, phones, count)
    added = [row for n in range(more) for row in healthy(first + 7 * n, f"9{n}.snomd345")]
    alone, beside = (found(r).sites["probability_too_short"][0] for r in (rows, rows + added))
    assert beside <= alone + ROUNDED


@slow
@given(st.integers(130, 3300), st.integers(1, 3), st.integers(1, 6), st.integers(1, 6))
def test_more_cycles_of_the_same_kind_never_widen_the_bracket(timeout, phones, count, more):
    few, many = (found(cycles(timeout, phones, n)).sites.row(0, named=True) for n in (count, count + more))
    if few["high_s"] is not None:
        assert many["high_s"] is not None
        assert many["high_s"] - many["low_s"] <= few["high_s"] - few["low_s"] + 0.1
    assert many["probability_too_short"] >= few["probability_too_short"] - ROUNDED


@slow
@given(st.sampled_from(["plain", "healthy", "any_packet", "one_bad_phone"]), st.integers(0, 5000))
def test_the_same_story_in_another_dialect_is_judged_alike(family, seed):
    """Too short in one is too short in the other. chan_sip does not show every address, so that it may clear less.

    Routers with a second, shorter timeout are left out: when the PBX sends its first probe differs, and with it
    whether a young binding dies.
    """
    scenario = make(family, seed, Wish(phones=6, hours=24.0))
    assume(all(site.router.unreplied_s is None for site in scenario.sites))
    said = []
    for tech in ("SIP", "PJSIP"):
        sites = sf.diagnose(simulate(replace(scenario, tech=tech), seed).log).sites
        said.append(sites.sort("phones", descending=True)["verdict"][0])
    assert (said[0] == "too_short") == (said[1] == "too_short")
