"""The real SDK against a CVAT server in this process: what is on it after a run."""

import copy

import numpy as np
import pytest

from keepsight.shapes import cvat_rle
from tests.apps.cvat.job.conftest import HIDDEN, Track, box, clip, drawn, drawn_track, mask, plain, polygon
from tests.apps.cvat.job.cvat_server import CvatServer
from tests.toy import blob_frame, place


def near(found: list[float], i: int, frame: int) -> bool:
    """Whether a box lies on square i, as well as the toy sees it."""
    return bool(np.abs(np.asarray(found) - box(i, frame)).max() <= 5)


def test_a_rectangle_becomes_a_track_with_all_that_belongs_to_it(server: CvatServer, track: Track) -> None:
    attributes = [{"spec_id": 9, "value": "red"}, {"spec_id": 10, "value": "no"}]
    server.put(shapes=[drawn("rectangle", 1, group=4, occluded=True, z_order=2, attributes=attributes)])
    track(0, 7)
    after = server.read()
    assert server.patches == ["create", "delete"]
    assert after["shapes"] == []
    (made,) = after["tracks"]
    assert (made["label_id"], made["group"], made["source"], made["frame"]) == (3, 4, "auto", 0)
    assert made["attributes"] == [{"spec_id": 9, "value": "red"}]
    assert [k["frame"] for k in made["shapes"]] == [0, 1, 2, 3, 4, 5, 6, 7, 8]
    assert [k["frame"] for k in made["shapes"] if k["outside"]] == [*HIDDEN, 8]  # 8 closes it
    for keyframe in made["shapes"]:
        assert (keyframe["occluded"], keyframe["z_order"]) == (True, 2)
        assert keyframe["attributes"] == [{"spec_id": 10, "value": "no"}]
        assert keyframe["outside"] or near(keyframe["points"], 1, keyframe["frame"])
    assert made["shapes"][0]["points"] == box(1, 0)
    rounded = [[round(point, 2) for point in k["points"]] for k in made["shapes"]]
    assert rounded[4] == rounded[5] == rounded[3]  # where it was seen last
    assert rounded[8] == rounded[7]


def test_polygons_become_tracks_if_asked_and_else_one_shape_per_frame(
    server: CvatServer, track: Track
) -> None:
    server.put(shapes=[drawn("polygon", 2, z_order=3), drawn("polygon", 3)])
    track(0, 3, label=["dog"], id=["101"], convert_polygons_to_tracks=True)
    track(0, 3, id=["102"] if server.read()["shapes"][0]["id"] == 102 else ["101"])
    after = server.read()
    (made,) = after["tracks"]
    assert [k["frame"] for k in made["shapes"]] == [0, 1, 2, 3, 4]
    assert all(k["type"] == "polygon" and k["z_order"] == 3 for k in made["shapes"])
    assert made["shapes"][0]["points"] == polygon(2, 0)
    assert [(s["frame"], s["group"], s["source"], s["type"]) for s in after["shapes"]] == [
        (0, 1, "manual", "polygon"),
        (1, 1, "auto", "polygon"),
        (2, 1, "auto", "polygon"),
        (3, 1, "auto", "polygon"),
    ]


def test_masks_become_one_shape_per_frame_that_share_a_new_group(server: CvatServer, track: Track) -> None:
    attributes = [{"spec_id": 9, "value": "red"}, {"spec_id": 10, "value": "no"}]
    server.put(
        shapes=[drawn("mask", 1, attributes=attributes, occluded=True), drawn("rectangle", 2, 5, group=8)]
    )
    track(0, 7, label=["car"])
    after = server.read()
    shapes = [shape for shape in after["shapes"] if shape["label_id"] == 3]
    assert [shape["frame"] for shape in shapes] == [0, 1, 2, 3, 6, 7]  # none where it is hidden
    assert {shape["group"] for shape in shapes} == {9}  # 8 is taken
    assert shapes[0]["points"] == mask(1, 0)
    for shape in shapes:
        assert plain(shape)["attributes"] == attributes
        assert shape["occluded"]
        rows, columns = cvat_rle.decode(shape["points"], 48, 80).nonzero()
        x, y = place(1, shape["frame"])
        assert abs(columns.mean() - x - 6) < 4
        assert abs(rows.mean() - y - 6) < 4
    assert after["tracks"] == []
    assert [shape for shape in after["shapes"] if shape["group"] == 8] == [
        {**drawn("rectangle", 2, 5, group=8), "id": 102, "elements": []}
    ]


@pytest.mark.parametrize("kind", ["rectangle", "polygon", "mask"])
@pytest.mark.parametrize("targets", [(7,), (1,), (1, 8)], ids=["forward", "backward", "both"])
def test_a_second_run_changes_nothing(
    server: CvatServer, track: Track, kind: str, targets: tuple[int]
) -> None:
    server.put(shapes=[drawn(kind, 1, 3), drawn(kind, 2, 3), drawn(kind, 3, 3)])
    track(3, *targets, convert_polygons_to_tracks=True)
    before, patches = server.read(), len(server.patches)
    outcome = track(3, *targets)
    assert outcome.changes is not None
    assert not outcome.changes
    assert plain(server.read()) == plain(before)
    assert len(server.patches) == patches


