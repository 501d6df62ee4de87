"""Widgets: choose a log, walk the checklist, brush a time window."""
