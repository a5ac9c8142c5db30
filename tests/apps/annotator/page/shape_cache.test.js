import assert from "node:assert/strict";
import { test } from "node:test";

import { ShapeCache } from "../../../../src/keepsight/apps/annotator/page/shape_cache.js";

/**
 * @typedef {import("../../../../src/keepsight/apps/annotator/page/wire").Shape} Shape
 *
 * @typedef {object} Question
 * @property {number} frame
 * @property {(shapes: Shape[]) => void} done
 * @property {(error: Error) => void} fail
 * @property {AbortSignal} signal
 */

/**
 * @param {number} frame
 * @param {number} object
 * @param {number[]} points
 * @returns {Shape}
 */
function shapeAt(frame, object, points) {
    return { object, frame, source: "auto", outside: false, points, score: 0.9, presence: 1 };
}

function settled() {
    return new Promise((resolve) => setImmediate(resolve));
}

/** @param {Partial<ConstructorParameters<typeof ShapeCache>[0]>} [options] */
function made(options = {}) {
    /** @type {Question[]} */
    const asked = [];
    /** @type {number[]} */
    const loaded = [];
    /** @type {[number, string][]} */
    const failed = [];
    const cache = new ShapeCache({
        load: (frame, signal) =>
            new Promise((resolve, fail) => {
                asked.push({ frame, signal, fail, done: (shapes) => resolve({ shapes, prompts: [] }) });
            }),
        onload: (frame) => loaded.push(frame),
        onfail: (frame, sentence) => failed.push([frame, sentence]),
        count: 50,
        ahead: 0,
        ...options,
    });
    return { cache, asked, loaded, failed };
}

test("a failure is told, and the frame is asked for again when wanted again", async () => {
    const { cache, asked, failed } = made();
    cache.want(4);
    asked[0].fail(new Error("No."));
    await settled();
    assert.deepEqual(failed, [[4, "No."]]);
    cache.want(4);
    assert.equal(asked.length, 2);
});

test("points are not taken for another kind's than they came as", async () => {
    /** @type {import("../../../../src/keepsight/apps/annotator/page/wire").Kind} */
    let kind = "polygon";
    const { cache, asked } = made({ kindOf: (object) => (object === 1 ? kind : undefined) });
    cache.want(4);
    asked[0].done([
        { ...shapeAt(4, 1, [0, 0, 3, 0, 3, 3]), kind: "polygon" },
        { ...shapeAt(4, 2, [0, 0, 3, 3]), kind: "rectangle" },
    ]);
    await settled();
    cache.put(5, 1, { shape: shapeAt(5, 1, [0, 0, 4, 0, 4, 4]) });
    assert.deepEqual([...(cache.get(4)?.shapes.keys() ?? [])], [1, 2]);
    kind = "mask";
    assert.deepEqual([...(cache.get(4)?.shapes.keys() ?? [])], [2], "until the server has answered");
    assert.equal(cache.get(5)?.shapes.size, 0, "drawn here as what it was then");
    kind = "polygon";
    assert.equal(cache.get(5)?.shapes.size, 1);
});

test("what is up to date is not asked for again", async () => {
    const { cache, asked, loaded } = made();
    cache.want(4);
    cache.want(4);
    assert.equal(asked.length, 1);
    asked[0].done([shapeAt(4, 1, [1, 2, 3, 4])]);
    await settled();
    assert.deepEqual(loaded, [4]);
    assert.deepEqual(cache.get(4)?.shapes.get(1)?.points, [1, 2, 3, 4]);
    cache.want(4);
    assert.equal(asked.length, 1);
});

test("an answer to a question from before a change is not taken for the state after it", async () => {
    const { cache, asked, loaded } = made();
    cache.want(4);
    cache.put(4, 1, { shape: shapeAt(4, 1, [9, 9, 10, 10]) });
    asked[0].done([shapeAt(4, 1, [0, 0, 1, 1])]);
    await settled();
    assert.deepEqual(cache.get(4)?.shapes.get(1)?.points, [9, 9, 10, 10]);
    assert.deepEqual(loaded, []);
    assert.equal(asked.length, 2, "it is asked again");
    asked[1].done([shapeAt(4, 1, [9, 9, 10, 10]), shapeAt(4, 2, [5, 5, 6, 6])]);
    await settled();
    assert.equal(cache.get(4)?.shapes.size, 2);
});

test("a change of another frame does no harm to a question under way", async () => {
    const { cache, asked } = made();
    cache.want(4);
    cache.put(5, 1, { shape: shapeAt(5, 1, [9, 9, 10, 10]) });
    asked[0].done([shapeAt(4, 1, [0, 0, 1, 1])]);
    await settled();
    assert.deepEqual(cache.get(4)?.shapes.get(1)?.points, [0, 0, 1, 1]);
});

test("what may be out of date is shown until the answer comes", async () => {
    const { cache, asked } = made();
    cache.want(4);
    asked[0].done([shapeAt(4, 1, [0, 0, 1, 1])]);
    await settled();
    cache.spoil();
    assert.deepEqual(cache.get(4)?.shapes.get(1)?.points, [0, 0, 1, 1]);
    cache.want(4);
    asked[1].done([]);
    await settled();
    assert.equal(cache.get(4)?.shapes.size, 0);
});

test("only the frames named are asked for again", async () => {
    const { cache, asked } = made();
    for (const frame of [4, 5]) {
        cache.want(frame);
        asked[asked.length - 1].done([]);
        await settled();
    }
    cache.spoil([5]);
    cache.want(4);
    assert.equal(asked.length, 2);
    cache.want(5);
    assert.equal(asked.length, 3);
});

test("a shape that is gone is gone, and so are its clicks", () => {
    const { cache } = made();
    const prompt = {
        object: 1,
        points: /** @type {[number, number][]} */ ([[1, 2]]),
        labels: [1],
        box: null,
    };
    cache.put(4, 1, { shape: shapeAt(4, 1, [0, 0, 1, 1]), prompt });
    assert.deepEqual(cache.get(4)?.prompts.get(1), prompt);
    cache.put(4, 1, { shape: null });
    assert.equal(cache.get(4)?.shapes.has(1), false);
    assert.equal(cache.get(4)?.prompts.has(1), true);
    cache.put(4, 1, { prompt: null });
    assert.equal(cache.get(4)?.prompts.has(1), false);
});

test("frames that follow are asked for, a bounded number is kept, far questions are called off", async () => {
    const { cache, asked } = made({ ahead: 3, parallel: 2, capacity: 5 });
    cache.want(10);
    assert.deepEqual(
        asked.map(({ frame }) => frame),
        [10, 11],
    );
    cache.want(30);
    assert.ok(asked[0].signal.aborted);
    for (let frame = 0; frame < 40; frame++) {
        cache.put(frame, 1, { shape: shapeAt(frame, 1, [0, 0, 1, 1]) });
    }
    assert.equal(cache.size, 5);
    cache.want(49);
    assert.ok(asked.every(({ frame }) => frame < 50));
});
