"""The accuracy benchmark itself: its yardsticks measure what they say."""

from __future__ import annotations

import pytest

from tests.benchmarks._truth import macro_f1, read_truth
from tests.benchmarks.accuracy import Job, figures, jobs, work


def test_a_plain_customer_is_scored_right() -> None:
    result = work(Job("plain", 3))
    assert not result.score.trouble
    assert result.score.missing == result.score.extra == 0
    found = figures(result.score.sites, result.score.pairs)
    assert (found.coverage, found.verdict, found.false_alarms) == (1.0, 1.0, 0)
    assert found.ratio == pytest.approx(1.0, abs=0.2)
    assert {name for name, readings in result.readings.items() if readings} == {"naive", "lifelines"}


def test_seeds_give_as_many_sites_as_wanted_and_never_twice() -> None:
    found = list(jobs(30, 1_000_000, ["plain", "mixed"], lifelines=False))
    assert len({job.seed for job in found}) == len(found)
    assert 10 <= len(found) <= 30


def test_macro_f1_counts_groups_as_one() -> None:
    score, table = macro_f1([("phone_restart", "phone_offline"), ("latency", "packet_loss"), ("wan_outage", "unknown")])
    assert table["phone"] == (1.0, 1.0, 1)
    assert table["wan_outage"] == (0.0, 0.0, 1)
    assert score == pytest.approx(2 / 3)


def test_recorded_truth_is_read_with_the_products_names() -> None:
    from tests.benchmarks.accuracy import RECORDED

    truth = read_truth(RECORDED / "fixed-router" / "truth.json")
    assert [era.timeout_s for era in truth.sites[0].eras] == [1200, 3660]
    assert [era.verdict for era in truth.sites[0].eras] == ["too_short", "no_expiry_seen"]
    names = {i.causes[0] for i in read_truth(RECORDED / "mixed" / "truth.json").intervals}
    assert names >= {"router_restart", "phone_restart", "nat_expiry"}
