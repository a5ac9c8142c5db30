"""CVAT's XML out, and in again; what CVAT itself would make of it."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from keepsight.apps.annotator.studio import Studio
from keepsight.shapes import cvat_rle, figure_to_mask
from tests.apps.annotator.desks import client_of, error_of
from tests.apps.annotator.rooms import (
    FRAMES,
    SIZE,
    clicked,
    opened_studio,
    square,
    track,
    write_clip,
)
from tests.apps.annotator.test_exchange import exported, imported, truths
from tests.apps.cvat.job import plain


@pytest.fixture
def client(studio: Studio) -> Iterator[TestClient]:
    with client_of(studio) as client:
        yield client


@pytest.fixture
def annotated(studio: Studio) -> Studio:
    """Masks from a click, a polygon track that ends, a rectangle track, a tracked mask, a lone polygon."""
    mask = clicked(studio, "mask", 1)
    track(studio, (mask,), 0, 5)
    polygon, _ = studio.add_subject("polygon", name="fish & <chips>")
    x1, y1, x2, y2 = square(3, 0)
    studio.draw(polygon.id, 2, (x1, y1, x2, y1, x2, y2, x1, y2))
    studio.draw(polygon.id, 6, (x1 + 4, y1, x2 + 4, y1, x2 + 4, y2, x1 + 4, y2))
    studio.draw(polygon.id, 8, (), outside=True)
    rectangle, _ = studio.add_subject("rectangle", name="box")
    studio.draw(rectangle.id, 0, (3.25, 4.5, 20, 22))
    studio.draw(rectangle.id, 23, (5.25, 4.5, 22, 22))
    held, _ = studio.add_subject("mask", name="held", tracked=True)
    studio.draw(held.id, 3, cvat_rle.encode(figure_to_mask("rectangle", square(2, 0), *SIZE)))
    studio.draw(held.id, 6, (), outside=True)
    lone, _ = studio.add_subject("polygon", name="lone", tracked=False)
    studio.draw(lone.id, 4, (1, 1, 9, 1, 9, 9))
    return studio


def emptied(studio: Studio) -> None:
    for subject in studio.project.subjects():
        studio.drop_subject(subject.id)


def renamed(seen: dict[tuple[int, int], Any]) -> dict[tuple[int, int], Any]:
    """The same with objects numbered from 0 in their order."""
    numbers = {number: place for place, number in enumerate(sorted({number for number, _ in seen}))}
    return {(numbers[number], frame): mask for (number, frame), mask in seen.items()}


def test_what_goes_out_comes_in_again(client: TestClient, annotated: Studio) -> None:
    before, subjects = renamed(truths(annotated)), annotated.project.subjects()
    hand = [s.hand_made for s in annotated.project.shapes(number=subjects[0].id)]
    content = exported(client, "cvat")
    emptied(annotated)
    assert imported(client, "cvat", content).json()["objects"] == len(subjects)
    after = renamed(truths(annotated))
    assert after.keys() == before.keys()
    assert all((after[key] == before[key]).all() for key in before)
    again = annotated.project.subjects()
    assert [s.name for s in again] == [s.name for s in subjects]
    assert [s.kind for s in again] == [s.kind for s in subjects]
    # CVAT knows no tracks of masks: the held one comes back as the masks that were seen.
    assert [s.tracked for s in again] == [False, True, True, False, False]
    assert [s.hand_made for s in annotated.project.shapes(number=again[0].id)] == hand == [True] + [False] * 5


def test_cvat_reads_the_same(client: TestClient, annotated: Studio) -> None:
    tracks, shapes = plain.imported(exported(client, "cvat"))
    masks = [s for s in shapes if s["label"] == "object 1"]
    stored = annotated.project.shapes(number=annotated.project.subjects()[0].id)
    assert [tuple(m["points"]) for m in masks] == [s.points for s in stored]
    assert [m["frame"] for m in masks] == [s.frame for s in stored]
    (fish,) = [t for t in tracks if t["label"] == "fish & <chips>"]
    assert [keyframe["frame"] for keyframe in fish["keyframes"]] == [2, 6, 8]
    (box,) = [t for t in tracks if t["label"] == "box"]
    assert box["keyframes"][0]["points"] == [3.25, 4.5, 20, 22]


def seen_of(studio: Studio, number: int) -> list[int]:
    """The frames on which an object is seen."""
    return sorted(frame for found, frame in truths(studio) if found == number)


@pytest.mark.parametrize("kind", ["rectangle", "polygon"])
@pytest.mark.parametrize(("first", "end"), [(0, 15), (2, None), (FRAMES - 2, None), (0, 2)])
def test_a_track_of_one_keyframe_comes_back_whole(
    client: TestClient, studio: Studio, kind: Any, first: int, end: int | None
) -> None:
    subject, _ = studio.add_subject(kind, name="parked")
    studio.draw(subject.id, first, (5, 5, 20, 20) if kind == "rectangle" else (5, 5, 20, 5, 20, 20))
    if end is not None:
        studio.draw(subject.id, end, (), outside=True)
    before = seen_of(studio, subject.id)
    assert before == list(range(first, end or FRAMES))
    assert imported(client, "cvat", exported(client, "cvat")).json()["objects"] == 1
    again = studio.project.subjects()[-1]
    assert (again.tracked, seen_of(studio, again.id)) == (True, before)


@pytest.mark.parametrize("frame", [0, 7, FRAMES - 2, FRAMES - 1])
def test_a_lone_shape_comes_back_alone(client: TestClient, studio: Studio, frame: int) -> None:
    subject, _ = studio.add_subject("rectangle", tracked=False)
    studio.draw(subject.id, frame, (5, 5, 20, 20))
    imported(client, "cvat", exported(client, "cvat"))
    again = studio.project.subjects()[-1]
    assert (again.tracked, seen_of(studio, again.id)) == (False, [frame])


CAR = {"label": "car", "kind": "rectangle", "points": [5, 5, 20, 20]}
BY_CVAT: list[tuple[dict[str, Any], int, bool, list[int]]] = [
    ({"keyframes": [{"frame": 0}, {"frame": 15, "outside": True}]}, 1, True, list(range(15))),
    ({"keyframes": [{"frame": 0}]}, 1, True, list(range(FRAMES))),
    ({"keyframes": [{"frame": FRAMES - 2}]}, 1, True, [FRAMES - 2, FRAMES - 1]),
    ({"keyframes": [{"frame": 4, "outside": True}, {"frame": 6}]}, 1, True, list(range(6, FRAMES))),
    ({"frame": 3}, 1, False, [3]),
    ({"frame": FRAMES - 2}, 1, False, [FRAMES - 2]),  # CVAT leaves it open
    ({"frame": FRAMES - 1}, 1, False, [FRAMES - 1]),
    ({"frame": 4}, 4, False, [4]),
    ({"keyframes": [{"frame": 4}, {"frame": 12, "outside": True}]}, 4, True, list(range(4, 12))),
]


@pytest.mark.parametrize(("car", "step", "tracked", "seen"), BY_CVAT)
def test_tracks_and_shapes_are_told_apart_as_cvat_writes_them(
    client: TestClient, studio: Studio, car: dict[str, Any], step: int, tracked: bool, seen: list[int]
) -> None:
    content = plain.exported_video([CAR | car], (SIZE[1], SIZE[0]), last=FRAMES - 1, step=step)
    assert imported(client, "cvat", content).status_code == 200
    (subject,) = studio.project.subjects()
    assert (subject.tracked, seen_of(studio, subject.id)) == (tracked, seen)


def test_hand_edits_stay_hand_edits(client: TestClient, studio: Studio) -> None:
    number = clicked(studio, "rectangle", 1)
    track(studio, (number,), 0, 4)
    studio.draw(number, 2, (5, 5, 20, 20))
    sources = {shape.frame: shape.source for shape in studio.project.shapes(number=number)}
    assert sources == {0: "prompted", 1: "auto", 2: "manual", 3: "auto", 4: "auto"}
    content = exported(client, "cvat")
    assert imported(client, "cvat", content).status_code == 200
    again = studio.project.subjects()[-1].id
    by_hand = {shape.frame: shape.hand_made for shape in studio.project.shapes(number=again)}
    assert by_hand == {0: True, 1: False, 2: True, 3: False, 4: False}
    drawn = studio.project.shape(again, 2)
    track(studio, (again,), 0, 4)
    assert studio.project.shape(again, 2) == drawn
    # What another program wrote has no such mark: there the track's source counts for all of it.
    plainly = content.replace(b"keepsight-source", b"other").replace(b'source="auto"', b'source="manual"')
    imported(client, "cvat", plainly)
    last = studio.project.shapes(number=studio.project.subjects()[-1].id)
    assert [shape.source for shape in last] == ["manual"] * 5


def test_what_no_xml_can_hold_is_replaced(client: TestClient, studio: Studio) -> None:
    subject, _ = studio.add_subject("rectangle", name="a\x08b\ufffe\t<c>")
    studio.draw(subject.id, 0, (5, 5, 20, 20))
    content = exported(client, "cvat")
    assert "<name>a?b?\t&lt;c&gt;</name>" in content.decode()
    assert imported(client, "cvat", content).status_code == 200
    assert studio.project.subjects()[-1].name == "a?b?\t<c>"


IMAGES = """<annotations><version>1.1</version>
  <image id="7" name="a/00003.png" width="{width}" height="48">
    <box label="car" source="manual" xtl="3" ytl="4" xbr="20" ybr="22" group_id="2"></box>
    <polyline label="road" points="1,1;9,9"></polyline>
  </image>
  <image id="4" name="00004.png" width="80" height="48">
    <box label="car" source="auto" xtl="4" ytl="4" xbr="21" ybr="22" group_id="2"></box>
    <polygon label="car" source="auto" points="1,1;9,1;9,9"></polygon>
  </image></annotations>"""


def test_images_are_found_by_name_and_groups_are_objects(client: TestClient, studio: Studio) -> None:
    answer = imported(client, "cvat", IMAGES.format(width=80).encode())
    assert answer.json()["objects"] == 2
    found = [(s.object, s.frame, s.source) for s in studio.project.shapes()]
    first, second = (subject.id for subject in studio.project.subjects())
    assert sorted(found) == [(first, 3, "manual"), (first, 4, "auto"), (second, 4, "auto")]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (IMAGES.format(width=81), "81 x 48"),
        ("<svg/>", "CVAT's XML"),
        ("no XML", "XML"),
        ('<!DOCTYPE a [<!ENTITY b "c">]><annotations/>', "document type"),
        ('<annotations><track id="0"><box frame="0" keyframe="1" xtl="1"/></track></annotations>', "label"),
        (
            '<annotations><track id="0" label="a"><box frame="0" keyframe="1" xtl="1" ytl="x" xbr="3" '
            'ybr="4"/></track></annotations>',
            "number",
        ),
        (
            '<annotations><track id="0" label="a"><box frame="0" keyframe="1" xtl="1" ytl="2" xbr="3" '
            'ybr="4" rotation="30"/></track></annotations>',
            "turned",
        ),
    ],
)
def test_what_is_wrong_is_said_and_nothing_comes_in(
    client: TestClient, studio: Studio, content: str, says: str
) -> None:
    assert says in error_of(imported(client, "cvat", content.encode()), 400)
    assert studio.project.subjects() == []


def test_of_a_video_that_has_become_shorter_only_its_frames_go_out(tmp_path: Path) -> None:
    folder = write_clip(tmp_path / "clip")
    with opened_studio(folder) as studio:
        rectangle, _ = studio.add_subject("rectangle", name="box")
        for frame in (0, 8, 20):
            studio.draw(rectangle.id, frame, (3, 4, 20, 22))
    for path in sorted(folder.iterdir())[10:]:
        path.unlink()
    with opened_studio(folder, 10) as studio, client_of(studio) as client:
        content = exported(client, "cvat").decode()
    assert re.findall(r' frame="(\d+)"', content) == ["0", "8"]
