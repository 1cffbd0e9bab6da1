"""Tornado as it is where it is not installed."""

raise ModuleNotFoundError("No module named 'tornado'", name="tornado")
