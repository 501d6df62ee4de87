"""The next experiment narrows what is known, whatever comes out of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest

import starface_nb as sf
from starface_nb.analysis.diagnosis import Diagnosis
from starface_nb.analysis.experiment import what_next
from starface_nb.errors import SettingError
from starface_nb.guide.comparison import experiment_text
from starface_nb.guide.i18n import LANGUAGES, translator
from starface_nb.simulation import Phone, Router, Scenario, Site, simulate

RECORDED = Path(__file__).parents[2] / "data" / "recorded"


def case(timeout_s: float, hours: float = 12.0, count: int = 6, ports: str = "new") -> Diagnosis:
    phones = tuple(Phone(f"30{i}.snomd345") for i in range(count))
    router = Router(timeout_s, ports=ports)
    return sf.diagnose(simulate(Scenario((Site("a", "203.0.113.8", phones, router),), hours), 2).log)


def test_the_ladder_is_for_phones_that_lose_their_entries() -> None:
    """Those with a keepalive of their own keep any entry, and would be read as "kept up to"."""
    found = case(900.0)
    losing = ["303.snomd345", "304.snomd345", "305.snomd345"]
    experiment = what_next(replace(found, intervals=found.intervals.filter(pl.col("peer").is_in(losing))))
    assert experiment.id == "reregister_ladder"
    assert list(experiment.phones[:3]) == losing


def test_outcomes_part_the_bracket_without_gaps() -> None:
    found = case(900.0)
    row = found.sites.row(0, named=True)
    experiment = what_next(found)
    assert experiment.id == "reregister_ladder"
    lows = [o.low_s for o in experiment.outcomes]
    highs = [o.high_s for o in experiment.outcomes]
    assert lows[0] == row["low_s"]
    assert highs[-1] == row["high_s"]
    assert lows[1:] == highs[:-1]
    assert max(h - low for low, h in zip(lows, highs, strict=True)) < (row["high_s"] - row["low_s"]) / 2  # type: ignore[operator]


def test_every_phone_of_the_ladder_has_its_own_period_and_one_is_left_alone() -> None:
    experiment = what_next(case(900.0, count=4))
    assert len(experiment.phones) == len(experiment.settings_s) == 3
    assert len(set(experiment.phones)) == 3


@pytest.mark.parametrize("timeout", [277.0, 412.0, 903.0, 1503.0, 2711.0])
def test_what_the_ladder_shows_holds_the_true_timeout(timeout: float) -> None:
    found = case(timeout)
    experiment = what_next(found)
    periods = dict(zip(experiment.phones, experiment.settings_s, strict=True))
    phones = tuple(Phone(peer, reregister_s=period, jitter=0.0) for peer, period in periods.items())
    tried = simulate(Scenario((Site("a", "203.0.113.8", phones, Router(timeout)),), experiment.watch_hours), 5).log
    counts = dict(
        tried.events.filter(pl.col("kind").is_in(["registered", "unreachable"])).group_by("peer").len().rows()
    )
    kept = [period for peer, period in periods.items() if counts[peer] == 1]  # registered once, at the beginning
    outcome = next(o for o in experiment.outcomes if o.at_s == max(kept, default=None))
    assert outcome.high_s is not None
    assert outcome.low_s < timeout <= outcome.high_s
    row = found.sites.row(0, named=True)
    assert outcome.high_s - outcome.low_s < (row["high_s"] - row["low_s"]) / 3


def test_where_ports_stay_no_experiment_parts_the_bracket() -> None:
    assert what_next(case(900.0, ports="preserve")).id == "none"


def test_below_the_probe_interval_30_s_stand_against_20_s() -> None:
    experiment = what_next(case(30.0))
    assert experiment.id == "two_keepalives"
    assert experiment.settings_s == (20.0, 30.0)
    brackets = {outcome.id: (outcome.low_s, outcome.high_s) for outcome in experiment.outcomes}
    assert brackets["none_quiet"][1] == 20.0
    assert brackets["shorter_quiet"] == (20.0, 30.0)
    assert brackets["all_quiet"][0] == 30.0


def test_without_a_loss_one_phone_is_probed_less_often_unless_that_is_known() -> None:
    found = case(7200.0)
    experiment = what_next(found)
    assert experiment.id == ("slower_probes" if found.sites["low_s"][0] < 300 else "none")
    seen = what_next(replace(found, sites=found.sites.with_columns(low_s=pl.lit(60.0))))
    assert (seen.id, len(seen.phones)) == ("slower_probes", 1)
    assert what_next(replace(found, sites=found.sites.with_columns(low_s=pl.lit(3500.0)))).id == "none"


def test_too_little_log_asks_for_more() -> None:
    found = case(3000.0, hours=0.6, count=3)
    assert found.sites["verdict"].to_list() == ["undetermined"]
    experiment = what_next(found)
    assert experiment.id == "more_log"
    assert experiment.watch_hours >= 2


def test_the_recorded_logs_have_an_experiment_for_every_site() -> None:
    found = sf.diagnose(sf.read_log(RECORDED / "mixed" / "pbx.log"))
    for site in found.sites["site"]:
        experiment = what_next(found, site)
        assert experiment.site == site
        assert experiment.outcomes or experiment.id == "none"


def test_an_unknown_site_is_refused() -> None:
    with pytest.raises(SettingError, match=r"203\.0\.113\.8"):
        what_next(case(900.0), "192.0.2.1")


@pytest.mark.parametrize("language", sorted(LANGUAGES))
@pytest.mark.parametrize(("timeout", "hours"), [(900.0, 12.0), (30.0, 12.0), (7200.0, 12.0), (3000.0, 0.6)])
def test_words_in_every_language(language: str, timeout: float, hours: float) -> None:
    lines = experiment_text(what_next(case(timeout, hours, count=3)), translator(language))
    assert len(lines) >= (1 if what_next(case(timeout, hours, count=3)).id == "none" else 3)
    assert not [line for line in lines if "{" in line]
