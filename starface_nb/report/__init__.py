"""The customer's report: one self-contained page in three languages, and the same as PDF."""

from starface_nb.report.page import folder_of, of_case, render, to_pdf, write_report
from starface_nb.report.whose import spare_others

__all__ = ["folder_of", "of_case", "render", "spare_others", "to_pdf", "write_report"]
