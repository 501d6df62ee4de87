"""The catalogue, the layouts and the kinds of dumps: every entry has a source and samples that prove it."""

import re
from dataclasses import replace

import polars as pl
import pytest

from starface_nb.reading import catalogue, layouts, stamps
from starface_nb.reading.dumps import dumps
from starface_nb.reading.schemas import KINDS

ENTRIES = {entry.id: entry for entry in catalogue.entries()}


def test_every_sample_yields_its_event_and_no_other_entry_reads_it():
    assert catalogue.validate() == []


def test_every_layout_sample_is_split_as_written():
    assert layouts.validate() == []


def test_every_date_format_sample_is_read_as_written():
    assert stamps.validate() == []


def test_every_entry_has_a_unique_name_a_source_and_a_sample():
    assert len(ENTRIES) == len(catalogue.entries())
    for entry in catalogue.entries():
        assert entry.source, entry.id
        assert entry.samples, entry.id
        assert {entry.kind, *entry.kinds.values()} <= {"", *KINDS}, entry.id
        assert all(text.startswith(entry.starts) and entry.contains in text for text, _ in entry.samples), entry.id


def test_the_catalogue_covers_every_kind_and_driver():
    kinds = {entry.kind for entry in catalogue.entries()} | {k for e in catalogue.entries() for k in e.kinds.values()}
    assert kinds - {""} == set(KINDS)
    for kind in ("unreachable", "reachable", "registered", "unregistered", "registration_failed"):
        drivers = {e.tech for e in catalogue.entries() if kind in (e.kind, *e.kinds.values())}
        assert drivers == {"SIP", "PJSIP", "IAX2"}, kind


@pytest.mark.parametrize("dump", dumps(), ids=lambda d: d.name)
def test_a_dump_is_recognised_at_the_start_of_a_line_and_behind_a_header(dump):
    assert dump.source
    for sample in dump.samples:
        assert re.search(dump.begin, sample)
        assert re.search(dump.begin, f"[2026-03-04 10:00:00] VERBOSE[1] chan_sip.c: {sample}")
        assert not re.search(dump.begin, f"User-Agent:{sample}")


def test_a_broken_sample_is_noticed(monkeypatch):
    entry = ENTRIES["sip-unregistered"]
    broken = replace(entry, samples=(("Unregistered SIP '668'", {"peer": "669"}),))
    others = tuple(broken if e is entry else e for e in catalogue.entries())
    monkeypatch.setattr(catalogue, "entries", lambda: others)
    assert [w for w in catalogue.validate() if w.startswith("sip-unregistered")]


@pytest.mark.parametrize("module", ["pbx.c", "app_verbose.c", "res_pjsip_logger.c", "app_dial.c"])
def test_a_line_that_another_source_file_wrote_is_not_the_drivers(module):
    text = pl.Series(["Peer '668' is now UNREACHABLE!  Last qualify: 39"])
    assert catalogue.match(text, pl.Series([module])).height == 0
    assert catalogue.match(text, pl.Series(["chan_sip.c"])).height == 1
