"""The router's own log beside the PBX's: outages told apart, clocks aligned where that is clear, nothing invented."""

from __future__ import annotations

import json
import random
import re
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import router_logs
from markupsafe import escape
from router_logs import BERLIN, FORMS, UTC, Fault

import starface_nb as sf
from starface_nb import guide
from starface_nb.analysis.router import RouterLog
from starface_nb.cli import main
from starface_nb.guide.words import router_text
from starface_nb.report import render
from starface_nb.verdict import json_text

FOLDER = Path(__file__).parents[2] / "data" / "recorded" / "lines-and-addresses"
LOG = FOLDER / "pbx.log"
FAULTS = router_logs.faults(FOLDER / "truth.json")
OURS = {"wan_outage": "wan_outage", "router_reboot": "router_restart"}
TOLD_LATER = {"cgnB": "its one loss fits the NAT timeout as well: the cause stays, see the last test"}


@cache
def struck() -> list[dict[str, Any]]:
    """Return the losses by an outage or a restart of a router, from the truth."""
    truth = json.loads((FOLDER / "truth.json").read_text("utf-8"))
    losses = [one for one in truth["unreachable_intervals"] if one["cause"] in OURS]
    return [one for one in losses if one["site"] not in TOLD_LATER]


def diagnosed(folder: Path, texts: dict[str, str], log: Path = LOG) -> sf.Diagnosis:
    """Return the diagnosis of a log, the recorded one by default, with these routers' logs beside it."""
    paths = []
    for site, text in texts.items():
        paths.append(folder / f"{site}.txt")
        paths[-1].write_text(text, "utf-8")
    return sf.diagnose(sf.read_log([log, *paths], progress=False))


@cache
def alone() -> sf.Diagnosis:
    return sf.diagnose(sf.read_log(LOG, progress=False))


