"""JSON in, tracked JSON out; and files that do not fit."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from rich.console import Console

from keepsight.apps.cvat.job.options import CvatTrackOptions
from keepsight.apps.cvat.job.run import run
from keepsight.errors import AnnotationError, KeepsightError, OutputError, UsageError
from tests.apps.cvat.job.conftest import SIZE, box, drawn, drawn_track, loaded
from tests.apps.cvat.job.cvat_server import LABELS
from tests.apps.cvat.job.plain import exported_video

TrackFile = Callable[..., bytes]


def document(*shapes: Any, tracks: tuple[Any, ...] = ()) -> bytes:
    """What GET annotations answers, with things in it that nobody here knows."""
    numbered = [{"id": number, "score": 1.0, **shape} for number, shape in enumerate(shapes, 1)]
    named = [{"id": number, **track} for number, track in enumerate(tracks, 1)]
    content = {
        "version": 0,
        "tags": [],
        "intervals": [{"a": 1}],
        "shapes": numbered,
        "tracks": named,
        "é": "?",
    }
    return json.dumps(content, ensure_ascii=False).encode()


@pytest.fixture
def labels(tmp_path: Path) -> Path:
    path = tmp_path / "labels.json"
    path.write_text(json.dumps({"count": 2, "results": LABELS}))
    return path


def test_json_goes_in_and_out_with_all_that_nobody_knows(track_file: TrackFile) -> None:
    data = document(
        drawn("rectangle", 2),
        drawn("mask", 3, future={"x": 1}),
        tracks=(drawn_track("rectangle", 1, 4, future=2),),
    )
    out = json.loads(track_file(data, 0, 5))
    before = json.loads(data)
    for key in ("version", "tags", "intervals", "é"):
        assert out[key] == before[key]
    assert out["tracks"][0] == before["tracks"][0]
    assert out["shapes"][0] == {**before["shapes"][1], "group": 1}
    assert [shape["frame"] for shape in out["shapes"]] == [0, 1, 2, 3, 4, 5]
    assert "id" not in out["tracks"][1]
    assert [k["frame"] for k in out["tracks"][1]["shapes"]] == [0, 1, 2, 3, 4, 5, 6]
    again = json.loads(track_file(json.dumps(out).encode(), 0, 5))
    assert again == out


def test_labels_give_names_and_say_which_attributes_may_change(track_file: TrackFile, labels: Path) -> None:
    attributes = [{"spec_id": 9, "value": "red"}, {"spec_id": 10, "value": "no"}]
    data = document(drawn("rectangle", 1, attributes=attributes), drawn("rectangle", 2))
    with pytest.raises(UsageError, match=r"shape 1 \(3\) has attributes.*--labels"):
        track_file(data, 0, 2)
    (made,) = json.loads(track_file(data, 0, 2, label=["car"], labels=labels))["tracks"]
    assert made["attributes"] == attributes[:1]
    assert all(k["attributes"] == attributes[1:] for k in made["shapes"])
    with pytest.raises(KeepsightError, match=r"--label cat: expected one of the labels of .*car, dog"):
        track_file(data, 0, 2, label=["cat"], labels=labels)


def test_the_videos_own_frames_may_be_counted_otherwise(track_file: TrackFile) -> None:
    data = document(drawn("rectangle", 2, points=box(2, 1)))
    (made,) = json.loads(track_file(data, 0, video_start=1, video_step=3))["tracks"]
    assert [k["frame"] for k in made["shapes"]] == [0, 1, 2]  # 1, 4 and 7 of the video
    assert all(abs(a - b) <= 5 for a, b in zip(made["shapes"][2]["points"], box(2, 7), strict=True))
    with pytest.raises(UsageError, match="--video-start 10"):
        track_file(data, 0, video_start=10)


def test_tracks_that_are_nowhere_are_passed_over(track_file: TrackFile) -> None:
    empty = {"id": 5, "label_id": 3, "frame": 0, "shapes": []}
    out = json.loads(track_file(document(drawn("rectangle", 2), tracks=(empty,)), 0, 2))
    assert out["tracks"][0] == empty
    xml = exported_video([{"label": "car", "kind": "rectangle", "frame": 0, "points": box(2, 0)}], SIZE)
    nowhere = b'<track id="9" label="car" source="manual"></track>'
    tracked = track_file(xml.replace(b"</meta>", b"</meta>\n  " + nowhere), 0, 2)
    assert nowhere in tracked
    assert b'<track id="10"' in tracked


def test_lines_stay_lines(track_file: TrackFile) -> None:
    data = json.dumps(json.loads(document(drawn("rectangle", 2))), indent=2).encode()
    assert track_file(data, 0, 2).count(b"\n") > 20
    assert b"\n" not in track_file(document(drawn("rectangle", 2)), 0, 2)


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"{", "neither CVAT's XML nor valid JSON"),
        (b"[]", "what GET /api/jobs/ID/annotations answers"),
        (b"{}", "what GET /api/jobs/ID/annotations answers"),
        (b"PK\x03\x04", "ZIP archive. Unpack it"),
        (b'{"shapes": 3}', "expected shapes to be a list"),
        (b'{"shapes": [3]}', "shape 0: expected an object"),
        (b'{"shapes": [{"type": "rectangle", "frame": 0, "label_id": 1, "points": [1, 2]}]}', "four numbers"),
        (
            b'{"shapes": [{"type": "mask", "frame": "a", "label_id": 1}]}',
            "expected frame to be a whole number",
        ),
        (b'{"shapes": [{"type": "mask", "frame": 0, "points": [NaN]}]}', "points as a list of numbers"),
        (b'{"shapes": [{"type": "mask", "frame": 0, "points": []}]}', "label_id"),
        (
            b'{"tracks": [{"shapes": [{"type": "mask", "frame": 0, "points": []}]}]}',
            "track 0: expected label_id",
        ),
        (b"\xff\xfe", "neither CVAT's XML nor valid JSON"),
    ],
)
def test_other_files_are_refused(track_file: TrackFile, data: bytes, says: str) -> None:
    with pytest.raises(AnnotationError) as caught:
        track_file(data, 0)
    assert says in str(caught.value)


def test_a_video_that_does_not_fit_is_refused(track_file: TrackFile, tmp_path: Path, images: Path) -> None:
    data = exported_video([{"label": "car", "kind": "rectangle", "frame": 0, "points": box(2, 0)}], (160, 96))
    with pytest.raises(AnnotationError, match=r"160 x 96 pixels, but .* has 80 x 48"):
        track_file(data, 0)
    longer = exported_video(
        [{"label": "car", "kind": "rectangle", "frame": 0, "points": box(2, 0)}], SIZE, last=20
    )
    with pytest.raises(KeepsightError, match=r"to have frame 10 .*, its own frame 10, but it has 10 frames"):
        track_file(longer, 0)
    track_file(longer, 0, 9)
    Image.fromarray(np.zeros((40, 40, 3), np.uint8)).save(images / "3.png")
    with pytest.raises(KeepsightError, match="images of one size"):
        track_file(longer, 0, 9)
    with pytest.raises(KeepsightError, match="does not exist"):
        track_file(longer, 0, 9, video=str(tmp_path / "gone.mp4"))


def test_options_that_do_not_go_together(track_file: TrackFile, tmp_path: Path, labels: Path) -> None:
    xml = exported_video([{"label": "car", "kind": "rectangle", "frame": 0, "points": box(2, 0)}], SIZE)
    with pytest.raises(UsageError, match="are for JSON"):
        track_file(xml, 0, labels=labels)
    with pytest.raises(UsageError, match="are for JSON"):
        track_file(xml, 0, video_step=2)
    with pytest.raises(UsageError, match="together"):
        track_file(xml, 0, video=None)
    with pytest.raises(UsageError, match="Expected one job"):
        track_file(xml, 0, job=7)
    with pytest.raises(UsageError, match="--output, or --dry-run"):
        track_file(xml, 0, output=None)
    with pytest.raises(AnnotationError, match="cannot be read"):
        track_file(xml, 0, annotations=tmp_path / "gone.xml")
    labels.write_text("[]")
    with pytest.raises(AnnotationError, match="labels"):
        track_file(document(drawn("rectangle", 2)), 0, labels=labels)


def test_an_output_that_exists_stays_unless_told(track_file: TrackFile, tmp_path: Path) -> None:
    data, output = document(drawn("rectangle", 2)), tmp_path / "out.json"
    output.write_bytes(b"mine")
    with pytest.raises(OutputError, match="exists"):
        track_file(data, 0, 2, output=output, overwrite=False)
    assert output.read_bytes() == b"mine"
    with pytest.raises(OutputError, match="does not exist"):
        track_file(data, 0, 2, output=tmp_path / "no" / "out.json")


def test_a_dry_run_needs_no_output_and_writes_none(images: Path, tmp_path: Path) -> None:
    source = tmp_path / "in.json"
    source.write_bytes(document(drawn("rectangle", 2)))
    options = CvatTrackOptions(0, annotations=source, video=str(images), dry_run=True)
    outcome = run(options, Console(quiet=True), lambda *a, **k: pytest.fail("a model was loaded"))
    assert len(outcome.courses[0].write) == 9
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_file()) == ["in.json"]


def test_a_full_disk_leaves_what_was_there(track_file: TrackFile, tmp_path: Path) -> None:
    (tmp_path / "out.any.new").mkdir()  # in the way of the file that would replace it
    (tmp_path / "out.any").write_bytes(b"earlier")
    with pytest.raises((OutputError, OSError)):
        track_file(document(drawn("rectangle", 2)), 0, 2)
    assert (tmp_path / "out.any").read_bytes() == b"earlier"


def test_in_and_out_may_be_one_file(images: Path, tmp_path: Path) -> None:
    path = tmp_path / "job.json"
    path.write_bytes(document(drawn("rectangle", 2)))
    options = CvatTrackOptions(0, [3], annotations=path, video=str(images), output=path, overwrite=True)
    run(options, Console(quiet=True), loaded)
    assert len(json.loads(path.read_bytes())["tracks"][0]["shapes"]) == 5
