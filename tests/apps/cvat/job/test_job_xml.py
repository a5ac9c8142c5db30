"""CVAT's XML in, tracked XML out, read again by CVAT's rules; what was not tracked is the same bytes."""

from collections.abc import Callable
from typing import Any
from xml.etree import ElementTree
from xml.sax.saxutils import quoteattr

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keepsight.apps.cvat.job.xml_reading import read_xml
from keepsight.errors import AnnotationError, KeepsightError, UsageError
from keepsight.shapes.cvat_xml import Edit, Element, edited, parsed, start_tag_end
from tests.apps.cvat.job.conftest import HIDDEN, SIZE, box, mask, polygon
from tests.apps.cvat.job.plain import exported_images, exported_video, imported

TrackFile = Callable[..., bytes]
ATTRIBUTES = {"colour": "re<d & 'co\"", "seen": "yes"}


def car(*frames: int, outside: tuple[int, ...] = (), **other: Any) -> dict[str, Any]:
    """A track of square 1."""
    keyframes = [
        {"frame": f, "points": box(1, f), "outside": f in outside} for f in sorted({*frames, *outside})
    ]
    return {
        "label": "car", "kind": "rectangle", "points": box(1, 0), "keyframes": keyframes,
        "attributes": ATTRIBUTES, **other,
    }  # fmt: skip


def dog(kind: str, i: int, frame: int = 0, **other: Any) -> dict[str, Any]:
    """A shape of another square."""
    points = {"rectangle": box, "polygon": polygon, "mask": mask}[kind](i, frame)
    return {"label": "dog", "kind": kind, "frame": frame, "points": points, **other}


# --- the tree

names = st.sampled_from(["a", "track", "box", "x-y"])
texts = st.text(st.sampled_from(list("aé> \n<&'\"/]")), max_size=6)


@st.composite
def documents(draw: st.DrawFn, depth: int = 3) -> str:
    """An element, with ">" in attributes, comments and self-closing tags."""
    tag = draw(names)
    given_ = draw(st.dictionaries(st.sampled_from(["k", "points", "q"]), texts, max_size=2))
    attributes = "".join(f" {key}={quoteattr(value).replace('&gt;', '>')}" for key, value in given_.items())
    inner = []
    for _ in range(draw(st.integers(0, 3)) if depth else 0):
        inner.append(draw(documents(depth - 1)))
        inner.append(draw(st.sampled_from(["", "\n  ", "text &amp; é", "<!-- <no> -->", "<![CDATA[<x>]]>"])))
    if not inner and draw(st.booleans()):
        return f"<{tag}{attributes}{draw(st.sampled_from(['', ' ']))}/>"
    return f"<{tag}{attributes}>{''.join(inner)}</{tag}{draw(st.sampled_from(['', ' ']))}>"


@given(
    documents(), st.sampled_from(["", '<?xml version="1.0" encoding="UTF-8"?>\n', "\ufeff", "<!-- é > -->"])
)
def test_every_element_knows_where_it_stands(body: str, head: str) -> None:
    data = (head + body).encode()
    pairs = [(parsed(data, "it"), ElementTree.fromstring(body))]
    while pairs:
        element, truth = pairs.pop()
        assert (element.tag, element.attributes) == (truth.tag, truth.attrib)
        own = data[element.start : element.end].decode()
        again = ElementTree.fromstring(own)
        assert ElementTree.tostring(again) == ElementTree.tostring(_without_tail(truth))
        start = data[element.start : start_tag_end(data, element)]
        assert (
            ElementTree.fromstring(start if start.endswith(b"/>") else start[:-1] + b"/>").attrib
            == truth.attrib
        )
        pairs += zip(element.children, truth, strict=True)


def _without_tail(element: ElementTree.Element) -> ElementTree.Element:
    element.tail = None
    return element


