from pathlib import Path

import pytest

from spatialfoley.evaluation.pairs.matching import (
    SoundSource,
    listed,
    match,
    parse_source,
    parse_sources,
    sound_files,
)
from tests.evaluation.pairs.sounds import mono, write


def folder(path: Path, *names: str) -> Path:
    for name in names:
        write(path / "tone.wav", mono(0.1)).rename(path / name)
    return path


def test_a_system_has_a_name_a_path_and_a_layout(tmp_path: Path) -> None:
    ours = folder(tmp_path / "ours", "a.wav")
    assert parse_source(str(ours)) == SoundSource("ours", ours, "auto")
    assert parse_source(f"S2S={ours}:5.1") == SoundSource("S2S", ours, "5.1")
    assert parse_source(f"{ours}:fuma") == SoundSource("ours", ours, "fuma")
    assert parse_source(f"{ours}", "mono", name="truth") == SoundSource("truth", ours, "mono")
    odd = folder(tmp_path / "x=1:foa", "a.wav")
    assert parse_source(str(odd)) == SoundSource("x=1:foa", odd, "auto")


def test_systems_that_cannot_be_told_apart_or_found_are_named(tmp_path: Path) -> None:
    ours = folder(tmp_path / "ours", "a.wav")
    with pytest.raises(ValueError, match="two systems are called 'ours'; name them: NAME="):
        parse_sources([str(ours), f"{ours}:foa"])
    with pytest.raises(ValueError, match="a system is called 'truth'"):
        parse_sources([f"truth={ours}"])
    with pytest.raises(ValueError, match="nowhere does not exist"):
        parse_sources([str(tmp_path / "nowhere")])
    with pytest.raises(ValueError, match=r"is 'ambix'; it must be one of auto, mono"):
        parse_source(f"{ours}:ambix")
    with pytest.raises(ValueError, match="no generated sound is given"):
        parse_sources([])


def test_endings_do_not_count_and_the_layout_decides_between_twins(tmp_path: Path) -> None:
    place = folder(
        tmp_path / "p", "b.foa.wav", "b.binaural.wav", "c.binaural.wav", "a.FLAC", "notes.txt", ".hidden.wav"
    )
    found = {name: path.name for name, path in sound_files(SoundSource("p", place)).items()}
    assert found == {"a": "a.FLAC", "b": "b.foa.wav", "c": "c.binaural.wav"}
    by_layout = sound_files(SoundSource("p", place, "binaural"))
    assert by_layout["b"].name == "b.binaural.wav"
    assert "c" not in sound_files(SoundSource("p", place, "foa"))


def test_two_files_of_one_name_are_an_error(tmp_path: Path) -> None:
    place = folder(tmp_path / "p", "a.wav", "a.flac")
    with pytest.raises(ValueError, match=r"a\.flac and a\.wav are both 'a'; keep one file"):
        sound_files(SoundSource("p", place))
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(ValueError, match=r"empty holds no sound file \(\.wav, "):
        sound_files(SoundSource("p", empty))


def test_missing_and_extra_files_are_listed(tmp_path: Path) -> None:
    truth = SoundSource("truth", folder(tmp_path / "truth", *(f"{index:02}.wav" for index in range(30))))
    ours = SoundSource("ours", folder(tmp_path / "ours", "00.wav", "zz.wav"))
    with pytest.raises(ValueError) as problem:
        match(truth, ours)
    assert "ours lacks 29 (01, 02, " in str(problem.value)
    assert "20, and 9 more) and has without a truth 1 (zz)" in str(problem.value)
    assert "give --partial to score the 1 in both" in str(problem.value)
    matching = match(truth, ours, partial=True)
    assert (list(matching.files), len(matching.missing), matching.extra) == (["00"], 29, ("zz",))


def test_nothing_in_common_is_an_error_even_of_a_partial_comparison(tmp_path: Path) -> None:
    one = SoundSource("truth", folder(tmp_path / "one", "a.wav"))
    two = SoundSource("ours", folder(tmp_path / "two", "b.wav"))
    with pytest.raises(
        ValueError, match=r"no name is in both .*two \(1 sound files, such as 'b'\) and .*one \(1"
    ):
        match(one, two, partial=True)


def test_two_files_are_a_pair_whatever_their_names(tmp_path: Path) -> None:
    truth, ours = (write(tmp_path / f"{name}.wav", mono(0.1)) for name in ("x", "y"))
    assert match(SoundSource("truth", truth), SoundSource("ours", ours)).files == {"x": ours}


def test_twenty_names_are_listed_and_the_rest_counted() -> None:
    assert listed("abc") == "3 (a, b, c)"
    assert listed(str(index) for index in range(22)).endswith("18, 19, and 2 more)")