def found(case: sf.Diagnosis, losses: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return losses of the truth as the case has them."""
    rows = {(row["peer"], row["start"]): row for row in case.intervals.to_dicts()}
    starts = [datetime.fromisoformat(one["start"]).replace(tzinfo=BERLIN).astimezone(UTC) for one in losses]
    mine = [rows[one["peer"], start] for one, start in zip(losses, starts, strict=True)]
    return [row | {"router": json.loads(row["evidence"]).get("router")} for row in mine]


def causes(case: sf.Diagnosis, losses: list[dict[str, Any]]) -> list[str]:
    """Return the causes that the case gives losses of the truth."""
    return [row["cause"] for row in found(case, losses)]


def true_causes() -> list[str]:
    return [OURS[one["cause"]] for one in struck()]


def logs_of(case: sf.Diagnosis) -> dict[str, RouterLog]:
    assert case.router is not None
    return {Path(one.member).stem: one for one in case.router.logs}


def test_the_log_alone_leaves_some_open() -> None:
    wrong = [given != true for given, true in zip(causes(alone(), struck()), true_causes(), strict=True)]
    assert sum(wrong) >= 5
    assert alone().router is not None
    assert json.loads(json_text(alone()))["router"] is None


@pytest.mark.parametrize("form", FORMS)
def test_outages_and_restarts_are_told_apart_in_every_form(form: str, tmp_path: Path) -> None:
    case = diagnosed(tmp_path, {site: FORMS[form](told) for site, told in FAULTS.items()})
    rows = found(case, struck())
    assert [row["cause"] for row in rows] == true_causes()
    assert len(rows) == 77
    assert [row["router"]["says"] for row in rows] == true_causes()
    assert [row["router"]["by_the_log"] for row in rows] == causes(alone(), struck())
    assert all(row["router"]["sources"] for row in rows)
    others = case.intervals.filter(~pl.col("cause").cast(pl.String).is_in(list(OURS.values())))
    assert others.height == alone().intervals.height - 77


def test_a_log_without_seconds_gets_no_cause_from_a_router(tmp_path: Path) -> None:
    coarse = tmp_path / "pbx.log"
    coarse.write_text(re.sub(r"(?m)^(\[\S+ ..:..):..", r"\1:00", LOG.read_text("utf-8")), "utf-8")
    case = diagnosed(tmp_path, {site: router_logs.openwrt(told) for site, told in FAULTS.items()}, coarse)
    assert case.router is not None
    assert not case.router.events.is_empty()
    assert set(case.intervals.filter(~pl.col("trunk"))["cause"]) == {"unknown"}


@pytest.mark.parametrize(
    ("form", "how", "off_s"),
    [
        ("openwrt", {"zone": UTC}, 7200.0),
        ("pfsense", {"zone": UTC}, 7200.0),
        ("fritzbox", {"shift": timedelta(hours=-1)}, 3600.0),
        ("support file", {"shift": timedelta(seconds=40)}, -40.0),
        ("opnsense", {"shift": timedelta(hours=5, seconds=1234)}, -19234.0),
        ("mikrotik", {"shift": timedelta(hours=-7)}, 25200.0),
    ],
)
def test_a_clock_is_aligned_by_common_events(form: str, how: dict[str, Any], off_s: float, tmp_path: Path) -> None:
    case = diagnosed(tmp_path, {"reconnect": FORMS[form](FAULTS["reconnect"], **how)})
    log = logs_of(case)["reconnect"]
    assert (log.clock.how, log.clock.agree) == ("shifted" if abs(off_s) > 90 else "agrees", 3)
    assert abs(log.clock.offset_s - off_s) <= 75
    assert log.site == "192.0.2.219"
    mine = found(case, [one for one in struck() if one["site"] == "reconnect"])
    assert [row["cause"] for row in mine] == ["wan_outage"] * 18
    assert all(row["router"] for row in mine)
    assert case.router is not None
    lines = case.router.events.filter(pl.col("kind") == "line_down")
    assert lines["incident"].null_count() == 0
    told = [finding for finding in case.findings if finding.id == "router_log"]
    for language in guide.LANGUAGES:
        assert "{" not in guide.finding_text(told[0], guide.translator(language))


def test_utc_is_enough_for_all_routers_and_any_other_clock_needs_a_few_outages(tmp_path: Path) -> None:
    in_utc = diagnosed(tmp_path, {s: router_logs.openwrt(told, zone=UTC) for s, told in FAULTS.items()})
    assert causes(in_utc, struck()) == true_causes()
    odd = timedelta(hours=3, seconds=777)
    case = diagnosed(tmp_path, {"fw40": router_logs.fritzbox(FAULTS["fw40"], shift=odd)})
    log = logs_of(case)["fw40"]
    assert (log.clock.how, log.clock.agree, log.site) == ("as_is", 0, "203.0.113.224")
    assert case.intervals["cause"].equals(alone().intervals["cause"])
    (told,) = [finding for finding in case.findings if finding.id == "router_log"]
    assert told.severity == "warning"
    assert "taken as it is" in guide.finding_text(told, guide.translator("en"))
    case = diagnosed(tmp_path, {"fw40": router_logs.fritzbox(FAULTS["fw40"], shift=timedelta(days=-200))})
    (told,) = [finding for finding in case.findings if finding.id == "router_log"]
    assert "of another time: " in guide.finding_text(told, guide.translator("en"))


def test_one_outage_or_two_set_no_clock_by_hours(tmp_path: Path) -> None:
    for faults in (FAULTS["cgnokA"][:1], FAULTS["cgnokA"]):
        for hours, told in ((5, ("as_is", 0)), (0, ("agrees", len(faults)))):
            case = diagnosed(tmp_path, {"one": router_logs.fritzbox(faults, shift=timedelta(hours=hours))})
            assert (logs_of(case)["one"].clock.how, logs_of(case)["one"].clock.agree) == told


def test_a_list_out_of_order_spans_its_earliest_line_to_its_latest(tmp_path: Path) -> None:
    lines = router_logs.fritzbox(FAULTS["fw40"], shift=timedelta(hours=3)).splitlines(keepends=True)
    whole = logs_of(diagnosed(tmp_path, {"fw40": "".join(lines)}))["fw40"]
    turned = logs_of(diagnosed(tmp_path, {"fw40": "".join([*lines[3:], *lines[:3]])}))["fw40"]
    assert whole.first < whole.last
    assert (turned.first, turned.last) == (whole.first, whole.last)


def test_another_routers_log_proves_nothing(tmp_path: Path) -> None:
    believed = 0
    for seed in range(20):
        chance = random.Random(seed)  # noqa: S311
        starts = sorted(chance.uniform(0, 14 * 3600) for _ in range(chance.randrange(1, 5)))
        begin = datetime(2026, 6, 23, 19, 30)
        faults = []
        for second in starts:
            start = begin + timedelta(seconds=second)
            end = start + timedelta(seconds=chance.choice([30, 300, 1800]))
            faults.append(Fault(start, end, chance.random() < 0.3, "192.0.2.77"))
        form = chance.choice(["fritzbox", "mikrotik", "pfsense"])
        case = diagnosed(tmp_path, {"other": FORMS[form](faults)})
        believed += not case.intervals["cause"].equals(alone().intervals["cause"])
    assert believed <= 1


def test_what_fits_the_nat_timeout_keeps_its_cause_and_a_long_failure_is_not_made_a_restart(tmp_path: Path) -> None:
    (fault,) = FAULTS["moved"]
    boot = fault.start + timedelta(hours=2)
    text = router_logs.pfsense([fault]) + f"{boot:%b %e %H:%M:%S} fw syslogd: kernel boot file is /boot/kernel/kernel\n"
    case = diagnosed(tmp_path, {"moved": "\n".join(sorted(text.splitlines(), key=lambda line: line[:15]))})
    mine = found(case, [one for one in struck() if one["site"] == "moved"])
    assert [(row["cause"], row["router"]["says"]) for row in mine] == [("wan_outage", "wan_outage")] * 5
    told = diagnosed(tmp_path, {"cgnokB": router_logs.opnsense(FAULTS["cgnokB"])}).router
    assert told is not None
    assert told.logs[0].clock.agree == 1
    nat = case.intervals.filter(pl.col("cause") == "nat_expiry").height
    assert nat == alone().intervals.filter(pl.col("cause") == "nat_expiry").height


def test_an_outage_that_the_router_knows_nothing_of_is_told(tmp_path: Path) -> None:
    case = diagnosed(tmp_path, {site: router_logs.fritzbox(FAULTS[site]) for site in ("cgnokA", "reconnect")})
    (told,) = [finding for finding in case.findings if finding.id == "router_knows_nothing"]
    assert (told.site, told.values["losses"]) == ("203.0.113.215", 4)  # of the other router behind that address
    for language in guide.LANGUAGES:
        assert "{" not in guide.finding_text(told, guide.translator(language))


def test_json_report_and_sentences_show_what_the_router_says(tmp_path: Path) -> None:
    case = diagnosed(tmp_path, {site: router_logs.fritzbox(FAULTS[site]) for site in ("reconnect", "cgnokA")})
    told = json.loads(json_text(case))["router"]
    assert {"member", "product", "site", "clock", "first", "last", "events"} == set(told["logs"][0])
    assert {"time", "kind", "address", "site", "incident", "product", "source"} == set(told["events"][0])
    assert {"router_log", "router_contradicts", "router_confirms"} <= {finding.id for finding in case.findings}
    incident = next(event["incident"] for event in told["events"] if event["kind"] == "restart")
    assert case.incidents.filter(id=incident)["cause"].to_list() == ["router_restart"]
    for language in guide.LANGUAGES:
        tr = guide.translator(language, case.log.time_zone)
        said = [router_text(json.loads(text), tr) for text in case.intervals["evidence"]]
        assert len([text for text in said if text]) == 28
        assert not [text for text in said if "{" in text]
        page = render(case, language=language)
        assert escape(tr("What the router's own log says")) in page
        assert "198.51.100.219" in page
    page = render(case, language="de", mask=True)
    assert "198.51.100.219" not in page
    assert "Router neu gestartet" in page


def test_on_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, other = tmp_path / "liste", tmp_path / "other"
    path.write_text(router_logs.fritzbox(FAULTS["reconnect"]), "utf-8")
    other.write_text(router_logs.opnsense(FAULTS["cgnokB"]), "utf-8")
    assert main(["check", str(LOG), "--router-log", str(path), "--router-log", str(other), "--json"]) == 1
    told = json.loads(capsys.readouterr().out)["router"]["logs"]
    assert [log["site"] for log in told] == ["192.0.2.219", "203.0.113.215"]
    page = tmp_path / "report.html"
    assert main(["report", str(LOG), "--router-log", str(path), "-o", str(page)]) == 1
    assert "What the router" in page.read_text("utf-8")
    assert main(["check", str(LOG), "--router-log", str(LOG)]) == 2
    assert "wording that is known" in capsys.readouterr().err
    assert main(["lab", "--router-log", str(path), "--dry-run", "--cases", str(tmp_path / "cases")]) == 2
    assert "Name the log" in capsys.readouterr().err
    assert main(["lab", str(LOG), "--router-log", str(path), "--dry-run", "--cases", str(tmp_path / "cases")]) == 0
