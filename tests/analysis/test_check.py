"""`starface-nb check`: the contract's JSON, exit statuses, and nothing from a log that acts."""

import json
import re
from datetime import datetime

import pytest
from recorded import LOGS, RECORDED, Writer

from starface_nb.cli import main


def path(name: str) -> str:
    return str(RECORDED / LOGS[name][0])


def check(capsys, *arguments: str) -> tuple[int, str]:
    status = main(["check", *arguments])
    return status, capsys.readouterr().out


def test_json_has_what_the_contract_names(capsys):
    status, text = check(capsys, path("mixed"), "--json")
    found = json.loads(text)
    assert status == 1
    assert found["schema"] == "starface-nb/check/1"
    assert {"files", "bytes", "lines", "events", "unparsed", "first", "last", "time_zone"} <= found["log"].keys()
    assert found["settings"]["keepalive_s"] == 3600
    assert found["settings"]["probe_interval_s"] == 60
    phone, interval, site = found["phones"][0], found["intervals"][0], found["sites"][0]
    assert {"peer", "site", "status", "ever_registered", "losses", "unreachable_s"} <= phone.keys()
    assert {"peer", "site", "start", "end", "seconds", "cause", "confidence", "evidence"} <= interval.keys()
    assert {"site", "phones", "verdict", "nat_timeout", "probability_too_short", "recommended_timeout_s"} <= site.keys()
    bracket = {
        "low_s",
        "high_s",
        "estimate_s",
        "level",
        "renewed_by",
        "cycles_expired",
        "cycles_survived",
        "cycles_excluded",
    }
    assert bracket == site["nat_timeout"].keys()
    assert site["recommended_timeout_s"] == 3660
    assert all({"id", "severity", "text"} <= finding.keys() for finding in found["findings"])
    assert datetime.fromisoformat(interval["start"]).utcoffset().total_seconds() == 3600


def test_the_same_log_gives_the_same_bytes(capsys):
    assert check(capsys, path("mixed"), "--json") == check(capsys, path("mixed"), "--json")


def test_the_keepalive_decides_what_is_short(capsys):
    _, text = check(capsys, path("undilated"), "--json", "--keepalive", "10m")
    assert {s["verdict"] for s in json.loads(text)["sites"]} == {"too_short"}
    assert json.loads(text)["sites"][0]["recommended_timeout_s"] == 660


def test_summary_names_verdict_and_what_to_set(capsys):
    status, text = check(capsys, path("clean"))
    assert status == 1
    assert "61 minutes" in text
    assert "203.0.113.11" in text
    assert "too short" in text


@pytest.mark.parametrize(("language", "told"), [("de", "zu kurz"), ("fr", "trop court")])
def test_summary_speaks_the_language_that_was_asked_for(capsys, language, told):
    english = check(capsys, path("mixed"))[1].splitlines()
    _, text = check(capsys, path("mixed"), "--language", language)
    names = re.compile(r"\S*\d\S*")  # peers, addresses, numbers: the same in every language
    left = [line for line in text.splitlines()[1:] if line in english and re.search(r"[a-z]{4}", names.sub("", line))]
    assert left == []
    assert told in text


def test_nothing_to_do_is_status_0(capsys, tmp_path):
    log = Writer([])
    log.registered(0, "101.a", 5060)
    log.reachable(0, "101.a")
    for minute in range(12 * 60):
        log.at(60 * minute, "CDR simple logging enabled.", "NOTICE", "cdr.c")
    log.case(tmp_path)
    status, text = check(capsys, str(tmp_path / "full"))
    assert status == 0
    assert "101.a" not in text or "0" in text


def test_a_log_without_relevant_lines_is_a_result(capsys, tmp_path):
    log = Writer([])
    for second in range(50):
        log.at(second, "Executing [100@incoming:1]", "VERBOSE", "pbx.c")
    log.case(tmp_path)
    status, text = check(capsys, str(tmp_path / "full"))
    assert status == 1
    assert "qualify" in text


def test_a_missing_file_is_status_2(capsys, tmp_path):
    assert main(["check", str(tmp_path / "nothing.log")]) == 2
    assert "Traceback" not in capsys.readouterr().err


@pytest.mark.parametrize("name", ["\x1b]0;owned\x07", "<script>alert(1)</script>", "a' OR '1", "‮evil", "x\ty"])
def test_names_chosen_by_attackers_do_nothing(name, capsys, tmp_path):
    log = Writer([])
    log.nat(name, 0, 1800, 8)
    found = log.case(tmp_path)
    status, text = check(capsys, str(tmp_path / "full"))
    assert status == 1
    assert not any(ord(c) < 32 and c != "\n" for c in text)
    assert "\x1b" not in repr(found)
    assert "<script" not in found._repr_html_()
    _, data = check(capsys, str(tmp_path / "full"), "--json")
    assert json.loads(data)["intervals"][0]["peer"] == name
