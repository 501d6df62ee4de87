"""The customer's report: one self-contained page in three languages, and the same as PDF."""

from starface_nb.report.page import render, to_pdf

__all__ = ["render", "to_pdf"]
