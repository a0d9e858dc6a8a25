from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.dataset.sources.video_site import Site, media, serve, stand_in


@pytest.fixture(scope="session")
def media_files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    return media(tmp_path_factory.mktemp("media"))


@pytest.fixture
def site(media_files: dict[str, bytes]) -> Iterator[Site]:
    with serve(Site(files=dict(media_files))) as opened:
        yield opened


@pytest.fixture(scope="session")
def yt_dlp(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A stand-in for yt-dlp."""
    return stand_in(tmp_path_factory.mktemp("bin"))
