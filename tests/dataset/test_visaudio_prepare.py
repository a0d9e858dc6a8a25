"""From videos with two ears to what ViSAudio trains on: a real file through every encoder, at tiny sizes."""

import dataclasses
import json
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

from spatialfoley.cli import run
from spatialfoley.dataset.manifest import read_clip_manifest
from spatialfoley.dataset.visaudio_encoding import FlowClipEncoder, channel_difference, leveled
from spatialfoley.dataset.visaudio_features import PLACE_FIELDS, FlowClipMix, FlowClips, FlowItem, Preparation
from spatialfoley.dataset.visaudio_prepare import prepare_flow_clips
from spatialfoley.generators.visaudio.config import VisaudioConfig
from spatialfoley.media.audio import read_audio, write_audio
from spatialfoley.media.frame_writer import write_frames
from spatialfoley.media.video import read_video
from spatialfoley.pipeline.flow_encoding import window_features
from spatialfoley.pipeline.flow_loading import FlowParts, load_parts_for_training
from spatialfoley.spatial.signal import SpatialAudio
from tests.flow_folders import BACKBONE, PATCHES, write_mmaudio_folder, write_visaudio_folder

RATE_HZ = 16000
CLIP_S = 0.81
"""Not a whole number of latents, as eight seconds at 44.1 kHz are none."""
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def visaudio(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_visaudio_folder(tmp_path_factory.mktemp("m") / "visaudio")


@pytest.fixture(scope="module")
def parts(visaudio: Path) -> FlowParts:
    return load_parts_for_training(visaudio, CPU)


def encoder_of(parts: FlowParts, **settings: object) -> FlowClipEncoder:
    assert isinstance(parts.config, VisaudioConfig)
    return FlowClipEncoder(
        partial(window_features, parts.encoders, parts.config.backbone),
        lambda text: parts.encoders.clip.text([text]),
        parts.codec,
        parts.config.backbone,
        parts.config.branches,
        {"weights_sha256": dict(parts.weights_sha256)},
        Preparation(**{"clip_s": CLIP_S, **settings}),  # type: ignore[arg-type]
    )


def ears(duration_s: float, gain: float = 0.2, level: float = 0.5, seed: int = 1) -> np.ndarray:
    """Left louder than right, each with some noise of its own."""
    shared, left, right = np.random.default_rng(seed).standard_normal((3, round(duration_s * RATE_HZ)))
    sound = gain * np.stack([shared + 0.1 * left, level * (shared + 0.1 * right)])
    return (sound / 4).astype(np.float32)


def write_clip(path: Path, duration_s: float = CLIP_S, sound: np.ndarray | None = None) -> Path:
    """A video with its two ears in one file, as cameras make them."""
    rng = np.random.default_rng(len(path.name))
    frames = rng.integers(0, 255, (round(duration_s * 25), 32, 48, 3), np.uint8)
    audio = SpatialAudio(ears(duration_s) if sound is None else sound, RATE_HZ, "stereo")
    write_frames(path, iter(frames), 25.0, audio)
    return path


def write_manifest(folder: Path, *rows: dict[str, object]) -> Path:
    path = folder / "clips.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_a_video_with_two_ears_becomes_one_training_item(
    visaudio: Path, parts: FlowParts, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_clip(tmp_path / "duet_flute_violin_8DHG_hVSw1o.mp4", duration_s=1.7)
    write_clip(tmp_path / "street.mp4")
    labelled = "Visible sound: a dog, Invisible sound: wind"
    manifest = write_manifest(
        tmp_path, {"video": "duet_flute_violin_8DHG_hVSw1o.mp4"}, {"video": "street.mp4", "text": labelled}
    )
    out = tmp_path / "out"
    options = ["--model", str(visaudio), "--out", str(out), "--clip-s", str(CLIP_S), "--device", "cpu"]
    assert run(["dataset", "prepare", str(manifest), *options, "--music-captions"]) == 0
    told = capsys.readouterr()
    assert "3 clips made, 0 made before, 0 rejected" in told.out
    assert "warning: the text has 14 tokens (with start and end), but CLIP reads 9" in told.err
    assert "UserWarning" not in told.err
    clips = FlowClips(out / "train")
    assert len(clips) == 3
    assert [line["start_s"] for line in clips.lines] == [0.0, CLIP_S, 0.0]
    assert [line["text"] for line in clips.lines] == ["flute, violin", "flute, violin", labelled]
    assert clips.lines[2]["text_for_use"] == "a dog, wind"
    assert clips.settings["channels"] == ["left", "right"]
    assert clips.preparation == Preparation(clip_s=CLIP_S)
    item = clips.item(0)
    lengths = BACKBONE.lengths(CLIP_S)
    described = {
        name: (tuple(value.shape), str(value.dtype).removeprefix("torch."))
        for name, value in item._asdict().items()
        if value is not None
    }
    assert described == {
        "mean": ((2, lengths.latent, BACKBONE.latent_dim), "float32"),
        "std": ((2, lengths.latent, BACKBONE.latent_dim), "float32"),
        "clip": ((lengths.clip, BACKBONE.clip_dim), "float16"),
        "sync": ((lengths.sync, BACKBONE.sync_dim), "float16"),
        "text": ((BACKBONE.text_tokens, BACKBONE.text_dim), "float16"),
        "patches": ((lengths.clip, 8, 8, PATCHES.width), "float16"),
    }
    assert not torch.equal(item.mean[0], item.mean[1]), "the ears are encoded each by itself"
    assert run(["dataset", "prepare", str(manifest), *options, "--music-captions"]) == 0
    assert "0 clips made, 3 made before, 0 rejected" in capsys.readouterr().out
    assert run(["dataset", "prepare", str(manifest), *options, "--loudness", "none"]) == 2
    assert "holds clips of another model" in capsys.readouterr().err
    with torch.inference_mode():
        expected = parts.encoders.clip.text(["flute, violin"])[0].half()
        assert item.text is not None
        assert torch.equal(item.text, expected)
        assert torch.equal(clips.empty_text(), parts.encoders.clip.text([""])[0].half().float())


def test_the_item_is_what_the_parts_say(parts: FlowParts, tmp_path: Path) -> None:
    """Posterior and features of the second clip of a file, made here by hand."""
    video = read_video(write_clip(tmp_path / "a.mp4", duration_s=1.7))
    sound = read_audio(tmp_path / "a.mp4").samples
    encoder = encoder_of(parts)
    times_s, first = video.frame_times_s(), round(CLIP_S * RATE_HZ)
    item = encoder.encode(video, times_s, CLIP_S, sound[:, first:], "wind")
    covered = encoder.sound_samples
    assert covered == BACKBONE.lengths(CLIP_S).latent * parts.codec.hop_samples
    assert covered > round(CLIP_S * RATE_HZ)
    heard = sound[:, first : first + covered]
    posterior = parts.codec.encode(torch.from_numpy(heard * (0.95 / np.abs(heard).max()))[None])
    torch.testing.assert_close(item.mean, posterior.mean[0], atol=1e-4, rtol=0)
    torch.testing.assert_close(item.std, posterior.std[0], atol=1e-4, rtol=1e-4)
    seen = window_features(parts.encoders, BACKBONE, video, times_s, (CLIP_S, CLIP_S))
    assert torch.equal(item.clip, seen.clip[0].half())
    assert torch.equal(item.sync, seen.sync[0].half())
    assert seen.patches is not None
    assert item.patches is not None
    assert torch.equal(item.patches, seen.patches[0])


@pytest.mark.parametrize(
    ("padding", "behind"), [("recording", 3.0), ("silence", 0.0)], ids=["recording", "silence"]
)
def test_what_lies_behind_eight_seconds(parts: FlowParts, padding: str, behind: float) -> None:
    encoder = encoder_of(parts, padding=padding, loudness="none", min_difference=None)
    clip, covered = round(CLIP_S * RATE_HZ), encoder.sound_samples
    recording = np.ones((2, covered + 50), np.float32)
    recording[:, clip:] = 3.0
    heard = encoder.sound(recording)
    assert heard.shape == (2, covered)
    assert (heard[:, :clip] == 1.0).all()
    assert (heard[:, clip:] == behind).all()
    assert (encoder.sound(recording[:, :clip])[:, clip:] == 0).all()


def test_one_gain_for_both_ears() -> None:
    sound = np.array([[0.1, -0.2], [0.05, 0.0]], np.float32)
    assert np.allclose(leveled(sound, "joint"), sound * 4.75)
    assert np.allclose(leveled(sound, "none"), sound)
    assert np.allclose(leveled(sound, "per_channel"), [[0.475, -0.95], [0.95, 0.0]])
    assert np.array_equal(leveled(np.zeros((2, 3), np.float32), "joint"), np.zeros((2, 3)))


def test_the_difference_of_two_channels() -> None:
    wave = np.sin(np.linspace(0, 20 * np.pi, 4000, endpoint=False))
    assert channel_difference(np.stack([wave, 0.2 * wave + 0.3])) == pytest.approx(0, abs=1e-6)
    assert channel_difference(np.stack([wave, -wave])) == pytest.approx(4 / np.pi, abs=0.01)
    assert channel_difference(np.zeros((2, 10))) == 0


def test_what_cannot_be_used_is_recorded(
    visaudio: Path, parts: FlowParts, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_clip(tmp_path / "good.mp4")
    same = np.repeat(ears(CLIP_S)[:1], 2, axis=0)
    write_clip(tmp_path / "same.mp4", sound=same * np.array([[1.0], [0.5]], np.float32))
    write_clip(tmp_path / "quiet.mp4", sound=np.zeros_like(same))
    write_clip(tmp_path / "short.mp4", duration_s=0.5)
    write_clip(tmp_path / "field.mp4")
    field = SpatialAudio(np.repeat(same, 2, axis=0), RATE_HZ, "foa")
    write_audio(tmp_path / "field.binaural.wav", field, subtype="FLOAT")
    names = ("same", "quiet", "short", "field", "good")
    # Two ears from one microphone come out of AAC with a trace of difference: the file beside is exact.
    stereo = SpatialAudio(same * np.array([[1.0], [0.5]], np.float32), RATE_HZ, "stereo")
    write_audio(tmp_path / "same.binaural.wav", stereo, subtype="FLOAT")
    manifest = write_manifest(tmp_path, *({"video": f"{name}.mp4"} for name in names))
    out = tmp_path / "out"
    options = ["--model", str(visaudio), "--out", str(out), "--clip-s", str(CLIP_S), "--device", "cpu"]
    assert run(["dataset", "prepare", str(manifest), *options]) == 1
    assert "1 clips made, 0 made before, 4 rejected" in capsys.readouterr().out
    lines = [json.loads(line) for line in (out / "rejected.jsonl").read_text().splitlines()]
    reasons = {Path(line["video"]).stem: line["reason"] for line in lines}
    for name, said in {
        "same": "the two channels differ by 0.0000, but must by more than 0.01",
        "quiet": "is silent from 0 s on; there is nothing to learn",
        "short": "lasts 0.48 s; a clip needs 0.81 s",
        "field": "has 4 channels; two ears need 2 (left, right): render a field first",
    }.items():
        assert said in reasons[name]
    assert FlowClips(out / "train").item(0).text is None


def test_settings_of_another_family_are_refused(
    visaudio: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    manifest = str(write_manifest(tmp_path, {"video": "a.mp4"}))
    for options, message in (
        (["--music-captions", "--clip-s", "4"], "tiny-visage has no setting --clip-s, --music-captions"),
        (["--model", str(visaudio), "--mono"], "has two ears; leave --mono out"),
        (
            ["--model", str(visaudio), "--clip-s", "0.3"],
            "clip_s is 0.3, but one segment of frames needs 0.64 s",
        ),
        (["--model", str(visaudio), "--loudness", "loud"], "loudness is 'loud', but must be one of joint"),
        (
            ["--model", str(visaudio), "--min-difference", "3"],
            "min_difference is 3.0, but must be from 0 to 2",
        ),
    ):
        assert run(["dataset", "prepare", manifest, *options, "--out", str(tmp_path / "out")]) == 2
        assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_one_channel_for_mmaudio(tmp_path: Path) -> None:
    folder = write_mmaudio_folder(tmp_path / "mmaudio")
    write_clip(tmp_path / "a.mp4")
    manifest = write_manifest(tmp_path, {"video": "a.mp4"})
    out = tmp_path / "out"
    options = ["--model", str(folder), "--out", str(out), "--clip-s", str(CLIP_S), "--device", "cpu"]
    assert run(["dataset", "prepare", str(manifest), *options]) == 0
    item = FlowClips(out / "train").item(0)
    assert item.mean.shape == (1, BACKBONE.lengths(CLIP_S).latent, BACKBONE.latent_dim)
    assert item.patches is None
    assert item.text is None


def test_a_killed_run_goes_on_where_it_stopped(parts: FlowParts, tmp_path: Path) -> None:
    class Killed(FlowClipEncoder):
        def encode(self, video, frame_times_s, start_s, sound, text=""):  # type: ignore[no-untyped-def]
            if start_s > 0:
                raise KeyboardInterrupt
            return super().encode(video, frame_times_s, start_s, sound, text)

    write_clip(tmp_path / "long.mp4", 1.7)
    rows = read_clip_manifest(write_manifest(tmp_path, {"video": "long.mp4"}))
    encoder = encoder_of(parts)
    fields = {field.name: getattr(encoder, field.name) for field in dataclasses.fields(encoder)}
    with pytest.raises(KeyboardInterrupt):
        prepare_flow_clips(rows, Killed(**fields), tmp_path / "out")
    assert not (tmp_path / "out" / "train").exists()
    done = prepare_flow_clips(rows, encoder, tmp_path / "out")
    assert (done.made, done.reused) == (1, 1)


def test_sources_are_repeated_as_often_as_said(parts: FlowParts, tmp_path: Path) -> None:
    mixes = {}
    for name, duration_s in (("biaudio", 1.7), ("music", 0.85)):
        folder = tmp_path / name
        folder.mkdir()
        write_clip(folder / "a.mp4", duration_s)
        rows = read_clip_manifest(write_manifest(folder, {"video": "a.mp4", "text": name}))
        mixes[name] = FlowClips(prepare_flow_clips(rows, encoder_of(parts), folder / "out").folders["train"])
    mix = FlowClipMix([(mixes["biaudio"], 1), (mixes["music"], 3)])
    assert len(mix) == 2 + 3 * 1
    means = [mix.item(entry).mean for entry in range(5)]
    assert torch.equal(means[2], means[3])
    assert torch.equal(means[2], means[4])
    assert not torch.equal(means[1], means[2])
    batch = mix.batch([0, 4])
    assert torch.equal(batch.mean, torch.stack([means[0], means[4]]))
    assert batch.features.patches is not None
    assert batch.features.patches.shape[:2] == (2, BACKBONE.lengths(CLIP_S).clip)
    with pytest.raises(ValueError, match="entry is 5, but there are 5, from 0"):
        mix.item(5)
    with pytest.raises(ValueError, match="is repeated 0 times; give at least 1"):
        FlowClipMix([(mixes["music"], 0)])
    other = prepare_flow_clips(rows, encoder_of(parts, loudness="none"), tmp_path / "other")
    with pytest.raises(ValueError, match=r"differ in preparation of features\.json; prepare all sources"):
        FlowClipMix([(mixes["music"], 1), (FlowClips(other.folders["train"]), 1)])


def test_damaged_folders_are_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"lacks features\.json and clips\.jsonl; make clips with"):
        FlowClips(tmp_path)
    (tmp_path / "features.json").write_text('{"format": 7}')
    (tmp_path / "clips.jsonl").write_text("")
    with pytest.raises(ValueError, match=r"cannot be read \(format is 7, but must be 1\)"):
        FlowClips(tmp_path)


def test_fields_of_an_item_are_its_files() -> None:
    assert FlowItem._fields == ("mean", "std", "clip", "sync", "text", "patches", *PLACE_FIELDS)
