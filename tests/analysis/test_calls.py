"""What the losses cost: calls, counted once however often they are tried."""

from __future__ import annotations

import random
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

import starface_nb as sf
from starface_nb.analysis.calls import cost
from starface_nb.reading.calls import dialled_peers

DAY = datetime(2026, 3, 4, 6, tzinfo=UTC)
PHONES = [f"10{n:02}.snomd345" for n in range(12)]
CALLER = "0171987654{:02}"
ABSENT = "Unable to create channel of type 'SIP' (cause 20 - Subscriber absent)"
GIVEN_UP = (
    "Retransmission timeout reached on transmission 7f3a@192.0.2.1:5060 for seqno 102 (Critical Request) -- See x"
)


@dataclass
class Day:
    """A day of a PBX, written line by line, with the calls that lost phones did not get."""

    seed: int
    begin: datetime = DAY
    lines: list[tuple[float, str]] = field(default_factory=list)
    truth: dict[str, set[int]] = field(default_factory=lambda: defaultdict(set))
    nobody: set[int] = field(default_factory=set)
    lost: dict[str, list[tuple[float, float]]] = field(default_factory=lambda: defaultdict(list))
    calls: int = 0

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)  # noqa: S311  a test's day, no secret
        for phone in PHONES:
            self.say(
                1.0,
                f"VERBOSE[1] chan_sip.c: Registered SIP '{phone}' at 203.0.113.7:{5060 + self.random.randrange(900)}",
            )
        for phone in PHONES[:8]:
            for start in sorted(self.random.sample(range(600, 34_000, 4_000), 3)):
                self.lose(phone, start + self.random.random(), 900 + self.random.random() * 1500)

    def say(self, at: float, text: str) -> None:
        self.lines.append((at, text))

    def lose(self, phone: str, start: float, seconds: float) -> None:
        self.lost[phone].append((start, start + seconds))
        self.say(start, f"NOTICE[1] chan_sip.c: Peer '{phone}' is now UNREACHABLE!  Last qualify: 21")
        self.say(start + seconds, f"NOTICE[1] chan_sip.c: Peer '{phone}' is now Reachable. (21ms / 2000ms)")

    def is_lost(self, phone: str, at: float) -> bool:
        return any(start + 2 < at < end - 2 for start, end in self.lost[phone])

    def _dial(self, at: float, call: int, thread: int, phones: list[str], *, agi: bool = False) -> None:
        """One `Dial` in one thread: what cannot be reached is said at once, and at the end if nobody is left."""
        head = f"[{thread}][C-{call:08x}]"
        options = "&".join(f"SIP/{phone}" for phone in phones) + ",30,tT"
        caller = CALLER.format(call % 100)
        if agi:
            self.say(at, f"VERBOSE{head} res_agi.c: AGI Script Executing Application: (Dial) Options: ({options})")
        else:
            dial = f'Dial("SIP/trunk-{call:08x}", "{options}")'
            self.say(at, f"VERBOSE{head} pbx.c: Executing [{caller}@ring:2] {dial} in new stack")
        gone = [phone for phone in phones if self.is_lost(phone, at)]
        for n, phone in enumerate(gone):
            self.truth[phone].add(call)
            self.say(
                at + 0.001 * (n + 1),
                f"NOTICE{head} app_dial.c: Unable to create channel of type 'SIP' (cause 20 - Subscriber absent)",
            )
        if len(gone) == len(phones):
            total = len(phones)
            self.say(
                at + 0.1, f"VERBOSE{head} app_dial.c: Everyone is busy/congested at this time ({total}:0/0/{total})"
            )

    def phone_call(self, at: float) -> None:
        self.calls += 1
        phone = self.random.choice(PHONES)
        self._dial(at, self.calls, 1000 + self.calls, [phone], agi=self.random.random() < 0.5)
        if self.is_lost(phone, at):
            self.nobody.add(self.calls)

    def ring_group(self, at: float) -> None:
        """All phones at once, each in a thread of its own (Local channels) or in one `Dial`."""
        self.calls += 1
        phones = self.random.sample(PHONES, 4)
        if self.random.random() < 0.5:
            self._dial(at, self.calls, 1000 + self.calls, phones)
        else:
            for n, phone in enumerate(phones):
                self._dial(at + 0.0001 * n, self.calls, 100_000 + 10 * self.calls + n, [phone])
        if all(self.is_lost(phone, at) for phone in phones):
            self.nobody.add(self.calls)

    def queue(self, at: float) -> None:
        """The same caller, tried again every five seconds, each time at the next phones."""
        self.calls += 1
        phones = self.random.sample(PHONES, 3)
        times = [at + 5 * n for n in range(6)]
        for time in times:
            self._dial(time, self.calls, 1000 + self.calls, phones)
        if all(self.is_lost(phone, time) for phone in phones for time in times):
            self.nobody.add(self.calls)

    def nested(self, at: float) -> None:
        """A ring group of ring groups: each a Local channel with threads of its own, all within one call."""
        self.calls += 1
        call, thread = self.calls, 200_000 + 100 * self.calls
        head = f"[{thread}][C-{call:08x}]"
        self.say(
            at, f'VERBOSE{head} pbx.c: Executing [s@all:1] Dial("SIP/t-1", "Local/a@in&Local/b@in,30") in new stack'
        )
        phones = self.random.sample(PHONES, 6)
        for n in range(2):
            mine, inner = phones[3 * n : 3 * n + 3], f"[{thread + 10 + n}][C-{call:08x}]"
            options = "&".join(f"Local/{phone.partition('.')[0]}@in" for phone in mine[1:]) + f"&SIP/{mine[0]},20"
            self.say(
                at + 0.01, f'VERBOSE{inner} pbx.c: Executing [a@in:1] Dial("Local/a-1;2", "{options}") in new stack'
            )
            if self.is_lost(mine[0], at + 0.01):
                self.truth[mine[0]].add(call)
                self.say(at + 0.02, f"NOTICE{inner} app_dial.c: {ABSENT}")
            for k, phone in enumerate(mine[1:]):
                self._dial(at + 0.03 + 0.01 * k, call, thread + 50 + 10 * n + k, [phone])
            if all(self.is_lost(phone, at) for phone in mine):
                self.say(at + 0.5, f"VERBOSE{inner} app_dial.c: Everyone is busy/congested at this time (3:0/1/2)")
        if all(self.is_lost(phone, at) for phone in phones):
            self.nobody.add(call)

    def overflow(self, at: float) -> None:
        """A queue that gives up after two tries, then another queue, whose members are Local channels; or a phone."""
        self.calls += 1
        call, thread = self.calls, 1000 + self.calls
        first, second, last = (self.random.sample(PHONES, n) for n in (2, 3, 1))
        times = [at, at + 15, at + 45, at + 60, at + 90]
        for time in times[:2]:
            self._dial(time, call, thread, first)
        for k, time in enumerate(times[2:4]):
            for n, phone in enumerate(second):
                self._dial(time + 0.01 * n, call, 300_000 + 100 * call + 10 * k + n, [phone])
        self._dial(times[4], call, thread, last)
        tried = [(first, times[:2]), (second, times[2:4]), (last, times[4:])]
        if all(self.is_lost(phone, time) for phones, each in tried for phone in phones for time in each):
            self.nobody.add(call)

    def just_before(self, phone: str) -> None:
        """A call in the minute before the loss is noticed: the INVITE is given up after 32 s."""
        self.calls += 1
        start = self.lost[phone][0][0]
        head, at = f"[{1000 + self.calls}][C-{self.calls:08x}]", start - 40
        self.say(at, f'VERBOSE{head} pbx.c: Executing [s@ring:2] Dial("SIP/t-00000001", "SIP/{phone},30") in new stack')
        self.say(at + 32, f"WARNING[1] chan_sip.c: {GIVEN_UP}")
        self.say(at + 32.1, f"VERBOSE{head} app_dial.c: SIP/{phone}-{self.calls:08x} is circuit-busy")
        self.say(at + 32.2, f"VERBOSE{head} app_dial.c: Everyone is busy/congested at this time (1:0/1/0)")
        self.truth[phone].add(self.calls)
        self.nobody.add(self.calls)

    def text(self) -> str:
        stamps = (
            (at, f"[{(self.begin + timedelta(seconds=at)).strftime('%Y-%m-%d %H:%M:%S,%f')[:-3]}] {text}")
            for at, text in self.lines
        )
        return "\n".join(text for _, text in sorted(stamps, key=lambda one: one[0])) + "\n"


