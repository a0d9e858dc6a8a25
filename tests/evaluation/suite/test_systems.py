from pathlib import Path

import numpy as np
import pytest

from spatialfoley.conventions import W
from spatialfoley.evaluation.suite.clips import clip_truth, make_world_clip
from spatialfoley.evaluation.suite.records import SystemRecords
from spatialfoley.evaluation.suite.systems import (
    System,
    as_mono,
    check_systems,
    codec_system,
    model_system,
    noise_system,
    truth_system,
    two_stage_system,
)
from spatialfoley.spatial.signal import SpatialAudio

CLIP = make_world_clip(0, 0, ("in_view",), 16, 4.0, 1.0)
TRUTH = clip_truth(CLIP.scene)


def test_mono_of_any_layout() -> None:
    samples = np.arange(8.0).reshape(4, 2)
    assert as_mono(SpatialAudio(samples, 16000, "foa")).samples[0] == pytest.approx(samples[W])
    assert as_mono(SpatialAudio(samples[:2], 16000, "binaural")).samples[0] == pytest.approx([1, 2])
    assert as_mono(SpatialAudio(samples[:1], 16000, "mono")).samples[0] == pytest.approx(samples[0])


def test_noise_is_as_loud_as_the_truth_and_the_same_every_time() -> None:
    first, second = (noise_system().make(CLIP, TRUTH, None).samples for _ in range(2))
    np.testing.assert_array_equal(first, second)
    truth = truth_system().make(CLIP, TRUTH, None).samples
    assert np.std(first[2]) == pytest.approx(np.sqrt(np.mean(truth[W] ** 2)), rel=0.02)


def test_a_two_stage_system_places_the_true_mono_sound_or_that_of_its_source() -> None:
    heard: list[SpatialAudio] = []

    def spatialize(mono: SpatialAudio, *_: object) -> SpatialAudio:
        heard.append(mono)
        return mono

    model = model_system("model", lambda clip: TRUTH.field, "model-ab12")
    on_truth = two_stage_system("place", spatialize, "place-1")
    on_model = two_stage_system("place", spatialize, "place-1", model)
    assert (on_truth.name, on_model.name) == ("true mono+place", "model+place")
    assert on_model.label == "model-ab12+place-1"
    on_truth.make(CLIP, TRUTH, None)
    on_model.make(CLIP, TRUTH, SpatialAudio(2 * TRUTH.field.samples, 16000, "foa"))
    np.testing.assert_allclose(heard[0].samples, TRUTH.mono[None])
    np.testing.assert_allclose(heard[1].samples[0], 2 * TRUTH.field.samples[W])


def test_a_codec_is_given_the_true_field_and_the_true_ears() -> None:
    field = codec_system("model", lambda field, ears: field, "a").make(CLIP, TRUTH, None)
    ears = codec_system("model", lambda field, ears: ears, "a").make(CLIP, TRUTH, None)
    np.testing.assert_array_equal(field.samples, TRUTH.field.samples)
    np.testing.assert_array_equal(ears.samples, TRUTH.ears.ears.astype(np.float32))
    assert (field.layout, ears.layout) == ("foa", "binaural")


def test_systems_that_cannot_be_scored_together_are_named() -> None:
    model = model_system("model", lambda clip: TRUTH.field, "model")
    placed = two_stage_system("place", lambda mono, *_: mono, "place", model)
    for systems, sentence in (
        ([truth_system(), truth_system()], "systems hold truth more than once"),
        ([model], "systems are model; truth must be among them"),
        ([placed, model, truth_system()], r"model\+place builds on model, which must come before it"),
    ):
        with pytest.raises(ValueError, match=sentence):
            check_systems(systems)


def test_records_of_names_that_look_alike_lie_apart(tmp_path: Path) -> None:
    folders = {SystemRecords(tmp_path, name, name).folder for name in ("a+b", "a b", "a/b", "a-b")}
    assert len(folders) == 4
    assert all(folder.parent == tmp_path for folder in folders)


def test_only_those_that_see_the_picture_alone_compete() -> None:
    model: System = model_system("model", lambda clip: TRUTH.field, "model")
    on_model = two_stage_system("place", lambda mono, *_: mono, "place", model)
    on_truth = two_stage_system("place", lambda mono, *_: mono, "place")
    competing = [one.info.competes for one in (model, on_model, on_truth, truth_system(), noise_system())]
    assert competing == [True, True, False, False, False]
