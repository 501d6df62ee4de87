"""What holds for every line: names as written, times as meant."""

import json
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import polars as pl
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from made_logs import folder, steady

import starface_nb as sf
from starface_nb.reading.layouts import read_headers
from starface_nb.reading.stamps import read_stamps

BERLIN = ZoneInfo("Europe/Berlin")
many = settings(steady, max_examples=100)
# Any text without a newline that is not cut at a line's end; half of the names look like parts of a log.
anything = st.text(
    st.characters(exclude_characters="\n\r\0\t \ufeff", exclude_categories=["Cs"]), min_size=1, max_size=30
)
names = st.one_of(
    anything,
    st.lists(
        st.sampled_from(
            ["'", " is now ", "Reachable. (1ms / 2ms)", "] ", "[", "chan_sip.c: ", "Peer '", '"', "\\", "<", "%s"]
        ),
        min_size=1,
        max_size=6,
    ).map(lambda parts: "x" + "".join(parts) + "x"),
)
LAYOUTS = {
    "file": "[2026-03-04 08:52:{s:02}] NOTICE[17903][C-00000008] chan_sip.c: {m}",
    "old": "[Mar  4 08:52:{s:02}] NOTICE[17903] chan_sip.c: {m}",
    "console": "[2026-03-04 08:52:{s:02}] NOTICE[30733]: chan_sip.c:15851 sip_poke_noanswer: {m}",
    "syslog": "Mar  4 08:52:{s:02} pbx asterisk[812]: NOTICE[17903]: chan_sip.c:30555 in sip_poke_noanswer: {m}",
    "json": None,
}
FORMATS = [
    "%Y-%m-%d %H:%M:%S",
    "%Y-%m-%dT%H:%M:%S",
    "%d.%m.%Y %H:%M:%S",
    "%Y/%m/%d %H:%M:%S",
    "%b %d %Y %H:%M:%S",
    "%a %b %d %H:%M:%S %Y",
    "%d/%b/%Y:%H:%M:%S",
    "%Y%m%d-%H:%M:%S",
]


def line(layout: str, second: int, message: str) -> str:
    if layout != "json":
        return LAYOUTS[layout].format(s=second, m=message)
    return json.dumps(
        {
            "hostname": "pbx",
            "timestamp": f"2026-03-04 08:52:{second:02}",
            "identifiers": {"lwp": 1},
            "logmsg": {
                "location": {"filename": "chan_sip.c", "function": "f", "line": 3},
                "level": "NOTICE",
                "message": message + "\n",
            },
        }
    )


@many
@given(st.sampled_from([*LAYOUTS]), st.lists(names, min_size=2, max_size=16))
def test_a_name_is_read_exactly_as_written(layout, peers):
    assume(not any(name.startswith("#033[") or "\x1b" in name or "#033" in name for name in peers))
    texts = [line(layout, n, f"Peer '{name}' is now UNREACHABLE!  Last qualify: 7") for n, name in enumerate(peers)]
    with folder() as path:
        (path / "full").write_bytes("".join(f"{text}\n" for text in texts).encode("utf-8"))
        log = sf.read_log(path, progress=False)
    assert log.events["peer"].to_list() == peers
    assert log.unparsed.height == 0


@many
@given(
    st.datetimes(datetime(2000, 1, 1), datetime(2037, 12, 31)).map(lambda t: t.replace(microsecond=0)),
    st.sampled_from(FORMATS),
    st.integers(0, 999_999),
    st.sampled_from(["", ".", ","]),
)
def test_every_stamp_is_read_as_the_moment_it_means(time, form, micros, separator):
    fraction = f"{separator}{micros:06}" if separator and form.startswith("%Y-") else ""
    read = read_stamps(pl.Series([time.strftime(form) + fraction]))["local"][0]
    assert read == (time.replace(microsecond=micros) if fraction else time)


@many
@given(st.datetimes(datetime(2001, 9, 10), datetime(2037, 1, 1), timezones=st.just(UTC)), st.integers(-12 * 4, 14 * 4))
def test_a_written_offset_decides(time, quarters):
    zone = timedelta(minutes=15 * quarters)
    time = time.replace(microsecond=0)
    sign, minutes = ("-" if quarters < 0 else "+"), abs(15 * quarters)
    stamp = f"{time.replace(tzinfo=None) + zone:%Y-%m-%d %H:%M:%S}{sign}{minutes // 60:02}:{minutes % 60:02}"
    assert read_stamps(pl.Series([stamp, str(int(time.timestamp()))]))["utc"].to_list() == [time, time]


@pytest.mark.parametrize("change", [datetime(2026, 3, 29, 1, tzinfo=UTC), datetime(2026, 10, 25, 1, tzinfo=UTC)])
@pytest.mark.parametrize("form", ["%Y-%m-%d %H:%M:%S", "%b %d %H:%M:%S"])
@steady
@given(st.integers(61, 400), st.lists(st.integers(0, 1200), min_size=10, max_size=40))
def test_local_times_become_the_right_moments_over_both_changes(form, change, minutes, gaps):
    time = change - timedelta(minutes=minutes)
    times = [time := time + timedelta(seconds=gap) for gap in gaps]
    lines = [
        f"[{t.astimezone(BERLIN).strftime(form)}] NOTICE[1] chan_sip.c: Peer 'p{n}' is now Reachable. (9ms / 2000ms)\n"
        for n, t in enumerate(times)
    ]
    with folder() as path:
        (path / "full").write_text("".join(lines))
        read = sf.read_log(path, progress=False, year=2026).events["time"].to_list()
    assert read == times


@many
@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=60), max_size=20))
def test_headers_of_any_text_are_read_without_losing_a_line(texts):
    headers = read_headers(pl.Series(texts, dtype=pl.String))
    assert headers.height == len(texts)
    assert headers.null_count().sum_horizontal().item() == 0


@steady
@given(st.binary(max_size=3000), st.integers(0, 10))
def test_damage_before_and_after_a_line_does_not_take_it_along(damage, place):
    good = b"[2026-03-04 08:52:%02d] NOTICE[1] chan_sip.c: Peer 'x' is now UNREACHABLE!  Last qualify: 7"
    lines = [good % second for second in range(10)]
    damage = damage.replace(b"\0", b"")  # two NULs in a row would make it another encoding
    assume(b"<---" not in damage)
    lines.insert(place, damage)
    with folder() as path:
        (path / "full").write_bytes(b"\n".join([b"[2026-03-04 08:00:00] VERBOSE[1] pbx.c: start", *lines, b""]))
        assert sf.read_log(path, progress=False).events.filter(pl.col("peer") == "x").height == 10
