import assert from "node:assert/strict";
import { test } from "node:test";

import {
    Scale,
    columnsOf,
    emptyRow,
    nextEdit,
    placeOf,
    withShape,
    withShapes,
} from "../../../../src/keepsight/apps/annotator/page/timeline_rows.js";

/**
 * @param {number} frame
 * @param {Partial<import("../../../../src/keepsight/apps/annotator/page/wire").Shape>} [more]
 * @returns {import("../../../../src/keepsight/apps/annotator/page/wire").Shape}
 */
function shapeAt(frame, more = {}) {
    return { object: 1, frame, source: "auto", outside: false, points: [], score: 0.9, presence: 1, ...more };
}

test("a pixel belongs to the frame drawn there", () => {
    const scale = new Scale(60, 600);
    for (let frame = 0; frame < 60; frame++) {
        assert.equal(scale.frame(scale.x(frame)), frame);
        assert.equal(scale.frame(scale.x(frame) + 9.9), frame);
    }
    assert.equal(scale.frame(-50), 0);
    assert.equal(scale.frame(5000), 59);
});

test("zooming keeps the frame under the pointer and stays within the video", () => {
    const scale = new Scale(1000, 500);
    const closer = scale.zoomed(4, 100);
    assert.equal(closer.frame(100), scale.frame(100));
    assert.equal(Math.round(closer.last - closer.first), 250);
    const all = closer.zoomed(1e-6, 100);
    assert.deepEqual([all.first, all.last], [0, 1000]);
    const least = scale.zoomed(1e6, 499);
    assert.equal(Math.round(least.last - least.first), 20);
    assert.ok(least.last <= 1000);
    const short = new Scale(5, 100).zoomed(10, 50);
    assert.deepEqual([short.first, short.last], [0, 5]);
});

test("the frame shown is on the scale, which moves no more than that needs", () => {
    const scale = new Scale(1000, 500).zoomed(10, 0);
    assert.equal(scale.showing(50), scale);
    const moved = scale.showing(500);
    assert.ok(moved.first <= 500 && moved.last > 500);
    assert.equal(scale.showing(999).last, 1000);
});

test("marks of the ruler leave room for their numbers", () => {
    for (const count of [1, 10, 60, 999, 20_000]) {
        const scale = new Scale(count, 800);
        assert.ok(scale.stride * scale.pitch >= 56 || scale.stride >= count);
        assert.match(String(scale.stride), /^(1|2|5)0*$/);
    }
});

test("a row stays in order whatever comes in which order", () => {
    let row = emptyRow(1);
    for (const frame of [5, 1, 9, 1, 3]) {
        row = withShape(
            row,
            frame,
            shapeAt(frame, { source: frame === 3 ? "prompted" : "auto", score: frame / 10 }),
        );
    }
    assert.deepEqual(row.frames, [1, 3, 5, 9]);
    assert.deepEqual(row.score, [0.1, 0.3, 0.5, 0.9]);
    assert.equal(row.source, "apaa");
    row = withShape(row, 3, shapeAt(3, { source: "manual", outside: true, score: null }));
    assert.equal(row.source, "amaa");
    assert.deepEqual(row.outside, [0, 1, 0, 0]);
    row = withShape(withShape(row, 3, null), 77, null);
    assert.deepEqual(row.frames, [1, 5, 9]);
    assert.equal(row.source.length, 3);
});

test("a run's shapes are put in and taken out", () => {
    const rows = withShapes(
        [withShape(emptyRow(2), 4, shapeAt(4, { object: 2 }))],
        [shapeAt(4), shapeAt(5)],
        [
            [2, 4],
            [3, 1],
        ],
    );
    assert.deepEqual(
        rows.map(({ object, frames }) => [object, frames]),
        [
            [2, []],
            [1, [4, 5]],
            [3, []],
        ],
    );
});

test("places in a row", () => {
    assert.equal(placeOf([], 3), 0);
    assert.equal(placeOf([1, 3, 5], 3), 1);
    assert.equal(placeOf([1, 3, 5], 4), 2);
    assert.equal(placeOf([1, 3, 5], 9), 3);
});

test("the next frame edited by hand, in either direction, of one object or any", () => {
    const one = { ...emptyRow(1), frames: [2, 4, 8], source: "pam" };
    const two = { ...emptyRow(2), frames: [5], source: "m" };
    assert.equal(nextEdit([one, two], 2, 1, null), 5);
    assert.equal(nextEdit([one, two], 2, 1, 1), 8);
    assert.equal(nextEdit([one, two], 8, 1, null), null);
    assert.equal(nextEdit([one, two], 8, -1, null), 5);
    assert.equal(nextEdit([one, two], 4, -1, 1), 2);
});

test("a pixel that holds many frames shows the worst of them", () => {
    let row = emptyRow(1);
    for (let frame = 0; frame < 1000; frame++) {
        row = withShape(row, frame, shapeAt(frame, { score: frame === 503 ? 0.1 : 0.9 }));
    }
    const columns = columnsOf(row, new Scale(1000, 100), false);
    assert.equal(columns.length, 100);
    assert.equal(columns[50].score, 0.1);
    assert.equal(columns[51].score, 0.9);
    assert.equal(columns[51].presence, 1);
    row = withShape(
        withShape(row, 511, shapeAt(511, { presence: 0.6, score: null })),
        512,
        shapeAt(512, { presence: null }),
    );
    const [mixed] = columnsOf(row, new Scale(1000, 100), false).slice(51);
    assert.deepEqual([mixed.presence, mixed.score], [0.6, 0.9]);
    assert.ok(columns.every(({ state }) => state === "present"));
});

test("a track holds between its keyframes and ends where it is outside; shapes stand alone", () => {
    let row = withShape(emptyRow(1), 2, shapeAt(2));
    row = withShape(row, 5, shapeAt(5, { outside: true }));
    const states = (/** @type {boolean} */ held) =>
        columnsOf(row, new Scale(8, 800), held)
            .map(({ state }) => state[0])
            .join("");
    assert.equal(states(true), "nnphhaaa");
    assert.equal(states(false), "nnpnnann");
    const part = columnsOf(row, new Scale(8, 800, 4, 8), true)
        .map(({ state }) => state[0])
        .join("");
    assert.equal(part, "haaa");
});

test("an object that is likely not there is shown as absent", () => {
    const row = withShape(emptyRow(1), 0, shapeAt(0, { presence: 0.2 }));
    assert.equal(columnsOf(row, new Scale(1, 10), false)[0].state, "absent");
});
