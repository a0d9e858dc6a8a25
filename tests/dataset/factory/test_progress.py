"""What people watch: recordings done, how fast, and what was left out."""

from spatialfoley.dataset.factory.progress import Tally
from spatialfoley.dataset.factory.state import StageResult


def test_rate_and_what_is_left_out_are_told() -> None:
    told: list[tuple[str, float]] = []
    seconds = iter((0.0, 30.0))
    tally = Tally(lambda label, fraction: told.append((label, fraction)), lambda: next(seconds))
    tally.total = 8
    for status in ("passed", "rejected", "failed", "failed"):
        tally.add(StageResult(0, "a", "a", "basis", status))  # type: ignore[arg-type]
    tally.show(begun=4, under_way=2)
    assert told == [("2 of 8 recordings, 4.0 a minute, 1 records rejected, 2 failed", 0.25)]
