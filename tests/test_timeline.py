import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spatialfoley import timeline


@pytest.mark.parametrize(
    ("frames", "clip_rate_hz", "token_rate_hz", "expected"),
    [(20, 4, 86, 430), (4, 4, 86, 86), (7, 4, 86, 150), (20, 4, 50, 250), (0, 4, 86, 0)],
)
def test_token_frames_of_the_published_table(frames, clip_rate_hz, token_rate_hz, expected):
    assert timeline.token_frames(frames, clip_rate_hz, token_rate_hz) == expected


@pytest.mark.parametrize(
    ("samples", "hop", "expected"),
    [(220500, 512, 431), (44100, 512, 87), (77175, 512, 151), (80000, 320, 250), (1, 320, 1), (0, 320, 0)],
)
def test_codec_frames_round_up(samples, hop, expected):
    assert timeline.codec_frames(samples, hop) == expected


def test_decoder_rows_of_five_seconds():
    assert timeline.decoder_rows(430) == 861
    assert timeline.decoder_rows(375, rows_per_frame=1) == 376


def test_sample_count_and_frame_times():
    assert timeline.sample_count(5.0, 16000) == 80000
    # 29.97 frames per second: 149.85 frames round to 150.
    assert timeline.sample_count(5.0, 30000 / 1001) == 150
    np.testing.assert_allclose(timeline.frame_times_s(1.0, 4, start_s=2.0), [2.0, 2.25, 2.5, 2.75])
    assert timeline.frame_times_s(0.0, 4).shape == (0,)


def test_windows_drop_the_incomplete_last_one():
    assert timeline.window_bounds(10, 4) == [(0, 4), (4, 8)]
    assert timeline.window_bounds(3, 4) == []


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 4096))
def test_codec_frames_cover_the_samples_and_no_more(samples, hop):
    frames = timeline.codec_frames(samples, hop)
    assert frames * hop >= samples
    assert (frames - 1) * hop < samples or frames == 0


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: timeline.sample_count(-1.0, 16000), "duration_s is -1.0"),
        (lambda: timeline.sample_count(float("nan"), 16000), "duration_s is nan"),
        (lambda: timeline.sample_count(1.0, 0), "rate_hz is 0"),
        (lambda: timeline.codec_frames(10, 0), "hop_samples is 0"),
        (lambda: timeline.codec_frames(-1, 4), "samples is -1"),
        (lambda: timeline.token_frames(4, 0, 86), "clip_frame_rate_hz is 0"),
        (lambda: timeline.decoder_rows(-2), "frames is -2"),
        (lambda: timeline.window_bounds(3, 0), "window_samples is 0"),
    ],
)
def test_wrong_lengths_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize(
    ("duration_s", "rate_hz", "hop", "expected"),
    [(8.0, 44100, 512, 345), (8.0, 16000, 256, 250), (0.0, 16000, 256, 0)],
)
def test_latent_frames_of_the_published_networks(duration_s, rate_hz, hop, expected):
    assert timeline.latent_frames(duration_s, rate_hz, hop, 2) == expected


@pytest.mark.parametrize(("frames", "expected"), [(200, 24), (16, 1), (23, 1), (24, 2), (15, 0), (0, 0)])
def test_segments_overlap_by_half(frames, expected):
    assert timeline.segment_count(frames, 16, 8) == expected


def test_latents_and_segments_refuse_nonsense():
    with pytest.raises(ValueError, match="hop_samples 0 and mel_frames 2 must be at least 1"):
        timeline.latent_frames(8.0, 44100, 0, 2)
    with pytest.raises(ValueError, match="segment_frames 16 and step_frames 0 must be at least 1"):
        timeline.segment_count(200, 16, 0)
