from pathlib import Path

import pytest

from spatialfoley.dataset.world_cache import WorldCacheSettings


@pytest.fixture(scope="session")
def small_world(tmp_path_factory: pytest.TempPathFactory) -> WorldCacheSettings:
    """Two shards of two clips of a second; `render_world_cache` makes or opens them."""
    folder: Path = tmp_path_factory.mktemp("worlds") / "cache"
    return WorldCacheSettings(str(folder), clips=4, first_seed=7, duration_s=1.0, shard_clips=2)
