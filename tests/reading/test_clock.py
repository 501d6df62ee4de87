"""The clock: daylight saving, the missing year, date formats, steps backwards."""

import os
import re
import zoneinfo
from datetime import UTC, datetime, timedelta
from importlib import import_module
from zipfile import ZipFile, ZipInfo
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl
import pytest

import starface_nb as sf
from starface_nb.bundle.members import taken
from starface_nb.cli import main
from starface_nb.errors import SettingError
from starface_nb.fleet.examine import examine
from starface_nb.reading import clock
from starface_nb.reading.stamps import read_stamps

BERLIN = ZoneInfo("Europe/Berlin")
PEER = "NOTICE[1] chan_sip.c: Peer '12' is now {}"
DOWN = PEER.format("UNREACHABLE!  Last qualify: 39")
UP = PEER.format("Reachable. (43ms / 2000ms)")
NOISE = "VERBOSE[1] pbx.c: Executing [s@x:1]"


def write(path, lines, modified=None):
    path.write_text("".join(line + "\n" for line in lines))
    if modified:
        os.utime(path, (modified.timestamp(), modified.timestamp()))
    return path


def times(log):
    return log.events["time"].to_list()


def test_an_outage_over_the_night_of_october_has_its_true_length(tmp_path):
    log = sf.read_log(write(tmp_path / "full", [f"[2026-10-25 01:30:00] {DOWN}", f"[2026-10-25 03:30:00] {UP}"]))
    down, up = times(log)
    assert up - down == timedelta(hours=3)


def test_an_outage_over_the_night_of_march_has_its_true_length(tmp_path):
    log = sf.read_log(write(tmp_path / "full", [f"[2026-03-29 01:30:00] {DOWN}", f"[2026-03-29 03:30:00] {UP}"]))
    down, up = times(log)
    assert up - down == timedelta(hours=1)


def test_a_year_long_ago_is_the_one_that_is_written(tmp_path):
    for year in ("0001", "1000", "1599", "1601", "9998"):
        log = sf.read_log(
            write(tmp_path / "full", [f"[{year}-05-06 07:00:00] {DOWN}", f"[{year}-05-06 08:00:00] {UP}"])
        )
        assert {time.year for time in times(log)} == {int(year)}
        assert not any("name no year" in note for note in log.notes)


def test_no_span_is_below_zero(tmp_path):
    lines = [f"[2026-03-0{day} 07:00:00] {text}" for day, text in ((7, DOWN), (8, UP), (2, DOWN), (3, UP))]
    log = sf.read_log(write(tmp_path / "full", lines))
    assert log.first < log.last
    assert log.last - log.first >= max(times(log)) - min(times(log))


def test_the_logs_order_says_which_half_past_two_a_line_is(tmp_path):
    lines = [
        f"[2026-10-25 {t}] {m}"
        for t, m in [("01:59:00", UP), ("02:30:00", DOWN), ("02:31:00", UP), ("02:30:00", DOWN), ("03:00:00", UP)]
    ]
    log = sf.read_log(write(tmp_path / "full", lines))
    assert [f"{t:%H:%M}" for t in times(log)] == ["23:59", "00:30", "00:31", "01:30", "02:00"]
    assert log.notes == ()


@pytest.mark.parametrize(("every", "form", "asked"), [(8, "%F %T", 1), (8, "%F %T%z", 0), (13, "%F %T", 0)])
def test_an_hour_that_the_zone_has_twice_and_the_log_once_is_told(tmp_path, every, form, asked):
    at = [datetime(2026, 10, 24, 20, tzinfo=UTC) + timedelta(minutes=every * n) for n in range(60)]
    lines = [f"[{t:{form}}] {NOISE if n % 9 else UP}" for n, t in enumerate(at)]
    notes = sf.read_log(write(tmp_path / "full", lines)).notes
    assert [note.endswith("stands only once; is the time zone right?") for note in notes] == [True] * asked


