import math
from pathlib import Path

import numpy as np
import pytest

from keepsight.errors import PromptError
from keepsight.evaluation import (
    BoxScore,
    BoxSequence,
    Confidence,
    Found,
    MaskScore,
    MaskSequence,
    PackedMask,
    mean_figures,
    open_dataset,
    prompt_from_box,
    prompt_from_mask,
    score_boxes,
    score_masks,
    without_overlap,
)
from keepsight.types import BoolArray, Box, Mask, ObjectResult, Points
from tests.evaluation.tiny import labels, make_davis, make_got, make_lasot, save_labels
from tests.toy import place

NOTHING = Confidence([], [], [], [])


def found(mask: BoolArray, score: float = 0.9, presence: float = 0.8) -> Found:
    return Found(PackedMask.of(mask), None, score, presence)


def test_a_packed_mask_comes_back() -> None:
    for shape in [(1, 1), (3, 5), (48, 80), (0, 0)]:
        mask = np.random.default_rng(0).random(shape) > 0.5
        assert np.array_equal(PackedMask.of(mask).unpacked(), mask)
        assert PackedMask.of(mask).logits() is None
        logits = np.random.default_rng(1).normal(0, 9, shape).astype(np.float32)
        packed = PackedMask.of(mask, logits)
        assert np.array_equal(packed.unpacked(), mask)
        kept = packed.logits()
        assert kept is not None
        assert kept[mask] == pytest.approx(logits[mask], rel=1e-3)
        assert np.isneginf(kept[~mask]).all()


def test_the_first_and_the_last_frame_are_not_scored(tmp_path: Path) -> None:
    (sequence,) = open_dataset(make_davis(tmp_path, frames=5)).sequences
    assert isinstance(sequence, MaskSequence)
    nothing = np.zeros((48, 80), np.bool_)
    tracked = [{i: found(mask) for i, mask in sequence.masks(t).items()} for t in range(5)]
    tracked[0] = tracked[4] = {1: found(nothing), 2: found(nothing)}
    tracked[2] = {2: tracked[2][2]}  # object 1 is missing altogether
    scores = score_masks(sequence, tracked)
    assert list(scores[1].region) == [1, 0, 1]
    assert list(scores[1].contour) == [1, 0, 1]
    assert list(scores[2].region) == [1, 1, 1]
    # What it claimed is judged on every frame it tracked.
    assert list(scores[1].confidence.overlaps) == [1, 0, 1, 0]
    assert list(scores[1].confidence.scores) == [0.9, 0, 0.9, 0.9]
    assert list(scores[1].confidence.visible) == [True] * 4


def test_an_object_rightly_missing_scores_1(tmp_path: Path) -> None:
    make_davis(tmp_path, frames=4)
    save_labels(tmp_path / "Annotations" / "calm" / "00001.png", labels(1, (1,)))
    (sequence,) = open_dataset(tmp_path).sequences
    assert isinstance(sequence, MaskSequence)
    tracked = [{i: found(mask) for i, mask in sequence.masks(t).items()} for t in range(4)]
    scores = score_masks(sequence, tracked)
    assert (scores[2].region[0], scores[2].contour[0]) == (1, 1)
    assert scores[2].confidence.visible[0] is False


def test_the_mean_is_over_objects_not_sequences() -> None:
    scores = [MaskScore([j] * 4, [f] * 4, NOTHING) for j, f in [(1.0, 0.5), (0.5, 0.5), (0.0, 0.5)]]
    means = mean_figures(scores)
    assert means["J"] == 0.5
    assert means["F"] == 0.5
    assert means["J&F"] == 0.5
    assert means["J recall"] == pytest.approx(1 / 3)
    assert mean_figures([]) == {}


def boxes_at(frames: int) -> list[Found]:
    corners = [place(1, index) for index in range(frames)]
    return [Found(None, (x, y, x + 12.0, y + 12.0), 0.9, 0.9) for x, y in corners]


def test_absent_frames_are_left_out_of_box_scores_but_not_of_presence(tmp_path: Path) -> None:
    (sequence,) = open_dataset(make_lasot(tmp_path, 6, absent=[2, 3])).sequences
    assert isinstance(sequence, BoxSequence)
    tracked = boxes_at(6)
    tracked[0] = Found(None, None, 1.0, 1.0)  # the first frame counts as it was given
    tracked[2] = Found(None, None, 0.1, 0.2)
    tracked[3] = Found(None, (0.0, 0.0, 5.0, 5.0), 0.2, 0.3)
    tracked[5] = Found(None, None, 0.3, 0.25)  # lost
    score = score_boxes(sequence, tracked)
    assert list(score.overlaps) == [1, 1, 1, 0]
    assert list(score.errors) == [0, 0, 0, None]
    assert list(score.bounded_overlaps) == [1, 1, 0]
    figures = score.figures
    assert figures["AUC"] == pytest.approx(0.75 * 20 / 21)
    assert figures["P"] == figures["Pnorm"] == 0.75
    assert figures["AO"] == figures["SR0.5"] == figures["SR0.75"] == pytest.approx(2 / 3)
    # Presence of the three frames with the object, 0.9, 0.9, 0.25, against 0.2 and 0.3 of those without.
    assert score.confidence.presence_auc == pytest.approx(5 / 6)
    # Scores 0.9, 0.9, 0.3 go with overlaps 1, 1, 0.
    assert score.confidence.score_correlation == pytest.approx(1)


