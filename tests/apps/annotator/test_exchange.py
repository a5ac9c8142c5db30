"""Files out, and in again."""

import contextlib
import errno
import io
import json
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image
from starlette.testclient import TestClient

from keepsight.apps.annotator.exchange import FORMATS
from keepsight.apps.annotator.exchange.incoming import coco_mask
from keepsight.apps.annotator.studio import Studio
from keepsight.errors import AnnotationError
from keepsight.export.files import LineFile
from keepsight.shapes import cvat_rle, figure_to_mask
from keepsight.types import BoolArray, rle_of
from tests.apps.annotator.desks import client_of, error_of
from tests.apps.annotator.rooms import FRAMES, SIZE, clicked, contents, square, track

ROUND = ("coco", "davis", "jsonl")


@pytest.fixture
def client(studio: Studio) -> Iterator[TestClient]:
    with client_of(studio) as client:
        yield client


@pytest.fixture
def annotated(studio: Studio) -> Studio:
    """A tracked mask, a polygon track of two keyframes that ends, and an object without shapes."""
    mask = clicked(studio, "mask", 1)
    track(studio, (mask,), 0, 5)
    polygon, _ = studio.add_subject("polygon", name="fish & <chips>")
    x1, y1, x2, y2 = square(3, 0)
    studio.draw(polygon.id, 2, (x1, y1, x2, y1, x2, y2, x1, y2))
    studio.draw(polygon.id, 6, (x1 + 4, y1, x2 + 4, y1, x2 + 4, y2, x1 + 4, y2))
    studio.draw(polygon.id, 8, (), outside=True)
    studio.add_subject("rectangle")
    return studio


def truths(studio: Studio) -> dict[tuple[int, int], BoolArray]:
    """Every mask that is seen, by object and frame."""
    kinds = {subject.id: subject.kind for subject in studio.project.subjects()}
    return {
        (shape.object, frame): figure_to_mask(kinds[shape.object], shape.points, *SIZE)
        for frame in range(FRAMES)
        for shape, *_ in studio.seen(frame)
    }


def exported(client: TestClient, name: str) -> bytes:
    answer = client.get("/api/export", params={"format": name})
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].startswith(FORMATS[name].media_type)
    assert f'filename="clip{FORMATS[name].suffix}"' in answer.headers["content-disposition"]
    return answer.content


def imported(client: TestClient, name: str, content: bytes) -> Any:
    return client.post("/api/import", params={"format": name}, content=content)


@pytest.mark.parametrize("name", ROUND)
def test_what_goes_out_comes_in_again(client: TestClient, annotated: Studio, name: str) -> None:
    before, old = truths(annotated), contents(annotated.project)
    content = exported(client, name)
    assert contents(annotated.project) == old
    for subject in annotated.project.subjects():
        annotated.drop_subject(subject.id)
    answer = imported(client, name, content).json()
    assert (answer["objects"], answer["shapes"]) == (2, len(before))
    after = truths(annotated)
    numbers = sorted({number for number, _ in after})
    renamed = dict(zip(sorted({number for number, _ in before}), numbers, strict=True))
    assert {(renamed[number], frame) for number, frame in before} == set(after)
    for (number, frame), mask in before.items():
        there = after[renamed[number], frame]
        if name == "davis":  # a pixel has one value: the object listed first has it
            assert not (there & ~mask).any()
        else:
            assert (there == mask).all()
    names = [subject.name for subject in annotated.project.subjects()]
    assert name == "davis" or names == ["object 1", "fish & <chips>"]
    assert {shape.source for shape in annotated.project.shapes()} == {"auto"}
    assert client.post("/api/undo").json()["name"].startswith("import ")
    assert annotated.project.subjects() == []


def test_coco_has_scores_and_frames(client: TestClient, annotated: Studio) -> None:
    content = json.loads(exported(client, "coco"))
    assert content["videos"][0]["length"] == FRAMES
    assert content["videos"][0]["file_names"][3] == "00003.png"
    mask, polygon = content["annotations"]
    stored = annotated.project.shapes(number=1)
    assert mask["scores"][:6] == [shape.score for shape in stored]
    assert [code is not None for code in polygon["segmentations"]][:10] == [False] * 2 + [True] * 6 + [
        False
    ] * 2


