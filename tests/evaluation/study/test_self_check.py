"""The check passes here, and fails when something it stands on is broken."""

import json
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from spatialfoley.cli import evaluate_check as verb
from spatialfoley.conventions import X, Y, Z
from spatialfoley.evaluation.study import known_ears, known_field, known_sound, self_check
from spatialfoley.evaluation.study.self_check import (
    Golden,
    check_figures,
    distance,
    load_golden,
    measures,
    run_self_check,
    write_golden,
)
from spatialfoley.media import audio
from spatialfoley.spatial import binaural, foa
from spatialfoley.spatial.head_filters import HeadFilters, omnitone_filters


def wrong_figures(found: dict[str, Callable]) -> list[str]:
    known = load_golden()
    rows = check_figures(found, {figure: known[figure] for figure in found})
    return [row.figure for row in rows if not row.ok]


def test_this_installation_measures_right(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert verb.evaluate_check(tmp_path) == 0
    printed = capsys.readouterr().out
    assert "This installation measures right" in printed
    assert "numpy " + np.__version__ in printed
    document = json.loads((tmp_path / "check.json").read_text(encoding="utf-8"))
    assert document["ok"] is True
    assert len(document["figures"]) == len(measures()) + 1


def test_analytic_answers_are_what_their_formulas_give() -> None:
    expected = {figure: golden.expected for figure, golden in load_golden().items()}
    z = 1.959963984540054
    formulas = {
        "CC of waves 60° apart": math.cos(math.radians(60)),
        "AUC of waves 60° apart": (1 + math.cos(math.radians(60))) / 2,
        "mono decode as published": 1 + math.cos(math.radians(140)),
        "mono decode, stray division": 0.5 + math.sin(math.radians(60)) / 2 * 0.3 * 0.4,
        "KL, av-bench": 0.5 * math.log(2) + 0.25 * math.log(0.5),
        "KL, audioldm": 0.5 * math.log(0.5 / 0.250001)
        + 0.25 * math.log(0.25 / 0.500001)
        + 0.25 * math.log(0.25 / 0.250001),
        "level of half a tone": 20 * math.log10(0.5),
        "FD of a set and itself, shifted": 1.0 + 4.0 + 4.0,
        "Wilson interval of 5 in 10": [
            (0.5 + z * z / 20 + side * z * math.sqrt(0.025 + z * z / 400)) / (1 + z * z / 10)
            for side in (-1, 1)
        ],
        "made ears: 6 dB, 5 samples": [20 * math.log10(2), 5 / 16000 * 1e6],
        "psi, coherence: half and half": [2 * 1 / (2 + 2), 1 * 1 / (2 * 2)],
    }
    for figure, answer in formulas.items():
        assert expected[figure] == pytest.approx(answer, abs=1e-8), figure


def test_a_wrong_head_filter_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    right = omnitone_filters()
    swapped = HeadFilters(right.responses[::-1].copy(), right.rate_hz, "left and right swapped")
    monkeypatch.setattr(binaural, "omnitone_filters", lambda: swapped)
    known_ears._mean_cues.cache_clear()
    wrong = wrong_figures(known_ears.MEASURES)
    known_ears._mean_cues.cache_clear()
    assert {"ears: click from 90°", "ears: level from 90°", "ears: delay from 30°"} <= set(wrong)
    assert "coherence of equal ears" not in wrong


def test_swapped_channels_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(foa, "VECTOR_CHANNELS", (Y, X, Z))
    wrong = wrong_figures(known_field.MEASURES)
    assert {"encoding of front, left, up, back", "direction of the map's peak"} <= set(wrong)
    assert "picture and sound, same camera" in wrong


def test_published_gains_in_place_of_the_right_ones_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    from spatialfoley.spatial import energy_map

    right = energy_map.beam_gains
    monkeypatch.setattr(energy_map, "beam_gains", lambda vectors, variant="sn3d": right(vectors, "reference"))
    energy_map._grid_products.cache_clear()
    found = known_field.MEASURES["map of a plane wave"]()
    energy_map._grid_products.cache_clear()
    assert distance(load_golden()["map of a plane wave"], found) > 0.1


def test_a_wrong_resampler_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def linear(samples: np.ndarray, from_hz: float, to_hz: float, quality: str) -> np.ndarray:
        times = np.arange(round(len(samples) * to_hz / from_hz)) * from_hz / to_hz
        columns = [np.interp(times, np.arange(len(samples)), column) for column in samples.T]
        return np.stack(columns, axis=1).astype(np.float32)

    monkeypatch.setattr(audio.soxr, "resample", linear)
    wrong = wrong_figures(known_sound.MEASURES)
    assert "resampler 48 to 16 kHz, alias of 9 kHz" in wrong
    assert "resampler 44.1 to 16 kHz, tone of 1 kHz" in wrong
    assert "resampler, samples of 5 s" not in wrong


def test_a_changed_tolerance_or_number_is_found(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    entries = json.loads(self_check._golden_bytes(None))
    entries["CC of waves 60° apart"]["tolerance"] = 1.0
    loosened = json.dumps(entries).encode()
    monkeypatch.setattr(self_check, "_golden_bytes", lambda path: loosened)
    row = self_check._file_row()
    assert not row.ok
    assert "golden.json was changed" in row.reason
    # One that is tightened beyond what arithmetic can do is found as well: tolerances are used.
    entries["CC of waves 60° apart"]["tolerance"] = 0.0
    path = tmp_path / "golden.json"
    path.write_text(json.dumps(entries), encoding="utf-8")
    monkeypatch.undo()
    tight = {"CC of waves 60° apart": load_golden(path)["CC of waves 60° apart"]}
    assert [row.ok for row in check_figures({name: measures()[name] for name in tight}, tight)] == [False]


def test_failures_are_told_with_an_exit_code(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken() -> float:
        raise OSError("no such filter")

    figures = {
        "CC of waves 60° apart": lambda: 0.47,
        "level of half a tone": broken,
        "unheard of": lambda: 1.0,
    }
    monkeypatch.setattr(self_check, "measures", lambda: figures)
    assert verb.evaluate_check() == 1
    printed = capsys.readouterr()
    assert "does NOT measure right" in printed.out
    assert "OFF BY 0.03" in printed.out
    assert "level of half a tone: OSError: no such filter" in printed.err
    assert "unheard of: golden.json has no number for it" in printed.err
    assert "nothing measures this figure" in printed.err


def test_every_figure_has_a_golden_number_and_the_file_is_the_known_one() -> None:
    assert set(load_golden()) == set(measures())
    assert self_check._file_row().ok


def test_golden_numbers_are_written_as_they_are_known(tmp_path: Path) -> None:
    figures = ("CC of waves 60° apart", "CC as published, 60° apart")
    known = {figure: load_golden()[figure] for figure in figures}
    write_golden(tmp_path / "golden.json", known)
    assert load_golden(tmp_path / "golden.json") == known


@pytest.mark.parametrize(
    ("relation", "measured", "off_by"),
    [("equal", 1.5, 0.5), ("at most", 0.5, 0.0), ("at most", 1.25, 0.25), ("at least", 0.5, 0.5)],
)
def test_distances_from_the_answer(relation: str, measured: float, off_by: float) -> None:
    assert distance(Golden(1.0, 0.1, relation, "required", ""), measured) == off_by


def test_nan_and_a_wrong_count_are_infinitely_far() -> None:
    golden = Golden([1.0, 2.0], 0.1, "equal", "analytic", "")
    assert distance(golden, [1.0, math.nan]) == math.inf
    assert distance(golden, [1.0]) == math.inf


def test_a_golden_number_without_a_sensible_tolerance_is_refused() -> None:
    with pytest.raises(ValueError, match="tolerance is -1; it must be a finite number from 0 on"):
        Golden(1.0, -1, "equal", "analytic", "")
    with pytest.raises(ValueError, match="relation is 'about'; it must be one of equal, at most, at least"):
        Golden(1.0, 0.0, "about", "analytic", "")


def test_another_file_is_not_held_against_the_known_hash(tmp_path: Path) -> None:
    path = tmp_path / "golden.json"
    path.write_text("{}", encoding="utf-8")
    check = run_self_check(path)
    assert not check.ok
    assert all(row.reason == "golden.json has no number for it" for row in check.rows)
