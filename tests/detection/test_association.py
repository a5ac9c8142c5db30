import sys
from collections.abc import Iterator
from random import Random

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keepsight.detection import (
    IOU_MATCH_THRESHOLD,
    LOW_CONFIDENCE_IOU_THRESHOLD,
    Match,
    OverlapFollower,
    associate,
    borrowed,
    overlaps,
)
from keepsight.errors import KeepsightError
from tests.detection.scripted import ScriptedDetector, rectangle
from tests.detection.shapes import Mask, iou

pytest.importorskip("scipy", reason="needs scipy (keepsight[detect])")

IMAGE = np.zeros((40, 60, 3), np.uint8)
boxes = st.tuples(st.integers(0, 40), st.integers(0, 20), st.integers(2, 20), st.integers(2, 20)).map(
    lambda box: rectangle(box[0], box[1], box[0] + box[2], box[1] + box[3])
)
few, several = st.lists(boxes, max_size=4), st.lists(boxes, max_size=7)
Way = tuple[float, dict[int, int]]


def test_overlaps_are_intersection_over_union_and_nothing_overlaps_an_empty_mask() -> None:
    a, b, empty = rectangle(0, 0, 10, 10), rectangle(5, 0, 15, 10), rectangle(0, 0, 0, 0)
    assert overlaps([a, empty], [a, b, empty]) == pytest.approx(np.array([[1, 1 / 3, 0], [0, 0, 0]]))
    assert overlaps([], [a]).shape == (0, 1)
    assert overlaps([a], []).shape == (1, 0)


@given(several, several)
def test_overlaps_agree_with_counting_pixels(first: list[Mask], second: list[Mask]) -> None:
    expected = [[iou(a, b) for b in second] for a in first]
    assert overlaps(first, second) == pytest.approx(np.array(expected).reshape(len(first), len(second)))


def test_thresholds_are_strict() -> None:
    """A match needs more than 0.3; occluded is below 0.5, not at it."""
    whole = rectangle(0, 0, 20, 10)
    at_match, above = rectangle(0, 0, 20, 3), rectangle(0, 0, 20, 4)  # 0.3 and 0.4 of it
    at_low, below = rectangle(0, 0, 20, 5), rectangle(0, 0, 20, 4)
    assert (IOU_MATCH_THRESHOLD, LOW_CONFIDENCE_IOU_THRESHOLD) == (0.3, 0.5)
    assert overlaps([whole], [at_match])[0, 0] == IOU_MATCH_THRESHOLD
    assert associate({1: whole}, [at_match]) == {}
    assert associate({1: whole}, [above])[1].detection == 0
    assert not associate({1: whole}, [at_low])[1].occluded
    assert associate({1: whole}, [below])[1].occluded


@given(several, several)
def test_no_detection_serves_two_and_every_match_is_above_the_threshold(
    first: list[Mask], second: list[Mask]
) -> None:
    matches = associate(dict(enumerate(first)), second)
    used = [match.detection for match in matches.values()]
    assert len(set(used)) == len(used)
    for object_id, match in matches.items():
        assert match.iou == pytest.approx(iou(first[object_id], second[match.detection]))
        assert match.iou > IOU_MATCH_THRESHOLD


@given(several, several)
def test_every_object_has_the_best_detection_that_no_other_uses(
    first: list[Mask], second: list[Mask]
) -> None:
    matches = associate(dict(enumerate(first)), second)
    unused = set(range(len(second))) - {match.detection for match in matches.values()}
    for object_id, mask in enumerate(first):
        own = matches.get(object_id, Match(-1, IOU_MATCH_THRESHOLD)).iou
        assert all(iou(mask, second[number]) <= own + 1e-9 for number in unused)


