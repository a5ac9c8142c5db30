import assert from "node:assert/strict";
import { test } from "node:test";

import { FrameCache, framesKept } from "../../../../src/keepsight/apps/annotator/page/frames.js";

/**
 * @typedef {object} Question
 * @property {(picture: string) => void} done
 * @property {(error: Error) => void} fail
 * @property {AbortSignal} signal
 */

/** A server whose answers the test gives. */
class Server {
    /** @type {Map<number, Question>} */
    asked = new Map();
    /** @type {number[]} */
    order = [];

    load = (/** @type {number} */ index, /** @type {AbortSignal} */ signal) => {
        this.order.push(index);
        return /** @type {Promise<string>} */ (
            new Promise((done, fail) => this.asked.set(index, { done, fail, signal }))
        );
    };

    /** @param {number} index */
    async answer(index) {
        this.asked.get(index)?.done(`picture ${index}`);
        this.asked.delete(index);
        await settled();
    }

    async answerAll() {
        while (this.asked.size) {
            for (const index of [...this.asked.keys()]) {
                await this.answer(index);
            }
        }
    }
}

function settled() {
    return new Promise((resolve) => setImmediate(resolve));
}

/** @param {Partial<ConstructorParameters<typeof FrameCache>[0]>} [options] */
function made(options = {}) {
    const server = new Server();
    const [released, loaded, failed] = [[], [], []].map(() => /** @type {unknown[]} */ ([]));
    const cache = new FrameCache({
        load: server.load,
        release: (picture) => released.push(picture),
        onload: (index) => loaded.push(index),
        onfail: (index, sentence) => failed.push([index, sentence]),
        count: 100,
        capacity: 8,
        parallel: 2,
        ...options,
    });
    return { server, cache, released, loaded, failed };
}

test("a frame that cannot be had is told once, and tried again when one comes back to it", async () => {
    const { server, cache, failed } = made({ parallel: 1 });
    cache.want(3);
    server.asked.get(3)?.fail(new Error("There is no frame 3."));
    await settled();
    assert.deepEqual(failed, [[3, "There is no frame 3."]]);
    assert.equal(server.order.filter((index) => index === 3).length, 1);
    assert.equal(cache.failure(3), "There is no frame 3.");
    assert.ok(cache.isKnown(3) && !cache.isKnown(4));
    const asked = () => server.order.filter((index) => index === 3).length;
    cache.want(3);
    assert.equal(asked(), 1, "staying there asks for nothing");
    cache.want(4);
    cache.want(3);
    assert.equal(asked(), 2);
    server.asked.get(3)?.fail(new Error("There is no frame 3."));
    await settled();
    cache.forgive();
    assert.equal(cache.failure(3), null);
    cache.want(3);
    assert.equal(asked(), 3, "as when the server is there again");
});

test("the wanted frame is asked for first, then those that follow", async () => {
    const { server, cache, loaded } = made();
    cache.want(10);
    assert.deepEqual(server.order, [10], "what follows waits for it");
    await server.answer(10);
    assert.equal(cache.get(10), "picture 10");
    assert.deepEqual(loaded, [10]);
    assert.deepEqual(server.order, [10, 11, 12]);
    await server.answer(11);
    assert.deepEqual(server.order, [10, 11, 12, 13]);
});

test("going back, the frames before are fetched ahead", async () => {
    const { server, cache } = made();
    cache.want(10, -1);
    await server.answer(10);
    assert.deepEqual(server.order, [10, 9, 8]);
});

test("who leaps through the video gets no frames that follow, until they rest", async () => {
    const { server, cache } = made();
    for (const index of [10, 40, 70]) {
        cache.want(index, 1, true);
        await server.answer(index);
    }
    assert.deepEqual(server.order, [10, 40, 70]);
    cache.want(70);
    assert.deepEqual(server.order, [10, 40, 70, 71, 72]);
});

test("nothing beyond the video is asked for", async () => {
    const { server, cache } = made({ count: 5 });
    cache.want(3);
    await server.answerAll();
    assert.deepEqual(server.order, [3, 4]);
});

test("what lies far from where one went is called off", () => {
    const { server, cache } = made();
    cache.want(10);
    cache.want(50);
    assert.ok(server.asked.get(10)?.signal.aborted);
    assert.ok(!server.asked.get(50)?.signal.aborted);
});

test("the frame in view does not wait for those fetched ahead", () => {
    const { server, cache } = made({ parallel: 2 });
    cache.want(10);
    cache.want(12);
    assert.ok(server.order.includes(12));
});

test("a picture that comes after it was called off is let go of", async () => {
    const { server, cache, released, loaded } = made();
    cache.want(10);
    const late = server.asked.get(10);
    cache.want(50);
    late?.done("late");
    await settled();
    assert.deepEqual(released, ["late"]);
    assert.equal(cache.get(10), null);
    assert.ok(!loaded.includes(10));
});

test("the number of pictures is bounded on any way through a video", async () => {
    const { server, cache, released } = made({ capacity: 6 });
    const way = [...Array(60).keys(), 5, 90, 4, ...[...Array(60).keys()].reverse()];
    for (const [step, index] of way.entries()) {
        cache.want(index, step > 62 ? -1 : 1);
        await server.answerAll();
        assert.ok(cache.size <= 6);
        assert.equal(cache.get(index), `picture ${index}`);
    }
    assert.equal(new Set(released).size > 0, true);
});

test("clearing lets go of everything", async () => {
    const { server, cache, released } = made();
    cache.want(0);
    await server.answerAll();
    const held = cache.size;
    cache.clear();
    assert.equal(released.length, held);
    assert.equal(cache.size, 0);
});

test("large frames are kept in smaller numbers", () => {
    assert.equal(framesKept({ width: 854, height: 480 }), 64);
    assert.equal(framesKept({ width: 1920, height: 1080 }), 24);
    assert.equal(framesKept({ width: 7680, height: 4320 }), 4);
});
