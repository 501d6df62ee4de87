"""The errors a user can meet: each says the cause, the place and the next step."""

import os
import re
import sys
from errno import ENOMEM
from importlib import import_module
from importlib.util import find_spec
from threading import Event, Thread


class StarfaceError(Exception):
    """Base of every error that is the input's, the settings' or the environment's fault, not the program's.

    Parameters
    ----------
    cause : str
        What is wrong, in one plain sentence.
    place : str or Path, optional
        Where: a file, a member of an archive, an option.
    next_step : str, optional
        What the user can do about it.
    """

    def __init__(self, cause: str, *, place: object = "", next_step: str = "") -> None:
        self.cause, self.place, self.next_step = cause, str(place), next_step
        super().__init__(str(self))

    def __str__(self) -> str:
        """Return cause, place and next step as one line of text."""
        text = f"{self.place}: {self.cause}" if self.place else self.cause
        return f"{text} {self.next_step}" if self.next_step else text


class InputError(StarfaceError):
    """The log cannot be read: missing, empty, damaged, encrypted or not a log."""


class SettingError(StarfaceError):
    """A setting or option has a value that makes no sense."""


class SetupError(StarfaceError):
    """Something the machine should offer is missing or busy (a port, a folder, a program)."""


_EXTRAS = {"pdf": ("plutoprint", "A PDF"), "cluster": ("distributed", "A Dask cluster")}


def missing(extra: str) -> str:
    """Return what is to be said where an extra of the package is not there or does not load; nothing where it does."""
    module, what = _EXTRAS[extra]
    if find_spec(module) is None:
        return f'{what} needs an extra: python -m pip install "starface-nb[{extra}]"'
    try:
        import_module(module)
    except Exception as error:  # whatever the library, or the system's that it needs, brings up
        return f"{what} is not available here: {module} does not load ({error}). Install it anew, or what it needs."
    return ""


def need(extra: str) -> None:
    """Raise `SetupError` where an extra of the package is not installed."""
    if said := missing(extra):
        raise SetupError(said)


_MORE = "Close other programs, lift the limit (`ulimit -v unlimited`), or give a part of the log."


def memory_error(error: BaseException) -> SetupError | None:
    """Return what is to be said where an error means that there was no memory for data or for another thread."""
    ways = ("can't start new thread", "could not spawn threads", "failed to spawn")
    if isinstance(error, MemoryError) or getattr(error, "errno", 0) == ENOMEM:
        return SetupError("There is not enough memory.", next_step=_MORE)
    if any(way in str(error) for way in ways):
        cause = "There is not enough memory for another thread, or no further one may be started."
        return SetupError(cause, next_step=f"{_MORE} For threads the limit is `ulimit -u`.")
    return None


_COUNTS = {  # polars panics at 0; on 2 cores it takes 1 s of processor time to start 256 threads, half a minute for 512
    "POLARS_MAX_THREADS": max(256, os.cpu_count() or 1),
    "POLARS_ASYNC_THREAD_COUNT": max(256, os.cpu_count() or 1),
    "POLARS_IDEAL_MORSEL_SIZE": 10**9,
}


def need_counts() -> None:
    """Raise `SetupError` where a variable of a library's has a value that the library does not survive.

    Which engine polars prefers is not asked: not every machine has each, and all tell the same.
    """
    os.environ.pop("POLARS_ENGINE_AFFINITY", None)
    for name, most in _COUNTS.items():
        value = os.environ.get(name) or "1"
        if not (re.fullmatch("[0-9]{1,10}", value) and 1 <= int(value) <= most):
            cause = f"The environment's variable is {value!r}, not a whole number from 1 to {most:,}."
            raise SetupError(cause, place=name, next_step=f"Give it such a number, or none: `unset {name}`.")


def need_temporary() -> None:
    """Raise `SetupError` where no folder for temporary files can be written to: a kernel needs one."""
    from tempfile import gettempdir

    try:
        gettempdir()
    except FileNotFoundError:
        cause = "No folder for temporary files can be written to, and notebooks need one."
        raise SetupError(cause, next_step="Make one, and name it: `export TMPDIR=FOLDER`.") from None


def need_memory(least: int = 1 << 30) -> None:
    """Raise `SetupError` where this process may not have the bytes without which libraries end it unasked."""
    if sys.platform != "win32":
        import resource

        limit = resource.getrlimit(resource.RLIMIT_AS)[0]
        if 0 <= limit < least:
            cause = (
                f"A program may have {limit >> 20:,} MiB of memory here; this needs {least >> 20:,} MiB of addresses."
            )
            raise SetupError(cause, next_step="Lift the limit: `ulimit -v unlimited`.")


def need_files(least: int = 256, many: int = 8192) -> None:
    """Let this process open `many` files at once; raise `SetupError` where it may not open the least that is needed."""
    if sys.platform != "win32":
        import resource

        now, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        if 0 <= most < least:
            cause = f"A program may open {most:,} files at once here; this needs {least:,}."
            raise SetupError(cause, next_step="Lift the limit: `ulimit -n 1024`.")
        if 0 <= now < many:
            resource.setrlimit(resource.RLIMIT_NOFILE, (many if most < 0 else min(many, most), most))


def need_threads(least: int = 24) -> None:
    """Raise `SetupError` where this process may not start the threads whose lack libraries answer with a panic.

    Whoever counts them (the user's limit, a container's) is asked by starting some; not where addresses are few.
    """
    if sys.platform == "win32":
        return
    import resource

    if resource.getrlimit(resource.RLIMIT_AS)[0] != resource.RLIM_INFINITY:
        return
    end, started = Event(), list[Thread]()
    try:
        for _ in range(least):
            thread = Thread(target=end.wait)
            thread.start()
            started.append(thread)
    except RuntimeError:
        cause = f"Only {len(started)} more processes or threads may be started here; this needs {least}."
        step = "Close other programs, or lift the limit: `ulimit -u 4096`, or the container's limit of processes."
        raise SetupError(cause, next_step=step) from None
    finally:
        end.set()
        for thread in started:
            thread.join()
