import assert from "node:assert/strict";
import { test } from "node:test";

import {
    area,
    border,
    covers,
    decode,
    emptyPatch,
    encode,
    filled,
    reboxed,
    stroked,
    trimmed,
} from "../../../../src/keepsight/apps/annotator/page/masks.js";

/** @typedef {import("../../../../src/keepsight/apps/annotator/page/masks.js").Patch} Patch */

/** @param {number} seed @returns {() => number} numbers from 0 to 1, the same each time */
function randomFrom(seed) {
    let state = seed;
    return () => {
        state = (state * 1664525 + 1013904223) % 2 ** 32;
        return state / 2 ** 32;
    };
}

/** @param {string[]} rows @returns {Patch} */
function drawn(rows, left = 0, top = 0) {
    const bits = Uint8Array.from(rows.join(""), (letter) => (letter === "#" ? 1 : 0));
    return { left, top, width: rows[0].length, height: rows.length, bits };
}

/** @param {Patch} patch @returns {string[]} */
function rowsOf(patch) {
    const letters = Array.from(patch.bits, (bit) => (bit ? "#" : ".")).join("");
    return Array.from({ length: patch.height }, (_, row) =>
        letters.slice(row * patch.width, (row + 1) * patch.width),
    );
}

test("codes that cannot be a mask are refused", () => {
    for (const points of [[], [1, 2, 3, 4], [4, 5, 5, 4, 4], [3, 0, 0, 1, 1], [2, 3, 0, 0, 1, 1]]) {
        assert.throws(() => decode(points), RangeError);
    }
});

test("CVAT's own examples", () => {
    const patch = drawn([".###", "####"], 1, 2);
    assert.deepEqual(encode(patch), [1, 7, 1, 2, 4, 3]);
    assert.deepEqual(decode([1, 7, 1, 2, 4, 3]), patch);
    assert.deepEqual(encode(drawn(["#.", "##"])), [0, 1, 1, 2, 0, 0, 1, 1]);
});

test("a mask without pixels has no code", () => {
    assert.equal(encode(emptyPatch()), null);
    assert.equal(encode(drawn(["...", "..."])), null);
});

test("what is encoded is decoded, in its smallest box, with its area", () => {
    const random = randomFrom(7);
    for (let round = 0; round < 200; round++) {
        const [width, height] = [1 + Math.floor(random() * 9), 1 + Math.floor(random() * 9)];
        const share = random();
        const bits = Uint8Array.from({ length: width * height }, () => (random() < share ? 1 : 0));
        const patch = {
            left: Math.floor(random() * 50),
            top: Math.floor(random() * 50),
            width,
            height,
            bits,
        };
        const points = encode(patch);
        const pixels = bits.reduce((sum, bit) => sum + bit, 0);
        if (points === null) {
            assert.equal(pixels, 0);
        } else {
            assert.deepEqual(decode(points), trimmed(patch));
            assert.equal(area(points), pixels);
        }
    }
});

test("another box keeps the pixels that fall into it", () => {
    const patch = drawn(["#.#", ".#."], 4, 5);
    assert.deepEqual(rowsOf(reboxed(patch, 3, 4, 5, 4)), [".....", ".#.#.", "..#..", "....."]);
    assert.deepEqual(rowsOf(reboxed(patch, 5, 5, 2, 1)), [".#"]);
    assert.deepEqual(rowsOf(reboxed(patch, 40, 40, 2, 1)), [".."]);
});

test("a place is covered by the pixel it lies in", () => {
    const patch = drawn(["#.", ".#"], 10, 20);
    assert.ok(covers(patch, 10, 20));
    assert.ok(covers(patch, 10.99, 20.99));
    assert.ok(!covers(patch, 11, 20));
    assert.ok(!covers(patch, 9.99, 20));
    assert.ok(!covers(patch, 12, 21));
});

