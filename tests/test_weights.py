import hashlib
import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from spatialfoley import weights
from spatialfoley.weights import WeightsError
from spatialfoley.weights.download import download_url

TENSORS = {"a.weight": torch.arange(6.0).reshape(2, 3), "a.bias": torch.ones(2)}


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SPATIALFOLEY_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub-cache"))
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    return tmp_path / "home"


def checkpoint(folder: Path, file: str = "model.safetensors") -> Path:
    folder.mkdir(parents=True)
    (folder / "config.json").write_text('{"d_model": 4}')
    if file.endswith(".safetensors"):
        save_file(TENSORS, str(folder / file))
    else:
        torch.save(TENSORS, folder / file)
    return folder


def same(found: dict[str, torch.Tensor]) -> bool:
    return found.keys() == TENSORS.keys() and all(torch.equal(found[name], TENSORS[name]) for name in TENSORS)


def test_registry_states_every_licence() -> None:
    names = [model.name for model in weights.list_models()]
    assert {"visage", "dac_44khz", "dac_16khz", "clip-vit-b-32", "tiny-visage"} <= set(names)
    assert len(set(names)) == len(names)
    assert all(model.licence for model in weights.list_models())
    visage = weights.info("visage")
    assert (visage.address, visage.commercial_use) == ("jaeyeonkim99/visage", "unknown")
    assert weights.licence_line("visage") == (
        "visage (https://huggingface.co/jaeyeonkim99/visage): licence not stated by its authors; "
        "ask the authors before any commercial use"
    )
    one_code = weights.info("visage-sc")
    assert (one_code.place, one_code.commercial_use) == ("unpublished", "unknown")
    assert weights.licence_line("visage-sc") == (
        "visage-sc (not published): licence none: its authors published no weights; the licence of UniCodec, its "
        "codec, is not stated; ask the authors before any commercial use"
    )
    with pytest.raises(
        WeightsError,
        match="no weights of visage-sc are published; train it, and `spatialfoley models import visage-sc FOLDER`",
    ):
        weights.fetch("visage-sc")
    listeners = [model for model in weights.list_models() if model.kind == "listener"]
    assert [model.name for model in listeners] == ["vggish", "cnn14-16k", "passt"]
    assert all(model.url and model.web_page and model.place == "release" for model in listeners)
    with pytest.raises(
        WeightsError, match="model is 'visagge'; give one of tiny-visage, tiny-visage-sc, tiny-visaudio, "
    ):
        weights.info("visagge")


def test_import_does_not_load_torch() -> None:
    code = "import sys, spatialfoley.weights; sys.exit('torch' in sys.modules or 'huggingface_hub' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("file", ["model.safetensors", "pytorch_model.bin", "visage.ckpt", "weights.pth"])
def test_every_file_kind_loads(tmp_path: Path, file: str) -> None:
    folder = checkpoint(tmp_path / "c", file)
    assert same(weights.load_state_dict(folder))
    assert same(weights.load_state_dict(folder / file))


def test_wrapped_state_dict_is_opened(tmp_path: Path) -> None:
    torch.save(
        {"state_dict": TENSORS, "metadata": {"kwargs": {"sample_rate": 44100}}}, tmp_path / "weights.pth"
    )
    assert same(weights.load_state_dict(tmp_path / "weights.pth"))


def test_numbers_of_a_trainer_beside_the_tensors_are_read(tmp_path: Path) -> None:
    sampler = {"pointers": np.arange(3), "queue": [np.int64(5)], "rate": np.float64(0.5)}
    torch.save({"iteration": 7, "model": TENSORS, "sampler": sampler}, tmp_path / "c.pth")
    assert same(weights.load_state_dict(tmp_path / "c.pth"))