def test_davis_masks_are_palette_pictures(client: TestClient, annotated: Studio) -> None:
    with zipfile.ZipFile(io.BytesIO(exported(client, "davis"))) as packed:
        assert packed.namelist() == [f"{frame:05d}.png" for frame in range(FRAMES)]
        image = Image.open(io.BytesIO(packed.read("00003.png")))
        assert image.mode == "P"
        assert set(np.unique(np.asarray(image))) == {0, 1, 2}


def test_davis_numbers_objects_anew_where_ids_are_too_high(client: TestClient, annotated: Studio) -> None:
    annotated.project._link.execute("UPDATE sqlite_sequence SET seq = 300 WHERE name = 'objects'")
    late, _ = annotated.add_subject("rectangle")
    annotated.draw(late.id, 0, (60, 30, 75, 45))
    with zipfile.ZipFile(io.BytesIO(exported(client, "davis"))) as packed:
        image = np.asarray(Image.open(io.BytesIO(packed.read("00000.png"))))
    assert late.id > 255
    assert set(np.unique(image)) == {0, 1, 4}


def test_the_overlay_is_a_video_of_all_frames(client: TestClient, annotated: Studio) -> None:
    with av.open(io.BytesIO(exported(client, "overlay"))) as container:
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    assert len(frames) == FRAMES
    assert frames[0].shape == (48, 80, 3)


def test_the_overlay_has_the_colours_of_the_project(client: TestClient, annotated: Studio) -> None:
    def tone() -> list[float]:
        with av.open(io.BytesIO(exported(client, "overlay"))) as container:
            first = next(container.decode(video=0)).to_ndarray(format="rgb24")
        return [float(first[..., channel].mean()) for channel in range(3)]

    looks = {}
    for name, colour in (("red", "#ff0000"), ("blue", "#0000ff")):
        for subject in annotated.project.subjects():
            annotated.change_subject(subject.id, {"colour": colour})
        looks[name] = tone()
    assert looks["red"][0] > looks["blue"][0] + 5
    assert looks["red"][2] < looks["blue"][2] - 5


