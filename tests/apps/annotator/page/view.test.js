import assert from "node:assert/strict";
import { test } from "node:test";

import { View } from "../../../../src/keepsight/apps/annotator/page/view.js";

const FRAME = { width: 854, height: 480 };
const STAGE = { width: 960, height: 600 };

/** @param {number} value @param {number} expected */
function near(value, expected) {
    assert.ok(Math.abs(value - expected) < 1e-9, `${value} is not ${expected}`);
}

test("a fitted frame is whole and in the middle", () => {
    const view = View.fitted(FRAME, STAGE);
    near(view.scale, 960 / 854);
    near(view.left, 0);
    near(view.top, (600 - 480 * view.scale) / 2);
});

test("a stage without size breaks nothing", () => {
    const view = View.fitted(FRAME, { width: 0, height: 0 });
    assert.ok(view.scale > 0);
    assert.ok(Number.isFinite(view.toFrame(5, 5)[0]));
});

test("a place seen is the place meant", () => {
    const view = View.fitted(FRAME, STAGE).zoomed(3, 100, 100).panned(20, -30);
    const [x, y] = view.toFrame(...view.toStage(123.4, 56.7));
    near(x, 123.4);
    near(y, 56.7);
});

test("zooming keeps what is under the pointer", () => {
    const view = View.fitted(FRAME, STAGE);
    const before = view.toFrame(300, 200);
    const after = view.zoomed(2.5, 300, 200).toFrame(300, 200);
    near(after[0], before[0]);
    near(after[1], before[1]);
});

test("zooming has bounds", () => {
    const view = View.fitted(FRAME, STAGE);
    near(view.zoomed(1e9).scale, 40);
    near(view.zoomed(1e-9).scale, view.scale / 4);
});

test("the frame cannot be lost", () => {
    for (const [dx, dy] of [
        [1e6, 0],
        [-1e6, 0],
        [0, 1e6],
        [0, -1e6],
    ]) {
        const view = View.fitted(FRAME, STAGE).zoomed(2).panned(dx, dy);
        assert.ok(view.left < STAGE.width && view.left + FRAME.width * view.scale > 0);
        assert.ok(view.top < STAGE.height && view.top + FRAME.height * view.scale > 0);
    }
});

test("on another stage a fitted frame is fitted again, another keeps its middle", () => {
    const larger = { width: 1200, height: 900 };
    near(View.fitted(FRAME, STAGE).on(larger).scale, 1200 / 854);
    const close = View.fitted(FRAME, STAGE).zoomed(3, 480, 300);
    const moved = close.on(larger);
    near(moved.scale, close.scale);
    near(moved.toFrame(600, 450)[0], close.toFrame(480, 300)[0]);
});
