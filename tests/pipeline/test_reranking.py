"""Which try is taken, by known scores."""

import numpy as np
import pytest

from spatialfoley.pipeline.reranking import LoadedScore, Reranker, Takes


def takes(peaks: list[float]) -> Takes:
    """Tries of a constant level each; what is seen does not count here."""
    return Takes(
        log_likelihood=np.zeros(len(peaks)),
        sounds=np.ones((len(peaks), 4, 10), np.float32) * np.array(peaks, np.float32)[:, None, None],
        rate_hz=10,
        energy_map=np.ones((2, 49)),
        camera=np.stack([np.eye(3)] * 2),
        look=lambda rate_hz, side_px: np.zeros((1, side_px, side_px, 3), np.uint8),
    )


@pytest.mark.parametrize(
    ("peaks", "sounding", "chosen"),
    [
        ([0.1, 0.2, 0.3, 0.4], False, 3),
        ([0.1, 0.0, 0.3, 0.0], False, 2),
        ([0.0, 0.2, 0.0, 0.4], False, 2),
        ([0.0, 0.2, 0.0, 0.4], True, 3),
        ([0.1, 0.2, 0.0, 0.0], True, 1),
        ([0.0, 0.0, 0.0, 0.0], True, 3),
    ],
)
def test_the_first_try_decides_on_silence_and_the_scores_on_the_rest(
    peaks: list[float], sounding: bool, chosen: int
) -> None:
    later_is_better = LoadedScore(lambda takes: list(range(len(takes.sounds))))
    choice = Reranker({"later": later_is_better}).choose(takes(peaks), sounding)
    assert choice.chosen == chosen
    assert choice.scores == {"later": (0.0, 1.0, 2.0, 3.0)}
