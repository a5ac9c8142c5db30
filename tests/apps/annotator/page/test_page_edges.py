"""What is begun in one place of the page is not finished in another, and nothing unasked for is changed."""

import numpy as np
import pytest
from playwright.sync_api import APIResponse, Route, expect

from tests.apps.annotator.page.desk import FRAMES, Desk

pytestmark = pytest.mark.slow


def rectangle(desk: Desk) -> None:
    """A track with keyframes on 0 and 9."""
    desk.page.locator("#new-kind").select_option("rectangle")
    desk.page.locator("#stage").focus()
    desk.page.keyboard.press("b")
    desk.drag((60, 60), (120, 100))
    desk.until(lambda: bool(desk.project["objects"]) and desk.shape(0) is not None, "it is there")
    desk.go(9)
    desk.page.keyboard.press("s")
    desk.drag((90, 80), (180, 125))
    desk.until(lambda: 9 in desk.sources(), "there is a second keyframe")


def painted(desk: Desk) -> None:
    """Two objects, each of one stroke, on frame 0; the first is selected."""
    page = desk.page
    page.keyboard.press("t")
    desk.drag((60, 60), (120, 60))
    desk.until(lambda: bool(desk.project["objects"]) and desk.shape(0) is not None, "the first is there")
    page.keyboard.press("n")
    desk.drag((200, 200), (260, 200))
    desk.until(lambda: len(desk.project["objects"]) == 2 and desk.shape(0, 2) is not None, "and the second")
    page.keyboard.press("1")


def test_a_stroke_stays_where_it_was_begun(desk: Desk) -> None:
    page = desk.page
    painted(desk)
    second = desk.mask(0, 2)
    page.mouse.move(*desk.place(60, 120))
    page.mouse.down()
    page.mouse.move(*desk.place(120, 120), steps=4)
    page.keyboard.press("f")
    page.keyboard.press("2")
    desk.shows(1)
    page.mouse.up()
    desk.until(lambda: bool(desk.mask(0)[120, 90]), "the stroke is there")
    assert desk.mask(0)[60, 90]
    assert desk.shown(1) == set()
    assert np.array_equal(desk.mask(0, 2), second)
    # So does a box; what leaves the frame does not smear along its edge.
    page.keyboard.press("d")
    page.keyboard.press("1")
    desk.drag((100, 30), (100, -40), (300, -40), (300, 30))
    desk.until(lambda: bool(desk.mask(0)[20, 300]), "the stroke is there")
    assert not desk.mask(0)[:8, 150:250].any()


def test_pressing_ends_playing_and_following(desk: Desk) -> None:
    page = desk.page
    painted(desk)
    page.keyboard.press(" ")
    expect(page.locator("#play")).to_have_attribute("aria-pressed", "true")
    page.mouse.move(*desk.place(200, 60))
    page.mouse.down()
    expect(page.locator("#play")).to_have_attribute("aria-pressed", "false")
    page.mouse.up()
    expect(page.locator("#follow")).not_to_be_checked()


def test_hidden_objects_and_those_not_at_work_stay_as_they_are(desk: Desk) -> None:
    page = desk.page
    painted(desk)
    before = desk.mask(0)
    page.keyboard.press("h")
    desk.drag((60, 120), (120, 120))
    desk.says("object 1 is hidden (H shows it).")
    for key in ("Delete", "o"):
        page.keyboard.press(key)
        desk.says("object 1 is hidden (H shows it).")
    page.keyboard.press("h")
    page.keyboard.press("p")
    page.keyboard.press("n")
    for corner in ((60, 200), (90, 200)):
        desk.click(*corner)
    for _ in range(3):
        page.keyboard.press("Backspace")
    desk.says("No corner is left to take back.")
    page.keyboard.press("Escape")
    page.keyboard.press("k")
    page.keyboard.press("n")
    desk.click(60, 60)
    desk.says("Click what belongs to the object first")
    assert np.array_equal(desk.mask(0), before)
    assert len(desk.project["objects"]) == 2


def test_out_of_view_and_back_leaves_no_trace(desk: Desk) -> None:
    page = desk.page
    rectangle(desk)
    desk.go(5)
    between = desk.shape(5)
    assert between["interpolated"]
    page.keyboard.press("o")
    desk.until(lambda: desk.shape(6) is None, "it is out of view")
    page.keyboard.press("o")
    desk.until(lambda: desk.shape(6) is not None, "it is not")
    assert desk.shape(5) == between
    assert set(desk.sources()) == {0, 9}


def test_undo_and_another_form_are_seen_on_every_frame(desk: Desk) -> None:
    page = desk.page
    rectangle(desk)
    figure = page.locator("#objects .figure")
    for frame in (4, 5, 6):
        desk.go(frame)
        expect(figure).to_have_text("✓")
    desk.go(5)
    page.keyboard.press("Shift+Delete")
    expect(page.locator("#objects li")).to_have_count(0)
    page.keyboard.press("Control+z")
    expect(figure).to_have_text("✓")
    page.locator("#objects li").click()
    page.locator("#object-tracked").click()
    expect(figure).to_have_text("–")
    # The box gave the focus back: Space plays, and does not tick it again.
    page.keyboard.press(" ")
    expect(page.locator("#play")).to_have_attribute("aria-pressed", "true")
    page.keyboard.press(" ")
    assert not desk.project["objects"][0]["tracked"]
    # Other points, of another kind, on frames that are known here.
    desk.go(0)
    page.locator("#object-kind").select_option("polygon")
    desk.until(lambda: desk.project["objects"][0]["kind"] == "polygon", "it is a polygon")
    page.locator("#object-kind").select_option("mask")
    desk.until(lambda: desk.project["objects"][0]["kind"] == "mask", "it is a mask")
    desk.go(9)
    expect(figure).to_have_text("✓")


