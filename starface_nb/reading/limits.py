"""What reading a source may cost at most, and the running account of it."""

from __future__ import annotations

import os
from dataclasses import dataclass, field, fields, replace
from threading import Event, Lock

from starface_nb.errors import InputError, SettingError

PREFIX = "STARFACE_NB_"
HARMLESS = 1 << 30  # a bomb that unpacks to less costs a second and no memory: no need to refuse a repetitive log


@dataclass(frozen=True)
class Limits:
    """Bounds against hostile or damaged sources; each can be raised by an environment variable.

    The variable of `max_ratio` is `STARFACE_NB_MAX_RATIO`, and so on.

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
        Go on with what can be read of a damaged file.
    """

    max_ratio: float = 250.0
    max_total_bytes: int = 64 << 30
    max_members: int = 20_000
    max_nested: int = 128
    max_nesting: int = 5
    max_held_bytes: int = 128 << 20
    max_line: int = 64 << 10
    max_hit_bytes: int = 1 << 30
    allow_damaged: bool = False

    @classmethod
    def from_environment(cls) -> Limits:
        """Return the limits, with those that the environment sets.

        Raises
        ------
        SettingError
            A variable is not a number.
        """
        limits = cls()
        for setting in fields(cls):
            variable = PREFIX + setting.name.upper()
            text = os.environ.get(variable)
            if text:
                try:
                    value = type(getattr(limits, setting.name))(float(text))
                except ValueError:
                    raise SettingError(f"{text!r} is no number", place=variable) from None
                limits = replace(limits, **{setting.name: value})
        return limits


def raising(setting: str) -> str:
    """Return the sentence that says how to raise a limit."""
    return f"If you trust the file, set {PREFIX}{setting.upper()} to a higher number."


@dataclass
class Account:
    """What was spent so far by all threads of one reading, and whether it is to stop."""

    limits: Limits
    stop: Event = field(default_factory=Event)
    raw_bytes: int = 0
    _unpacked: int = 0
    _hits: int = 0
    _members: int = 0
    _nested: int = 0
    _held: int = 0
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

    def unpack(self, count: int, produced: int, consumed: int, place: str) -> None:
        """Note `count` more unpacked bytes of a stream that has `produced` so far from `consumed`.

        Raises
        ------
        InputError
            A limit is passed.
        """
        limits = self.limits
        with self._lock:
            self._unpacked += count
        if produced > max(HARMLESS, limits.max_ratio * consumed):
            cause = f"refused: it unpacks to more than {limits.max_ratio:,.0f} times its size (a decompression bomb?)."
            raise RefusedError(cause, place=place, next_step=raising("max_ratio"))
        if self._unpacked > limits.max_total_bytes:
            cause = f"refused: more than {limits.max_total_bytes:,} bytes in all after unpacking."
            raise ExhaustedError(cause, place=place, next_step=raising("max_total_bytes"))

    def keep(self, count: int, place: str) -> None:
        """Note `count` more bytes of relevant lines; raises `RefusedError` when they pass the limit."""
        with self._lock:
            self._hits += count
        if self._hits > self.limits.max_hit_bytes:
            cause = f"more than {self.limits.max_hit_bytes:,} bytes of relevant lines."
            step = "Read fewer files at once. " + raising("max_hit_bytes")
            raise ExhaustedError(cause, place=place, next_step=step)

    def members(self, count: int, place: str) -> None:
        """Note `count` more members of archives; raises `ExhaustedError` when they pass the limit."""
        with self._lock:
            self._members += count
        if self._members > self.limits.max_members:
            cause = f"refused: the archive, with those in it, has more than {self.limits.max_members:,} members."
            raise ExhaustedError(cause, place=place, next_step=raising("max_members"))

    def nested(self, place: str) -> None:
        """Note one more archive in an archive, or log in such a one; raises `ExhaustedError` at the limit."""
        with self._lock:
            self._nested += 1
        if self._nested > self.limits.max_nested:
            cause = f"refused: more than {self.limits.max_nested:,} archives in archives and files in those."
            raise ExhaustedError(cause, place=place, next_step="Unpack it. " + raising("max_nested"))

    def hold(self, count: int, place: str) -> None:
        """Note `count` more bytes of archives held in memory; raises `RefusedError` at the limit."""
        with self._lock:
            self._held += count
        if self._held > self.limits.max_held_bytes:
            cause = f"refused: zip archives of more than {self.limits.max_held_bytes:,} bytes inside archives."
            step = "Save or unpack it and name it itself. " + raising("max_held_bytes")
            raise RefusedError(cause, place=place, next_step=step)


def cores() -> int:
    """Return how many processors this process may use, 8 at most."""
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(8, usable)


class RefusedError(InputError):
    """A file or member passes a limit, or is made to harm: nothing of it is read."""


class ExhaustedError(RefusedError):
    """All that was read so far passes a limit together: nothing more is read."""


class DamagedError(InputError):
    """A compressed stream ends early or is corrupt; what stands before the damage was delivered."""
