import importlib
import sys
from pathlib import Path

import numpy as np
import pytest

from spatialfoley.weights.agreement import PluginInfo, list_plugins, load_plugin

# Loudness of the sound against brightness of the picture: enough to be right or wrong.
MODULE = """
import numpy as np

calls = []


class Network:
    weights_sha256 = "0" * 64

    def embed_frames(self, frames, frame_rate_hz):
        calls.append(("frames", frames.shape, frame_rate_hz))
        bright = frames.mean() / 255
        return np.array([bright, 1 - bright])

    def embed_sound(self, mono, rate_hz):
        calls.append(("sound", mono.shape, rate_hz))
        loud = min(1.0, float(np.abs(mono).max()))
        return 7 * np.array([loud, 1 - loud])


def load(device):
    calls.append(("load", device))
    return Network()


load.licence = "CC BY-NC-SA 4.0: no commercial use"


def without_licence(device):
    return Network()


def broken(device):
    raise OSError("weights.pth is missing\\nsecond line")


broken.licence = "MIT"


def half(device):
    return object()


half.licence = "MIT"


class Zero(Network):
    def embed_sound(self, mono, rate_hz):
        return np.zeros(2)


class Wider(Network):
    def embed_sound(self, mono, rate_hz):
        return np.ones(3)


def zero(device):
    return Zero()


def wider(device):
    return Wider()


zero.licence = wider.licence = "MIT"
"""
POINTS = ("load", "without_licence", "broken", "half", "zero", "wider")


def install(folder: Path, package: str, entries: str) -> None:
    """What an installer writes for a small package."""
    about = folder / f"{package.replace('-', '_')}-0.3.dist-info"
    about.mkdir(parents=True)
    (about / "METADATA").write_text(
        f"Metadata-Version: 2.4\nName: {package}\nVersion: 0.3\nLicense-Expression: Apache-2.0\n"
    )
    (about / "entry_points.txt").write_text(f"[spatialfoley.agreement]\n{entries}\n")


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


@pytest.fixture
def plugin(site: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (site / "tiny_agreement.py").write_text(MODULE)
    entries = [f"{name} = tiny_agreement:{name}" for name in POINTS] + ["absent = not_a_module:load"]
    install(site, "tiny-agreement", "\n".join(entries))
    importlib.invalidate_caches()
    monkeypatch.delitem(sys.modules, "tiny_agreement", raising=False)
    return site


def silent(line: str) -> None:
    """Takes the licence and shows it to nobody."""


def clip() -> tuple[np.ndarray, np.ndarray]:
    return np.full((5, 4, 6, 3), 255, np.uint8), np.linspace(-1, 1, 800)


def test_without_a_plugin_one_sentence_says_what_to_install(site: Path) -> None:
    assert list_plugins() == ()
    with pytest.raises(
        ValueError, match=r"'imagebind' \(such as the IB-Score\) needs a plug-in, and none is"
    ):
        load_plugin("imagebind", silent)


def test_installed_plugins_are_listed_without_importing_them(plugin: Path) -> None:
    found = list_plugins()
    assert [info.name for info in found] == sorted([*POINTS, "absent"])
    assert found[0] == PluginInfo("absent", "tiny-agreement", "0.3", "Apache-2.0")
    assert "tiny_agreement" not in sys.modules


def test_licence_is_shown_before_weights_are_read(plugin: Path) -> None:
    shown: list[str] = []

    def show(line: str) -> None:
        assert sys.modules["tiny_agreement"].calls == []
        shown.append(line)

    scorer = load_plugin("load", show, device="cpu")
    assert shown == [
        "load (tiny-agreement 0.3, a plug-in): licence of its weights: CC BY-NC-SA 4.0: no commercial use"
    ]
    assert sys.modules["tiny_agreement"].calls == [("load", "cpu")]
    assert (scorer.name, scorer.licence) == ("load", "CC BY-NC-SA 4.0: no commercial use")
    assert scorer.weights_sha256 == "0" * 64


def test_who_declines_the_licence_reads_no_weights(plugin: Path) -> None:
    def decline(line: str) -> None:
        raise PermissionError(line)

    with pytest.raises(PermissionError, match="no commercial use"):
        load_plugin("load", decline)
    assert sys.modules["tiny_agreement"].calls == []


def test_score_is_the_cosine_of_picture_and_sound(plugin: Path) -> None:
    scorer = load_plugin("load", silent)
    frames, loud = clip()
    assert scorer(frames, 25.0, loud, 16000) == pytest.approx(1.0)
    assert scorer(frames, 25.0, 1e-9 * loud, 16000) == pytest.approx(0.0, abs=1e-6)
    assert scorer(frames // 2, 25.0, loud, 16000) == pytest.approx(0.5**0.5, abs=0.01)
    assert sys.modules["tiny_agreement"].calls[1:3] == [
        ("frames", (5, 4, 6, 3), 25.0),
        ("sound", (800,), 16000),
    ]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("other", "agreement is 'other'; installed plug-ins are absent, broken, half, load, "),
        ("absent", "plug-in 'absent' of tiny-agreement cannot be imported: No module named 'not_a_module'"),
        ("without_licence", "'without_licence' of tiny-agreement does not say the licence of its weights"),
        ("broken", r"'broken' of tiny-agreement cannot be loaded: weights\.pth is missing$"),
        ("half", "'half' of tiny-agreement lacks embed_frames, embed_sound, weights_sha256"),
    ],
)
def test_plugins_that_cannot_be_used_say_why(plugin: Path, name: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        load_plugin(name, silent)


def test_two_packages_under_one_name_are_refused(plugin: Path) -> None:
    install(plugin, "other-agreement", "load = tiny_agreement:load")
    importlib.invalidate_caches()
    with pytest.raises(ValueError, match=r"offered by several packages \(other-agreement, tiny-agreement\)"):
        load_plugin("load", silent)


def test_embeddings_without_a_cosine_are_refused(plugin: Path) -> None:
    with pytest.raises(
        ValueError, match=r"'zero' gave no direction for the sound \(shape \(2,\), length 0\)"
    ):
        load_plugin("zero", silent)(clip()[0], 25.0, clip()[1], 16000)
    with pytest.raises(ValueError, match="'wider' embeds the picture in 2 dimensions and the sound in 3"):
        load_plugin("wider", silent)(clip()[0], 25.0, clip()[1], 16000)


def test_clips_of_another_form_are_refused(plugin: Path) -> None:
    scorer, (frames, mono) = load_plugin("load", silent), clip()
    with pytest.raises(ValueError, match=r"frames is float64 of shape \(5, 4, 6, 3\); give uint8"):
        scorer(frames.astype(float), 25.0, mono, 16000)
    for bad in (mono[None], np.full(9, np.nan), np.zeros(0)):
        with pytest.raises(ValueError, match="is no finite waveform"):
            scorer(frames, 25.0, bad, 16000)
