"""What Qwen2.5-Omni takes in, beside the processors of transformers that run here and the shapes it documents."""

import numpy as np
import pytest
import torch
from transformers import WhisperFeatureExtractor
from transformers.models.qwen2_5_omni.modeling_qwen2_5_omni import Qwen2_5OmniAudioEncoder
from transformers.models.qwen2_5_omni.processing_qwen2_5_omni import Qwen2_5OmniProcessor
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil, smart_resize

from spatialfoley.dataset.captioning.omni_inputs import (
    LEAST_PX,
    MOST_PX,
    PatchSizes,
    fitting_size,
    interleaved,
    sound_frames,
    sound_tokens,
    video_patches,
)


def _picture(height: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


@pytest.mark.parametrize(
    ("shape", "size"), [((512, 512), (504, 504)), ((224, 224), (336, 336)), ((1080, 1920), (560, 1008))]
)
def test_the_sizes_of_our_clips(shape: tuple[int, int], size: tuple[int, int]) -> None:
    assert fitting_size(*shape) == size


def test_sizes_are_those_of_the_models_own_processor() -> None:
    rng = np.random.default_rng(0)
    for height, width in rng.integers(14, 2200, (300, 2)).tolist():
        assert fitting_size(height, width) == smart_resize(height, width, 28, LEAST_PX, MOST_PX)


@pytest.mark.parametrize(("height", "width"), [(56, 84), (100, 75)])
def test_patches_of_a_picture_that_does_not_move_are_those_of_the_picture(height: int, width: int) -> None:
    """The processor for pictures runs without torchvision: it repeats a picture twice.

    Resized colours differ by 1 of 255; more only where overshoot is clipped, so the picture is kept from it.
    """
    picture = _picture(height, width) // 2 + 64
    limits = {"shortest_edge": 28 * 28, "longest_edge": 56 * 84}
    expected = Qwen2VLImageProcessorPil(size=limits)(images=[picture], return_tensors="np")
    found = video_patches(np.stack([picture, picture]), PatchSizes(), *limits.values())
    assert found.grid == tuple(expected["image_grid_thw"][0])
    tolerance = 1e-5 if (height, width) == (56, 84) else 1.5 / 255 / 0.26
    np.testing.assert_allclose(found.rows.numpy(), expected["pixel_values"], atol=tolerance)


def test_a_video_is_its_pairs_of_frames_in_their_order() -> None:
    first, second, third = (_picture(56, 56, seed) for seed in range(3))
    sizes, limits = PatchSizes(), (28 * 28, 56 * 56)
    video = video_patches(np.stack([first, second, third]), sizes, *limits)
    assert video.grid == (2, 4, 4)
    assert video.rows.shape == (32, 3 * 2 * 14 * 14)
    assert video.tokens_per_step(2) == 4
    still = [video_patches(np.stack([one, one]), sizes, *limits).rows for one in (first, second, third)]
    by_frame = [rows.reshape(16, 3, 2, 14, 14) for rows in still]
    made = video.rows.reshape(2, 16, 3, 2, 14, 14)
    assert torch.equal(made[0, :, :, 0], by_frame[0][:, :, 0])
    assert torch.equal(made[0, :, :, 1], by_frame[1][:, :, 0])
    # An odd frame at the end stands twice.
    assert torch.equal(made[1, :, :, 0], by_frame[2][:, :, 0])
    assert torch.equal(made[1, :, :, 1], by_frame[2][:, :, 0])


def test_sound_frames_are_whispers_without_the_padding() -> None:
    mono = np.random.default_rng(0).standard_normal(8 * 16000 + 40).astype(np.float32) * 0.1
    extractor = WhisperFeatureExtractor(feature_size=128)
    expected = extractor(
        mono, sampling_rate=16000, padding="max_length", return_attention_mask=True, return_tensors="pt"
    )
    frames = sound_frames(mono, 128)
    assert frames.shape == (128, int(expected["attention_mask"].sum()))
    assert torch.equal(frames, expected["input_features"][0, :, : frames.shape[1]])


@pytest.mark.parametrize("samples", [0, 1, 319, 30 * 16000 + 1])
def test_other_sounds_are_refused(samples: int) -> None:
    with pytest.raises(ValueError, match=r"sound has shape .*; give one channel of 320 to 480000 samples"):
        sound_frames(np.zeros(samples, np.float32), 16)


def test_numbers_of_sound_tokens_are_those_of_the_encoder() -> None:
    lengths = torch.arange(2, 3000)
    _, expected = Qwen2_5OmniAudioEncoder._get_feat_extract_output_lengths(None, lengths)
    assert [sound_tokens(length) for length in lengths.tolist()] == expected.tolist()
    assert sound_tokens(800) == 200  # 8 s: 25 tokens a second


@pytest.mark.parametrize(
    ("steps", "per_step", "sound"),
    [(8, 324, 200), (5, 144, 125), (3, 4, 60), (8, 1, 30), (1, 1, 1), (2, 4, 300)],
)
def test_picture_and_sound_take_turns_as_the_models_processor_has_it(
    steps: int, per_step: int, sound: int
) -> None:
    """The published rule is method of a processor that cannot be built here; the method itself can be called."""
    chunked = Qwen2_5OmniProcessor.get_chunked_index
    pictures = chunked(None, np.repeat(np.arange(steps), per_step) * 1.0 * 25, 50)
    sounds = chunked(None, np.arange(sound), 50)
    expected: list[bool] = []
    for number in range(max(len(pictures), len(sounds))):
        for spans, kind in ((pictures, True), (sounds, False)):
            if number < len(spans):
                expected += [kind] * (spans[number][1] - spans[number][0])
    found = interleaved(steps, per_step, 1.0, sound, 25, 2)
    assert found == expected
    assert (sum(found), len(found)) == (steps * per_step, steps * per_step + sound)


def test_a_narrow_picture_is_refused() -> None:
    with pytest.raises(ValueError, match="frames are 1 x 300; one side may be 200 times the other at most"):
        fitting_size(1, 300)
