"""docs/metrics.md says what the committed run says, and the run says what the code gives today."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from spatialfoley.evaluation.networks.loading import load_listener
from spatialfoley.evaluation.report.published import published_tables
from spatialfoley.evaluation.study.defects import silence_defects
from spatialfoley.evaluation.study.self_check import load_golden
from spatialfoley.evaluation.study.sensitivity import applies
from spatialfoley.evaluation.study.sensitivity_distortions import CURVES, STATES
from spatialfoley.evaluation.study.sensitivity_responses import METRICS, respond, view
from spatialfoley.evaluation.study.sensitivity_scenes import KINDS, make_study_scene
from spatialfoley.evaluation.study.sensitivity_tables import cell, fill_page, page_tables

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "metrics.md"
RUN = ROOT / "docs" / "results" / "metric_sensitivity.json"


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    return json.loads(RUN.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def page() -> str:
    return PAGE.read_text(encoding="utf-8")


def test_the_tables_of_the_page_are_those_of_the_run(page: str, document: dict[str, Any]) -> None:
    assert fill_page(page, document) == page
    assert len(re.findall("<!-- table: ", page)) == len(page_tables(document))
    assert len(page.splitlines()) <= 200


def test_the_sentences_of_the_page_are_those_of_the_run(page: str, document: dict[str, Any]) -> None:
    def said(mistake: str, metric: str, level: float = 0.0, kind: str = "one", form: str = ".3f") -> str:
        figures = cell(document, mistake, level, kind)
        assert figures is not None
        return f"{figures[metric][0]:{form}}"

    def defect(name: str, scored: str, figure: str, side: str = "defective", form: str = ".3f") -> str:
        found = {(row["defect"], row["scored"], row["figure"]): row for row in document["defects"]}
        return f"{found[name, scored, figure][side]:{form}}"

    settings, horizon, in_view = document["settings"], "camera near the horizon", "world clip, source in view"
    golden = {figure: answer.expected for figure, answer in load_golden().items()}
    encoder = ("Ambi Enc. both", "CC, All, as published")
    stray = ("stray division in the mono decode", "the truth itself", "FD, decoded")
    only_w = ("(for comparison: W in place of the decode)", *stray[1:])
    sentences = (
        f"{settings['scenes']} of each with the same sounds",
        f"takes {document['processor seconds']} s of one core",
        f"keeps CC All {said('path backwards', 'cc/all/correct', kind='moving')}",
        f"leaves CC All {said('diffuse noise', 'cc/all/correct', 0.0)}",
        f"ten times as strong) CC All is {said('diffuse noise', 'cc/all/correct', -10.0)}",
        f"the right direction has CC 5 fps {said('steady noise, right direction', 'cc/5fps/correct')}",
        f"N3D read as SN3D: CC {said('N3D read as SN3D', 'cc/all/correct')}, "
        f"AUC {said('N3D read as SN3D', 'auc/all/correct')}, "
        f"angle {said('N3D read as SN3D', 'peak_deg', form='.1f')}°",
        f"WXYZ read as WYZX is {said('WXYZ read as WYZX', 'peak_deg', form='.0f')}° off on average",
        f"random direction ({said('true sound, random direction', 'peak_deg', form='.0f')}°)",
        f"the truth mirrored gets CC {said('left and right mirrored', 'cc/all/correct')}",
        f"always the front gets {said('true sound, front', 'cc/all/correct')}",
        f"shipped filters: {golden['ears: level from 90°']:.1f} dB, {golden['ears: delay from 90°']:.0f} µs",
        f"about the up axis it loses ({said('azimuth error', 'cc/all/correct', 60)} to "
        f"{said('azimuth error', 'cc/all/reference', 60)})",
        f"of one source have {said('WXYZ read as WYZX', 'fd/channels', form='.1f')}, "
        f"of two {said('WXYZ read as WYZX', 'fd/channels', kind='two', form='.1f')}",
        f"({defect(encoder[0], horizon, encoder[1])} near the horizon, "
        f"{defect(encoder[0], in_view, encoder[1])} in view)",
        f"a right one ({defect(encoder[0], horizon, encoder[1], 'right')}, "
        f"{defect(encoder[0], in_view, encoder[1], 'right')})",
        f"FD {defect(*stray, form='.1f')} of the truth itself, W alone {defect(*only_w, form='.1f')}",
    )
    flat = " ".join(page.split())
    assert [sentence for sentence in sentences if sentence not in flat] == []


def test_what_the_page_says_of_published_rows_is_in_them(page: str) -> None:
    rows = [row for table in published_tables() for row in table.rows if "Ambi Enc" in row.name]
    ccs = sorted({figure.value for row in rows if (figure := row.figures.get("cc_all")) is not None})
    assert len(rows) >= 4
    assert ccs == [0.28, 0.349]
    assert "0.280 and 0.349" in page


def test_claims_without_numbers_hold_in_the_run(document: dict[str, Any]) -> None:
    def mean(mistake: str, metric: str, level: float = 0.0, kind: str = "one") -> float:
        figures = cell(document, mistake, level, kind)
        assert figures is not None
        return figures[metric][0]

    # AUC is (1 + CC) / 2 for one source.
    for angle in (20.0, 60.0, 120.0):
        expected = (1 + mean("azimuth error", "cc/all/correct", angle)) / 2
        assert mean("azimuth error", "auc/all/correct", angle) == pytest.approx(expected, abs=0.003)
    # All other figures ignore 20 dB, or nearly so.
    for metric in METRICS:
        if metric.key != "level_db":
            difference = mean("gain", metric.key, -20.0) - mean("none", metric.key)
            assert difference == pytest.approx(0, abs=0.01), metric.key
    # Coherence and FD of W are blind to swapped channels; FD of channels sees a silent one and another sound.
    for kind in KINDS:
        swapped, right = (mean(name, "coherence", kind=kind) for name in ("WXYZ read as WYZX", "none"))
        assert swapped == pytest.approx(right, abs=1e-3), kind
    assert mean("WXYZ read as WYZX", "fd/w") < 0.1
    assert mean("Y silent", "fd/channels") > 10 * mean("WXYZ read as WYZX", "fd/channels")
    # What mirrors left and right leaves FD of channels at 0 in every kind of scene.
    for kind in KINDS:
        assert mean("left and right mirrored", "fd/channels", kind=kind) < 0.01
    # Only psi, map L1 and the ears see N3D read as SN3D.
    assert mean("N3D read as SN3D", "psi") < 0.9
    assert mean("N3D read as SN3D", "l1/5fps") > 0.05
    assert mean("N3D read as SN3D", "ear_level_db") > 1.0
    # Points, lag and period move nothing by 0.001.
    for row in document["defects"]:
        if row["defect"].startswith(("rows thinned", "true-positive rate", "period")):
            assert abs(row["shift"][0]) < 0.001, row
    # D does not know left from right.
    assert mean("left and right mirrored", "distance") == pytest.approx(mean("none", "distance"), abs=0.001)


def test_the_run_is_of_this_version_of_the_study(document: dict[str, Any]) -> None:
    assert document["listener"] == {"world": load_listener("world").weights_sha256}
    known = {
        (one.name, level, kind)
        for one in (*STATES, *CURVES)
        for kind in KINDS
        for level in one.levels
        if applies(one, kind)
    }
    ran = {(row["distortion"], row["level"], row["kind"]) for row in document["cells"]}
    assert known <= ran


@pytest.mark.parametrize(
    ("mistake", "level"),
    [
        ("azimuth error", 60),
        ("diffuse noise", 0),
        ("FuMa read as AmbiX", 0.0),
        ("true sound, diffuse", 0.0),
        ("other sound, right direction", 0.0),
    ],
)
def test_a_part_of_the_run_comes_out_again(document: dict[str, Any], mistake: str, level: float) -> None:
    settings, listener = document["settings"], load_listener("world")
    scene = make_study_scene("one", 0, settings["seed"], settings["duration_s"])
    distortion = next(one for one in (*STATES, *CURVES) if one.name == mistake)
    wrong = distortion.apply(scene, level, settings["seed"])
    found = respond(view(scene.field, listener), view(wrong, listener))
    row = next(
        row
        for row in document["cells"]
        if (row["distortion"], row["level"], row["kind"]) == (mistake, level, "one")
    )
    for key, then in zip(document["metrics"], row["first"], strict=False):
        if then is None:
            assert found[key] is None, key
        else:
            assert found[key] == pytest.approx(then, rel=2e-3, abs=2e-3), key


def test_a_part_of_the_defects_comes_out_again(document: dict[str, Any]) -> None:
    settings = document["settings"]
    known = {(row["defect"], row["scored"], row["figure"]): row for row in document["defects"]}
    for row in silence_defects(settings["scenes"], settings["seed"], settings["duration_s"]):
        then = known[row.defect, row.scored, row.figure]
        found = [row.right, row.defective, row.shift.value, row.shift.low, row.shift.high]
        assert found == pytest.approx([then["right"], then["defective"], *then["shift"][:3]], abs=1e-4)
