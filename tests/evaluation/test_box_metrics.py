import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keepsight.evaluation.box_metrics import (
    box_ious,
    centre_errors,
    normalised_centre_errors,
    normalised_precision,
    precision_at,
    success_auc,
    success_curve,
    success_rate,
)
from keepsight.evaluation.ranks import rank_correlation, roc_auc
from tests.evaluation import plain

SPANS = st.tuples(st.integers(0, 60), st.integers(0, 60), st.integers(1, 60), st.integers(1, 60))
BOXES = SPANS.map(lambda s: (float(s[0]), float(s[1]), float(s[0] + s[2]), float(s[1] + s[3])))
PAIRS = st.lists(st.tuples(BOXES, BOXES), min_size=1, max_size=20)
EMPTY = (0.0, 0.0, 0.0, 0.0)


def test_overlap_of_known_boxes() -> None:
    truth = (10, 10, 20, 20)
    found = [truth, (15, 10, 25, 20), (20, 10, 30, 20), EMPTY, (12, 12, 18, 18), (np.nan,) * 4]
    assert box_ious(found, [truth] * 6) == pytest.approx([1, 1 / 3, 0, 0, 0.36, 0])
    assert box_ious([EMPTY], [EMPTY]).tolist() == [0]
    assert box_ious([(20, 20, 10, 10)], [truth]).tolist() == [0]  # inverted is empty


def test_errors_of_known_boxes() -> None:
    truth = (10, 10, 20, 30)
    found = [truth, (13, 14, 23, 34), EMPTY]
    assert centre_errors(found, [truth] * 3).tolist() == [0, 5, math.inf]
    assert normalised_centre_errors(found, [truth] * 3) == pytest.approx([0, math.hypot(0.3, 0.2), math.inf])


def test_curves_of_known_values() -> None:
    overlaps = [0.0, 0.5, 1.0, 0.72]
    curve = success_curve(overlaps)
    assert len(curve) == 21
    assert curve[0] == 0.75  # an overlap of 0 is no success at the threshold 0
    assert curve[10] == 0.5  # 0.5 is not above 0.5
    assert curve[20] == 0  # nothing is above 1
    assert success_rate(overlaps, 0.5) == 0.5
    assert success_rate(overlaps, 0.75) == 0.25
    assert success_auc([1.0]) == pytest.approx(20 / 21)
    assert precision_at([0, 20, 20.1, math.inf]) == 0.5
    assert normalised_precision([0.0]) == 1
    assert normalised_precision([0.25]) == pytest.approx(26 / 51)
    assert normalised_precision([math.inf]) == 0


def test_no_frames_give_no_number() -> None:
    assert math.isnan(success_auc([]))
    assert math.isnan(precision_at([]))
    assert math.isnan(normalised_precision([]))


@settings(max_examples=80, deadline=None)
@given(PAIRS)
def test_boxes_are_scored_as_in_the_plain_definitions(
    pairs: list[tuple[tuple[float, ...], tuple[float, ...]]],
) -> None:
    found, truth = [a for a, _ in pairs], [b for _, b in pairs]
    expected = [plain.box_iou(a, b) for a, b in pairs]
    overlaps = box_ious(found, truth)
    assert overlaps == pytest.approx(expected)
    assert success_auc(overlaps) == pytest.approx(plain.success(overlaps.tolist()))
    errors = normalised_centre_errors(found, truth)
    # A hair's breadth from a threshold rounding decides; there the two may differ.
    if not np.isclose(errors[:, None] * 100, np.round(errors[:, None] * 100), atol=1e-9).any():
        assert normalised_precision(errors) == pytest.approx(plain.normalised(found, truth))


def test_rank_correlation_of_known_values() -> None:
    assert rank_correlation([1, 2, 3, 4], [10, 20, 25, 1000]) == pytest.approx(1)
    assert rank_correlation([1, 2, 3, 4], [4, 3, 2, 1]) == pytest.approx(-1)
    # Ranks 1, 2.5, 2.5, 4 against 1, 3, 2, 4.
    assert rank_correlation([1, 2, 2, 3], [1, 3, 2, 4]) == pytest.approx(4.5 / math.sqrt(4.5 * 5))
    assert rank_correlation([], []) is None
    assert rank_correlation([1], [1]) is None
    assert rank_correlation([1, 1, 1], [1, 2, 3]) is None


def test_roc_auc_of_known_values() -> None:
    assert roc_auc([0.9, 0.8, 0.2], [True, True, False]) == 1
    assert roc_auc([0.9, 0.1, 0.5], [False, True, True]) == 0
    assert roc_auc([0.5, 0.5], [True, False]) == 0.5
    assert roc_auc([0.5, 0.6], [True, True]) is None
    assert roc_auc([0.5, 0.6], [False, False]) is None
    assert roc_auc([], []) is None


@settings(max_examples=80, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), min_size=2, max_size=40))
def test_ranks_are_those_of_the_plain_definitions(pairs: list[tuple[int, int]]) -> None:
    a, b = [float(x) for x, _ in pairs], [float(y) for _, y in pairs]
    positive = [y > 3 for y in b]
    if len(set(a)) > 1 and len(set(b)) > 1:
        assert rank_correlation(a, b) == pytest.approx(plain.spearman(a, b))
    if len(set(positive)) == 2:
        assert roc_auc(a, positive) == pytest.approx(plain.auc(a, positive))
