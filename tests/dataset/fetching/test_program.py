"""Calling yt-dlp: nothing secret is told, and no two calls write one file."""

import subprocess
import sys
from pathlib import Path

import pytest

from spatialfoley.dataset.factory.stage import ItemProblem, TransientProblem
from spatialfoley.dataset.fetching.program import ask, only_one
from spatialfoley.dataset.fetching.settings import FetchSettings


def program(folder: Path, text: str) -> str:
    path = folder / "yt-dlp"
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return str(path)


def settings(folder: Path, text: str, *arguments: str) -> FetchSettings:
    return FetchSettings(yt_dlp=program(folder, text), arguments=arguments, pause_s=0, jitter_s=0)


def test_arguments_are_handed_on_and_left_out_of_messages(tmp_path: Path) -> None:
    secret = "http://me:word@proxy:1"
    echo = settings(
        tmp_path, 'echo "ERROR: cannot use $*" >&2; exit 1', "--proxy", secret, f"--token={secret}x"
    )
    with pytest.raises((ItemProblem, TransientProblem)) as problem:
        ask(echo, "abcdefghijk", "android_vr")
    said = str(problem.value)
    assert "--proxy … --token=…" in said
    assert "word" not in said


def test_an_answer_that_is_no_json_is_the_programs_fault(tmp_path: Path) -> None:
    with pytest.raises(ItemProblem, match=r"did not answer in JSON; look at what download\.yt_dlp starts"):
        ask(settings(tmp_path, "echo hello"), "abcdefghijk", "")
    with pytest.raises(ItemProblem, match="found no recording at the address of abcdefghijk"):
        ask(settings(tmp_path, "echo null"), "abcdefghijk", "")


def test_a_download_that_outlived_its_build_keeps_others_away(tmp_path: Path) -> None:
    folder = tmp_path / "downloads"
    with only_one(folder) as lock:
        assert lock is not None
        child = subprocess.Popen(
            [sys.executable, "-S", "-c", "input()"], stdin=subprocess.PIPE, pass_fds=(lock,)
        )
    try:
        with (
            pytest.raises(TransientProblem, match="an earlier download of it is still running"),
            only_one(folder),
        ):
            pass
    finally:
        child.communicate(b"\n")
    with only_one(folder):
        pass
