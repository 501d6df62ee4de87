"""Findings as a self-contained page, a PDF and JSON."""
