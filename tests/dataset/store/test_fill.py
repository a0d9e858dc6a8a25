"""The store under trouble: kills, other content, other weights, sets that grow, clips that cannot be encoded."""

import json
import multiprocessing
import os
import pickle
import random
import signal
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from spatialfoley.dataset.factory.reader import BuiltSet
from spatialfoley.dataset.factory.records import Record
from spatialfoley.dataset.factory.takedown_files import clear_files
from spatialfoley.dataset.store.check import check_features
from spatialfoley.dataset.store.clip_files import ClipFiles
from spatialfoley.dataset.store.encoders import ENCODERS, Identity, identify, identify_all
from spatialfoley.dataset.store.fill import add_features, encoder_folder
from spatialfoley.dataset.store.layouts import CodesLayout
from spatialfoley.dataset.store.packs import all_packs, arrays_sha256, clips_per_pack, read_head
from spatialfoley.dataset.store.reader import StoredFeatures
from spatialfoley.dataset.store.settings import FeatureSettings
from tests.model_folders import write_tiny_model

from .sets import CLIP_S, RATE_HZ, small_set, write_clip, write_set


class Levels:
    """A plain encoder of fields: the level of every frame, slowly where that is wanted."""

    layout = CodesLayout(RATE_HZ, 320, 4, 1)

    def __init__(self, pause_s: float = 0.0) -> None:
        self.pause_s, self.seen = pause_s, 0

    def __call__(self, clip: ClipFiles) -> dict[str, Tensor]:
        time.sleep(self.pause_s)
        self.seen += 1
        # In numpy: torch's threads do not outlive the fork of the test that kills.
        levels = np.abs(clip.sound("foa", RATE_HZ).reshape(4, -1, 320)).max(axis=-1)
        codes = torch.from_numpy((1000 * levels.T[None]).astype(np.int16))
        return {"codes": codes, "direction": torch.zeros(1, 3)}