@pytest.mark.parametrize(("turn", "expected"), [(5, "01:40"), (35, "00:40")])
def test_lines_that_are_no_events_tell_where_the_hour_is_repeated(tmp_path, turn, expected):
    """Only one event stands in the repeated hour; the noise around it steps back before or after it."""
    start = datetime(2026, 10, 25, 0, 5, tzinfo=UTC) - timedelta(hours=1)
    lines = [f"[2026-10-25 01:05:00] {UP}"]
    for minute in range(200):
        local = (start + timedelta(minutes=minute)).astimezone(BERLIN)
        hit = (local.hour, local.minute, local.fold) == (2, 40, int(turn < 20))
        lines.append(f"[{local:%Y-%m-%d %H:%M:%S}] {DOWN if hit else NOISE}")
    lines.append(f"[2026-10-25 04:05:00] {UP}")
    assert sum("UNREACHABLE" in line for line in lines) == 1
    log = sf.read_log(write(tmp_path / "full", lines))
    assert f"{times(log)[1]:%H:%M}" == expected


@pytest.mark.parametrize(
    ("stamps", "expected"),
    [
        (["01:58", "02:10", "02:50", "04:30"], ["23:58", "00:10", "00:50", "03:30"]),  # the hour is missing behind
        (["00:10", "02:10", "02:50", "03:01"], ["22:10", "01:10", "01:50", "02:01"]),  # the hour is missing before
        (["02:10", "02:50", "03:01"], ["01:10", "01:50", "02:01"]),  # the log begins in the second pass
        (["01:50", "02:10", "02:50"], ["23:50", "00:10", "00:50"]),  # the log ends in the first pass
    ],
)
def test_without_a_step_back_the_missing_hour_goes_into_the_larger_gap(tmp_path, stamps, expected):
    log = sf.read_log(write(tmp_path / "full", [f"[2026-10-25 {s}:00] {DOWN}" for s in stamps]))
    assert [f"{t:%H:%M}" for t in times(log)] == expected


def test_a_time_that_spring_leaves_out_keeps_winter_time_and_is_reported(tmp_path):
    log = sf.read_log(write(tmp_path / "full", [f"[2026-03-29 02:30:00] {DOWN}"]))
    assert times(log) == [datetime(2026, 3, 29, 1, 30, tzinfo=UTC)]
    assert any("spring" in note for note in log.notes)


def test_december_to_january_counts_the_year_up(tmp_path):
    lines = [f"[Dec 31 23:59:50] {DOWN}", f"[Jan  1 00:00:10] {UP}"]
    log = sf.read_log(write(tmp_path / "full", lines, datetime(2026, 1, 1, 12, tzinfo=UTC)))
    assert times(log) == [datetime(2025, 12, 31, 22, 59, 50, tzinfo=UTC), datetime(2025, 12, 31, 23, 0, 10, tzinfo=UTC)]
    assert any("2025 to 2026" in note for note in log.notes)


def test_the_year_is_the_latest_that_does_not_lie_after_the_files_time(tmp_path):
    lines = [f"[Nov 30 10:00:00] {DOWN}"]
    for modified, year in [(datetime(2026, 11, 30, 9, tzinfo=UTC), 2026), (datetime(2026, 11, 20, tzinfo=UTC), 2025)]:
        assert times(sf.read_log(write(tmp_path / "full", lines, modified)))[0].year == year
    assert times(sf.read_log(tmp_path / "full", year=2019))[0].year == 2019


def test_a_files_time_that_is_none_or_to_come_tells_no_year(tmp_path):
    lines = [f"[Nov 30 10:00:00] {DOWN}"]
    with ZipFile(tmp_path / "undated.zip", "w") as archive:
        archive.writestr(ZipInfo("full"), "\n".join(lines))  # 1 January 1980, 00:00
    for path in (tmp_path / "undated.zip", write(tmp_path / "full", lines, datetime(2099, 1, 1, tzinfo=UTC))):
        assert datetime.now(UTC).year - times(sf.read_log(path))[0].year in (0, 1)


def test_a_neighbour_with_a_full_date_gives_the_year(tmp_path):
    lines = [f"[Dec 31 23:59:50] {DOWN}", f"[2021-01-01 00:00:01] {UP}", f"[Jan  1 00:00:10] {DOWN}"]
    log = sf.read_log(write(tmp_path / "full", lines, datetime(2026, 6, 1, tzinfo=UTC)))
    assert [t.astimezone(BERLIN).year for t in times(log)] == [2020, 2021, 2021]


