"""What counts as a noun, and how captions are counted."""

import pytest

from spatialfoley.dataset.captioning.vocabulary import NO_NOUNS, NOUNS_IN_ING, count_vocabulary, nouns
from spatialfoley.dataset.captions import MUSIC_INSTRUMENTS


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Water splashing, likely from a waterfall or stream", ["water", "waterfall", "stream"]),
        ("Birds chirping in a natural outdoor setting", ["bird"]),
        ("a dog's barking and the dogs’ howls", ["dog", "dog", "howl"]),
        ("People talking, children laughing loudly", ["person", "child"]),
        ("buses, cars, churches and ferries", ["bus", "car", "church", "ferry"]),
        ("church-bells ringing in a building", ["church", "bell", "building"]),
        ("glass, bass and footsteps on leaves", ["glass", "bass", "footstep", "leaf"]),
        ("2 men at 3 a.m.", ["man"]),
        ("Türen knallen", ["türen", "knallen"]),
        ("flies around a table, a fish in a dish", ["fly", "table", "fish", "dish"]),
        ("", []),
        ("sounds of various background noises", []),
    ],
)
def test_nouns_by_the_rule(text: str, expected: list[str]) -> None:
    assert nouns(text) == expected


def test_every_instrument_of_music_21_is_a_noun() -> None:
    for instrument in MUSIC_INSTRUMENTS:
        assert nouns(instrument.replace("_", " "))


def test_the_lists_do_not_contradict_each_other() -> None:
    assert {"thing"} == NO_NOUNS & NOUNS_IN_ING
    assert nouns("thing") == []


def test_captions_are_counted_by_clip_and_by_part() -> None:
    labelled = "Visible sound: dog barking, a second dog, Invisible sound: Wind blowing, cars"
    vocabulary = count_vocabulary(
        [
            {"facts": {"caption": labelled}},
            {"facts": {"caption": "Visible sound: none, Invisible sound: wind blowing"}},
            {"facts": {"caption": "acoustic guitar, violin"}},
            {"facts": {"caption_missing": "language"}},
            {"facts": {}},
        ]
    )
    assert (vocabulary.captions, vocabulary.others, vocabulary.clips) == (2, 1, 5)
    assert vocabulary.missing == {"language": 1, "not asked for": 1}
    assert vocabulary.visible == {"dog": 1, "acoustic": 1, "guitar": 1, "violin": 1}
    assert vocabulary.invisible == {"wind": 2, "car": 1}
    assert vocabulary.visible_phrases["dog barking"] == 1
    assert vocabulary.invisible_phrases == {"wind blowing": 2, "cars": 1}