test("a stroke paints what lies within the brush of its line, in the frame only", () => {
    const random = randomFrom(3);
    const frame = { width: 24, height: 18 };
    for (let round = 0; round < 60; round++) {
        /** @type {() => [number, number]} */
        const place = () => [random() * 30 - 3, random() * 24 - 3];
        const [from, to, radius] = [place(), place(), 0.5 + random() * 6];
        const patch = stroked(emptyPatch(), { from, to, radius, paint: true }, frame);
        for (let y = 0; y < frame.height; y++) {
            for (let x = 0; x < frame.width; x++) {
                assert.equal(
                    covers(patch, x, y),
                    distance([x + 0.5, y + 0.5], from, to) <= radius,
                    `${x}, ${y}`,
                );
            }
        }
    }
});

/**
 * @param {[number, number]} point
 * @param {[number, number]} from
 * @param {[number, number]} to
 * @returns {number} from a line, by trying many places on it
 */
function distance(point, from, to) {
    const steps = 20000;
    const way = [to[0] - from[0], to[1] - from[1]];
    const length = way[0] ** 2 + way[1] ** 2;
    const along = ((point[0] - from[0]) * way[0] + (point[1] - from[1]) * way[1]) / length;
    const place = Math.round(Math.min(1, Math.max(0, along)) * steps) / steps;
    const exact = along > 0 && along < 1 ? along : place;
    return Math.hypot(from[0] + exact * way[0] - point[0], from[1] + exact * way[1] - point[1]);
}

test("rubbing out takes away what painting the same stroke gave, and no more", () => {
    const frame = { width: 30, height: 30 };
    const block = filled([2, 2, 28, 2, 28, 28, 2, 28], frame);
    /** @type {{ from: [number, number], to: [number, number], radius: number }} */
    const line = { from: [5, 5], to: [20, 12], radius: 3 };
    const hole = stroked(block, { ...line, paint: false }, frame);
    const stroke = stroked(emptyPatch(), { ...line, paint: true }, frame);
    for (let y = 0; y < 30; y++) {
        for (let x = 0; x < 30; x++) {
            assert.equal(covers(hole, x, y), covers(block, x, y) && !covers(stroke, x, y));
        }
    }
    assert.equal(block.bits.length, 26 * 26, "what was there is left as it was");
});

test("a polygon covers the pixels whose centres lie in it", () => {
    assert.deepEqual(rowsOf(filled([1, 1, 4, 1, 4, 3, 1, 3], { width: 6, height: 6 })), ["###", "###"]);
    assert.deepEqual(filled([0, 0, 0.4, 0, 0.4, 0.4, 0, 0.4], { width: 6, height: 6 }), emptyPatch());
    const clipped = filled([-5, -5, 2, -5, 2, 2, -5, 2], { width: 6, height: 6 });
    assert.deepEqual([clipped.left, clipped.top, clipped.width, clipped.height], [0, 0, 2, 2]);
});

test("the border separates every two neighbours that differ, once", () => {
    const random = randomFrom(11);
    for (let round = 0; round < 60; round++) {
        const [width, height] = [1 + Math.floor(random() * 7), 1 + Math.floor(random() * 7)];
        const bits = Uint8Array.from({ length: width * height }, () => (random() < 0.5 ? 1 : 0));
        const patch = { left: 3, top: 4, width, height, bits };
        const sides = new Set();
        for (const [x1, y1, x2, y2] of border(patch)) {
            assert.ok(x1 === x2 || y1 === y2);
            for (let step = 0; step < x2 - x1 + (y2 - y1); step++) {
                const side = x1 === x2 ? `v ${x1} ${y1 + step}` : `h ${x1 + step} ${y1}`;
                assert.ok(!sides.has(side));
                sides.add(side);
            }
        }
        for (let y = 3; y <= 4 + height; y++) {
            for (let x = 2; x <= 3 + width; x++) {
                assert.equal(sides.has(`h ${x} ${y}`), covers(patch, x, y) !== covers(patch, x, y - 1));
                assert.equal(sides.has(`v ${x} ${y}`), covers(patch, x, y) !== covers(patch, x - 1, y));
            }
        }
    }
});