def test_a_longer_run_replaces_the_end_that_a_shorter_one_wrote(server: CvatServer, track: Track) -> None:
    server.put(tracks=[drawn_track("rectangle", 2, 0)])
    track(0, 3)
    (made,) = server.read()["tracks"]
    assert [(k["frame"], k["outside"]) for k in made["shapes"]] == [
        (0, False), (1, False), (2, False), (3, False), (4, True)
    ]  # fmt: skip
    track(0, 6)
    (longer,) = server.read()["tracks"]
    assert longer["id"] == made["id"]
    assert longer["source"] == "semi-auto"  # a person began it
    assert [(k["frame"], k["outside"]) for k in longer["shapes"]] == [
        *((frame, False) for frame in range(7)), (7, True)
    ]  # fmt: skip
    assert server.patches == ["update", "update"]


def test_a_track_to_the_end_of_the_job_is_not_closed(server: CvatServer, track: Track) -> None:
    server.put(tracks=[drawn_track("rectangle", 2, 0)])
    track(0)
    (made,) = server.read()["tracks"]
    assert [(k["frame"], k["outside"]) for k in made["shapes"]] == [(frame, False) for frame in range(10)]


def test_a_track_that_goes_on_later_is_not_closed(server: CvatServer, track: Track) -> None:
    server.put(tracks=[drawn_track("rectangle", 2, 0, 8)])
    track(0, 4)
    (made,) = server.read()["tracks"]
    assert [k["frame"] for k in made["shapes"]] == [0, 1, 2, 3, 4, 8]
    assert not any(k["outside"] for k in made["shapes"])


def test_backward_a_track_begins_where_it_is_first_seen(server: CvatServer, track: Track) -> None:
    server.put(shapes=[drawn("rectangle", 1, 7)], tracks=[drawn_track("rectangle", 2, 7)])
    track(7, 4)
    new, old = sorted(server.read()["tracks"], key=lambda item: item["label_id"])
    # Hidden on 4 and 5; a shape was on frame 7 alone, a track went on from there.
    assert [(k["frame"], k["outside"]) for k in new["shapes"]] == [(6, False), (7, False), (8, True)]
    assert new["frame"] == 6
    assert [(k["frame"], k["outside"]) for k in old["shapes"]] == [(f, False) for f in (4, 5, 6, 7)]


def test_both_ways_at_once(server: CvatServer, track: Track) -> None:
    server.put(shapes=[drawn("rectangle", 2, 4)])
    track(4, 6, 1)
    (made,) = server.read()["tracks"]
    assert [(k["frame"], k["outside"]) for k in made["shapes"]] == [
        *((frame, False) for frame in range(1, 7)), (7, True)
    ]  # fmt: skip


def test_deleted_frames_are_neither_asked_for_nor_written(server: CvatServer, track: Track) -> None:
    server.deleted = (2, 3, 8)
    server.put(shapes=[drawn("rectangle", 2), drawn("mask", 3)])
    track(0, 7)
    after = server.read()
    assert [k["frame"] for k in after["tracks"][0]["shapes"]] == [0, 1, 4, 5, 6, 7, 9]
    assert after["tracks"][0]["shapes"][-1]["outside"]
    assert [shape["frame"] for shape in after["shapes"]] == [0, 1, 4, 5, 6, 7]
    assert sorted(server.fetched) == [0, 1, 4, 5, 6, 7]  # each once


def test_only_what_is_needed_is_fetched_and_what_is_selected_is_changed(
    server: CvatServer, track: Track
) -> None:
    server.put(
        shapes=[drawn("rectangle", 2, 4), drawn("polygon", 3, 4, type="ellipse")],
        tracks=[drawn_track("rectangle", 1, 0), drawn_track("rectangle", 2, 0, outside=(2,))],
    )
    others = [item for item in server.read()["tracks"]]
    outcome = track(4, 6, label=["dog"])
    assert [course.subject.name for course in outcome.courses] == ["shape 101 (dog)"]
    assert "ellipse" in outcome.notes[0]
    assert sorted(server.fetched) == [4, 5, 6]
    assert plain({"t": [t for t in server.read()["tracks"] if t["frame"] == 0]}) == plain({"t": others})


def test_keyframes_by_hand_stay_and_show_what_is_meant(server: CvatServer, track: Track) -> None:
    server.put(tracks=[drawn_track("rectangle", 2, 0)])
    track(0, 8)
    kept = server.annotations["tracks"][0]["shapes"]
    kept[5]["points"] = box(2, 5)
    kept[7]["outside"] = True
    corrected = copy.deepcopy([kept[5], kept[7]])
    outcome = track(0, 8)
    (course,) = outcome.courses
    assert [(figure.frame, list(figure.points)) for figure in course.prompts] == [
        (0, box(2, 0)),
        (5, box(2, 5)),
    ]
    assert sorted(course.write) == [1, 2, 3, 4, 6, 8]
    (made,) = server.read()["tracks"]
    assert plain([made["shapes"][5], made["shapes"][7]]) == plain(corrected)
    assert near(made["shapes"][8]["points"], 2, 8)  # a keyframe follows the one that a hand put outside
    assert not made["shapes"][8]["outside"]


