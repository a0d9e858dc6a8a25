"""The one error that bad media files raise."""


class MediaError(ValueError):
    """A media file cannot be used; the message is one sentence that names the file and what to do."""
