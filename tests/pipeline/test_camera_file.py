import hashlib
import json

import numpy as np
import pytest

from spatialfoley.pipeline.camera_file import read_camera_file

HEADER = "time_s,yaw_deg,pitch_deg,roll_deg\n"


def camera(tmp_path, text, name="cam.csv"):
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return read_camera_file(path)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("cam.csv", HEADER + "0,10,-5,2\n0.5,20,-4,1\n"),
        ("cam.csv", "time,yaw,pitch,roll\n0,10,-5,2\n0.5,20,-4,1"),
        ("cam.txt", "\ufeff# my tracker\r\nRoll; Time ;pitch_deg;yaw\r\n2;0;-5;10\r\n\r\n1;0.5;-4;2e1\r\n"),
        ("cam.tsv", "yaw\ttime\tpitch\troll\n10\t0\t-5\t2\n20\t0.5\t-4\t1\n"),
        (
            "cam.json",
            '[{"time_s":0,"yaw":10,"pitch":-5,"roll":2},{"roll":1,"time_s":0.5,"yaw":"20","pitch":-4}]',
        ),
        ("cam", '{"time": [0, 0.5], "yaw": [10, 20], "pitch": [-5, -4], "roll": [2, 1]}'),
    ],
)
def test_all_forms_say_the_same(tmp_path, name, text):
    found = camera(tmp_path, text, name).trajectory
    np.testing.assert_array_equal(found.times_s, [0, 0.5])
    np.testing.assert_array_equal(found.angles_at([0, 0.5]), [[10, 20], [-5, -4], [2, 1]])


def test_pitch_and_roll_may_be_left_out(tmp_path):
    found = camera(tmp_path, "time,yaw\n0,10\n1,20\n").trajectory
    np.testing.assert_array_equal(found.angles_at([0.5]), [[15], [0], [0]])


def test_file_is_known_by_its_bytes(tmp_path):
    text = HEADER + "0,1,2,3\n"
    assert camera(tmp_path, text).sha256 == hashlib.sha256(text.encode()).hexdigest()


def test_jumps_of_a_tracker_go_the_short_way_and_turns_add_up(tmp_path):
    times = np.arange(0, 40, 0.5)
    turning = times * 30.0  # more than three turns to the left
    wrapped = (turning + 180) % 360 - 180
    lines = "".join(f"{t},{yaw},0,{-yaw}\n" for t, yaw in zip(times, wrapped, strict=True))
    found = camera(tmp_path, HEADER + lines).trajectory
    np.testing.assert_allclose(found.yaw_deg, turning, atol=1e-9)
    np.testing.assert_allclose(found.roll_deg, -turning, atol=1e-9)


def test_after_a_jump_slow_lines_go_on_as_written(tmp_path):
    found = camera(tmp_path, "time,yaw\n0,170\n1,-170\n4,-150\n9,-330\n").trajectory
    np.testing.assert_array_equal(found.yaw_deg, [170, 190, 210, 30])


def test_clip_inside_a_video_has_its_own_clock(tmp_path):
    whole = camera(tmp_path, "time,yaw\n0,0\n8,80\n16,160\n")
    clip = whole.over_clip(4.0, 6.0)
    np.testing.assert_allclose(clip.angles_at([0, 3, 6])[0], [40, 70, 100])
    assert whole.over_clip(0.0, 17.0).pose_at(17).yaw_deg == 160


