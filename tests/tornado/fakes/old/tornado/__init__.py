"""Tornado as it was."""

version = "6.3.3"
version_info = (6, 3, 3, 0)
