"""Scores as pure functions: arrays in, numbers out, sources in the docstrings."""
