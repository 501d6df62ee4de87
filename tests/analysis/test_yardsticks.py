"""What the estimate is held beside says what it should on recorded logs with known truth."""

from __future__ import annotations

import starface_nb as sf
from starface_nb import samples
from starface_nb.analysis.yardsticks import NAIVE, against_truth, coverage, readings


def test_each_site_is_read_in_every_way() -> None:
    found = sf.diagnose(sf.read_log(samples.recorded("clean")))
    rows = {row["reading"]: row for row in readings(found).to_dicts()}
    own = rows["this analysis"]
    assert (own["low_s"], own["high_s"]) == found.sites.select("low_s", "high_s").row(0)
    assert rows[NAIVE]["high_s"] - rows[NAIVE]["low_s"] == 60.0


def test_brackets_hold_the_recorded_truth_era_by_era() -> None:
    tried = []
    for name in ("mixed", "fixed-router"):
        tried.append((sf.diagnose(sf.read_log(samples.recorded(name))), samples.truth(name)))
        held = against_truth(*tried[-1])
        assert held["holds"].all()
    assert held.select("era", "true_s").rows() == [(0, 1200.0), (1, 3660.0)]
    table = {row["verdict"]: row for row in coverage(tried).to_dicts()}
    assert table["too_short"]["timeouts"] == table["too_short"]["holding"] == 4
    assert table["no_expiry_seen"]["below_keepalive"] == 0


def test_nothing_tried_is_an_empty_table() -> None:
    assert coverage([]).is_empty()
