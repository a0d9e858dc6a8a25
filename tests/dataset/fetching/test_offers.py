"""What is taken of what a site offers, and the proof that it is what is wanted."""

from typing import Any

import pytest

from spatialfoley.dataset.factory.stage import Rejected
from spatialfoley.dataset.fetching.offers import Choice, choose, offers_of
from spatialfoley.dataset.fetching.settings import FetchSettings

SETTINGS = FetchSettings(min_height=480, max_height=1440)


def picture(name: str, width: int, height: int, note: str = "equi", **more: Any) -> dict[str, Any]:
    size = {"width": width, "height": height}
    return {"format_id": name, "acodec": "none", "vcodec": "vp9", "format_note": note, **size, **more}


def sound(name: str, channels: int | None, note: str = "", **more: Any) -> dict[str, Any]:
    said = {"audio_channels": channels, "format_note": note}
    return {"format_id": name, "acodec": "opus", "vcodec": "none", **said, **more}


def chosen(*formats: dict[str, Any], wanted: Any = "field") -> tuple[str, str | None]:
    choice = choose({"formats": list(formats)}, wanted, SETTINGS)
    assert isinstance(choice, Choice), choice
    return choice.picture.id, choice.sound.id if choice.sound else None


def refused(*formats: dict[str, Any], wanted: Any = "field") -> str:
    outcome = choose({"formats": list(formats)}, wanted, SETTINGS)
    assert isinstance(outcome, Rejected)
    return outcome.sentence


PANORAMA, FIELD = picture("p", 1920, 960), sound("f", 4, "ambisonic_quad")


def test_the_greatest_picture_within_reach_is_taken() -> None:
    pictures = [picture("low", 960, 480), picture("mid", 2560, 1280), picture("high", 3840, 1920)]
    assert chosen(*pictures, FIELD) == ("mid", "f")


def test_of_equal_pictures_the_plainest_and_smallest_is_taken() -> None:
    parts = picture("parts", 1920, 960, protocol="http_dash_segments", filesize=1)
    playlist = picture("list", 1920, 960, protocol="m3u8_native", filesize=1)
    assert chosen(parts, playlist, picture("b", 1920, 960, filesize=9), FIELD)[0] == "b"
    assert chosen(picture("b", 1920, 960, filesize=9), picture("s", 1920, 960, filesize=7), FIELD)[0] == "s"
    assert chosen(playlist, parts, FIELD)[0] == "parts"


def test_cube_maps_and_other_shapes_are_no_panoramas() -> None:
    assert "no equirectangular picture" in refused(picture("m", 1920, 960, "1080s, mesh"), FIELD)
    assert "no equirectangular picture" in refused(picture("tb", 1440, 1440), FIELD)
    # 16:9 without a word may be flat; a picture twice as wide as high that says nothing may be right.
    assert "no equirectangular picture" in refused(picture("w", 1920, 1080, "1080p"), FIELD)
    assert chosen(picture("u", 1920, 960, "960p"), FIELD)[0] == "u"
    said = choose({"formats": [picture("u", 2560, 1280, ""), PANORAMA, FIELD]}, "field", SETTINGS)
    assert isinstance(said, Choice)
    assert (said.picture.id, said.picture.projection) == ("p", "equirectangular")


def test_four_channels_are_a_field_and_six_when_it_is_said() -> None:
    assert chosen(PANORAMA, sound("four", 4))[1] == "four"
    assert chosen(PANORAMA, sound("quad", 4, tbr=900), FIELD)[1] == "f"
    assert chosen(PANORAMA, sound("locked", 6, "ambisonic_6"))[1] == "locked"
    for wrong in (sound("surround", 6), sound("stereo", 2, "ambisonic"), sound("unknown", None)):
        assert "no sound of four channels" in refused(PANORAMA, wrong)
    assert refused() == "it has no sound of four channels; offered are nothing"


def test_protected_formats_and_storyboards_are_not_offered() -> None:
    formats = [{**FIELD, "has_drm": True}, {"format_id": "sb", "ext": "mhtml"}, PANORAMA]
    assert [one.id for one in offers_of({"formats": formats})] == ["p"]
    assert offers_of({}) == []


def test_a_view_takes_ordinary_sound_or_that_inside() -> None:
    wide = picture("w", 854, 480, "480p")
    assert chosen(wide, sound("low", 2, tbr=50), sound("good", 2, tbr=130), FIELD, wanted="view") == (
        "w",
        "good",
    )
    both = {**picture("both", 640, 480), "acodec": "aac", "audio_channels": 2}
    assert chosen(both, wanted="view") == ("both", None)
    assert refused(wide, wanted="view").startswith("it has no picture that comes with the sound")
    assert refused(picture("tiny", 256, 144), wanted="view").startswith(
        "it has no picture of 480 to 1440 lines"
    )


def test_what_is_too_large_is_left_with_its_size() -> None:
    outcome = choose({"formats": [{**PANORAMA, "filesize": 5 * 10**9}, FIELD]}, "field", SETTINGS)
    assert isinstance(outcome, Rejected)
    assert (outcome.reason, outcome.numbers) == ("size", {"gigabytes": 5.0, "max_gb": 4.0})


def test_a_long_list_of_offers_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    assert refused(*(sound(str(number), 2) for number in range(20))).endswith("; and 8 more")
