"""`starface-nb check`: the contract's JSON, exit statuses, and nothing from a log that acts."""

import json
import re
from collections import Counter
from datetime import datetime

import pytest
from recorded import LOGS, RECORDED, Writer

import starface_nb as sf
from starface_nb.cli import main
from starface_nb.fleet.examine import summarise
from starface_nb.guide import cause_name, translator
from starface_nb.guide.conclusion import other_causes
from starface_nb.report import render
from starface_nb.report.export import losses


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


def test_a_site_that_is_gone_when_the_log_ends_needs_action_and_comes_first(capsys, tmp_path):
    log = Writer([])
    for n, peer in enumerate(("101.a", "102.b", "103.c")):
        log.reachable(20 * n, peer)
        for hour in range(8):
            log.registered(3600 * hour + 20 * n, peer, 20000 + n)
        if n:
            log.lost(7.5 * 3600 + n, peer)
    log.at(7.6 * 3600, "CDR simple logging enabled.", source="cdr.c")
    log.case(tmp_path)
    assert check(capsys, str(tmp_path / "full"))[0] == 0  # a few minutes are no matter yet
    log.at(12 * 3600, "CDR simple logging enabled.", source="cdr.c")
    found = log.case(tmp_path)
    status, text = check(capsys, str(tmp_path / "full"))
    assert status == 1
    assert text.splitlines()[3].startswith("! 203.0.113.9: 2 of 3 phones are unreachable from ")
    assert not re.search("phones need no change|came back together", text + render(found))
    assert "When the log ends, most phones of 1 site are unreachable." in render(found)
    assert main(["compare", str(tmp_path / "full"), "--at", "2026-03-02T15:00"]) == 1
    (tmp_path / "customers").mkdir()
    for name, source in (("a", RECORDED / LOGS["clean"][0]), ("b", tmp_path / "full")):
        (tmp_path / "customers" / name).write_bytes(source.read_bytes())
    assert main(["fleet", str(tmp_path / "customers"), "-o", str(tmp_path / "out"), "--workers", "1"]) == 1
    assert re.search(r"1  b: 1 site unreachable at the log's end, no expiry seen", capsys.readouterr().out)


def test_a_loss_whose_cause_is_hardly_likelier_than_another_counts_as_not_decided_everywhere(capsys, tmp_path):
    made = ["--family", "mixed", "--hours", "2", "--seed", "1", "--phones", "2"]
    main(["simulate", *made, "-o", str(tmp_path / "made")])
    capsys.readouterr()
    case = sf.diagnose(sf.read_log(tmp_path / "made" / "pbx.log"))
    counts = Counter(cause_name(cause, translator()) for cause in case.intervals["cause"])
    assert counts["Not decided"] == 1
    text = check(capsys, str(tmp_path / "made" / "pbx.log"))[1]
    assert all(re.search(rf"\n{cause} +{n}\n", text) for cause, n in counts.items())
    others = {cause: n for cause, n in counts.items() if cause != "NAT entry expired"}
    assert {row["name"]: row["losses"] for row in other_causes(case, translator())} == others
    assert Counter(losses(case, translator())["Cause"]) == counts
    row = summarise(case)
    named = [cause_name(cause, translator()) for cause in row["not_nat"]]
    assert dict(zip(named, row["not_nat_losses"], strict=True)) == others
