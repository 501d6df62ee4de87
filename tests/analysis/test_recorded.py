"""On the recorded logs: brackets, verdicts, causes, and nothing invented."""

from collections import Counter
from datetime import datetime
from pathlib import Path

import polars as pl
import pytest
from recorded import LOGS, OURS, ZONE, case, truth

import starface_nb as sf

NAMES = [name for name in LOGS if "-shortdate" not in name and name != "mixed-dst"]
ONE_GROUP = {"phone_restart": "phone", "phone_offline": "phone", "latency": "loss", "packet_loss": "loss"}


def labels(name: str) -> list[tuple[str, str]]:
    """Return (true, found) causes; what the recording machine itself caused is left out."""
    found = {
        (row["peer"], row["start"].astimezone(ZONE).replace(tzinfo=None)): row["cause"]
        for row in case(name).intervals.iter_rows(named=True)
    }
    pairs = []
    for interval in truth(name)["unreachable_intervals"]:
        cause = OURS.get(interval["cause"], interval["cause"])
        if cause != "lab_jitter":
            given = found[interval["peer"], datetime.fromisoformat(interval["start"])]
            pairs.append((ONE_GROUP.get(cause, cause), ONE_GROUP.get(given, given)))
    return pairs


def test_causes_reach_macro_f1_of_098_over_all_recorded_logs():
    pairs = [pair for name in NAMES for pair in labels(name)]
    true, given, both = (
        Counter(t for t, _ in pairs),
        Counter(g for _, g in pairs),
        Counter(t for t, g in pairs if t == g),
    )
    scores = {cause: 2 * both[cause] / (true[cause] + given[cause]) for cause in true}
    assert sum(scores.values()) / len(scores) >= 0.98, scores
    assert min(scores.values()) >= 0.95, scores


@pytest.mark.parametrize("name", NAMES)
def test_every_bracket_holds_the_timeout_and_every_verdict_is_right(name):
    keepalive = case(name).settings.keepalive_s
    rows = {address: row for row in case(name).sites.iter_rows(named=True) for address in row["addresses"]}
    for site in truth(name)["sites"]:
        row = rows[site["public_ip"]]
        timeout = [*[c["T_s"] for c in site["changes"] if "T_s" in c], site["T_s"]][0]
        probed = site["refresh_policy"] != "register-only" and timeout > 60
        assert row["low_s"] < timeout
        assert row["high_s"] is None or row["high_s"] >= timeout
        assert row["verdict"] == ("too_short" if timeout < keepalive and not probed else "no_expiry_seen")
        if row["verdict"] == "too_short":
            assert row["high_s"] - row["low_s"] <= 64
            assert row["probability_too_short"] > 0.99


def test_an_address_that_changes_is_one_site():
    (row,) = case("mixed").sites.filter(pl.col("addresses").list.len() > 1).iter_rows(named=True)
    assert (row["site"], row["addresses"]) == ("198.51.100.24", ["203.0.113.24", "198.51.100.24"])


def test_frames_agree_with_each_other():
    found = case("mixed")
    expired = found.cycles.filter(pl.col("outcome") == "expired")
    causes = found.intervals["cause"].gather(expired["interval"])
    assert set(causes.cast(pl.String)) == {"nat_expiry"}
    assert (expired["lower_s"] < expired["upper_s"]).all()
    assert found.eras["cycles_expired"].sum() == expired.height
    assert found.phones["losses"].sum() == found.intervals.height
    assert found.cycles.sort("peer", "start", "end").equals(found.cycles)


def test_every_interval_has_evidence_with_its_lines():
    found = case("mixed").intervals
    term = pl.Struct({"cause": pl.String, "term": pl.String, "log_odds": pl.Float64})
    fields = pl.Struct({"line": pl.Int64, "terms": pl.List(term)})
    evidence = found["evidence"].str.json_decode(fields).struct.unnest()
    assert evidence["line"].to_list() == found["line"].to_list()
    assert (evidence["terms"].list.len() > 0).mean() > 0.95
    assert found["confidence"].is_between(0, 1).all()


def test_a_log_cut_before_anybody_came_back_still_shows_the_timeout(tmp_path):
    whole = (Path(__file__).parents[2] / "data/recorded/clean/pbx.log").read_text().splitlines(keepends=True)
    cut = next(i for i, line in enumerate(whole) if "07:35:" in line[:22])
    (tmp_path / "pbx.log").write_text("".join(whole[:cut]))
    case = sf.diagnose(sf.read_log(tmp_path / "pbx.log"))
    assert set(case.intervals["cause"]) == {"nat_expiry"}
    site = case.sites.row(0, named=True)
    assert site["verdict"] == "too_short"
    assert site["low_s"] < 1800.0 <= site["high_s"]