@pytest.mark.parametrize("name", ["coco", "jsonl"])
def test_an_export_to_a_full_disk_keeps_nothing_and_says_so(
    client: TestClient, annotated: Studio, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(LineFile, "append", full)
    sentence = error_of(client.get("/api/export", params={"format": name}), 507)
    assert sentence.startswith("Expected to write the export in ")
    assert sentence.endswith("it failed: No space left on device. Free some space there.")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
@pytest.mark.parametrize("size", [10, 100_000])
def test_an_upload_to_a_full_disk_is_told_of(
    client: TestClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    """A file of few bytes is written only when it is closed."""
    folder = tmp_path / "temporary"

    def full(*_: Any, **__: Any) -> str:
        folder.mkdir()
        (folder / "upload").symlink_to("/dev/full")
        return str(folder)

    monkeypatch.setattr(tempfile, "mkdtemp", full)
    sentence = error_of(imported(client, "coco", b"x" * size), 507)
    assert "No space left on device" in sentence
    assert not folder.exists()


def test_a_disk_without_room_for_a_folder_is_told_of(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any, **__: Any) -> str:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(tempfile, "mkdtemp", full)
    error_of(client.get("/api/export", params={"format": "coco"}), 507)
    error_of(imported(client, "coco", b"{}"), 507)


def test_an_empty_project_is_exported_too(client: TestClient) -> None:
    for name in (*ROUND, "overlay"):
        assert exported(client, name)


def test_pictures_of_results_are_not_read_back(client: TestClient) -> None:
    error_of(imported(client, "overlay", b"mp4"), 422)


def test_exports_leave_nothing_behind(
    client: TestClient, annotated: Studio, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "temporary"
    place.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(place))
    for name in ROUND:
        imported(client, name, exported(client, name))
    error_of(imported(client, "cvat", b"no XML"), 400)
    assert list(place.iterdir()) == []


def coco(**changed: Any) -> dict[str, Any]:
    code = dict(rle_of(figure_to_mask("rectangle", square(1, 0), *SIZE)))
    return {
        "videos": [
            {"id": 1, "width": 80, "height": 48, "length": 2, "file_names": ["00000.jpg", "00001.jpg"]}
        ],
        "categories": [{"id": 1, "name": "fish"}],
        "annotations": [{"id": 1, "video_id": 1, "category_id": 1, "segmentations": [code, None]}],
        **changed,
    }


def test_youtube_vis_of_other_programs(client: TestClient, studio: Studio) -> None:
    assert imported(client, "coco", json.dumps(coco()).encode()).json()["shapes"] == 1
    (shape,) = studio.project.shapes()
    assert shape.points == tuple(cvat_rle.encode(figure_to_mask("rectangle", square(1, 0), *SIZE)))
    assert (shape.frame, shape.score) == (0, None)


def test_plain_coco(client: TestClient, studio: Studio) -> None:
    x1, y1, x2, y2 = square(1, 0)
    ring = [x1, y1, x2, y1, x2, y2, x1, y2]
    runs = {"size": [48, 80], "counts": [0, 48, 48 * 79]}
    content = {
        "images": [{"id": 7, "file_name": "x/00004.png"}, {"id": 9, "file_name": "00002.png"}],
        "categories": [{"id": 1, "name": "fish"}],
        "annotations": [
            {"id": 1, "image_id": 7, "category_id": 1, "segmentation": [ring], "track_id": 5},
            {"id": 2, "image_id": 9, "category_id": 1, "segmentation": runs, "track_id": 5},
            {"id": 3, "image_id": 9, "category_id": 2, "segmentation": [ring]},
        ],
    }
    answer = imported(client, "coco", json.dumps(content).encode()).json()
    assert (answer["objects"], answer["shapes"]) == (2, 3)
    assert [(s.object, s.frame) for s in studio.project.shapes()] == [(1, 2), (1, 4), (2, 2)]
    assert [subject.name for subject in studio.project.subjects()] == ["fish", "object 2"]


def test_scores_that_are_none_are_left_out(client: TestClient, studio: Studio) -> None:
    code = coco()["annotations"][0]["segmentations"][0]
    annotations = [{"id": 1, "category_id": 1, "segmentations": [code, code], "scores": [7, float("nan")]}]
    assert imported(client, "coco", json.dumps(coco(annotations=annotations)).encode()).status_code == 200
    assert [shape.score for shape in studio.project.shapes()] == [1.0, None]
    assert client.get("/api/shapes").status_code == 200


def test_json_lines_without_masks_are_rectangles(client: TestClient, studio: Studio) -> None:
    corners = [{"x": x, "y": y} for x, y in ((1, 2), (9, 2), (9, 8), (1, 8))]
    line = {"fileName": "00003.png", "prelabels": [{"name": "a\ud800", "points": corners}]}
    assert imported(client, "jsonl", json.dumps(line).encode()).json()["shapes"] == 1
    (shape,) = studio.project.shapes()
    assert (shape.frame, shape.points) == (3, (1.0, 2.0, 9.0, 8.0))
    assert studio.project.subjects()[0].name == "a?"


@settings(max_examples=200, deadline=None)
@given(hnp.arrays(np.bool_, hnp.array_shapes(min_dims=2, max_dims=2, max_side=40)))
def test_run_length_codes_are_read_as_pycocotools_writes_them(mask: BoolArray) -> None:
    assert (coco_mask(rle_of(mask), *mask.shape) == mask).all()


@given(st.text(st.characters(codec="ascii"), max_size=40))
def test_a_damaged_code_is_told_or_read_within_the_frame(text: str) -> None:
    with contextlib.suppress(AnnotationError):
        assert coco_mask({"size": [7, 9], "counts": text}, 7, 9).shape == (7, 9)


def zipped(how: int = zipfile.ZIP_STORED, /, **files: bytes) -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", how) as packed:
        for name, content in files.items():
            packed.writestr(f"{name}.png", content)
    return data.getvalue()


def png(width: int = 80, height: int = 48, mode: str = "L") -> bytes:
    data = io.BytesIO()
    Image.new(mode, (width, height), 1).save(data, "PNG")
    return data.getvalue()


def damaged() -> bytes:
    """A zip whose first file's deflate stream begins with a kind of block that there is not."""
    data = bytearray(zipped(zipfile.ZIP_DEFLATED, _0=png()))
    data[30 + len("_0.png")] = 0xFF
    return bytes(data)


WRONG: list[tuple[str, Any, str]] = [
    ("coco", b"", "JSON file"),
    ("coco", b"\xff\xfe", "JSON file"),
    ("coco", [], "has no annotations"),
    ("coco", {"annotations": {}}, "has no annotations"),
    ("coco", {"annotations": [1], "videos": [{"length": 24}]}, "COCO annotations"),
    ("coco", {"annotations": [{}]}, "COCO annotations"),
    ("coco", coco(videos=[{}, {}]), "of one video, but the file has 2"),
    ("coco", coco(videos=[]), "of one video, but the file has 0"),
    ("coco", coco(annotations=[{"segmentations": [None] * 3}]), "COCO annotations"),
    (
        "coco",
        coco(annotations=[{"segmentations": [{"size": [9, 9], "counts": "1"}, None]}]),
        "frame of 9 x 9",
    ),
    ("coco", coco(annotations=[{"segmentations": [{"size": [48, 80], "counts": [5]}, None]}]), "do not fill"),
    ("coco", coco(annotations=[{"segmentations": [[[1, 2]], None]}]), "three distinct points"),
    ("coco", coco(annotations=[{"segmentations": ["x", None]}]), "a mask"),
    ("davis", b"", "a zip of PNG masks"),
    ("davis", zipped(), "it has none"),
    ("davis", zipped(_0=b"x"), "a PNG mask, but _0.png cannot be read"),
    ("davis", zipped(_0=png(81)), "80 x 48 pixels, as the video, but _0.png has 81 x 48"),
    ("davis", zipped(_0=png(mode="RGB")), "_0.png has colours"),
    ("davis", zipped(a=png())[:-40], "a zip of PNG masks"),
    ("davis", damaged(), "a zip of PNG masks"),
    ("coco", b"[" * 100_000, "JSON file, but it cannot be read: maximum recursion depth"),
    ("jsonl", b"{", "JSON in line 1"),
    ("jsonl", b"[" * 100_000, "JSON in line 1"),
    ("jsonl", b'{"prelabels": []}\n[]', "line 2 to have prelabels"),
    ("jsonl", b'{"prelabels": [1]}', "a label in line 1"),
    ("jsonl", b'{"prelabels": [{"name": "a"}]}', "a label in line 1"),
    ("jsonl", b'{"prelabels": [{"name": "a", "points": [{"x": 1e999, "y": 0}]}]}', "Expected a"),
    ("jsonl", b'{"prelabels": [{"name": "a", "rle": {"size": [48, 80], "counts": 5}}]}', "a mask"),
]


@pytest.mark.parametrize(("name", "content", "sentence"), WRONG)
def test_files_that_are_wrong_are_told_and_change_nothing(
    client: TestClient, studio: Studio, name: str, content: Any, sentence: str
) -> None:
    data = content if isinstance(content, bytes) else json.dumps(content).encode()
    assert sentence in error_of(imported(client, name, data), 400)
    assert studio.project.revision == 0


def test_frames_beyond_the_video_are_passed_over(client: TestClient, studio: Studio) -> None:
    code = coco()["annotations"][0]["segmentations"][0]
    video = {"length": 4, "frame_indices": [0, 5, 99, -3]}
    content = coco(videos=[video], annotations=[{"id": 1, "category_id": 1, "segmentations": [code] * 4}])
    answer = imported(client, "coco", json.dumps(content).encode()).json()
    assert (answer["shapes"], answer["passed_over"]) == (2, 2)
    assert [shape.frame for shape in studio.project.shapes()] == [0, 5]
    answer = imported(client, "davis", zipped(**{"00023": png(), "00024": png()})).json()
    assert (answer["shapes"], answer["passed_over"]) == (1, 1)
