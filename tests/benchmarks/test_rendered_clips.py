from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cache

import cv2
import numpy as np
import pytest

from benchmarks.rendered_clips import EASY, FAMILIES, LENGTH, TARGET, RenderedClip, crowd, rendered_clip
from benchmarks.rendered_scene import SIZE
from keepsight.types import BoolArray

KINDS = [kind for kinds in FAMILIES.values() for kind in kinds]
HIDING = ["occluded", "overtaken", "elsewhere", "leaving", "mixed"]


@cache
def clip(kind: str, seed: int = 0) -> RenderedClip:
    return rendered_clip(kind, seed)


@cache
def areas(kind: str, seed: int) -> tuple[int, ...]:
    """The target's visible pixels on every frame."""
    return tuple(int(frame.truths[TARGET].sum()) for frame in clip(kind, seed).frames())


def stretches(sizes: Sequence[int]) -> Iterator[tuple[int, int]]:
    """First frame and first frame after of every stretch without a visible pixel.

    A single frame between two of them counts as hidden: how a machine rounds decides about the last pixels
    that come out from behind an edge.
    """
    gone = np.array(sizes) == 0
    gone[1:-1] |= gone[:-2] & gone[2:]
    edges = np.flatnonzero(np.diff([0, *gone, 0]))
    yield from zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True)


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_kind_and_seed_give_the_same_frames_and_another_seed_others(kind: str) -> None:
    made = clip(kind)
    assert made.length == LENGTH >= 300
    for one, again, other in zip(
        made.frames(2), rendered_clip(kind, 0).frames(2), clip(kind, 1).frames(2), strict=True
    ):
        assert one.image.shape == (SIZE[1], SIZE[0], 3)
        assert one.image.dtype == np.uint8
        assert np.array_equal(one.image, again.image)
        assert all(np.array_equal(one.truths[i], again.truths[i]) for i in one.truths)
        assert not np.array_equal(one.image, other.image)


@pytest.mark.parametrize("kind", KINDS)
def test_a_frame_does_not_depend_on_the_frames_drawn_before(kind: str) -> None:
    *_, last = clip(kind).frames(4)
    assert np.array_equal(last.image, clip(kind).stage.draw(3).image)


@pytest.mark.parametrize("kind", KINDS)
def test_masks_are_where_the_object_is_drawn(kind: str) -> None:
    """Without the target the picture is another one where its mask was; elsewhere only its shadow goes."""
    made = clip(kind)
    stage = made.stage
    without = replace(stage, actors=[actor for actor in stage.actors if actor.number != TARGET])
    for index in (0, 45, 90):
        frame = stage.draw(index)
        truth = frame.truths[TARGET]
        changed = np.abs(frame.image.astype(int) - without.draw(index).image).max(axis=2)
        assert truth.any()
        assert (changed[truth] > 8).mean() > 0.85
        assert (changed[~truth] > 8).sum() < truth.sum()
        far = ~dilated(truth, 30)
        assert (changed[far] <= 1).all()


def dilated(mask: BoolArray, reach: int) -> BoolArray:
    square = np.ones((2 * reach + 1, 2 * reach + 1), np.uint8)
    return cv2.dilate(mask.astype(np.uint8), square).astype(np.bool_)


@pytest.mark.parametrize("kind", KINDS)
def test_masks_of_objects_never_share_a_pixel(kind: str) -> None:
    for index in range(0, LENGTH, 40):
        truths = list(clip(kind).stage.draw(index).truths.values())
        assert np.sum(truths, axis=0).max() <= 1


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("kind", HIDING)
def test_the_target_is_hidden_for_as_long_as_promised(kind: str, seed: int) -> None:
    promised, found = clip(kind, seed).hidden, list(stretches(areas(kind, seed)))
    assert len(found) == len(promised)
    for (start, stop), (first, last) in zip(promised, found, strict=True):
        assert 5 <= stop - start <= 60
        assert abs(first - start) <= 3
        assert abs(last - stop) <= 3


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("kind", HIDING)
def test_the_target_is_all_there_before_and_comes_back_whole(kind: str, seed: int) -> None:
    sizes = areas(kind, seed)
    assert min(sizes[:EASY]) > 0.7 * sizes[0]
    for _, stop in clip(kind, seed).hidden:
        assert max(sizes[stop : stop + 45]) > 0.6 * sizes[0]


