"""What the two models are asked. The published prompts are not known; these are ours.

`CAPTION_VERSION` is that of both stages: it goes up with every change of a prompt, of how the models are asked or
of how their answers are read, so that captions are written anew.
"""

from __future__ import annotations

from typing import Final

CAPTION_VERSION: Final = 1

DESCRIBE_SYSTEM: Final = (
    "You are a sound recordist. You watch a short clip, listen to it closely, and report which sounds there are "
    "and what makes them. You report only what you can hear."
)

DESCRIBE: Final = (
    "This clip shows part of a place; sounds also come from outside the picture.\n"
    "First tell which sounds come from things that can be seen in the picture, and what each of these things does "
    "while it sounds.\n"
    "Then tell which sounds come from things that cannot be seen: behind or beside the camera, far away, or the "
    "background of the whole place.\n"
    "If the picture shows something that makes no sound, leave it out. If you are not sure what makes a sound, "
    "say what it sounds like. Do not mention loudness, feelings or quality. Answer in English, in at most four "
    "sentences."
)

DISTIL_SYSTEM: Final = (
    "You turn reports of what is heard in a video clip into captions of one fixed form. You add nothing that the "
    "report does not say."
)

DISTIL: Final = (
    "Write one line of exactly this form:\n"
    "Visible sound: WHAT, Invisible sound: WHAT\n"
    "The first WHAT names the sounds whose source is in the picture, the second all others: sources outside the "
    "picture and background noise. Each is a short phrase of at most fifteen words that names source and action, "
    "with commas between several. Write none where there is no such sound. Write nothing else.\n\n"
    "Report: The main sound is a tram that rolls past in front of the camera, its wheels squealing in the curve. "
    "People can be heard talking behind the camera, and there may be music from a shop.\n"
    "Visible sound: tram rolling past with squealing wheels, Invisible sound: people talking, distant music\n\n"
    "Report: There is only the sound of wind in the background. The picture shows an empty field and a parked car, "
    "which makes no sound.\n"
    "Visible sound: none, Invisible sound: wind blowing\n\n"
    "Report: {description}"
)

DISTIL_AGAIN: Final = (
    "That line cannot be used: {reason}. Write the caption of the same report again, one line of exactly the form "
    "'Visible sound: WHAT, Invisible sound: WHAT', in English, and nothing else."
)


def distil_question(description: str) -> str:
    """The question that the second model gets for a description."""
    return DISTIL.format(description=" ".join(description.split()))


def distil_again(reason: str) -> str:
    """What the second model is told about an answer that could not be used."""
    return DISTIL_AGAIN.format(reason=reason)
