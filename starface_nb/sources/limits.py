"""What reading a source may cost at most, and the running account of it."""

import os
from collections import Counter
from dataclasses import dataclass, field
from threading import Event, Lock

from starface_nb.errors import InputError

ALLOW_DAMAGED = "STARFACE_NB_ALLOW_DAMAGED"
_NO = ("", "0", "no", "false", "off")
HARMLESS = 1 << 30  # a bomb that unpacks to less costs a second and no memory: no need to refuse a repetitive log
UNPACK = "If you trust the file, unpack it yourself and name the log in it."


@dataclass(frozen=True)
class Limits:
    """Bounds against hostile or damaged sources.

    Attributes
    ----------
    max_ratio : float
        Unpacked bytes per packed byte, looked at beyond 1 GiB of unpacked bytes.
    max_total_bytes : int
        Unpacked bytes of all compressed files and members together.
    max_members : int
        Files in a folder; members of all archives together.
    max_nested : int
        Archives inside archives, and logs in those, all together.
    max_nesting : int
        Archives or compressions inside each other; a zip is both.
    max_held_bytes : int
        Bytes of all zip archives inside archives, which must be held in memory.
    max_line : int
        Bytes of a line that are kept.
    max_hit_bytes : int
        Bytes of all relevant lines together.
    allow_damaged : bool
        Go on with what can be read of a damaged file; an environment variable may say so.
    """

    max_ratio: float = 250.0
    max_total_bytes: int = 64 << 30
    max_members: int = 20_000
    max_nested: int = 128
    max_nesting: int = 5
    max_held_bytes: int = 128 << 20
    max_line: int = 64 << 10
    max_hit_bytes: int = 1 << 30
    allow_damaged: bool = field(default_factory=lambda: os.environ.get(ALLOW_DAMAGED, "").lower() not in _NO)


def cores() -> int:
    """Return how many processors this process may use, 8 at most."""
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(8, usable)


class RefusedError(InputError):
    """A file or member passes a limit, or is made to harm: nothing of it is read."""


class ExhaustedError(RefusedError):
    """All that was read so far passes a limit together: nothing more is read."""


class DamagedError(InputError):
    """A compressed stream ends early or is corrupt; what stands before the damage was delivered.

    `corrupt`: bytes in it are wrong, and nobody knows from where on; what was delivered may be wrong, too.
    """

    def __init__(self, cause: str, *, place: str = "", next_step: str = "", corrupt: bool = False) -> None:
        self.corrupt = corrupt
        super().__init__(cause, place=place, next_step=next_step or "Copy or download it again.")

    def told(self, name: str, size: int) -> str:
        """Return what to say of a log of which `size` bytes were read."""
        if self.corrupt:
            return f"{name}: damaged: what stands in it may be wrong."
        return f"{name}: damaged or cut off; read up to byte {size:,} of the log, the rest is missing."


# What passing a limit means: for all that is read, or for the one file; why, and what to do.
_PASSED = {
    "max_total_bytes": (ExhaustedError, "refused: more than {:,} bytes in all after unpacking.", UNPACK),
    "max_hit_bytes": (ExhaustedError, "more than {:,} bytes of relevant lines.", "Read fewer files at once."),
    "max_members": (ExhaustedError, "refused: the archive, with those in it, has more than {:,} members.", UNPACK),
    "max_nested": (ExhaustedError, "refused: more than {:,} archives in archives and files in those.", UNPACK),
    "max_held_bytes": (RefusedError, "refused: zip archives of more than {:,} bytes inside archives.", UNPACK),
}


@dataclass
class Account:
    """What was spent so far by all threads of one reading, and whether it is to stop."""

    limits: Limits
    stop: Event = field(default_factory=Event)
    raw_bytes: int = 0
    _spent: Counter[str] = field(default_factory=Counter)
    _lock: Lock = field(default_factory=Lock)

    def read(self, count: int) -> None:
        """Note raw bytes read (for the progress bar); raises `KeyboardInterrupt` when the reading is to stop."""
        if self.stop.is_set():
            raise KeyboardInterrupt
        with self._lock:
            self.raw_bytes += count

    def take_read(self) -> int:
        """Return the raw bytes read since this was last asked."""
        with self._lock:
            count, self.raw_bytes = self.raw_bytes, 0
        return count

    def spend(self, limit: str, count: int, place: str) -> None:
        """Note `count` more of what a limit is for; raises `RefusedError` or `ExhaustedError` when they pass it."""
        with self._lock:
            self._spent[limit] += count
        most = getattr(self.limits, limit)
        if self._spent[limit] > most:
            error, cause, step = _PASSED[limit]
            raise error(cause.format(most), place=place, next_step=step)

    def unpack(self, count: int, produced: int, consumed: int, place: str) -> None:
        """Note `count` more unpacked bytes of a stream that has `produced` so far from `consumed`; raises as above."""
        if produced > max(HARMLESS, self.limits.max_ratio * consumed):
            ratio = f"{self.limits.max_ratio:,.0f}"
            cause = f"refused: it unpacks to more than {ratio} times its size (a decompression bomb?)."
            raise RefusedError(cause, place=place, next_step=UNPACK)
        self.spend("max_total_bytes", count, place)
