from pathlib import Path

import numpy as np
import pytest

from spatialfoley.evaluation.networks.synchformer_pair import SyncScorer
from spatialfoley.evaluation.pairs import run as pair_run
from spatialfoley.evaluation.pairs.matching import SoundSource
from spatialfoley.evaluation.pairs.picture_scores import (
    Agreement,
    Desync,
    frames_for_network,
    load_picture_scorer,
    video_of,
)
from spatialfoley.evaluation.pairs.run import PairSettings, score_systems
from spatialfoley.media.mux import write_frames
from spatialfoley.weights.agreement import AgreementScorer
from tests.evaluation.networks.test_synchformer_pair import pair_that_says
from tests.evaluation.pairs.sounds import mono, sound, wave, write

SECONDS = 5.2


def write_video(path: Path, seconds: float = SECONDS, rate_hz: int = 30) -> Path:
    """A grey picture that gets brighter from frame to frame."""
    path.parent.mkdir(parents=True, exist_ok=True)
    count = round(seconds * rate_hz)
    frames = (np.full((48, 96, 3), round(200 * index / count), np.uint8) for index in range(count))
    write_frames(path, frames, rate_hz)
    return path


class Brightness:
    """Embeds the picture by its mean brightness."""

    weights_sha256 = "0" * 64

    def embed_frames(self, frames: np.ndarray, frame_rate_hz: float) -> np.ndarray:
        assert (frame_rate_hz, frames.shape[1:]) == (8.0, (256, 512, 3))
        return np.array([1.0, len(frames)])

    def embed_sound(self, mono: np.ndarray, rate_hz: int) -> np.ndarray:
        return np.array([0.0, len(mono) / rate_hz])


def test_frames_are_those_of_the_published_clock(tmp_path: Path) -> None:
    video = write_video(tmp_path / "a.mp4")
    square = frames_for_network(video, 4.0, 25.0, 32)
    assert square.shape == (100, 32, 32, 3)
    grey = square.mean(axis=(1, 2, 3))
    assert np.all(np.diff(grey) > -2)
    assert grey[-1] == pytest.approx(200 * 4.0 / SECONDS, abs=6)
    assert video_of(tmp_path, "a") == video
    assert video_of(tmp_path, "b") is None


def test_desync_is_what_the_network_says(tmp_path: Path) -> None:
    video = write_video(tmp_path / "a.mp4")
    scorer = Desync(SyncScorer(pair_that_says(13), "hash"))
    assert scorer(video, mono(SECONDS)) == pytest.approx(0.6)
    assert (scorer.key, scorer.weights_sha256) == ("desync_s", "hash")
    with pytest.raises(ValueError, match=r"segments"):
        scorer(video, mono(2.0))


def test_a_plug_in_sees_whole_frames(tmp_path: Path) -> None:
    video = write_video(tmp_path / "a.mp4")
    scorer = Agreement(AgreementScorer("brightness", "MIT", Brightness()))
    assert scorer(video, mono(2.0)) == pytest.approx(16 / np.hypot(1, 16))


def test_unknown_scorers_are_refused() -> None:
    with pytest.raises(ValueError, match="scorer of pictures is 'ears'; it must be synchformer"):
        load_picture_scorer("ears", print)


def test_clips_without_a_score_against_the_picture_keep_their_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scorer = Desync(SyncScorer(pair_that_says(13), "hash"))
    monkeypatch.setattr(pair_run, "_picture_scorer", lambda *given, **named: scorer)
    for name, seconds in (("good", SECONDS), ("short", 2.0), ("silent", SECONDS), ("unseen", SECONDS)):
        write(tmp_path / "truth" / f"{name}.wav", wave(30, duration_s=seconds))
        write(tmp_path / "ours" / f"{name}.wav", wave(30, duration_s=seconds))
        if name != "unseen":
            write_video(tmp_path / "videos" / f"{name}.mp4")
    write(tmp_path / "ours" / "silent.wav", sound(np.zeros((4, round(SECONDS * 16000)), np.float32), "foa"))
    settings = PairSettings(
        listeners=(), exhibits=1, videos=tmp_path / "videos", picture_scorers=("synchformer",), partial=True
    )
    sources = [SoundSource(name, tmp_path / name) for name in ("ours", "truth")]
    result = score_systems(sources[:1], sources[1], tmp_path / "out", settings)
    assert result.failures == {}
    found = {row["clip"]: row["scores"] for row in result.records}
    assert {name: scores["desync_s"] for name, scores in found.items()} == {
        "good": pytest.approx(0.6), "short": None, "silent": None, "unseen": None
    }  # fmt: skip
    assert all(scores["cc/all/correct"] is not None for scores in found.values())
    said = "\n".join(result.report.introduction)
    assert "desync_s is not defined for 1 (silent): its sound is silent" in said
    assert "desync_s is not defined for 1 (unseen): there is no video of it" in said
    assert "desync_s is not defined for 1 (short): " in said
    assert {
        exhibit.thumbnail.shape for exhibit in result.report.exhibits if exhibit.thumbnail is not None
    } == {(180, 360, 3)}
