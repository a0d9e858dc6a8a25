from pathlib import Path

import numpy as np
import pytest
import soundfile

from spatialfoley.evaluation.networks.listener import Heard
from spatialfoley.evaluation.pairs import run as run_module
from spatialfoley.evaluation.pairs.cameras import Cameras
from spatialfoley.evaluation.pairs.clip_scoring import ClipScorer
from spatialfoley.evaluation.pairs.matching import SoundSource
from spatialfoley.evaluation.pairs.records import RECORDS_FILE
from spatialfoley.evaluation.pairs.run import PairResult, PairSettings, score_systems
from spatialfoley.evaluation.report.document import SystemRow, Table
from spatialfoley.spatial.direction import Direction
from spatialfoley.spatial.foa import to_fuma
from tests.evaluation.pairs.sounds import RATE_HZ, ears, mono, sound, wave, write

CLIPS = "abc"
QUIET = PairSettings(listeners=(), exhibits=0)


def run(tmp_path: Path, settings: PairSettings = QUIET, **layouts: str) -> PairResult:
    """Score the folders of a temporary folder, each a system, against its folder "truth"."""
    names = [path.name for path in sorted(tmp_path.iterdir()) if path.is_dir()]
    sources = {
        name: SoundSource(name, tmp_path / name, layouts.get(name, "auto"))  # type: ignore[arg-type]
        for name in names
        if name not in ("out", "store", "videos")
    }
    truth = sources.pop("truth")
    return score_systems(list(sources.values()), truth, tmp_path / "out", settings)


def scores(result: PairResult, system: str = "ours") -> dict[str, dict]:
    return {
        row["clip"]: row["scores"] for row in result.records if row["system"] == system and "scores" in row
    }


def table(result: PairResult, title: str) -> Table:
    return next(table for table in result.report.tables if table.title.startswith(title))


def row(table: Table, name: str = "ours") -> SystemRow:
    return next(row for row in table.rows if row.name == name)


def listening(tmp_path: Path, **changes: object) -> PairSettings:
    return PairSettings(store=tmp_path / "store", exhibits=0, **changes)  # type: ignore[arg-type]


def fields(tmp_path: Path, clips: str = CLIPS, off_deg: float = 40.0) -> None:
    for index, clip in enumerate(clips):
        write(tmp_path / "truth" / f"{clip}.wav", wave(60 * index, seed=index))
        write(tmp_path / "ours" / f"{clip}.foa.wav", wave(60 * index + off_deg, rate_hz=24000, seed=index))


def test_fields_are_scored_as_fields_and_as_ears(tmp_path: Path) -> None:
    fields(tmp_path)
    result = run(tmp_path)
    assert (result.scored, result.failures) == (3, {})
    for found in scores(result).values():
        assert found["peak_angle_deg"] == pytest.approx(40, abs=1)
        assert found["cc/all/correct"] == pytest.approx(np.cos(np.radians(40)), abs=0.01)
    # A source in front has no side; the others have.
    assert [found["level_error_db"] is None for found in scores(result).values()] == [True, False, False]
    figure = row(table(result, "Where: the sound field")).figures["peak_angle_deg"]
    assert (figure.value, figure.count) == (pytest.approx(40, abs=1), 3)
    assert any("3 clips at 24000 Hz with a truth at 16000 Hz" in line for line in result.report.introduction)
    assert "assumed to look to the front" in result.report.introduction[0]
    paper = table(result, "In the form of ViSAGe's tables")
    assert row(paper).figures["cc_all"].value == pytest.approx(
        scores(result)["a"]["cc/all/reference"], abs=0.1
    )
    assert len(paper.published_rows) == 19
    assert np.median(result.report.histograms[0].values["ours"]) == pytest.approx(40, abs=1)


