"""The measurements of the factory run at small sizes, and the plan follows from their figures."""

import json
import re
from pathlib import Path

import pytest
from benchmarks.dataset_build import main
from benchmarks.dataset_material import field, panorama
from benchmarks.dataset_plan import assumed, disk_plan, time_plan
from benchmarks.dataset_plan import main as plan
from benchmarks.dataset_tables import report

from spatialfoley.dataset.biaudio.localisation import loudest_direction
from spatialfoley.spatial.direction import Direction, angle_between_deg

STAGES = [
    {"stage": "silence", "cpu_s": 2.0, "wall_s": 3.0, "rejected": 0},
    {"stage": "biaudio_clips", "cpu_s": 4.0, "wall_s": 5.0, "rejected": 0},
]
FIGURES = {
    "machine": "a machine",
    "native_views": "C",
    "clip_s": 8.0,
    "frame_rate_hz": 30.0,
    "duration_s": 20.0,
    "clips_per_recording": 2.0,
    "height_px": 960,
    "view_px": 512,
    "stages": STAGES,
    "builds": [
        {"workers": 1, "clips": 10, "cpu_s": 20.0, "wall_s": 40.0, "bytes_out": 10_000_000},
        {"workers": 2, "clips": 10, "cpu_s": 25.0, "wall_s": 25.0, "bytes_out": 10_000_000},
    ],
    "engine": [{"executor": "processes", "tasks": 10, "cpu_s_per_task": 0.0036, "wall_s_per_task": 0.01}],
}
RATES = {"ours, C": 0.002, "pyequilib, numpy": 0.1, "pyequilib, torch": 0.02, "py360convert": None}


def test_a_quick_measurement_gives_every_table_and_the_plan(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["--quick", "--json", str(tmp_path / "found.json")])
    printed = capsys.readouterr().out
    for row in (
        "ours, C",
        "published arithmetic",
        "rotation of a field",
        "biaudio_clips",
        "coordinator of pro",
    ):
        assert row in printed
    found = json.loads((tmp_path / "found.json").read_text())
    assert [build["clips"] for build in found["builds"]] == [1]
    assert found["clips_per_recording"] == 1
    assert all(stage["rejected"] == 0 for stage in found["stages"])
    plan([str(tmp_path / "found.json")])
    assert "they run beside each other" in capsys.readouterr().out


def test_tables_say_what_the_figures_say() -> None:
    rates = [
        {"name": name, "cpu_s": seconds, "wall_s": seconds, "off_levels": 0.0}
        for name, seconds in RATES.items()
    ]
    text = report({**FIGURES, "projections": rates})
    assert "reached: 10.0 times as fast as the faster pyequilib (target ≥ 5)" in text
    assert "| py360convert | not installed |" in text
    assert "| ours, C | 2.00 | 2.00 | 2.08 | 10.0 |" in text
    assert "reached: 4.0 seconds of clips per CPU second, biaudio_clips" in text
    assert "reached: 3.3 seconds of recordings per CPU second, all stages" in text
    assert "| 2 | 10 | 0.400 | 2.50 | 1.00 | 1.60 |" in text
    assert "2 workers on free cores would be 1.60 times as fast as 1." in text


def test_a_plan_follows_from_figures_and_assumptions() -> None:
    cluster = ["recordings=1000", "recording_s=10", "machines=2", "cores_per_machine=5", "share_of_cores=0.5"]
    network = ["fetched_per_used=1", "video_mbit_per_s=7", "sound_mbit_per_s=1", "download_mbit_per_s=4"]
    given = assumed([*cluster, *network, "clips_per_recording=1"])
    times, hours = time_plan(FIGURES, given)
    values = {what: value for what, value, _ in times.lines}
    # 1000 recordings of half the measured length and 3 CPU s; ten cores, half of each.
    assert values["stages"] == "1 core hours"
    assert values["stages, all machines"] == "0.17 h"
    # 2000 stages of 3.6 ms.
    assert values["coordinator"] == "0.00 h"
    # 10,000 s of 8 Mbit/s through 8 Mbit/s.
    assert values["download"] == "2.8 h"
    assert hours == pytest.approx(10_000 / 3600)
    disk, kept = disk_plan(FIGURES, given, hours)
    sizes = {what: value for what, value, _ in disk.lines}
    assert sizes["shards"] == "1.00 GB"
    assert sizes["PE-Spatial, 16 bit, as the paper keeps it"] == "33.6 GB"
    assert kept > 34e9


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("speed=2", "'speed' is no assumption; they are clip_tflop_per_picture, "),
        ("machines=many", "machines is 'many'; give a number such as machines=2"),
        ("machines=0", "machines is 0; it must be above 0"),
    ],
)
def test_an_assumption_that_cannot_be_is_refused(text: str, sentence: str) -> None:
    with pytest.raises(ValueError, match=re.escape(sentence)):
        assumed([text])


def test_made_material_is_loudest_where_its_disc_is_and_has_no_seam() -> None:
    loudest = loudest_direction(field(2.0, seed=5).samples).direction
    assert loudest is not None
    # The source of seed 5 goes from 5° to 29° in two seconds.
    assert angle_between_deg(loudest.vector(), Direction(17.0).vector()) < 12.0
    picture = panorama(64, 0).astype(int)
    inner = abs(picture[:, 1:] - picture[:, :-1]).mean()
    assert abs(picture[:, 0] - picture[:, -1]).mean() < 1.5 * inner
