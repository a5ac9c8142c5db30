from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from keepsight.apps.cli.prompts import Entry, PromptPlan, check_plan, make_plan, read_mask, typed_entries
from keepsight.errors import FrameIndexError, PromptError, UsageError
from keepsight.types import Box, Mask, Points


@pytest.mark.parametrize(
    "text", ["", "1,2,3", "a,b,c,d", "1,2,3,x", "nan,0,5,5", "5,5,1,1", "1,1,1,9", "1;2;3;4"]
)
def test_a_malformed_or_inverted_box_is_wrong_use(text: str) -> None:
    with pytest.raises(UsageError, match="--box"):
        typed_entries([text], [], 0)


@pytest.mark.parametrize("text", ["", "1", "1,a", "1,2,5", "1,2,-1", "1,2,one", "inf,2", "1,2,1,0"])
def test_a_malformed_point_is_wrong_use(text: str) -> None:
    with pytest.raises(UsageError, match="--point"):
        typed_entries([], [text], 0)


def test_two_boxes_of_one_name_are_refused() -> None:
    with pytest.raises(UsageError, match="given twice"):
        typed_entries(["0,0,5,5,dog", "5,5,9,9,dog"], [], 0)


def test_boxes_count_from_one_and_clicks_join_the_box_they_name_or_number() -> None:
    entries = typed_entries(["0,0,5,5,dog", "5,5,9,9,my cat, grey"], ["1,2,1,dog", "6,7,0,2", "3,3"], 4)
    plan = make_plan(entries)
    assert plan.names == {1: "dog", 2: "my cat, grey"}
    box, points = said(plan, 4, 1)
    assert box == Box(0, 0, 5, 5)
    assert isinstance(points, Points)
    assert np.asarray(points.xy).tolist() == [[1, 2], [3, 3]]
    negative = said(plan, 4, 2)[1]
    assert isinstance(negative, Points)
    assert np.asarray(negative.labels).tolist() == [0]


def said(plan: PromptPlan, frame: int, number: int) -> list[Points | Box]:
    prompt = plan.prompts[frame][number]
    assert isinstance(prompt, Sequence)
    return list(prompt)


def test_clicks_alone_found_objects_by_number_or_name() -> None:
    plan = make_plan(typed_entries([], ["1,2", "3,4,1,7", "5,6,0", "8,8,1,fish"], 0))
    assert set(plan.prompts[0]) == {1, 7, 2}
    assert plan.names == {2: "fish"}


def test_ids_avoid_those_that_masks_bring() -> None:
    mask = Mask(np.ones((4, 4)))
    entries = [
        Entry("m", object_id=1, mask=mask),
        Entry("m", object_id=2, mask=mask),
        Entry("b", box=Box(0, 0, 2, 2)),
    ]
    assert set(make_plan(entries).prompts[0]) == {1, 2, 3}


def test_a_name_met_again_on_another_frame_is_the_same_object() -> None:
    plan = make_plan(
        [Entry("a", 0, name="dog", box=Box(0, 0, 1, 1)), Entry("b", 9, name="dog", points=Points([(1, 1)]))]
    )
    assert {frame: list(marks) for frame, marks in plan.prompts.items()} == {0: [1], 9: [1]}


@pytest.mark.parametrize(
    ("entries", "words"),
    [
        ([], "at least one prompt"),
        (
            [Entry("a", box=Box(0, 0, 1, 1), object_id=1), Entry("b", box=Box(0, 0, 1, 1), object_id=1)],
            "duplicate",
        ),
        ([Entry("a", box=Box(0, 0, 1, 1), name="x"), Entry("b", box=Box(0, 0, 1, 1), name="x")], "duplicate"),
        ([Entry("a", 0, 1, "x", Box(0, 0, 1, 1)), Entry("b", 0, 2, "x", Box(0, 0, 1, 1))], "already belongs"),
        ([Entry("a", 0, 1, "x", Box(0, 0, 1, 1)), Entry("b", 1, 1, "y", Box(0, 0, 1, 1))], "already called"),
        ([Entry("a")], "none of them"),
        ([Entry("a", box=Box(0, 0, 1, 1), mask=Mask(np.ones((2, 2))))], "a mask with a box"),
    ],
)
def test_prompts_that_contradict_each_other_are_refused(entries: list[Entry], words: str) -> None:
    with pytest.raises(PromptError, match=words):
        make_plan(entries)


@pytest.mark.parametrize(
    ("entry", "error", "words"),
    [
        (Entry("e", 10, box=Box(0, 0, 5, 5)), FrameIndexError, "frames 0 to 9"),
        (Entry("e", box=Box(64, 0, 70, 5)), PromptError, "outside"),
        (Entry("e", box=Box(-9, 0, 0, 5)), PromptError, "outside"),
        (Entry("e", points=Points([(1, 1), (1, 49)])), PromptError, "inside the frame"),
        (Entry("e", mask=Mask(np.ones((64, 48)))), PromptError, "64x48"),
        (Entry("e", box=Box(0, 0, 5, 5), points=Points([(-1, 1)])), PromptError, "inside"),
    ],
)
def test_a_prompt_that_does_not_fit_the_video_is_refused(
    entry: Entry, error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        check_plan(make_plan([entry]), 64, 48, 10)


def test_a_box_may_reach_over_the_edge_and_an_endless_source_has_every_frame() -> None:
    check_plan(make_plan([Entry("e", 9, box=Box(-3, -3, 5, 5))]), 64, 48, 10)
    check_plan(make_plan([Entry("e", 9999, box=Box(0, 0, 5, 5))]), 64, 48, None)


def save(path: Path, values: "np.typing.NDArray[np.uint8]", palette: bool = False) -> Path:
    image = Image.fromarray(values)
    if palette:
        image = Image.frombytes("P", image.size, values.tobytes())
        image.putpalette(range(18))
    image.save(path)
    return path


def test_a_palette_mask_holds_several_objects_and_a_grey_one_holds_one(tmp_path: Path) -> None:
    values = np.zeros((6, 8), np.uint8)
    values[1:3, 1:3], values[4:, 4:] = 2, 5
    found = read_mask(save(tmp_path / "p.png", values, palette=True), "x")
    assert {number: int(np.sum(mask.array)) for number, mask in found.items()} == {2: 4, 5: 8}
    one = read_mask(save(tmp_path / "g.png", np.where(values > 0, 255, 0).astype(np.uint8)), "x")
    assert {number: int(np.sum(mask.array)) for number, mask in one.items()} == {1: 12}
    colour = np.where(values[..., None] > 0, 255, 0).astype(np.uint8).repeat(3, axis=2)
    assert np.array_equal(read_mask(save(tmp_path / "c.png", colour), "x")[1].array, values > 0)


def test_a_mask_that_cannot_be_used_is_refused(tmp_path: Path) -> None:
    (tmp_path / "text.png").write_text("no image")
    whole = save(tmp_path / "whole.png", np.full((40, 40), 255, np.uint8)).read_bytes()
    (tmp_path / "cut.png").write_bytes(whole[: len(whole) // 2])
    save(tmp_path / "empty.png", np.zeros((4, 4), np.uint8))
    save(tmp_path / "soft.png", np.arange(16, dtype=np.uint8).reshape(4, 4))
    for name, words in {
        "none": "no mask file",
        "text": "cannot be read",
        "cut": "cannot be read",
        "empty": "is empty",
        "soft": "15 grey values",
    }.items():
        with pytest.raises(PromptError, match=words):
            read_mask(tmp_path / f"{name}.png", "--mask")
