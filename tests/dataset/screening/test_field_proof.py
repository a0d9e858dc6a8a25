"""What energies tell of four channels: known fields and known non-fields."""

import numpy as np
import pytest

from spatialfoley.dataset.screening.field_proof import (
    FieldLimits,
    FieldMeter,
    FieldNumbers,
    suspicion_of,
    why_no_field,
)
from spatialfoley.spatial.direction import unit_vectors
from spatialfoley.spatial.foa import encode, to_fuma, to_n3d

RATE_HZ = 16000


def measured(field: np.ndarray) -> FieldNumbers:
    meter = FieldMeter(RATE_HZ)
    for start in range(0, field.shape[1], RATE_HZ):
        meter.add(field[:, start : start + RATE_HZ])
    return meter.numbers()


def diffuse(sources: int = 40, seconds: float = 3.0) -> np.ndarray:
    """Plane waves of noise from everywhere."""
    chance = np.random.default_rng(3)
    field = np.zeros((4, round(seconds * RATE_HZ)), np.float32)
    for _ in range(sources):
        vector = chance.standard_normal(3)
        field += encode(0.02 * chance.standard_normal(field.shape[1]), vector / np.linalg.norm(vector))
    return field


def test_every_mixture_of_plane_waves_obeys_the_equation_and_is_a_field() -> None:
    field = diffuse()
    found = measured(field)
    assert found.ratio_db == pytest.approx(0.0, abs=0.3)
    assert (found.signals, found.copies) == (4, ())
    assert why_no_field(found) is None
    assert suspicion_of(found) == ("", "")
    one = encode(field[0], unit_vectors(30.0, 40.0))
    assert measured(one).total_ratio_db == pytest.approx(0.0, abs=1e-3)
    assert why_no_field(measured(one)) is None


@pytest.mark.parametrize(("change", "suspicion", "weak_db"), [(to_fuma, "fuma", 3.01), (to_n3d, "n3d", 4.77)])
def test_another_gain_of_w_is_measured(change: object, suspicion: str, weak_db: float) -> None:
    found = measured(change(diffuse()))  # type: ignore[operator]
    assert found.ratio_db == pytest.approx(weak_db, abs=0.3)
    assert why_no_field(found) is None
    name, sentence = suspicion_of(found)
    assert name == suspicion
    assert sentence.startswith(f"W is {found.ratio_db:.1f} dB weaker than AmbiX has it")


def test_swapped_directions_cannot_be_told_but_a_weak_last_channel_is_said() -> None:
    field = diffuse()
    assert suspicion_of(measured(field[[0, 3, 1, 2]]))[0] == ""
    flat = field * np.array([1, 1, 0.1, 1], np.float32)[:, None]
    swapped = measured(flat[[0, 3, 1, 2]])
    assert why_no_field(swapped) is None
    assert suspicion_of(swapped)[0] == "order"
    assert "as the vertical one of WXYZ would be" in suspicion_of(swapped)[1]
    assert suspicion_of(measured(flat))[0] == ""


def test_signals_that_have_nothing_to_do_with_each_other_are_no_field() -> None:
    chance = np.random.default_rng(4)
    count = 3 * RATE_HZ
    bursts = np.repeat(chance.random((4, 30)) > 0.5, count // 30, axis=1) + 0.01
    outcome = why_no_field(measured(0.1 * bursts * chance.standard_normal((4, count))))
    assert outcome is not None
    assert outcome.reason == "no_field"
    assert "dB: four sounds and no field" in outcome.sentence


def test_a_rejection_carries_what_was_measured() -> None:
    field = diffuse()
    field[2] = 0
    outcome = why_no_field(measured(field))
    assert outcome is not None
    assert (outcome.reason, outcome.sentence) == (
        "dead_channel",
        "no more than three channels are live (Z dead)",
    )
    assert outcome.numbers["z_db"] == -200.0
    assert outcome.numbers["signals"] == 3
    assert outcome.numbers["ratio_db"] < 0
    zeros = why_no_field(measured(np.zeros((4, RATE_HZ))))
    assert zeros is not None
    assert (zeros.reason, zeros.sentence) == ("silent", "all four channels are zero")


def test_limits_are_settings_and_shapes_are_checked() -> None:
    field = diffuse()
    field[2] *= 0.01
    assert why_no_field(measured(field)) is None
    outcome = why_no_field(measured(field), FieldLimits(dead_db=-30.0))
    assert outcome is not None
    assert outcome.reason == "dead_channel"
    with pytest.raises(ValueError, match=r"block has shape \(2, 5\); a first-order field has shape"):
        FieldMeter(RATE_HZ).add(np.zeros((2, 5)))
