"""The guide as data: checklist, ports, router defaults, texts in three languages."""