def test_holes_outside_the_clip_do_not_count(tmp_path):
    gappy = camera(tmp_path, "time,yaw\n0,0\n5,1\n30,2\n35,3\n")
    assert gappy.over_clip(30, 5).pose_at(0).yaw_deg == 2
    with pytest.raises(ValueError, match="hole"):
        gappy.over_clip(28, 5)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"cam.csv is empty; give a line with time_s,yaw_deg,pitch_deg,roll_deg \(or time,yaw,pitch,roll\)"),
        ("# nothing\n", "holds only comments"),
        (HEADER, r"cam.csv holds no pose; give one for each moment"),
        ("0,0,0,0\n1,0,0,0\n", r"line 1 of .*cam.csv names '0'; the columns are time_s,yaw_deg"),
        ("time,yaw,heading\n0,0,0\n", r"line 1 of .* names 'heading'; the columns are"),
        ("time,yaw,yaw_deg\n0,0,0\n", r"line 1 of .* names yaw_deg twice; keep one"),
        ("time,pitch\n0,0\n", r"line 1 of .* does not name yaw_deg"),
        (HEADER + "0,0,0,0\n1,0,0\n", r"line 3 of .* has 3 values for 4 columns"),
        (HEADER + "0,0,,0\n", r"line 2 of .* has no pitch_deg; fill it in or leave the pose out"),
        (HEADER + "0,0,0,0\n\n1,nan,0,0\n", r"line 4 of .* has yaw_deg nan; give a finite number"),
        (HEADER + "0,0,0,inf\n", r"line 2 of .* has roll_deg inf"),
        (HEADER + "0,left,0,0\n", r"line 2 of .* has yaw_deg left; give a finite number such as 1.5"),
        (HEADER + "0,0,91,0\n", r"line 2 of .* has pitch_deg 91; give degrees from -90 \(down\) to 90"),
        (HEADER + "0,0,0,0\n2,0,0,0\n1,0,0,0\n", r"line 4 of .* has time_s 1 after 2 of line 3; sort by time"),
        (HEADER + "0,0,0,0\n1,0,0,0\n1,5,0,0\n", r"line 4 of .* has time_s 1, and so has line 3; keep one"),
        (HEADER + "0,0,0,0\n9,360,0,0\n", r"line 3 of .* has yaw_deg 360 and line 2, 9 s earlier, 0: more"),
        ('[{"time": 0, "yaw": 1}, 5]', r"entry 2 of .* is 5; give an object with"),
        ('[{"time": 0, "yaw": 1}, {"time": 1, "yaw": NaN}]', r"entry 2 of .* has yaw_deg nan"),
        ('[{"time": 0, "yaw": 1}, {"time": 1, "yaw": null}]', r"entry 2 of .* has no yaw_deg"),
        ('[{"time": 0, "yaw": true}]', r"entry 1 of .* has yaw_deg True"),
        ('[{"time": 0, "yaw": [1]}]', r"entry 1 of .* has yaw_deg \[1\]"),
        ('[{"time": 0, "yaw": 1}, {"time": 1, "yaw": 2, "roll": 1}]', r"entry 2 of .* differs from entry 1 in"),
        ('[{"t": 0, "yaw": 1}]', r"entry 1 of .* names 't'"),
        ("[]", "holds no pose"),
        ("{}", r"the object of .* does not name time_s"),
        ('{"time": [0, 1], "yaw": [0]}', r"lists of different lengths \(time 2, yaw 1\)"),
        ('{"time": 0, "yaw": [0]}', r"lists of different lengths \(time no list, yaw 1\)"),
        ('{"time": [0', r"cam.csv is no JSON \(.*\); mend it"),
    ],
)  # fmt: skip
def test_wrong_files_are_refused_by_line(tmp_path, text, message):
    with pytest.raises(ValueError, match=message) as found:
        camera(tmp_path, text)
    assert "\n" not in str(found.value)


def test_json_suffix_wants_json(tmp_path):
    with pytest.raises(ValueError, match=r"cam.json is no JSON"):
        camera(tmp_path, HEADER + "0,0,0,0\n", "cam.json")
    with pytest.raises(ValueError, match="holds a int; give a list of objects"):
        camera(tmp_path, json.dumps(5), "cam.json")


def test_what_is_no_text_file_is_refused(tmp_path):
    (tmp_path / "cam.csv").write_bytes(bytes(range(256)))
    with pytest.raises(ValueError, match=r"cam.csv is no text; give a CSV or JSON file"):
        read_camera_file(tmp_path / "cam.csv")
    with pytest.raises(ValueError, match="is a folder; give a CSV or JSON"):
        read_camera_file(tmp_path)
    with pytest.raises(ValueError, match=r"none.csv does not exist; check the path of the camera file"):
        read_camera_file(tmp_path / "none.csv")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "time,yaw\n3,0\n20,0\n",
            r"cam.csv starts at 3 s \(line 2\), but the clip at 1 s; .* add a line for 1 s",
        ),
        (
            "time,yaw\n0,0\n9,0\n",
            r"cam.csv ends at 9 s \(line 3\), but the clip at 21 s; .* add a line for 21 s",
        ),
        (
            "time,yaw\n0,0\n4,0\n15,0\n20,0\n",
            r"cam.csv has no pose between 4 s \(line 3\) and 15 s \(line 4\), a hole of 11 s; write a line at "
            "least every 10 s",
        ),
    ],
)
def test_what_the_file_does_not_say_is_not_guessed(tmp_path, text, message):
    with pytest.raises(ValueError, match=message):
        camera(tmp_path, text).over_clip(1.0, 20.0)