def test_edits_are_made_in_order_wherever_they_come_from() -> None:
    edits = [Edit(6, 8, b"!"), Edit(2, 2, b"<"), Edit(0, 1, b""), Edit(2, 4, b"")]
    assert edited(b"0123456789", edits) == b"1<45!89"


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"<annotations>", "not well-formed"),
        (b"", "not well-formed"),
        (
            b'<!DOCTYPE a [<!ENTITY a "aaa"><!ENTITY b "&a;&a;">]><annotations>&b;</annotations>',
            "document type",
        ),
        (b"<!DOCTYPE annotations><annotations/>", "document type"),
        (b"<?xml version='1.0' encoding='latin-1'?><annotations/>", "UTF-8"),
        ("<annotations/>".encode("utf-16"), "UTF-16"),
        (b"<mask/>", "begins with <mask>"),
        (b"<annotations><meta><project/></meta></annotations>", "export of a project"),
        (b"<annotations><track id='x'/></annotations>", "a whole number, but got 'x'"),
        (b"<annotations><image/></annotations>", "to have id"),
    ],
)
def test_what_is_not_cvats_xml_is_refused(data: bytes, says: str) -> None:
    with pytest.raises(AnnotationError) as caught:
        read_xml(data, "'in.xml'", 10)
    assert says in str(caught.value)
    assert "in.xml" in str(caught.value)


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ('xtl="10.00"', 'xtl="ten"', "track 0, frame 0, box: expected a number, but got 'ten'"),
        ('xtl="10.00"', 'xtl="nan"', "expected a coordinate"),
        ('xtl="10.00" ', "", "to have xtl"),
        ('frame="7"', 'frame="0"', "two on one frame"),
        ('points="35.00,18.00;', 'points="35.00;', "expected points as x,y;x,y"),
        ('left="60"', 'left="left"', "left: expected a whole number"),
        ("<stop_frame>9", "<stop_frame>-3", "expected frames, but got 0 to -3"),
        ("<frame_filter>", "<frame_filter>every=2", "frame_filter"),
        (' label="car"', "", "to have label"),
    ],
)
def test_a_wrong_entry_is_named(old: str, new: str, says: str) -> None:
    data = exported_video([car(0, 7), dog("polygon", 2), dog("mask", 3)], SIZE)
    assert old.encode() in data
    with pytest.raises(AnnotationError) as caught:
        read_xml(data.replace(old.encode(), new.encode(), 1), "'in.xml'", 10)
    assert says in str(caught.value)


# --- for video


def test_tracks_shapes_and_masks_are_read_as_what_they_are() -> None:
    objects = [
        car(0, 7),
        dog("polygon", 2, group=4),
        dog("mask", 3),
        dog("rectangle", 2, 9),
        car(2, outside=(5,)),
    ]
    job = read_xml(exported_video(objects, SIZE), "'in.xml'", 10).job
    assert [(t.id, len(t.keyframes)) for t in job.tracks] == [(0, 2), (4, 2)]
    assert [(s.id, s.figure.kind, s.group) for s in job.shapes] == [
        (1, "polygon", 4), (2, "mask", 0), (3, "rectangle", 0)
    ]  # fmt: skip
    assert (job.size, job.highest_group, job.timeline.last) == (SIZE, 4, 9)
    assert dict(job.tracks[0].keyframes[0].attributes) == ATTRIBUTES
    assert job.mutable("car") == frozenset({"seen"})


def test_a_track_that_a_person_ended_elsewhere_is_none_of_cvats_shapes() -> None:
    keyframes = [{"frame": 0, "points": box(1, 0)}, {"frame": 1, "points": box(1, 1), "outside": True}]
    job = read_xml(exported_video([car(0, keyframes=keyframes)], SIZE), "'in.xml'", 10).job
    assert (len(job.tracks), len(job.shapes)) == (1, 0)


