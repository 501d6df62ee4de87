"""What strikes at the same minute of each hour or day."""

import numpy as np

from starface_nb.model.settle import SameMinute


def test_others_of_the_same_minute_are_added_up_across_the_hour() -> None:
    rng = np.random.default_rng(3)
    begin, kinds = np.sort(rng.uniform(0, 40 * 3600, 300)), rng.uniform(0, 1, (5, 300))
    apart = np.abs(begin[:, None] - begin) % 3600.0
    same = (np.minimum(apart, 3600.0 - apart) <= 33.0) & ~np.eye(300, dtype=bool)
    assert same.sum() > 300
    assert np.allclose(SameMinute(begin, 3600.0, 66.0, begin).total(kinds), kinds @ (same.T + np.eye(len(begin))))