def _case(tmp_path: Path, text: str) -> sf.Diagnosis:
    path = tmp_path / "full"
    path.write_text(text, encoding="utf-8")
    return sf.diagnose(sf.read_log(path, time_zone="UTC", progress=False))


@pytest.mark.parametrize("seed", range(5))
def test_calls_lost_are_exact_on_a_day_with_queues_groups_and_retries(tmp_path: Path, seed: int) -> None:
    day = Day(seed)
    for n in range(150):
        one = (day.phone_call, day.ring_group, day.queue, day.nested, day.overflow)[n % 5]
        one(700 + 220 * n + day.random.random() * 50)
    for phone in PHONES[:3]:
        day.just_before(phone)
    case = _case(tmp_path, day.text())
    told = cost(case.calls_lost)
    phones = {row["peer"]: row["calls"] for row in told["phones"]}  # type: ignore[attr-defined]
    assert phones == {phone: len(calls) for phone, calls in day.truth.items() if calls}
    assert told["calls"] == len(set().union(*day.truth.values()))
    assert told["nobody"] == len(day.nobody)
    assert told["unnamed"] == 0
    assert sum(phones.values()) > told["calls"] > 20  # type: ignore[operator]
    incidents = cost(case.calls_lost, case.intervals.with_columns(case.incident_of.alias("incident")))["incidents"]
    assert sum(row["calls"] for row in incidents) >= told["calls"]  # type: ignore[attr-defined,operator]


