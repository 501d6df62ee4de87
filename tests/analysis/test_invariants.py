"""What must not matter does not matter: when, in which order of names, among which noise, in how many files."""

from datetime import timedelta

import polars as pl
import pytest
from recorded import LOGS, RECORDED

import starface_nb as sf
from starface_nb.analysis.diagnosis import Diagnosis
from starface_nb.simulation import simulate
from tests.simulation.families import make

SHOWN = ["cause", "seconds", "repeats", "ended_by", "confidence"]


def log_lines(name: str) -> list[str]:
    return (RECORDED / LOGS[name][0]).read_text("utf-8").splitlines()


def diagnosed(folder, *parts: list[str]) -> Diagnosis:
    folder.mkdir(parents=True, exist_ok=True)
    for i, part in enumerate(parts):
        (folder / f"full.{i}").write_text("\n".join(part) + "\n", "utf-8")
    return sf.diagnose(sf.read_log(folder))


@pytest.fixture(scope="module")
def plain(tmp_path_factory) -> Diagnosis:
    return diagnosed(tmp_path_factory.mktemp("plain"), log_lines("kept-alive-by-probing"))


def test_shifting_all_times_shifts_only_times(plain):
    week = pl.duration(weeks=1)
    shifted = plain.log.events.with_columns(pl.col("time") + week)
    first, last = plain.log.first + timedelta(weeks=1), plain.log.last + timedelta(weeks=1)
    moved = sf.diagnose(type(plain.log)(shifted, plain.log.unparsed, plain.log.files, plain.log.time_zone, first, last))
    assert moved.intervals.select(SHOWN).equals(plain.intervals.select(SHOWN))
    assert moved.sites.drop("changed_at").equals(plain.sites.drop("changed_at"))
    assert (moved.intervals["start"] - plain.intervals["start"]).unique().to_list() == [timedelta(weeks=1)]


def test_names_do_not_matter(plain):
    renamed = plain.log.events.with_columns(("9" + pl.col("peer").str.reverse() + ".x").alias("peer"))
    log = plain.log
    other = sf.diagnose(type(log)(renamed, log.unparsed, log.files, log.time_zone, log.first, log.last))
    back = other.intervals.with_columns(pl.col("peer").str.slice(1).str.head(-2).str.reverse())
    both = [frame.select("peer", "start", *SHOWN).sort("start", "peer") for frame in (plain.intervals, back)]
    assert both[0].equals(both[1])
    assert other.sites.equals(plain.sites)


def test_noise_changes_nothing(plain, tmp_path):
    lines = log_lines("kept-alive-by-probing")
    noise = [line.split("] ")[0] + "] VERBOSE[9][C-00000008] pbx.c: Executing [070@in:1] Goto(a,b,1)" for line in lines]
    mixed = [line for pair in zip(lines, noise, strict=True) for line in pair]
    found = diagnosed(tmp_path / "noise", mixed)
    assert found.intervals.select("peer", "start", *SHOWN).equals(plain.intervals.select("peer", "start", *SHOWN))


def test_rotated_parts_change_nothing(plain, tmp_path):
    lines = log_lines("kept-alive-by-probing")
    found = diagnosed(tmp_path / "parts", lines[500:], lines[200:500], lines[:200])
    assert found.intervals.select("peer", "start", *SHOWN).equals(plain.intervals.select("peer", "start", *SHOWN))
    assert found.sites.equals(plain.sites)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("family", ["mixed", "messy", "inherited_ports", "any_packet"])
def test_intervals_of_a_peer_never_overlap_and_frames_are_sorted(family, seed):
    found = sf.diagnose(simulate(make(family, 500 + seed), seed).log)
    frame = found.intervals.sort("peer", "start")
    after = frame.filter(pl.col("peer") == pl.col("peer").shift(1))["start"]
    before = frame.filter(pl.col("peer") == pl.col("peer").shift(-1))["end"]
    assert before.null_count() == 0
    assert (after >= before).all()
    assert found.intervals.sort("start", "peer", "line").equals(found.intervals)
    assert (found.cycles["lower_s"] >= 0).all()
    assert found.eras.filter(pl.col("high_s") < pl.col("low_s")).is_empty()


@pytest.mark.parametrize("seed", range(4))
def test_one_bad_phone_and_healthy_sites_are_not_blamed_on_nat(seed):
    for family in ("one_bad_phone", "healthy"):
        found = sf.diagnose(simulate(make(family, 900 + seed), seed).log)
        assert "too_short" not in found.sites["verdict"].to_list()


def test_nothing_at_all_is_a_result():
    log = simulate(make("plain", 1), 1).log
    empty = sf.diagnose(type(log)(log.events.clear(), log.unparsed, log.files, log.time_zone, None, None))
    assert empty.intervals.is_empty()
    assert empty.sites.is_empty()
    assert [f.id for f in empty.findings] == ["incomplete_log"]
    assert "0 phones" in repr(empty)
