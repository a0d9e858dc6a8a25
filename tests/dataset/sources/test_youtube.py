"""Recordings of a site through yt-dlp: what is good comes, and every failure says of which kind it is."""

import json
import signal
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from spatialfoley.dataset.factory.config import BuildConfig
from spatialfoley.dataset.factory.runner import build
from spatialfoley.dataset.factory.stage import Passed, TransientProblem, Workspace, load_source
from spatialfoley.dataset.fetching.program import pacer
from spatialfoley.dataset.sources.youtube import YoutubeSource
from spatialfoley.media.audio import read_audio
from spatialfoley.settings import from_mapping
from tests.dataset.sources.video_site import Site


def video(name: str) -> str:
    """An id of 11 characters."""
    return f"{name:_<11}"


def listed(folder: Path, names: list[str]) -> str:
    path = folder / "ids.txt"
    path.write_text("".join(f"{video(name)}\n" for name in names))
    return str(path)


def config(site: Site, yt_dlp: Path, folder: Path, names: list[str], **download: Any) -> BuildConfig:
    return from_mapping(
        BuildConfig,
        {
            "output": str(folder / "set"),
            "source": {
                "kind": "youtube",
                "ids": listed(folder, names),
                "download": site.download(yt_dlp, **download),
            },
            "stages": [],
            "retries": {"attempts": 3, "pause_s": 0.01},
        },
        "test",
    )


def lines(path: Path) -> dict[str, dict[str, Any]]:
    """Lines of a list by the name of their video."""
    found = [json.loads(line) for line in path.read_text().splitlines()]
    return {line["recording"].removeprefix("yt-").rstrip("_"): line for line in found}


def answers(site: Site) -> dict[str, Any]:
    """What the site says of every kind of recording."""
    good = site.panorama()
    flat = [one for one in good["formats"] if one["format_id"] not in ("133", "160")]
    stereo = [one for one in good["formats"] if one["format_id"] != "338"]
    token = (
        "android_vr client https formats require a GVS PO Token which was not provided. They will be skipped"
    )
    return {
        "good": good,
        "rate": [429, {"error": "Sign in to confirm you’re not a bot. Use --cookies"}, good],
        "resumed": site.panorama(picture="again.mp4"),
        "offline": 503,
        "private": {"error": "Private video. Sign in if you've been granted access to this video"},
        "geo": {"error": "The uploader has not made this video available in your country"},
        "removed": {"error": "Video unavailable. This video has been removed by the uploader"},
        "stereo": {**good, "formats": stereo},
        "cube": {**good, "formats": flat},
        "hidden": {**good, "formats": stereo, "warnings": [token]},
        "corrupt": site.panorama(picture="half.mp4"),
        "liar": site.panorama(sound="stereo.wav"),
        "segfault": {"signal": int(signal.SIGSEGV)},
        "huge": {**good, "formats": [{**one, "filesize": 3 * 10**9} for one in good["formats"]]},
    }


def test_every_way_of_failing_is_told_and_costs_its_recording_only(
    site: Site, yt_dlp: Path, tmp_path: Path
) -> None:
    site.files["again.mp4"] = site.files["pano.mp4"]
    site.cut_once.add("again.mp4")
    said = answers(site)
    site.answers = {video(name): answer for name, answer in said.items()}
    chosen = config(site, yt_dlp, tmp_path, list(said), clients=["android_vr"])
    report = build(chosen)
    root = tmp_path / "set"
    assert sorted(lines(root / "manifest.jsonl")) == ["good", "rate", "resumed"]
    assert {name: line["reason"] for name, line in lines(root / "failed.jsonl").items()} == {
        "offline": "network",
        "private": "private",
        "geo": "geo",
        "removed": "missing",
        "hidden": "format",
        "corrupt": "corrupt",
        "segfault": "crash",
    }
    rejected = lines(root / "rejected.jsonl")
    assert {name: line["reason"] for name, line in rejected.items()} == {
        "stereo": "format",
        "cube": "format",
        "liar": "format",
        "huge": "size",
    }
    assert rejected["stereo"]["sentence"].startswith(
        "it has no sound of four channels; offered are 251: 2 channels (medium); 133: 64x32 (240p, equi)"
    )
    assert "no equirectangular picture of 16 to 1440 lines" in rejected["cube"]["sentence"]
    assert "313: 64x36 (2160p, mesh)" in rejected["cube"]["sentence"]
    assert rejected["huge"]["numbers"] == {"gigabytes": 6.0, "max_gb": 4.0}
    assert report.recordings == len(said)
    # A limit that goes away and a line that breaks are tried again; what is private is not asked for twice.
    assert site.asked[video("rate")] == 3
    assert site.asked[video("private")] == 1
    assert site.asked[video("offline")] == 3
    half = len(site.files["again.mp4"]) // 2
    assert [said for name, said in site.ranges if name == "again.mp4"] == ["", f"bytes={half}-"]
    assert not list((root / "work").glob("*/downloads/*"))
    failed = lines(root / "failed.jsonl")
    assert "not all of its formats could be seen" in failed["hidden"]["sentence"]
    assert "PO Token" in failed["hidden"]["sentence"]
    assert failed["segfault"]["sentence"] == "yt-dlp ended with signal 11; its last words: nothing"

    # The next run brings what the network kept back, and asks nothing else.
    site.asked.clear()
    site.answers[video("offline")] = said["good"]
    build(chosen)
    assert "offline" in lines(root / "manifest.jsonl")
    assert dict(site.asked) == {video("offline"): 1}


