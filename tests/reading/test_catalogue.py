"""The catalogue, the layouts and the kinds of dumps: every entry has a source and samples that prove it."""

import re
import tomllib
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import polars as pl
import pytest

from starface_nb.reading import catalogue, layouts, stamps
from starface_nb.reading.dumps import kinds
from starface_nb.reading.fields import typed
from starface_nb.reading.schemas import KINDS

LAYOUTS = Path(layouts.__file__).with_name("layouts.toml")
ENTRIES = {entry.id: entry for entry in catalogue.entries()}


def readers(entry, text):
    """Return the entries of the same rank that read a text; fallbacks are tried after all others."""
    mine = [other for other in catalogue.entries() if other.fallback == entry.fallback]
    # Python takes a flag only at the very start of a pattern or in a group of its own
    patterns = {e.id: re.sub(r"^\(\?i\)\^(.*)", r"^(?i:\1)", e.pattern, flags=re.DOTALL) for e in mine}
    return [name for name, pattern in patterns.items() if re.search(pattern, text)]


def faults(entry):
    """Return what is wrong with an entry's samples."""
    for text, expected in entry.samples:
        if (entry.kind or entry.kinds or entry.role) and not any(n in text.encode() for n in catalogue.NEEDLES):
            yield f"no needle finds {text!r}"
        if readers(entry, text) != [entry.id]:
            yield f"{text!r} is read by {readers(entry, text)}"
        module = next((m for m in entry.modules if "*" not in m), "")
        found = typed(catalogue.match(pl.Series([text]), pl.Series([module]))).rows(named=True)
        wanted = {"kind": entry.kind} | expected
        if [catalogue.entries()[got["entry"]].id for got in found] != [entry.id]:
            yield f"{text!r} gives {found}"
        elif any((found[0].get(key) or "") != (value or "") for key, value in wanted.items()):
            yield f"{text!r} gives {found[0]}"


@pytest.mark.parametrize("entry", ENTRIES.values(), ids=ENTRIES)
def test_every_sample_yields_its_event_and_no_other_entry_reads_it(entry):
    assert list(faults(entry)) == []


@pytest.mark.parametrize("layout", layouts.layouts(), ids=lambda layout: layout.name)
def test_every_layout_sample_is_split_as_written(layout):
    for line, *expected in layout.samples:
        got = layouts.read_headers(pl.Series([line])).row(0, named=True)
        assert [got["layout"], got["stamp"], got["module"], got["message"]] == [layout.name, *expected]


@pytest.mark.parametrize("form", tomllib.loads(LAYOUTS.read_text("utf-8"))["stamp"], ids=lambda form: form["name"])
def test_every_date_format_sample_is_read_as_written(form):
    for text, expected in form["samples"]:
        row = stamps.read_stamps(pl.Series([text])).row(0, named=True)
        want = datetime.fromisoformat(expected.replace("0000-", f"{stamps.NO_YEAR}-"))
        assert row["utc" if want.tzinfo else "local"] == want


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


@pytest.mark.parametrize("number", range(len(kinds())))
def test_a_dump_is_recognised_at_the_start_of_a_line_and_behind_a_header(number):
    dump, (begin, _) = tomllib.loads(LAYOUTS.read_text("utf-8"))["dump"][number], kinds()[number]
    assert dump["source"]
    for sample in dump["samples"]:
        assert begin.search(sample.encode())
        assert begin.search(f"[2026-03-04 10:00:00] VERBOSE[1] chan_sip.c: {sample}".encode())
        assert not begin.search(f"User-Agent:{sample}".encode())


def test_a_broken_sample_is_noticed():
    broken = replace(ENTRIES["sip-unregistered"], samples=(("Unregistered SIP '668'", {"peer": "669"}),))
    assert list(faults(broken))


@pytest.mark.parametrize("module", ["pbx.c", "app_verbose.c", "res_pjsip_logger.c", "app_dial.c"])
def test_a_line_that_another_source_file_wrote_is_not_the_drivers(module):
    text = pl.Series(["Peer '668' is now UNREACHABLE!  Last qualify: 39"])
    assert catalogue.match(text, pl.Series([module])).height == 0
    assert catalogue.match(text, pl.Series(["chan_sip.c"])).height == 1
