"""Scores of generated sound: pure functions on arrays, and the suites that apply them."""
