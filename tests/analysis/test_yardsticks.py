"""Brackets are held against the truth as they should be, on recorded logs."""

from __future__ import annotations

import starface_nb as sf
from starface_nb import samples
from starface_nb.analysis.yardsticks import against_truth


def test_brackets_hold_the_recorded_truth_era_by_era() -> None:
    for name in ("mixed", "fixed-router"):
        held = against_truth(sf.diagnose(sf.read_log(samples.recorded(name))), samples.truth(name))
        assert held["holds"].all()
    assert held.select("era", "true_s").rows() == [(0, 1200.0), (1, 3660.0)]
