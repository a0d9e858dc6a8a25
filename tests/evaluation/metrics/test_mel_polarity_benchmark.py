import json
from pathlib import Path

import pytest
import torch
from benchmarks.mel_polarity import COLUMNS, delayed, main, mel_distances_db, mirror_differences

from spatialfoley.evaluation.suite.clips import ClipTruth, clip_truth
from spatialfoley.world import held_out_seed, make_scene


@pytest.fixture(scope="module")
def truth() -> ClipTruth:
    return clip_truth(make_scene(held_out_seed(0), kind="in_view", camera="static", duration_s=1.5))


def test_a_delay_of_whole_samples_shifts() -> None:
    sound = torch.randn(400, generator=torch.Generator().manual_seed(1))
    later = delayed(sound, 5.0)
    torch.testing.assert_close(later[5:], sound[:-5], atol=1e-5, rtol=0)
    torch.testing.assert_close(later[:5], torch.zeros(5), atol=1e-5, rtol=0)


def test_the_mel_of_a_field_is_that_of_the_field_from_the_opposite_direction(truth: ClipTruth) -> None:
    assert mirror_differences(truth) == {"16 kHz": 0.0, "44.1 kHz": 0.0}


def test_the_longest_delay_between_ears_moves_a_mel_less_than_a_decibel(truth: ClipTruth) -> None:
    moved = mel_distances_db(truth)
    for front_end in ("16 kHz", "44.1 kHz"):
        assert moved[f"{front_end} level"] == pytest.approx(1.0, abs=0.02)
        assert moved[f"{front_end} 300 µs"] < 0.5 * moved[f"{front_end} level"]
        assert moved[f"{front_end} 300 µs"] < moved[f"{front_end} 700 µs"] < moved[f"{front_end} level"]


def test_tables_tell_invented_phases_from_kept_signs(tmp_path: Path) -> None:
    main(["--clips", "2", "--duration-s", "0.6", "--out", str(tmp_path)])
    document = json.loads((tmp_path / "mel_polarity.json").read_text(encoding="utf-8"))
    rows = document["figures"]["systems"]
    angles = {name: row["angle_deg"]["value"] for name, row in rows.items()}
    assert max(angles["truth"], angles["latents of the tiny odd codec"], angles["parametric, true W"]) < 5
    assert min(angle for name, angle in angles.items() if name.startswith("mel ")) > 15
    text = (tmp_path / "mel_polarity.md").read_text(encoding="utf-8")
    assert all(heading in text for heading, _ in COLUMNS.values())
    assert f"| {'parametric, true W'} |" in text
