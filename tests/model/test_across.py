"""What strikes several sites in the same minute is the PBX's doing; what strikes each alone is not."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from starface_nb.analysis.diagnosis import Diagnosis
from starface_nb.guide.conclusion import other_causes
from starface_nb.guide.i18n import Translator, translator
from starface_nb.guide.words import why
from starface_nb.model.evidence import BY_PBX
from tests.analysis.customers import HOUR, rng
from tests.analysis.recorded import Writer

FULL = "The 'subm:manager_topic-00000007' task processor queue reached 500 scheduled tasks."


def offices(sites: int, phones: int = 3) -> tuple[Writer, list[list[str]]]:
    """Return a log of so many offices, each with an address of its own, whose phones answer."""
    log, homes = Writer([]), [[f"{site}0{n}.snomd345" for n in range(phones)] for site in range(1, sites + 1)]
    for site, peers in enumerate(homes):
        for number, peer in enumerate(peers):
            log.registered(400.0 * number + 90 * site, peer, 5060 + number, f"203.0.113.{site + 10}")
            log.reachable(400.0 * number + 90 * site, peer)
    for hour in range(30):
        log.at(hour * HOUR, 'Got SIP response 486 "Busy here" back from 192.0.2.1:5060', "WARNING")
    return log, homes


def down(log: Writer, peers: list[str], begin: float, length: float, seed: int) -> None:
    """Let the phones go as each is probed, and be back with the next repeated probe."""
    r = rng(seed)
    for peer in peers:
        log.lost(begin + r.uniform(5, 60), peer)
        log.reachable(begin + length + r.uniform(0, 14), peer)


def pbx_accused(case: Diagnosis) -> int:
    return case.intervals.filter(BY_PBX).height


def test_offices_that_go_in_the_same_minute_are_not_accused(tmp_path: Path) -> None:
    log, homes = offices(4)
    for turn, begin in enumerate([5.3 * HOUR, 11.1 * HOUR]):
        for site, peers in enumerate(homes):
            down(log, peers, begin, 240, 10 * turn + site)
    case = log.case(tmp_path)
    assert pbx_accused(case) == case.intervals.height == 24
    assert case.intervals["confidence"].min() > 0.9  # type: ignore[operator]
    assert case.incidents.select("site", "cause", "phones").rows() == [("all", "unknown", 12)] * 2
    assert set(case.sites["verdict"]) == {"no_expiry_seen"}
    ids = [finding.id for finding in case.findings]
    assert "undecided" not in ids
    (told,) = [finding for finding in case.findings if finding.id == "pbx_trouble"]
    assert (told.values["times"], told.values["phones"], told.values["sites"]) == (2, 12, 4)
    (row,) = other_causes(case, translator())
    assert (row["name"], row["losses"], row["advice"][:26]) == ("PBX or its line", 24, "Ask the operator of the PB")
    for language, word in (("en", "4 unrelated sites"), ("de", "4 Standorte"), ("fr", "4 sites")):
        evidence = case.intervals["evidence"].str.json_decode(pl.Struct({"places_struck": pl.Int64}))
        assert evidence.struct.field("places_struck").to_list() == [4] * 24
        terms = {"places_struck": 4, "terms": [{"cause": "unknown", "term": "across", "log_odds": 9.0}]}
        assert word in why("unknown", terms, Translator(language))


def test_offices_that_go_each_at_its_time_are_told_as_their_lines(tmp_path: Path) -> None:
    log, homes = offices(4)
    for site, peers in enumerate(homes):
        for turn in range(3):
            down(log, peers, (3 + 6 * turn + 1.3 * site) * HOUR, 240, 10 * turn + site)
    assert not pbx_accused(log.case(tmp_path))


def test_new_addresses_in_the_same_minute_of_the_night_are_the_lines_own(tmp_path: Path) -> None:
    log, homes, r = *offices(3), rng(3)
    for site, peers in enumerate(homes):
        for number, peer in enumerate(peers):
            begin = 20 * HOUR + r.uniform(5, 60)
            log.lost(begin, peer)
            log.registered(20 * HOUR + 90 + r.uniform(0, 60), peer, 5060 + number, f"203.0.113.{site + 50}")
            log.reachable(20 * HOUR + 151, peer)
    assert not pbx_accused(log.case(tmp_path))


def test_two_of_many_offices_that_go_together_are_no_fault_of_the_pbx(tmp_path: Path) -> None:
    """The PBX would have lost the others' phones as well."""
    log, homes = offices(12)
    for site in (0, 1):
        down(log, homes[site], 9 * HOUR, 600, site)
    assert not pbx_accused(log.case(tmp_path))


@pytest.mark.parametrize("with_phones", [True, False])
def test_a_trunk_that_goes_with_the_phones_accuses_the_line_of_the_pbx(tmp_path: Path, with_phones: bool) -> None:
    """The trunk is the provider's, and has nothing to do with the office."""
    log, (peers,) = offices(1, phones=5)
    log.reachable(60, "provider")
    for turn in range(2):
        begin = (4 + 7.3 * turn) * HOUR
        down(log, peers, begin, 90, turn)
        down(log, ["provider"], begin if with_phones else begin + 2 * HOUR, 90, turn)
    assert pbx_accused(log.case(tmp_path)) == (10 if with_phones else 0)


@pytest.mark.parametrize("before", [True, False])
def test_queues_that_were_full_before_the_phones_went_accuse_the_pbx(tmp_path: Path, before: bool) -> None:
    log, (peers,) = offices(1, phones=5)
    for turn in range(3):
        begin = (4 + 7.3 * turn) * HOUR
        log.at(begin if before else begin + 100, FULL, "WARNING", "taskprocessor.c")
        down(log, peers, begin, 90, turn)
    assert pbx_accused(log.case(tmp_path)) == (15 if before else 0)
