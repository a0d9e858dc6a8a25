from pathlib import Path

import numpy as np
import pytest

from spatialfoley.evaluation.metrics.divergence import kl_divergence
from spatialfoley.evaluation.metrics.frechet import frechet_distance
from spatialfoley.evaluation.networks.listener import Heard
from spatialfoley.evaluation.pairs.distances import set_figures
from spatialfoley.evaluation.pairs.embeddings import EmbeddingStore
from spatialfoley.evaluation.pairs.protocols import protocol

EARS = ("left", "right", "mix")


def kept(store: EmbeddingStore, clips: int = 12, frames: int = 3, form: str = "ears") -> list[dict]:
    """Records of pairs whose estimate is the truth moved by (1, 0) in the left ear and (0, 2) in the right."""
    rng = np.random.default_rng(0)
    channels = EARS if form == "ears" else ("mix",)
    moves = np.array([[1.0, 0.0], [0.0, 2.0], [0.0, 0.0]], np.float32)[: len(channels), None]
    records = []
    for clip in range(clips):
        truth = Heard(
            rng.normal(size=(len(channels), frames, 2)).astype(np.float32),
            rng.normal(size=(len(channels), 4)).astype(np.float32),
        )
        estimate = Heard(truth.embeddings + moves, truth.logits + np.eye(4, dtype=np.float32)[0])
        places = {}
        for role, heard in (("truth", truth), ("estimate", estimate)):
            places[role] = [f"{clip:02}{role:0<60}", list(channels)]
            store.write(*places[role], heard)
        records.append({"clip": str(clip), "form": form, "heard": {"vggish": places}})
    return records


def test_distances_pool_all_frames_and_average_over_channels(tmp_path: Path) -> None:
    store = EmbeddingStore(tmp_path)
    records = kept(store)
    found = set_figures(records, "vggish", store, protocol("ours"))
    # The same cloud at another place: the squared distance of the means.
    assert found.figures["fd/vggish/avg"].value == pytest.approx((1 + 4) / 2, abs=1e-6)
    assert found.figures["fd/vggish/mix"].value == pytest.approx(0, abs=1e-6)
    assert found.figures["fd/vggish/avg"].count == 12
    assert found.notes == ()
    pooled = [
        np.concatenate([store.read(*record["heard"]["vggish"][role]).embeddings[1] for record in records])
        for role in ("truth", "estimate")
    ]
    assert len(pooled[0]) == 36
    assert frechet_distance(*pooled) == pytest.approx(4, abs=1e-6)


def test_divergences_have_the_formula_of_the_protocol(tmp_path: Path) -> None:
    store = EmbeddingStore(tmp_path)
    records = kept(store)
    logits = [
        np.stack([store.read(*record["heard"]["vggish"][role]).logits[2] for record in records])
        for role in ("truth", "estimate")
    ]
    exact = float(np.mean(kl_divergence(*logits, "av-bench")))
    found = set_figures(records, "vggish", store, protocol("ours"))
    assert found.figures["kl/vggish/mix"].value == pytest.approx(exact)
    # ViSAudio has the divergences of CNN14, not of VGGish; ViSAGe has no such view of ears.
    assert set(set_figures(records, "vggish", store, protocol("visaudio")).figures) == {
        "fd/vggish/mix", "fd/vggish/avg"
    }  # fmt: skip
    assert set_figures(records, "vggish", store, protocol("visage")).figures == {}


def test_few_clips_are_told(tmp_path: Path) -> None:
    store = EmbeddingStore(tmp_path)
    few = set_figures(kept(store, clips=2, frames=1), "vggish", store, protocol("ours"))
    assert few.figures["fd/vggish/mix"] is not None
    assert "2 clips are few for the 2 numbers of vggish" in few.notes[0]
    assert "fd_unbiased/vggish/mix" in few.figures
    one = set_figures(kept(store, clips=1, frames=5), "vggish", store, protocol("ours"))
    assert one.figures["fd/vggish/mix"] is None
    assert "1 clip is too few for a covariance of vggish's 2 numbers" in one.notes[0]


def test_an_embedding_that_went_away_is_named(tmp_path: Path) -> None:
    store = EmbeddingStore(tmp_path)
    records = kept(store, form="mono")
    next(tmp_path.rglob("*.npz")).unlink()
    with pytest.raises(ValueError, match=r"what vggish heard in the (truth|estimate) of [0-9]+ is gone from"):
        set_figures(records, "vggish", store, protocol("ours"))
