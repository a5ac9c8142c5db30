import assert from "node:assert/strict";
import { test } from "node:test";

import {
    areaOf,
    cornerAt,
    extentOf,
    handlesOf,
    moved,
    nearestEdge,
    resized,
    spanned,
    surrounds,
    within,
    withCorner,
    withMore,
    withoutCorner,
} from "../../../../src/keepsight/apps/annotator/page/outlines.js";

const SQUARE = [0, 0, 10, 0, 10, 10, 0, 10];
const FRAME = { width: 100, height: 50 };

test("the least a polygon can have is three corners", () => {
    assert.deepEqual(withoutCorner([0, 0, 1, 0, 1, 1], 1), [0, 0, 1, 0, 1, 1]);
    assert.deepEqual(withoutCorner(SQUARE, 1), [0, 0, 10, 10, 0, 10]);
});

test("extent and area, whichever way it is drawn", () => {
    const back = [0, 10, 10, 10, 10, 0, 0, 0];
    assert.deepEqual(extentOf(SQUARE), [0, 0, 10, 10]);
    assert.equal(areaOf(SQUARE), 100);
    assert.equal(areaOf(back), 100);
    assert.equal(areaOf([0, 0, 5, 5, 10, 10]), 0);
});

test("a point inside is surrounded, of a shape that crosses itself too", () => {
    assert.ok(surrounds(SQUARE, 5, 5));
    assert.ok(!surrounds(SQUARE, 15, 5));
    assert.ok(!surrounds(SQUARE, -1, 5));
    // Wound around twice: the nonzero rule has no hole in the middle.
    const twice = [0, 0, 10, 0, 10, 10, 0, 10, 0, 0, 10, 0, 10, 10, 0, 10];
    assert.ok(surrounds(twice, 5, 5));
});

test("corners and edges are found within reach, the nearest first", () => {
    assert.equal(cornerAt(SQUARE, 9, 1, 3), 1);
    assert.equal(cornerAt(SQUARE, 5, 5, 3), -1);
    assert.equal(cornerAt([0, 0, 2, 0, 2, 2], 1.6, 0, 3), 1);
    assert.deepEqual(nearestEdge(SQUARE, 12, 5), { edge: 1, distance: 2 });
    assert.equal(nearestEdge(SQUARE, -1, 6).edge, 3);
});

test("a corner is moved, and one more is put into the edge that was pulled", () => {
    assert.deepEqual(withCorner(SQUARE, 2, 12, 13), [0, 0, 10, 0, 12, 13, 0, 10]);
    assert.deepEqual(withMore(SQUARE, 3, -2, 5), [...SQUARE, -2, 5]);
    assert.deepEqual(withMore(SQUARE, 0, 5, -2), [0, 0, 5, -2, 10, 0, 10, 10, 0, 10]);
});

test("a shape that is moved keeps its form and stays on the frame", () => {
    assert.deepEqual(moved(SQUARE, 3, 4, FRAME), [3, 4, 13, 4, 13, 14, 3, 14]);
    assert.deepEqual(extentOf(moved(SQUARE, -30, -30, FRAME)), [0, 0, 10, 10]);
    assert.deepEqual(extentOf(moved(SQUARE, 300, 300, FRAME)), [90, 40, 100, 50]);
});

test("a rectangle's handle moves its own sides, and past the other side turns it over", () => {
    const box = [10, 10, 30, 20];
    assert.deepEqual(resized(box, "e", 50, 99), [10, 10, 50, 20]);
    assert.deepEqual(resized(box, "nw", 5, 6), [5, 6, 30, 20]);
    assert.deepEqual(resized(box, "w", 40, 0), [30, 10, 40, 20]);
    assert.deepEqual(resized(box, "s", 0, 5), [10, 5, 30, 10]);
    for (const { name, x, y } of handlesOf(box)) {
        assert.deepEqual(resized(box, name, x, y), box, `${name}, let go where it was taken`);
    }
});

test("two corners span a box in any order; places are kept on the frame", () => {
    assert.deepEqual(spanned([5, 1], [2, 8]), [2, 1, 5, 8]);
    assert.deepEqual(within(-3, 50.04, FRAME), [0, 50]);
    assert.deepEqual(within(99.96, 12.34, FRAME), [100, 12.3]);
});