def test_every_layout_meets_the_truth(tmp_path: Path) -> None:
    for clip in CLIPS:
        write(tmp_path / "truth" / f"{clip}.wav", wave(50))
        write(tmp_path / "mono" / f"{clip}.wav", mono())
        write(tmp_path / "heard" / f"{clip}.binaural.wav", ears(50))
        left = np.zeros((6, 2 * RATE_HZ), np.float32)
        left[4] = mono().samples[0]
        write(tmp_path / "surround" / f"{clip}.wav", sound(left, "5.1"))
        fuma = tmp_path / "fuma" / f"{clip}.flac"
        fuma.parent.mkdir(exist_ok=True)
        soundfile.write(fuma, to_fuma(wave(50).samples).T, RATE_HZ)
    result = run(tmp_path, fuma="fuma")
    assert (result.scored, result.failures) == (12, {})
    assert scores(result, "fuma")["a"]["peak_angle_deg"] == pytest.approx(0, abs=0.5)
    heard, one = scores(result, "heard")["a"], scores(result, "mono")["a"]
    assert "peak_angle_deg" not in heard
    assert heard["level_error_db"] == pytest.approx(0, abs=0.01)
    assert one["one_channel_twice"] == 1
    assert scores(result, "surround")["a"]["louder_ear_right"] == 1
    said = "\n".join(result.report.introduction)
    assert "mono holds no field: scores of fields are not defined for it; its ears are compared" in said
    assert "5.1 mixed down to two ears (ITU-R BS.775) (3 clips)" in said
    spatial = table(result, "Where: the sound field")
    assert row(spatial, "mono").figures["peak_angle_deg"] is None
    # The wrong order of channels is heard as another place.
    wrong = run(tmp_path, fuma="foa")
    assert scores(wrong, "fuma")["a"]["peak_angle_deg"] > 30


def test_ears_are_heard_where_the_camera_looks(tmp_path: Path) -> None:
    write(tmp_path / "truth" / "a.wav", wave(90))
    write(tmp_path / "ours" / "a.wav", ears(0))
    front = scores(run(tmp_path))["a"]["level_error_db"]
    cameras = Cameras({"a": Direction(90.0)}, tmp_path / "cameras.csv", "0" * 64)
    turned = scores(run(tmp_path, PairSettings(listeners=(), exhibits=0, cameras=cameras)))["a"]
    # Seen from a camera that faces the source, the true ears are alike: no side, so no error of a side.
    assert front > 5
    assert turned["level_error_db"] is None


def test_missing_and_extra_files_stop_the_run_unless_it_is_partial(tmp_path: Path) -> None:
    fields(tmp_path)
    (tmp_path / "ours" / "a.foa.wav").rename(tmp_path / "ours" / "z.foa.wav")
    with pytest.raises(
        ValueError, match=r"ours lacks 1 \(a\) and has without a truth 1 \(z\); make them alike"
    ):
        run(tmp_path)
    result = run(tmp_path, PairSettings(listeners=(), exhibits=0, partial=True))
    assert result.scored == 2
    assert (
        "a partial comparison of 2 clips; missing: 1 (a); without a truth: 1 (z)"
        in result.report.introduction[1]
    )


def test_broken_files_are_recorded_with_the_rule_and_the_rest_goes_on(tmp_path: Path) -> None:
    fields(tmp_path, "abcdef")
    (tmp_path / "ours" / "b.foa.wav").write_bytes(b"no sound")
    samples = wave(0).samples.copy()
    samples[2, 9] = np.nan
    soundfile.write(tmp_path / "ours" / "c.foa.wav", samples.T, RATE_HZ, subtype="FLOAT")
    write(tmp_path / "truth" / "d.wav", sound(np.zeros((4, 2 * RATE_HZ), np.float32), "foa"))
    write(tmp_path / "ours" / "e.foa.wav", wave(0, duration_s=4.0))
    write(tmp_path / "ours" / "f.foa.wav", sound(np.zeros((4, 2 * RATE_HZ), np.float32), "foa"))
    result = run(tmp_path)
    assert list(result.failures) == ["ours/b", "ours/c", "ours/d", "ours/e"]
    for clip, sentence in (
        ("b", "b.foa.wav"),
        ("c", "c.foa.wav holds NaN or infinite samples (nan at channel 2, sample 9)"),
        ("d", "d.wav is silent (peak 0); nothing can be compared with silence"),
        ("e", "e.foa.wav lasts 4.00 s and its truth 2.00 s; they may differ by 0.20 s"),
    ):
        assert sentence in result.failures[f"ours/{clip}"]
    assert result.report.failures == result.failures
    assert any("ours: silent sound in 1 (f): scored as it is" in line for line in result.report.introduction)
    assert scores(result)["f"]["peak_angle_deg"] == 90
    assert "4 pairs failed" in row(table(result, "Where: the sound field")).caveat
    assert "b.foa.wav" in (tmp_path / "out" / "report.md").read_text().replace("\\", "")


