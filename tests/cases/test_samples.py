"""The bundled logs are there, complete, and found by name."""

from __future__ import annotations

import gzip
import zipfile

import polars as pl
import pytest

import starface_nb as sf
from starface_nb import samples
from starface_nb.errors import SettingError


def test_the_sample_bundle_is_the_recorded_log_in_a_support_bundles_shape() -> None:
    with zipfile.ZipFile(samples.path()) as bundle:
        assert bundle.namelist() == ["var/log/asterisk/full", "var/log/asterisk/full.1.gz"]
        older = gzip.decompress(bundle.read("var/log/asterisk/full.1.gz"))
        assert older + bundle.read("var/log/asterisk/full") == samples.recorded("mixed").read_bytes()


def test_the_sample_holds_the_same_events_as_the_recorded_log() -> None:
    columns = ["time", "kind", "peer", "address", "port"]
    bundle, plain = (sf.read_log(path).events.select(columns) for path in (samples.path(), samples.recorded("mixed")))
    assert bundle.equals(plain)
    assert bundle.filter(pl.col("kind") == "unreachable").height > 500


def test_every_recorded_log_has_its_truth() -> None:
    assert "mixed" in samples.names()
    for name in samples.names():
        assert samples.recorded(name).is_file()
        assert samples.truth(name)["sites"]


def test_an_unknown_name_is_answered_with_the_known_ones() -> None:
    with pytest.raises(SettingError, match=r"no bundled log 'nowhere'\. Choose one of clean, fixed-router"):
        samples.path("nowhere")
