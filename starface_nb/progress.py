"""A progress bar for anything that lasts longer than a second: bytes, rate and time left."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Timer
from typing import Any, TextIO

DELAY = 1.0
Advance = Callable[[float], object]


def in_notebook() -> bool:
    """Tell whether this runs in a Jupyter kernel."""
    shell = sys.modules.get("IPython")
    return bool(shell) and getattr(shell.get_ipython(), "kernel", None) is not None  # type: ignore[union-attr]


@contextmanager
def progress_bar(total: int | None, label: str, *, unit: str = "B", enabled: bool = True) -> Iterator[Advance]:
    """Show a bar while the block lasts; yield what moves it on by so many units, from one thread.

    It appears after one second: in a notebook as a line that goes away at the end, in a terminal on standard error,
    elsewhere never. The environment variable `STARFACE_NB_PROGRESS=0` silences it.

    Parameters
    ----------
    total : int or None
        What the steps add up to; None or 0 where it is not known.
    label : str
        What is going on, in a word or two.
    unit : str
        `B` for bytes (shown as KiB, MiB ...), or any other word.
    enabled : bool
        False shows nothing.
    """
    place = _place() if enabled else None
    if place is None:
        yield bool
        return
    from tqdm import tqdm

    with tqdm(
        total=total or None,
        file=place,
        ncols=80 if isinstance(place, _Cell) else None,
        desc=label,
        unit=unit,
        unit_scale=unit == "B",
        unit_divisor=1024,
        delay=DELAY,
        leave=False,
        mininterval=0.2,
    ) as bar:
        yield bar.update


@contextmanager
def stage(label: str) -> Iterator[None]:
    """Name on a terminal or in a notebook what is going on while the block lasts, once that is longer than a second."""
    place = _place()
    if place is None:
        yield
        return

    def tell(text: str) -> None:
        place.write(text)
        place.flush()

    shown = Timer(DELAY, tell, [f"{label} …"])
    shown.daemon = True
    shown.start()
    try:
        yield
    finally:
        shown.cancel()
        tell(f"\r{' ' * (len(label) + 2)}\r")


class _Cell:
    """A notebook's output that shows the line written last; at the end it is empty, and nothing of it is a widget."""

    def __init__(self) -> None:
        self._shown: Any = None

    def write(self, text: str) -> None:
        from IPython.display import display

        line = {"text/plain": text.strip()}
        if self._shown is not None:
            self._shown.update(line, raw=True)
        elif text.strip():
            self._shown = display(line, raw=True, display_id=True)  # type: ignore[no-untyped-call]

    def flush(self) -> None:
        """Nothing is held back."""


def _place() -> _Cell | TextIO | None:
    """Return where people see progress: a notebook's cell, a terminal, or nowhere."""
    if os.environ.get("STARFACE_NB_PROGRESS") == "0":
        return None
    return _Cell() if in_notebook() else sys.stderr if sys.stderr.isatty() else None