def test_a_name_is_given_to_the_object_it_was_begun_for(desk: Desk) -> None:
    page = desk.page
    painted(desk)
    page.keyboard.press("F2")
    page.keyboard.type("car")
    page.locator("#lane-names .lane").nth(1).click()
    page.locator("#stage").focus()
    desk.until(lambda: desk.project["objects"][0]["name"] == "car", "the first is a car")
    assert desk.project["objects"][1]["name"] == "object 2"
    expect(page.locator("#object-name")).to_have_value("object 2")
    page.keyboard.press("F2")
    page.keyboard.type("oops")
    page.keyboard.press("Escape")
    expect(page.locator("#object-name")).to_have_value("object 2")
    assert desk.project["objects"][1]["name"] == "object 2"
    page.keyboard.press("g")
    page.keyboard.type("7")
    page.keyboard.press("Escape")
    expect(page.locator("#frame-number")).to_have_value("0")
    desk.shows(0)


def test_a_run_begins_where_its_dialog_was_opened_and_keeps_what_was_typed(desk: Desk) -> None:
    page = desk.page
    desk.point()
    desk.go(6)
    page.keyboard.press("Control+e")
    page.locator("#run-target").fill("4")
    page.locator("input[name=direction][value=backward]").check(force=True)
    expect(page.locator("#run-target")).to_have_value("4")
    page.locator("input[name=direction][value=forward]").check(force=True)
    expect(page.locator("#run-target")).to_have_value(str(FRAMES - 1))
    expect(page.locator("#run-visible-count")).to_contain_text("0 objects")
    page.keyboard.press("Escape")
    desk.go(0)
    page.keyboard.press(" ")
    page.keyboard.press("Control+e")
    expect(page.locator("#play")).to_have_attribute("aria-pressed", "false")
    expect(page.locator("#run-visible-count")).to_contain_text("object")


def test_a_polygon_is_not_lost_with_the_server(desk: Desk) -> None:
    page = desk.page
    page.keyboard.press("p")
    for corner in ((60, 60), (160, 60), (110, 130)):
        desk.click(*corner)
    with desk.without_server():
        page.keyboard.press("Enter")
        desk.says("The connection to the server is lost.")
    page.keyboard.press("Enter")
    desk.until(lambda: bool(desk.project["objects"]) and desk.shape(0) is not None, "it is there")
    assert desk.shape(0)["points"] == pytest.approx([60, 60, 160, 60, 110, 130], abs=1)


def test_the_timeline_can_be_looked_at_elsewhere(desk: Desk) -> None:
    page = desk.page
    box = page.locator("#slider").bounding_box()
    assert box is not None
    x, y = box["x"] + 0.8 * box["width"], box["y"] + 8
    page.mouse.move(x, y)
    hover = page.locator("#hover")
    expect(hover).not_to_be_empty()
    there = int(str(hover.text_content()))
    page.keyboard.down("Control")
    page.mouse.wheel(0, -400)
    page.keyboard.up("Control")
    page.mouse.move(x + 1, y)
    page.wait_for_timeout(200)
    assert abs(int(str(hover.text_content())) - there) <= 1, "the frame under the mouse stays there"
    desk.shows(0)


def test_a_frame_that_cannot_be_read_is_said_once_and_not_drawn_on(desk: Desk) -> None:
    page = desk.page
    asked: list[str] = []

    def unreadable(route: Route) -> None:
        asked.append(route.request.url)
        route.fulfill(status=422, json={"error": "Frame 20 cannot be decoded."})

    page.route("**/api/frames/20.jpg*", unreadable)
    before = desk.pixel(100, 100)
    desk.go(20)
    desk.says("Frame 20 cannot be decoded.")
    assert desk.pixel(20, 20) == desk.pixel(400, 20) != before
    page.keyboard.press("t")
    desk.drag((60, 60), (120, 60))
    desk.says("nothing can be drawn on it")
    page.wait_for_timeout(1000)
    assert len(asked) == 1
    assert desk.project["objects"] == []
    desk.go(19)
    page.unroute("**/api/frames/20.jpg*")
    desk.go(20)
    desk.until(lambda: desk.pixel(20, 20) != (51, 51, 51), "it is there now")
    desk.complaints.clear()  # Chromium's own, about the refused request


def test_a_project_asked_for_before_a_change_does_not_take_it_back(desk: Desk) -> None:
    page, tracked = desk.page, desk.page.get_by_label("track", exact=True)
    rectangle(desk)
    expect(tracked).to_be_checked()
    late: list[tuple[Route, APIResponse]] = []
    changes: list[Route] = []
    page.route("**/api/project", lambda route: late.append((route, route.fetch())), times=1)
    page.keyboard.press("Control+z")
    desk.until(lambda: bool(late), "the page asks for the project")
    page.route("**/api/objects/*", lambda route: changes.append(route))
    tracked.uncheck()
    desk.until(lambda: bool(changes), "the change is on its way")
    route, old = late[0]
    route.fulfill(response=old)
    page.wait_for_timeout(300)
    expect(tracked).not_to_be_checked(timeout=1)
    changes[0].continue_()
    desk.until(lambda: not desk.project["objects"][0]["tracked"], "the server has it")
    expect(tracked).not_to_be_checked()
