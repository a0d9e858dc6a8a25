"""Two processes train one model: the published layout has a table that is never read, which must not stop them."""

import json
import os
import subprocess
import sys
from pathlib import Path

from spatialfoley.dataset.clip_tensors import write_clip_tensors
from tests.training.test_published_task import RECIPES, SMALL, random_clips


def test_two_processes_share_a_run(tmp_path: Path) -> None:
    write_clip_tensors(tmp_path / "clips", random_clips(channels=1, variants=1), 4)
    script = tmp_path / "command.py"
    script.write_text("from spatialfoley.cli import main\nmain()\n")
    changes = [
        *SMALL,
        "steps=3",
        "log_every_steps=1",
        f"output={tmp_path / 'run'}",
        f"data.folder={tmp_path / 'clips'}",
    ]
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    command = [*launch, str(script), "train", str(RECIPES / "visage_vggsound.yaml")]
    done = subprocess.run(
        [*command, *(part for change in changes for part in ("--set", change))],
        env={**os.environ, "ACCELERATE_USE_CPU": "true", "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    lines = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [1, 2, 3], "one process writes the log"
    assert (tmp_path / "run" / "model.safetensors").is_file()
