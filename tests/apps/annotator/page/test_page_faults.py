"""What may go wrong while one annotates in the page."""

import pytest
from playwright.sync_api import Route, expect

from tests.apps.annotator.page.desk import FRAMES, Desk, MakeDesk

pytestmark = pytest.mark.slow


def test_the_server_is_killed_in_the_middle_and_goes_on(desk: Desk) -> None:
    page = desk.page
    desk.point()
    desk.run(FRAMES - 1, wait=False)
    desk.until(lambda: 3 in desk.sources(), "a few frames are tracked")
    with desk.without_server():
        page.keyboard.press("Control+z")
        desk.says("connection to the server is lost")

    expect(page.locator("#unfinished")).to_contain_text(f"to frame {FRAMES - 1} was interrupted")
    assert len(desk.sources()) >= 4
    expect(page.locator("#model")).to_have_attribute("data-state", "ready")
    page.locator("#resume").click()
    expect(page.locator("#unfinished")).to_be_hidden()
    desk.finish()
    assert len(desk.sources()) == FRAMES
    desk.go(5)
    page.keyboard.press("Control+z")
    desk.until(lambda: desk.sources() == {0: "p"}, "the whole run is one step of undo")


def test_two_tabs_on_one_project_show_the_same(make_desk: MakeDesk) -> None:
    one, two = make_desk().open(), make_desk().open()
    x, y = one.clip.inside()
    before = two.pixel(x + 9, y)
    one.click(x, y)
    expect(two.page.locator("#objects li")).to_have_count(1)
    two.until(lambda: two.pixel(x + 9, y) != before, "the other tab shows the mask")

    # Both work at once, on objects of their own.
    for desk, left in ((one, 60), (two, 260)):
        desk.page.keyboard.press("p")
        desk.page.keyboard.press("n")
        for corner in ((left, 40), (left + 80, 40), (left + 40, 90)):
            desk.click(*corner)
    one.page.keyboard.press("Enter")
    two.page.keyboard.press("Enter")
    for desk in (one, two):
        expect(desk.page.locator("#objects li")).to_have_count(3)
        expect(desk.page.locator("#objects .figure").filter(has_text="–")).to_have_count(0)
    two.page.locator("#objects li").nth(0).click()
    two.page.keyboard.press("F2")
    two.page.keyboard.type("dog")
    two.page.keyboard.press("Enter")
    expect(one.page.locator("#objects li").nth(0)).to_contain_text("dog")
    two.page.locator("#stage").focus()
    for _ in range(3):
        two.page.keyboard.press("Control+z")
    expect(one.page.locator("#objects li").nth(0)).to_contain_text("object 1")
    # All three: while a run is going on, undoing is refused.
    one.until(lambda: one.shown(0) == {1}, "both polygons are taken back")
    # A run that one starts, the other sees.
    one.page.keyboard.press("1")
    one.run(6, wait=False)
    two.until(lambda: one.project["run"] is None and len(one.sources()) == 7, "the run is done")
    two.go(6)
    expect(two.page.locator("#objects .figure").nth(0)).not_to_have_text("–")


def test_an_answer_that_comes_late_is_shown_on_its_own_frame_only(desk: Desk) -> None:
    held: list[Route] = []
    desk.page.route("**/prompt", lambda route: held.append(route))
    x, y = desk.clip.inside()
    desk.click(x, y)
    desk.until(lambda: bool(held), "the click is sent")
    desk.go(1)
    before = desk.pixel(x + 9, y)
    held.pop().continue_()
    desk.until(lambda: desk.project["objects"] != [] and desk.sources() == {0: "p"}, "the answer is there")
    expect(desk.page.locator("#objects .figure")).to_have_text("–")
    assert desk.pixel(x + 9, y) == before
    desk.page.keyboard.press("d")
    desk.shows(0)
    expect(desk.page.locator("#objects .figure")).not_to_have_text("–")


def test_without_a_model_the_tools_that_need_it_say_so_and_the_others_work(desk: Desk) -> None:
    def unready(route: Route) -> None:
        # Asked for beside the browser: an answer on its way through it would be cut off when the test ends.
        loading = {"name": "pocket", "state": "loading", "error": None}
        route.fulfill(json={**desk.project, "model": loading})

    page = desk.page
    page.route("**/api/project", unready)
    page.reload()
    desk.shows(0)
    click = page.get_by_role("button", name="Positive click")
    expect(click).to_have_attribute("aria-disabled", "true")
    expect(page.locator("#hint")).to_contain_text("still being loaded")
    desk.click(*desk.clip.inside())
    desk.says("still being loaded")
    page.keyboard.press("Control+e")
    desk.says("still being loaded")
    desk.triangle()


def test_what_the_server_refuses_is_told_in_its_words(desk: Desk) -> None:
    page = desk.page

    def refuse(route: Route) -> None:
        route.fulfill(status=507, json={"error": "The disk is full. Make room and try again."})

    page.route("**/api/objects", refuse)
    desk.click(*desk.clip.inside())
    desk.says("The disk is full. Make room and try again.")
    page.unroute("**/api/objects")
    assert desk.project["objects"] == []
    desk.point()
    page.keyboard.press("l")
    expect(page.locator("#hint")).to_contain_text("is locked")
    page.keyboard.press("Delete")
    desk.says("is locked")
    desk.was_refused(507, "api/objects")
