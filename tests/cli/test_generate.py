import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from safetensors.torch import load_file, save_file

from spatialfoley.cli import run
from spatialfoley.media.audio import read_audio
from spatialfoley.media.video import Video, read_video
from spatialfoley.pipeline import load_pipeline, products
from spatialfoley.spatial.binaural import render_binaural
from spatialfoley.spatial.direction import Direction
from spatialfoley.spatial.foa import listen_from, rotate
from tests.cli.conftest import write_noise_video
from tests.model_folders import write_tiny_model

FILES = {"street.foa.wav", "street.binaural.wav", "street.mp4", "street.energy.mp4", "street.json"}


def names_in(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()} if folder.is_dir() else set()


def generate(*arguments: object) -> int:
    return run(["generate", *(str(argument) for argument in arguments)])


def sentence(capsys: pytest.CaptureFixture[str]) -> str:
    """The one line on standard error."""
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1, lines
    return lines[0]


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out"


def test_one_video_becomes_five_files(video_file: Path, tiny_model: Path, out: Path) -> None:
    assert generate(video_file, "--model", tiny_model, "--out", out, "--azimuth-deg", 30, "--seed", 7) == 0
    assert names_in(out) == FILES
    foa = read_audio(out / "street.foa.wav")
    assert foa.samples.shape == (4, 16_000)
    assert 0 < foa.peak <= 1
    assert read_audio(out / "street.binaural.wav").samples.shape == (2, 16_000)
    for name in ("street.mp4", "street.energy.mp4"):
        assert read_video(out / name).duration_s == pytest.approx(1.0, abs=1e-3)
    assert read_video(out / "street.mp4").frame_count == 12


def test_the_ears_are_at_the_camera(video_file: Path, tiny_model: Path, out: Path) -> None:
    generate(
        video_file, "--model", tiny_model, "--out", out, "--azimuth-deg", 90, "--outputs", "foa,binaural"
    )
    assert names_in(out) == {"street.foa.wav", "street.binaural.wav", "street.json"}
    heard = listen_from(read_audio(out / "street.foa.wav"), Direction(90.0))
    ears = read_audio(out / "street.binaural.wav").samples
    gain_db = json.loads((out / "street.json").read_text())["binaural_gain_db"]
    assert np.allclose(render_binaural(heard).samples * 10 ** (gain_db / 20), ears, atol=1e-3)


def test_the_command_and_the_python_surface_make_the_same_sound(
    video_file: Path, tiny_model: Path, out: Path
) -> None:
    generate(video_file, "--model", tiny_model, "--out", out, "--seed", 7, "--outputs", "foa")
    foa = load_pipeline(tiny_model)(read_video(video_file), seed=7)
    assert np.allclose(foa.samples, read_audio(out / "street.foa.wav").samples, atol=1e-6)


def test_two_azimuths_give_turned_fields(video_file: Path, tiny_model: Path, tmp_path: Path) -> None:
    for azimuth in (0, 90):
        generate(
            video_file, "--model", tiny_model, "--out", tmp_path / str(azimuth), "--azimuth-deg", azimuth
        )
    ahead, left = (read_audio(tmp_path / a / "street.foa.wav") for a in ("0", "90"))
    assert np.allclose(rotate(ahead, yaw_deg=90.0).samples, left.samples, atol=1e-5)


def test_the_sidecar_says_how_it_was_made(video_file: Path, tiny_model: Path, out: Path) -> None:
    generate(
        video_file, "--model", tiny_model, "--out", out, "--seed", 3, "--guidance-visual", 2,
        "--start-s", 0.25, "--duration-s", 0.5, "--outputs", "foa", "--rate-hz", 48000,
    )  # fmt: skip
    sidecar = json.loads((out / "street.json").read_text())
    assert sidecar["request"]["seed"] == 3
    assert sidecar["request"]["input"] == str(video_file.resolve())
    assert sidecar["model"]["model"] == "random-tiny"
    assert sidecar["model"]["licence"] == "MIT"
    assert len(sidecar["model"]["weights_sha256"]["generator"]) == 64
    assert sidecar["sampling"]["guidance"] == "visual"
    assert sidecar["sampling"]["branches"] == {"full": 3.0, "direction only": -2.0}
    assert sidecar["sound"]["rate_hz"] == 48000
    assert sidecar["sound"]["samples"] == 24000
    assert sidecar["sound"]["draws"] >= 1
    assert sidecar["sound"]["gain_db"] <= 0
    assert "ACN SN3D" in sidecar["convention"]["foa"]
    assert sidecar["versions"].keys() >= {"python", "spatialfoley", "torch", "numpy", "av"}
    assert sidecar["files"] == {"foa": "street.foa.wav"}


