"""What was read is remembered until the log changes; stale and foreign files are not believed."""

from __future__ import annotations

import os
import pickle
import stat
import time
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal
from scan_samples import PACK, log, tarred, written, zipped

import starface_nb as sf
from starface_nb import reading
from starface_nb.reading import cache, scan
from starface_nb.reading.cache import load, quick_fingerprint, save

FACTS = {"size": 7, "at": None}
FRAMES = {
    "events": pl.DataFrame({"a": [1, 2], "b": ["x", None]}),
    "none": pl.DataFrame(schema={"c": pl.Datetime("us", "UTC")}),
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "cache"


def test_frames_come_back(folder: Path) -> None:
    path = save("key", FACTS, FRAMES, folder)
    found = load("key", folder)
    assert found is not None
    assert found[0] == FACTS
    for name, frame in FRAMES.items():
        assert_frame_equal(found[1][name], frame)
    assert load("another", folder) is None
    if os.name == "posix":
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize("damage", ["empty", "cut", "flipped", "version", "pickle", "key", "no json"])
def test_broken_and_foreign_files_are_not_believed(folder: Path, damage: str) -> None:
    path = save("key", FACTS, FRAMES, folder)
    data = path.read_bytes()
    changed = {
        "empty": b"",
        "cut": data[:-10],
        "flipped": data[:-100] + bytes([data[-100] ^ 1]) + data[-99:],
        "version": data.replace(b"cache 4", b"cache 0", 1),
        "pickle": pickle.dumps(FRAMES["events"].to_dict(as_series=False)),
        "key": save("other", FACTS, FRAMES, folder).read_bytes(),
        "no json": cache.VERSION + b"[1, 2\n" + data,
    }
    path.write_bytes(changed[damage])
    assert load("key", folder) is None
    save("key", FACTS, FRAMES, folder)
    assert load("key", folder) is not None


def test_a_file_of_another_user_is_not_believed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save("key", FACTS, FRAMES, folder)
    monkeypatch.setattr(cache.os, "getuid", lambda: 12345, raising=False)
    assert load("key", folder) is None


def test_a_write_that_fails_leaves_the_old_one(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save("key", FACTS, FRAMES, folder)

    def fail(_handle):
        raise KeyboardInterrupt

    monkeypatch.setattr(cache.os, "fsync", fail)
    with pytest.raises(KeyboardInterrupt):
        save("key", FACTS, {"events": pl.DataFrame({"a": [9]})}, folder)
    found = load("key", folder)
    assert found is not None
    assert found[1]["events"].height == 2
    assert len(list(folder.iterdir())) == 1


def test_the_oldest_files_go_first(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "KEEP", 3)
    for i in range(5):
        path = save(str(i), FACTS, FRAMES, folder)
        os.utime(path, (i, i))
    assert [load(str(i), folder) is not None for i in range(5)] == [False, False, True, True, True]


def test_quick_fingerprint_sees_every_change(tmp_path: Path) -> None:
    path = written(tmp_path / "a" / "full", log(100))
    first = quick_fingerprint([path])
    assert quick_fingerprint([path]) == first
    assert quick_fingerprint([path.parent]) == first
    known = {first}
    with path.open("ab") as file:
        file.write(b"x")
    known.add(quick_fingerprint([path]))
    written(path.parent / "full.1", b"y")
    known.add(quick_fingerprint([path.parent]))
    os.utime(path, (1, 1))
    known.add(quick_fingerprint([path]))
    known.add(quick_fingerprint(["-"]))
    known.add(quick_fingerprint([tmp_path / "missing"]))
    assert len(known) == 6


@pytest.mark.parametrize("container", ["plain", "gz", "zip", "tar"])
def test_a_second_reading_opens_nothing_but_the_cache(
    tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch, container: str
) -> None:
    text = log(5000)
    archive = {"var/log/asterisk/full": text, "etc/asterisk/logger.conf": b"conf", "x.json": b""}
    data = {"plain": text, "gz": PACK["gz"](text), "zip": zipped(archive), "tar": tarred(archive)}[container]
    path = written(tmp_path / "x", data)
    before = sf.read_log(path, cache=folder)
    monkeypatch.setattr(scan, "_scan", None)
    after = sf.read_log(str(path), cache=folder)
    assert_frame_equal(before.events, after.events)
    assert_frame_equal(before.unparsed, after.unparsed)
    assert (before.files, before.first, before.last, before.notes) == (
        after.files,
        after.first,
        after.last,
        after.notes,
    )
    for other in ({"time_zone": "UTC"}, {"year": 2025}):
        with pytest.raises(TypeError):
            sf.read_log(path, cache=folder, **other)


def test_a_pattern_stands_for_the_files_it_matches(tmp_path: Path, folder: Path) -> None:
    written(tmp_path / "full.1", log(300))
    pattern = str(tmp_path / "full*")
    assert len(sf.read_log(pattern, cache=folder).files) == 1
    written(tmp_path / "full", log(300, seed=2))
    assert len(sf.read_log(pattern, cache=folder).files) == 2


@pytest.mark.parametrize("change", ["grown", "head", "before the end", "shorter", "middle, later"])
def test_a_changed_log_is_read_anew(tmp_path: Path, folder: Path, change: str) -> None:
    old = log(2000)
    path = written(tmp_path / "full", old)
    before = sf.read_log(path, cache=folder)
    hit = b"[2026-03-04 01:00:00] NOTICE[1] chan_sip.c: Peer 'new' is now Lagged. (2500ms / 2000ms)\n"
    middle = old.index(b"\n", len(old) // 2) + 1
    new = {
        "grown": old + hit,
        "head": hit + old[len(hit) :],
        "before the end": old[: -len(hit) - 1] + b"\n" + hit,
        "shorter": hit + old[: len(old) // 2],
        "middle, later": old[:middle] + hit + old[middle + len(hit) :],
    }[change]
    written(path, new)
    os.utime(path, (2e9, 2e9))
    after = sf.read_log(path, cache=folder)
    assert "new" in after.events["peer"].to_list()
    assert after.fingerprint != before.fingerprint


def test_a_large_result_reopens_quickly(tmp_path: Path, folder: Path) -> None:
    path = written(tmp_path / "full", log(160_000, every=1))
    events = sf.read_log(path, cache=folder).events
    best = 9.0
    for _ in range(3):
        began = time.perf_counter()
        again = sf.read_log(path, cache=folder).events
        best = min(best, time.perf_counter() - began)
    assert_frame_equal(events, again)
    assert events.height == 160_000
    assert best < 0.3


@pytest.mark.parametrize(
    "forged",
    [
        {"files": [{"name": "full"}]},
        {"files": [{"name": 1, "bytes": "2", "lines": None, "fingerprint": [], "note": {}}]},
        {"files": []},
        {"files": None},
        {"first": "soon"},
        {"first": "2026-03-04T10:00:00"},
        {"first": 5},
        {"notes": None},
        {"time_zone": "Mars/Olympus"},
        {"time_zone": None},
        {"state": None},
    ],
)
def test_what_somebody_forged_with_a_right_checksum_is_read_anew(tmp_path: Path, folder: Path, forged: dict) -> None:
    path = written(tmp_path / "full", log(500))
    fresh = sf.read_log(path, cache=folder)
    key = reading._key([str(path)], "Europe/Berlin", None, None)
    facts, frames = load(key, folder)
    save(key, facts | forged, frames, folder)
    assert_frame_equal(sf.read_log(str(path), cache=folder).events, fresh.events)
    assert sf.read_log(path, cache=folder).files == fresh.files


@pytest.mark.parametrize("name", ["events", "unparsed", "calls"])
@pytest.mark.parametrize("foreign", [pl.DataFrame({"a": [1]}), None])
def test_foreign_and_missing_frames_are_read_anew(tmp_path: Path, folder: Path, name: str, foreign) -> None:
    path = written(tmp_path / "full", log(500))
    fresh = sf.read_log(path, cache=folder)
    key = reading._key([str(path)], "Europe/Berlin", None, None)
    facts, frames = load(key, folder)
    others = {one: frame for one, frame in frames.items() if one != name}
    save(key, facts, others if foreign is None else others | {name: foreign}, folder)
    assert_frame_equal(sf.read_log(path, cache=folder).events, fresh.events)


def test_a_folder_in_the_place_of_a_file_of_the_cache(tmp_path: Path, folder: Path) -> None:
    path = written(tmp_path / "full", log(500))
    fresh = sf.read_log(path, time_zone="Europe/Berlin", cache=folder)
    (kept,) = folder.iterdir()
    kept.unlink()
    kept.mkdir()
    assert_frame_equal(sf.read_log(path, time_zone="Europe/Berlin", cache=folder).events, fresh.events)
