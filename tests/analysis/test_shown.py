"""Only what the log can show: filtered and cut logs, silence, phones that nobody watches, comparisons of strangers."""

from __future__ import annotations

import gzip
import json
import random
import re
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zipfile import ZipFile

import polars as pl
import pytest
from recorded import case

import starface_nb as sf
from starface_nb import samples
from starface_nb.analysis import what_next
from starface_nb.analysis.compare import compare, compare_at
from starface_nb.analysis.diagnosis import Diagnosis
from starface_nb.analysis.incidents import find_incidents, regular_step
from starface_nb.cases import open_case
from starface_nb.cli import main
from starface_nb.errors import InputError
from starface_nb.guide.comparison import comparison_text
from starface_nb.guide.conclusion import headline
from starface_nb.guide.i18n import LANGUAGES, translator
from starface_nb.guide.words import finding_text, incident_text, regular
from starface_nb.observations.intervals import with_states
from starface_nb.observations.observed import OBSERVED
from starface_nb.observations.pauses import missing_parts
from starface_nb.observations.signs import inside
from starface_nb.simulation import Fault, Router, Wish, make, simulate

CASES = Path(__file__).parent / "cases"
RECORDED = Path(__file__).parents[2] / "data" / "recorded"
STAMP = re.compile(r"^\[(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d)")
Filter = Callable[[list[str]], Iterable[str]]


def lines(name: str) -> list[str]:
    return (RECORDED / name / "pbx.log").read_text().splitlines()


def diagnosed(folder: Path, text: Iterable[str], **settings: float) -> Diagnosis:
    path = folder / f"{len(list(folder.iterdir()))}.log"
    path.write_text("\n".join(text) + "\n")
    return sf.diagnose(sf.read_log(path, progress=False), **settings)


def ids(found: Diagnosis) -> set[str]:
    return {finding.id for finding in found.findings}


def verdicts(found: Diagnosis) -> dict[str, str]:
    return dict(found.sites.select("site", pl.col("verdict").cast(pl.String)).iter_rows())


def needs_action(found: Diagnosis) -> bool:
    return any(finding.severity == "action" for finding in found.findings)


def keep(pattern: str) -> Filter:
    return lambda text: [line for line in text if re.search(pattern, line)]


def drop(pattern: str) -> Filter:
    return lambda text: [line for line in text if not re.search(pattern, line)]


def later(text: list[str], delta: timedelta) -> str:
    last = max(match[1] for line in text if (match := STAMP.match(line)))
    return f"[{datetime.fromisoformat(last) + delta}] NOTICE[1] cdr.c: CDR simple logging enabled."


FILTERED: dict[str, tuple[Filter, set[str]]] = {
    "grep UNREACHABLE": (keep("(?i)unreachable"), {"reachable"}),
    "grep Reachable": (keep("Reachable"), {"unreachable"}),
    "no Reachable": (drop("is now Reachable"), {"reachable"}),
    "no UNREACHABLE": (drop("(?i)unreachable"), {"unreachable"}),
    "no state lines": (drop("is now"), {"notice"}),
    "grep Registered": (keep("Registered SIP|Added contact"), {"notice"}),
    "no NOTICE": (drop(r"NOTICE\["), {"notice"}),
    "cut at column 60": (lambda text: [line[:60] for line in text], {"unreachable", "reachable"}),
}


@pytest.mark.parametrize("form", FILTERED)
@pytest.mark.parametrize("name", ["clean", "undilated"])
def test_a_filtered_log_clears_nobody_and_says_what_is_missing(tmp_path: Path, name: str, form: str) -> None:
    change, missing = FILTERED[form]
    found = diagnosed(tmp_path, change(lines(name)))
    assert "no_expiry_seen" not in verdicts(found).values()
    assert missing <= set(found.observation.lacking.missing)
    assert "incomplete_log" in ids(found)
    assert needs_action(found)
    assert not set(found.intervals["cause"]) & {"phone_offline", "phone_restart"}


@pytest.mark.parametrize("name", ["clean", "mixed", "pjsip-clean", "kept-alive-by-probing", "one-bad-phone"])
def test_whole_logs_lack_nothing(name: str) -> None:
    found = sf.diagnose(sf.read_log(RECORDED / name / "pbx.log", progress=False))
    assert found.observation.lacking.complete
    assert found.phones.filter(~pl.col("trunk"))["probed"].all()
    OBSERVED.check(found.observation.stretches)


def test_without_verbose_lines_only_registrations_are_missing(tmp_path: Path) -> None:
    found = diagnosed(tmp_path, drop(r"VERBOSE\[")(lines("mixed")))
    assert found.observation.lacking.missing == ("registered",)
    assert "incomplete_log" not in ids(found)


def test_addresses_that_contacts_tell_are_known_without_registrations(tmp_path: Path) -> None:
    found = diagnosed(tmp_path, drop("Added contact")(lines("pjsip-clean")))
    assert found.observation.lacking.missing == ("registered",)
    assert "unknown" not in found.sites["site"]
    assert "no_registrations" not in ids(found)


def test_without_addresses_routers_that_are_too_short_are_told_beside_one_that_is_not(tmp_path: Path) -> None:
    found = diagnosed(tmp_path, drop("VERBOSE")(lines("mixed")))
    (site,) = found.sites.to_dicts()
    assert (site["site"], site["verdict"], site["estimate_s"]) == ("unknown", "too_short", None)
    assert site["probability_too_short"] > 0.99
    assert site["low_s"] < 300 <= 2700 < site["high_s"]
    assert {"too_short", "no_expiry_seen"} == set(found.eras["verdict"].cast(pl.String))
    assert "nat_too_short" in ids(found)


@pytest.mark.parametrize(("name", "minutes"), [("pjsip-mixed", 7), ("pjsip-mixed", 15), ("clean", 25)])
def test_a_log_that_ends_before_a_renewal_is_called_too_short(tmp_path: Path, name: str, minutes: int) -> None:
    text = lines(name)
    begin = datetime.fromisoformat(text[0][1:20])
    found = diagnosed(tmp_path, [line for line in text if line[1:20] < str(begin + timedelta(minutes=minutes))])
    lacking = found.observation.lacking
    assert "renewals" in lacking.missing
    assert lacking.more_would_tell
    assert set(verdicts(found).values()) == {"undetermined"}
    assert "incomplete_log" in ids(found)
    assert "cannot_tell" not in ids(found)
    assert needs_action(found)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("name", ["clean", "undilated"])
