"""Messages of yt-dlp 2026.10 and of the sites behind it, in kinds."""

import pytest

from spatialfoley.dataset.factory.stage import TransientProblem
from spatialfoley.dataset.fetching.failures import error_message, hidden_formats, problem_of

TRANSIENT = {
    "rate": [
        "[youtube] x: Unable to download API page: HTTP Error 429: Too Many Requests (caused by <HTTPError 429>)",
        "[youtube] x: Sign in to confirm you’re not a bot. Use --cookies-from-browser or --cookies",
        "[youtube] x: Video unavailable. This content isn't available, try again later. The current session has "
        "been rate-limited by YouTube for up to an hour.",
        "[youtube] x: Video unavailable. YouTube is requiring a captcha challenge before playback",
    ],
    "network": [
        "[youtube] x: Unable to download API page: HTTP Error 503: Service Unavailable",
        "unable to download video data: HTTP Error 403: Forbidden",
        "[youtube] x: Unable to download webpage: [Errno -2] Name or service not known",
        "[youtube] x: Unable to download webpage: The read operation timed out",
        "\r[download] Got error: 1024 bytes read, 2048 more expected. Giving up after 2 retries",
        "[youtube] x: Unable to download webpage: <urlopen error [Errno 111] Connection refused>",
        "The downloaded file is empty",
    ],
    "disk": ["unable to write data: [Errno 28] No space left on device"],
}
PERMANENT = {
    "private": [
        "[youtube] x: Private video. Sign in if you've been granted access to this video",
        "[youtube] x: Video unavailable. This video is private",
        "[youtube] x: Join this channel to get access to members-only content like this video",
        "[youtube] x: Sign in to confirm your age. This video may be inappropriate for some users.",
    ],
    "geo": [
        "[youtube] x: Video unavailable. The uploader has not made this video available in your country",
        "[youtube] x: This video contains content from Y, who has blocked it in your country on copyright grounds",
        "This video is not available from your location due to geo restriction",
    ],
    "missing": [
        "[youtube] x: Video unavailable. This video has been removed by the uploader",
        "[youtube] x: Video unavailable. This video is no longer available because the YouTube account associated "
        "with this video has been terminated.",
        "[youtube] x: Video unavailable",
        "[generic] Unable to download webpage: HTTP Error 404: Not Found",
    ],
    "format": [
        "[youtube] x: Requested format is not available. Use --list-formats for a list of available formats",
        "[youtube] x: No video formats found!; please report this issue",
        "[youtube] x: This live event will begin in 3 hours.",
        "[youtube] x: This video is DRM protected",
    ],
    "bug": ["[youtube] x: Unable to extract initial player response; please report this issue on GitHub"],
}


@pytest.mark.parametrize(
    ("kind", "message"),
    [(kind, said) for kinds in (TRANSIENT, PERMANENT) for kind in kinds for said in kinds[kind]],
)
def test_a_message_has_its_kind(kind: str, message: str) -> None:
    problem = problem_of(f"WARNING: [youtube] private\nERROR: {message}\n", 1)
    assert problem.kind == kind
    assert isinstance(problem, TransientProblem) == (kind in TRANSIENT)
    assert str(problem) == f"yt-dlp says: {message.strip()}"


def test_the_last_error_counts_and_signed_addresses_are_cut() -> None:
    said = "ERROR: first\nERROR: unable to download video data: https://a.b/v?sig=abc&ip=1.2.3.4 HTTP Error 403\n"
    assert (
        error_message(said)
        == "unable to download video data: https://a.b/v?sig=abc&ip=1.2.3.4 HTTP Error 403"
    )
    assert (
        str(problem_of(said, 1)) == "yt-dlp says: unable to download video data: https://a.b/v HTTP Error 403"
    )
    assert len(str(problem_of("ERROR: " + "word " * 200, 1))) < 320


def test_without_an_error_it_crashed() -> None:
    problem = problem_of("Traceback (most recent call last):\nKeyError: 'formats'\n", 1)
    assert (problem.kind, str(problem)) == (
        "crash",
        "yt-dlp ended with exit code 1; its last words: KeyError: 'formats'",
    )
    assert "signal 11; its last words: nothing" in str(problem_of("", -11))
    killed = problem_of("", -9)
    assert (killed.kind, isinstance(killed, TransientProblem)) == ("memory", True)


def test_formats_that_are_not_shown_prove_nothing() -> None:
    token = "[youtube] x: android_vr client https formats require a GVS PO Token which was not provided"
    assert hidden_formats(f"WARNING: other\nWARNING: {token}\n") == token
    assert hidden_formats("WARNING: [youtube] Falling back on generic information") is None
