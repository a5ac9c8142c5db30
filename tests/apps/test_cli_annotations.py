import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from keepsight.apps.cli.annotations import read_annotation
from keepsight.errors import AnnotationError
from keepsight.types import Box, Points

BOX = {"xmin": "10", "ymin": 20, "xmax": 30.5, "ymax": "40"}


def stored(folder: Path, document: Any, name: str = "a.json") -> Path:
    path = folder / name
    path.write_text(document if isinstance(document, str) else json.dumps(document), encoding="utf-8")
    return path


def objects(*items: Any) -> Any:
    return {"annotation": {"object": list(items)}}


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ("", "not valid JSON"),
        ("{", "not valid JSON"),
        ("[" * 100_000, "not valid JSON"),
        ("3", "expected a list"),
        ({"boxes": []}, "expected a list"),
        ({"annotation": {}}, "annotation.object"),
        ({"annotation": {"object": 3}}, "annotation.object"),
        ([], "empty"),
        (objects(), "empty"),
        ({"shapes": []}, "empty"),
        (objects({"name": "a", "bndbox": BOX}, 3), "object 2.*'bndbox'"),
        (objects({"bndbox": BOX}), "object 1.*'name'"),
        (objects({"name": "", "bndbox": BOX}), "expected a name"),
        (objects({"name": "a"}), "'bndbox' with xmin"),
        (objects({"name": "a", "bndbox": {"xmin": 1, "ymin": 2, "xmax": 3}}), "'bndbox' with xmin"),
        (objects({"name": "a", "bndbox": BOX | {"xmax": "wide"}}), "bndbox.xmax"),
        (objects({"name": "a", "bndbox": BOX | {"xmax": None}}), "bndbox.xmax"),
        (objects({"name": "a", "bndbox": BOX | {"xmax": True}}), "bndbox.xmax"),
        (objects({"name": "a", "bndbox": BOX | {"xmax": "nan"}}), "finite"),
        (objects({"name": "a", "bndbox": BOX | {"xmax": 10**400}}), "bndbox.xmax"),
        (objects({"name": "a", "bndbox": BOX | {"xmax": 5}}), "object 1.*x1 < x2"),
        (objects({"name": "a", "bndbox": BOX}, {"name": "a", "bndbox": BOX}), "object 2.*duplicate.*'a'"),
        ([{"box": [1, 2, 3]}], "'box' to be 4 numbers"),
        ([{"box": [1, 2, 3, 4], "frames": 2}], "unknown key 'frames'"),
        ([{"box": [1, 2, 3, 4], "frame": -1}], "'frame' to be a whole number"),
        ([{"box": [1, 2, 3, 4], "object": 0}], "'object' to be a whole number"),
        ([{"points": [[1]]}], "points"),
        ([{"points": [[1, 2]], "labels": [1, 0]}], "one label per point"),
        ([{"points": []}], "at least one"),
        ([{"labels": [1]}], "expected 'points'"),
        ([{"name": "a"}], "none of them"),
        ([{"mask": 3}], "path of a PNG"),
        ([{"mask": "gone.png"}], "no mask file"),
        ([{"object": 1, "box": [1, 2, 3, 4]}, {"object": 1, "points": [[1, 2]]}], "object 2.*duplicate"),
        ({"shapes": [{"label": "a", "shape_type": "circle", "points": [[1, 2], [3, 4]]}]}, "circle"),
        ({"shapes": [{"label": "a", "points": [[1, 2], [3, 4], [5, 6]]}]}, "imageHeight"),
        ({"shapes": [{"label": "a", "points": 3}]}, "'label' and 'points'"),
    ],
)
def test_a_wrong_file_is_refused_with_its_name_and_the_position(
    tmp_path: Path, document: Any, words: str
) -> None:
    with pytest.raises(AnnotationError, match=words) as caught:
        read_annotation(stored(tmp_path, document))
    assert "a.json" in str(caught.value)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("<annotation>", "not valid XML"),
        ("<annotation/>", "empty"),
        ('<!DOCTYPE a [<!ENTITY b "c">]><annotation/>', "document type"),
        ("<annotation><object><name>a</name></object></annotation>", "bndbox"),
        ("<annotation><object><name/><bndbox><xmin>1</xmin></bndbox></object></annotation>", "bndbox"),
    ],
)
def test_a_wrong_xml_is_refused(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(AnnotationError, match=words):
        read_annotation(stored(tmp_path, text, "a.xml"))


def test_a_missing_file_a_folder_and_no_text_are_refused(tmp_path: Path) -> None:
    (tmp_path / "latin.json").write_bytes(b'[{"name": "\xe9"}]')
    for name in ("gone.json", ".", "latin.json"):
        with pytest.raises(AnnotationError):
            read_annotation(tmp_path / name)


def test_the_script_interfaces_form_with_one_object_or_several(tmp_path: Path) -> None:
    one = read_annotation(stored(tmp_path, {"annotation": {"object": {"name": "dog", "bndbox": BOX}}}), 3)
    assert [(entry.frame, entry.name, entry.box) for entry in one] == [(3, "dog", Box(10, 20, 30.5, 40))]
    two = read_annotation(
        stored(tmp_path, objects({"name": "a", "bndbox": BOX}, {"name": "b", "bndbox": BOX, "pose": "left"}))
    )
    assert [entry.name for entry in two] == ["a", "b"]


def test_pascal_voc(tmp_path: Path) -> None:
    text = """<?xml version="1.0" encoding="UTF-8"?><annotation><size><width>64</width></size>
        <object><name>dog</name><pose>Left</pose><bndbox><xmin>1</xmin><ymin>2</ymin><xmax>3</xmax>
        <ymax>4</ymax></bndbox></object></annotation>"""
    (entry,) = read_annotation(stored(tmp_path, text, "a.XML"))
    assert (entry.name, entry.box) == ("dog", Box(1, 2, 3, 4))


def test_labelme_rectangles_in_any_corner_order_polygons_and_points(tmp_path: Path) -> None:
    shapes = [
        {"label": "box", "shape_type": "rectangle", "points": [[30, 40], [10, 20]], "group_id": None},
        {"label": "area", "shape_type": "polygon", "points": [[1, 1], [9, 1], [9, 5], [1, 5]], "group_id": 2},
        {"label": "click", "shape_type": "point", "points": [[7, 8]]},
    ]
    found = read_annotation(stored(tmp_path, {"shapes": shapes, "imageHeight": 12, "imageWidth": 16}))
    assert [entry.name for entry in found] == ["box", "area 2", "click"]
    assert found[0].box == Box(10, 20, 30, 40)
    area, click = found[1].mask, found[2].points
    assert area is not None
    assert click is not None
    assert np.shape(area.array) == (12, 16)
    assert np.asarray(area.array)[1:5, 1:9].all()
    assert np.sum(area.array) == 32
    assert np.asarray(click.xy).tolist() == [[7, 8]]


def test_our_own_list_over_several_frames(tmp_path: Path) -> None:
    values = np.zeros((6, 8), np.uint8)
    values[1:3], values[4:] = 1, 2
    image = Image.frombytes("P", (8, 6), values.tobytes())
    image.putpalette([0, 0, 0, 128, 0, 0, 0, 128, 0])
    image.save(tmp_path / "ids.png")
    found = read_annotation(
        stored(
            tmp_path,
            [
                {"name": "dog", "box": [1, 2, 3, 4]},
                {"frame": 9, "name": "dog", "points": [[1, 2], ["3", 4]], "labels": [1, 0]},
                {"frame": 9, "object": 2, "mask": "ids.png"},
            ],
        ),
        frame=5,
    )
    assert [(entry.frame, entry.object_id, entry.name) for entry in found] == [
        (5, None, "dog"),
        (9, None, "dog"),
        (9, 2, None),
    ]
    assert isinstance(found[1].prompt(), Points)
    assert found[2].mask is not None
    assert np.array_equal(found[2].mask.array, values == 2)


corner, side = st.floats(0, 1e6), st.floats(1, 1e6)
edges = st.tuples(corner, corner, side, side).map(lambda b: [b[0], b[1], b[0] + b[2], b[1] + b[3]])
LOADED = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]  # the machine may be busy


