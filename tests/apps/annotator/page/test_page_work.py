"""Annotating in the page, in Chromium, on a real clip, with the embedded model."""

import xml.etree.ElementTree as ElementTree
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import expect

from keepsight.evaluation import region_iou
from tests.apps.annotator.page.desk import FRAMES, Desk

pytestmark = pytest.mark.slow

COLOUR = (0x26, 0x96, 0xFF)  # of the first object


def tinted(before: tuple[int, ...], after: tuple[int, ...], colour: tuple[int, ...] = COLOUR) -> bool:
    """Whether a pixel has taken on a colour, half transparent, as a selected object's pixels do."""
    blend = 0.58 * np.array(before) + 0.42 * np.array(colour)
    return bool(np.abs(blend - np.array(after)).max() < 6)


def test_a_click_shows_a_mask_and_more_clicks_correct_it(desk: Desk) -> None:
    x, y = desk.clip.inside()
    before = desk.pixel(x + 9, y)
    desk.click(x, y)
    desk.until(lambda: tinted(before, desk.pixel(x + 9, y)), "the mask is on the canvas")
    assert region_iou(desk.mask(0), desk.clip.truths[0]) > 0.4
    assert [item["name"] for item in desk.project["objects"]] == ["object 1"]

    # What does not belong to it, with the right button; both clicks make one mask.
    outside = desk.clip.outside()
    desk.click(*outside, right=True)
    desk.until(
        lambda: len(desk.server.get("api/shapes/0")["prompts"][0]["points"]) == 2, "two clicks are kept"
    )
    prompt = desk.server.get("api/shapes/0")["prompts"][0]
    assert prompt["labels"] == [1, 0]
    assert prompt["points"][0] == pytest.approx([x, y], abs=1)
    assert not desk.mask(0)[outside[1], outside[0]]
    expect(desk.page.locator("#announcer")).to_contain_text("object 1: mask of")

    # Taken away again with Alt.
    desk.click(*outside, key="Alt")
    desk.until(lambda: len(desk.server.get("api/shapes/0")["prompts"][0]["points"]) == 1, "one click is left")


def test_a_run_is_watched_and_cancelled(desk: Desk, tmp_path: Path) -> None:
    page = desk.page
    desk.point()

    # A target on the wrong side is refused in the dialog.
    page.keyboard.press("Control+e")
    expect(page.locator("#run-title")).to_have_text("Segment Anything 2: Tracker")
    page.locator("#run-target").fill("0")
    page.keyboard.press("Enter")
    expect(page.locator("#run-dialog .problem")).to_contain_text("must not be frame 0 itself")
    page.keyboard.press("Escape")

    # Cancelled on the way; what is done so far is kept, and is one step of undo.
    desk.run(FRAMES - 1, wait=False)
    expect(page.locator("#run-figures")).to_contain_text("frames/s")
    page.screenshot(path=tmp_path / "run.png")
    page.keyboard.press("Escape")
    page.locator("#cancel-keep").click()
    expect(page.locator("#run-strip")).to_be_hidden()
    desk.says("was cancelled")
    done = len(desk.sources())
    assert 1 < done < FRAMES
    page.locator("#stage").focus()
    page.keyboard.press("Control+z")
    desk.until(lambda: desk.sources() == {0: "p"}, "the run is undone")
    page.keyboard.press("Control+Shift+z")
    desk.until(lambda: len(desk.sources()) == done, "the run is there again")

    # Cancelled again, and taken back.
    desk.go(0)
    desk.run(FRAMES - 1, wait=False)
    expect(page.locator("#run-figures")).to_contain_text("frames/s")
    page.locator("#run-cancel").click()
    page.locator("#cancel-back").click()
    expect(page.locator("#run-strip")).to_be_hidden()
    desk.until(lambda: len(desk.sources()) == done, "it is as it was before that run")


