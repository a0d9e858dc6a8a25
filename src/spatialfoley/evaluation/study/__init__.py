"""Studies of several trainings, and of what the metrics themselves are worth."""