@pytest.fixture
def identity() -> Identity:
    return identify("tiny-codes", FeatureSettings())


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two clips share a pack."""
    monkeypatch.setattr("spatialfoley.dataset.store.packs.MOST_CLIPS", 2)


def content(root: Path, identity: Identity) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in all_packs(encoder_folder(root, identity))}


@pytest.mark.usefixtures("few")
def test_a_run_that_is_killed_at_any_moment_goes_on(tmp_path: Path, identity: Identity) -> None:
    (tmp_path / "set").mkdir()
    clips = [write_clip(tmp_path / "set", "a", start * CLIP_S) for start in range(7)]
    write_set(tmp_path / "set", {0: clips[:5], 1: clips[5:]})
    add_features(tmp_path / "set", identity, Levels())
    undisturbed = content(tmp_path / "set", identity)
    assert len(undisturbed) == 4
    for path in all_packs(encoder_folder(tmp_path / "set", identity)):
        path.unlink()
    draw, kills, context = random.Random(3), 0, multiprocessing.get_context("fork")
    while kills < 12:
        arguments = (tmp_path / "set", identity, Levels(0.02))
        process = context.Process(target=add_features, args=arguments)
        process.start()
        process.join(draw.uniform(0.01, 0.15))
        if process.exitcode is not None:
            break
        assert process.pid is not None
        os.kill(process.pid, signal.SIGKILL)
        process.join()
        kills += 1
    done = add_features(tmp_path / "set", identity, Levels())
    assert kills >= 2
    assert done.made + done.kept == 7
    assert content(tmp_path / "set", identity) == undisturbed
    assert not list(encoder_folder(tmp_path / "set", identity).glob(".*.partial*"))


@pytest.mark.usefixtures("few")
def test_only_what_has_changed_is_made_again(tmp_path: Path, identity: Identity) -> None:
    root = tmp_path / "set"
    root.mkdir()
    clips = [write_clip(root, "a", start * CLIP_S) for start in (0, 2, 4, 6)]
    write_set(root, {0: clips})
    add_features(root, identity, Levels())
    before = {clip.id: StoredFeatures(root, "tiny-codes").of(clip) for clip in BuiltSet(root).stream()}
    # A new clip in the middle moves the others, the last of them into a pack of its own.
    inserted = write_clip(root, "a", CLIP_S)
    write_set(root, {0: [clips[0], inserted, *clips[1:]]})
    stored = StoredFeatures(root, "tiny-codes")
    with pytest.raises(
        ValueError, match=f"no features of clip {inserted.id}; run 'spatialfoley dataset features'"
    ):
        stored.of(BuiltSet(root)[1])
    encoder = Levels()
    done = add_features(root, identity, encoder)
    assert (done.made, done.kept) == (encoder.seen, 5 - encoder.seen)
    assert 1 <= encoder.seen <= 3
    again = Levels()
    assert (add_features(root, identity, again).kept, again.seen) == (5, 0)
    # The same clip with other sound.
    other = write_clip(root, "b", 0.0).files["foa"]
    write_set(root, {0: [clips[0], inserted, clips[1].with_(files={"foa": other}), *clips[2:]]})
    with pytest.raises(ValueError, match=f"features of clip {clips[1].id} were made of another content"):
        StoredFeatures(root, "tiny-codes").of(BuiltSet(root)[2])
    (found,) = check_features(root)
    assert (found.current, found.stale, found.is_well) == (4, 1, False)
    changed = Levels()
    assert add_features(root, identity, changed).made == changed.seen == 1
    stored = StoredFeatures(root, "tiny-codes")
    for clip in BuiltSet(root).stream():
        same = clip.id in before and arrays_sha256(stored.of(clip)) == arrays_sha256(before[clip.id])
        assert same == (clip.id not in (inserted.id, clips[1].id))
    # And with another direction of the camera, on which its codes depend.
    write_set(root, {0: [clips[0].with_(facts={"azimuth_deg": 10.0}), *clips[1:]]})
    assert add_features(root, identity, Levels()).made >= 1
    assert len(all_packs(encoder_folder(root, identity))) == 2


def test_other_weights_and_settings_are_other_features(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root, models = (
        small_set(tmp_path / "set"),
        [write_tiny_model(tmp_path / name, seed) for seed, name in ((0, "a"), (1, "b"))],
    )
    first, second = (identify("tiny-codes", FeatureSettings(), {"tiny-codes": path}) for path in models)
    assert first.basis != second.basis
    for identity in (first, second):
        assert add_features(root, identity, identity.load("cpu")).made == 4
    with pytest.raises(
        ValueError, match=r"has features of tiny-codes of several kinds: .*; name the settings or the weights"
    ):
        StoredFeatures(root, "tiny-codes")
    clip = BuiltSet(root)[0]
    codes = [
        StoredFeatures(root, "tiny-codes", weights_sha256=each.weights_sha256).of(clip)["codes"]
        for each in (first, second)
    ]
    assert not torch.equal(*codes)
    turned = replace(first, settings=FeatureSettings(yaws_deg=(0.0, -90.0)))
    add_features(root, turned, turned.load("cpu"))
    assert len(StoredFeatures(root, "tiny-codes", turned.settings).of(clip)["codes"]) == 2
    # Weights of the settings that do not concern an encoder are the same features.
    assert replace(first, settings=FeatureSettings(half=False, pool=1)).basis == first.basis
    # The weights on this machine are those of the package, or given.
    states = {found.basis: found.weights for found in check_features(root, given={"tiny-codes": models[1]})}
    assert states == {first.basis: "others", second.basis: "same", turned.basis: "others"}
    # Of an older version of the program nothing is used.
    monkeypatch.setitem(ENCODERS, "tiny-codes", replace(ENCODERS["tiny-codes"], version=2))
    assert {found.weights for found in check_features(root)} == {"outdated"}
    with pytest.raises(ValueError, match="has no such features of tiny-codes"):
        StoredFeatures(root, "tiny-codes")


def test_what_cannot_be_encoded_is_recorded_and_tried_again_when_asked(
    tmp_path: Path, identity: Identity
) -> None:
    root = tmp_path / "set"
    root.mkdir()
    good = [write_clip(root, "a", 0.0), write_clip(root, "a", 1.0)]
    broken = write_clip(root, "a", 2.0).without_files("foa")
    short = write_clip(root, "a", 3.0, duration_s=2.0)
    write_set(root, {0: [*good, broken, short]})
    done = add_features(root, identity, Levels())
    assert (done.made, dict(done.failed)) == (2, {"ValueError": 2})
    lines = [
        json.loads(line)
        for line in (encoder_folder(root, identity) / "failed.jsonl").read_text().splitlines()
    ]
    assert [line["id"] for line in lines] == [broken.id, short.id]
    assert "has no file 'foa'; build the set" in lines[0]["sentence"]
    assert "lasts 0.80 s, the clip 2 s" in lines[1]["sentence"]
    with pytest.raises(ValueError, match=f"tiny-codes has no features of clip {short.id}: the foa of clip"):
        StoredFeatures(root, "tiny-codes").of(BuiltSet(root)[3])
    again = Levels()
    assert add_features(root, identity, again).failed == {"ValueError": 2}
    assert again.seen == 0
    add_features(root, identity, again, retry=True)
    assert again.seen == 2
    write_set(root, {0: [*good, write_clip(root, "a", 2.0), write_clip(root, "a", 3.0)]})
    mended = Levels()
    assert add_features(root, identity, mended).failed == {}
    assert mended.seen == 2
    assert not (encoder_folder(root, identity) / "failed.jsonl").exists()


def test_bytes_that_changed_are_found(tmp_path: Path, identity: Identity) -> None:
    root = small_set(tmp_path / "set")
    add_features(root, identity, Levels())
    assert [found.is_well for found in check_features(root, deep=True)] == [True]
    first, second = all_packs(encoder_folder(root, identity))
    changed = bytearray(first.read_bytes())
    changed[-1] ^= 1
    first.write_bytes(changed)
    second.write_bytes(second.read_bytes()[:-10])
    (quick,), (found,) = check_features(root), check_features(root, deep=True)
    assert quick.damaged == (second.name,)
    assert len(found.damaged) == 2
    assert found.missing == 2
    add_features(root, identity, Levels())
    assert check_features(root)[0].current == 4


def test_clips_that_were_taken_down_leave_the_store(tmp_path: Path, identity: Identity) -> None:
    root = tmp_path / "set"
    root.mkdir()
    clips = [
        write_clip(root, "a", 0.0),
        write_clip(root, "a", 1.0).without_files("foa"),
        write_clip(root, "b", 0.0),
    ]
    write_set(root, {0: clips[:1], 1: clips[1:2], 2: clips[2:]})
    add_features(root, identity, Levels())
    folder = encoder_folder(root, identity)
    assert clips[1].id in (folder / "failed.jsonl").read_text()
    gone = {clip.id for clip in clips[:2]}
    clear_files(root, gone, [row.shard for row in BuiltSet(root).shards[:2]])
    left = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    assert not any(name.encode() in data for data in left.values() for name in gone)
    assert [path.name for path in left if path.suffix == ".safetensors"] == ["train-00002.0000.safetensors"]


def test_parts_of_several_machines_are_the_whole(tmp_path: Path, identity: Identity) -> None:
    root = small_set(tmp_path / "set")
    made = [add_features(root, identity, Levels(), part=(number, 2)).made for number in (1, 2)]
    assert made == [2, 2]
    assert add_features(root, identity, Levels()).kept == 4
    with pytest.raises(ValueError, match="part is 3/2; give 1/4 to 4/4"):
        add_features(root, identity, Levels(), part=(3, 2))


def test_threads_make_the_same_packs(tmp_path: Path) -> None:
    root, model = small_set(tmp_path / "set"), write_tiny_model(tmp_path / "model")
    identity = identify("tiny-codes", FeatureSettings(), {"tiny-codes": model})
    add_features(root, identity, identity.load("cpu"))
    alone = content(root, identity)
    for path in all_packs(encoder_folder(root, identity)):
        path.unlink()
    add_features(root, identity, identity.load("cpu"), workers=3)
    assert content(root, identity) == alone
    with pytest.raises(ValueError, match="workers is 0; it must be at least 1"):
        add_features(root, identity, Levels(), workers=0)


def test_loaders_with_processes_of_their_own_take_the_reader(tmp_path: Path, identity: Identity) -> None:
    root = small_set(tmp_path / "set")
    add_features(root, identity, Levels())
    stored = StoredFeatures(root, "tiny-codes")
    clip = BuiltSet(root)[2]
    again = pickle.loads(pickle.dumps(stored))
    assert arrays_sha256(again.of(clip)) == arrays_sha256(stored.of(clip))


def test_packs_hold_what_fits() -> None:
    assert [clips_per_pack(size) for size in (0, 20_000, 33_554_432, 134_217_728, 10**9)] == [64, 64, 7, 1, 1]


def test_what_no_encoder_is_or_lacks_its_weights_is_said(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="encoder is 'unheard'; known are tiny, tiny-codes, clip"):
        identify("unheard", FeatureSettings())
    with pytest.raises(ValueError, match="encoders are tiny, tiny; give one or more of"):
        identify_all(["tiny", "tiny"], FeatureSettings())
    with pytest.raises(ValueError, match="weights are given for dac, which is not among the encoders"):
        identify_all(["tiny"], FeatureSettings(), {"dac": tmp_path})
    with pytest.raises(ValueError, match="none do not exist; give the file or the folder of tiny-visage"):
        identify("tiny", FeatureSettings(), {"tiny": tmp_path / "none"})
    absent = replace(identify("tiny", FeatureSettings()), path=None)
    with pytest.raises(
        ValueError, match="tiny needs tiny-visage, which is not on this machine; 'spatialfoley models"
    ):
        absent.load("cpu")
    for settings, sentence in (
        ({"pool": 0}, "pool is 0; give 1 for none"),
        ({"yaws_deg": ()}, "give one or more turns"),
        ({"yaws_deg": (0.0, 0.0)}, "give every turn once"),
        ({"field_frame": "sofa"}, "field_frame is 'sofa'; it must be one of world, camera"),
        ({"loudness": "loud"}, "loudness is 'loud'"),
        ({"compute": "int4"}, "compute is 'int4'; it must be one of float32, bfloat16, float16"),
    ):
        with pytest.raises(ValueError, match=sentence):
            FeatureSettings(**settings)


def test_a_head_tells_the_content_of_its_clips(tmp_path: Path, identity: Identity) -> None:
    root = small_set(tmp_path / "set")
    add_features(root, identity, Levels())
    record: Record = BuiltSet(root)[0].record
    head = read_head(all_packs(encoder_folder(root, identity))[0])
    assert head is not None
    assert head.clips[record.id].key == identity.key(record)
    assert identity.key(record) == identity.key(
        record.with_(facts={"caption": "other"}, files={"view": record.file("foa")})
    )
    assert identity.key(record) != identity.key(record.with_(files={"foa": record.file("view")}))
    assert identity.key(record) != identity.key(record.with_(facts={"duration_s": 1.0}))
