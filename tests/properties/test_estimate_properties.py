"""What holds for every estimate of a timeout."""

import math

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from made_logs import steady

from starface_nb.model.estimate import estimate_timeout

many = settings(steady, max_examples=150)
cycle = st.tuples(st.floats(0, 7000), st.one_of(st.just(math.inf), st.floats(1, 600)))
cycles = st.lists(cycle, max_size=40).map(lambda drawn: [(low, low + width) for low, width in drawn])


def estimate(bounds, **options):
    low, high = np.array([b[0] for b in bounds]), np.array([b[1] for b in bounds])
    return estimate_timeout(low, high, **options)


@many
@given(cycles, st.floats(0.5, 0.99))
def test_bracket_and_probability_are_in_range(bounds, level):
    found = estimate(bounds, level=level)
    assert 0 <= found.low <= found.high
    assert 0 <= found.probability_below <= 1
    assert 0 <= found.level <= 1
    assert found.supported <= found.expired <= len(bounds)
    assert found.expired + found.survived <= len(bounds)


@many
@given(cycles, st.randoms(use_true_random=False))
def test_the_order_of_the_cycles_does_not_matter(bounds, random):
    mixed = list(bounds)
    random.shuffle(mixed)
    one, other = estimate(bounds), estimate(mixed)
    assert (one.low, one.high) == (other.low, other.high)
    assert math.isclose(one.probability_below, other.probability_below, abs_tol=1e-9)


@many
@given(cycles, st.floats(60, 7000), st.floats(60, 7000))
def test_a_longer_keepalive_is_never_less_likely_to_be_too_long(bounds, one, other):
    short, long = sorted((one, other))
    below = [estimate(bounds, threshold=t).probability_below for t in (short, long)]
    assert below[0] <= below[1] + 1e-9


@many
@given(st.floats(130, 3400), st.integers(8, 30))
def test_many_cycles_of_one_timeout_are_bracketed_on_the_grid_of_the_probes(timeout, count):
    low = timeout // 60 * 60
    found = estimate([(low, low + 60.0)] * count)
    assert found.low <= timeout <= found.high
    assert found.high - found.low <= 75
    assert found.probability_below > 0.9
