"""Labels by installed taggers: the world's own classifier as a plug-in, and plug-ins that break the agreement."""

import importlib
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from spatialfoley.dataset.factory.measures import labels_of
from spatialfoley.dataset.factory.records import Record
from spatialfoley.dataset.factory.stage import ItemProblem, Outcome, Passed, Workspace, load_stage
from spatialfoley.dataset.stages.tag import Tag
from spatialfoley.dataset.tagging.taggers import find_tagger
from spatialfoley.media.audio import write_audio
from spatialfoley.media.mux import write_frames
from spatialfoley.spatial.signal import SpatialAudio
from spatialfoley.world import CLASSES, make_scene, render_foa, render_view

MODULE = """
import numpy as np

from spatialfoley.evaluation.networks.loading import load_listener
from spatialfoley.world import CLASSES


class World:
    label_set, labels = "world", CLASSES

    def __init__(self):
        self.listener = load_listener("world")
        self.weights_sha256 = self.listener.weights_sha256

    def tag_sound(self, mono, rate_hz):
        return self.listener.hear(mono[None], rate_hz).logits[0]


class Colours:
    label_set, labels, weights_sha256 = "colours", ("red", "green", "blue"), "0" * 64
    seen = []

    def tag_frames(self, frames, frame_rate_hz):
        self.seen.append((frames.shape, str(frames.dtype), frame_rate_hz))
        return frames.mean(axis=(0, 1, 2))


class Both(Colours, World):
    def __init__(self):
        pass


class Deaf:
    label_set, labels, weights_sha256 = "deaf", ("a",), "0" * 64


class Twice(Colours):
    labels = ("red", "red", "blue")


class Short(Colours):
    labels = ("red", "green")


class NotANumber(Colours):
    def tag_frames(self, frames, frame_rate_hz):
        return np.array([1.0, np.nan, 0.0])


def offered(kind):
    def load(device):
        return kind()

    load.licence = "MIT"
    return load


world, colours, both, deaf, twice, short, not_a_number = map(
    offered, (World, Colours, Both, Deaf, Twice, Short, NotANumber)
)
"""
POINTS = ("world", "colours", "both", "deaf", "twice", "short", "not_a_number")


@pytest.fixture
def plugins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What an installer writes for a package with taggers."""
    site = tmp_path / "site"
    about = site / "tiny_taggers-0.1.dist-info"
    about.mkdir(parents=True)
    (site / "tiny_taggers.py").write_text(MODULE)
    (about / "METADATA").write_text("Metadata-Version: 2.4\nName: tiny-taggers\nVersion: 0.1\n")
    points = "\n".join(f"{name} = tiny_taggers:{name}" for name in POINTS)
    (about / "entry_points.txt").write_text(f"[spatialfoley.tagger]\n{points}\n")
    monkeypatch.syspath_prepend(str(site))
    importlib.invalidate_caches()
    find_tagger.cache_clear()
    yield
    find_tagger.cache_clear()
    sys.modules.pop("tiny_taggers", None)


@pytest.fixture(scope="module")
def space(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    return Workspace(tmp_path_factory.mktemp("build"), "00-clips")


def _clip(space: Workspace, seed: int) -> tuple[Record, str]:
    """Three seconds of a source in view, and its class."""
    scene = make_scene(seed, kind="centred", camera="static", duration_s=3.0)
    record = Record(f"a-{seed:08d}", "a", facts={"duration_s": 3.0})
    with space.new_file(record.id, "view", ".mp4") as view:
        write_frames(view.path, iter(render_view(scene, [step / 4 for step in range(12)], 32)), rate_hz=4)
    with space.new_file(record.id, "foa", ".wav") as foa:
        write_audio(foa.path, SpatialAudio(render_foa(scene, 16000), 16000, "foa"))
    return record.with_(files={"view": view.ref, "foa": foa.ref}), scene.sources[0].class_name


def _facts(outcome: Outcome) -> dict[str, object]:
    assert isinstance(outcome, Passed)
    (record,) = outcome.records
    return dict(record.facts)


@pytest.mark.usefixtures("plugins")
def test_the_worlds_classifier_labels_its_sounds(space: Workspace) -> None:
    right = 0
    for seed in range(6):
        clip, name = _clip(space, seed)
        facts = _facts(Tag("world").run(clip, space))
        (label,) = facts["labels"]["world"]  # type: ignore[index]
        assert label in CLASSES
        right += label == name
    assert right >= 5
    by = facts["labels_by"]["world"]  # type: ignore[index]
    assert (by["tagger"], by["licence"], by["of"], len(by["weights_sha256"])) == ("world", "MIT", 9, 64)


@pytest.mark.usefixtures("plugins")
def test_a_second_list_of_labels_is_added_and_pictures_are_shown_as_asked(space: Workspace) -> None:
    clip, _ = _clip(space, 0)
    first = clip.with_(facts={"labels": {"audioset": ["Bell"]}, "labels_by": {"audioset": {"tagger": "x"}}})
    facts = _facts(Tag("colours", frame_rate_hz=2.0).run(first, space))
    assert facts["labels"]["audioset"] == ["Bell"]  # type: ignore[index]
    assert facts["labels"]["colours"][0] in ("red", "green", "blue")  # type: ignore[index]
    assert set(facts["labels_by"]) == {"audioset", "colours"}  # type: ignore[call-overload]
    # The statistics of a set find both lists.
    assert labels_of(facts)["audioset"] == {"Bell"}
    assert set(labels_of(facts)) == {"audioset", "colours"}
    assert sys.modules["tiny_taggers"].Colours.seen[-1] == ((6, 32, 32, 3), "uint8", 2.0)


@pytest.mark.usefixtures("plugins")
@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("other", "tagger is 'other'; installed plug-ins are both, colours, deaf, "),
        ("both", "tagger 'both' has 2 of tag_sound and tag_frames; it must have one of them"),
        ("deaf", "tagger 'deaf' has 0 of tag_sound and tag_frames"),
        ("twice", "tagger 'twice' has no labels, or one of them twice"),
    ],
)
def test_taggers_that_cannot_be_used_say_why(space: Workspace, name: str, message: str) -> None:
    clip, _ = _clip(space, 0)
    with pytest.raises(ItemProblem, match=re.escape(message)):
        Tag(name).run(clip, space)


@pytest.mark.usefixtures("plugins")
@pytest.mark.parametrize("name", ["short", "not_a_number"])
def test_scores_that_do_not_fit_the_labels_are_refused(space: Workspace, name: str) -> None:
    clip, _ = _clip(space, 0)
    with pytest.raises(
        ValueError, match=r"gave scores of shape \(3,\) for \d labels; it must give one finite number"
    ):
        Tag(name).run(clip, space)


def test_without_a_plugin_one_sentence_says_what_to_install(space: Workspace) -> None:
    find_tagger.cache_clear()
    with pytest.raises(
        ItemProblem, match="tagger 'passt' needs a plug-in, and none is installed; install a package"
    ):
        Tag("passt").run(Record("a", "a"), space)
    with pytest.raises(ValueError, match="frame_rate_hz is 0; give a number above 0"):
        load_stage("tag", {"tagger": "passt", "frame_rate_hz": 0})
