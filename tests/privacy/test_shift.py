from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from starface_nb.privacy.shift import shifted

BERLIN = ZoneInfo("Europe/Berlin")
SUMMER = datetime(2026, 7, 1, 10, 0, 5, tzinfo=BERLIN)


@pytest.mark.parametrize(
    ("stamp", "expected"),
    [
        ("2026-07-01 10:00:05", "2026-06-17 10:00:05"),
        ("2026-07-01T10:00:05.123", "2026-06-17T10:00:05.123"),
        ("2026-07-01 10:00:05,123", "2026-06-17 10:00:05,123"),
        ("2026-07-01T10:00:05+02:00", "2026-06-17T10:00:05+02:00"),
        ("2026-07-01T08:00:05Z", "2026-06-17T08:00:05Z"),
        ("Jul  1 10:00:05", "Jun 17 10:00:05"),
        ("Jul 1 10:00:05", "Jun 17 10:00:05"),
        ("Jul 01 10:00:05", "Jun 17 10:00:05"),
        ("Jul  1 2026 10:00:05", "Jun 17 2026 10:00:05"),
        ("Wed Jul  1 10:00:05 2026", "Wed Jun 17 10:00:05 2026"),
        ("01.07.2026 10:00:05,7", "17.06.2026 10:00:05,7"),
        ("2026/07/01 10:00:05", "2026/06/17 10:00:05"),
        ("20260701-10:00:05", "20260617-10:00:05"),
        ("01/Jul/2026:10:00:05", "17/Jun/2026:10:00:05"),
        ("1782892805.25", "1781683205.25"),
        ("yesterday", None),
    ],
)
def test_every_form_of_stamp_moves_by_weeks(stamp, expected):
    assert shifted(stamp, SUMMER, -2, BERLIN) == expected


def test_the_padding_of_the_day_is_kept():
    late = datetime(2026, 7, 15, 10, 0, 5, tzinfo=BERLIN)
    assert shifted("Jul 15 10:00:05", late, -2, BERLIN) == "Jul  1 10:00:05"


def test_over_the_change_of_daylight_saving_time_the_distance_in_utc_stays():
    new = shifted("2026-07-01 10:00:05", SUMMER, 26, BERLIN)
    moved = datetime.strptime(new, "%Y-%m-%d %H:%M:%S").replace(tzinfo=BERLIN).astimezone(UTC)
    assert (moved - SUMMER.astimezone(UTC)).total_seconds() == 26 * 7 * 86400
