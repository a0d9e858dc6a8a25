"""Features of a built set: computed once, kept beside it, never older than what they were made of."""
