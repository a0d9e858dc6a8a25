"""Sizes before the run: the arithmetic of the published sets, and the refusal of a disk that is too small."""

from pathlib import Path

import pytest

from spatialfoley.dataset.factory.config import BuildConfig
from spatialfoley.dataset.factory.reader import BuiltSet
from spatialfoley.dataset.store.encoders import ENCODERS, identify
from spatialfoley.dataset.store.estimate import (
    durations_of,
    missing_bytes,
    other_pools,
    planned_durations,
    readable,
    refuse_a_small_disk,
    size_row,
)
from spatialfoley.dataset.store.fill import add_features, encoder_folder
from spatialfoley.dataset.store.layouts import FrameLayout, total_bytes
from spatialfoley.dataset.store.packs import all_packs
from spatialfoley.dataset.store.settings import FeatureSettings
from spatialfoley.settings import from_mapping
from tests.model_folders import write_tiny_model

from .sets import CLIP_S, small_set

VISAUDIO_TRAINING = 94_845 + 17_825
"""Clips of BiAudio and of MUSIC-21 that ViSAudio is trained on."""


def test_the_patches_of_visaudio_are_the_four_terabytes_of_the_paper() -> None:
    row = size_row("pe-spatial", FeatureSettings(), {8.0: VISAUDIO_TRAINING})
    assert row.per_clip == 64 * 16 * 16 * 1024 * 2 == 33_554_432
    assert readable(row.total) == "3.78 TB"
    assert (row.half, row.full) == (row.total, 2 * row.total)
    whole = other_pools(["pe-spatial"], FeatureSettings(), {8.0: 97_000})
    assert {row.encoder: readable(row.total) for row in whole} == {
        "pe-spatial with --pool 1": "13.0 TB",
        "pe-spatial with --pool 4": "814 GB",
    }
    assert (
        readable(size_row("pe-spatial", FeatureSettings(half=False, pool=1), {8.0: 97_000}).total)
        == "26.0 TB"
    )


@pytest.mark.parametrize(
    ("name", "duration_s", "expected"),
    [
        ("clip", 5.0, (20 * 512 + 20 * 49) * 2),
        ("dac", 5.0, 431 * 36 * 2 + 12),
        ("unicodec", 5.0, 375 * 4 * 2 + 12),
        ("tiny", 5.0, (100 * 128 + 100 * 49) * 2),
        ("tiny-codes", 5.0, 250 * 20 * 2 + 12),
        ("clip-h14", 8.0, 64 * 1024 * 2),
        ("clip-h14-text", 8.0, 77 * 1024 * 2),
        ("synchformer", 8.0, 192 * 768 * 2),
        ("mel-vae-44k", 8.0, 2 * 2 * 345 * 40 * 4),
        ("mel-vae-16k", 8.0, 2 * 2 * 250 * 20 * 4),
    ],
)
def test_published_sizes(name: str, duration_s: float, expected: int) -> None:
    assert total_bytes(ENCODERS[name].published(FeatureSettings()), duration_s) == expected


def test_turns_and_mirror_images_multiply() -> None:
    settings = FeatureSettings(yaws_deg=(0.0, -90.0, 90.0), mirror=True)
    assert size_row("dac", settings, {5.0: 1}).total == 6 * (431 * 36 * 2 + 12)
    assert size_row("clip", settings, {5.0: 1}).total == 2 * (20 * 512 + 20 * 49) * 2


def test_what_is_stored_is_what_was_estimated(tmp_path: Path) -> None:
    root = small_set(tmp_path / "set")
    model = write_tiny_model(tmp_path / "model")
    identity = identify("tiny-codes", FeatureSettings(), {"tiny-codes": model})
    encoder = identity.load("cpu")
    assert durations_of(BuiltSet(root)) == {CLIP_S: 4}
    expected = 4 * (40 * 12 * 2 + 12)
    assert missing_bytes(root, identity, encoder.layout) == expected
    done = add_features(root, identity, encoder)
    # Heads of packs come on top: with clips of less than a second they weigh more than the stated 2 %.
    assert expected <= done.bytes <= expected + 400 * 4 + 2 * 400
    assert missing_bytes(root, identity, encoder.layout) == 0
    all_packs(encoder_folder(root, identity))[0].unlink()
    assert missing_bytes(root, identity, encoder.layout) == expected // 2


def test_a_disk_that_is_too_small_is_refused(tmp_path: Path) -> None:
    root = small_set(tmp_path / "set")
    small, large = identify("tiny-codes", FeatureSettings()), identify("pe-spatial", FeatureSettings())
    huge = FrameLayout("patches", 10.0, (10**9, 1024), half=True)
    published = ENCODERS["tiny-codes"].published(FeatureSettings())
    assert refuse_a_small_disk(root, [(small, published)]) < 50_000
    with pytest.raises(
        ValueError, match=r"need 66.8 PB|need 66.* TB more, 66.* of it for pe-spatial, and .* free;"
    ):
        refuse_a_small_disk(root, [(small, published), (large, huge)])


def test_the_clips_of_a_build_are_counted_before_it_runs(tmp_path: Path) -> None:
    document = {
        "output": str(tmp_path / "set"),
        "source": {"kind": "world", "recordings": 3, "duration_s": 23.0},
        "stages": [{"stage": "take_foa"}, {"stage": "ytambigen_clips", "hop_s": 2.0}],
    }
    assert planned_durations(from_mapping(BuildConfig, document, "test")) == {5.0: 3 * 10}
    document["stages"] = [{"stage": "take_foa"}]
    with pytest.raises(ValueError, match="no stage of the build cuts clips; give their number with --clips"):
        planned_durations(from_mapping(BuildConfig, document, "test"))


def test_bytes_are_read_easily() -> None:
    sizes = (0, 999, 1000, 33_554_432, 134_217_728, 999_999_999, 3.26e12)
    assert [readable(size) for size in sizes] == [
        "0 B",
        "999 B",
        "1.00 kB",
        "33.6 MB",
        "134 MB",
        "1000 MB",
        "3.26 TB",
    ]
