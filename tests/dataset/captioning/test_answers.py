"""Answers of models: the paper's own first, then all the ways in which models do not keep to a form."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spatialfoley.dataset.captioning.answers import LONGEST_PART, Unusable, parse_structured_caption
from spatialfoley.dataset.captions import BiaudioCaption, parse_biaudio_caption, text_for_use

DOG = BiaudioCaption("a dog barking", "cars passing far away")


def test_the_papers_example() -> None:
    caption = parse_structured_caption(
        "Visible sound: Water splashing, likely from a waterfall or stream, "
        "Invisible sound: Birds chirping in a natural outdoor setting"
    )
    assert isinstance(caption, BiaudioCaption)
    assert caption.visible == "Water splashing, likely from a waterfall or stream"
    assert caption.invisible == "Birds chirping in a natural outdoor setting"
    assert text_for_use(caption.labelled) == (
        "Water splashing, likely from a waterfall or stream, Birds chirping in a natural outdoor setting"
    )


@pytest.mark.parametrize(
    "answer",
    [
        "Visible sound: a dog barking, Invisible sound: cars passing far away",
        "visible sound: a dog barking; INVISIBLE SOUND: cars passing far away.",
        "Invisible sound: cars passing far away. Visible sound: a dog barking.",
        "Visible sound: a dog barking\nInvisible sound: cars passing far away\n",
        "Sure! Here is the caption:\n\nVisible sound: a dog barking, Invisible sound: cars passing far away\n\n"
        "Let me know if you need anything else: I am glad to help.",
        "**Visible sound:** a dog barking\n**Invisible sound:** cars passing far away",
        "- **Visible Sounds**: a dog barking\n- **Invisible Sounds**: cars passing far away",
        '{"Visible sound": "a dog barking", "Invisible sound": "cars passing far away"}',
        '```json\n{\n  "visible_sound": "a dog barking",\n  "invisible_sound": "cars passing far away"\n}\n```',
        '["Visible sound: a dog barking", "Invisible sound: cars passing far away"]',
        '"Visible sound: a dog barking, Invisible sound: cars passing far away"',
        "<think>\nVisible sound: a cat? No: a dog.\n</think>\n"
        "Visible sound: a dog barking, Invisible sound: cars passing far away",
        "Visible sound: a dog barking, Invisible sound: cars passing far away\n"
        "Visible sound: a dog barking, Invisible sound: cars passing far away",
        "Visible sound： a dog barking， Invisible sound： cars passing far away",
        "Visible sound:   a  dog\tbarking ,   In-visible sound: cars passing far away",
        "Visible sound sources: a dog barking\nInvisible sound sources: cars passing far away",
        "“Visible sound”: “a dog barking”, “Invisible sound”: “cars passing far away”",
        "1. Visible sound: a dog barking\n2. Invisible sound: cars passing far away",
    ],
)
def test_what_is_meant_is_taken(answer: str) -> None:
    found = parse_structured_caption(answer)
    assert isinstance(found, BiaudioCaption)
    assert (found.visible, found.invisible) == (DOG.visible, DOG.invisible)


@pytest.mark.parametrize(
    "nothing",
    [
        "None",
        "none.",
        "N/A",
        "nothing",
        "No audible sounds",
        "no invisible sound",
        "There are no other sounds",
        "Silence",
        '"None"',
        "",
        "no sound sources identified",
    ],
)
def test_a_part_may_say_that_there_is_nothing(nothing: str) -> None:
    found = parse_structured_caption(f"Visible sound: a dog barking, Invisible sound: {nothing}")
    assert found == BiaudioCaption("a dog barking", "")
    assert found.labelled == "Visible sound: a dog barking, Invisible sound: none"
    assert text_for_use(found.labelled) == "a dog barking"
    assert parse_biaudio_caption(found.labelled) == found
    turned = parse_structured_caption(f"Visible sound: {nothing}, Invisible sound: a dog barking")
    assert turned == BiaudioCaption("", "a dog barking")


@pytest.mark.parametrize(
    "sound",
    ["no-entry alarm beeping", "a silent film projector", "nothing but rain", "noises of a crowd", "nonet"],
)
def test_words_that_only_begin_like_nothing_are_kept(sound: str) -> None:
    assert parse_structured_caption(f"Visible sound: {sound}, Invisible sound: none") == BiaudioCaption(
        sound, ""
    )


def test_lists_are_joined() -> None:
    answer = (
        "Visible sound:\n- a dog barking\n- its paws (on gravel)\n\nInvisible sound:\n1. cars\n2. wind\nDone."
    )
    assert parse_structured_caption(answer) == BiaudioCaption(
        "a dog barking, its paws (on gravel)", "cars, wind"
    )


@pytest.mark.parametrize(
    ("answer", "reason", "sentence"),
    [
        ("", "empty", "answered nothing"),
        (" \n```\n```\n", "empty", "answered nothing"),
        ("<think>Visible sound: a dog, Invisible sound: cars", "empty", "answered nothing"),
        (
            "A dog barks in the street while cars pass.",
            "no_labels",
            "'A dog barks in the street while cars pass.'",
        ),
        ("Visible sound: a dog barking", "missing_part", "has no invisible sound"),
        ("Invisible sound: cars passing", "missing_part", "has no visible sound"),
        ("Visible sound: None, Invisible sound: None", "no_sound", "nothing to hear"),
        ("Visible sound: , Invisible sound: ", "no_sound", "nothing to hear"),
        (
            "Visible sound: a dog, Invisible sound: cars\nVisible sound: a cat, Invisible sound: cars",
            "contradicting",
            "names the visible sound more than once, differently",
        ),
        ("Visible sound: 狗叫声, Invisible sound: 汽车驶过", "language", "not in English: '狗叫声汽车驶过'"),
        ("可见声音：狗叫声，不可见声音：汽车", "no_labels", "neither part"),
        (
            f"Visible sound: {'a ' * 200}dog, Invisible sound: cars",
            "long",
            "has 403 characters; 300 are allowed",
        ),
        ("Visible sound: 1234, Invisible sound: 5678", "language", "not in English"),
    ],
)
def test_what_is_no_caption_has_a_reason(answer: str, reason: str, sentence: str) -> None:
    found = parse_structured_caption(answer)
    assert isinstance(found, Unusable)
    assert found.reason == reason
    assert sentence in found.sentence


_WORDS = st.lists(st.sampled_from(["bell", "rain", "a dog", "barking", "far away"]), min_size=1).map(" ".join)


@given(
    _WORDS.filter(lambda text: len(text) <= LONGEST_PART),
    _WORDS.filter(lambda text: len(text) <= LONGEST_PART),
)
def test_every_caption_is_read_as_it_was_written(visible: str, invisible: str) -> None:
    caption = BiaudioCaption(visible, invisible)
    assert parse_structured_caption(caption.labelled) == caption
    assert parse_biaudio_caption(caption.labelled) == caption


@given(st.text(max_size=200))
def test_no_answer_stops_the_build(answer: str) -> None:
    found = parse_structured_caption(answer)
    assert isinstance(found, BiaudioCaption | Unusable)
    if isinstance(found, BiaudioCaption):
        assert found.plain