@pytest.mark.parametrize("seed", [0, 1])
def test_absence_is_said(seed: int) -> None:
    made = clip("occluded", seed)
    start, stop = made.hidden[1]
    assert TARGET in made.stage.draw((start + stop) // 2).absent
    assert TARGET not in made.stage.draw(start - 20).absent


@pytest.mark.parametrize("seed", [0, 1])
def test_under_a_bridge_the_target_goes_straight_on_and_elsewhere_it_does_not(seed: int) -> None:
    def miss(kind: str, start: int, stop: int) -> float:
        """How far from where its motion says it comes out, in pixels."""
        (poses,) = (actor.poses for actor in clip(kind, seed).stage.actors if actor.number == TARGET)
        places = np.array([pose[:2] for pose in poses])
        motion = (places[start - 2] - places[start - 6]) / 4
        return float(np.hypot(*(places[start - 2] + motion * (stop - start + 4) - places[stop + 2])))

    straight = [miss("occluded", *stretch) for stretch in clip("occluded", seed).hidden]
    astray = [miss("elsewhere", *stretch) for stretch in clip("elsewhere", seed).hidden]
    assert max(straight) < 20
    assert min(astray[1:]) > 100


@pytest.mark.parametrize("seed", [0, 1])
def test_it_leaves_at_the_frames_edge_and_returns_at_one(seed: int) -> None:
    made = clip("leaving", seed)
    for start, stop in made.hidden:
        for index in (start - 4, stop + 5):
            truth = made.stage.draw(index).truths[TARGET]
            assert truth.any()
            assert truth[[0, -1]].any() or truth[:, [0, -1]].any()


@pytest.mark.parametrize("kind", ["lookalikes", "mixed"])
@pytest.mark.parametrize("seed", [0, 1])
def test_look_alikes_cross_the_target(kind: str, seed: int) -> None:
    made = clip(kind, seed)
    assert len(made.crossings) >= 3
    for number, index in made.crossings:
        meeting = made.stage.draw(index)
        # Each is above the other somewhere: together they are smaller than two apart.
        seen = meeting.truths[TARGET].sum() + meeting.truths[number].sum()
        assert seen < 1.7 * areas_at_first(made)
        actors = {actor.number: actor.poses for actor in made.stage.actors}
        ours, theirs = actors[TARGET], actors[number]
        before, after = (
            np.subtract(theirs[i][:2], ours[i][:2]) for i in (index - 25, min(index + 25, LENGTH - 1))
        )
        assert np.hypot(*before) > 60
        assert np.hypot(*after) > 60
        assert before @ after < 0  # it went from one side to the other


def areas_at_first(made: RenderedClip) -> int:
    return int(made.stage.draw(0).truths[TARGET].sum())


@pytest.mark.parametrize("kind", KINDS)
def test_no_look_alike_is_in_view_while_it_is_easy(kind: str) -> None:
    for index in (0, EASY // 2, EASY):
        frame = clip(kind).stage.draw(index)
        assert frame.absent == frame.truths.keys() - {TARGET}


def test_scale_changes_fourfold_in_area_and_the_shape_bends() -> None:
    sizes = areas("scale", 0)
    assert max(sizes) > 8 * min(sizes)
    aspects = {round(pose.aspect, 1) for pose in clip("scale").stage.actors[0].poses}
    assert len(aspects) > 4


def test_the_camera_moves_in_the_mixed_clips_only() -> None:
    assert len(set(clip("mixed").stage.camera)) == LENGTH
    assert all(len(set(clip(kind).stage.camera)) == 1 for kind in KINDS if kind != "mixed")


@pytest.mark.parametrize("objects", [1, 8])
def test_a_crowd_is_all_in_view_and_apart(objects: int) -> None:
    for index in (0, 100, 319):
        frame = crowd(objects).stage.draw(index)
        assert list(frame.truths) == list(range(1, objects + 1))
        assert not frame.absent
