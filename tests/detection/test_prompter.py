"""A detector says what to track: which detections become objects, on which frames, under which names."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from keepsight.api import track
from keepsight.detection import DetectionPrompter
from keepsight.errors import FrameIndexError, PromptError, UsageError
from keepsight.types import FrameResult, ImageArray, Mask, ObjectResult, Prompt
from tests.detection.scripted import Found, ScriptedDetector, rectangle
from tests.toy import COLOURS, ToyNetwork, blob_frame, click, overlap

IMAGE = np.zeros((40, 60, 3), np.uint8)
LEFT, RIGHT = rectangle(0, 0, 20, 20), rectangle(40, 0, 60, 20)
LABELS = {1: "dog", 2: "cat", 3: "person"}  # of the toy's red, green and blue squares


def result(index: int = 0, **masks: Any) -> FrameResult:
    objects = {int(name[1:]): ObjectResult(mask, 1.0, 1.0, True) for name, mask in masks.items()}
    return FrameResult(index, None, IMAGE, objects)


def always(*found: Found) -> ScriptedDetector:
    return ScriptedDetector(lambda image: list(found))


def squares(image: ImageArray) -> list[Found]:
    """Finds the toy's coloured squares."""
    masks = {i: (image == np.array(colour)).all(axis=2) for i, colour in COLOURS.items()}
    return [(LABELS[i], mask) for i, mask in masks.items() if mask.any()]


def given(prompt: Prompt) -> Any:
    assert isinstance(prompt, Mask)
    return prompt.array


def test_detections_become_masks_with_names() -> None:
    prompter = DetectionPrompter(always(("dog", LEFT), ("cat", RIGHT)), ["dog", "cat"])
    said = prompter(result())
    assert prompter.names == {1: "dog 1", 2: "cat 1"}
    assert [given(said[i]).sum() for i in (1, 2)] == [400, 400]


def test_only_the_classes_asked_for_are_taken_and_all_means_every_class() -> None:
    found = ("dog", LEFT), ("cat", RIGHT)
    assert len(DetectionPrompter(always(*found), ["cat"])(result())) == 1
    assert len(DetectionPrompter(always(*found), ["all"])(result())) == 2
    assert len(DetectionPrompter(always(*found))(result())) == 2


def test_what_is_tracked_already_is_not_started_again() -> None:
    prompter = DetectionPrompter(always(("dog", LEFT), ("dog", RIGHT)), ["dog"])
    said = prompter(result(o1=rectangle(0, 0, 20, 12)))  # IoU 0.6 with the left one
    assert list(said) == [2]
    assert (given(said[2]) == RIGHT).all()


@pytest.mark.parametrize(("height", "starts"), [(6, True), (7, False)])
def test_the_overlap_that_makes_it_the_same_is_strictly_above_the_threshold(
    height: int, starts: bool
) -> None:
    """6 of 20 rows are an IoU of exactly 0.3: not yet the same."""
    prompter = DetectionPrompter(always(("dog", LEFT)), every=1)
    assert bool(prompter(result(o1=rectangle(0, 0, 20, height)))) == starts


def test_of_two_detections_of_one_thing_the_surer_is_taken() -> None:
    prompter = DetectionPrompter(always(("dog", LEFT, 0.4), ("cat", rectangle(1, 0, 20, 20), 0.8)))
    prompter(result())
    assert prompter.names == {1: "cat 1"}


def test_ids_and_names_that_are_taken_are_not_given_again() -> None:
    names = {1: "dog 1", 4: "fish"}
    prompter = DetectionPrompter(always(("dog", LEFT), ("dog", RIGHT)), ["dog"], names=names, taken=[3])
    assert list(prompter(result(o2=rectangle(0, 30, 9, 39)))) == [5, 6]
    assert names == {1: "dog 1", 4: "fish", 5: "dog 2", 6: "dog 3"}
    assert prompter.names is names


def test_the_first_frame_alone_or_every_nth_is_looked_at() -> None:
    once = always(("dog", LEFT))
    prompter = DetectionPrompter(once, ["dog"])
    assert [len(prompter(result(i))) for i in range(5)] == [1, 0, 0, 0, 0]
    assert once.looked == 1
    often = always(("dog", LEFT))
    prompter = DetectionPrompter(often, ["dog"], every=3)
    # From frame 40 backward: turns are counted, not frame numbers.
    assert [bool(prompter(result(40 - i, o1=LEFT))) for i in range(7)] == [False] * 7
    assert often.looked == 3


