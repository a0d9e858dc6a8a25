"""The one error that missing or wrong checkpoints raise."""


class WeightsError(ValueError):
    """A checkpoint is missing or cannot be used; the message is one sentence that says what to do."""
