"""The simulated log reads back as the events that the simulator says it holds."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

import starface_nb as sf
from starface_nb.simulation import Style, make, simulate

COLUMNS = ["time", "kind", "peer", "tech", "address", "port", "rtt_ms", "limit_ms", "last_rtt_ms", "contact", "detail"]


@pytest.mark.parametrize(
    ("family", "seed", "tech", "form", "start"),
    [
        ("mixed", 3, "SIP", "iso", None),
        ("mixed", 4, "SIP", "iso_ms", None),
        ("messy", 3, "SIP", "iso", None),
        ("healthy", 2, "PJSIP", "iso_ms", None),
        ("mixed", 2, "SIP", "short", datetime(2026, 10, 24, 20, tzinfo=UTC)),
        ("plain", 2, "SIP", "%d/%m/%Y %H.%M.%S", datetime(2026, 3, 28, 20, tzinfo=UTC)),
    ],
)
def test_reading_the_text_gives_the_events(
    tmp_path: Path, family: str, seed: int, tech: str, form: str, start: datetime | None
) -> None:
    scenario = make(family, seed)
    scenario = scenario.change(
        tech=tech, style=replace(scenario.style, date_format=form), start=start or scenario.start
    )
    made = simulate(scenario, seed)
    path = made.write(tmp_path)
    log = sf.read_log(tmp_path if "%" in form or scenario.style.rotations else path, time_zone=scenario.time_zone)
    assert log.unparsed.height == 0
    assert log.events.select(COLUMNS).equals(made.events.select(COLUMNS))
    assert made.events.height > 100


def test_a_half_written_last_line_is_no_event(tmp_path: Path) -> None:
    made = simulate(make("plain", 1).change(style=Style(cut_last=True)), 1)
    path = made.write(tmp_path)
    assert not path.read_text().endswith("\n")
    assert sf.read_log(path).events.select(COLUMNS).equals(made.events.select(COLUMNS))


def test_one_seed_gives_one_log() -> None:
    a, b, c = (simulate(make("mixed", 5), seed) for seed in (5, 5, 6))
    assert a.log_text == b.log_text
    assert a.truth == b.truth
    assert a.log_text != c.log_text
