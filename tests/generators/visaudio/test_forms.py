"""Sound to latents and back in each form, and the noise that makes channels cohere or not."""

import pytest
import torch

from spatialfoley.generators.visaudio.forms import (
    ChannelSound,
    FormSettings,
    amplitudes,
    form_noise,
    pack,
    share_shape_noise,
    unpack,
)

FORMS = [
    ("published", "binaural", 2),
    ("published", "foa", 4),
    ("sign-factored", "binaural", 2),
    ("sign-factored", "foa", 4),
    ("parametric", "binaural", 1),
    ("parametric", "foa", 1),
    ("parametric", "mono", 1),
]


def _sound(layout: str, channels: int, frames: int = 9) -> ChannelSound:
    generator = torch.Generator().manual_seed(0)
    shape = torch.randn(2, channels, frames, 24, generator=generator)
    level_db = -30 + 5 * torch.randn(2, channels, frames, generator=generator).clamp(-1, 1)
    sign = torch.ones(2, channels, frames)
    if layout == "foa":
        level_db[:, 1:] = level_db[:, :1] - 6 - torch.rand(2, channels - 1, frames, generator=generator)
        sign[:, 1:] = torch.where(torch.rand(2, channels - 1, frames, generator=generator) < 0.5, -1.0, 1.0)
    delay_s = 3e-4 * torch.randn(2, frames, generator=generator)
    return ChannelSound(shape, level_db, sign, delay_s)


@pytest.mark.parametrize(("form", "layout", "channels"), FORMS)
def test_what_is_packed_comes_back(form: str, layout: str, channels: int) -> None:
    settings = FormSettings(form, layout)  # type: ignore[arg-type]
    assert len(settings.branches) == channels
    sound = _sound(layout if channels == 4 else "binaural", channels)
    latents = pack(sound, settings)
    assert latents.shape == (2, channels, settings.tokens(9), settings.latent_dim)
    back = unpack(latents, settings, 9)
    # With the published form the sign is inside the shape; the wave is the same.
    wave = sound.shape * amplitudes(sound)[..., None]
    assert torch.allclose(back.shape * amplitudes(back)[..., None], wave, atol=1e-4)
    if (form, layout) == ("sign-factored", "binaural"):
        assert torch.allclose(back.delay_s, sound.delay_s, atol=1e-6)


def test_a_plane_wave_has_equal_shapes_in_all_branches_only_when_the_sign_is_factored() -> None:
    sound = _sound("foa", 4)
    plane = ChannelSound(sound.shape[:, :1].expand(-1, 4, -1, -1), sound.level_db, sound.sign, sound.delay_s)
    for form, equal in (("sign-factored", True), ("published", False)):
        latents = pack(plane, FormSettings(form, "foa", frames_per_token=1))  # type: ignore[arg-type]
        shapes = latents[..., :24]
        assert torch.equal(shapes[:, 1:], shapes[:, :1].expand(-1, 3, -1, -1)) is equal


def test_silent_frames_are_zero_shapes_and_stay_silent() -> None:
    sound = _sound("binaural", 2)
    silent = ChannelSound(sound.shape, torch.full_like(sound.level_db, -100.0), sound.sign, sound.delay_s)
    settings = FormSettings("sign-factored", "binaural")
    back = unpack(pack(silent, settings), settings, 9)
    assert not back.shape.any()
    assert not amplitudes(back).any()


def test_a_source_that_crosses_the_middle_passes_through_zero() -> None:
    sound = _sound("foa", 4, frames=2)
    sound.level_db[:, 1:] = sound.level_db[:, :1] - 60
    settings = FormSettings("sign-factored", "foa", frames_per_token=1)
    latents = pack(sound, settings)
    assert latents[:, 1:, :, -1].abs().max() < 0.01
    # Too weak to be heard beside W: such a channel takes W's shape.
    assert torch.equal(latents[:, 1:, :, :24], latents[:, :1, :, :24].expand(-1, 3, -1, -1))


def test_only_the_shape_shares_its_noise() -> None:
    settings = FormSettings("sign-factored", "binaural")
    noise = form_noise(settings, 5, [0, 1], 7)
    mask = settings.relation_mask()
    assert torch.equal(noise[:, 0, :, ~mask], noise[:, 1, :, ~mask])
    assert not torch.equal(noise[:, 0, :, mask], noise[:, 1, :, mask])
    assert torch.equal(noise[1], form_noise(settings, 5, [1], 7)[0])
    still = form_noise(settings, 5, [0, 1], 7, temperature=0.0)
    assert torch.equal(still[..., ~mask], noise[..., ~mask])
    assert not still[..., mask].any()
    independent = form_noise(FormSettings("published", "binaural"), 5, [0], 7)
    assert abs(torch.corrcoef(independent[0].flatten(1))[0, 1]) < 0.2


def test_one_branch_keeps_its_noise() -> None:
    noise = torch.randn(1, 1, 4, 50)
    assert share_shape_noise(noise, FormSettings("sign-factored", "mono")) is noise


def test_unknown_choices_are_refused() -> None:
    with pytest.raises(ValueError, match="form is 'plain', but must be one of published, sign-factored"):
        FormSettings("plain")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="layout is 'stereo', but must be one of mono, binaural, foa"):
        FormSettings("published", "stereo")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="frames_per_token 0 must be at least 1"):
        FormSettings(frames_per_token=0)
