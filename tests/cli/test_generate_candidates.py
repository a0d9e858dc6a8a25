from pathlib import Path

import pytest

from spatialfoley.cli import run
from spatialfoley.codecs.tiny import TinyCodec, TinyCodecConfig
from spatialfoley.features.tiny import TinyEncoder, TinyFeatures
from spatialfoley.generators.visage.config import VisageConfig
from spatialfoley.pipeline.field_fitting import refuse_misfits

ABSENT = "is not on this machine; get it with `spatialfoley models fetch"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--candidates", "0"), "candidates is 0; give a whole number from 1 to 32"),
        (("--candidates", "33"), "candidates is 33; give a whole number from 1 to 32"),
        (
            ("--candidates", "2", "--rerank", "nice"),
            "rerank is 'nice'; give one or more of likelihood, spatial",
        ),
        (("--rerank", "spatial"), "rerank is spatial, but candidates is 1 and leaves nothing to choose"),
        (("--chain", "mp3"), "chain has the codec 'mp3'; it takes dac_44khz, unicodec, tiny"),
        (("--chain", "tiny,dac"), f"the codec dac_44khz {ABSENT} dac_44khz`"),
        (("--candidates", "2", "--rerank", "audio-visual"), "needs a plug-in, and none is installed"),
        (("--candidates", "2", "--model", "tiny-visaudio"), "take a model that draws tokens, such as visage"),
        (("--chain", "tiny", "--model", "tiny-visaudio"), "chain is tiny, but tiny-visaudio makes binaural"),
    ],
)
def test_what_cannot_be_gets_one_sentence(
    video_file: Path, tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str], options: tuple[str, ...], message: str,
) -> None:  # fmt: skip
    monkeypatch.setenv("SPATIALFOLEY_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    model = () if "--model" in options else ("--model", str(tiny_model))
    assert run(["generate", str(video_file), *model, *options, "--out", str(tmp_path / "out")]) == 2
    line = capsys.readouterr().err.strip().splitlines()[-1]
    assert line.startswith("error: ")
    assert message in line
    assert not list((tmp_path / "out").glob("*"))


def test_licences_are_shown_before_the_sound_is_made(
    video_file: Path, tiny_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = [
        "generate",
        str(video_file),
        "--model",
        str(tiny_model),
        "--outputs",
        "foa",
        "--candidates",
        "2",
    ]
    command += ["--chain", "tiny", "--out", str(tmp_path / "out")]
    assert run(command) == 0
    assert "chain: tiny-visage (part of this package): licence MIT" in capsys.readouterr().err
    assert run(command) == 0
    assert "done before, skipped" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"dac_vocab_size": 128}, "knows the tokens 0 to 127 .* but the codec writes 0 to 255"),
        (
            {"dac_vocab_size": 512},
            r"draws tokens up to 511 \(dac_vocab_size\), but the codec knows only 0 to 255",
        ),
        (
            {"dac_vocab_size": 512, "token_ranges": ((100, 300),)},
            r"draws tokens up to 299 \(token_ranges\), but the codec knows only 0 to 255",
        ),
        ({"dac_vocab_size": 512, "token_ranges": ((100, 256),)}, None),
        ({"dac_vocab_size": 256}, None),
    ],
)
def test_a_generator_and_a_codec_of_other_tokens_are_refused(
    changes: dict[str, object], message: str | None
) -> None:
    codec = TinyCodec(TinyCodecConfig(width=8, blocks=1, latent_dim=4, shape_levels=2, vocabulary_size=256))
    features = TinyFeatures(TinyEncoder())
    sizes = {"clip_frame_rate": features.frame_rate_hz, "dac_pad_token_id": changes["dac_vocab_size"]}
    config = VisageConfig.tiny(**{**sizes, **changes})
    if message is None:
        refuse_misfits(config, features, codec)
    else:
        with pytest.raises(ValueError, match=message):
            refuse_misfits(config, features, codec)