def test_shards_load_and_missing_ones_are_named(tmp_path: Path) -> None:
    names = {"a.weight": "model-1.safetensors", "a.bias": "model-2.safetensors"}
    for key, file in names.items():
        save_file({key: TENSORS[key]}, str(tmp_path / file))
    index = tmp_path / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": names}))
    assert same(weights.load_state_dict(tmp_path))
    (tmp_path / "model-2.safetensors").unlink()
    with pytest.raises(WeightsError, match=r"lacks 1 of 2 weight files \(model-2\.safetensors\)"):
        weights.load_state_dict(tmp_path)
    index.write_text(json.dumps({"weight_map": {"a": "../elsewhere.safetensors"}}))
    with pytest.raises(WeightsError, match="points outside its folder"):
        weights.load_state_dict(tmp_path)


class _Runs:
    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return (exec, ("raise SystemExit('code from a checkpoint ran')",))


def test_a_checkpoint_never_runs_code(tmp_path: Path) -> None:
    torch.save({"a": _Runs()}, tmp_path / "evil.pth")
    with pytest.raises(
        WeightsError, match="besides tensors, which could run code; convert it to safetensors"
    ):
        weights.load_state_dict(tmp_path / "evil.pth")


def test_unreadable_weights_are_one_sentence(tmp_path: Path) -> None:
    whole = (checkpoint(tmp_path / "c") / "model.safetensors").read_bytes()
    (tmp_path / "cut.safetensors").write_bytes(whole[:-3])
    (tmp_path / "empty.bin").touch()
    torch.save([1, 2], tmp_path / "list.pth")
    (tmp_path / "nothing").mkdir()
    for name, message in {
        "cut.safetensors": "cannot be read as weights",
        "empty.bin": "cannot be read as weights",
        "list.pth": "holds a list, not named tensors",
        "nothing": "holds no weights; it needs model.safetensors or pytorch_model.bin",
        "none": "does not exist",
    }.items():
        with pytest.raises(WeightsError, match=message) as caught:
            weights.load_state_dict(tmp_path / name)
        assert "\n" not in str(caught.value)


def test_compare_keys_lists_what_is_wrong() -> None:
    expected = {"a.weight": (2, 3), "a.bias": (2,)}
    weights.compare_keys(expected, TENSORS)
    found = {"a.weight": (3, 2), "b": (1,), "c": (1,), "d": (1,), "e": (1,)}
    with pytest.raises(WeightsError) as caught:
        weights.compare_keys(expected, found, "folder/x")
    assert str(caught.value) == (
        "folder/x does not fit the model: of 2 tensors 1 missing (a.bias), 4 unexpected (b, c, d, ...), "
        "1 of another shape (a.weight [3, 2] instead of [2, 3]); give the checkpoint that belongs to this "
        "configuration"
    )


def test_hash_is_remembered_until_the_file_changes(tmp_path: Path) -> None:
    folder = checkpoint(tmp_path / "c")
    file = folder / "model.safetensors"
    memory = tmp_path / "hashes.json"
    expected = hashlib.sha256(file.read_bytes()).hexdigest()
    assert weights.sha256_of(folder, memory) == weights.sha256_of(file) == expected
    remembered = json.loads(memory.read_text())
    assert list(remembered.values()) == [expected]
    memory.write_text(json.dumps(dict.fromkeys(remembered, "remembered")))
    assert weights.sha256_of(file, memory) == "remembered"
    file.write_bytes(file.read_bytes() + b"x")
    assert weights.sha256_of(file, memory) == hashlib.sha256(file.read_bytes()).hexdigest()


@pytest.mark.parametrize("link", [False, True])
def test_import_then_locate(tmp_path: Path, own_home: Path, link: bool) -> None:
    assert weights.locate("visage") is None
    source = checkpoint(tmp_path / "download" / "ambigen", "pytorch_model.bin")
    seen: list[Path] = []
    folder = weights.import_folder("visage", source.parent, verify=seen.append, link=link)
    assert seen == [source]
    assert folder == weights.locate("visage") == own_home / "models" / "visage"
    assert sorted(file.name for file in folder.iterdir()) == ["config.json", "pytorch_model.bin"]
    assert (folder / "config.json").is_symlink() == link
    assert same(weights.load_state_dict(folder))
    assert [child.name for child in folder.parent.iterdir()] == ["visage"]


