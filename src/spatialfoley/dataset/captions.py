"""Captions as ViSAudio's two training sets have them.

MUSIC-21 has none: the paper reads the instruments off the names of its files. BiAudio labels what is seen and what
is only heard; the labels are kept in training and dropped when sound is made.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

MUSIC_INSTRUMENTS = (
    "accordion",
    "acoustic_guitar",
    "bagpipe",
    "banjo",
    "bassoon",
    "cello",
    "clarinet",
    "congas",
    "drum",
    "electric_bass",
    "erhu",
    "flute",
    "guzheng",
    "piano",
    "pipa",
    "saxophone",
    "trumpet",
    "tuba",
    "ukulele",
    "violin",
    "xylophone",
)
"""The categories of MUSIC-21, spelled as in its lists of videos."""

_MUSIC_NAME = re.compile(r"(?:(?:solo|duet)_)?(?P<instruments>.+)_(?P<video>[\w-]{11})", re.ASCII)
_LABELS = re.compile(
    r"\s*visible sound:\s*(?P<visible>.*?)[\s,;.]*\binvisible sound:\s*(?P<invisible>.*?)\s*",
    re.IGNORECASE | re.DOTALL,
)
_NOTHING = re.compile(
    r"(?:none|nothing|n/?a|nil|null|silen(?:ce|t)|not applicable"
    r"|(?:there (?:is|are) )?(?:none|nothing|no)(?: (?:other|visible|invisible|off-?screen|on-?screen|background))?"
    r"(?: (?:audible|detectable|noticeable|distinct|discernible|identified|identifiable|clear))?"
    r"(?: (?:visible|invisible))?"
    r"(?: sounds?(?: sources?)?| noises?| sources?| audio)?"
    r"(?: (?:is|are|can be|was|were))?(?: (?:audible|heard|detected|present|identified|mentioned|described))?"
    r"(?: in the (?:clip|video|scene|audio|background))?)",
    re.IGNORECASE,
)

NOTHING_HEARD = "none"
"""How a labelled caption says that a part is empty."""


@dataclass(frozen=True)
class BiaudioCaption:
    """What is heard of things in view, and of the rest; empty where there is nothing."""

    visible: str
    invisible: str

    @property
    def labelled(self) -> str:
        """The caption that training reads."""
        visible, invisible = self.visible or NOTHING_HEARD, self.invisible or NOTHING_HEARD
        return f"Visible sound: {visible}, Invisible sound: {invisible}"

    @property
    def plain(self) -> str:
        """The caption that sound is made from: without its labels."""
        return ", ".join(part for part in (self.visible, self.invisible) if part)


def music_caption(name: str | Path) -> str:
    """Caption of a MUSIC-21 file: "duet_acoustic_guitar_violin_WeeRb3LMb8E.mp4" gives "acoustic guitar, violin".

    The name is [solo_ or duet_]INSTRUMENTS_ID.ending. The id is YouTube's: always 11 characters, of which any may
    be "_", so it is counted from the end and not searched for.

    Args:
        name: Name or path of the file, with or without its ending.

    Raises:
        ValueError: The name is of another form, or names something that is none of `MUSIC_INSTRUMENTS`.
    """
    file_name = Path(name).name
    # An id may not hold a dot, so everything after the first one is the ending.
    match = _MUSIC_NAME.fullmatch(file_name.split(".")[0])
    if match is None:
        raise ValueError(
            f"{file_name!r} is no name of MUSIC-21; it must be INSTRUMENTS_ID with a YouTube id of 11 characters, "
            "such as solo_cello_XYbxjA3TxvI.mp4"
        )
    words, found = match["instruments"].split("_"), []
    while words:
        count = next((n for n in (2, 1) if "_".join(words[:n]) in MUSIC_INSTRUMENTS), 0)
        if count == 0:
            raise ValueError(
                f"{file_name!r} names {'_'.join(words)!r}, which starts with no instrument of MUSIC-21 "
                f"({', '.join(MUSIC_INSTRUMENTS)}); give the clip a text of its own"
            )
        found.append(" ".join(words[:count]))
        words = words[count:]
    return ", ".join(found)


def parse_biaudio_caption(caption: str) -> BiaudioCaption | None:
    """The two parts of "Visible sound: ..., Invisible sound: ..."; None for a caption without these labels.

    A part that says that there is nothing ("None") is empty.
    """
    match = _LABELS.fullmatch(caption)
    if match is None:
        return None
    return BiaudioCaption(
        *("" if is_nothing(match[part]) else match[part] for part in ("visible", "invisible"))
    )


def is_nothing(part: str) -> bool:
    """Whether a part of a caption says that there is nothing to hear: "None", "no audible sounds", or no word."""
    return not part.strip() or _NOTHING.fullmatch(part.strip(" .,;:!\"'()-")) is not None


def text_for_use(caption: str) -> str:
    """The text to make sound from: labels of BiAudio dropped, any other caption as it is."""
    parts = parse_biaudio_caption(caption)
    return caption if parts is None else parts.plain