def test_what_the_site_says_of_a_recording_is_kept(site: Site, yt_dlp: Path, tmp_path: Path) -> None:
    name = video("good")
    site.answers = {name: site.panorama()}
    ids = tmp_path / "ids.csv"
    ids.write_text(f"url,split,colour\nhttps://youtu.be/{name}?t=3,test,red\n")
    source = load_source("youtube", {"ids": str(ids), "download": site.download(yt_dlp)})
    assert isinstance(source, YoutubeSource)
    (listed_record,) = source.records()
    assert listed_record.facts == {"source": "youtube", "video": name, "convention": "ambix", "split": "test"}
    outcome = source.fetch(listed_record, Workspace(tmp_path, "fetch"))
    assert isinstance(outcome, Passed)
    (record,) = outcome.records
    assert record.facts == {
        **listed_record.facts,
        "title": "A street",
        "channel": "Somebody",
        "channel_id": "UC-0V6BpzC8qRrUEQTfZCWhg",
        "upload_date": "20190412",
        "url": f"{site.url}/watch/{name}",
        "licence": "Creative Commons Attribution license (reuse allowed)",
        "fetched_client": "android_vr",
        "picture_format": "133: 64x32 (240p, equi)",
        "sound_format": "338: 4 channels (medium, ambisonic_quad)",
        "projection": "equirectangular",
        "duration_s": 4.0,
        "width": 64,
        "height": 32,
    }
    space = Workspace(tmp_path, "fetch")
    assert space.path(record.file("panorama")).read_bytes() == site.files["pano.mp4"]
    assert read_audio(space.path(record.file("sound")), "foa").samples.shape == (4, 32000)


def test_clients_are_tried_in_order_until_one_offers_what_is_wanted(
    site: Site, yt_dlp: Path, tmp_path: Path
) -> None:
    name = video("good")
    stereo = site.panorama()
    stereo["formats"] = [one for one in stereo["formats"] if one["format_id"] != "338"]
    site.answers = {
        name: {"first": stereo, "second": {"error": "No video formats found!"}, "third": site.panorama()}
    }
    settings = site.download(yt_dlp, clients=["first", "second", "third", "fourth"])
    source = load_source("youtube", {"ids": listed(tmp_path, ["good"]), "download": settings})
    assert isinstance(source, YoutubeSource)
    outcome = source.fetch(next(source.records()), Workspace(tmp_path, "fetch"))
    assert isinstance(outcome, Passed)
    assert outcome.records[0].facts["fetched_client"] == "third"
    assert site.clients == [(name, "first"), (name, "second"), (name, "third")]


def test_cookies_are_sent_and_never_told(site: Site, yt_dlp: Path, tmp_path: Path) -> None:
    jar = tmp_path / "my-jar.txt"
    jar.write_text("SID=secret")
    site.answers = {
        video("good"): site.panorama(),
        video("private"): {"error": f"cookies {jar} are no longer valid; this is a Private video"},
    }
    build(config(site, yt_dlp, tmp_path, ["good", "private"], cookies=str(jar)))
    assert set(site.cookies) == {"SID=secret"}
    assert jar.read_text() == "SID=secret"
    (private,) = lines(tmp_path / "set" / "failed.jsonl").values()
    assert private["sentence"] == (
        "yt-dlp says: [youtube] private____: cookies … are no longer valid; this is a Private video"
    )
    written = b"".join(path.read_bytes() for path in (tmp_path / "set").rglob("*") if path.is_file())
    assert b"secret" not in written
    assert b"my-jar" not in written


