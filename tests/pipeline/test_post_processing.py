"""Candidates and chains in generation: what is chosen, what goes on from it, and what a file says of it."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from spatialfoley.codecs.chain import ChainedCodec
from spatialfoley.media.audio import read_audio, write_audio
from spatialfoley.media.sound_file import SoundFile
from spatialfoley.media.video import read_video
from spatialfoley.pipeline import Pipeline, load_pipeline
from spatialfoley.pipeline.batch import Job
from spatialfoley.pipeline.clip import GenerationSettings
from spatialfoley.pipeline.post_processing import (
    choices_from_tensors,
    choices_to_tensors,
    generating_report,
    sent_through,
    sent_through_on_disk,
)
from spatialfoley.pipeline.requests import Request, fulfil, is_fulfilled
from spatialfoley.pipeline.reranking import SCORES, Choice, LoadedScore, Reranker, Score, Takes
from spatialfoley.spatial.direction import Direction, angle_between_deg
from spatialfoley.spatial.energy_map import covariance, energy_map, peak_direction
from spatialfoley.spatial.foa import encode
from spatialfoley.spatial.signal import SpatialAudio
from tests.cli.conftest import write_noise_video
from tests.model_folders import write_tiny_model
from tests.pipeline.test_chain import noise_video
from tests.pipeline.test_single_codebook_chain import RATIOS
from tests.pipeline.test_unfinished import KilledError, dies_after


@pytest.fixture(scope="module")
def pipe(tmp_path_factory: pytest.TempPathFactory) -> Pipeline:
    """Makes 2.5 seconds at once."""
    model = load_pipeline(write_tiny_model(tmp_path_factory.mktemp("models") / "m", max_target_length=251))
    assert isinstance(model, Pipeline)
    return model


@pytest.fixture(scope="module")
def long_job(tmp_path_factory: pytest.TempPathFactory) -> Job:
    """A video of two windows."""
    return Job(write_noise_video(tmp_path_factory.mktemp("videos") / "long.mp4", frames=40), "long")


def favouring(number: int) -> Score:
    """Always the same candidate."""

    def score(takes: Takes) -> list[float]:
        return [float(index == number) for index in range(len(takes.sounds))]

    return score


def preferring(number: int) -> Reranker:
    return Reranker({"favourite": LoadedScore(favouring(number))})


@pytest.mark.parametrize("pattern", ["residual", "delay", "interleave"])
def test_the_first_candidate_is_the_clip_made_alone(tmp_path: Path, pattern: str) -> None:
    ranges = RATIOS if pattern != "residual" else ()
    pipe = load_pipeline(write_tiny_model(tmp_path / "m", pattern=pattern, token_ranges=ranges))
    assert isinstance(pipe, Pipeline)
    conditions = pipe.encode(noise_video(12, 12.0))
    drawing = pipe.drawing(conditions.video, GenerationSettings(seed=3))
    alone = pipe.sample_drawing(conditions, drawing)
    assert torch.equal(alone.codes[0], pipe.sample(conditions, seed=3).codes[0])
    assert alone.choices == ()
    made = [
        pipe.sample_drawing(conditions, replace(drawing, candidates=4, reranker=preferring(number)))
        for number in range(4)
    ]
    assert torch.equal(made[0].codes[0], alone.codes[0])
    assert len({tokens.codes[0].numpy().tobytes() for tokens in made}) == 4
    assert [tokens.choices[0].chosen for tokens in made] == [0, 1, 2, 3]


def test_windows_go_on_from_the_candidate_that_was_chosen(pipe: Pipeline) -> None:
    conditions = pipe.encode(noise_video(40, 12.0))
    drawing = pipe.drawing(conditions.video, GenerationSettings(seed=1))
    tokens = pipe.sample_drawing(conditions, replace(drawing, candidates=2, reranker=preferring(1)))
    shared = conditions.plan.overlaps[1] // pipe.codec.hop_samples
    assert torch.equal(tokens.codes[0][-shared:], tokens.codes[1][:shared])
    first = pipe.sample_drawing(conditions, drawing)
    assert not torch.equal(tokens.codes[0], first.codes[0])
    assert [choice.chosen for choice in tokens.choices] == [1, 1]


def test_all_candidates_of_a_window_are_drawn_and_decoded_as_one_batch(
    pipe: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    started, decoded = [], []
    start, decode = pipe.steps.engine.start, pipe.codec.decode
    monkeypatch.setattr(
        pipe.steps.engine,
        "start",
        lambda states, rows: started.append(states.shape[1]) or start(states, rows),
    )
    monkeypatch.setattr(pipe.codec, "decode", lambda codes: decoded.append(len(codes)) or decode(codes))
    pipe(noise_video(6, 12.0), candidates=3)
    assert (started, decoded) == ([3], [3, 1])


def test_the_best_by_a_score_is_heard(pipe: Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    """A score of loudness, put into the registry: the loudest of four."""
    video, heard = noise_video(12, 12.0), []

    def loudness(takes: Takes) -> list[float]:
        heard.append(np.square(takes.sounds).mean(axis=(1, 2)))
        return list(heard[-1])

    monkeypatch.setitem(SCORES, "loudness", lambda show, device: LoadedScore(loudness))
    made = pipe.generate(video, Direction(0.0), GenerationSettings(2, candidates=4, rerank=("loudness",)))
    assert made.choices[0].chosen == int(heard[0].argmax())
    assert made.choices[0].scores["loudness"] == pytest.approx(tuple(heard[0]))
    level = np.square(made.foa.samples).mean() / 10 ** (made.gain_db / 10)
    assert level == pytest.approx(heard[0].max(), rel=1e-4)


@pytest.mark.parametrize("frame", ["camera", "world"])
def test_scores_hear_the_sound_where_the_camera_is(tmp_path: Path, frame: str) -> None:
    """A field in front of the camera agrees with an even picture, wherever the camera looks."""
    pipe = load_pipeline(write_tiny_model(tmp_path / "m", field_frame=frame))
    assert isinstance(pipe, Pipeline)
    video, camera = noise_video(12, 12.0), Direction(120.0, 20.0)
    conditions = pipe.encode(video, camera)
    even = torch.full_like(conditions.windows[0].energy_map, 1 / 49)
    conditions = replace(conditions, windows=(replace(conditions.windows[0], energy_map=even),))
    drawing = pipe.drawing(video, GenerationSettings(candidates=4))
    tokens = pipe.sample_drawing(conditions, drawing)
    fields = [
        pipe.decode(pipe.sample_drawing(conditions, replace(drawing, reranker=preferring(number)))).samples
        for number in range(4)
    ]
    towards = camera.vector()
    expected = [
        (field[0] * (field[[3, 1, 2]].T @ towards)).sum() * 2 / np.square(field).sum() for field in fields
    ]
    assert tokens.choices[0].scores["spatial"] == pytest.approx(expected, abs=1e-4)


def test_silence_is_taken_only_where_all_candidates_are_silent(
    pipe: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    decode, video = pipe.codec.decode, noise_video(4, 12.0)

    def without(silent: set[int]) -> None:
        def decoded(codes: torch.Tensor) -> torch.Tensor:
            sounds = decode(codes).clone()
            if len(codes) > 1:
                sounds[list(silent)] = 0.0
            return sounds

        monkeypatch.setattr(pipe.codec, "decode", decoded)

    monkeypatch.setitem(SCORES, "favourite", lambda show, device: LoadedScore(favouring(1)))
    settings = GenerationSettings(candidates=3, rerank=("favourite",))
    without(set())
    assert pipe.generate(video, Direction(0.0), settings).choices[0].chosen == 1
    without({0, 1})
    made = pipe.generate(video, Direction(0.0), settings)
    assert (made.choices[0].chosen, made.draws) == (2, 1)
    monkeypatch.setattr(pipe.codec, "decode", lambda codes: torch.zeros_like(decode(codes)))
    assert pipe.generate(video, Direction(0.0), settings).draws == 16


def test_a_chain_keeps_directions_and_lengths(pipe: Pipeline) -> None:
    links = pipe.post_processing.links(("tiny",))
    noise = 0.1 * np.random.default_rng(0).standard_normal(16_000 * 2 + 17).astype(np.float32)
    wanted = Direction(70.0, -25.0)
    field = SpatialAudio(encode(noise, wanted.vector()), 16_000, "foa")
    back = sent_through(field, links)
    assert back.samples.shape == field.samples.shape
    peak = peak_direction(energy_map(covariance(back.samples)))
    assert float(angle_between_deg(peak.vector(), wanted.vector())) < 2.0
    field.samples[2] = 0.0
    assert not sent_through(field, links).samples[2].any()


def test_a_chained_clip_is_the_clip_sent_through_as_a_whole(pipe: Pipeline) -> None:
    video = noise_video(40, 12.0)
    plain, chained = (
        pipe.generate(video, Direction(0.0), GenerationSettings(2, chain=chain)) for chain in ((), ("tiny",))
    )
    expected = sent_through(plain.foa, pipe.post_processing.links(("tiny",))).samples
    made = chained.foa.samples * 10 ** ((plain.gain_db - chained.gain_db) / 20)
    assert made.shape == plain.foa.samples.shape
    assert np.square(made - expected).sum() < 1e-4 * np.square(expected).sum()
    assert np.square(made - plain.foa.samples).sum() > 1e-2 * np.square(expected).sum()


def test_a_chain_on_disk_is_the_chain_in_memory(pipe: Pipeline, tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    field = SpatialAudio(0.1 * rng.standard_normal((4, 16_000 * 23)).astype(np.float32), 16_000, "foa")
    write_audio(tmp_path / "made.wav", field, "FLOAT")
    (link,) = pipe.post_processing.links(("tiny",))
    links: tuple[ChainedCodec, ...] = (link, link)
    fractions: list[float] = []
    on_disk = sent_through_on_disk(SoundFile.open(tmp_path / "made.wav"), links, tmp_path, fractions.append)
    np.testing.assert_array_equal(
        np.concatenate(list(on_disk.blocks()), axis=1), sent_through(field, links).samples
    )
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1.0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["chain2.wav", "made.wav"]


ASKED = Request(seed=2, outputs=("foa",), candidates=2, chain=("tiny",))


def test_a_killed_run_is_taken_up_with_its_choices(pipe: Pipeline, long_job: Job, tmp_path: Path) -> None:
    whole = fulfil(ASKED, long_job, tmp_path / "whole", pipe)
    sidecar = json.loads(whole["sidecar"].read_text())
    windows = sidecar["candidates"]["windows"]
    assert sidecar["candidates"]["number"] == 2
    assert len(windows) == 2
    for window in windows:
        assert set(window["scores"]) == {"likelihood", "spatial"}
        assert all(len(values) == 2 for values in window["scores"].values())
    (link,) = sidecar["chain"]
    assert (link["codec"], link["licence"], len(link["weights_sha256"])) == ("tiny", "MIT", 64)
    out = tmp_path / "killed"
    # In the second window, and in the chain.
    for fraction in (0.6, 0.8):
        with pytest.raises(KilledError):
            fulfil(ASKED, long_job, out, pipe, dies_after(fraction))  # type: ignore[arg-type]
        assert [path.name for path in out.iterdir()] == [".long.unfinished"]
        assert not is_fulfilled(ASKED, long_job, out, pipe)
    again = fulfil(ASKED, long_job, out, pipe)
    for kind in ("foa", "sidecar"):
        assert again[kind].read_bytes() == whole[kind].read_bytes()
    assert is_fulfilled(ASKED, long_job, out, pipe)
    for other in (replace(ASKED, candidates=3), replace(ASKED, chain=()), replace(ASKED, rerank=("onset",))):
        assert not is_fulfilled(other, long_job, out, pipe)
    by_hand = pipe(read_video(long_job.source), seed=2, candidates=2, chain=("tiny",))
    assert np.allclose(read_audio(again["foa"]).samples, by_hand.samples, atol=1e-5)


def test_a_request_for_neither_is_recorded_as_ever(pipe: Pipeline, tmp_path: Path) -> None:
    job = Job(write_noise_video(tmp_path / "short.mp4", frames=6), "short")
    sidecar = json.loads(fulfil(Request(outputs=("foa",)), job, tmp_path, pipe)["sidecar"].read_text())
    assert not {"candidates", "rerank", "chain"} & (set(sidecar) | set(sidecar["request"]))


def test_choices_are_read_back_as_they_were() -> None:
    choices = tuple(Choice(k % 2, {"likelihood": (-2.5, -k / 3), "spatial": (0.1, 0.2)}) for k in range(3))
    assert choices_from_tensors(choices_to_tensors(choices), ("likelihood", "spatial")) == choices
    assert choices_to_tensors(()) == {}
    assert choices_from_tensors({}, ("likelihood",)) == ()


def test_a_chain_is_told_as_a_part_of_the_whole() -> None:
    told: list[float] = []
    drawing, chain = generating_report(told.append, ("tiny",))
    for part in (0.5, 1.0):
        drawing(part)
    chain(1.0)
    assert told == [0.4, 0.8, 1.0]
    drawing, _ = generating_report(told.append, ())
    drawing(1.0)
    assert told[-1] == 1.0
