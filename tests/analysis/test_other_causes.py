"""Causes that single losses do not name: found in at least nine of ten customers that have them, invented in none."""

from __future__ import annotations

from pathlib import Path

import customers
import polars as pl
import pytest
from customers import IDS, WITH, WITHOUT

import starface_nb as sf
from starface_nb import guide
from starface_nb.analysis.seen import models_of
from starface_nb.simulation import simulate
from tests.simulation.families import FAMILIES, make

SEEDS = range(10)


@pytest.mark.parametrize("name", WITH)
def test_a_cause_is_found_in_nine_of_ten_customers_and_nothing_else(name: str, tmp_path: Path) -> None:
    wanted, customer = WITH[name]
    cases = [customers.diagnosed(tmp_path, customer(seed)) for seed in SEEDS]
    assert sum(wanted in customers.found(case, wanted) for case in cases) >= 9
    told = [finding for case in cases for finding in case.findings if finding.id == wanted]
    lines = [finding.values["evidence"] for finding in told]
    assert all(lines)
    assert all(0.5 < float(str(finding.values["probability"])) < 1 for finding in told)
    others = [customers.found(case, *(one for one in IDS if one != wanted)) for case in cases]
    assert others == [[]] * len(cases)


@pytest.mark.parametrize("name", WITHOUT)
def test_no_cause_is_invented_where_something_only_looks_like_it(name: str, tmp_path: Path) -> None:
    cases = [customers.diagnosed(tmp_path, WITHOUT[name](seed)) for seed in SEEDS[:6]]
    assert [customers.found(case, *IDS) for case in cases] == [[]] * len(cases)


@pytest.mark.parametrize("family", FAMILIES)
def test_nothing_is_invented_in_ordinary_customers(family: str) -> None:
    for seed in range(2):
        case = sf.diagnose(simulate(make(family, seed), seed).log)
        # Phones that inherit each other's ports do use the same local port: that family is drawn with such routers.
        told = [one for one in customers.found(case, *IDS) if one != "shared_port"]
        assert told == []


@pytest.mark.parametrize("family", ["messy", "mixed"])
def test_a_line_that_goes_down_soon_after_a_new_address_leaves_no_stale_state(family: str) -> None:
    case = sf.diagnose(simulate(make(family, 71_006), 71_006).log)  # new addresses at 01:40 and, after an outage, 04:37
    assert case.intervals.filter(pl.col("cause") == "wan_outage").height > 5
    assert customers.found(case, "stale_state") == []


def test_overload_is_told_and_strengthens_a_stall(tmp_path: Path) -> None:
    quiet = customers.lines_of([customers.site(1, 10, 4)], 6, [], 1)
    case = customers.diagnosed(tmp_path, customers.overloaded(quiet, 9_000))
    (told,) = [finding for finding in case.findings if finding.id in IDS]
    assert (told.id, told.values["told_as"], told.values["overloaded"]) == ("pbx_trouble", "pbx_overloaded", 3)
    case = customers.diagnosed(tmp_path, customers.overloaded(customers.stalled(1, pbx=True), 9_000))
    (told,) = [finding for finding in case.findings if finding.id in IDS]
    assert (told.id, told.values["times"], told.values["probability"]) == ("pbx_trouble", 3, 0.95)


@pytest.mark.parametrize("language", guide.LANGUAGES)
def test_the_advice_on_stale_states_is_never_a_longer_timeout(language: str, tmp_path: Path) -> None:
    case = customers.diagnosed(tmp_path, customers.new_address(3, stuck=3))
    (told,) = [finding for finding in case.findings if finding.id == "stale_state"]
    assert told.values["phones"] == 3
    text = guide.finding_text(told, guide.translator(language))
    banned = {
        "en": ("raise the", "at least 61", "set the router's timeout"),
        "de": ("erhöhen Sie", "Stellen Sie den Timeout"),
        "fr": ("augmentez", "Réglez le délai"),
    }[language]
    assert not [words for words in banned if words in text]
    refused = {"en": "do not lengthen", "de": "nicht", "fr": "allongez pas"}[language]
    assert refused in text
    assert "OPNsense" in text


def test_models_are_told_by_the_account() -> None:
    names = pl.Series(["1001.snomd345", "1001.WinClient", "1001"])
    assert models_of(names).to_list() == ["snomd345", "winclient", None]
