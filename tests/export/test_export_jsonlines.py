import json
import os
import subprocess
import sys
import uuid
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pycocotools import mask as coco

from keepsight.errors import OutputError
from keepsight.export import JsonLinesWriter
from keepsight.types import FrameResult, ObjectResult

MakeResult = Callable[..., FrameResult]
Feed = Callable[..., None]
FullDisk = Callable[[int], AbstractContextManager[None]]

# pycocotools.mask.decode, up to 2.0.11 at least, is behind numpy 2.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept:DeprecationWarning")


def read(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def names_of(path: Path) -> list[str]:
    return [line["fileName"] for line in read(path)]


def test_a_line_is_exactly_as_annotation_tools_take_it(tmp_path: Path, make_result: MakeResult) -> None:
    path = tmp_path / "out.jsonl"
    with JsonLinesWriter(path, {1: "dog"}, uids={1: "u-1"}, score=False, presence=False) as writer:
        writer.write(make_result(0, {1: (10, 20, 30, 40)}))
    corners = [{"x": 10, "y": 20}, {"x": 30, "y": 20}, {"x": 30, "y": 40}, {"x": 10, "y": 40}]
    label = {"name": "dog", "uid": "u-1", "type": "rect", "points": corners}
    assert read(path) == [{"fileName": "00000.jpg", "prelabels": [label]}]


def test_optional_fields_carry_score_presence_and_the_mask(tmp_path: Path, make_result: MakeResult) -> None:
    path, result = tmp_path / "out.jsonl", make_result(3, {1: (10, 20, 30, 40)})
    with JsonLinesWriter(path, rle=True, file_name=lambda index: f"frame-{index}.png") as writer:
        writer.write(result)
    (line,) = read(path)
    (label,) = line["prelabels"]
    assert line["fileName"] == "frame-3.png"
    assert (label["name"], label["score"], label["presence"]) == ("object_1", 0.75, 0.5)
    assert np.array_equal(coco.decode(label["rle"]).astype(bool), result[1].mask)


def test_each_track_keeps_one_uuid_and_absent_objects_have_no_label(
    tmp_path: Path, make_result: MakeResult
) -> None:
    path, rect = tmp_path / "out.jsonl", (1, 1, 5, 5)
    with JsonLinesWriter(path) as writer:
        writer.write(make_result(0, {1: rect, 2: rect}))
        writer.write(make_result(1, {1: None, 2: rect}))
        writer.write(make_result(2, {1: None, 2: None}))
        writer.write(make_result(3, {1: rect}))
    tracks = [{label["name"]: label["uid"] for label in line["prelabels"]} for line in read(path)]
    assert [list(track) for track in tracks] == [["object_1", "object_2"], ["object_2"], [], ["object_1"]]
    assert tracks[0]["object_1"] == tracks[3]["object_1"] != tracks[0]["object_2"] == tracks[1]["object_2"]
    assert uuid.UUID(tracks[0]["object_1"]).version == 4


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(order=st.lists(st.integers(0, 30), max_size=40))
def test_frames_end_up_in_order_and_the_last_word_on_a_frame_counts(
    tmp_path: Path, make_result: MakeResult, order: list[int]
) -> None:
    path = tmp_path / "out.jsonl"
    with JsonLinesWriter(path) as writer:
        for turn, index in enumerate(order):
            writer.write(make_result(index, {1: (turn, 0, turn + 1, 1)}))
            assert names_of(path) == [f"{done:05d}.jpg" for done in order[: turn + 1]]
    last = {index: turn for turn, index in enumerate(order)}
    assert names_of(path) == [f"{index:05d}.jpg" for index in sorted(last)]
    assert [line["prelabels"][0]["points"][0]["x"] for line in read(path)] == [last[i] for i in sorted(last)]


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(name=st.text(max_size=20), score=st.floats(0, 1), data=st.data())
def test_any_name_score_and_mask_come_back(
    tmp_path: Path, name: str, score: float, data: st.DataObject
) -> None:
    height, width = data.draw(st.tuples(st.integers(1, 12), st.integers(1, 12)))
    bits = data.draw(st.lists(st.booleans(), min_size=height * width, max_size=height * width))
    mask = np.array(bits).reshape(height, width)
    image = np.zeros((height, width, 3), dtype=np.uint8)
    item = ObjectResult(mask, score, 1.0, bool(mask.any()))
    with JsonLinesWriter(tmp_path / "out.jsonl", {7: name}, rle=True) as writer:
        writer.write(FrameResult(0, None, image, {7: item}))
    text = (tmp_path / "out.jsonl").read_bytes()
    assert text.count(b"\n") == 1
    labels = json.loads(text)["prelabels"]
    assert len(labels) == int(mask.any())
    for label in labels:
        assert label["name"] == name
        assert label["score"] == pytest.approx(score, abs=1e-6)
        assert np.array_equal(coco.decode(label["rle"]).astype(bool), mask)


def test_file_names_that_are_no_text_are_written(tmp_path: Path, make_result: MakeResult) -> None:
    path = tmp_path / "out.jsonl"
    with JsonLinesWriter(path, file_name=lambda _: os.fsdecode(b"\xff\xe9.jpg")) as writer:
        writer.write(make_result(0, {}))
    assert os.fsencode(names_of(path)[0]) == b"\xff\xe9.jpg"


def test_an_error_inside_with_passes_and_leaves_an_ordered_file(
    tmp_path: Path, make_result: MakeResult, feed: Feed
) -> None:
    path = tmp_path / "out.jsonl"
    with pytest.raises(RuntimeError, match="stop"):
        feed(JsonLinesWriter(path), [make_result(1, {}), make_result(0, {})], RuntimeError("stop"))
    assert names_of(path) == ["00000.jpg", "00001.jpg"]


def test_a_killed_process_leaves_every_line_written(tmp_path: Path) -> None:
    program = """
import os, sys, numpy
from keepsight.export import JsonLinesWriter
from keepsight.types import FrameResult
writer = JsonLinesWriter(sys.argv[1])
for index in (5, 4, 3):
    writer.write(FrameResult(index, None, numpy.zeros((4, 4, 3), numpy.uint8), {}))
os._exit(9)
"""
    path = tmp_path / "out.jsonl"
    assert subprocess.run([sys.executable, "-c", program, path], check=False).returncode == 9
    assert names_of(path) == ["00005.jpg", "00004.jpg", "00003.jpg"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_a_full_disk_is_named(make_result: MakeResult, feed: Feed) -> None:
    with pytest.raises(OutputError, match=r"/dev/full.*No space left.*free some space"):
        feed(JsonLinesWriter("/dev/full"), [make_result(0, {})])


def test_a_disk_that_fills_up_keeps_the_lines_before(
    tmp_path: Path, make_result: MakeResult, full_disk: FullDisk, feed: Feed
) -> None:
    path = tmp_path / "out.jsonl"
    results = [make_result(index, {1: (0, 0, 9, 9)}) for index in range(100)]
    with full_disk(1000), pytest.raises(OutputError, match="lines before are complete"):
        feed(JsonLinesWriter(path), results)
    assert 0 < len(read(path)) < 5


def test_no_room_for_sorting_keeps_the_unsorted_lines(
    tmp_path: Path, make_result: MakeResult, full_disk: FullDisk
) -> None:
    path = tmp_path / "out.jsonl"
    writer = JsonLinesWriter(path)
    for index in (2, 1, 0):
        writer.write(make_result(index, {1: (0, 0, 9, 9)}))
    with full_disk(100), pytest.raises(OutputError, match="All lines are there"):
        writer.close()
    assert names_of(path) == ["00002.jpg", "00001.jpg", "00000.jpg"]
    assert list(tmp_path.iterdir()) == [path]


def test_a_path_that_cannot_be_opened_or_a_closed_writer_is_refused(
    tmp_path: Path, make_result: MakeResult
) -> None:
    with pytest.raises(OutputError, match="does not exist"):
        JsonLinesWriter(tmp_path / "missing" / "out.jsonl")
    writer = JsonLinesWriter(tmp_path / "out.jsonl")
    writer.close()
    writer.close()
    with pytest.raises(OutputError, match="closed"):
        writer.write(make_result(0, {}))
