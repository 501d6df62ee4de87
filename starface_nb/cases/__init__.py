"""One folder per customer: log, settings, answers, cache and results; running and opening the notebooks on it."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from starface_nb.cases.answers import AnswerConflictError, AnswerStore
    from starface_nb.cases.case import Case
    from starface_nb.cases.copies import copy_notebooks
    from starface_nb.cases.opening import open_case
    from starface_nb.cases.record import CaseError
    from starface_nb.cases.runner import run_notebooks
    from starface_nb.cases.tables import readable

_HOMES = {
    "AnswerConflictError": "answers",
    "AnswerStore": "answers",
    "Case": "case",
    "CaseError": "record",
    "copy_notebooks": "copies",
    "open_case": "opening",
    "readable": "tables",
    "run_notebooks": "runner",
}
__all__ = [
    "AnswerConflictError",
    "AnswerStore",
    "Case",
    "CaseError",
    "copy_notebooks",
    "open_case",
    "readable",
    "run_notebooks",
]


def __getattr__(name: str) -> object:
    """Load a name when it is first used: answers need no frames, and the command line no notebooks."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value
