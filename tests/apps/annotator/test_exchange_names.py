"""Files of annotations by their names: which frames they belong to, and what has no place in the video."""

import io
import json
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from starlette.testclient import TestClient

from keepsight.apps.annotator.clip import Clip
from keepsight.apps.annotator.exchange.placing import file_stems, frames_of
from keepsight.apps.annotator.studio import Studio
from keepsight.video import SourceInfo, open_source
from tests.apps.annotator.desks import client_of, error_of
from tests.apps.annotator.rooms import SIZE, opened_studio, refusal
from tests.toy import blob_frame

RING = [1, 1, 9, 1, 9, 9]
Room = tuple[Studio, TestClient]


@pytest.fixture
def room_of(tmp_path: Path) -> Iterator[Callable[..., Room]]:
    """A studio over images of these names, and a client of it."""
    with ExitStack() as stack:

        def opened(*names: str) -> Room:
            folder = tmp_path / "images"
            folder.mkdir()
            for index, name in enumerate(names):
                Image.fromarray(blob_frame(index)).save(folder / name)
            studio = stack.enter_context(opened_studio(folder, frames=len(names)))
            return studio, stack.enter_context(client_of(studio))

        yield opened


def clip_of(frames: int, names: Sequence[str] | None = None) -> Clip:
    info = SourceInfo(
        SIZE[1], SIZE[0], frames, None, "clip", file_names=None if names is None else tuple(names)
    )
    return Clip(info, frames, lambda: open_source("nothing"))


def numbered(first: int, last: int, form: str = "{:05d}.png") -> list[str]:
    return [form.format(number) for number in range(first, last + 1)]


FROM_ONE = numbered(1, 6)
OTHER_NAMES = numbered(1, 6, "img_{:03d}.jpg")
PLACES: list[tuple[Sequence[str] | None, list[str], list[int | None]]] = [
    (FROM_ONE, numbered(1, 6), [0, 1, 2, 3, 4, 5]),
    (FROM_ONE, ["seq/00002.jpg", "seq\\00005.jpg"], [1, 4]),
    (FROM_ONE, numbered(4, 8), [3, 4, 5, None, None]),
    (FROM_ONE, numbered(0, 5), [0, 1, 2, 3, 4, 5]),  # as keepsight's own mask folders are numbered
    (FROM_ONE, ["2.png", "00004.png"], [1, 3]),
    (OTHER_NAMES, ["img_003.png", "img_005.png"], [2, 4]),
    (OTHER_NAMES, numbered(2, 5), [1, 2, 3, 4]),
    (OTHER_NAMES, ["one", "two", "three", "four", "five", "six"], [0, 1, 2, 3, 4, 5]),
    (["a/0.png", "b/0.png"], ["x/b/0.png", "x/a/0.png"], [1, 0]),
    (["a.jpg", "b.jpg", "b.png"], ["b.png", "a.jpg"], [2, 0]),
    (["head.png", "tail.png"], ["tail.jpg"], [1]),
    (["head.png", "tail.png"], ["00001.jpg"], [1]),
    (None, ["00000.png", "00005.png", "00010.png"], [0, 5, None]),
    (None, ["frame_00004.mask.png"], [4]),
    (None, numbered(1, 6), [0, 1, 2, 3, 4, 5]),
    (None, numbered(1, 5), [1, 2, 3, 4, 5]),
    (None, ["00004.png", "00004.png"], [4, 4]),
    (None, ["00099.png"], [None]),
    (None, [], []),
]


@pytest.mark.parametrize(("images", "names", "places"), PLACES)
def test_files_belong_to_the_frames_that_their_names_say(
    images: Sequence[str] | None, names: list[str], places: list[int | None]
) -> None:
    assert frames_of(names, clip_of(6 if images is None else len(images), images)) == places


@pytest.mark.parametrize(
    ("images", "names", "says"),
    [
        (
            None,
            ["a.png", "b.png"],
            "the frame numbers, such as '00000', or one for each of the 6 frames, but got 2",
        ),
        (
            FROM_ONE,
            ["a.png"],
            "the video's images, such as '00001.png', or one for each of the 6 frames, but got 1",
        ),
        (None, ["00001.png", "b.png"], "such as 'b.png'"),
        (None, ["1" * 20], "Rename them"),
        (FROM_ONE, ["a/00001.png", "b/00001.png"], "'a/00001.png' and 'b/00001.png' are both of frame 0"),
        (None, ["1.png", "00001.png"], "both of frame 1"),
    ],
)
def test_files_of_no_certain_frame_are_refused(
    images: Sequence[str] | None, names: list[str], says: str
) -> None:
    assert says in refusal(lambda: frames_of(names, clip_of(6, images)))


def test_stems_are_names_where_they_tell_all_frames_apart() -> None:
    assert file_stems(clip_of(2, ["a.jpg", "b.png"])) == ("a", "b")
    assert file_stems(clip_of(2, ["a.jpg", "a.png"])) is None
    assert file_stems(clip_of(2)) is None


def davis(*names: str) -> bytes:
    """Masks whose square says which of them it is."""
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as packed:
        for place, name in enumerate(names):
            labels = np.zeros(SIZE, np.uint8)
            labels[place : place + 5, place : place + 5] = 1
            picture = io.BytesIO()
            Image.fromarray(labels).save(picture, "PNG")
            packed.writestr(name, picture.getvalue())
    return data.getvalue()