def test_a_29_february_needs_a_leap_year(tmp_path):
    lines = [f"[Feb 28 10:00:00] {DOWN}", f"[Feb 29 10:00:00] {UP}", f"[Mar  1 10:00:00] {DOWN}"]
    log = sf.read_log(write(tmp_path / "full", lines, datetime(2026, 6, 1, tzinfo=UTC)))
    assert [f"{t:%Y-%m-%d}" for t in times(log)] == ["2024-02-28", "2024-02-29", "2024-03-01"]


@pytest.mark.parametrize(("name", "year"), [("full-20230301", 2023), ("full.1677682800", 2023), ("full.1", 2026)])
def test_a_rotated_files_name_dates_it(tmp_path, name, year):
    path = write(tmp_path / name, [f"[Feb 27 10:00:00] {DOWN}"], datetime(2026, 6, 1, tzinfo=UTC))
    assert times(sf.read_log(path))[0].year == year


def test_a_clock_set_back_is_noticed_and_the_logs_order_kept(tmp_path):
    lines = [f"[2026-03-04 10:00:30] {DOWN}", f"[2026-03-04 09:59:30] {UP}", f"[2026-03-04 09:59:29] {DOWN}"]
    log = sf.read_log(write(tmp_path / "full", lines))
    assert log.events["line"].to_list() == [1, 2, 3]
    (note,) = log.notes
    assert "line 2" in note
    assert "60 s" in note


def test_the_zone_is_the_logs_and_a_wrong_one_is_explained(tmp_path):
    path = write(tmp_path / "full", [f"[2026-07-01 12:00:00] {DOWN}"])
    assert times(sf.read_log(path, time_zone="America/New_York")) == [datetime(2026, 7, 1, 16, tzinfo=UTC)]
    with pytest.raises(SettingError, match="Europe/Berlin"):
        sf.read_log(path, time_zone="Mars/Olympus")


def test_first_and_last_are_those_of_any_line(tmp_path):
    lines = [f"[2026-03-04 08:00:00] {NOISE}", f"[2026-03-04 09:00:00] {DOWN}", f"[2026-03-04 11:00:00] {NOISE}"]
    log = sf.read_log(write(tmp_path / "full", lines))
    assert (log.first, log.last) == (datetime(2026, 3, 4, 7, tzinfo=UTC), datetime(2026, 3, 4, 10, tzinfo=UTC))


MOMENT = datetime(2026, 3, 4, 8, 52, 6, 120000)


@pytest.mark.parametrize(
    ("form", "text"),
    [
        ("%F %T,%3q", "2026-03-04 08:52:06,120"),
        ("%b %e %T.%2q", "Mar  4 08:52:06.12"),
        ("%d/%m/%y %H:%M:%S.%3q", "04/03/26 08:52:06.120"),
        ("%m-%d-%Y %I:%M:%S.%6q %p", "03-04-2026 08:52:06.120000 AM"),
        ("%A, %d. %B %Y %T.%1q", "Wednesday, 04. March 2026 08:52:06.1"),
        ("%Y%j %T,%q", "2026063 08:52:06,120"),
        ("%D %T %Z", "03/04/26 08:52:06 CET"),
        ("%c", "Wed Mar  4 08:52:06 2026"),
        ("%k:%M:%S %e.%m.%Y", " 8:52:06  4.03.2026"),
        ("%s.%3q", "1772610726.120"),
        ("%F %T.%3q %z", "2026-03-04 08:52:06.120 +0100"),
    ],
)
def test_any_format_that_a_logger_conf_names_is_read(form, text):
    conf = f"[general]\n; dateformat=%D\n dateformat = {form} ; as we like it\n[logfiles]\n"
    (fact,) = taken("logger_conf", "logger.conf", conf).facts
    assert (fact["value"], fact["line"]) == (form, 3)
    row = read_stamps(pl.Series([text]), [form]).row(0, named=True)
    if row["utc"] is not None:
        assert abs(row["utc"].replace(tzinfo=None) + timedelta(hours=1) - MOMENT) < timedelta(seconds=1)
    else:
        local = row["local"].replace(year=2026)
        assert local.replace(microsecond=0) == MOMENT.replace(microsecond=0)
        assert (local.microsecond == 0) == ("q" not in form)