def test_a_tracked_file_is_read_by_cvat_as_it_was_meant(track_file: TrackFile) -> None:
    objects = [car(0, 7, group=3), dog("rectangle", 2, z_order=2), dog("mask", 3, occluded=True)]
    tracks, shapes = imported(track_file(exported_video(objects, SIZE), 0, 8))
    assert [(t["label"], t["group"]) for t in tracks] == [("car", 3), ("dog", 0)]
    kept, new = tracks
    assert [k["frame"] for k in kept["keyframes"]] == list(range(10))
    assert [k["frame"] for k in kept["keyframes"] if k["outside"]] == [*HIDDEN, 9]
    assert all(k["attributes"] == ATTRIBUTES for k in kept["keyframes"])
    assert kept["keyframes"][7]["points"] == box(1, 7)  # by hand
    assert [k["frame"] for k in new["keyframes"]] == list(range(10))
    assert {k["z_order"] for k in new["keyframes"]} == {2}
    assert [(s["frame"], s["kind"], s["occluded"]) for s in shapes] == [(f, "mask", True) for f in range(9)]


def test_what_was_not_tracked_is_the_same_bytes(track_file: TrackFile) -> None:
    data = exported_video(
        [
            dog("rectangle", 2),
            car(0, 3, 7),
            dog("polygon", 3, 5),
            {**dog("polygon", 2, 3), "kind": "polyline"},
        ],
        SIZE,
    )
    data = data.replace(b"</meta>", b"</meta>\n  <!-- by hand: \xc3\xa9 -->\n  <unknown a='1'>?</unknown>")
    out = track_file(data, 0, 4, label=["dog"])
    without = _without(data, 0)
    end = without.rindex(b"\n</annotations>")
    assert out.startswith(without[:end])
    assert out.endswith(b"\n</annotations>\n")
    assert out.count(b"<track") == 4


def test_interpolated_figures_stay_where_nothing_changed(track_file: TrackFile) -> None:
    data = exported_video([car(0, 3, 7, outside=(9,))], SIZE)
    out = track_file(data, 3, 5)
    (element,) = [e for e in ElementTree.fromstring(out) if e.tag == "track"]
    entries = [(int(e.attrib["frame"]), e.attrib["keyframe"]) for e in element]
    assert entries == [
        (0, "1"), (1, "0"), (2, "0"), (3, "1"), (4, "1"), (5, "1"), (7, "1"), (8, "0"), (9, "1")
    ]  # fmt: skip
    assert element.attrib["source"] == "semi-auto"
    for child in parsed(data, "in").children[-1].children:
        if child.attributes["frame"] in "012378":
            assert data[child.start : child.end] in out


@pytest.mark.parametrize("convert", [False, True])
def test_a_second_run_gives_the_same_bytes(track_file: TrackFile, convert: bool) -> None:
    objects = [car(3, 8), dog("polygon", 2, 3), dog("mask", 3, 3), dog("rectangle", 2, 3)]
    first = track_file(exported_video(objects, SIZE), 3, 7, 1, convert_polygons_to_tracks=convert)
    assert track_file(first, 3, 7, 1, convert_polygons_to_tracks=convert) == first


def test_a_mark_survives_the_two_decimals_of_an_export(track_file: TrackFile) -> None:
    out = track_file(exported_video([car(0)], SIZE), 0, 7)
    (track,) = read_xml(out, "out", 10).job.tracks
    printed = [
        {"frame": k.frame, "points": list(k.points), "outside": k.outside} for k in track.keyframes
    ]  # as CVAT would export it
    again = exported_video([car(0, keyframes=printed)], SIZE)
    _, tracked = imported(out), imported(track_file(again, 0, 7))
    assert tracked == imported(out)


def test_start_frame_and_step_are_the_videos(track_file: TrackFile) -> None:
    square = {"label": "car", "kind": "rectangle", "frame": 3, "points": box(2, 3)}
    data = exported_video([square], SIZE, first=1, last=9, step=2)
    job = read_xml(data, "in", 10).job
    assert list(job.timeline.frames) == [1, 3, 5, 7, 9]
    (track,), _ = imported(track_file(data, 3, 7))
    assert [(k["frame"], k["outside"]) for k in track["keyframes"]] == [
        (3, False), (5, False), (7, False), (9, True)
    ]  # fmt: skip
    with pytest.raises(KeepsightError, match="frames 1 to 9, every 2"):
        track_file(data, 4)