def test_calls_are_not_counted_where_no_phone_was_lost(tmp_path: Path) -> None:
    day = Day(1)
    day.lines = [(at, text) for at, text in day.lines if "UNREACHABLE" not in text and "Reachable" not in text]
    for n in range(30):
        day.ring_group(700 + 220 * n)
    case = _case(tmp_path, day.text())
    assert case.calls_lost.is_empty()


def test_numbers_of_calls_begin_anew_with_the_pbx(tmp_path: Path) -> None:
    day = Day(2)
    phone = PHONES[0]
    day.lost[phone].clear()
    day.lines = [(at, text) for at, text in day.lines if phone not in text or "Registered" in text]
    day.lose(phone, 600, 30_000)
    for at in (700, 29_000):
        day.calls = 0
        day.calls += 1
        day._dial(at, day.calls, 7, [phone])
    case = _case(tmp_path, day.text())
    assert cost(case.calls_lost)["calls"] == 2


def test_without_verbose_lines_calls_are_counted_but_nobody_is_named(tmp_path: Path) -> None:
    day = Day(3)
    for n in range(100):
        day.phone_call(700 + 300 * n)
    expected = len(set().union(*day.truth.values()))
    day.lines = [(at, text) for at, text in day.lines if not text.startswith("VERBOSE")]
    told = cost(_case(tmp_path, day.text()).calls_lost)
    assert (told["calls"], told["unnamed"]) == (0, expected)
    assert expected > 3


def test_no_number_of_a_caller_is_kept(tmp_path: Path) -> None:
    day = Day(4)
    for n in range(60):
        day.phone_call(700 + 400 * n)
    head = "[99][C-000000ff]"
    outside = "SIP/00491719999999@trunk&SIP/trunk/01719999998"
    day.say(900, f'VERBOSE{head} pbx.c: Executing [s@out:1] Dial("SIP/1001-00", "{outside}") in new stack')
    case = _case(tmp_path, day.text())
    assert case.calls_lost.height
    kept = f"{case.log.calls.rows()} {case.calls_lost.rows()} {case.log.events.rows()}"
    assert not [number for number in ("0171987654", "1719999999", "1719999998") if number in kept]


def test_who_is_dialled() -> None:
    assert dialled_peers("SIP/1001.snom&PJSIP/12,30,tT") == ["1001.snom", "12"]
    assert dialled_peers("SIP/00491@trunk,30") == ["trunk"]
    assert dialled_peers("PJSIP/12/sip:12@203.0.113.7:5060&Local/5@x&IAX2/u:planted@peer/5|30") == ["12", "peer"]
    assert dialled_peers("") == []
    assert len(dialled_peers("&".join(f"SIP/{n}" for n in range(5000)))) == 100


def test_schema_of_the_frame(tmp_path: Path) -> None:
    case = _case(tmp_path, Day(5).text())
    assert case.calls_lost.schema["call"] == pl.Int64
    assert cost(case.calls_lost)["phones"] == []


def test_before_and_after_tell_the_calls_lost(tmp_path: Path) -> None:
    sides, lost = [], []
    for day_of_month, phones in ((4, 8), (5, 4)):
        day = Day(6, DAY.replace(day=day_of_month))
        gone = PHONES[phones:]
        day.lines = [(at, t) for at, t in day.lines if not ("is now" in t and any(phone in t for phone in gone))]
        day.lost = defaultdict(list, {phone: day.lost[phone] for phone in PHONES[:phones]})
        for n in range(100):
            day.phone_call(700 + 300 * n)
        (tmp_path / str(phones)).mkdir()
        sides.append(_case(tmp_path / str(phones), day.text()))
        lost.append(cost(sides[-1].calls_lost)["calls"])
    told = sf.compare(*sides).to_json()
    assert [told[side]["calls_lost"] for side in ("before", "after")] == lost
    assert lost[0] > lost[1] > 0