def test_what_a_hand_sets_on_a_keyframe_holds_from_there_on(server: CvatServer, track: Track) -> None:
    server.put(tracks=[drawn_track("rectangle", 1, 0, 3)])
    edited = server.annotations["tracks"][0]["shapes"][1]
    edited.update(
        occluded=True, z_order=5, attributes=[{"spec_id": 10, "value": "no"}], points=[20, 10, 40, 30]
    )
    track(0, 7)
    (made,) = server.read()["tracks"]
    flags = [(k["occluded"], k["z_order"], k["attributes"][0]["value"]) for k in made["shapes"]]
    assert flags == [(False, 0, "yes")] * 3 + [(True, 5, "no")] * 6
    # Hidden on the next frame, it is gone from where the hand put it.
    assert made["shapes"][4]["outside"]
    assert [round(point, 2) for point in made["shapes"][4]["points"]] == [20, 10, 40, 30]


def test_where_a_person_ended_a_track_it_stays_ended(server: CvatServer, track: Track) -> None:
    server.put(tracks=[drawn_track("rectangle", 2, 0, outside=(4,))])
    track(0, 8)
    (made,) = server.read()["tracks"]
    assert [(k["frame"], k["outside"]) for k in made["shapes"]] == [
        *((frame, False) for frame in range(4)), (4, True)
    ]  # fmt: skip
    assert sorted(set(server.fetched)) == [0, 1, 2, 3]  # nobody needs the others


def test_a_track_between_keyframes_gets_one_where_it_starts(server: CvatServer, track: Track) -> None:
    server.put(tracks=[drawn_track("rectangle", 2, 0, 8)])
    track(3, 5)
    (made,) = server.read()["tracks"]
    assert [k["frame"] for k in made["shapes"]] == [0, 3, 4, 5, 8]
    middle = np.asarray(box(2, 0)) + (np.asarray(box(2, 8)) - box(2, 0)) * 3 / 8
    assert np.abs(np.asarray(made["shapes"][1]["points"]) - middle).max() < 0.02


def test_masks_that_a_person_changed_stay_and_those_of_an_earlier_run_keep_their_numbers(
    server: CvatServer, track: Track
) -> None:
    server.put(shapes=[drawn("mask", 2)])
    track(0, 4)
    first = server.read()["shapes"]
    edited = server.annotations["shapes"][2]
    edited.update(points=mask(2, 2), source="semi-auto")  # as CVAT does when an outline is changed
    server.annotations["shapes"][3]["occluded"] = True  # which leaves the source as it is
    (course,) = track(0, 6).courses
    assert [figure.frame for figure in course.prompts] == [0, 2]
    after = server.read()["shapes"]
    assert [s["frame"] for s in after] == [0, 1, 2, 3, 4, 5, 6]
    assert [s["id"] for s in after[:5]] == [s["id"] for s in first]
    assert after[2]["points"] == mask(2, 2)
    assert [s["occluded"] for s in after] == [False, False, False, True, False, False, False]


def test_an_object_that_is_lost_in_a_later_run_loses_its_shapes_there(
    server: CvatServer, track: Track
) -> None:
    server.put(shapes=[drawn("mask", 2)])
    track(0, 4)
    server.frames = [blob_frame(i, hidden=(2,) if i >= 3 else ()) for i in range(10)]
    track(0, 4)
    assert [s["frame"] for s in server.read()["shapes"]] == [0, 1, 2]


def test_turned_rectangles_stay_turned(server: CvatServer, track: Track) -> None:
    server.put(shapes=[drawn("rectangle", 2, rotation=30.0)])
    track(0, 3)
    (made,) = server.read()["tracks"]
    assert [k["rotation"] for k in made["shapes"]] == [30.0] * 5
    for keyframe in made["shapes"][1:4]:
        x, y = place(2, keyframe["frame"])
        x1, y1, x2, y2 = keyframe["points"]
        assert abs((x1 + x2) / 2 - x - 6) < 4
        assert abs((y1 + y2) / 2 - y - 6) < 4


def test_a_dry_run_asks_for_no_frame_and_writes_nothing(server: CvatServer, track: Track) -> None:
    server.put(shapes=[drawn("rectangle", 2)])
    before = server.read()
    outcome = track(0, 7, dry_run=True)
    assert outcome.changes is None
    assert [sorted(course.write) for course in outcome.courses] == [list(range(1, 8))]
    assert (server.read(), server.patches, server.fetched) == (before, [], [])


def test_the_clip_is_what_it_says() -> None:
    hidden = [i for i, frame in enumerate(clip()) if not (frame == (230, 30, 30)).all(axis=2).any()]
    assert hidden == list(HIDDEN)
