"""One folder per customer: log, settings, answers, cache and results; running and opening the notebooks on it."""

from starface_nb.cases.answers import AnswerConflictError, AnswerStore, CaseError
from starface_nb.cases.case import Case
from starface_nb.cases.copies import copy_notebooks, start_page
from starface_nb.cases.opening import open_case, require_case
from starface_nb.cases.tables import readable

__all__ = ["AnswerConflictError", "AnswerStore", "Case", "CaseError", "copy_notebooks", "open_case", "readable",
           "require_case", "start_page"]  # fmt: skip
