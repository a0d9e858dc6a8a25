"""yt-dlp itself, told how to read the site of the tests: options, files and messages are what we take them for."""

import importlib.util
from pathlib import Path
from typing import Any

import pytest

from spatialfoley.dataset.factory.stage import (
    ItemProblem,
    Outcome,
    Passed,
    TransientProblem,
    Workspace,
    load_source,
)
from tests.dataset.sources.video_site import Site

EXTRACTOR = """
from yt_dlp.extractor.common import InfoExtractor
from yt_dlp.utils import ExtractorError


class SiteOfTestsIE(InfoExtractor):
    _VALID_URL = r"http://127[.]0[.]0[.]1:[0-9]+/watch/(?P<id>[A-Za-z0-9_-]{11})"

    def _real_extract(self, url):
        client = self.get_param("extractor_args")["youtube"]["player_client"][0]
        said = self._download_json(url, self._match_id(url), headers={"X-Client": client})
        if said.get("geo"):
            self.raise_geo_restricted(countries=["IS"])
        if "error" in said:
            raise ExtractorError(said["error"], expected=True)
        return said
"""


@pytest.fixture(scope="module")
def plugin(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    if importlib.util.find_spec("yt_dlp") is None:
        pytest.skip("yt-dlp is not installed: pip install spatialfoley[fetch]")
    folder = tmp_path_factory.mktemp("plugins")
    module = folder / "site" / "yt_dlp_plugins" / "extractor" / "site_of_tests.py"
    module.parent.mkdir(parents=True)
    module.write_text(EXTRACTOR)
    return ["--plugin-dirs", str(folder)]


def fetched(site: Site, folder: Path, plugin: list[str], answer: Any, **download: Any) -> Outcome:
    name = "real_______"
    site.answers = {name: answer}
    ids = folder / "ids.txt"
    ids.write_text(name)
    settings = {**site.download(Path("unused"), **download), "yt_dlp": "", "arguments": plugin}
    source = load_source("youtube", {"ids": str(ids), "download": settings})
    outcome: Outcome = source.fetch(next(source.records()), Workspace(folder, "fetch"))  # type: ignore[attr-defined]
    return outcome


def test_it_brings_what_was_chosen_and_goes_on_where_a_line_broke(
    site: Site, tmp_path: Path, plugin: list[str]
) -> None:
    site.cut_once.add("foa.wav")
    outcome = fetched(site, tmp_path, plugin, site.panorama())
    assert isinstance(outcome, Passed)
    (record,) = outcome.records
    space = Workspace(tmp_path, "fetch")
    assert space.path(record.file("panorama")).read_bytes() == site.files["pano.mp4"]
    assert space.path(record.file("sound")).read_bytes() == site.files["foa.wav"]
    assert record.facts["picture_format"] == "133: 64x32 (240p, equi)"
    assert record.facts["fetched_client"] == "android_vr"
    # Asked once; the sound came in two parts, the second from where the first ended on disk.
    assert site.asked["real_______"] == 1
    first, second = (said for name, said in site.ranges if name == "foa.wav")
    assert first == ""
    assert 0 < int(second.removeprefix("bytes=").removesuffix("-")) <= len(site.files["foa.wav"]) // 2


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (429, "rate"),
        ({"geo": True}, "geo"),
    ],
)
def test_its_messages_have_their_kinds(
    site: Site, tmp_path: Path, plugin: list[str], answer: Any, kind: str
) -> None:
    with pytest.raises((TransientProblem, ItemProblem), match=r"^yt-dlp says: ") as problem:
        fetched(site, tmp_path, plugin, answer, clients=["android_vr"])
    assert problem.value.kind == kind  # type: ignore[attr-defined]


def test_a_file_larger_than_was_said_is_not_downloaded(site: Site, tmp_path: Path, plugin: list[str]) -> None:
    with pytest.raises(
        ItemProblem, match=r"a file of it is larger than download\.max_gb = 1e-06 GB"
    ) as problem:
        fetched(site, tmp_path, plugin, site.panorama(), max_gb=1e-6)
    assert problem.value.kind == "format"