def test_a_program_that_hangs_is_stopped(site: Site, yt_dlp: Path, tmp_path: Path) -> None:
    site.answers = {video("slow"): {"hang_s": 30}}
    settings = site.download(yt_dlp, call_limit_s=0.7)
    source = load_source("youtube", {"ids": listed(tmp_path, ["slow"]), "download": settings})
    assert isinstance(source, YoutubeSource)
    with pytest.raises(TransientProblem, match=r"stopped after download\.call_limit_s = 0\.7 s") as problem:
        source.fetch(next(source.records()), Workspace(tmp_path, "fetch"))
    assert problem.value.kind == "network"


def test_one_process_pauses_between_requests_and_longer_once_told_to(monkeypatch: pytest.MonkeyPatch) -> None:
    from spatialfoley.dataset.fetching import program
    from spatialfoley.dataset.fetching.settings import FetchSettings

    clock = [100.0]
    monkeypatch.setattr(program.time, "monotonic", lambda: clock[0])
    monkeypatch.setattr(program.time, "sleep", lambda seconds: clock.__setitem__(0, clock[0] + seconds))
    settings = FetchSettings(pause_s=2.0, jitter_s=3.0, rate_pause_s=60.0)

    def moments() -> list[float]:
        pace = program.Pacer()
        clock[0] = 100.0
        found = []
        for name in ("one", "two", "three"):
            pace.wait(settings, name)
            found.append(clock[0])
        pace.slow_down(settings)
        pace.wait(settings, "four")
        return [*found, clock[0]]

    first = moments()
    gaps = [after - before for before, after in pairwise(first)]
    assert first[0] == 100.0
    assert all(2.0 <= gap <= 5.0 for gap in gaps[:2])
    assert gaps[0] != gaps[1]
    assert gaps[2] == 60.0
    assert moments() == first
    assert pacer() is pacer()


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "names no video; give ids or addresses of YouTube"),
        (
            "good_______\n# note\nno id\n",
            "line 3: 'no id' is neither a YouTube id of 11 characters nor an address",
        ),
        ("good_______\n\ngood_______\n", "line 3: good_______ is in line 1 already; take one away"),
    ],
)
def test_a_list_that_cannot_be_read_names_the_line(
    tmp_path: Path, yt_dlp: Path, text: str, sentence: str
) -> None:
    path = tmp_path / "ids.txt"
    path.write_text(text)
    source = load_source("youtube", {"ids": str(path), "download": {"yt_dlp": str(yt_dlp)}})
    with pytest.raises(ValueError, match=sentence):
        list(source.records())


def test_tables_and_lines_of_json_are_lists_too(tmp_path: Path, yt_dlp: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"id": "good_______", "licence": "CC0-1.0"}\n\n{"id": 7}\n')
    (tmp_path / "b.csv").write_text("name\ngood_______\n")
    (tmp_path / "c.xls").write_text("")
    for name, sentence in (
        ("a.jsonl", "line 3: 7 is neither a YouTube id"),
        ("b.csv", "line 1: no column for the video; name one of id, video_id"),
        ("c.xls", r"ends in '\.xls'; it must be one of \.txt, \.csv, \.jsonl"),
        ("d.txt", "does not exist; check its path"),
    ):
        source = load_source("youtube", {"ids": str(tmp_path / name), "download": {"yt_dlp": str(yt_dlp)}})
        with pytest.raises(ValueError, match=sentence):
            list(source.records())


@pytest.mark.parametrize(
    ("download", "sentence"),
    [
        ({"cookies": "nowhere.txt"}, "download.cookies is no file; export the cookies"),
        ({"clients": []}, "download.clients is empty; give at least one"),
        ({"url": "https://example.org"}, r"download.url is 'https://example.org'; it must hold \{id\}"),
        ({"max_height": 240}, "download.min_height is 480 and download.max_height 240"),
        ({"max_gb": 0}, "download.max_gb is 0.0; it must be above 0"),
        ({"pause_s": -1}, "download.pause_s is -1.0; give seconds of at least 0"),
        ({"speed": 1}, "unknown key speed; known keys are yt_dlp, arguments, clients"),
    ],
)
def test_impossible_settings_are_refused(download: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        load_source("youtube", {"ids": "ids.txt", "download": download})


def test_a_program_that_is_not_there_is_told_before_anything_is_done(tmp_path: Path) -> None:
    source = load_source(
        "youtube", {"ids": listed(tmp_path, ["good"]), "download": {"yt_dlp": "no-such-program"}}
    )
    with pytest.raises(ValueError, match=r"download\.yt_dlp is no-such-program, which is no program"):
        list(source.records())
