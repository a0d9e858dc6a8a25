"""Trajectories have the published distributions (ViSAudio eq. 21-30)."""

import numpy as np
import pytest

from spatialfoley.dataset.biaudio.trajectories import camera_facts, camera_of, draw_trajectory
from spatialfoley.spatial.direction import Direction
from spatialfoley.spatial.projection import view_pixels

DRAWS, DURATION_S = 6000, 8.0
ABOVE = Direction(120.0, 50.0)


@pytest.fixture(scope="module")
def drawn() -> dict[str, np.ndarray]:
    """First yaw from the source, first pitch and roll, and drifts in degrees per second."""
    cameras = [draw_trajectory(ABOVE, DURATION_S, seed) for seed in range(DRAWS)]
    angles = {
        name: np.stack([getattr(c, name) for c in cameras]) for name in ("yaw_deg", "pitch_deg", "roll_deg")
    }
    drifts = {f"{name}_per_s": np.diff(rows)[:, 0] / DURATION_S for name, rows in angles.items()}
    firsts = {name: rows[:, 0] for name, rows in angles.items()}
    return {**drifts, **firsts, "yaw_deg": firsts["yaw_deg"] - ABOVE.azimuth_deg}


def assert_uniform(values: np.ndarray, low: float, high: float) -> None:
    """Kolmogorov-Smirnov: a sample of this size is closer than this but for one seed in a thousand."""
    assert values.min() >= low - 1e-9
    assert values.max() <= high + 1e-9
    expected = np.clip((np.sort(values) - low) / (high - low), 0.0, 1.0)
    distance = np.abs(expected - (np.arange(values.size) + 0.5) / values.size).max()
    assert distance < 1.95 / np.sqrt(values.size)


@pytest.mark.parametrize(("angle", "fastest"), [("yaw_deg", 10.0), ("pitch_deg", 2.0), ("roll_deg", 1.0)])
def test_drifts_are_uniform_or_zero(drawn: dict[str, np.ndarray], angle: str, fastest: float) -> None:
    drift = drawn[f"{angle}_per_s"]
    zero = np.abs(drift) < 1e-9
    assert zero.mean() == pytest.approx(1 / 3, abs=0.02)
    assert_uniform(drift[~zero], -fastest, fastest)


def test_drifts_are_independent(drawn: dict[str, np.ndarray]) -> None:
    drifts = np.stack([drawn[f"{angle}_deg_per_s"] for angle in ("yaw", "pitch", "roll")])
    still = (np.abs(drifts) < 1e-9).astype(float)
    for rows in (drifts, still):
        assert np.abs(np.corrcoef(rows)[np.triu_indices(3, 1)]).max() < 0.05


def test_the_first_yaw_is_on_the_side_that_the_camera_comes_from(drawn: dict[str, np.ndarray]) -> None:
    turn_deg, first_deg = drawn["yaw_deg_per_s"] * DURATION_S, drawn["yaw_deg"]
    assert_uniform(first_deg[turn_deg > 30.0], -45.0, 0.0)
    assert_uniform(first_deg[turn_deg < -30.0], 0.0, 45.0)
    assert_uniform(first_deg[np.abs(turn_deg) <= 30.0], -30.0, 30.0)


def test_the_first_pitch_is_clipped_and_the_first_roll_zero(drawn: dict[str, np.ndarray]) -> None:
    pitch_deg = drawn["pitch_deg"]
    assert np.mean(pitch_deg == 30.0) == pytest.approx(0.4, abs=0.02)  # of U(0, 50) what lies above 30
    assert_uniform(pitch_deg[pitch_deg < 30.0], 0.0, 30.0)
    below = [draw_trajectory(Direction(0.0, -20.0), DURATION_S, seed).pitch_deg[0] for seed in range(1000)]
    assert_uniform(np.array(below), -20.0, 0.0)
    level = [draw_trajectory(Direction(0.0, 0.0), DURATION_S, seed).pitch_deg[0] for seed in range(50)]
    assert set(level) == {0.0}
    assert not drawn["roll_deg"].any()


def test_the_source_stays_in_view_for_a_while() -> None:
    """The purpose of it: what lies behind the source is hardly ever seen."""
    source = Direction(120.0, 10.0)
    times_s = np.linspace(0.0, DURATION_S, 9)

    def shares(beside_deg: float) -> np.ndarray:
        """Share of the time in which a direction beside the source is in view, for many cameras."""
        vector = Direction(source.azimuth_deg + beside_deg, source.elevation_deg).vector()
        cameras = [draw_trajectory(source, DURATION_S, seed) for seed in range(200)]
        seen = [[view_pixels(vector, c.pose_at(t), 512, 90.0)[2] for t in times_s] for c in cameras]
        return np.mean(seen, axis=1)

    in_view = shares(0.0)
    assert in_view.mean() > 0.85
    assert np.mean(in_view > 0.5) > 0.95
    assert shares(180.0).mean() < 0.05


def test_a_seed_is_a_trajectory_and_facts_keep_it() -> None:
    first, again, other = (draw_trajectory(ABOVE, DURATION_S, seed) for seed in (3, 3, 4))
    facts = camera_facts(first)
    assert facts == camera_facts(again) != camera_facts(other)
    assert list(facts) == ["time_s", "yaw_deg", "pitch_deg", "roll_deg"]
    np.testing.assert_allclose(camera_of(facts).angles_at([1.0, 7.0]), first.angles_at([1.0, 7.0]), atol=1e-6)


def test_a_duration_has_to_be_one() -> None:
    with pytest.raises(ValueError, match="duration_s is 0; give seconds above 0"):
        draw_trajectory(ABOVE, 0, 1)