def ways(table: npt.NDArray[np.float64], row: int = 0, used: frozenset[int] = frozenset()) -> Iterator[Way]:
    """Every way to give rows columns of their own above the threshold, or none, with its sum."""
    if row == len(table):
        yield 0.0, {}
        return
    yield from ways(table, row + 1, used)
    for column in range(table.shape[1]):
        if column not in used and table[row, column] > IOU_MATCH_THRESHOLD:
            for total, rest in ways(table, row + 1, used | {column}):
                yield total + float(table[row, column]), {row: column, **rest}


@given(few, few, st.randoms(use_true_random=False))
def test_the_sum_is_the_largest_in_whatever_order_objects_and_detections_come(
    first: list[Mask], second: list[Mask], random: Random
) -> None:
    rows, columns = list(range(len(first))), list(range(len(second)))
    random.shuffle(rows)
    random.shuffle(columns)
    matches = associate({i: first[i] for i in rows}, [second[j] for j in columns])
    best = max(total for total, _ in ways(overlaps(first, second)))
    assert sum(match.iou for match in matches.values()) == pytest.approx(best)
    given_out = {i: columns[match.detection] for i, match in matches.items()}
    assert given_out in [way for total, way in ways(overlaps(first, second)) if total > best - 1e-9]


def test_two_objects_that_want_one_detection_are_served_together() -> None:
    """Taken one after the other, object 1 would take what object 2 needs, and 2 would go without."""
    left, right = rectangle(0, 0, 20, 10), rectangle(6, 0, 26, 10)
    shared, spare = rectangle(3, 0, 23, 10), rectangle(0, 0, 12, 10)
    assert iou(left, shared) > iou(left, spare) > IOU_MATCH_THRESHOLD > iou(right, spare)
    for order in ({1: left, 2: right}, {2: right, 1: left}):
        assert {i: m.detection for i, m in associate(order, [shared, spare]).items()} == {1: 1, 2: 0}


def test_without_scipy_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(borrowed, "find_spec", lambda name: None)
    monkeypatch.delitem(sys.modules, "scipy", raising=False)
    with pytest.raises(KeepsightError, match=r"pip install 'keepsight\[detect\]'"):
        associate({1: rectangle(0, 0, 9, 9)}, [rectangle(0, 0, 9, 9)])


def test_a_follower_keeps_the_last_known_mask_of_an_object_that_is_hidden() -> None:
    start, moved = rectangle(5, 5, 25, 25), rectangle(9, 5, 29, 25)
    turns = iter(
        [
            [("dog", moved, 0.8)],
            [],  # hidden
            [("dog", rectangle(40, 0, 59, 20), 0.8)],  # another, elsewhere
            [("dog", rectangle(11, 5, 31, 25), 0.8)],  # back, near where it was last
        ]
    )
    follower = OverlapFollower(ScriptedDetector(lambda image: list(next(turns))), {7: start})
    first = follower.step(IMAGE)[7]
    assert (first.mask == moved).all()
    assert not first.occluded
    assert first.confidence == pytest.approx(0.8 * iou(start, moved))
    assert first.detection is not None
    assert first.detection.label == "dog"
    for _ in range(2):
        hidden = follower.step(IMAGE)[7]
        assert hidden.occluded
        assert (hidden.confidence, hidden.iou) == (0, 0)
        assert not hidden.mask.any()
        assert hidden.mask.shape == start.shape
        assert hidden.detection is None
    back = follower.step(IMAGE)[7]
    assert back.iou == pytest.approx(iou(moved, rectangle(11, 5, 31, 25)))
    assert not back.occluded


def test_a_follower_calls_an_object_occluded_of_which_little_is_found() -> None:
    follower = OverlapFollower(
        ScriptedDetector(lambda image: [("dog", rectangle(0, 0, 8, 20))]), {1: rectangle(0, 0, 20, 20)}
    )
    partly = follower.step(IMAGE)[1]
    assert partly.iou == pytest.approx(0.4)
    assert partly.occluded
    assert partly.mask.any()
    assert not follower.step(IMAGE)[1].occluded  # what was found is the reference now
