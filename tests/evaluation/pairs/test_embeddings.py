from dataclasses import replace
from pathlib import Path

import numpy as np

from spatialfoley.evaluation.networks.listener import Heard
from spatialfoley.evaluation.pairs.embeddings import (
    EmbeddingStore,
    code_sha256,
    default_store_folder,
    embedding_key,
)
from spatialfoley.evaluation.pairs.views import Hearing

HEARING = Hearing("foa", "field", ("W", "dec"), (10.0, 0.0), 5.0)


def heard() -> Heard:
    rng = np.random.default_rng(0)
    return Heard(rng.normal(size=(2, 3, 4)).astype(np.float32), rng.normal(size=(2, 5)).astype(np.float32))


def test_what_was_heard_is_kept(tmp_path: Path) -> None:
    store, key = EmbeddingStore(tmp_path), "ab" + "0" * 62
    assert store.read(key, HEARING.channels) is None
    store.write(key, HEARING.channels, heard())
    found = store.read(key, HEARING.channels)
    np.testing.assert_array_equal(found.embeddings, heard().embeddings)
    np.testing.assert_array_equal(found.logits, heard().logits)
    store.write(key, HEARING.channels, Heard(heard().embeddings, None))
    assert store.read(key, HEARING.channels).logits is None
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == [f"{key}.npz"]


def test_a_damaged_entry_counts_as_missing(tmp_path: Path) -> None:
    store, key = EmbeddingStore(tmp_path), "ab" + "0" * 62
    store.write(key, HEARING.channels, heard())
    path = next(tmp_path.rglob("*.npz"))
    whole = path.read_bytes()
    middle = len(whole) // 3
    for damaged in (
        b"",
        whole[: len(whole) // 2],
        whole[:middle] + b"\xff\xff\xff\xff" + whole[middle + 4 :],
    ):
        path.write_bytes(damaged)
        assert store.read(key, HEARING.channels) is None
    path.write_bytes(whole)
    assert store.read(key, ("W", "mix")) is None
    path.rename(path.with_name("ab" + "1" * 62 + ".npz"))
    assert store.read("ab" + "1" * 62, HEARING.channels) is None


def test_whatever_an_embedding_depends_on_changes_its_name() -> None:
    plain = embedding_key("file", "world", "weights", HEARING)
    changed = [
        embedding_key("other", "world", "weights", HEARING),
        embedding_key("file", "vggish", "weights", HEARING),
        embedding_key("file", "world", "others", HEARING),
        *(
            embedding_key("file", "world", "weights", replace(HEARING, **change))
            for change in (
                {"layout": "fuma"},
                {"form": "ears"},
                {"channels": ("W",)},
                {"camera": (11.0, 0.0)},
                {"duration_s": 4.0},
                {"restored": True},
                {"rate_hz": 16000},
            )
        ),
    ]
    assert len({plain, *changed}) == 1 + len(changed)
    assert plain == embedding_key("file", "world", "weights", HEARING)


def test_the_source_code_is_part_of_the_name() -> None:
    assert code_sha256(("media/audio.py",)) != code_sha256(("media/wav.py",))
    assert code_sha256(("spatial",)) == code_sha256(("spatial",))


def test_the_default_place_is_beside_the_models(monkeypatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SPATIALFOLEY_HOME", str(tmp_path))
    assert default_store_folder() == tmp_path / "embeddings"
