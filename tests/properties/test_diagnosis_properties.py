"""What holds for every log: intervals, and what must not change the diagnosis."""

from dataclasses import replace
from datetime import datetime, timedelta
from itertools import pairwise

import polars as pl
from hypothesis import assume, given
from hypothesis import strategies as st
from made_logs import diagnosed, events, log_lines, peer_names, slow, steady, told

from starface_nb.model.schemas import CAUSES
from starface_nb.simulation import simulate
from starface_nb.simulation.drawing import Wish
from tests.simulation.families import FAMILIES, make

NOISE = [
    "",
    "    ",
    "[2026-03-04 08:00:00] VERBOSE[1] app_dial.c: Called SIP/100.snomd345",
    "[2026-03-04 08:00:00] WARNING[1] res_rtp_asterisk.c: RTP Read too short",
    "\n".join(
        ["<--- SIP read from UDP:203.0.113.1:5060 --->", "Subject: Peer '100' is now UNREACHABLE!", "<------------->"]
    ),
    "Peer '100.snomd345' is now UNREACHABLE!  Last qualify: 1",
    "\x1b[0m\ufffd\u202e",
    "Registered SIP '100.snomd345' at",
]


@st.composite
def simulated(draw):
    """The lines of a simulated customer's log, dated with the year so that they can be moved."""
    family = draw(st.sampled_from(sorted(FAMILIES)))
    seed = draw(st.integers(0, 5000))
    scenario = make(family, seed, Wish(hours=10.0))
    made = simulate(replace(scenario, style=replace(scenario.style, date_format="iso")), seed)
    return list(made.lines)


@steady
@given(events)
def test_intervals_of_a_phone_are_in_order_and_never_overlap(drawn):
    case = diagnosed(log_lines(drawn))
    for part in case.intervals.partition_by("peer"):
        start, end = part["start"].to_list(), part["end"].to_list()
        assert start == sorted(start)
        assert None not in end[:-1]
        assert all(a <= b for a, b in zip(start, end, strict=True) if b is not None)
        assert all(b <= a for a, b in zip(start[1:], end[:-1], strict=True))
        spans = [None if b is None else (b - a).total_seconds() for a, b in zip(start, end, strict=True)]
        assert part["seconds"].to_list() == spans
    assert case.intervals["cause"].is_in(CAUSES).all()
    assert case.intervals["confidence"].is_between(0, 1).all()
    assert case.intervals["start"].is_between(case.log.first, case.log.last).all()
    lost = case.intervals.group_by("peer").len()
    counted = case.phones.filter(pl.col("losses") > 0).select("peer", len=pl.col("losses").cast(pl.UInt32))
    assert lost.sort("peer").equals(counted.sort("peer"))


@steady
@given(events)
def test_every_bracket_is_in_order(drawn):
    case = diagnosed(log_lines(drawn))
    for frame, low, high in (
        (case.cycles, "lower_s", "upper_s"),
        (case.eras, "low_s", "high_s"),
        (case.sites, "low_s", "high_s"),
    ):
        assert (frame[low] >= 0).all()
        assert (frame[low] <= frame[high]).fill_null(value=True).all()
    assert (case.cycles["start"] <= case.cycles["end"]).all()
    probability = case.sites["probability_too_short"].drop_nulls()
    assert probability.is_between(0, 1).all()
    unsure = case.sites.filter(pl.col("verdict") == "too_short")
    assert (unsure["probability_too_short"] > 0.5).all()


@steady
@given(events, st.integers(-300_000_000, 300_000_000))
def test_shifting_all_times_shifts_only_times(drawn, shift):
    assert told(diagnosed(log_lines(drawn, shift=shift))) == told(diagnosed(log_lines(drawn)), shift=shift)


@steady
@given(events, st.permutations(range(5)))
def test_permuting_phones_permutes_results(drawn, order):
    names = peer_names()
    other = [names[n] for n in order]
    renamed = dict(zip(names, other, strict=True))
    assert told(diagnosed(log_lines(drawn, names=other))) == told(diagnosed(log_lines(drawn)), names=renamed)


def with_noise(data, lines):
    """Put noise between lines; the first and the last line stay, they say how long the log is."""
    lines = list(lines)
    for _ in range(data.draw(st.integers(1, 8))):
        noise = data.draw(st.sampled_from(NOISE))
        place = data.draw(st.integers(1, max(1, len(lines) - 1)))
        if place < len(lines):
            stamp = lines[place - 1].partition("]")[0] + "]"
            lines.insert(place, noise.replace("[2026-03-04 08:00:00]", stamp if stamp.startswith("[2") else ""))
    return [part for line in lines for part in line.split("\n")]


@steady
@given(events, st.data())
def test_noise_changes_nothing(drawn, data):
    lines = log_lines(drawn)
    assert told(diagnosed(with_noise(data, lines))) == told(diagnosed(lines))


@steady
@given(events, st.data())
def test_splitting_a_log_into_rotated_parts_changes_nothing(drawn, data):
    lines = log_lines(drawn)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(lines)), max_size=3)))
    bounds = [0, *cuts, len(lines)]
    parts = [lines[a:b] for a, b in pairwise(bounds) if a < b]
    # Two files that both lie in one and the same second have no order that a reader could know.
    assume(all(one[0][:21] != other[-1][:21] for one, other in pairwise(parts)))
    assert told(diagnosed(*parts)) == told(diagnosed(lines))


@slow
@given(simulated(), st.data())
def test_a_simulated_customer_survives_noise_and_rotation(lines, data):
    cut = data.draw(st.integers(1, len(lines) - 1))
    expected = told(diagnosed(lines))
    assert told(diagnosed(lines[:cut], lines[cut:])) == expected
    assert told(diagnosed(with_noise(data, lines))) == expected


@slow
@given(simulated(), st.integers(1, 500))
def test_a_simulated_customer_is_the_same_in_other_weeks(lines, weeks):
    def moved(line):
        if not line.startswith("[2"):
            return line
        time = datetime.fromisoformat(line[1:20]) + timedelta(weeks=weeks)
        return f"[{time:%Y-%m-%d %H:%M:%S}{line[20:]}"

    shift = timedelta(weeks=weeks).total_seconds()
    assert told(diagnosed([moved(line) for line in lines])) == told(diagnosed(lines), shift=shift)
