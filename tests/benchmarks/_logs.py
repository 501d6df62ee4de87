"""The logs that reading is measured on: seeded, and as large as wanted."""

from __future__ import annotations

import random
import struct
import zipfile
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

RELEVANT = 0.0025
DUMPS = 0.002  # share of entries that are dumps of a SIP message, each with two marks


# Shares of entries that are dumps of a SIP message, and that look like the begin of one, by what is switched on.
KINDS = {"quiet": (0.0, 0.0), "calls": (0.0, 0.2), "sipdebug": (0.25, 0.0)}


def _noise(draw: random.Random, dumps: float = DUMPS, alike: float = 0.0) -> str:
    channel = f"SIP/{draw.randrange(1000, 4000)}.snomd345-{draw.getrandbits(32):08x}"
    call, thread, number = f"C-{draw.getrandbits(32):08x}", draw.randrange(1000, 30000), draw.randrange(10**9)
    if draw.random() < alike:
        place = f"203.0.113.{number % 250}:5060"
        return f"VERBOSE[2211] chan_sip.c: Reliably Transmitting (NAT) to {place}: OPTIONS sip:{number}\n"
    if dumps > DUMPS and draw.random() < dumps / 2:
        return (
            f"VERBOSE[2211] chan_sip.c: Reliably Transmitting (NAT) to 203.0.113.{number % 250}:5060:\n"
            f"OPTIONS sip:{number}@203.0.113.{number % 250} SIP/2.0\n"
            f"Via: SIP/2.0/UDP 10.0.0.1:5060;branch=z9hG4bK{number:x}\n"
            f"From: <sip:pbx@10.0.0.1>;tag={number}\nTo: <sip:{number}>\nCSeq: 102 OPTIONS\nContent-Length: 0\n\n---\n"
        )
    if draw.random() < (dumps if dumps <= DUMPS else dumps / 2):
        return (
            f"VERBOSE[2211] chan_sip.c: \n<--- SIP read from UDP:203.0.113.{number % 250}:5060 --->\n"
            f"OPTIONS sip:pbx SIP/2.0\nVia: SIP/2.0/UDP 10.0.0.{number % 250}:5060;branch=z9hG4bK{number:x};rport\n"
            f"From: <sip:{number}@10.0.0.1>;tag={number}\nTo: <sip:pbx>\nCall-ID: {number}@10.0.0.1\n"
            "CSeq: 102 OPTIONS\nContent-Length: 0\n\n<------------->\n"
        )
    kinds = (
        f'pbx.c: Executing [s@macro-dial:{number % 50}] Set("{channel}", "__DIALEDPEER={number}") in new stack',
        f'pbx.c: Executing [{number}@from-internal:7] GotoIf("{channel}", "1?done") in new stack',
        f"pbx_builtins.c: Goto (macro-dial,s,{number % 90})",
        f"app_dial.c: {channel} is ringing",
        f"app_dial.c: Called SIP/{number % 4000}.snomd345",
        f"bridge_channel.c: Channel {channel} joined 'simple_bridge' basic-bridge <{number:032x}>",
        f"func_db.c: DB_RESULT={number:x} for key 'user/{number % 900}/state'",
        f"manager.c: Manager 'ucd' logged on from 127.0.0.1 ({number:x})",
        f"chan_sip.c: Checking SIP call limits for device {number % 4000}.yealinkt46s",
        f"rtp_engine.c: Locally bridged {channel} and SIP/trunk-{number:08x}, sequence {number}",
    )
    level = draw.choice(("VERBOSE", "VERBOSE", "VERBOSE", "DEBUG"))
    return f"{level}[{thread}][{call}] {draw.choice(kinds)}\n"


