"""ViSAudio's protocol for ViSAGe: eight seconds seen in five, and their sound slowed down again."""

import json
from pathlib import Path

import numpy as np
import pytest

from spatialfoley.cli import run
from spatialfoley.media.audio import read_audio, resample
from spatialfoley.media.frame_writer import write_frames
from spatialfoley.media.video import Video
from spatialfoley.pipeline import load_pipeline
from spatialfoley.pipeline.compressed import FIXED_DIRECTION, CompressedPipeline
from spatialfoley.spatial.binaural import render_binaural
from spatialfoley.spatial.direction import Direction
from spatialfoley.spatial.signal import SpatialAudio

FRAMES = np.random.default_rng(0).integers(0, 256, (80, 48, 64, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def compressed() -> CompressedPipeline:
    pipe = load_pipeline("compressed:tiny-visage")
    assert isinstance(pipe, CompressedPipeline)
    return pipe


def test_the_fixed_direction_is_the_front_at_the_horizon() -> None:
    assert (FIXED_DIRECTION.azimuth_deg, FIXED_DIRECTION.elevation_deg) == (0.0, 0.0)


def test_eight_seconds_are_the_sound_of_five_slowed_down(compressed: CompressedPipeline) -> None:
    video = Video.from_frames(FRAMES, 10)
    ears = compressed(video, camera=Direction(70.0), seed=4)
    assert (ears.layout, ears.frames) == ("binaural", 8 * ears.rate_hz)
    fast = compressed.pipe(video.sped_up(1.6), FIXED_DIRECTION, seed=4)
    assert fast.duration_s == 5.0
    # Slowed down by 1.6, a frequency of the fast sound is found at 1 / 1.6 of it: same bin of the spectrum.
    spectrum = np.abs(np.fft.rfft(fast.samples[0]))[: fast.frames // 4]
    slow = np.abs(np.fft.rfft(ears.samples.sum(axis=0)))[: fast.frames // 4]
    assert np.corrcoef(np.log(spectrum + 1e-3), np.log(slow + 1e-3))[0, 1] > 0.9


def test_the_published_order_makes_the_head_grow(compressed: CompressedPipeline) -> None:
    video = Video.from_frames(FRAMES, 10)
    field = compressed.pipe(video.sped_up(1.6), FIXED_DIRECTION, seed=4)
    fast = render_binaural(field)
    published, kept = compressed, CompressedPipeline(compressed.pipe, ears="after")
    slow = resample(fast.samples, fast.rate_hz / 1.6, fast.rate_hz)
    np.testing.assert_allclose(
        published(video, seed=4).samples, slow / max(1.0, np.abs(slow).max()), atol=1e-3
    )
    restored = SpatialAudio(resample(field.samples, field.rate_hz / 1.6, field.rate_hz), field.rate_hz, "foa")
    ears = render_binaural(restored)
    np.testing.assert_allclose(kept(video, seed=4).samples, ears.samples / max(1.0, ears.peak), atol=1e-3)
    with pytest.raises(ValueError, match=r"ears is 'never'; give 'before' \(as published\) or 'after'"):
        CompressedPipeline(compressed.pipe, ears="never")  # type: ignore[arg-type]


def test_clips_that_fit_are_made_as_they_are(compressed: CompressedPipeline) -> None:
    video = Video.from_frames(FRAMES[:20], 10)
    ears = compressed(video, seed=2)
    expected = render_binaural(compressed.pipe(video, seed=2))
    np.testing.assert_allclose(ears.samples, expected.samples / max(1.0, expected.peak), atol=1e-4)


def test_the_command_and_its_sidecar(tmp_path: Path) -> None:
    write_frames(tmp_path / "walk.mp4", iter(FRAMES[:60]), 10)
    command = ["generate", str(tmp_path / "walk.mp4"), "--model", "compressed:tiny-visage", "--out"]
    assert run([*command, str(tmp_path / "out"), "--outputs", "binaural", "--rate-hz", "44100"]) == 0
    ears = read_audio(tmp_path / "out" / "walk.binaural.wav")
    assert (ears.rate_hz, ears.samples.shape) == (44100, (2, 6 * 44100))
    model = json.loads((tmp_path / "out" / "walk.json").read_text())["model"]
    assert model["model"] == "compressed:tiny-visage"
    assert "two ears rendered before that; camera fixed at index (44.5, 89.5)" in model["protocol"]


def test_what_the_protocol_is_not_for_is_refused(compressed: CompressedPipeline) -> None:
    long = Video.from_frames(np.repeat(FRAMES, 2, axis=0)[:101], 10)
    with pytest.raises(
        ValueError, match=r"the clip lasts 10.100 s, but the protocol .* clips of up to 10 s; cut it"
    ):
        compressed(long)
    with pytest.raises(
        ValueError, match=r"compressed:tiny-visaudio, but the protocol is for ViSAGe's family"
    ):
        load_pipeline("compressed:tiny-visaudio")
