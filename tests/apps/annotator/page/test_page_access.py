"""The page without a mouse, on a phone, in the dark, and its picture in the README."""

import os
import signal
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from keepsight.apps.cli.demo_clip import clip_box, render_clip, write_clip
from keepsight.evaluation import region_iou
from tests.apps.annotator.page.desk import FRAMES, WIDE, Clip, Desk, MakeDesk, Server

pytestmark = pytest.mark.slow

PHONE, SMALLEST = (390, 844), (360, 640)


def test_by_keyboard_alone(desk: Desk) -> None:
    page = desk.page
    page.locator("#stage").focus()
    page.keyboard.press("f")
    desk.shows(1)
    page.keyboard.press("v")
    desk.shows(11)
    page.keyboard.press("c")
    page.keyboard.press("d")
    desk.shows(0)
    page.keyboard.press("End")
    desk.shows(FRAMES - 1)
    page.keyboard.press("Home")
    desk.shows(0)
    # It plays from the start after going back to it, and stops where it is told to.
    page.keyboard.press("Space")
    desk.until(lambda: int(page.locator("#frame-number").input_value()) > 5, "it plays")
    page.keyboard.press("Space")
    expect(page.get_by_role("button", name="Play", exact=True)).to_be_visible()
    page.keyboard.press("Home")
    desk.shows(0)
    # The cross begins in the middle: moved, and Enter clicks there.
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowUp")
    page.keyboard.press("Enter")
    desk.until(lambda: bool(desk.project["objects"]), "an object is made")
    desk.until(lambda: bool(desk.server.get("api/shapes/0")["prompts"]), "the click is answered")
    width, height = desk.clip.size
    [(x, y)] = desk.server.get("api/shapes/0")["prompts"][0]["points"]
    assert 0 < width / 2 - x < 20
    assert 0 < height / 2 - y < 20


def test_the_lists_by_keyboard_alone(desk: Desk) -> None:
    page = desk.page
    desk.triangle()
    slider = page.get_by_role("slider", name="Timeline")
    slider.focus()
    page.keyboard.press("ArrowRight")
    desk.shows(1)
    expect(slider).to_have_attribute("aria-valuenow", "1")
    assert "object 1: " in (slider.get_attribute("aria-valuetext") or "")
    page.get_by_role("listbox", name="Objects").focus()
    page.keyboard.press("Home")
    expect(page.get_by_role("option", name="object 1, polygon")).to_have_attribute("aria-selected", "true")
    page.keyboard.press("h")
    desk.until(lambda: not desk.project["objects"][0]["shown"], "it is hidden")
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Keys")).to_be_visible()
    page.keyboard.press("Escape")
    page.keyboard.press("Shift+Delete")
    expect(page.locator("#objects li")).to_have_count(0)
    page.keyboard.press("Control+z")
    expect(page.locator("#objects li")).to_have_count(1)
    # Tab goes through the objects and then on, so nobody is caught in the picture.
    page.keyboard.press("Escape")
    page.keyboard.press("Escape")
    page.locator("#stage").focus()
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") != "stage"


def test_on_a_phone_two_fingers_move_and_one_points(make_desk: MakeDesk, tmp_path: Path) -> None:
    desk = make_desk(PHONE, touch=True).open()
    page = desk.page
    x, y = desk.clip.inside()
    # Looked at beside the mark that the tap leaves.
    plain = desk.pixel(x + 30, y)
    page.touchscreen.tap(*desk.place(x, y))
    desk.until(lambda: desk.pixel(x + 30, y) != plain, "the tap's mask is seen")
    page.screenshot(path=tmp_path / "phone.png")
    touch = page.context.new_cdp_session(page)
    (left, top), before = desk.place(x, y), desk.scale
    for kind, spread in (("touchStart", 20), ("touchMove", 40), ("touchMove", 60), ("touchEnd", None)):
        points = [] if spread is None else [{"x": left - spread, "y": top}, {"x": left + spread, "y": top}]
        touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
    desk.until(lambda: desk.scale > 2 * before, "the picture is larger")
    assert len(desk.server.get("api/shapes/0")["prompts"][0]["points"]) == 1, "pinching is no click"
    # With the mouse: Chromium loses some of the taps that come right after two fingers were lifted.
    page.get_by_role("button", name="Fit the frame").click()
    desk.until(lambda: desk.scale == pytest.approx(before, rel=0.05), "the frame is fitted again")
    for width, height in (PHONE, SMALLEST):
        page.set_viewport_size({"width": width, "height": height})
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        for button in page.get_by_role("button").all():
            box = button.bounding_box()
            if box is not None and box["y"] < height:
                assert box["x"] >= 0
                assert box["x"] + box["width"] <= width + 1


def test_light_and_dark_are_kept(desk: Desk, tmp_path: Path) -> None:
    page = desk.page
    background = "getComputedStyle(document.querySelector('.top')).backgroundColor"
    light = page.evaluate(background)
    page.get_by_role("button", name="Dark colours").click()
    dark = page.evaluate(background)
    assert light != dark
    page.screenshot(path=tmp_path / "dark.png")
    page.reload()
    desk.shows(0)
    assert page.evaluate(background) == dark
    page.get_by_role("button", name="Light colours").click()
    assert page.evaluate(background) == light


def test_the_picture_of_the_readme(browser: Browser, tmp_path: Path) -> None:
    """Both fish of the rendered clip, tracked; written to where KEEPSIGHT_SCREENSHOT says, if it says so."""
    frames = list(render_clip())[:40]
    source = tmp_path / "reef.mp4"
    clip = Clip(source, write_clip(source, iter(frames)))
    left, top, right, bottom = clip_box(frames[0])
    server = Server(source)
    server.start()
    try:
        context = browser.new_context(viewport={"width": WIDE[0], "height": WIDE[1]}, device_scale_factor=2)
        desk = Desk(context.new_page(), server, clip).open()
        desk.page.keyboard.press("b")
        for number, (name, box) in enumerate(
            (("clownfish", ((left, top), (right, bottom))), ("blue tang", ((519, 66), (603, 118)))), 1
        ):
            desk.page.keyboard.press("n")
            desk.drag(*box)
            expect(desk.page.locator("#objects li")).to_have_count(number)
            desk.until(lambda: len(desk.shown(0)) == len(desk.project["objects"]), f"{name} has a mask")
            desk.page.keyboard.press("F2")
            desk.page.keyboard.type(name)
            desk.page.keyboard.press("Enter")
            desk.page.locator("#stage").focus()
        desk.run(len(frames) - 1, scope="visible")
        desk.says("Tracked clownfish and blue tang")
        desk.go(24)
        desk.page.keyboard.press("1")
        assert region_iou(desk.mask(24), clip.truths[24]) > 0.5
        desk.page.mouse.move(4, 4)
        desk.until(lambda: desk.page.locator(".toast").count() == 0, "no message is in the way")
        stretches = len(server.get("api/review")["stretches"])
        expect(desk.page.locator("#review li")).to_have_count(stretches)
        picture = Path(os.environ.get("KEEPSIGHT_SCREENSHOT") or tmp_path / "annotate.png")
        desk.page.screenshot(path=picture)
        assert picture.stat().st_size > 50_000
        assert desk.complaints == []
        context.close()
    finally:
        server.end(signal.SIGKILL)
