"""The words of a set's captions, seen and not seen, for the vocabulary figure of BiAudio (Fig. R2).

What counts as a noun is decided by a rule, not by grammar: words of a list, and words that end like verbs, adverbs
or adjectives, are left out; plurals are made singular by their ending. It is right for most words and wrong for
some ("running water" gives "water"; "building" is kept because a list says so), and the same for every set.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from spatialfoley.dataset.captions import parse_biaudio_caption

_WORD = re.compile(r"[^\W\d_]+(?:-[^\W\d_]+)*")
_POSSESSIVE = re.compile(r"['’]s\b")

_NO_NOUNS_TEXT = """
a about above across after again against ahead all almost alone along already also always ambience ambient
amid among an and another any apart are area around as aside at audible away back background backward be
been before behind being below beneath beside best better between beyond big both bright busy but by calm
camera can cannot clearly close come comes coming constant constantly continual continuous could dark deep
did different distance distant do does done down during each eight either electric electronic else
environment environmental etc even every faint far female few first five for foreground forward four from
front full general gentle gentler go goes got great had half has have hear heard heavy her here high his how
however human i if in including indistinct indoor inside intermittent into invisible is it its itself just
keep keeps kind large left less light like likely little live long lot loud louder loudest loudly low made
make makes male many may maybe me mechanical medium metallic microphone might mild mixed more most mostly
moving much muffled multiple my natural near nearby never new next nine no noise noises none nor not nothing
now occasional of off often old on one only onto open or other others otherwise our out outdoor outside over
part perhaps plus possible possibly potential presence present probably quick quiet quite rather regular
repeated rhythmic right same scene second see seem seems seen seven several sharp she short side similar
since six slight slow small smooth so soft softer some someone something sometimes sound sounds soundscape
source sources steady still strong subtle such sudden ten than that the their them then there these they
thing things third this those though three through throughout to together too top toward towards two type
typical unclear under unknown unseen until up upon urban us using usual various very via view visible was
way we well were what when where which while who whole whose will with within without wooden would yet you
young your
"""
NO_NOUNS: Final = frozenset(_NO_NOUNS_TEXT.split())
"""Words that are no nouns, or that say nothing in a caption of sound ("sound", "noise", "background")."""

_NOUNS_IN_ING_TEXT = """
building ceiling clothing crossing ding earring evening king lightning morning offspring painting ping
railing ring spring string swing thing wedding wing
"""
NOUNS_IN_ING: Final = frozenset(_NOUNS_IN_ING_TEXT.split())
_NOUNS_IN_ED_TEXT = """
bed bleed breed feed reed seed shed sled steed weed
"""
NOUNS_IN_ED: Final = frozenset(_NOUNS_IN_ED_TEXT.split())
_VERB_ENDINGS = ("ing", "ed")
_OTHER_ENDINGS = ("ly", "ful", "ous", "ish", "less", "able", "ible", "ive")
_NOUNS_ANYHOW_TEXT = """
assembly belly butterfly cable dish family fish fly olive table trolley vegetable
"""
_NOUNS_ANYHOW = frozenset(_NOUNS_ANYHOW_TEXT.split())
_PLURAL_KEPT = ("ss", "us", "is")
_IRREGULAR = {
    "people": "person", "men": "man", "women": "woman", "children": "child", "feet": "foot", "geese": "goose",
    "leaves": "leaf", "knives": "knife", "mice": "mouse", "teeth": "tooth", "wolves": "wolf", "calves": "calf",
    "buses": "bus", "news": "news", "bass": "bass", "bagpipes": "bagpipe", "hooves": "hoof", "series": "series",
}  # fmt: skip


def nouns(text: str) -> list[str]:
    """The nouns of a text in their order, singular and in small letters, by the rule above."""
    words = _WORD.findall(_POSSESSIVE.sub("", text.lower()))
    pieces = (piece for word in words for piece in word.split("-"))
    return [_singular(word) for word in pieces if _may_be_noun(word)]


def _may_be_noun(word: str) -> bool:
    if len(word) < 3 or word in NO_NOUNS:
        return False
    if word in NOUNS_IN_ING or word in NOUNS_IN_ED or _singular(word) in _NOUNS_ANYHOW:
        return True
    return not word.endswith((*_VERB_ENDINGS, *_OTHER_ENDINGS))


def _singular(word: str) -> str:
    if word in _IRREGULAR:
        return _IRREGULAR[word]
    if len(word) < 4 or word.endswith(_PLURAL_KEPT) or not word.endswith("s"):
        return word
    if word.endswith("ies") and len(word) > 4:
        return word[:-3] + "y"
    if word.endswith(("ches", "shes", "sses", "xes", "zzes")):
        return word[:-2]
    return word[:-1]


@dataclass
class Vocabulary:
    """What the captions of a set say.

    Attributes:
        captions: Captions with both parts named.
        others: Captions of another form, such as MUSIC-21's; their words count as visible: all they name is seen.
        missing: Clips without a caption by the reason.
        visible: Nouns of things in view, with the number of captions that name them.
        invisible: Of the rest.
        visible_phrases: What stands between commas, likewise.
        invisible_phrases: Of the rest.
    """

    captions: int = 0
    others: int = 0
    missing: Counter[str] = field(default_factory=Counter)
    visible: Counter[str] = field(default_factory=Counter)
    invisible: Counter[str] = field(default_factory=Counter)
    visible_phrases: Counter[str] = field(default_factory=Counter)
    invisible_phrases: Counter[str] = field(default_factory=Counter)

    @property
    def clips(self) -> int:
        """Clips that were counted."""
        return self.captions + self.others + sum(self.missing.values())

    def add(self, facts: Mapping[str, Any]) -> None:
        """Count a clip."""
        caption = facts.get("caption")
        if not caption:
            self.missing[str(facts.get("caption_missing", "not asked for"))] += 1
            return
        parts = parse_biaudio_caption(caption)
        if parts is None:
            self.others += 1
            _count(caption, self.visible, self.visible_phrases)
            return
        self.captions += 1
        _count(parts.visible, self.visible, self.visible_phrases)
        _count(parts.invisible, self.invisible, self.invisible_phrases)


def count_vocabulary(clips: Iterable[Mapping[str, Any]]) -> Vocabulary:
    """The vocabulary of the clips of a manifest."""
    vocabulary = Vocabulary()
    for clip in clips:
        vocabulary.add(clip["facts"])
    return vocabulary


def _count(part: str, words: Counter[str], phrases: Counter[str]) -> None:
    # A caption that names a thing twice counts once, as a clip that has it.
    words.update(set(nouns(part)))
    phrases.update(
        {phrase for piece in part.split(",") if (phrase := " ".join(piece.lower().split()).strip(" ."))}
    )