def test_when_nothing_can_be_scored_the_report_says_why(tmp_path: Path) -> None:
    fields(tmp_path, "a")
    (tmp_path / "ours" / "a.foa.wav").write_bytes(b"no sound")
    result = run(tmp_path)
    assert (result.scored, list(result.failures), result.report.tables) == (0, ["ours/a"], ())
    assert (tmp_path / "out" / "report.md").is_file()


def test_mono_is_compared_with_mono(tmp_path: Path) -> None:
    for index, clip in enumerate(CLIPS):
        write(tmp_path / "truth" / f"{clip}.wav", mono(seed=index))
        write(tmp_path / "ours" / f"{clip}.foa.wav", wave(30, seed=index))
        write(tmp_path / "theirs" / f"{clip}.wav", ears(30))
    result = run(tmp_path, listening(tmp_path))
    assert set(scores(result)["a"]) == {"onset_error_s", "envelope_l1", "level_db"}
    semantic = table(result, "What it sounds like")
    assert row(semantic).figures["fd/world/mix"].value == pytest.approx(0, abs=1e-3)
    assert row(semantic, "theirs").figures["fd/world/mix"].value > 1
    assert not any(one.title.startswith("In the form of") for one in result.report.tables)


def test_a_second_run_takes_over_what_is_done_and_scores_what_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fields(tmp_path)
    settings = listening(tmp_path)
    first = run(tmp_path, settings)
    worked: list[str] = []
    hear, look = ClipScorer._hear, ClipScorer._look
    monkeypatch.setattr(
        ClipScorer, "_look", lambda self, *given: worked.append(given[0].name) or look(self, *given)
    )
    second = run(tmp_path, settings)
    assert worked == []
    assert second.records == first.records
    write(tmp_path / "ours" / "b.foa.wav", wave(0))
    changed = run(tmp_path, settings)
    assert worked == ["b"]
    assert scores(changed)["b"]["peak_angle_deg"] == pytest.approx(60, abs=1)
    # Another setting is another score; what listeners heard without it stays good.
    heard: list[str] = []
    monkeypatch.setattr(
        ClipScorer, "_hear", lambda self, *given: heard.append(given[1]) or hear(self, *given)
    )
    run(
        tmp_path,
        listening(tmp_path, cameras=Cameras({c: Direction(90.0) for c in CLIPS}, tmp_path / "c", "0")),
    )
    assert worked == ["b", "a", "b", "c"]
    assert heard == ["world"] * 3


