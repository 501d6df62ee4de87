"""The simulated log reads back as what its truth says, in every date format and either driver's words."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest

import starface_nb as sf
from starface_nb.simulation import Simulated, Style, simulate
from tests.simulation.families import make


def starts(made: Simulated) -> set[tuple[str, datetime]]:
    """Who was lost when, by the truth: every UNREACHABLE line, repeated ones included."""
    return {
        (lost["peer"], datetime.fromisoformat(at).astimezone(UTC))
        for lost in made.truth["unreachable_intervals"]
        for at in (lost["start"], *(line["at"] for line in lost["repeat_lines"]))
    }


@pytest.mark.parametrize(
    ("family", "seed", "tech", "form", "start"),
    [
        ("mixed", 3, "SIP", "iso", None),
        ("mixed", 4, "SIP", "iso_ms", None),
        ("messy", 3, "SIP", "iso", None),
        ("healthy", 2, "PJSIP", "iso_ms", None),
        ("mixed", 2, "SIP", "short", datetime(2026, 10, 24, 20, tzinfo=UTC)),
        ("mixed", 2, "SIP", "short", datetime(2019, 12, 31, 12, tzinfo=UTC)),
        ("plain", 2, "SIP", "%s", None),
        ("plain", 2, "SIP", "%d/%m/%Y %H.%M.%S", datetime(2026, 3, 28, 20, tzinfo=UTC)),
    ],
)
def test_the_lines_say_what_the_truth_says(
    family: str, seed: int, tech: str, form: str, start: datetime | None
) -> None:
    scenario = make(family, seed)
    style = replace(scenario.style, date_format=form, cut_last=False)
    made = simulate(replace(scenario, tech=tech, style=style, start=start or scenario.start), seed)
    assert made.log.unparsed.height == 0
    lost = made.log.events.filter(pl.col("kind") == "unreachable").select("peer", pl.col("time").dt.truncate("1s"))
    assert set(lost.rows()) == starts(made)
    assert len(starts(made)) > 20


def test_a_half_written_last_line_is_no_event(tmp_path: Path) -> None:
    whole, cut = (simulate(replace(make("plain", 1), style=Style(cut_last=c)), 1) for c in (False, True))
    path = cut.write(tmp_path)
    assert not path.read_text().endswith("\n")
    assert sf.read_log(path).events.drop("file").equals(whole.log.events.drop("file"))


def test_the_files_are_as_old_as_the_log(tmp_path: Path) -> None:
    made = simulate(make("messy", 3), 3)
    made.write(tmp_path)
    logs = list(tmp_path.glob("pbx.log*"))
    assert len(logs) == 1 + len(made.scenario.style.rotations) > 1
    end = made.scenario.at(made.scenario.seconds).timestamp()
    assert [path.stat().st_mtime for path in logs] == pytest.approx([end] * len(logs))


def test_one_seed_gives_one_log() -> None:
    a, b, c = (simulate(make("mixed", 5), seed) for seed in (5, 5, 6))
    assert a.lines == b.lines
    assert a.truth == b.truth
    assert a.lines != c.lines
