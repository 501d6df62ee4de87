"""Unreachable intervals: equal to the truth on every recorded log, and right at the edges."""

from datetime import datetime, timedelta

import polars as pl
import pytest
from recorded import LOGS, ZONE, Writer, case, truth


def second(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text).replace(tzinfo=ZONE) if text else None


@pytest.mark.parametrize("name", [name for name in LOGS if name != "mixed-dst"])
def test_intervals_of_recorded_logs_equal_the_truth(name):
    expected = {(u["peer"], second(u["start"])): second(u["end"]) for u in truth(name)["unreachable_intervals"]}
    found = case(name).intervals
    for row in found.iter_rows(named=True):
        near = [row["start"] + timedelta(seconds=s) for s in (0, -1, 1)]
        key = next((k for k in ((row["peer"], t) for t in near) if k in expected), None)
        assert key is not None, f"{row['peer']} was not lost at {row['start']}"
        end = expected.pop(key)
        assert (end is None) == (row["end"] is None)
        assert end is None or abs((end - row["end"]).total_seconds()) <= 1
    assert expected == {}


def test_the_hour_that_comes_twice_has_its_true_length():
    found, plain = case("mixed-dst").intervals, case("mixed").intervals
    assert found["seconds"].to_list() == plain["seconds"].to_list()


def test_a_repeated_line_belongs_to_the_open_interval(tmp_path):
    log = Writer([])
    log.lost(0, "101.a")
    log.lost(300, "101.a", 0)
    log.reachable(400, "101.a")
    (row,) = log.case(tmp_path).intervals.iter_rows(named=True)
    assert (row["seconds"], row["repeats"], row["ended_by"]) == (400, 1, "reachable")


def test_a_late_answer_ends_an_interval_and_so_does_unregister(tmp_path):
    log = Writer([])
    log.lost(0, "101.a")
    log.lagged(50, "101.a")
    log.lost(100, "101.a")
    log.unregistered(200, "101.a")
    rows = log.case(tmp_path).intervals.rows(named=True)
    assert [(r["seconds"], r["ended_by"]) for r in rows] == [(50, "lagged"), (100, "unregistered")]


def test_open_at_the_end_and_first_seen_unreachable(tmp_path):
    log = Writer([])
    log.lost(0, "101.a")
    log.reachable(60, "101.a")
    log.lost(500, "101.a")
    rows = log.case(tmp_path).intervals.rows(named=True)
    assert [r["end"] is None for r in rows] == [False, True]
    assert rows[1]["seconds"] is None
    assert rows[1]["ended_by"] == "open"


def test_a_pbx_restart_does_not_end_an_interval_and_reachable_after_it_is_no_recovery(tmp_path):
    log = Writer([])
    log.reachable(0, "102.b")
    log.lost(10, "101.a")
    log.pbx_stop(100)
    log.pbx_start(160)
    log.lost(166, "101.a", 0)
    log.reachable(162, "102.b")
    log.reachable(600, "101.a")
    (row,) = log.case(tmp_path).intervals.iter_rows(named=True)
    assert (row["peer"], row["seconds"], row["repeats"]) == ("101.a", 590, 1)


PJSIP = "res_pjsip/pjsip_options.c"
REGISTRAR = "res_pjsip_registrar.c"


def pjsip(log: Writer, second: float, contact: int, state: str) -> None:
    log.at(second, f"Contact 7/sip:7@203.0.113.5:{contact} is now {state}.  RTT: 0.000 msec", "VERBOSE", PJSIP)


def test_a_pjsip_phone_that_logs_off_or_takes_another_port_is_not_lost(tmp_path):
    log = Writer([])
    pjsip(log, 0, 1000, "Reachable")
    for second, contact, reason in ((600, 1000, "remove existing"), (1200, 2000, "request")):
        if contact == 1000:
            log.at(
                second,
                "Added contact 'sip:7@203.0.113.5:2000' to AOR '7' with expiration of 3900 seconds",
                "VERBOSE",
                REGISTRAR,
            )
        log.at(
            second, f"Removed contact 'sip:7@203.0.113.5:{contact}' from AOR '7' due to {reason}", "VERBOSE", REGISTRAR
        )
        log.at(second, f"Contact 7/sip:7@203.0.113.5:{contact} has been deleted", "VERBOSE", PJSIP)
        log.at(second, "Endpoint 7 is now Unreachable", "VERBOSE", "res_pjsip/pjsip_configuration.c")
        if contact == 1000:
            log.at(second, "Endpoint 7 is now Reachable", "VERBOSE", "res_pjsip/pjsip_configuration.c")
            pjsip(log, second, 2000, "Reachable")
    assert log.case(tmp_path).intervals.is_empty()


def test_a_pjsip_peer_is_lost_only_when_no_contact_answers(tmp_path):
    log = Writer([])
    for contact in (1000, 2000):
        pjsip(log, contact / 1000, contact, "Reachable")
    pjsip(log, 100, 1000, "Unreachable")
    pjsip(log, 200, 2000, "Unreachable")
    log.at(200, "Endpoint 7 is now Unreachable", "VERBOSE", "res_pjsip/pjsip_configuration.c")
    pjsip(log, 260, 1000, "Reachable")
    log.at(260, "Endpoint 7 is now Reachable", "VERBOSE", "res_pjsip/pjsip_configuration.c")
    (row,) = log.case(tmp_path).intervals.iter_rows(named=True)
    assert (row["peer"], row["seconds"], row["repeats"]) == ("7", 60, 0)


def test_trunks_are_told_from_phones(tmp_path):
    log = Writer([])
    for i in range(4):
        log.registered(i, f"10{i}.snom720", 5060 + i)
        log.reachable(i, f"10{i}.snom720")
    log.reachable(10, "0702227978")
    log.lost(100, "0702227978")
    found = log.case(tmp_path)
    assert found.phones.filter(pl.col("trunk"))["peer"].to_list() == ["0702227978"]
    assert "trunk_down" in [f.id for f in found.findings]
    assert "0702227978" not in found.cycles["peer"].to_list()


def test_an_attacker_refused_is_no_phone(tmp_path):
    log = Writer([])
    log.registered(0, "101.a", 5060)
    log.reachable(0, "101.a")
    log.at(5, "Registration from '<sip:9999@pbx>' failed for '198.51.100.66:5060' - Wrong password")
    assert log.case(tmp_path).phones["peer"].to_list() == ["101.a"]