def sent(client: TestClient, name: str, content: Any) -> Any:
    data = content if isinstance(content, bytes) else json.dumps(content).encode()
    return client.post("/api/import", params={"format": name}, content=data)


def brought(client: TestClient, name: str, content: Any) -> tuple[int, int, int]:
    """Objects, shapes and shapes passed over."""
    answer = sent(client, name, content)
    assert answer.status_code == 200, answer.text
    told = answer.json()
    return told["objects"], told["shapes"], told["passed_over"]


def plain_coco(*names: str) -> dict[str, Any]:
    images = [{"id": place, "file_name": name} for place, name in enumerate(names)]
    shapes = [
        {"id": place, "image_id": place, "track_id": 1, "segmentation": [RING]} for place in range(len(names))
    ]
    return {"images": images, "annotations": shapes}


def youtube(*names: str, **more: Any) -> dict[str, Any]:
    video = {"length": len(names), **({"file_names": names} if names else {}), **more}
    return {"videos": [video], "annotations": [{"id": 1, "segmentations": [[RING]] * video["length"]}]}


def lines(*names: str) -> bytes:
    corners = [{"x": x, "y": y} for x, y in ((1, 2), (9, 2), (9, 8), (1, 8))]
    label = {"name": "a", "points": corners}
    found = [{**({"fileName": name} if name else {}), "prelabels": [label]} for name in names]
    return "\n".join(map(json.dumps, found)).encode()


WRITTEN: dict[str, Callable[..., Any]] = {"davis": davis, "coco": plain_coco, "jsonl": lines}


@pytest.mark.parametrize(("name", "written"), [*WRITTEN.items(), ("coco", youtube)])
def test_every_format_finds_images_that_are_numbered_from_1(
    room_of: Callable[..., Room], name: str, written: Callable[..., Any]
) -> None:
    studio, client = room_of(*FROM_ONE)
    assert brought(
        client, name, written(*numbered(2, 8, "{:05d}.jpg" if name != "davis" else "m/{:05d}.png"))
    ) == (1, 5, 2)
    assert [shape.frame for shape in studio.project.shapes()] == [1, 2, 3, 4, 5]


@pytest.mark.parametrize(("name", "written"), [*WRITTEN.items(), ("coco", youtube)])
def test_every_format_refuses_names_that_say_nothing(
    room_of: Callable[..., Room], name: str, written: Callable[..., Any]
) -> None:
    studio, client = room_of(*FROM_ONE)
    assert "named after the video's images" in error_of(
        sent(client, name, written("one.png", "two.png")), 400
    )
    assert studio.project.revision == 0


def test_masks_of_a_folder_go_out_under_its_names(room_of: Callable[..., Room]) -> None:
    studio, client = room_of(*FROM_ONE)
    subject, _ = studio.add_subject("rectangle", tracked=False)
    studio.draw(subject.id, 2, (3, 4, 9, 9))
    content = client.get("/api/export", params={"format": "davis"}).content
    with zipfile.ZipFile(io.BytesIO(content)) as packed:
        assert packed.namelist() == FROM_ONE
        assert [np.asarray(Image.open(packed.open(name))).any() for name in FROM_ONE] == [False] * 2 + [
            True
        ] + [False] * 3
    assert brought(client, "davis", content) == (1, 1, 0)
    assert [shape.frame for shape in studio.project.shapes()] == [2, 2]


def test_hidden_files_are_no_masks(room_of: Callable[..., Room]) -> None:
    _, client = room_of(*FROM_ONE)
    assert brought(client, "davis", davis("00001.png", "__MACOSX/._00001.png")) == (1, 1, 0)


def test_videos_without_names_must_be_of_all_frames(room_of: Callable[..., Room]) -> None:
    studio, client = room_of(*FROM_ONE)
    assert "all 6 frames" in error_of(sent(client, "coco", youtube(length=3)), 400)
    assert brought(client, "coco", youtube(length=6)) == (1, 6, 0)
    assert [shape.frame for shape in studio.project.shapes()] == [0, 1, 2, 3, 4, 5]


def test_lines_without_names_are_frames_in_order(room_of: Callable[..., Room]) -> None:
    studio, client = room_of(*FROM_ONE)
    assert brought(client, "jsonl", lines(*[""] * 8)) == (1, 6, 2)
    assert [shape.frame for shape in studio.project.shapes()] == [0, 1, 2, 3, 4, 5]


def test_objects_without_shapes_do_not_come(room_of: Callable[..., Room]) -> None:
    studio, client = room_of(*FROM_ONE)
    content = youtube(*FROM_ONE)
    content["annotations"].append({"id": 2, "segmentations": [None] * 6})
    assert brought(client, "coco", content) == (1, 6, 0)
    assert brought(client, "coco", plain_coco("00099.png")) == (0, 0, 1)
    assert len(studio.project.subjects()) == 1


def test_cvat_shapes_beyond_the_video_are_counted(room_of: Callable[..., Room]) -> None:
    _, client = room_of(*FROM_ONE)
    box = '<box frame="{}" keyframe="1" outside="{}" xtl="{}" ytl="1" xbr="{}" ybr="9"/>'
    track = "".join(box.format(*entry) for entry in ((0, 0, 1, 9), (9, 0, 1, 9), (11, 1, 1, 9)))
    gone = box.format(50, 0, 1, 9)
    content = f'<annotations><track label="a">{track}</track><track label="b">{gone}</track></annotations>'
    assert brought(client, "cvat", content.encode()) == (1, 1, 2)
