"""The labelled collection: recall and precision of events at least 99.5 %, fields right in at least 99 %."""

import os
from collections import Counter

import pytest
from corpus import DATES, LAYOUTS, collection, make

import starface_nb as sf

FIELDS = ("peer", "tech", "address", "port", "rtt_ms", "limit_ms", "time")


def score(files, folder):
    """Return counts of truth, found and right events and fields over files, and what went wrong."""
    total, wrong = Counter(), []
    for i, file in enumerate(files):
        path = folder / f"{i}" / file.name
        path.parent.mkdir()
        path.write_bytes(file.data)
        os.utime(path, (file.end.timestamp(), file.end.timestamp()))
        log = sf.read_log(path, progress=False)
        found = {row["line"]: row for row in log.events.iter_rows(named=True)}
        total.update(truth=len(file.truth), found=log.events.height, lines=file.lines)
        for line, truth in file.truth.items():
            got = found.get(line)
            if got is None or got["kind"] != truth["kind"]:
                wrong.append((file.what, line, truth, got))
                continue
            right = [name for name in FIELDS if got[name] == truth[name]]
            total.update(right=1, fields=len(FIELDS), fields_right=len(right))
            wrong += [(file.what, line, truth, got)] * (len(right) < len(FIELDS))
        wrong += [(file.what, line, None, got) for line, got in found.items() if line not in file.truth]
    return total, wrong


def check(files, folder, at_least):
    total, wrong = score(files, folder)
    assert total["lines"] >= at_least
    assert total["right"] >= 0.995 * total["truth"], wrong[:5]
    assert total["right"] >= 0.995 * total["found"], wrong[:5]
    assert total["fields_right"] >= 0.99 * total["fields"], wrong[:5]
    return wrong


def test_the_collection_is_read_as_labelled(tmp_path):
    assert check(collection(), tmp_path, 10_000) == []


@pytest.mark.parametrize("date", DATES)
def test_every_date_format_in_every_dialect_with_many_hostile_names(tmp_path, date):
    files = [make(seed, dialect, "file", 13, date, n=60) for seed, dialect in enumerate(("sip", "iax", "pjsip"))]
    assert check(files, tmp_path, 200) == []


def test_the_collection_holds_what_it_should():
    files = list(collection())
    kinds = {truth["kind"] for file in files for truth in file.truth.values()}
    assert kinds >= {
        "unreachable",
        "reachable",
        "lagged",
        "registered",
        "unregistered",
        "expired",
        "registration_failed",
        "retransmission_timeout",
    }
    assert {layout for layout in LAYOUTS if any(layout in file.what for file in files)} == set(LAYOUTS)
    assert sum(len(file.truth) for file in files) > 4_000
