"""The guide's facts: each number has its source, and nothing from memory is shown."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

import pytest
from translation_keys import csv_rows, texts

from starface_nb import guide
from starface_nb.guide.routers import INSPECTION
from starface_nb.tables import table

SCOPES = table("guide/texts")["scope"]
UNSOURCED = {"unsourced", "not found"}


def test_every_number_of_a_router_has_a_source_or_is_marked() -> None:
    for row in csv_rows("routers.csv"):
        name = f"{row['product']} {row['protocol']} {row['state']}"
        if row["seconds"] or row["max_seconds"] or row["setting_path"] or row["command"]:
            assert row["source"], f"{name}: a fact without a source"
            assert row["confidence"] not in UNSOURCED, f"{name}: a fact that is marked as unsourced"
        if not row["seconds"]:
            assert row["confidence"] in {*UNSOURCED, "setting only", "contested"}, f"{name}: no number, yet {row}"
        if row["confidence"] in UNSOURCED:
            assert not row["seconds"], name


def test_every_port_has_a_source_and_a_direction_only_where_it_is_stated() -> None:
    stated = {row["id"]: row["direction"] for row in csv_rows("ports.csv") if row["direction"] != "not stated"}
    assert stated == {"rtp_in": "incoming", "rtp_out": "outgoing"}
    for row in csv_rows("ports.csv"):
        assert row["source"].startswith("https://"), row["id"]
        assert re.fullmatch(r"\d+(-\d+)?", row["port"]), row["id"]


def test_every_reading_and_the_experiment_have_a_source() -> None:
    facts = table("guide/limits")
    for entry in [*facts["readings"], facts["experiment"]]:
        assert entry["source"], entry
        assert urlsplit(entry["url"]).scheme == "https", entry


def test_nothing_is_told_from_memory() -> None:
    everything = [
        *texts(),
        *((n, v) for n in ("routers.csv", "ports.csv") for r in csv_rows(n) for v in r.values()),
    ]
    assert not [text for _, text in everything if re.search(r"memory says|from memory|\(memory\)|unverified", text)]


def test_ids_are_unique_and_products_are_found_by_their_own_name() -> None:
    ids = [row["id"] for row in csv_rows("ports.csv")]
    assert len(ids) == len(set(ids))
    for product in guide.products():
        assert guide.find_product(product.upper()) == product
    keys = [(row["product"], row["protocol"], row["state"]) for row in csv_rows("routers.csv")]
    assert len(keys) == len(set(keys))


def test_commands_take_the_timeout_in_seconds_or_minutes() -> None:
    for row in csv_rows("routers.csv"):
        if row["command"]:
            assert row["direction"] != "one", f"{row['product']}: a command for the wrong timeout"
            units = sum(unit in row["command"] for unit in ("{seconds}", "{minutes}", "{clock}"))
            assert units == (row["state"] != INSPECTION), row["product"]
        if row["bound_command"]:
            assert "{seconds}" in row["bound_command"], row["product"]
            assert "{pbx}" in row["bound_command"] or "5060" in row["bound_command"], (
                f"{row['product']}: bound to what?"
            )


def test_sip_inspection_is_told_in_rows_of_its_own() -> None:
    found = 0
    for row in csv_rows("routers.csv"):
        inspection = row["state"] == INSPECTION
        found += inspection
        assert bool(row["sip_alg"]) == inspection, row["product"]
        assert row["sip_alg"] in {"", "on", "off", "switchable"}, row["product"]
        assert row["setting_path"] or not inspection, f"{row['product']}: where is it switched off?"
        assert set(row["scope"].split("; ")) <= {"", "global", "SIP", "device", "gateway", *SCOPES}, row["product"]
    assert found > 10


@pytest.mark.parametrize("language", guide.LANGUAGES)
def test_the_checklist_has_the_guides_steps_in_order(language: str) -> None:
    steps = guide.checklist(guide.translator(language))
    assert [step.number for step in steps] == ["1", "2", "3", "4", "5", "6", "L", "7"]
    assert [step.id for step in steps if step.editions == ("de",)] == ["keepalive_test"]
    for step in steps:
        assert step.question.rstrip("\u202f ?").strip()
        assert step.kind in {"choice", "date_text", "ports", "router"}
        assert len({answer.id for answer in step.answers}) == len(step.answers) >= 2
        assert all(answer.label and answer.meaning for answer in step.answers)


def test_the_experiment_keeps_clear_of_the_thirty_seconds_of_many_routers() -> None:
    tried = table("guide/limits")["experiment"]
    assert tried["high_s"] < 29 < tried["guide_s"]  # 30 s sits on the edge, 20 to 25 does not
