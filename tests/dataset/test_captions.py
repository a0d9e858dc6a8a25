"""Captions from names of files and with labels: the paper's example first, then names made to mislead."""

import pytest

from spatialfoley.dataset.captions import (
    MUSIC_INSTRUMENTS,
    BiaudioCaption,
    music_caption,
    parse_biaudio_caption,
    text_for_use,
)

PAPER_CAPTION = (
    "Visible sound: Water splashing, likely from a waterfall or stream, "
    "Invisible sound: Birds chirping in a natural outdoor setting"
)


@pytest.mark.parametrize(
    ("name", "caption"),
    [
        ("duet_acoustic_guitar_violin_WeeRb3LMb8E.mp4", "acoustic guitar, violin"),  # the paper's example
        ("duet_flute_violin_8DHG_hVSw1o.mp4", "flute, violin"),  # "_" inside the id
        ("duet_flute_violin__9aFrft67Zw.mp4", "flute, violin"),  # "_" first in the id
        ("duet_saxophone_acoustic_guitar_-HLTNgdajqw.wav", "saxophone, acoustic guitar"),
        ("duet_cello_acoustic_guitar_--IXKwloYLE.mp4", "cello, acoustic guitar"),
        ("solo_ukulele__49-JJzSxTw.mp4", "ukulele"),
        ("solo_drum_rLdMPO_drum.mp4", "drum"),  # the id ends like an instrument
        ("solo_erhu_a_cello_b__.mp4", "erhu"),  # an instrument inside the id, "_" at its end
        ("solo_electric_bass_abcdefghijk", "electric bass"),
        ("violin_abcdefghijk.mp4", "violin"),  # MUSIC-21's solos also come without the word
        ("folder_a/solo_tuba_abcdefghijk.foa.wav", "tuba"),
    ],
)
def test_instruments_are_read_off_the_name(name: str, caption: str) -> None:
    assert music_caption(name) == caption


def test_every_instrument_is_known_alone_and_beside_every_other() -> None:
    assert len(MUSIC_INSTRUMENTS) == len(set(MUSIC_INSTRUMENTS)) == 21
    for first in MUSIC_INSTRUMENTS:
        assert music_caption(f"solo_{first}_ab_defghi_k.mp4") == first.replace("_", " ")
        for second in MUSIC_INSTRUMENTS:
            expected = f"{first}, {second}".replace("_", " ")
            assert music_caption(f"duet_{first}_{second}__bcdefghij_.mp4") == expected


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("holiday.mp4", r"'holiday.mp4' is no name of MUSIC-21; it must be INSTRUMENTS_ID"),
        ("solo_WeeRb3LMb8E.mp4", r"names 'solo'"),
        ("solo_harp_WeeRb3LMb8E.mp4", r"names 'harp', which starts with no instrument of MUSIC-21"),
        ("duet_violin_harp_WeeRb3LMb8E.mp4", r"names 'harp'"),
        ("solo_acoustic_WeeRb3LMb8E.mp4", r"names 'acoustic'"),
        ("solo_cello_short.mp4", "is no name of MUSIC-21|names"),
    ],
)
def test_other_names_are_refused(name: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        music_caption(name)


def test_labels_are_kept_in_training_and_dropped_in_use() -> None:
    caption = parse_biaudio_caption(PAPER_CAPTION)
    assert caption == BiaudioCaption(
        "Water splashing, likely from a waterfall or stream", "Birds chirping in a natural outdoor setting"
    )
    assert caption.labelled == PAPER_CAPTION
    assert text_for_use(PAPER_CAPTION) == (
        "Water splashing, likely from a waterfall or stream, Birds chirping in a natural outdoor setting"
    )


@pytest.mark.parametrize(
    ("caption", "text"),
    [
        ("visible sound: a dog, invisible sound: wind", "a dog, wind"),
        ("Visible sound: a dog; Invisible sound: ", "a dog"),
        ("Visible sound: , Invisible sound: wind", "wind"),
        ("a dog barks", "a dog barks"),
        ("", ""),
        ("Invisible sound: wind", "Invisible sound: wind"),
    ],
)
def test_texts_for_use(caption: str, text: str) -> None:
    assert text_for_use(caption) == text
