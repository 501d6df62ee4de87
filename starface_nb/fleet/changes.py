"""Whether a customer's log has changed since it was examined, told without reading it."""

from __future__ import annotations

import hashlib
import os
from contextlib import suppress
from pathlib import Path

EDGE = 64 << 10


def quick_fingerprint(log: Path) -> str:
    """Return 32 hexadecimal digits that change when a file does, or any file in a folder.

    Looks at each file's place, size, time and first and last 64 KiB, so it takes no time whatever the size.
    """
    digest = hashlib.sha256()
    for path in sorted(p for p in log.rglob("*") if os.access(p, os.F_OK) and p.is_file()) if log.is_dir() else [log]:
        digest.update(os.fsencode(path.absolute()) + b"\0")
        with suppress(OSError), path.open("rb", buffering=0) as file:
            status = os.fstat(file.fileno())
            digest.update(f"{status.st_size} {status.st_mtime_ns}\0".encode() + file.read(min(status.st_size, EDGE)))
            file.seek(max(0, status.st_size - EDGE))
            digest.update(file.read(EDGE))
    return digest.hexdigest()[:32]
