from pathlib import Path

import numpy as np
import pytest

from spatialfoley.media.frame_writer import write_frames
from tests.model_folders import write_tiny_model


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_model(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture
def video_file(tmp_path: Path) -> Path:
    return write_noise_video(tmp_path / "videos" / "street.mp4")


def write_noise_video(path: Path, frames: int = 12, rate_hz: float = 12.0, seed: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pictures = np.random.default_rng(seed).integers(0, 255, (frames, 48, 64, 3), np.uint8)
    write_frames(path, iter(pictures), rate_hz)
    return path