def test_a_second_run_skips_what_is_done_and_redoes_what_changed(
    video_file: Path, tiny_model: Path, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = (video_file, "--model", tiny_model, "--out", out, "--outputs", "foa")
    assert generate(*command) == 0
    written = (out / "street.foa.wav").stat().st_mtime_ns
    assert generate(*command) == 0
    assert "done before, skipped" in capsys.readouterr().out
    assert (out / "street.foa.wav").stat().st_mtime_ns == written
    assert generate(*command, "--seed", 1) == 0
    assert (out / "street.foa.wav").stat().st_mtime_ns > written
    (out / "street.foa.wav").unlink()
    assert generate(*command, "--seed", 1) == 0
    assert (out / "street.foa.wav").is_file()


def test_of_a_folder_the_good_are_made_and_the_bad_recorded(
    tmp_path: Path, tiny_model: Path, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "clips"
    for name in ("a.mp4", "east/b.mp4", "west/b.mp4"):
        write_noise_video(folder / name, frames=6)
    (folder / "broken.mp4").write_bytes(b"not a video at all")
    (folder / "empty.mp4").write_bytes(b"")
    command = (folder, "--model", tiny_model, "--out", out, "--outputs", "foa")
    assert generate(*command) == 1
    assert names_in(out) == {
        "a.foa.wav", "a.json", "b.foa.wav", "b.json", "west_b.foa.wav", "west_b.json", "failures.jsonl",
    }  # fmt: skip
    records = [json.loads(line) for line in (out / "failures.jsonl").read_text().splitlines()]
    assert sorted(Path(record["input"]).name for record in records) == ["broken.mp4", "empty.mp4"]
    assert all(record["reason"] for record in records)
    assert "3 made, 0 done before, 2 failed" in capsys.readouterr().out
    (folder / "broken.mp4").unlink()
    shutil.copy(folder / "a.mp4", folder / "empty.mp4")
    assert generate(*command) == 0
    assert "1 made, 3 done before, 0 failed" in capsys.readouterr().out
    assert "failures.jsonl" not in names_in(out)


def test_a_clip_sounds_the_same_alone_and_in_a_batch(tmp_path: Path, tiny_model: Path) -> None:
    for seed, name in enumerate(("a.mp4", "b.mp4", "c.mp4")):
        write_noise_video(tmp_path / "clips" / name, frames=6 + seed, seed=seed)
    options = ("--model", tiny_model, "--outputs", "foa")
    generate(tmp_path / "clips", *options, "--out", tmp_path / "all")
    generate(tmp_path / "clips" / "b.mp4", *options, "--out", tmp_path / "one")
    alone, among = (read_audio(tmp_path / folder / "b.foa.wav") for folder in ("one", "all"))
    assert np.array_equal(alone.samples, among.samples)


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        (
            "--azimuth-deg",
            "361",
            "azimuth_deg is 361.0; it must be a finite angle between -360 and 360 degrees",
        ),
        ("--azimuth-deg", "nan", "azimuth_deg is nan"),
        ("--elevation-deg", "-91", "elevation_deg is -91.0; it must be a finite angle between -90 and 90"),
        ("--seed", "-1", "seed is -1; give a whole number from 0"),
        ("--guidance-visual", "-2", "guidance_visual is -2.0; give a number from 0"),
        ("--guidance-direction", "inf", "guidance_direction is inf; give a number from 0"),
        ("--start-s", "-1", "start_s is -1.0; give seconds from 0 on"),
        ("--start-s", "7", "start_s is 7 s but the picture"),
        ("--duration-s", "0", "duration_s is 0.0; give seconds above 0"),
        ("--duration-s", "9", "beyond the end of"),
        ("--outputs", "foa,wav", "outputs is foa,wav; give one or more of foa,binaural,video,energy"),
        ("--outputs", "", "outputs is empty"),
        ("--fov-deg", "180", "fov_deg is 180.0; give degrees above 0 and below 180"),
        ("--rate-hz", "10", "rate_hz is 10; give 8000 to 192000"),
        ("--top-k", "0", "top_k is 0; give a whole number from 1"),
        ("--device", "warp", "device is 'warp', which is not available here; use auto or cpu"),
        ("--dtype", "float8", "dtype is 'float8'; give one of auto, fast, float32"),
        ("--azimuth-deg", "left", "Invalid value for '--azimuth-deg'"),
        (
            "--model",
            "no-such-model",
            "model is 'no-such-model', no folder and no known name; give tiny-visage",
        ),
    ],
)
def test_bad_arguments_get_one_sentence(
    video_file: Path, tiny_model: Path, out: Path, capsys: pytest.CaptureFixture[str],
    option: str, value: str, message: str,
) -> None:  # fmt: skip
    model = () if option == "--model" else ("--model", tiny_model)
    assert generate(video_file, *model, "--out", out, option, value) == 2
    line = sentence(capsys)
    assert line.startswith("error: ")
    assert message in line
    assert names_in(out) == set()