def test_got_scores_boxes_within_the_image(tmp_path: Path) -> None:
    make_got(tmp_path, 3)
    lines = "11,5,12,12\n71,5,20,12\n71,5,20,12\n"  # ten of twenty columns lie outside the 80
    (tmp_path / "GOT-10k_Val_000001" / "groundtruth.txt").write_text(lines)
    (sequence,) = open_dataset(tmp_path).sequences
    assert isinstance(sequence, BoxSequence)
    inside = Found(None, (70.0, 4.0, 80.0, 16.0), 0.9, 0.9)
    score = score_boxes(sequence, [inside, inside, inside])
    assert list(score.bounded_overlaps) == [1, 1]
    assert list(score.overlaps) == [1, 0.5, 0.5]
    beyond = Found(None, (70.0, 4.0, 200.0, 16.0), 0.9, 0.9)
    assert list(score_boxes(sequence, [inside, beyond, beyond]).bounded_overlaps) == [1, 1]


def test_got_pools_frames_and_the_others_average_sequences() -> None:
    short = BoxScore([1.0], [0.0], [0.0], [1.0], NOTHING)
    long = BoxScore([0.0] * 3, [None] * 3, [None] * 3, [0.0] * 3, NOTHING)
    means = mean_figures([short, long])
    assert means["P"] == 0.5
    assert means["AUC"] == pytest.approx(10 / 21)
    assert means["AO"] == means["SR0.5"] == 0.25


def test_a_box_sequence_in_which_nothing_is_visible_again() -> None:
    figures = BoxScore([1.0], [0.0], [0.0], [], NOTHING).figures
    assert math.isnan(figures["AO"])
    assert math.isnan(mean_figures([BoxScore([1.0], [0.0], [0.0], [], NOTHING)])["AO"])


def test_confidence_of_several_objects_is_judged_together() -> None:
    one = Confidence([0.9, 0.8], [0.9, 0.8], [0.9, 0.8], [True, True])
    other = Confidence([0.1], [0.1], [0.0], [False])
    assert one.presence_auc is None
    both = Confidence.joined([one, other])
    assert both.presence_auc == 1
    assert both.score_correlation == pytest.approx(1)
    assert Confidence.joined([]).score_correlation is None


def test_first_prompts_from_a_mask() -> None:
    mask = np.zeros((10, 12), np.bool_)
    mask[2:5, 3:9] = True
    box = prompt_from_mask("box", mask)
    assert box == Box(3, 2, 9, 5)
    whole = prompt_from_mask("mask", mask)
    assert isinstance(whole, Mask)
    assert np.array_equal(np.asarray(whole.array), mask)
    mask[2:5, 9] = True
    middle = prompt_from_mask("point", mask)
    assert isinstance(middle, Points)
    assert np.asarray(middle.xy).tolist() == [[6, 3]]  # of columns 3 to 9, rows 2 to 4
    # The centre of mass of a ring is not on the ring; the click is.
    mask[:] = False
    mask[1:8, 1:8] = True
    mask[2:7, 2:7] = False
    point = prompt_from_mask("point", mask)
    assert isinstance(point, Points)
    x, y = np.asarray(point.xy)[0].astype(int)
    assert mask[y, x]
    with pytest.raises(PromptError, match="it is empty"):
        prompt_from_mask("box", np.zeros((3, 3), np.bool_))


def test_first_prompts_from_a_box() -> None:
    assert prompt_from_box("box", (-5, 2, 30, 8), 20, 10) == Box(0, 2, 20, 8)
    point = prompt_from_box("point", (2, 2, 6, 8), 20, 10)
    assert isinstance(point, Points)
    assert np.asarray(point.xy).tolist() == [[4, 5]]
    with pytest.raises(PromptError):
        prompt_from_box("mask", (2, 2, 6, 8), 20, 10)
    with pytest.raises(PromptError):
        prompt_from_box("box", (30, 2, 40, 8), 20, 10)


def test_a_pixel_belongs_to_one_object_only() -> None:
    def result(logits: list[float], score: float, with_logits: bool) -> ObjectResult:
        row = np.array([logits], np.float32)
        return ObjectResult(row > 0, score, 1.0, True, row if with_logits else None)

    def settled(with_logits: bool) -> list[list[bool]]:
        first = result([3.0, 1.0, -1.0, -2.0, 2.0], 0.9, with_logits)
        second = result([1.0, 2.0, 4.0, -5.0, 2.0], 0.4, with_logits)
        masks = without_overlap({7: first, 3: second})
        assert list(masks) == [7, 3]
        return [mask[0].tolist() for mask in masks.values()]

    # Where they are equally sure, the object that was there first keeps the pixel.
    assert settled(with_logits=True) == [[True, False, False, False, True], [False, True, True, False, False]]
    assert settled(with_logits=False) == [
        [True, True, False, False, True],
        [False, False, True, False, False],
    ]
    assert without_overlap({}) == {}