def test_lines_lost_at_random_clear_nobody(tmp_path: Path, name: str, seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311
    share = (0.9, 0.5, 0.2)[seed]
    found = diagnosed(tmp_path, [line for line in lines(name) if chance.random() < share])
    assert "no_expiry_seen" not in verdicts(found).values()
    assert needs_action(found)


@pytest.mark.parametrize("name", ["clean", "undilated"])
def test_one_phones_lines_clear_nobody(tmp_path: Path, name: str) -> None:
    whole = sf.diagnose(sf.read_log(RECORDED / name / "pbx.log", progress=False))
    found = diagnosed(tmp_path, keep(re.escape(whole.intervals["peer"][0]))(lines(name)))
    assert "no_expiry_seen" not in verdicts(found).values()
    assert "others" in found.observation.lacking.missing
    assert needs_action(found)


@pytest.mark.parametrize("hours", [1, 7, 90])
@pytest.mark.parametrize("name", ["clean", "undilated", "pjsip-clean"])
def test_an_unrelated_line_after_the_end_is_no_cure(tmp_path: Path, name: str, hours: int) -> None:
    text = lines(name)
    found = diagnosed(tmp_path, [*text, later(text, timedelta(hours=hours))])
    whole = sf.diagnose(sf.read_log(RECORDED / name / "pbx.log", progress=False))
    assert verdicts(found) == verdicts(whole)
    assert "timeout_fixed" not in ids(found)


def test_lines_of_a_clock_that_was_not_set_change_nothing(tmp_path: Path) -> None:
    text, boot = lines("clean"), "NOTICE[1] cdr.c: CDR simple logging enabled."
    early = [f"[1970-01-01 00:00:{second:02d}] {boot}" for second in range(40)]
    ahead = [*text[:300], f"[2038-01-01 00:00:00] {boot}", *text[300:]]
    for changed in ([*early, *text], ahead):
        found = diagnosed(tmp_path, changed)
        assert found.log.first is not None
        assert found.log.first.year == 2026
        assert verdicts(found) == {"203.0.113.11": "too_short"}


@pytest.mark.parametrize("name", ["clean", "undilated"])
def test_a_level_switched_off_in_the_middle_is_no_cure(tmp_path: Path, name: str) -> None:
    text = lines(name)
    found = diagnosed(tmp_path, [*text[: len(text) // 2], *drop("is now")(text[len(text) // 2 :])])
    assert "no_expiry_seen" not in verdicts(found).values()
    assert "notice" in found.observation.lacking.missing
    assert needs_action(found)


@pytest.mark.parametrize("seed", [101, 104])
def test_the_quiet_after_a_real_fix_is_no_hole(seed: int) -> None:
    found = sf.diagnose(simulate(make("router_fixed", seed), seed).log)
    assert found.eras["verdict"].to_list() == ["too_short", "no_expiry_seen"]
    assert verdicts(found) == {"203.0.113.1": "no_expiry_seen"}


def test_phones_judged_with_a_site_have_its_verdict() -> None:
    found = sf.diagnose(simulate(make("router_fixed", 33, Wish(phones=5, hours=12.0)), 33).log)
    assert verdicts(found) == {"203.0.113.1": "no_expiry_seen", "unknown": "no_expiry_seen"}


def test_filtered_hours_are_not_observed(tmp_path: Path) -> None:
    gap = [line for line in lines("clean") if not "12:00" <= line[12:17] < "17:00"]
    found = diagnosed(tmp_path, gap)
    holes = found.observation.stretches.filter(~pl.col("whole"))
    assert holes["peer"].n_unique() == 12
    assert ((holes["end"] - holes["start"]) > timedelta(hours=4)).all()


def test_what_is_lost_where_lines_about_reachability_end_is_counted_up_to_there(tmp_path: Path) -> None:
    text, cut = lines("clean"), "2026-03-03 15:00:00"
    early, late = ([line for line in text if (line[1:20] < cut) is first] for first in (True, False))
    whole, deaf = case("clean"), diagnosed(tmp_path, early + drop(r" NOTICE\[")(late))
    before = whole.intervals.head(deaf.intervals.height)
    end = deaf.intervals["end"].max()
    told = before.select((pl.col("end").clip(upper_bound=end) - pl.col("start")).dt.total_seconds())
    assert deaf.intervals["seconds"].equals(told.to_series().cast(pl.Float64).alias("seconds"))
    assert deaf.phones["unreachable_s"].sum() == deaf.intervals["seconds"].sum()
    assert not {"still_unreachable", "registers_while_lost"} & ids(deaf)
    assert "counted up to then only" in " ".join(finding_text(f, translator()) for f in deaf.findings)


def test_what_the_pbx_threw_away_is_not_observed(tmp_path: Path) -> None:
    text = lines("clean")
    place = next(i for i, line in enumerate(text) if line[12:17] > "12:00")
    told = f"[{text[place][1:20]}] WARNING[7] logger.c: Logging resumed.  11 messages discarded."
    for part, holes in ((text, 0), ([*text[:place], told, *text[place:]], 12)):
        seen = diagnosed(tmp_path, part).observation
        assert seen.stretches.filter(~pl.col("whole"))["peer"].n_unique() == holes
        assert seen.lacking.complete


def test_what_a_limit_of_the_journal_dropped_is_named_and_no_phone_is_blamed_for_it(tmp_path: Path) -> None:
    chance, name = random.Random(4), "systemd-journald[311]:"  # noqa: S311
    half = [line for line in lines("one-bad-phone") if chance.random() < 0.5]
    told = [f"[{line[1:20]}] {name} Suppressed 30 messages from asterisk.service" for line in half[9::20]]
    found = diagnosed(tmp_path, sorted(half + told, key=lambda line: line[1:20]))
    assert "discarded" in found.observation.lacking.missing
    assert not {"not_probed", "registers_while_lost"} & ids(found)
    incomplete = next(finding_text(f, translator()) for f in found.findings if f.id == "incomplete_log")
    assert "RateLimitBurst" in incomplete
    assert "Switch on NOTICE" not in incomplete


def test_one_probed_phone_among_many_is_not_blamed(tmp_path: Path) -> None:
    text = lines("clean")
    peer = sf.diagnose(sf.read_log(RECORDED / "clean" / "pbx.log", progress=False)).intervals["peer"][0]
    found = diagnosed(tmp_path, [line for line in text if "is now" not in line or peer in line])
    assert found.phones["probed"].to_list().count(False) == 11
    assert {"not_probed"} <= ids(found)
    assert "one_bad_phone" not in ids(found)
    assert "no_expiry_seen" not in verdicts(found).values()


@pytest.mark.parametrize("seconds", [60.0, 600.0, 1800.0])
def test_phones_that_renew_every_hour_contradict_a_shorter_keepalive(seconds: float) -> None:
    found = sf.diagnose(sf.read_log(RECORDED / "clean" / "pbx.log", progress=False), keepalive_s=seconds)
    assert found.findings[0].id == "keepalive_contradicted"
    assert found.findings[0].values == {"given_s": seconds, "measured_s": 3600.0}
    assert verdicts(found) == {"203.0.113.11": "too_short"}
    assert found.settings.recommended_timeout_s == 3660.0


# -- small logs --------------------------------------------------------------------------------------------------------


def small(name: str) -> Diagnosis:
    return sf.diagnose(sf.read_log(CASES / f"{name}.log", progress=False))


@pytest.mark.parametrize("name", ["only_unreachable", "no_notice"])
def test_small_filtered_logs(name: str) -> None:
    found = small(name)
    assert set(verdicts(found).values()) == {"undetermined"}
    assert "incomplete_log" in ids(found)
    assert what_next(found).id == "whole_log"


@pytest.mark.parametrize("name", ["registers_but_never_answers", "one_phone_others_were_not", "pbx_restart"])
def test_a_phone_that_never_answers_is_neither_off_nor_restarted(name: str) -> None:
    found = small(name)
    assert "never_answers" in ids(found)
    assert set(found.intervals["cause"]) == {"unknown"}
    assert "one_bad_phone" not in ids(found)
    assert needs_action(found)


def test_refused_registrations_are_told_and_the_account_is_a_phone() -> None:
    found = small("refused")
    refused = next(finding for finding in found.findings if finding.id == "refused_registrations")
    assert (refused.values["refused"], refused.values["reason"], refused.severity) == (3, "Wrong password", "action")
    assert found.phones.select("peer", "ever_registered", "refused").rows() == [("24", False, 3)]


def test_only_refused_authentication_may_lead_to_a_block(tmp_path: Path) -> None:
    text = (
        "NOTICE[1] res_pjsip_registrar.c: Registration attempt from endpoint '21' (203.0.113.7:5060) to AOR '21' "
        "will exceed max contacts of 1"
    )
    found = diagnosed(tmp_path, [f"[2026-03-04 08:{minute:02d}:00] {text}" for minute in range(9)])
    assert "refused_otherwise" in ids(found)
    assert "refused_registrations" not in ids(found)


def test_guessed_accounts_are_no_phones(tmp_path: Path) -> None:
    guessed = "NOTICE[1] chan_sip.c: Registration from '<sip:{n}@x>' failed for '198.51.100.9:5060' - Wrong password"
    tried = [f"[2026-03-03 12:00:{n % 60:02d}] " + guessed.format(n=n) for n in range(500)]
    found = diagnosed(tmp_path, sorted([*lines("clean"), *tried], key=lambda line: line[1:20]))
    assert found.phones.height == 12
    assert not {"refused_registrations", "refused_otherwise"} & ids(found)


def test_late_answers_are_counted() -> None:
    found = small("late_answers_sip")
    assert "late_answers" in ids(found)
    assert found.phones["late"].min() >= 2  # type: ignore[operator]


def test_private_addresses_are_one_group_without_advice_on_a_router() -> None:
    found = small("private_addresses")
    assert verdicts(found) == {"private addresses": "undetermined"}
    assert set(found.intervals["cause"]) == {"wan_outage"}
    told = " ".join(finding_text(finding, translator("en")) for finding in found.findings)
    assert "router" not in told


def test_losses_with_registrations_inside_are_not_the_phones_absence(tmp_path: Path) -> None:
    text = ["[2026-03-04 08:00:00] NOTICE[1] chan_sip.c: Peer '21' is now Reachable. (30ms / 2000ms)",
            "[2026-03-04 09:00:00] NOTICE[1] chan_sip.c: Peer '21' is now UNREACHABLE!  Last qualify: 30",
            *(f"[2026-03-04 {hour}:00:00] VERBOSE[1] chan_sip.c: Registered SIP '21' at 203.0.113.7:{hour}000"
              for hour in (10, 11, 12)),
            "[2026-03-04 13:00:00] NOTICE[1] chan_sip.c: Peer '22' is now Reachable. (30ms / 2000ms)"]  # fmt: skip
    found = diagnosed(tmp_path, text)
    assert "registers_while_lost" in ids(found)
    assert found.intervals["cause"].to_list() == ["unknown"]


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ('VERBOSE[2][C-{n:08x}] pbx.c: Executing [30@a:1] NoOp("SIP/21-{n:08x}", "") in new stack', True),
        ("VERBOSE[2][C-{n:08x}] app_dial.c: SIP/21-{n:08x} answered SIP/22-0000ffff", True),
        ("VERBOSE[2][C-{n:08x}] app_dial.c: Called SIP/21", False),
        (
            'VERBOSE[2][C-{n:08x}] pbx.c: Executing [30@a:1] NoOp("SIP/22-{n:08x}", "SIP/21-0000ffff") in new stack',
            False,
        ),
    ],
)
def test_a_phone_that_telephones_while_lost_is_not_off(tmp_path: Path, line: str, told: bool) -> None:
    state = "NOTICE[1] chan_sip.c: Peer '{}' is now {}"
    text = [f"[2026-03-04 09:0{n}:07] " + state.format(20 + n, "Reachable. (30ms / 2000ms)") for n in range(1, 7)]
    text.append("[2026-03-04 09:10:00] " + state.format("21", "UNREACHABLE!  Last qualify: 30"))
    text += [f"[2026-03-04 {hour}:30:00] " + line.format(n=hour) for hour in range(10, 16)]
    text.append("[2026-03-04 16:00:00] " + state.format("21", "Reachable. (30ms / 2000ms)"))
    found = diagnosed(tmp_path, text)
    assert ("telephones_while_lost" in ids(found)) is told
    assert (found.intervals["cause"].to_list() == ["unknown"]) is told


def rotated(folder: Path, parts: dict[str, list[str]]) -> Diagnosis:
    for name, text in parts.items():
        (folder / name).write_text("\n".join(text) + "\n")
    return sf.diagnose(sf.read_log(folder, progress=False))


@pytest.mark.parametrize("name", ["clean", "pjsip-clean"])
@pytest.mark.parametrize("numbers", [range(9, -1, -1), range(10)])
def test_the_hole_of_a_rotated_log_is_named_and_nothing_is_told_of_it(
    tmp_path: Path, name: str, numbers: Iterable[int]
) -> None:
    text, whole = lines(name), case(name)
    parts = {f"full.{n}": text[i * 90 : (i + 1) * 90 if i < 9 else None] for i, n in enumerate(numbers)}
    found = rotated(tmp_path, parts)
    own = ["peer", "start", "end", "cause", "confidence", "ended_by"]
    assert found.intervals.select(own).equals(whole.intervals.select(own))
    assert found.phones.equals(whole.phones)
    assert found.cycles.equals(whole.cycles)
    assert found.observation.lacking.complete

    for forgotten in list(parts)[3:6]:
        (tmp_path / forgotten).unlink()
    found = sf.diagnose(sf.read_log(tmp_path, progress=False))
    (hole,) = (finding.values for finding in found.findings if finding.id == "missing_parts")
    start, end = hole["from_at"], hole["until_at"]
    assert found.observation.lacking.missing == ("parts",)
    assert found.observation.usable.filter(pl.col("start") < end, pl.col("end") > start).is_empty()
    assert found.intervals.filter(pl.col("start") <= start, ~(pl.col("end") <= start)).is_empty()
    cut = found.intervals.filter(pl.col("end") == start, pl.col("ended_by") == "open")
    told = cut.join(whole.intervals, on=["peer", "start", "cause"], how="inner")
    assert told.height == cut.height > 2
    assert (told["seconds"] <= told["seconds_right"]).all()
    assert verdicts(found) == verdicts(whole)


@pytest.mark.parametrize(
    ("names", "holes"),
    [
        ("full.3 full.2 full.1 full", 0),  # a quiet night at each rotation
        ("full.0 full.1 full.2 full", 0),
        ("full.9.bz2 full.8.bz2 full.1 full", 1),
        ("full.0 full.1 full.5 full", 1),
        ("full.9 full.8 full", 1),
        ("full.5 full", 1),  # the newest part, or the fifth: a day is missing between them
        ("full.1 full", 0),
        ("full.4 full.5 full.0 full", 0),  # the oldest were deleted, and their numbers given anew
        ("full-20260301 full-20260302 full-20260303 full", 0),
        ("full-20260301 full-20260302 full-20260305 full", 1),
        ("a.9 a.8 a.1", 0),
    ],
)
def test_a_hole_is_where_numbers_or_days_do_not_follow_each_other(tmp_path: Path, names: str, holes: int) -> None:
    def text(day: int) -> list[str]:
        times = (f"2026-03-{day:02} {hour:02}:00:00" for hour in (8, 18))
        return [f"[{time}] NOTICE[1] chan_sip.c: Peer '101' is now Reachable. (30ms / 2000ms)" for time in times]

    days = {name: int(name[-2:]) if "2026" in name else i + 1 for i, name in enumerate(names.split())}
    found = rotated(tmp_path, {name: text(max(days.values()) + 1 if name == "full" else days[name]) for name in days})
    assert found.observation.lacking.gaps.height == holes
    assert ("parts" in found.observation.lacking.missing) == bool(holes)


@pytest.mark.parametrize(
    ("name", "end", "go_on", "holes"),
    [
        ("clean", "03-03 11:00", "03-03 17:00", 1),
        ("clean", "03-03 11:00", "03-03 11:00", 0),  # numbers may go up: the newest part, and what is written now
        ("clean", "03-03 11:00", "03-03 11:40", 0),
        ("one-bad-phone", "03-10 11:00", "03-10 11:00", 0),  # a quiet log, and one of its pauses
    ],
)
def test_one_number_alone_tells_a_hole_where_the_log_is_silent_for_too_long(
    tmp_path: Path, name: str, end: str, go_on: str, holes: int
) -> None:
    text = lines(name)
    parts = {"full.2": [one for one in text if one[6:17] < end], "full": [one for one in text if one[6:17] >= go_on]}
    found = rotated(tmp_path, parts)
    gaps = found.observation.lacking.gaps
    assert gaps.height == ("missing_parts" in ids(found)) == holes
    through = found.intervals.join(gaps.rename({"start": "from", "end": "to"}), how="cross")
    assert through.filter(pl.col("start") <= pl.col("from"), ~(pl.col("end") <= pl.col("from"))).is_empty()


def test_of_a_site_that_cannot_be_told_no_small_probability_is_told() -> None:
    found = sf.diagnose(simulate(make("mixed", 1, Wish(phones=2, hours=2.0)), 1).log)
    assert set(found.sites["verdict"]) == {"undetermined"}
    for frame in (found.sites, found.eras):
        assert (frame["probability_too_short"] >= 0.3).all()


@pytest.mark.parametrize(("starts", "noise"), [(False, 30.0), (False, 0.0), (True, 30.0)])
def test_a_silence_far_longer_than_any_other_is_a_hole(tmp_path: Path, starts: bool, noise: float) -> None:
    drawn = make("plain", 3, Wish(phones=10, hours=8.0, timeout_s=900.0))
    made = simulate(replace(drawn, style=replace(drawn.style, noise=noise)), 3).lines
    later = [line.replace(line[1:11], "2026-11-23", 1) for line in made]
    if starts:
        later.insert(1, f"{later[0][:21]} VERBOSE[1] pbx.c: Asterisk PBX Core Initializing")
    (tmp_path / "one.log").write_text("\n".join([*made, *later]) + "\n")
    found = sf.diagnose(sf.read_log(tmp_path / "one.log", progress=False))
    assert found.observation.lacking.gaps.height == ("missing_parts" in ids(found)) == 1
    longest = found.intervals["seconds"].max()
    assert isinstance(longest, float)
    assert longest < 8 * 3600


def test_a_long_outage_in_a_log_without_other_lines_is_no_hole(tmp_path: Path) -> None:
    drawn = make("plain", 3, Wish(phones=10, hours=8.0, timeout_s=900.0))
    made = simulate(replace(drawn, style=replace(drawn.style, noise=0.0)), 3).lines
    peers = case_of(made, tmp_path).phones["peer"].to_list()
    last, zero = made[-1][:21], "2026-11-23 08:00:0"
    out = [f"{last} NOTICE[1] chan_sip.c: Peer '{peer}' is now UNREACHABLE!  Last qualify: 9" for peer in peers]
    out += [
        f"[{zero}{n % 10}] NOTICE[1] chan_sip.c: Peer '{p}' is now Reachable. (9ms / 2000ms)"
        for n, p in enumerate(peers)
    ]
    found = case_of([*made, *out, *(line.replace(line[1:11], "2026-11-23", 1) for line in made)], tmp_path)
    assert found.observation.lacking.gaps.is_empty()
    assert found.intervals.filter(pl.col("seconds") > 9 * 3600).height == len(peers)


@pytest.mark.parametrize(("noise", "holes"), [(2.0, 1), (0.5, 0)])  # with other lines missing, or hardly any
def test_thirty_hours_without_a_line_are_named_and_nobody_is_gone_for_good_after_them(
    tmp_path: Path, noise: float, holes: int
) -> None:
    drawn = make("plain", 3, Wish(phones=6, hours=96.0, timeout_s=1200.0))
    cure = Fault("router_change", 9e4, 9e4, drawn.sites[0].name, values={"router": Router(7200.0), "keep": True})
    made = simulate(replace(drawn, faults=(cure,), style=replace(drawn.style, noise=noise)), 3).lines
    begin = datetime.fromisoformat(made[0][1:20])
    hours = [(datetime.fromisoformat(line[1:20]) - begin) / timedelta(hours=1) for line in made]
    found = case_of([line for line, hour in zip(made, hours, strict=True) if not 20 <= hour < 50], tmp_path)
    assert found.observation.lacking.gaps.height == ("missing_parts" in ids(found)) == holes
    assert ("silence" in ids(found)) == (not holes)
    assert "most phones" not in headline(found, translator())
    for one in found.findings:
        assert one.id != "still_unreachable" or not holes
        assert one.id != "site_gone" or one.values["told_as"] == "site_silent"


def case_of(text: list[str], folder: Path) -> Diagnosis:
    (folder / "one.log").write_text("\n".join(text) + "\n")
    return sf.diagnose(sf.read_log(folder / "one.log", progress=False))


@pytest.mark.parametrize("renamed", [0, 12])
def test_files_whose_phones_are_at_other_addresses_and_only_some_by_the_same_names_are_two_customers(
    tmp_path: Path, renamed: int
) -> None:
    text = samples.recorded("clean").read_text("utf-8")
    later = text.replace("2026-03-0", "2026-04-0").replace("203.0.113.", "192.0.2.")
    for name in case("clean").phones["peer"].to_list()[:renamed]:
        later = later.replace(name, f"9{name}")
    (tmp_path / "a.log").write_text(text)
    (tmp_path / "b.log").write_text(later)
    log = sf.read_log(tmp_path, progress=False)
    if renamed:
        with pytest.raises(InputError, match="two customers'"):
            sf.diagnose(log)
    else:
        assert sf.diagnose(log).phones.height == case("clean").phones.height


@pytest.mark.parametrize("name", ["clean", "pjsip-mixed", "fixed-router"])
def test_what_a_damaged_part_of_a_rotated_log_does_not_hold_is_a_hole(tmp_path: Path, name: str) -> None:
    text = lines(name)
    third = len(text) // 3
    parts = [gzip.compress("\n".join(text[n * third : (n + 1) * third]).encode()) for n in range(3)]
    parts[1] = parts[1][: len(parts[1]) // 2]
    for number, part in zip((3, 2, 1), parts, strict=True):
        (tmp_path / f"full.{number}.gz").write_bytes(part)
    log = sf.read_log(tmp_path, progress=False)
    found = sf.diagnose(log)
    (hole,) = (finding.values for finding in found.findings if finding.id == "missing_parts")
    start, end = hole["from_at"], hole["until_at"]
    assert found.observation.lacking.missing == ("parts", "rest")
    last = log.events.filter(pl.col("file") == log.files[1].name)["time"][-1]
    assert timedelta(0) <= start - last < timedelta(minutes=5)
    assert log.events.filter(pl.col("time") > start)["time"][0] >= end
    assert found.observation.usable.filter(pl.col("start") < end, pl.col("end") > start).is_empty()
    assert found.intervals.filter(pl.col("start") <= start, ~(pl.col("end") <= start)).is_empty()

    first, damaged, newest = log.files
    unread = replace(log, files=(first, newest, replace(damaged, lines=0)))  # as where bytes are wrong
    assert missing_parts(unread, with_states(unread.events)).height == 1


@pytest.mark.parametrize("broken", [True, False])
def test_a_part_that_ends_within_a_line_was_broken_off_where_another_follows(tmp_path: Path, broken: bool) -> None:
    text = lines("clean")
    parts = {"full.2": text[:220], "full.1": text[220:300], "full": [*text[440:-1], text[-1][:40]]}
    parts["full.1"][-1] = parts["full.1"][-1][: 40 if broken else None]
    for name, part in parts.items():
        (tmp_path / name).write_text("\n".join(part))
    found = sf.diagnose(sf.read_log(tmp_path, progress=False))
    assert found.observation.lacking.gaps.height == broken


@pytest.mark.parametrize("names", [("a.log", "b.log"), ("full.1", "full"), ("a/full", "b/full"), ("full", "a.zip")])
def test_logs_without_a_common_phone_are_not_judged_together(tmp_path: Path, names: tuple[str, str]) -> None:
    for name, text in zip(names, (lines("pjsip-clean"), lines("clean")), strict=True):
        (path := tmp_path / name).parent.mkdir(exist_ok=True)
        if path.suffix == ".zip":
            with ZipFile(path, "w") as archive:
                archive.writestr("full.1", "\n".join(text))
        else:
            path.write_text("\n".join(text))
    paths = [str(tmp_path / name) for name in names]
    with pytest.raises(InputError, match="few phones or none in common"):
        sf.diagnose(sf.read_log(paths, progress=False))
    with pytest.raises(InputError, match="few phones or none in common"):
        open_case(paths, folder=tmp_path / "case")
    for command in ("events", "anonymise"):
        assert main([command, *paths, "-o", str(tmp_path / "case")]) == 2
    assert not (tmp_path / "case").exists()


@pytest.mark.parametrize(("common", "refused"), [("1110[1-5]", True), ("1110[1-6]", False)])
def test_logs_of_the_same_hours_with_few_phones_in_common_are_not_judged_together(
    tmp_path: Path, common: str, refused: bool
) -> None:
    def stranger(line: str) -> str:
        # of phones in common, both tell the same, as the logs of one PBX do
        line = STAMP.sub(lambda at: f"[{datetime.fromisoformat(at[1]) + timedelta(seconds=2)}", line)
        return re.sub(rf"'(?!{common})111", "'222", line)

    (tmp_path / "one.log").write_text("\n".join(lines("clean")))
    (tmp_path / "two.log").write_text("\n".join(map(stranger, keep("NOTICE")(lines("clean")))))
    log = sf.read_log(tmp_path, progress=False)
    if refused:
        with pytest.raises(InputError, match="few phones or none in common"):
            sf.diagnose(log)
    else:
        assert sf.diagnose(log).phones.height == 18


@pytest.mark.parametrize("name", ["clean", "pjsip-clean", "lines-and-addresses"])
def test_a_search_for_losses_beside_one_for_registrations_is_of_one_customer(tmp_path: Path, name: str) -> None:
    (tmp_path / "lost.log").write_text("\n".join(keep("(?i)unreachable")(lines(name))))
    (tmp_path / "registered.log").write_text("\n".join(drop("(?i)reachable")(lines(name))))
    assert sf.diagnose(sf.read_log(tmp_path, progress=False)).intervals.height


@pytest.mark.parametrize("since", [0, 100])
def test_what_was_searched_for_one_phone_beside_the_log_is_of_one_customer(tmp_path: Path, since: int) -> None:
    text = lines("clean")
    (tmp_path / "one.log").write_text("\n".join([text[0], *keep("'11101")(text)]))
    (tmp_path / "full").write_text("\n".join(text[since:]))
    found = sf.diagnose(sf.read_log([tmp_path / "one.log", tmp_path / "full"], progress=False))
    assert found.phones["peer"].equals(case("clean").phones["peer"])
    assert since or found.intervals["start", "end", "cause"].equals(case("clean").intervals["start", "end", "cause"])


def test_a_rotated_log_is_one_whichever_phones_its_parts_name(tmp_path: Path) -> None:
    text, noon = lines("clean"), "2026-03-03 15:00:00"
    (tmp_path / "full.1").write_text("\n".join(drop(r"'111(0[789]|1\d)")([one for one in text if one[1:20] < noon])))
    (tmp_path / "full").write_text("\n".join(drop(r"'1110[1-6]")([one for one in text if one[1:20] >= noon])))
    found = sf.diagnose(sf.read_log(tmp_path, progress=False))
    assert found.phones.height == 12
    assert list(verdicts(found).values()) == ["too_short"]


# -- before and after --------------------------------------------------------------------------------------------------


def moved(text: Iterable[str], days: int) -> list[str]:
    def shift(match: re.Match[str]) -> str:
        return f"[{datetime.fromisoformat(match[1]) + timedelta(days=days)}"

    return [STAMP.sub(shift, line) for line in text]


def reason(before: Diagnosis, after: Diagnosis) -> tuple[str, set[str]]:
    found = compare(before, after)
    for language in LANGUAGES:
        assert "{" not in "\n".join(comparison_text(found, translator(language)))
    return found.verdict, {site.reason for site in found.sites}


@pytest.fixture(scope="module")
def clean() -> Diagnosis:
    return sf.diagnose(sf.read_log(RECORDED / "clean" / "pbx.log", progress=False))


@pytest.mark.parametrize("other", ["pjsip-clean", "one-bad-phone", "undilated"])
def test_strangers_are_not_compared(clean: Diagnosis, other: str) -> None:
    stranger = sf.diagnose(sf.read_log(RECORDED / other / "pbx.log", progress=False))
    for pair in ((clean, stranger), (stranger, clean)):
        verdict, why = reason(*pair)
        assert verdict == "cannot_tell"
        assert why <= {"no_common_phone", "older"}


@pytest.mark.parametrize("days", [0, 9])
def test_a_log_without_its_phones_proves_nothing(clean: Diagnosis, tmp_path: Path, days: int) -> None:
    bare = moved(drop(r"is now|\d\.[a-z]+\d")(lines("clean")), days)
    assert reason(clean, diagnosed(tmp_path, bare)) == ("cannot_tell", {"no_phone"})
    silent = moved(drop(r" NOTICE\[")(lines("clean")), days)
    assert reason(clean, diagnosed(tmp_path, silent)) == ("cannot_tell", {"incomplete"})  # its phones register in it


def test_where_lines_are_missing_neither_a_cure_nor_a_change_is_told(tmp_path: Path) -> None:
    text, cut = lines("clean"), "2026-03-03 15:00:00"
    early, late = ([line for line in text if (line[1:20] < cut) is first] for first in (True, False))
    chance = random.Random(3)  # noqa: S311
    after = diagnosed(tmp_path, [line for line in late if chance.random() < 0.1])
    found = compare(diagnosed(tmp_path, early), after)
    assert (found.verdict, found.probability, found.hours_needed) == ("cannot_tell", 0.5, None)
    assert "The log from after the change is not complete: " in "\n".join(comparison_text(found, translator()))
    deaf = diagnosed(tmp_path, early + drop(r" NOTICE\[")(late))
    found = compare_at(deaf, datetime.fromisoformat(f"{cut}+01:00"))
    told = "\n".join(comparison_text(found, translator()))
    assert "This log is not complete: lines about reachability" in told
    assert "The timeout is now" not in told
    assert "No change was named" not in told


def test_the_older_log_is_no_after(clean: Diagnosis, tmp_path: Path) -> None:
    week = diagnosed(tmp_path, moved(lines("clean"), 7))
    assert reason(week, clean) == ("cannot_tell", {"older"})
    assert compare(clean, week).verdict == "unchanged"


@pytest.mark.parametrize("name", ["clean", "one-bad-phone", "pjsip-clean"])
def test_a_log_is_no_after_of_itself(name: str, tmp_path: Path) -> None:
    log = RECORDED / name / "pbx.log"
    packed = tmp_path / "copy.gz"
    packed.write_bytes(gzip.compress(log.read_bytes()))
    one, other = (sf.diagnose(sf.read_log(path, progress=False)) for path in (log, packed))
    assert reason(one, other) == ("cannot_tell", {"same"})
    found = compare(one, one)
    assert not found.settled
    assert "Both are the same log" in "\n".join(comparison_text(found, translator("en")))


def test_phones_that_only_telephone_afterwards_are_cured(clean: Diagnosis, tmp_path: Path) -> None:
    peers, start = clean.phones["peer"].to_list(), datetime(2026, 3, 20)
    calls = [
        f"[{start + timedelta(minutes=4 * n)}] VERBOSE[2][C-{n:08x}] pbx.c: Executing [200@a:1] "
        f'NoOp("SIP/{peers[n % len(peers)]}-{n:08x}", "") in new stack'
        for n in range(600)
    ]
    assert reason(clean, diagnosed(tmp_path, calls)) == ("fixed", {"no_losses"})
    assert reason(clean, diagnosed(tmp_path, [call.replace("/1", "/9") for call in calls]))[0] == "cannot_tell"


def test_calls_without_the_level_of_losses_are_no_cure(tmp_path: Path) -> None:
    text = lines("clean")
    begin, later_on = datetime.fromisoformat(text[0][1:20]), datetime(2026, 3, 20)
    told = "NOTICE[77] res_odbc.c: Connection pool renewed"
    before = [*text, *(f"[{begin + timedelta(hours=n)}] {told}" for n in range(9))]
    found = diagnosed(tmp_path, sorted(before, key=lambda line: line[1:20]))
    peers = found.phones["peer"].to_list()
    calls = [
        f"[{later_on + timedelta(minutes=4 * n)}] VERBOSE[2][C-{n:08x}] pbx.c: Executing [200@a:1] "
        f'NoOp("SIP/{peers[n % len(peers)]}-{n:08x}", "") in new stack'
        for n in range(600)
    ]
    assert compare(found, diagnosed(tmp_path, calls)).verdict == "cannot_tell"
    notices = [f"[{later_on + timedelta(hours=n)}] {told}" for n in range(40)]
    both = sorted([*calls, *notices], key=lambda line: line[1:20])
    assert compare(found, diagnosed(tmp_path, both)).verdict == "fixed"


def losses_gone(text: list[str], since: float) -> list[str]:
    at = int(since * len(text))
    return [*text[:at], *drop("(?i)is now unreachable")(text[at:])]


@pytest.mark.parametrize(("name", "since"), [("pjsip-clean", 0.0), ("pjsip-clean", 0.6), ("clean", 0.85)])
def test_losses_filtered_from_some_point_on_are_missing(tmp_path: Path, name: str, since: float) -> None:
    found = diagnosed(tmp_path, losses_gone(lines(name), since))
    assert "unreachable" in found.observation.lacking.missing
    assert "no_expiry_seen" not in verdicts(found).values()


def test_a_search_for_both_directions_and_lines_cut_off_are_called_so(tmp_path: Path) -> None:
    kept = [line for line in lines("mixed") if re.search("UNREACHABLE|Reachable", line)]
    assert diagnosed(tmp_path, kept).observation.lacking.missing == ("registered", "searched")
    lacking = diagnosed(tmp_path, [line[:80] for line in lines("clean")]).observation.lacking
    assert "cut" in lacking.missing
    assert not {"unreachable", "reachable"} & set(lacking.missing)


@pytest.mark.parametrize(("name", "until"), [("clean", 1.0), ("mixed", 1.0), ("fixed-router", 0.5)])
def test_stamps_without_seconds_decide_nothing(tmp_path: Path, name: str, until: float) -> None:
    text = lines(name)
    at = int(until * len(text))  # where the format was changed
    coarse = [STAMP.sub(lambda found: found[0][:-2] + "00", line) for line in text[:at]]
    found = diagnosed(tmp_path, coarse + text[at:])
    assert found.observation.lacking.missing == ("seconds",)
    assert "dateformat" in next(finding_text(f, translator()) for f in found.findings if f.id == "incomplete_log")
    assert "pbx_trouble" not in ids(found)
    assert set(verdicts(found).values()) == {"undetermined"}
    assert found.sites["low_s", "high_s"].null_count().row(0) == (found.sites.height,) * 2
    assert set(found.intervals.filter(~pl.col("trunk"))["cause"]) == {"unknown"}
    assert what_next(found).id == "seconds"
    assert compare(found, diagnosed(tmp_path, text[at // 2 :])).verdict == "cannot_tell"


def hourly(phones: int, hours: int, apart: int, lost_s: int) -> list[str]:
    """Return a log of phones that come `apart` minutes after each other and lose their entries after a quarter."""
    text = list[tuple[datetime, str]]()
    for phone in range(phones):
        name, begin = f"500{phone}.snom720", datetime(2026, 3, 14, 12, apart * phone)
        for hour in range(hours):
            at = begin + timedelta(hours=hour)
            text.append((at, f"VERBOSE[1400] chan_sip.c: Registered SIP '{name}' at 203.0.113.241:2000{phone}"))
            text.append((at, f"NOTICE[1400] chan_sip.c: Peer '{name}' is now Reachable. (27ms / 2000ms)"))
            gone = f"NOTICE[1400] chan_sip.c: Peer '{name}' is now UNREACHABLE!  Last qualify: 33"
            text.append((at + timedelta(minutes=15, seconds=lost_s), gone))
    return [f"[{at}] {told}" for at, told in sorted(text)]


def test_a_few_moments_all_at_full_minutes_decide_nothing(tmp_path: Path) -> None:
    assert set(verdicts(diagnosed(tmp_path, hourly(20, 3, 0, 7))).values()) == {"too_short"}
    found = diagnosed(tmp_path, hourly(20, 3, 0, 0))
    assert found.observation.lacking.missing == ("seconds",)
    assert set(verdicts(found).values()) == {"undetermined"}


def test_the_last_few_losses_filtered_are_missing(tmp_path: Path) -> None:
    whole = hourly(4, 8, 10, 4)
    found = diagnosed(tmp_path, whole)
    assert found.observation.lacking.complete
    assert set(verdicts(found).values()) == {"too_short"}
    found = diagnosed(tmp_path, losses_gone(whole, 0.8))
    assert "unreachable" in found.observation.lacking.missing
    assert "no_expiry_seen" not in verdicts(found).values()


def test_a_filtered_second_log_is_no_cure(clean: Diagnosis, tmp_path: Path) -> None:
    week = moved(lines("clean"), 7)
    for form in ("grep UNREACHABLE", "grep Reachable", "no UNREACHABLE", "no state lines", "no NOTICE"):
        assert compare(clean, diagnosed(tmp_path, FILTERED[form][0](week))).verdict == "cannot_tell"


def test_one_log_continuing_the_other_is_compared(tmp_path: Path) -> None:
    text = lines("fixed-router")
    before = diagnosed(tmp_path, [line for line in text if line[12:20] < "12:50:00"])
    after = diagnosed(tmp_path, [line for line in text if line[12:20] >= "12:50:00"])
    assert compare(before, after).verdict == "fixed"
    whole = sf.diagnose(sf.read_log(RECORDED / "fixed-router" / "pbx.log", progress=False))
    assert compare_at(whole).verdict == "fixed"


@pytest.mark.parametrize("hours", [0, 2, 60])
def test_customers_whose_phones_have_the_same_names_are_not_mixed(tmp_path: Path, hours: int) -> None:
    other = [line.replace("203.0.113.", "198.51.100.") for line in moved(lines("clean"), 0)]
    later_on = [
        STAMP.sub(lambda at: f"[{datetime.fromisoformat(at[1]) + timedelta(hours=hours)}", one) for one in other
    ]
    (tmp_path / "one.log").write_text("\n".join(lines("clean")) + "\n")
    (tmp_path / "two.log").write_text("\n".join(later_on) + "\n")
    log = sf.read_log(tmp_path, progress=False)
    if hours < 60:
        with pytest.raises(InputError, match="two customers"):
            sf.diagnose(log)
    else:  # the address may have changed in between
        assert sf.diagnose(log).intervals.height


@pytest.mark.parametrize("levels", ["NOTICE", "NOTICE|VERBOSE"])
@pytest.mark.parametrize("minutes", [0, 137])
def test_where_one_names_no_address_logs_that_take_turns_are_two_customers(
    tmp_path: Path, minutes: int, levels: str
) -> None:
    one = keep(levels)(lines("clean"))
    two = [STAMP.sub(lambda at: f"[{datetime.fromisoformat(at[1]) + timedelta(minutes=minutes)}", line) for line in one]
    two = [line for n, line in enumerate(keep("NOTICE")(two)) if n % 5]  # each may lack lines of the other
    (tmp_path / "one.log").write_text("\n".join(line for n, line in enumerate(one) if n % 7) + "\n")
    (tmp_path / "two.log").write_text("\n".join(two) + "\n")
    log = sf.read_log(tmp_path, progress=False)
    if minutes:
        with pytest.raises(InputError, match="different things of the same phones: they may be two customers'"):
            sf.diagnose(log)
    else:
        assert sf.diagnose(log).phones.height == 12


@pytest.mark.parametrize(
    ("names", "told"), [(("a.log", "b.log"), True), (("a/full", "b/full"), True), (("full.1", "full"), False)]
)
def test_another_address_in_another_log_is_told(tmp_path: Path, names: tuple[str, str], told: bool) -> None:
    later = [line.replace("203.0.113.", "198.51.100.") for line in moved(lines("clean"), 7)]
    for name, text in zip(names, (lines("clean"), later), strict=True):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("\n".join(text) + "\n")
    found = sf.diagnose(sf.read_log([tmp_path / name for name in names], progress=False))
    values = [dict(finding.values) for finding in found.findings if finding.id == "other_addresses"]
    addresses = {"old": ["203.0.113.11"], "new": ["198.51.100.11"]}
    assert values == [{"one": names[0], "other": names[1], **addresses}] * told


def test_copies_of_one_log_are_of_one_customer(tmp_path: Path) -> None:
    (tmp_path / "full").write_text("\n".join(lines("clean")) + "\n")
    (tmp_path / "messages.log").write_text("\n".join(keep("NOTICE|WARNING")(lines("clean"))) + "\n")
    (tmp_path / "half.log").write_text("\n".join(lines("clean")[::2]) + "\n")
    assert sf.diagnose(sf.read_log(tmp_path, progress=False)).phones.height == 12


# -- data and words ----------------------------------------------------------------------------------------------------


def test_json_holds_what_the_log_could_show(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "--json", str(RECORDED / "mixed" / "pbx.log")]) == 1
    told = json.loads(capsys.readouterr().out)
    assert (told["log"]["complete"], told["log"]["missing"], told["log"]["order"]) == (True, [], "forward")
    assert {"probed", "observed_s", "refused", "late", "period_s"} <= set(told["phones"][0])
    numbers = {incident["id"] for incident in told["incidents"]}
    assert {interval["incident"] for interval in told["intervals"]} == numbers
    assert sum(incident["losses"] for incident in told["incidents"]) == len(told["intervals"])
    assert all(incident["text"] for incident in told["incidents"])


def test_an_outage_that_comes_every_hour_is_one_incident() -> None:
    whole = sf.diagnose(sf.read_log(RECORDED / "clean" / "pbx.log", progress=False))
    start = whole.intervals["start"][0]
    rows = [
        whole.intervals.head(6).with_columns(
            pl.lit(start + timedelta(hours=hour, seconds=7 * hour)).alias("start"),
            pl.lit(start + timedelta(hours=hour, minutes=12)).alias("end"),
            pl.lit(720.0).alias("seconds"),
            pl.lit("wan_outage", whole.intervals.schema["cause"]).alias("cause"),
        )
        for hour in range(15)
        if hour != 6
    ]
    found, numbers = find_incidents(pl.concat(rows), whole.eras)
    assert found.select("losses", "repeats").rows() == [(84, 14)]
    assert found["every_s"][0] == pytest.approx(3607.0)
    assert set(numbers) == {1}
    assert "14 times" in incident_text(found.row(0, named=True), translator("en"))
    (told,) = regular(replace(whole, incidents=found), translator("en"))
    assert "every 1 h" in told
    assert "Ask the provider" in told


def test_irregular_times_have_no_step() -> None:
    import numpy as np

    assert regular_step(np.array([0.0, 900.0, 7200.0, 7900.0, 30000.0])) is None
    assert regular_step(np.array([0.0, 3600.0])) is None


@pytest.mark.parametrize("language", sorted(LANGUAGES))
def test_findings_in_every_language(language: str) -> None:
    for name in ("only_unreachable", "no_notice", "refused", "pbx_restart", "private_addresses", "late_answers_sip"):
        for finding in small(name).findings:
            text = finding_text(finding, translator(language))
            assert text != finding.id
            assert "{" not in text


@pytest.mark.parametrize(("end", "counted"), [("12:00:00", 0), ("13:00:00", 1)])
def test_a_registration_that_ends_the_log_is_none_during_a_loss(end: str, counted: int) -> None:
    lost = pl.DataFrame({"peer": ["1"], "start": [datetime(2026, 3, 4, 11, tzinfo=UTC)], "end": [None]})
    lost = lost.with_columns(pl.col("end").cast(lost.schema["start"]))
    lines = pl.DataFrame({"peer": ["1"], "time": [datetime(2026, 3, 4, 12, tzinfo=UTC)]})
    last = datetime.fromisoformat(f"2026-03-04T{end}+00:00")
    assert inside(lost, lines, last).to_list() == [counted]
