"""What was read of a case's log is shown once the log is gone; what is damaged, foreign or forged is not believed."""

from __future__ import annotations

import io
import json
import os
import pickle
import re
import stat
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZIP_STORED, ZipFile

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from starface_nb import read_log, samples
from starface_nb.cases import memory
from starface_nb.reading.log import Log

PATHS, ZONE = ("/gone/full",), "Europe/Berlin"


@pytest.fixture(scope="module")
def log() -> Log:
    return read_log(samples.recorded("mixed"), progress=False)


@pytest.fixture
def folder(tmp_path: Path, log: Log) -> Path:
    memory.keep(log, PATHS, tmp_path / "cache")
    return tmp_path / "cache"


def members(folder: Path) -> dict[str, bytes]:
    with ZipFile(folder / memory.NAME) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def replaced(folder: Path, members: dict[str, bytes], method: int = ZIP_STORED) -> None:
    with ZipFile(folder / memory.NAME, "w", method) as archive:
        for name, data in members.items():
            archive.writestr(name, data)


def test_a_log_comes_back_as_it_was(folder: Path, log: Log) -> None:
    found = memory.recall(PATHS, ZONE, folder)
    assert found is not None
    for name in ("events", "unparsed", "calls", "pauses"):
        assert_frame_equal(getattr(found, name), getattr(log, name))
    assert_frame_equal(found.bundle.facts, log.bundle.facts)
    assert (found.files, found.first, found.last, found.notes) == (log.files, log.first, log.last, log.notes)
    if os.name == "posix":
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        assert stat.S_IMODE((folder / memory.NAME).stat().st_mode) == 0o600


def test_other_paths_another_zone_and_an_empty_folder_give_nothing(folder: Path, tmp_path: Path) -> None:
    assert memory.recall(("/gone/other",), ZONE, folder) is None
    assert memory.recall(PATHS, "UTC", folder) is None
    assert memory.recall(PATHS, ZONE, tmp_path / "nowhere") is None


DAMAGES = ["empty", "cut", "flipped", "pickle", "encrypted", "no json", "bad deflate", "folder", "link", "pipe"]


@pytest.mark.parametrize("damage", DAMAGES)
def test_what_is_damaged_or_foreign_is_not_believed(folder: Path, tmp_path: Path, damage: str) -> None:
    path, whole = folder / memory.NAME, members(folder)
    data = path.read_bytes()
    middle = data.index(b"PAR1") + 100
    changed = {
        "empty": b"",
        "cut": data[:-10],
        "flipped": data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :],
        "pickle": pickle.dumps({"a": [1]}),
        "encrypted": re.sub(b"(PK\x01\x02.{4})\0", b"\\1\x01", data, flags=re.DOTALL),
    }
    if damage in changed:
        path.write_bytes(changed[damage])
    elif damage == "no json":
        replaced(folder, whole | {"facts.json": b"[1, 2"})
    elif damage == "bad deflate":
        replaced(folder, whole, ZIP_DEFLATED)
        data = bytearray(path.read_bytes())
        data[60:80] = b"\xff" * 20
        path.write_bytes(data)
    elif damage == "pipe":
        if not hasattr(os, "mkfifo"):
            pytest.skip("this system has no named pipes")
        path.unlink()
        os.mkfifo(path)
    else:
        path.rename(tmp_path / "other")
        path.symlink_to(tmp_path / "other") if damage == "link" else path.mkdir()
    assert memory.recall(PATHS, ZONE, folder) is None


def test_a_file_of_another_user_is_not_believed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory.os, "getuid", lambda: 12345, raising=False)
    assert memory.recall(PATHS, ZONE, folder) is None


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
        {"first": "9999-12-31T23:59:59+00:00"},
        {"first": "2026-03-09T10:00:00+00:00", "last": "2026-03-04T10:00:00+00:00"},
        {"notes": None},
        {"time_zone": "Mars/Olympus"},
        {"version": "0"},
    ],
)
def test_what_somebody_forged_is_not_believed(folder: Path, forged: dict[str, object]) -> None:
    whole = members(folder)
    replaced(folder, whole | {"facts.json": json.dumps(json.loads(whole["facts.json"]) | forged).encode()})
    assert memory.recall(PATHS, ZONE, folder) is None


@pytest.mark.parametrize("name", ["events", "unparsed", "calls", "pauses", "facts", "peers"])
@pytest.mark.parametrize("is_there", [True, False])
def test_foreign_and_missing_frames_are_not_believed(folder: Path, name: str, is_there: bool) -> None:
    whole, foreign = members(folder), io.BytesIO()
    pl.DataFrame({"a": [1]}).write_parquet(foreign)
    del whole[f"{name}.parquet"]
    replaced(folder, whole | ({f"{name}.parquet": foreign.getvalue()} if is_there else {}))
    assert memory.recall(PATHS, ZONE, folder) is None


def test_states_of_nobody_are_not_believed(folder: Path, log: Log) -> None:
    forged = io.BytesIO()
    log.events.with_columns(peer=pl.lit(None, pl.String)).write_parquet(forged)
    replaced(folder, members(folder) | {"events.parquet": forged.getvalue()})
    assert memory.recall(PATHS, ZONE, folder) is None


def test_a_write_that_fails_leaves_the_old_one(folder: Path, log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_handle: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(memory.os, "fsync", fail)
    with pytest.raises(KeyboardInterrupt):
        memory.keep(log, ("/other",), folder)
    assert memory.recall(PATHS, ZONE, folder) is not None
    assert len(list(folder.iterdir())) == 1
