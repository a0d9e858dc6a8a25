"""Both models with the real classes, real tokenizers and real generation; only their weights are small."""

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from spatialfoley import weights
from spatialfoley.dataset.captioning import held as held_models
from spatialfoley.dataset.captioning.answers import Unusable
from spatialfoley.dataset.captioning.describer import KINDS, Describer, load_describer
from spatialfoley.dataset.captioning.distiller import Distiller, load_distiller
from spatialfoley.dataset.captioning.found import find_model
from spatialfoley.dataset.captioning.held import alone, device_of, dtype_of, held
from spatialfoley.dataset.captioning.prompts import DISTIL, distil_question
from spatialfoley.dataset.captioning.writing import whole_sentences
from spatialfoley.dataset.captions import BiaudioCaption
from spatialfoley.weights import WeightsError

CPU = torch.device("cpu")


def _describer(folder: Path) -> Describer:
    return load_describer(find_model(str(folder), KINDS), CPU, torch.float32, 28 * 28, 56 * 56)


def _distiller(folder: Path) -> Distiller:
    return load_distiller(find_model(str(folder), ()), CPU, torch.float32)


def _clip(seed: int = 0, seconds: float = 3.0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    frames = rng.integers(0, 256, (round(2 * seconds), 60, 60, 3), dtype=np.uint8)
    return frames, (0.1 * rng.standard_normal(round(16000 * seconds))).astype(np.float32)


@pytest.mark.parametrize("folder", ["describer", "published-describer"])
def test_the_describer_writes_until_its_turn_ends(tiny_folders: dict[str, Path], folder: str) -> None:
    """Also out of a folder that holds the whole model, as it is published."""
    found = _describer(tiny_folders[folder]).describe(*_clip(), most_tokens=40)
    assert found == "A bell rings in the picture. Wind blows behind the cam"
    assert whole_sentences(found) == "A bell rings in the picture."


def test_what_is_described_depends_on_picture_and_sound_and_on_nothing_else(
    tiny_folders: dict[str, Path],
) -> None:
    describer = _describer(tiny_folders["wild-describer"])
    frames, mono = _clip(seconds=2.0)
    other_frames, other_mono = _clip(1, seconds=2.0)
    text = describer.describe(frames, mono, 8)
    assert text
    torch.manual_seed(99)
    assert _describer(tiny_folders["wild-describer"]).describe(frames, mono, 8) == text

    def scores(frames: np.ndarray, mono: np.ndarray) -> torch.Tensor:
        with torch.inference_mode():
            return describer.network(**describer.inputs(frames, mono)).logits[0, -1]

    base = scores(frames, mono)
    assert torch.equal(scores(frames, mono), base)
    assert float((scores(other_frames, mono) - base).abs().max()) > 1e-5
    assert float((scores(frames, other_mono) - base).abs().max()) > 1e-5


def test_tokens_stand_for_picture_and_sound_between_their_marks(tiny_folders: dict[str, Path]) -> None:
    describer = _describer(tiny_folders["describer"])
    made = describer.inputs(*_clip(seconds=3.0))
    config = describer.network.config
    ids = made["input_ids"][0].tolist()
    assert ids.count(config.video_token_id) == 3 * 4  # three pairs of frames of 56 x 56
    assert ids.count(config.audio_token_id) == 75
    first, last = ids.index(config.vision_start_token_id), ids.index(config.vision_end_token_id)
    assert ids[first + 1] == config.audio_start_token_id
    assert ids[last - 1] == config.audio_end_token_id
    inside = ids[first + 2 : last - 1]
    assert (
        inside
        == [config.video_token_id] * 8
        + [config.audio_token_id] * 50
        + [config.video_token_id] * 4
        + [config.audio_token_id] * 25
    )
    positions, _ = describer.network.get_rope_index(
        made["input_ids"],
        video_grid_thw=made["video_grid_thw"],
        attention_mask=made["attention_mask"],
        use_audio_in_video=True,
        audio_seqlens=made["feature_attention_mask"].sum(-1),
        second_per_grids=made["video_second_per_grid"],
    )
    in_time = positions[0, 0, first + 2 : last - 1] - positions[0, 0, first + 2]
    assert in_time.tolist() == [0] * 4 + [25] * 4 + [*range(50)] + [50] * 4 + [*range(50, 75)]


def test_the_distiller_gives_a_caption(tiny_folders: dict[str, Path]) -> None:
    found = _distiller(tiny_folders["distiller"]).distil(
        "A bell rings. Wind blows.", attempts=1, most_tokens=20
    )
    assert found == BiaudioCaption("bell ringing", "wind blowing")


def test_nonsense_is_asked_about_again_and_then_given_up(tiny_folders: dict[str, Path]) -> None:
    distiller = _distiller(tiny_folders["wild-distiller"])
    talks: list[int] = []
    tokens = distiller._tokens

    def counted(talk: list[dict[str, str]]) -> list[int]:
        talks.append(len(talk))
        return tokens(talk)

    object.__setattr__(distiller, "_tokens", counted)
    found = distiller.distil("A bell rings.", attempts=3, most_tokens=4)
    assert isinstance(found, Unusable)
    assert talks == [2, 4, 6]
    object.__setattr__(distiller, "_tokens", tokens)
    assert distiller.distil("A bell rings.", attempts=3, most_tokens=4) == found


def test_a_models_own_form_of_conversation_is_used_where_its_folder_has_one(
    tiny_folders: dict[str, Path], tmp_path: Path
) -> None:
    folder = tmp_path / "templated"
    shutil.copytree(tiny_folders["distiller"], folder)
    path = folder / "tokenizer_config.json"
    settings = json.loads(path.read_text())
    settings["chat_template"] = (
        "{% for m in messages %}[{{ m.role }}]{{ m.content }}{% endfor %}{{ '[reply]\n' }}"
    )
    path.write_text(json.dumps(settings))
    distiller = _distiller(folder)
    text = distiller.tokenizer.decode(distiller._tokens([{"role": "user", "content": "a dog"}]))
    assert text == "[user]a dog[reply]\n"
    own = _distiller(tiny_folders["distiller"])
    text = own.tokenizer.decode(own._tokens([{"role": "user", "content": "a dog"}]))
    assert text == "<|im_start|>user\na dog<|im_end|>\n<|im_start|>assistant\n"


def test_a_description_stands_in_the_question_on_one_line() -> None:
    question = distil_question("A bell\n  {rings} in\tview.")
    assert question.endswith("Report: A bell {rings} in view.")
    assert question.startswith(DISTIL[:40])


def test_licence_and_hash_of_a_folder_are_found(tiny_folders: dict[str, Path], tmp_path: Path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(tiny_folders["distiller"], folder)
    assert find_model(str(folder), ()).licence == "not established"
    (folder / "README.md").write_text(
        "---\nlicense: other\nlicense_name: apache-2.0\nlanguage: en\n---\n# Model\n"
    )
    found = find_model(str(folder), ())
    assert found.facts() == {
        "model": "model",
        "licence": "apache-2.0 (says its model card)",
        "weights_sha256": weights.sha256_of(folder / "model.safetensors"),
    }
    (folder / "README.md").write_text("# license: mit is only said here\n")
    assert find_model(str(folder), ()).licence == "not established"


def test_what_is_missing_is_said_in_one_sentence(
    tiny_folders: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SPATIALFOLEY_HOME", str(tmp_path))
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    monkeypatch.delenv("HF_HUB_CACHE", raising=False)
    with pytest.raises(
        WeightsError, match=r"weights of qwen2.5-omni-7b are not on this machine; get them with"
    ):
        find_model("qwen2.5-omni-7b", KINDS)
    with pytest.raises(
        WeightsError, match=r"model is 'qwen9', neither a folder nor one of qwen2\.5-omni-3b, "
    ):
        find_model("qwen9", KINDS)
    with pytest.raises(WeightsError, match="holds a model of type 'qwen3'; this stage needs qwen2_5_omni or"):
        find_model(str(tiny_folders["distiller"]), KINDS)
    with pytest.raises(WeightsError, match=r"has no config\.json that names a model_type"):
        find_model(str(tmp_path), KINDS)


def test_damaged_folders_are_refused(tiny_folders: dict[str, Path], tmp_path: Path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(tiny_folders["distiller"], folder)
    settings = json.loads((folder / "config.json").read_text())
    more = {"num_hidden_layers": 3, "layer_types": ["full_attention"] * 3}
    (folder / "config.json").write_text(json.dumps({**settings, **more}))
    with pytest.raises(WeightsError, match=re.escape("lacks 11 weights of model (model.layers.2.")):
        _distiller(folder)
    (folder / "config.json").write_text(json.dumps(settings))
    (folder / "tokenizer.json").write_text("{")
    with pytest.raises(WeightsError, match=r"the tokenizer in .* cannot be read"):
        _distiller(folder)
    (folder / "model.safetensors").write_bytes(b"nothing")
    with pytest.raises(WeightsError, match="model cannot be loaded from"):
        _distiller(folder)


@pytest.fixture
def _nothing_held() -> Iterator[None]:
    before = dict(held_models._held)
    held_models._held.clear()
    yield
    held_models._held.clear()
    held_models._held.update(before)


@pytest.mark.usefixtures("_nothing_held")
def test_a_full_device_lets_go_of_the_other_model_and_tries_once_more() -> None:
    assert held("first", lambda: "one") == "one"
    assert held("first", lambda: "another") == "one"
    room = iter([torch.OutOfMemoryError("full"), "two"])

    def make() -> str:
        made = next(room)
        if isinstance(made, Exception):
            raise made
        return made

    assert held("second", make) == "two"
    assert held_models._held == {"second": "two"}

    def too_much() -> str:
        raise torch.OutOfMemoryError("full")

    with pytest.raises(torch.OutOfMemoryError):
        alone("second", too_much)
    assert held_models._held == {"second": "two"}


def test_devices_have_names() -> None:
    assert device_of("cpu") == CPU
    assert dtype_of(CPU) == torch.float32
    assert dtype_of(torch.device("cuda:0")) == torch.bfloat16
    with pytest.raises(ValueError, match="device is 'tpu'; give auto, cpu, cuda or cuda:NUMBER"):
        device_of("tpu")
    with pytest.raises(ValueError, match=r"device is 'cuda:99', but this machine has \d+ GPUs"):
        device_of("cuda:99")