def test_a_refused_import_keeps_the_old_model(tmp_path: Path) -> None:
    old = weights.import_folder("visage", checkpoint(tmp_path / "one"))

    def refuse(folder: Path) -> None:
        raise WeightsError(f"{folder} does not fit")

    with pytest.raises(WeightsError, match="two does not fit"):
        weights.import_folder("visage", checkpoint(tmp_path / "two"), verify=refuse)
    assert weights.locate("visage") == old


def test_import_says_what_is_missing(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(WeightsError, match=r"is no checkpoint of visage: .*holds no weights"):
        weights.import_folder("visage", tmp_path / "empty")
    folder = checkpoint(tmp_path / "c")
    (folder / "config.json").write_text("{broken")
    with pytest.raises(WeightsError, match=r"config\.json is not valid JSON"):
        weights.import_folder("visage", folder)
    (folder / "config.json").unlink()
    with pytest.raises(WeightsError, match=r"has weights but no config\.json; copy that file too"):
        weights.import_folder("visage", folder)
    with pytest.raises(WeightsError, match="does not exist; give the folder that holds visage"):
        weights.import_folder("visage", tmp_path / "none")
    with pytest.raises(WeightsError, match="tiny-visage is part of the package"):
        weights.import_folder("tiny-visage", folder)
    checkpoint(tmp_path / "many" / "mono")
    checkpoint(tmp_path / "many" / "ambi")
    with pytest.raises(WeightsError, match=r"holds several checkpoints \(ambi, mono\); choose one"):
        weights.import_folder("visage", tmp_path / "many")


def test_the_original_dac_file_imports_alone(tmp_path: Path) -> None:
    torch.save({"state_dict": TENSORS, "metadata": {}}, tmp_path / "weights_44khz_8kbps_0.0.1.pth")
    folder = weights.import_folder("dac_44khz", tmp_path / "weights_44khz_8kbps_0.0.1.pth")
    assert weights.locate("dac_44khz") == folder
    assert same(weights.load_state_dict(folder))


def test_the_cache_of_the_hub_client_counts(tmp_path: Path) -> None:
    repository = tmp_path / "hub-cache" / "models--openai--clip-vit-base-patch32"
    snapshot = checkpoint(repository / "snapshots" / "abc")
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text("abc")
    assert weights.locate("clip-vit-b-32") == snapshot


def test_offline_fetch_says_exactly_what_to_do() -> None:
    for name, address in {
        "visage": "https://huggingface.co/jaeyeonkim99/visage,",
        "dac_44khz": "https://huggingface.co/descript/dac_44khz or https://github.com/descriptinc/",
    }.items():
        with pytest.raises(WeightsError) as caught:
            weights.fetch(name)
        message = str(caught.value)
        assert address in message
        assert f"run `spatialfoley models import {name} FOLDER`" in message
        assert "HF_ENDPOINT" in message
        assert "\n" not in message
        assert weights.locate(name) is None


class _Hub(BaseHTTPRequestHandler):
    """Just enough of the hub's protocol for its real client, and of a file server with ranges."""

    files: dict[str, bytes]
    cut_after: int | None = None

    def log_message(self, format: str, *args: object) -> None: ...

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        path = self.path.split("?")[0]
        if path.startswith("/api/models/"):
            entries = [
                {"type": "file", "path": name, "size": len(data), "oid": "0" * 40}
                for name, data in self.files.items()
            ]
            siblings = [{"rfilename": name} for name in self.files]
            answer: object = (
                entries if "/tree/" in path else {"id": "a/b", "sha": "c" * 40, "siblings": siblings}
            )
            return self._send(json.dumps(answer).encode(), {"Content-Type": "application/json"})
        data = self.files.get(path.rsplit("/", 1)[-1])
        if data is None:
            self.send_error(404)
            return None
        digest = hashlib.sha256(data).hexdigest()
        return self._send(data, {"ETag": f'"{digest}"', "X-Repo-Commit": "c" * 40})

    def _send(self, data: bytes, headers: dict[str, str]) -> None:
        start = int((self.headers.get("Range") or "bytes=0-").split("=")[1].split("-")[0])
        self.send_response(206 if "Range" in self.headers else 200)
        if "Range" in self.headers:
            self.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(data) - start))
        self.end_headers()
        if self.command == "GET":
            stop, type(self).cut_after = type(self).cut_after, None
            self.wfile.write(data[start:stop])


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[str]:
    folder = checkpoint(tmp_path / "served")
    _Hub.files = {file.name: file.read_bytes() for file in folder.iterdir()}
    _Hub.files["pytorch_model.bin"] = b"the same weights again"
    _Hub.cut_after = None
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Hub)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


