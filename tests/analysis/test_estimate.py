"""The estimator: covers the truth, stays honest, and keeps its promises whatever the numbers."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from starface_nb.model.estimate import estimate_timeout, front
from starface_nb.model.rhythm import usual_gap

MINUTES = st.floats(2, 58)


def cycles(timeout: float, n: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    upper = np.ceil(timeout / 60) * 60 + rng.uniform(0, 1, n)
    return upper - 60, upper


@settings(max_examples=60, deadline=None)
@given(MINUTES, st.integers(0, 2**32 - 1))
def test_a_third_of_foreign_losses_does_not_move_the_bracket(minutes, seed):
    rng, timeout = np.random.default_rng(seed), minutes * 60
    lower, upper = cycles(timeout, 40, rng)
    cell = np.floor(rng.uniform(0, 59, 20)) * 60
    found = estimate_timeout(np.r_[lower, cell], np.r_[upper, cell + 60])
    assert found.low < timeout <= found.high
    assert found.high - found.low <= 64
    assert found.probability_below > 0.99


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.floats(0, 4000), st.floats(0, 4000) | st.just(np.inf)), max_size=40))
def test_bounds_are_ordered_and_probabilities_are_probabilities(pairs):
    lower = [min(pair) for pair in pairs]
    upper = [max(pair) for pair in pairs]
    found = estimate_timeout(lower, upper)
    assert 0 <= found.low <= found.high
    assert 0 <= found.probability_below <= 1
    assert found.supported <= found.expired == sum(np.isfinite(upper))


@settings(max_examples=30, deadline=None)
@given(st.permutations(range(30)))
def test_the_order_of_cycles_does_not_matter(order):
    lower, upper = cycles(1234.0, 30, np.random.default_rng(3))
    assert estimate_timeout(lower[list(order)], upper[list(order)]) == estimate_timeout(lower, upper)


def test_survived_cycles_bound_from_below():
    found = estimate_timeout([3500.0] * 20, [np.inf] * 20)
    assert found.high == np.inf
    assert found.low == pytest.approx(3499, abs=1)
    assert found.probability_below < 0.01
    assert found.middle is None


def test_nothing_known_is_nothing_claimed():
    found = estimate_timeout([], [])
    assert (found.low, found.high) == (0.0, np.inf)
    assert 0.05 < found.probability_below < 0.95


def test_one_cycle_with_a_bound_too_tight_does_not_carry_the_bracket():
    lower, upper = cycles(720.0, 60, np.random.default_rng(1))
    found = estimate_timeout(np.r_[lower, 650.0], np.r_[upper, 710.0])
    assert found.low < 720 <= found.high


def test_below_the_probing_interval():
    found = estimate_timeout([0.0] * 12, [60.0] * 12, slop=0.0)
    assert (found.low, found.high) == (0.0, 60.0)


@pytest.mark.parametrize(("lower", "upper"), [([1.0], [0.5]), ([1.0, 2.0], [3.0]), ([np.nan], [1.0]), ([-1.0], [1.0])])
def test_bounds_that_make_no_sense_are_refused(lower, upper):
    with pytest.raises(ValueError, match="bounds"):
        estimate_timeout(lower, upper)


def test_it_shows_itself():
    found = estimate_timeout([840.0] * 8, [900.0] * 8)
    assert "8 of 8 losses agree" in str(found)
    assert found._repr_html_().startswith("<p>NAT timeout (")


def cells(*counted: tuple[float, float, int]) -> tuple[np.ndarray, np.ndarray]:
    lower, upper, count = np.array(counted, float).reshape(-1, 3).T
    return np.repeat(lower, count.astype(int)), np.repeat(upper, count.astype(int))


def test_a_few_renewals_that_nobody_saw_do_not_move_the_bracket_to_the_border_of_the_next_cell():
    """Calls and keepalives to others let some entries live on for one, two or three probes of 90 s."""
    late = [(360, 450, 3), (450, 540, 2), (540, 630, 1), (631, 721, 1)]
    lower, upper = cells((270, 360, 296), (271, 361, 50), *late)
    outlived = np.repeat([360.0, 450, 540, 631], [3, 2, 1, 1])
    found = estimate_timeout(np.r_[lower, outlived], np.r_[upper, np.full(7, np.inf)], slop=1.3)
    assert found.low < 300 <= found.high


@pytest.mark.parametrize(("ends", "begins"), [(300, 300), (299.2, 300.1)])
def test_a_timeout_at_the_border_of_two_cells_that_both_fill_is_told_as_exactly_as_the_bounds_are(ends, begins):
    found = estimate_timeout(*cells((240, ends, 90), (begins, 360, 60)), slop=1.3)
    assert found.low + 1 < 300 <= found.high - 1
    assert found.high - found.low < 6


def test_losses_that_begin_at_one_age_bound_the_timeout_and_such_of_any_age_do_not():
    """A keepalive each two minutes makes entries of 90 s older, never younger; lost probes come at any age."""
    assert front(*cells((61, 91, 52), (91, 121, 45), (121, 151, 47), (151, 181, 44)), 151.0) == 61
    even = np.linspace(0, 90, 60)
    assert front(even, even + 30, 151.0) == np.inf
    assert front(*cells(), 151.0) == np.inf


def test_two_spacings_alike_among_many_are_no_period():
    assert usual_gap(np.array([3600.0, 3606.0])) == 3600
    assert np.isnan(usual_gap(np.array([1000.0, 2403.0, 3890.0, 3910.0, 5993.0])))