def _without(data: bytes, number: int) -> bytes:
    """The file without one track and the space before it."""
    element = [e for e in parsed(data, "in") if e.tag == "track"][number]
    start = element.start
    while data[start - 1 : start].isspace():
        start -= 1
    return data[:start] + data[element.end :]


# --- for images


def test_images_get_a_shape_each(track_file: TrackFile) -> None:
    objects = [
        dog("polygon", 2, attributes=ATTRIBUTES),
        dog("rectangle", 3, group=2),
        dog("mask", 1),
        dog("mask", 2, 6),
    ]
    data = exported_images(objects, SIZE, range(10))
    out = track_file(data, 0, 7)
    _, shapes = imported(out)
    found: dict[tuple[str, int], list[int]] = {}
    for shape in shapes:
        found.setdefault((shape["kind"], shape["group"]), []).append(shape["frame"])
    assert found == {
        ("polygon", 3): list(range(8)),
        ("rectangle", 2): list(range(8)),
        ("mask", 4): [0, 1, 2, 3, 6, 7],
        ("mask", 0): [6],
    }
    assert all(s["attributes"] == ATTRIBUTES for s in shapes if s["kind"] == "polygon")
    assert track_file(out, 0, 7) == out
    with pytest.raises(UsageError, match="'CVAT for images' has no tracks"):
        track_file(data, 0, 7, convert_polygons_to_tracks=True)


def test_images_that_are_not_there_were_deleted(track_file: TrackFile) -> None:
    data = exported_images([dog("rectangle", 2)], SIZE, [0, 1, 4, 6, 7])
    data = data.replace(
        b'<image id="4" name="4.png" width="80" height="48">\n  </image>', b'<image id="4" name="4.png"/>'
    )
    assert b"/>" in data
    _, shapes = imported(track_file(data, 0, 6))
    assert [shape["frame"] for shape in shapes] == [0, 1, 4, 6]
    with pytest.raises(KeepsightError, match=r"--start-frame 2: this frame of .* is deleted"):
        track_file(data, 2)


def test_images_are_found_by_name(track_file: TrackFile) -> None:
    # Frame 0 of the task is image 5.png: found by its name, not by its place in the folder.
    data = exported_images([{**dog("rectangle", 2, 5), "frame": 0}], SIZE, range(3))
    for number in (2, 1, 0):
        data = data.replace(f'name="{number}.png"'.encode(), f'name="some/where/{number + 5}.png"'.encode())
    _, shapes = imported(track_file(data, 0))
    assert [s["frame"] for s in shapes] == [0, 1, 2]
    assert all(abs(a - b) <= 5 for a, b in zip(shapes[2]["points"], box(2, 7), strict=True))
    missing = data.replace(b"7.png", b"70.png")
    with pytest.raises(KeepsightError, match=r"to hold 'some/where/70.png', which is frame 2"):
        track_file(missing, 0)


def test_an_image_of_another_size_is_named(track_file: TrackFile) -> None:
    data = exported_images([dog("rectangle", 2)], SIZE, range(10))
    data = data.replace(b'name="4.png" width="80"', b'name="4.png" width="81"')
    with pytest.raises(KeepsightError, match=r"Frame 4 of .* is an image of 81 x 48 pixels"):
        track_file(data, 0)
    assert len(imported(track_file(data, 0, 3))[1]) == 4


def test_elements_can_be_walked() -> None:
    root = parsed(b"<a><b> x </b><b>y</b></a>", "it")
    assert isinstance(root.find("b"), Element)
    assert (root.text_of("b"), root.text_of("c"), [e.text for e in root]) == ("x", "", [" x ", "y"])