@pytest.mark.parametrize("clip", ["libby"], indirect=True)  # a dog that runs behind a fence
def test_a_bad_frame_is_corrected_and_tracked_on_from(desk: Desk, tmp_path: Path) -> None:
    page = desk.page
    desk.point()
    desk.run(FRAMES - 1)
    # Frames are shown as they are tracked.
    desk.shows(FRAMES - 1)
    assert desk.sources() == {0: "p"} | dict.fromkeys(range(1, FRAMES), "a")

    # What is most likely wrong is listed, and R goes there.
    stretches = desk.server.get("api/review")["stretches"]
    assert stretches
    expect(page.locator("#review li")).to_have_count(len(stretches))
    page.keyboard.press("r")
    desk.shows(stretches[0]["frame"])
    expect(page.locator("#review [aria-current=true]")).to_contain_text(stretches[0]["reasons"][0])

    # A correction on the worst frame is kept, and known to the run from there.
    scores = [region_iou(desk.mask(frame), desk.clip.truths[frame]) for frame in range(FRAMES)]
    worst = max(1, int(np.argmin(scores[: FRAMES - 4])))
    desk.go(worst)
    page.keyboard.press("b")
    rows, columns = np.nonzero(desk.clip.truths[worst])
    desk.drag((columns.min(), rows.min()), (columns.max() + 1, rows.max() + 1))
    desk.until(lambda: desk.sources()[worst] == "p", "the correction is there")
    corrected = desk.mask(worst)
    # What was corrected is suspected no longer.
    desk.until(
        lambda: all(
            not stretch["start"] <= worst < stretch["stop"]
            for stretch in desk.server.get("api/review")["stretches"]
        ),
        "it is ranked anew",
    )
    listed = len(desk.server.get("api/review")["stretches"])
    expect(page.locator("#review li")).to_have_count(listed)
    desk.run(FRAMES - 1)
    assert np.array_equal(desk.mask(worst), corrected)
    desk.go(FRAMES - 1)
    desk.run(0, direction="backward")
    assert np.array_equal(desk.mask(worst), corrected)
    assert desk.sources()[0] == "p"
    desk.go(worst)
    page.screenshot(path=tmp_path / "corrected.png")


def test_a_polygon_is_drawn_reshaped_converted_and_tracked(desk: Desk, tmp_path: Path) -> None:
    page = desk.page
    rows, columns = np.nonzero(desk.clip.truths[0])
    left, right, top, bottom = columns.min(), columns.max(), rows.min(), rows.max()
    page.keyboard.press("p")
    corners = [(left, top), (right, top), (right, bottom), (left, bottom)]
    for corner in corners:
        desk.click(*corner)
    page.keyboard.press("Enter")
    desk.until(lambda: bool(desk.project["objects"]) and desk.shape(0) is not None, "the polygon is there")
    assert desk.shape(0)["points"] == pytest.approx(np.ravel(corners).tolist(), abs=1)

    # A corner is moved, one more is pulled out of an edge, and taken away with Alt.
    page.keyboard.press("s")
    middle = (left + right) / 2, (top + bottom) / 2
    desk.drag(corners[0], (left + 20, top + 15))
    desk.until(
        lambda: desk.shape(0)["points"][:2] == pytest.approx([left + 20, top + 15], abs=1), "it is moved"
    )
    desk.drag((right, middle[1]), (right - 12, middle[1]))
    desk.until(lambda: len(desk.shape(0)["points"]) == 10, "there is one corner more")
    page.screenshot(path=tmp_path / "polygon.png")
    desk.click(right - 12, middle[1], key="Alt")
    desk.until(lambda: len(desk.shape(0)["points"]) == 8, "it is gone")
    page.keyboard.press("Control+z")
    desk.until(lambda: len(desk.shape(0)["points"]) == 10, "it is there again")

    # As separate shapes it is not on the next frame; converted, it becomes a track of polygons.
    page.get_by_label("track", exact=True).uncheck()
    desk.until(lambda: not desk.project["objects"][0]["tracked"], "it is no track")
    assert desk.shape(1) is None
    page.locator("#stage").focus()
    page.keyboard.press("Control+e")
    page.get_by_label("Convert polygon shapes to tracks").check()
    page.locator("#run-target").fill("3")
    page.keyboard.press("Enter")
    desk.until(lambda: desk.sources() == {0: "m", 1: "a", 2: "a", 3: "a"}, "it is tracked")
    desk.until(lambda: desk.project["run"] is None, "the run is done")
    [item] = desk.project["objects"]
    assert (item["kind"], item["tracked"]) == ("polygon", True)
    assert all(len(desk.shape(frame)["points"]) >= 6 for frame in range(1, 4))

    # Another kind converts its shapes.
    page.get_by_label("Kind", exact=True).select_option("mask")
    desk.until(lambda: desk.project["objects"][0]["kind"] == "mask", "it is a mask")
    assert desk.mask(3).any()