def test_a_killed_run_goes_on_after_the_last_whole_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fields(tmp_path)
    whole = run(tmp_path)
    lines = (tmp_path / "out" / RECORDS_FILE).read_text().splitlines(keepends=True)
    (tmp_path / "out" / RECORDS_FILE).write_text(lines[0] + lines[1][: len(lines[1]) // 2])
    worked: list[str] = []
    look = ClipScorer._look
    monkeypatch.setattr(
        ClipScorer, "_look", lambda self, *given: worked.append(given[0].name) or look(self, *given)
    )
    again = run(tmp_path)
    assert worked == ["b", "c"]
    assert again.records == whole.records
    assert (tmp_path / "out" / RECORDS_FILE).read_text() == "".join(lines)


def test_a_damaged_embedding_is_made_anew(tmp_path: Path) -> None:
    fields(tmp_path)
    settings = listening(tmp_path)
    first = run(tmp_path, settings)
    entries = sorted((tmp_path / "store").rglob("*.npz"))
    assert len(entries) == 6
    entries[0].write_bytes(entries[0].read_bytes()[:100])
    entries[1].unlink()
    second = run(tmp_path, settings)
    assert second.records == first.records
    assert table(second, "What it") == table(first, "What it")


def test_a_store_too_small_for_a_run_is_said_and_changes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fields(tmp_path)
    first = run(tmp_path, listening(tmp_path))
    assert "GB" not in capsys.readouterr().out
    second = run(tmp_path, listening(tmp_path, store_limit_gb=0.0))
    assert (second.records, second.report.tables) == (first.records, first.report.tables)
    assert "takes more than the 0 GB kept in" in capsys.readouterr().out
    assert not list((tmp_path / "store").rglob("*.npz"))
    third = run(tmp_path, listening(tmp_path))
    assert (third.records, third.report.tables) == (first.records, first.report.tables)


def test_a_limit_below_nothing_is_refused(tmp_path: Path) -> None:
    fields(tmp_path, "a")
    with pytest.raises(ValueError, match=r"--cache-gb\) is -1\.0; give 0 or more gigabytes"):
        run(tmp_path, listening(tmp_path, store_limit_gb=-1.0))


def test_two_processes_find_what_one_finds(tmp_path: Path) -> None:
    fields(tmp_path)
    one = run(tmp_path)
    (tmp_path / "out" / RECORDS_FILE).unlink()
    two = run(tmp_path, PairSettings(listeners=(), exhibits=0, jobs=2))
    # Sums of one thread and of several differ in their last digits.
    for found, expected in zip(two.records, one.records, strict=True):
        assert found["clip"] == expected["clip"]
        assert set(found["scores"]) == set(expected["scores"])
        for key, value in expected["scores"].items():
            near = None if value is None else pytest.approx(value, rel=1e-6, abs=1e-6)
            assert found["scores"][key] == near, key


def test_the_protocol_of_visage_stands_beside_the_correct_figures(tmp_path: Path) -> None:
    for index, clip in enumerate(CLIPS):
        write(tmp_path / "truth" / f"{clip}.wav", wave(60 * index, duration_s=6.0, seed=index))
        write(tmp_path / "ours" / f"{clip}.foa.wav", wave(60 * index, duration_s=2.0, seed=index))
    result = run(tmp_path, listening(tmp_path, protocol="visage", listeners=("world",)))
    assert {record["duration_s"] for record in result.records} == {5.0}
    figures = row(table(result, "What it sounds like")).figures
    assert set(figures) == {
        f"{kind}/world/{view}"
        for kind in ("fd", "fd_unbiased", "kl")
        for view in ("dec", "dec_published", "channels")
    } | {"envelope_l1"}
    paper = table(result, "In the form of ViSAGe's tables")
    assert [one.name for one in paper.own_rows] == ["ours", "ours (decoded as published)"]


def test_the_protocol_of_visaudio_stretches_sound_of_compressed_video(tmp_path: Path) -> None:
    for clip in CLIPS:
        write(tmp_path / "truth" / f"{clip}.wav", ears(50, duration_s=8.0))
        write(tmp_path / "ours" / f"{clip}.foa.wav", wave(50, duration_s=5.0))
        write(tmp_path / "theirs" / f"{clip}.wav", sound(ears(50, duration_s=10.0).samples, "stereo"))
    settings = listening(tmp_path, protocol="visaudio", listeners=("world",))
    refused = run(tmp_path, settings)
    assert "lasts 5.00 s and its truth 8.00 s" in refused.failures["ours/a"]
    result = run(
        tmp_path, listening(tmp_path, protocol="visaudio", listeners=("world",), restored=frozenset(["ours"]))
    )
    assert result.failures == {}
    assert "estimate: stretched to 8 s (3 clips)" in "\n".join(result.report.introduction)
    assert scores(result)["a"]["louder_ear_right"] == 1
    assert len(table(result, "What it sounds like").rows) == 2


def test_one_clip_is_too_few_for_a_covariance(tmp_path: Path) -> None:
    fields(tmp_path, "a")
    semantic = table(run(tmp_path, listening(tmp_path)), "What it sounds like")
    assert row(semantic).figures["fd/world/mix"] is None
    assert row(semantic).figures["kl/world/mix"] is not None
    assert any("1 clip is too few for a covariance of world's 336 numbers" in note for note in semantic.notes)


def test_the_worst_and_the_best_clips_are_shown_once(tmp_path: Path) -> None:
    for index, clip in enumerate("abcdef"):
        write(tmp_path / "truth" / f"{clip}.wav", wave(0, seed=index))
        write(tmp_path / "ours" / f"{clip}.foa.wav", wave(20 * index, seed=index))
    cameras = Cameras({clip: Direction(30.0) for clip in "abcdef"}, tmp_path / "cameras.csv", "0")
    result = run(tmp_path, PairSettings(listeners=(), cameras=cameras, exhibits=2))
    shown = [(exhibit.clip, exhibit.caption.split(":")[0]) for exhibit in result.report.exhibits]
    assert shown == [("f", "worst"), ("e", "worst"), ("a", "best"), ("b", "best")]
    first = result.report.exhibits[0]
    assert "100" in first.caption
    assert (first.sounds["truth"].layout, first.camera.yaw_deg[0]) == ("foa", 30)
    assert first.figures["angle, °"] == pytest.approx(100, abs=1)


def test_cameras_and_videos_must_cover_every_clip(tmp_path: Path) -> None:
    fields(tmp_path)
    with pytest.raises(ValueError, match=r"c\.csv has no camera for 2 \(b, c\)"):
        run(
            tmp_path,
            PairSettings(listeners=(), cameras=Cameras({"a": Direction(0)}, tmp_path / "c.csv", "0")),
        )
    (tmp_path / "videos").mkdir()
    with pytest.raises(ValueError, match=r"videos has no video \(\.mp4, .*\) of 3 \(a, b, c\)"):
        run(tmp_path, PairSettings(listeners=(), videos=tmp_path / "videos"))
    with pytest.raises(ValueError, match="scores against the picture need the clips' videos"):
        run(tmp_path, PairSettings(listeners=(), picture_scorers=("synchformer",)))
    with pytest.raises(ValueError, match="jobs is 0; give 1 process or more"):
        run(tmp_path, PairSettings(listeners=(), jobs=0))


class Ear:
    """A listener of a published name that hears level and brightness: the real one's weights are not here."""

    weights_sha256 = "0" * 64
    embedding_size, classes, softmax_posteriors = 2, 3, True

    def __init__(self, name: str) -> None:
        self.name = name

    def hear(self, sounds: np.ndarray, rate_hz: int) -> Heard:
        cut = sounds[:, : sounds.shape[1] // 2 * 2].reshape(len(sounds), 2, -1)
        levels = np.stack([cut.std(axis=2), np.abs(np.diff(cut, axis=2)).mean(axis=2)], axis=2)
        return Heard(levels.astype(np.float32), np.pad(levels[:, 0], [(0, 0), (0, 1)]).astype(np.float32))


def test_own_rows_fill_the_columns_of_the_papers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_module, "_listener", lambda name, device: Ear(name))
    fields(tmp_path)
    visage = run(tmp_path, listening(tmp_path, protocol="visage"))
    form = table(visage, "In the form of ViSAGe's tables")
    plain, published = form.own_rows
    assert [key for key, figure in plain.figures.items() if figure is None] == []
    assert plain.figures["fad_avg"] == row(table(visage, "What it")).figures["fd/vggish/channels"]
    assert published.figures["fad_dec"] == row(table(visage, "What it")).figures["fd/vggish/dec_published"]
    assert published.figures["fad_dec"].value != plain.figures["fad_dec"].value
    assert set(visage.weights) == {"vggish", "passt"}
    visaudio = run(tmp_path, listening(tmp_path, protocol="visaudio"))
    form = table(visaudio, "In the form of ViSAudio's tables")
    (own,) = form.own_rows
    assert {key for key, figure in own.figures.items() if figure is None} == {"desync", "ib_score"}
    assert own.figures["kl_pann_avg"] == row(table(visaudio, "What it")).figures["kl/cnn14/avg"]
    assert "kl/vggish/avg" not in row(table(visaudio, "What it")).figures
    assert len(form.published_rows) == 23
    # The formula of ViSAudio's divergences is not that of ViSAGe's: the column stays empty.
    ours = run(tmp_path, listening(tmp_path, listeners=("passt", "vggish")))
    assert row(table(ours, "In the form of ViSAGe's tables")).figures.get("kld_dec") is None
