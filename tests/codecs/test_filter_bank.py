import math

import pytest
import torch

from spatialfoley.codecs.filter_bank import FilterBank, Scale, hz_of_mel, mel_of_hz


def test_known_places_on_both_scales() -> None:
    hz = torch.tensor([0.0, 200.0 / 3.0, 1000.0, 6400.0], dtype=torch.float64)
    torch.testing.assert_close(mel_of_hz(hz, "slaney"), torch.tensor([0.0, 1.0, 15.0, 42.0]).double())
    htk = mel_of_hz(torch.tensor([0.0, 700.0, 1000.0]).double(), "htk")
    torch.testing.assert_close(
        htk, torch.tensor([0.0, 1127 * math.log(2), 999.99]).double(), atol=0.01, rtol=0
    )


@pytest.mark.parametrize("scale", ["slaney", "htk"])
def test_there_and_back(scale: Scale) -> None:
    hz = torch.linspace(0, 20000, 301, dtype=torch.float64)
    torch.testing.assert_close(hz_of_mel(mel_of_hz(hz, scale), scale), hz)


def test_unit_area_filters_weigh_a_flat_spectrum_by_one() -> None:
    filters = FilterBank(44100, 4096, 40, 0.0, 22050.0).filters()
    assert filters.shape == (40, 2049)
    torch.testing.assert_close(filters.sum(1) * 44100 / 4096, torch.ones(40), atol=0.02, rtol=0)


def test_flanks_over_mel_share_every_bin_between_two_filters() -> None:
    filters = FilterBank(16000, 512, 64, 125.0, 7500.0, "htk", "mel", unit_area=False).filters()
    bins_hz = torch.linspace(0, 8000, 257)
    corners = hz_of_mel(torch.linspace(*mel_of_hz(torch.tensor([125.0, 7500.0]), "htk").tolist(), 66), "htk")
    between = (bins_hz > corners[1]) & (bins_hz < corners[-2])
    torch.testing.assert_close(filters.sum(0)[between], torch.ones(int(between.sum())))
    assert not filters[:, bins_hz < 125].any()
    assert not filters[:, bins_hz > 7500].any()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"bands": 0}, "bands is 0; it must be at least 1"),
        ({"highest_hz": 9000.0}, "the bands span 50.0 to 9000.0 Hz; .* 0 to 8000.0 Hz"),
        ({"scale": "bark"}, "scale is 'bark'"),
        ({"flanks": "mel"}, "unit_area goes with flanks over 'hz'"),
    ],
)
def test_what_makes_no_bank_is_refused(change: dict, message: str) -> None:
    settings = {"rate_hz": 16000, "fft_samples": 512, "bands": 64, "lowest_hz": 50.0, "highest_hz": 8000.0}
    with pytest.raises(ValueError, match=message):
        FilterBank(**{**settings, **change})
