"""Two-stage baselines: a mono sound, then a place for it."""
