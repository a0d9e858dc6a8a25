"""Recorded or generated files against their truth, pair by pair."""