def test_finding_nothing_is_an_error_only_if_nothing_else_is_tracked_and_no_later_frame_is_looked_at() -> (
    None
):
    with pytest.raises(PromptError, match="dog on frame 7"):
        DetectionPrompter(always(), ["dog"])(result(7))
    assert DetectionPrompter(always(), ["dog"])(result(7, o1=LEFT)) == {}
    assert DetectionPrompter(always(), ["dog"], every=5)(result(7)) == {}


@pytest.mark.parametrize(
    ("labels", "options", "says"),
    [
        (["dgo"], {}, "'dgo'.*cat, dog, person"),
        (["dog", ""], {}, "''"),
        ([], {}, "none"),
        (["dog"], {"every": 0}, "from 1"),
    ],
)
def test_what_cannot_be_is_refused(labels: list[str], options: dict[str, int], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        DetectionPrompter(always(), labels, every=options.get("every"))


def clip(count: int = 10, appears: int = 0) -> list[ImageArray]:
    """The toy's clip without the blue square; the green one appears on a frame."""
    return [blob_frame(i, (3,) if i >= appears else (2, 3)) for i in range(count)]


def follow(film: list[ImageArray], prompter: Any, prompts: Any = None, **options: Any) -> list[FrameResult]:
    said = {} if prompts is None else prompts
    return list(track(film, said, prompter=prompter, model=ToyNetwork(), **options))


def test_a_tracker_follows_what_is_found_on_the_first_frame() -> None:
    prompter = DetectionPrompter(ScriptedDetector(squares), ["dog", "cat"])
    results = follow(clip(), prompter)
    assert [list(found) for found in results] == [[1, 2]] * 10
    assert all(overlap(found, i) > 0.4 for found in results for i in (1, 2))


def test_the_first_frame_is_the_first_tracked_one_also_backward() -> None:
    for options, indices in (
        ({"frames": slice(4, 8)}, [4, 5, 6, 7]),
        ({"frames": slice(4, None, -1)}, [4, 3, 2, 1, 0]),
        ({"frames": slice(None, None, -1)}, list(range(9, -1, -1))),
    ):
        results = follow(clip(), DetectionPrompter(ScriptedDetector(squares), ["dog"]), **options)
        assert [found.index for found in results] == indices
        assert [list(found) for found in results] == [[1]] * len(indices)
        assert overlap(results[0], 1) > 0.4


@pytest.mark.parametrize("backward", [False, True])
def test_what_appears_later_is_found_when_it_is_looked_for_again(backward: bool) -> None:
    film = clip(12, appears=4)
    if backward:
        film.reverse()  # walked from the end, it appears on the fifth frame again
    prompter = DetectionPrompter(ScriptedDetector(squares), ["all"], every=3)
    results = follow(film, prompter, frames=slice(None, None, -1 if backward else 1))
    assert [list(found) for found in results] == [[1]] * 6 + [[1, 2]] * 6
    assert prompter.names == {1: "dog 1", 2: "cat 1"}
    assert all(found[2].visible for found in results[6:])


def test_prompts_and_detections_go_together() -> None:
    """The red square is clicked, so it is tracked when the detector is asked; the green one is new."""
    prompter = DetectionPrompter(ScriptedDetector(squares), taken=[1])
    results = follow(clip(), prompter, click(1))
    assert [list(found) for found in results] == [[1, 2]] * 10
    assert prompter.names == {2: "cat 1"}


def test_objects_found_are_what_the_same_masks_give_as_prompts() -> None:
    prompter = DetectionPrompter(ScriptedDetector(squares), ["dog"])
    plain: dict[int, Prompt] = {1: Mask(squares(blob_frame(0))[0][1])}
    found, expected = follow(clip(), prompter), list(track(clip(), plain, model=ToyNetwork()))
    assert all((a[1].mask == b[1].mask).all() for a, b in zip(found, expected, strict=True))


def test_without_a_prompter_prompts_are_still_needed() -> None:
    with pytest.raises(PromptError, match="at least one prompt"):
        track(clip(), {}, model=ToyNetwork())


def test_a_start_outside_the_video_is_still_refused() -> None:
    with pytest.raises(FrameIndexError):
        follow(clip(), DetectionPrompter(ScriptedDetector(squares)), frames=slice(99, None))


def test_any_callable_may_say_what_to_track() -> None:
    def later(found: FrameResult) -> dict[int, Prompt]:
        return click(2, found.index) if found.index == 3 else {}

    asked: Callable[[FrameResult], dict[int, Prompt]] = later
    results = follow(clip(6), asked, click(1))
    assert [list(found) for found in results] == [[1]] * 3 + [[1, 2]] * 3