def test_fetch_from_a_hub(hub: str, monkeypatch: pytest.MonkeyPatch, own_home: Path) -> None:
    monkeypatch.setenv("HF_ENDPOINT", hub)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    folder = weights.fetch("visage")
    assert folder == weights.locate("visage") == own_home / "models" / "visage"
    assert sorted(file.name for file in folder.iterdir()) == ["config.json", "model.safetensors"]
    assert same(weights.load_state_dict(folder))
    assert weights.fetch("visage") == folder


def test_one_file_is_fetched_from_a_hub_that_holds_a_family(
    hub: str, monkeypatch: pytest.MonkeyPatch, own_home: Path
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", hub)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    wanted = _Hub.files.pop("model.safetensors")
    names = ("mmaudio_small_16k.safetensors", "mmaudio_large_44k.safetensors")
    _Hub.files |= dict.fromkeys(names, wanted) | {f"weights/{name}": wanted for name in names}
    model = replace(weights.info("mmaudio_small_16k"), file=f"weights/{names[0]}")
    monkeypatch.setattr("spatialfoley.weights.store.info", lambda name: model)
    file = weights.fetch("mmaudio_small_16k")
    assert (
        file == weights.locate("mmaudio_small_16k") == own_home / "models" / model.name / "weights" / names[0]
    )
    assert same(weights.load_state_dict(file))
    held = {path.name for path in (own_home / "models" / model.name).rglob("*") if path.is_file()}
    assert held == {"config.json", names[0]}


def test_what_no_address_holds_is_not_fetched() -> None:
    with pytest.raises(WeightsError, match="no weights of visaudio are published; train it"):
        weights.fetch("visaudio")
    with pytest.raises(
        WeightsError, match="mmaudio is a family of models; fetch its members, each by its name: mm"
    ):
        weights.fetch("mmaudio")


def test_a_broken_download_goes_on_where_it_stopped(hub: str, tmp_path: Path) -> None:
    model = replace(weights.info("dac_44khz"), name="dac_44khz")
    file = tmp_path / "part.safetensors"
    _Hub.cut_after = 40
    with pytest.raises(WeightsError, match=r"stopped at 40 of .* it goes on from there"):
        download_url(model, f"{hub}/model.safetensors", file)
    assert file.stat().st_size == 40
    download_url(model, f"{hub}/model.safetensors", file)
    assert same(weights.load_state_dict(file))


def test_a_release_is_fetched_from_its_address_and_keeps_its_name(
    hub: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    torch.save(TENSORS, tmp_path / "net.pth")
    name = weights.info("cnn14-16k").url.rsplit("/", 1)[-1]
    _Hub.files[name.split("?")[0]] = (tmp_path / "net.pth").read_bytes()
    model = replace(weights.info("cnn14-16k"), url=f"{hub}/record/{name}")
    monkeypatch.setattr("spatialfoley.weights.store.info", lambda _: model)
    folder = weights.fetch("cnn14-16k")
    assert folder == weights.locate("cnn14-16k")
    assert [file.name for file in folder.iterdir()] == ["Cnn14_16k_mAP=0.438.pth"]
    assert same(weights.load_state_dict(folder))