def test_what_is_no_date_is_not_taken_for_one():
    frame = read_stamps(pl.Series(["", "general", "2026-13-45 99:00:00", "Foo 99 00:00:00", "12345", "2026-03-04"]))
    assert frame["local"].null_count() == frame["utc"].null_count() == 6


def test_stamps_that_cannot_be_read_are_told_with_their_place(tmp_path, capsys):
    path = write(tmp_path / "full", [f"[stardate {n:05}] {text}" for n, text in enumerate((NOISE, DOWN, UP))])
    (note,) = sf.read_log(path).notes
    assert note.startswith(f"{path}: line 2: its time stamp cannot be read, one of 2 such lines")
    assert main(["check", str(path), "--exit-zero"]) == 0
    told = capsys.readouterr().out
    assert "time stamp cannot be read" in told
    assert not re.search("are missing|No reachability", told)
    assert examine(str(path), sf.Settings(), None).row == {"state": "failed", "reason": note}


@pytest.mark.parametrize(
    ("dates", "taken"),
    [
        (("03/04/2026", "03/04/2026", "03/05/2026", "03/05/2026"), "2026-03-04"),
        (("03/04/2026", "04/04/2026"), "2026-04-03"),
        (("03-04-2026", "03-05-2026"), "2026-03-04"),
        (("04/04/2026", "03/04/2026", "05/04/2026"), "2026-04-03"),
        (("03/04/2026", "13/04/2026"), ""),
        (("03/04/2026", "03/13/2026"), ""),
        (("04/04/2026",), ""),
        (("03.04.2026",), ""),
    ],
)
def test_a_date_that_can_be_read_in_two_ways_is_told(tmp_path, monkeypatch, dates, taken):
    monkeypatch.setattr(import_module("starface_nb.reading.parse"), "_STAMPS_AT_ONCE", 2)  # the name is a function, too
    path = write(tmp_path / "full", [f"[{date} 08:00:00] {DOWN}" for date in dates])
    told = [note for note in sf.read_log(path).notes if "begins with the day or the month" in note]
    assert [note.split("; ")[1].split(".")[0] for note in told] == [f"taken as {taken}"] * bool(taken)
    (tmp_path / "logger.conf").write_text(f"[general]\ndateformat=%d{dates[0][2]}%m{dates[0][2]}%Y %T\n")
    assert not any("begins with" in note for note in sf.read_log(path).notes)


@pytest.mark.parametrize("zone", ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata", "UTC"])
def test_local_times_come_back_from_utc_all_year(zone):
    moments = np.arange(0, 366 * 86400, 601, dtype=np.int64) * 1_000_000 + 1_767_225_600_000_000
    utc = pl.Series(moments).cast(pl.Datetime("us")).dt.replace_time_zone("UTC")
    local = clock.micros(utc.dt.convert_time_zone(zone).dt.replace_time_zone(None))
    back, impossible, once = clock.to_utc(local, np.arange(local.size, dtype=np.int64), zone)
    assert np.array_equal(back, moments)
    assert (impossible, once) == (0, False)


@pytest.mark.parametrize(
    ("typed", "meant"), [("utc", "UTC"), ("europe/berlin", "Europe/Berlin"), (" Etc/GMT-1 ", "Etc/GMT-1")]
)
def test_a_zone_is_known_however_it_is_typed(typed, meant):
    assert clock.zone(typed).key == meant


@pytest.mark.parametrize("content", [b"", b"no zone", b"TZif2" + bytes(15), b"TZif2" + bytes(15) + b"\0\0\0\x09" * 6])
def test_a_damaged_zone_is_not_called_a_wrong_name(content, tmp_path):
    (tmp_path / "Europe").mkdir()
    (tmp_path / "Europe" / "Berlin").write_bytes(content)
    zoneinfo.reset_tzpath([str(tmp_path)])
    zoneinfo.ZoneInfo.clear_cache()
    try:
        with pytest.raises(SettingError, match="'Europe/Berlin' are missing or damaged on this machine"):
            clock.zone("Europe/Berlin")
        with pytest.raises(SettingError, match="'Europe/Berln' is no time zone"):
            clock.zone("Europe/Berln")
    finally:
        zoneinfo.reset_tzpath()
        zoneinfo.ZoneInfo.clear_cache()