@given(st.lists(edges, min_size=1, max_size=5), st.booleans())
@settings(max_examples=25, suppress_health_check=LOADED, deadline=None)
def test_boxes_come_back_as_they_were_written(
    tmp_path: Path, boxes: list[list[float]], as_text: bool
) -> None:
    names = ("xmin", "ymin", "xmax", "ymax")
    items = [
        {"name": f"n{i}", "bndbox": {k: str(v) if as_text else v for k, v in zip(names, box, strict=True)}}
        for i, box in enumerate(boxes)
    ]
    found = read_annotation(stored(tmp_path, objects(*items)))
    assert [entry.box for entry in found] == [Box(*box) for box in boxes]


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda inner: (
            st.lists(inner)
            | st.dictionaries(
                st.sampled_from(
                    [
                        "annotation",
                        "object",
                        "name",
                        "bndbox",
                        "xmin",
                        "shapes",
                        "points",
                        "label",
                        "box",
                        "mask",
                        "frame",
                    ]
                ),
                inner,
            )
        ),
        max_leaves=20,
    )
)
@settings(max_examples=100, suppress_health_check=LOADED, deadline=None)
def test_any_json_is_read_or_refused_never_worse(tmp_path: Path, document: Any) -> None:
    path = stored(tmp_path, json.dumps(document))
    with suppress(AnnotationError):
        assert read_annotation(path)
