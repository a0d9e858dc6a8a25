"""What comes back of a single source through each model's codec: its place, its level, its layout."""

from pathlib import Path

import numpy as np
import pytest

from spatialfoley.pipeline.loading import load_pipeline
from spatialfoley.pipeline.round_trips import round_trip
from spatialfoley.spatial.binaural import render_binaural
from spatialfoley.spatial.direction import angle_between_deg, unit_vectors
from spatialfoley.spatial.energy_map import covariance
from spatialfoley.spatial.foa import encode
from spatialfoley.spatial.interaural import interaural_levels_db
from spatialfoley.spatial.signal import SpatialAudio
from spatialfoley.spatial.statistics import intensity_directions
from tests.flow_folders import write_visaudio_folder

RATE_HZ = 16000
LEFT = unit_vectors(60, 15)


def left_source() -> tuple[SpatialAudio, SpatialAudio]:
    noise = np.random.default_rng(0).normal(0, 0.1, RATE_HZ)
    field = SpatialAudio(encode(noise, LEFT), RATE_HZ, "foa")
    return field, SpatialAudio(render_binaural(field).samples, RATE_HZ, "binaural")


@pytest.mark.parametrize("name", ["tiny-visage", "tiny-visaudio-foa"])
def test_a_field_comes_back_from_where_it_came(name: str) -> None:
    field, ears = left_source()
    back = round_trip(load_pipeline(name))(field, ears)
    assert (back.layout, back.samples.shape) == ("foa", field.samples.shape)
    assert angle_between_deg(intensity_directions(covariance(back.samples)), LEFT) < 2
    powers = [np.mean(audio.samples[0].astype(np.float64) ** 2) for audio in (field, back)]
    assert 10 * np.log10(powers[1] / powers[0]) == pytest.approx(0, abs=1.5)


def test_ears_come_back_with_their_levels() -> None:
    field, ears = left_source()
    back = round_trip(load_pipeline("tiny-visaudio"))(field, ears)
    assert (back.layout, back.samples.shape) == ("binaural", ears.samples.shape)
    levels_db = [
        float(interaural_levels_db(audio.samples, RATE_HZ, None).squeeze()) for audio in (ears, back)
    ]
    assert levels_db[0] > 3
    assert levels_db[1] == pytest.approx(levels_db[0], abs=0.5)


def test_mel_models_have_no_way_back(tmp_path: Path) -> None:
    assert round_trip(load_pipeline(write_visaudio_folder(tmp_path / "visaudio"))) is None
