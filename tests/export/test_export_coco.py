import json
import subprocess
import sys
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
from keepsight.export import CocoWriter, assemble_coco
from keepsight.types import FrameResult

MakeResult = Callable[..., FrameResult]
Feed = Callable[..., None]
FullDisk = Callable[[int], AbstractContextManager[None]]

# pycocotools.mask.decode, up to 2.0.11 at least, is behind numpy 2.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept:DeprecationWarning")
A, B = (10, 20, 30, 40), (0, 0, 5, 7)


def read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def test_every_track_has_one_item_per_frame(tmp_path: Path, make_result: MakeResult) -> None:
    path = tmp_path / "annotations.json"
    results = [make_result(4, {1: A, 2: B}), make_result(5, {1: None, 2: B}), make_result(6, {2: B})]
    with CocoWriter(path, {1: "dog", 2: "cät"}, file_name="f{}.png\udcff".format) as writer:
        for result in results:
            writer.write(result)
    data = read(path)
    (video,) = data["videos"]
    assert (video["width"], video["height"], video["length"]) == (64, 48, 3)
    assert (video["file_names"], video["frame_indices"]) == (
        [f"f{i}.png\udcff" for i in (4, 5, 6)],
        [4, 5, 6],
    )
    assert data["categories"] == [{"id": 1, "name": "dog"}, {"id": 2, "name": "cät"}]
    dog, cat = data["annotations"]
    assert (dog["id"], dog["video_id"], dog["category_id"], cat["category_id"]) == (1, video["id"], 1, 2)
    assert dog["bboxes"] == [[10, 20, 20, 20], None, None]
    assert dog["areas"] == [400, None, None]
    assert (dog["scores"], dog["score"]) == ([0.75, None, None], 0.75)
    assert cat["areas"] == [35, 35, 35]
    for result, code in zip(results, cat["segmentations"], strict=True):
        assert np.array_equal(coco.decode(code).astype(bool), result[2].mask)
    assert dog["segmentations"][1:] == [None, None]
    assert coco.toBbox(dog["segmentations"][0]).tolist() == dog["bboxes"][0]
    assert list(tmp_path.iterdir()) == [path]


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(turns=st.lists(st.tuples(st.integers(0, 8), st.sets(st.integers(1, 3))), max_size=20))
def test_frames_are_in_order_and_the_last_answer_to_a_frame_counts(
    tmp_path: Path, make_result: MakeResult, turns: list[tuple[int, set[int]]]
) -> None:
    path = tmp_path / "annotations.json"
    with CocoWriter(path) as writer:
        for turn, (index, ids) in enumerate(turns):
            writer.write(make_result(index, {object_id: (0, 0, turn + 1, 1) for object_id in ids}))
    last = {index: (turn, ids) for turn, (index, ids) in enumerate(turns)}
    data = read(path)
    assert data["videos"][0]["frame_indices"] == sorted(last)
    for track in data["annotations"]:
        expected = [last[i][0] + 1 if track["id"] in last[i][1] else None for i in sorted(last)]
        assert track["areas"] == expected


def test_an_error_inside_with_still_completes_the_file(
    tmp_path: Path, make_result: MakeResult, feed: Feed
) -> None:
    path = tmp_path / "annotations.json"
    with pytest.raises(RuntimeError, match="stop"):
        feed(CocoWriter(path), [make_result(0, {1: A})], RuntimeError("stop"))
    assert read(path)["annotations"][0]["areas"] == [400]


def test_a_killed_process_leaves_lines_that_can_be_assembled(tmp_path: Path) -> None:
    program = """
import os, sys, numpy
from keepsight.export import CocoWriter
from keepsight.types import FrameResult, ObjectResult
writer, mask = CocoWriter(sys.argv[1]), numpy.ones((4, 4), bool)
for index in (0, 1):
    item = ObjectResult(mask, 1.0, 1.0, True)
    writer.write(FrameResult(index, None, numpy.zeros((4, 4, 3), numpy.uint8), {1: item}))
os._exit(9)
"""
    path = tmp_path / "annotations.json"
    partial = tmp_path / "annotations.json.partial"
    assert subprocess.run([sys.executable, "-c", program, path], check=False).returncode == 9
    with partial.open("ab") as file:
        file.write(b'{"frame": 2, "fi')  # what a power cut may leave of a last line
    assert not path.exists()
    assemble_coco(partial, path)
    assert read(path)["annotations"][0]["areas"] == [16, 16]


def test_no_room_for_the_file_keeps_the_lines(
    tmp_path: Path, make_result: MakeResult, full_disk: FullDisk
) -> None:
    path, partial = tmp_path / "annotations.json", tmp_path / "annotations.json.partial"
    writer = CocoWriter(path)
    writer.write(make_result(0, {1: A}))
    with full_disk(100), pytest.raises(OutputError, match=r"annotations\.json\.partial.*assemble_coco"):
        writer.close()
    assert list(tmp_path.iterdir()) == [partial]
    assemble_coco(partial, path)
    assert read(path)["annotations"][0]["areas"] == [400]


def test_a_disk_that_fills_up_keeps_the_frames_before(
    tmp_path: Path, make_result: MakeResult, full_disk: FullDisk, feed: Feed
) -> None:
    path, partial = tmp_path / "annotations.json", tmp_path / "annotations.json.partial"
    results = [make_result(index, {1: A}) for index in range(50)]
    with full_disk(1000), pytest.raises(OutputError, match="frames before are complete"):
        feed(CocoWriter(path), results)
    if partial.exists():
        assemble_coco(partial, path)
    assert set(read(path)["annotations"][0]["areas"]) == {400}


@pytest.mark.parametrize("content", ["no json\n", "[1]\n", "{}\n"])
def test_a_file_that_is_no_partial_file_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "x.partial").write_text(content)
    with pytest.raises(OutputError, match=r"x\.partial.*Is it a partial file"):
        assemble_coco(tmp_path / "x.partial", tmp_path / "x.json")
    assert not (tmp_path / "x.json").exists()


def test_a_missing_folder_or_a_closed_writer_is_refused(tmp_path: Path, make_result: MakeResult) -> None:
    with pytest.raises(OutputError, match="does not exist"):
        CocoWriter(tmp_path / "missing" / "a.json")
    writer = CocoWriter(tmp_path / "a.json")
    writer.close()
    writer.close()
    assert read(tmp_path / "a.json")["annotations"] == []
    with pytest.raises(OutputError, match="closed"):
        writer.write(make_result(0, {}))