def test_brush_eraser_and_rectangle_by_hand(desk: Desk) -> None:
    page = desk.page
    page.keyboard.press("t")
    desk.drag((100, 100), (200, 100), (200, 160))
    desk.until(lambda: bool(desk.project["objects"]) and desk.shape(0) is not None, "the stroke is there")
    assert desk.mask(0)[100, 150]
    assert desk.mask(0)[140, 200]
    painted = desk.mask(0).sum()
    page.keyboard.press("e")
    page.keyboard.press("]")
    desk.drag((150, 80), (150, 120))
    desk.until(lambda: desk.mask(0).sum() < painted, "a part is rubbed out")
    assert not desk.mask(0)[100, 150]
    assert desk.mask(0)[100, 110]
    assert desk.sources() == {0: "m"}
    page.keyboard.press("Control+z")
    desk.until(lambda: desk.mask(0).sum() == painted, "it is there again")

    page.locator("#new-kind").select_option("rectangle")
    page.locator("#stage").focus()
    page.keyboard.press("b")
    page.keyboard.press("n")
    desk.drag((300, 200), (420, 260))
    desk.until(lambda: len(desk.project["objects"]) == 2 and desk.shape(0, 2) is not None, "it is there")
    assert desk.shape(0, 2)["points"] == pytest.approx([300, 200, 420, 260], abs=1)
    desk.until(lambda: bool(desk.project["objects"][1]["tracked"]), "it is a track")
    # A keyframe further on; between the two it is interpolated.
    desk.go(10)
    page.keyboard.press("s")
    desk.drag((360, 230), (400, 250))
    desk.until(lambda: 10 in desk.sources(2), "there is a second keyframe")
    assert desk.shape(5, 2)["points"] == pytest.approx([320, 210, 440, 270], abs=1.5)
    assert desk.shape(5, 2)["interpolated"]
    # Out of view, and back.
    page.keyboard.press("o")
    desk.until(lambda: desk.shape(12, 2) is None, "it is out of view")
    page.keyboard.press("o")
    desk.until(lambda: desk.shape(12, 2) is not None, "it is not")


def test_annotations_go_out_and_come_in(desk: Desk, tmp_path: Path) -> None:
    page = desk.page
    desk.triangle()
    page.get_by_role("button", name="Export").first.click()
    with page.expect_download() as waiting:
        page.locator("#export-dialog button[type=submit]").click()
    file = tmp_path / waiting.value.suggested_filename
    waiting.value.save_as(file)
    assert file.suffix == ".xml"
    [track] = ElementTree.parse(file).getroot().findall("track")
    assert track.get("label") == "object 1"

    page.keyboard.press("Control+Shift+i")
    page.locator("#import-dialog button[type=submit]").click()
    expect(page.locator("#import-dialog .problem")).to_contain_text("Choose a file")
    wrong = tmp_path / "wrong.xml"
    wrong.write_text("<annotations><track></annotations>")
    page.locator("#import-file").set_input_files(wrong)
    page.locator("#import-dialog button[type=submit]").click()
    expect(page.locator("#import-dialog .problem")).to_be_visible()
    page.locator("#import-file").set_input_files(file)
    expect(page.locator("#import-format")).to_have_value("cvat")
    page.locator("#import-dialog button[type=submit]").click()
    desk.says("Imported 1 object")
    expect(page.locator("#objects li")).to_have_count(2)
    page.locator("#stage").focus()
    page.keyboard.press("Control+z")
    expect(page.locator("#objects li")).to_have_count(1)
    desk.was_refused(400, "api/import?format=cvat")