def _event(draw: random.Random) -> str:
    peer, rtt = f"{draw.randrange(1000, 1500)}.snomd345", draw.randrange(9, 90)
    texts = (
        f"NOTICE[2211] chan_sip.c: Peer '{peer}' is now UNREACHABLE!  Last qualify: {rtt}\n",
        f"NOTICE[2211] chan_sip.c: Peer '{peer}' is now Reachable. ({rtt}ms / 2000ms)\n",
        f"VERBOSE[2211] chan_sip.c: Registered SIP '{peer}' at 203.0.113.{rtt}:{draw.randrange(1024, 65536)}\n",
    )
    return draw.choice(texts)


def _pool(draw: random.Random, shares: tuple[float, float] = (DUMPS, 0.0)) -> tuple[list[bytes], float]:
    """Return unrelated entries without their stamp, and how many lines one of them has."""
    pool = [_noise(draw, *shares).encode() for _ in range(200_000)]
    return pool, sum(body.count(b"\n") for body in pool) / len(pool)


def write_log(path: Path, size: int, seed: int = 1, kind: str = "") -> int:
    """Write a log of about `size` bytes with 0.25 % relevant lines, and return its number of lines; see `KINDS`."""
    draw = random.Random(seed)  # noqa: S311
    pool, per_entry = _pool(draw, KINDS.get(kind, (DUMPS, 0.0)))
    share = RELEVANT * per_entry / (1 - RELEVANT + RELEVANT * per_entry)
    now, written, lines = datetime(2026, 3, 4), 0, 0
    with path.open("wb") as file:
        while written < size:
            at, count = draw.randrange(len(pool)), draw.randrange(5, 40)
            now += timedelta(milliseconds=draw.randrange(2000))
            stamp = f"[{now:%Y-%m-%d %H:%M:%S},{now.microsecond // 1000:03d}] ".encode()
            bodies = pool[at : at + count]
            bodies += [_event(draw).encode() for _ in range(int(len(bodies) * share + draw.random()))]
            text = stamp + stamp.join(bodies)
            written += file.write(text)
            lines += text.count(b"\n")
    return lines


def _events(phones: int, days: int) -> Iterator[bytes]:
    """Yield the lines of a simulated customer whose phones all lose their binding, again and again."""
    from starface_nb.simulation import Wish, make, simulate

    yield from (line.encode() + b"\n" for line in simulate(make("plain", 1, Wish(phones, 24 * days)), 1).lines)


def write_check_log(path: Path, phones: int, days: int, size: int) -> int:
    """Write a simulated log of about `size` bytes, its lines between unrelated ones; return its number of lines."""
    draw = random.Random(1)  # noqa: S311
    pool, _ = _pool(draw)
    events = list(_events(phones, days))
    between = (size - sum(map(len, events))) / len(events) / (sum(map(len, pool)) / len(pool) + 25)
    lines, owed = 0, 0.0
    with path.open("wb") as file:
        for event in events:
            stamp, at = event[: event.find(b"]") + 2], draw.randrange(len(pool) - 1000)
            owed += between
            bodies = pool[at : at + int(owed)]
            owed -= len(bodies)
            text = event + b"".join(stamp + body for body in bodies)
            file.write(text)
            lines += text.count(b"\n")
    return lines


def zip_of(gz: Path, path: Path) -> None:
    """Put what is in a gz file without a name into a zip archive, its deflated bytes as they are."""
    size = gz.stat().st_size
    with gz.open("rb") as packed, zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        packed.seek(size - 8)
        info = zipfile.ZipInfo("var/log/asterisk/full", (2026, 3, 14, 0, 0, 0))
        info.CRC, low = struct.unpack("<LL", packed.read())
        info.file_size, info.compress_size = low, size - 18  # below 4 GiB, or else zip64 would be needed
        info.compress_type, info.header_offset = zipfile.ZIP_DEFLATED, 0
        assert archive.fp
        archive.fp.write(info.FileHeader())
        packed.seek(10)
        while block := packed.read(min(1 << 20, size - 8 - packed.tell())):
            archive.fp.write(block)
        archive.filelist.append(info)
        archive.NameToInfo[info.filename] = info
        archive.start_dir, archive._didModify = archive.fp.tell(), True