@pytest.mark.parametrize(
    ("content", "message"),
    [(None, "does not exist"), (b"", "empty"), (b"not a video at all " * 50, "bad.mp4")],
)
def test_bad_files_get_one_sentence(
    tmp_path: Path, tiny_model: Path, out: Path, capsys: pytest.CaptureFixture[str],
    content: bytes | None, message: str,
) -> None:  # fmt: skip
    bad = tmp_path / "bad.mp4"
    if content is not None:
        bad.write_bytes(content)
    assert generate(bad, "--model", tiny_model, "--out", out) == 2
    assert message in sentence(capsys)
    assert not out.exists()


def test_a_truncated_file_leaves_nothing_half_written(
    video_file: Path, tiny_model: Path, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    content = video_file.read_bytes()
    video_file.write_bytes(content[: len(content) // 3])
    assert generate(video_file, "--model", tiny_model, "--out", out) == 2
    assert "street.mp4" in sentence(capsys)
    assert names_in(out) == set()


def test_an_output_folder_that_cannot_be_is_refused(
    video_file: Path, tiny_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    assert generate(video_file, "--model", tiny_model, "--out", tmp_path / "file" / "out") == 2
    assert "not writable" in sentence(capsys)


def test_a_video_is_never_replaced_by_its_own_output(
    video_file: Path, tiny_model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = video_file.read_bytes()
    assert generate(video_file, "--model", tiny_model, "--out", video_file.parent) == 2
    assert "would be replaced by an output of the same name" in sentence(capsys)
    assert video_file.read_bytes() == before
    assert generate(video_file, "--model", tiny_model, "--out", video_file.parent, "--outputs", "foa") == 0


def test_a_wrong_checkpoint_lists_its_keys(
    video_file: Path, tmp_path: Path, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = write_tiny_model(tmp_path / "wrong")
    state = load_file(model / "model.safetensors")
    state["model.encoder.ears"] = state.pop("null_embedding")
    save_file(state, model / "model.safetensors")
    assert generate(video_file, "--model", model, "--out", out) == 2
    line = sentence(capsys)
    assert "missing" in line
    assert "null_embedding" in line
    assert "unexpected" in line
    assert "model.encoder.ears" in line
    assert names_in(out) == set()


def test_a_config_that_contradicts_the_weights_is_named(
    video_file: Path, tmp_path: Path, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = write_tiny_model(tmp_path / "wrong")
    config = json.loads((model / "config.json").read_text())
    (model / "config.json").write_text(json.dumps({**config, "decoder_layers": 2}))
    assert generate(video_file, "--model", model, "--out", out) == 2
    assert "decoder_layers is 2 but the weights have 1" in sentence(capsys)
    assert names_in(out) == set()


def test_nan_weights_write_nothing(
    video_file: Path, tmp_path: Path, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = write_tiny_model(tmp_path / "nan")
    weights = load_file(model / "codec.safetensors")
    save_file({name: tensor * float("nan") for name, tensor in weights.items()}, model / "codec.safetensors")
    assert generate(video_file, "--model", model, "--out", out) == 2
    assert "finite" in capsys.readouterr().err.splitlines()[-1]
    assert names_in(out) == set()


def test_an_interrupted_run_leaves_only_complete_files(
    tmp_path: Path,
    tiny_model: Path,
    out: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("a.mp4", "b.mp4"):
        write_noise_video(tmp_path / "clips" / name, frames=6)
    real = products.write_energy_video

    def interrupted_at_b(path: Path, video: Video, *rest: object, **options: object) -> None:
        if video.path is not None and video.path.name == "b.mp4":
            raise KeyboardInterrupt
        real(path, video, *rest, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(products, "write_energy_video", interrupted_at_b)
    command = (tmp_path / "clips", "--model", tiny_model, "--out", out)
    assert generate(*command) == 130
    assert "interrupted: finished files are complete" in capsys.readouterr().err
    assert names_in(out) == {name.replace("street", "a") for name in FILES}
    monkeypatch.undo()
    (out / ".b.0badcafe.partial").mkdir()
    assert generate(*command) == 0
    assert names_in(out) == {name.replace("street", stem) for name in FILES for stem in ("a", "b")}
    assert "1 made, 1 done before, 0 failed" in capsys.readouterr().out
