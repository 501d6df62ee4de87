"""Phones without an address line in a log of several sites."""

from __future__ import annotations

import polars as pl

import starface_nb as sf
from starface_nb.guide import finding_text
from starface_nb.guide.i18n import translator
from starface_nb.reading.schemas import EVENTS


def without_addresses(log, peers):
    """Return the log as a router that keeps ports would have left it, begun after the first registrations."""
    events = log.events.filter(~(pl.col("peer").is_in(peers) & (pl.col("kind") == "registered")))
    return type(log)(EVENTS.check(events), log.unparsed, log.files, log.time_zone, log.first, log.last)


def test_phones_without_address_join_the_site_whose_timeout_their_losses_fit():
    log = sf.read_log(sf.samples.recorded("mixed"), progress=False)
    strangers = ["22103.snomd345", "22104.yealinkt46s"]
    known = sf.diagnose(log)
    assert set(strangers) <= set(known.phones.filter(pl.col("site") == "203.0.113.22")["peer"])
    case = sf.diagnose(without_addresses(log, strangers))
    causes = case.intervals.filter(pl.col("peer").is_in(strangers))
    assert causes["site"].unique().to_list() == ["unknown"]
    assert (causes["cause"] == "nat_expiry").mean() > 0.8
    adopted = [f for f in case.findings if f.id == "adopted"]
    assert [(f.site, f.values["phones"]) for f in adopted] == [("203.0.113.22", 2)]
    assert "203.0.113.22" in finding_text(adopted[0], translator("en"))
    row = case.sites.row(by_predicate=pl.col("site") == "unknown", named=True)
    assert (row["phones"], row["verdict"]) == (2, "too_short")
    assert not any(f.site == "unknown" for f in case.findings)
