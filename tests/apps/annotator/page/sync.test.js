import assert from "node:assert/strict";
import { test } from "node:test";

import { ShapeCache } from "../../../../src/keepsight/apps/annotator/page/shape_cache.js";
import { firstState } from "../../../../src/keepsight/apps/annotator/page/state.js";
import { Store } from "../../../../src/keepsight/apps/annotator/page/store.js";
import { Sync } from "../../../../src/keepsight/apps/annotator/page/sync.js";

/**
 * @typedef {import("../../../../src/keepsight/apps/annotator/page/wire").Project} Project
 * @typedef {import("../../../../src/keepsight/apps/annotator/page/wire").Item} Item
 * @typedef {import("../../../../src/keepsight/apps/annotator/page/wire").Run} Run
 */

/** @param {number} id @param {Partial<Item>} [more] @returns {Item} */
function item(id, more = {}) {
    const plain = { name: `object ${id}`, colour: "#2696ff", tracked: false, shown: true, locked: false };
    return { id, kind: "mask", ...plain, ...more };
}

/** @param {number} object @param {number} frame @param {number} score */
function shapeAt(object, frame, score) {
    const source = /** @type {const} */ ("auto");
    return { object, frame, source, outside: false, points: [1, 1, 0, 0, 1, 0], score, presence: 1 };
}

/** @param {Partial<Project>} [more] @returns {Project} */
function projectOf(more = {}) {
    const source = { name: "a.mp4", width: 8, height: 8, frames: 20, rate: 25, fingerprint: "f" };
    return {
        ...{ revision: 5, source, model: { name: "pocket", state: "ready" }, models: [], policies: [] },
        ...{ policy: "sam2", objects: [item(1), item(2, { tracked: true })], undo: null, redo: null },
        ...{ run: null, unfinished: null, comparing: null, notes: [] },
        ...more,
    };
}

/** @type {Run} */
const RUN = {
    ...{ id: 3, objects: [1], frame: 0, target: 9, direction: "forward", model: "pocket", policy: "sam2" },
    ...{ convert: false, state: "running", done: 2, total: 9, frame_now: 2, speed: 3 },
};

/** A page without a screen, on a server that answers what the test says. */
function made() {
    const answers = { project: projectOf(), fails: false };
    /** @type {Record<string, number>} */
    const asked = { project: 0, timeline: 0, review: 0 };
    /** @template T @param {string} what @param {() => T} answer @returns {Promise<T>} */
    const answered = async (what, answer) => {
        asked[what] += 1;
        if (answers.fails) {
            throw new Error("The server does not answer.");
        }
        return answer();
    };
    const api = /** @type {any} */ ({
        project: () => answered("project", () => answers.project),
        timeline: () => answered("timeline", () => ({ objects: [] })),
        review: () => answered("review", () => ({ stretches: [] })),
    });
    const [opened, told, runs] = [[], [], []].map(() => /** @type {string[]} */ ([]));
    const toasts = /** @type {any} */ ({
        error: (/** @type {Error | string} */ error) => told.push(`error: ${error}`),
        note: (/** @type {string} */ sentence) => told.push(sentence),
    });
    const store = new Store(firstState());
    store.set({ connection: "live" });
    /** @type {number[]} */
    const scenes = [];
    const shapes = new ShapeCache({
        load: async (frame) => {
            scenes.push(frame);
            return { shapes: [], prompts: [] };
        },
        ...{ onload: () => undefined, onfail: () => undefined, count: 20, ahead: 0 },
    });
    const sync = new Sync({
        ...{ api, store, shapes, toasts },
        onsource: ({ fingerprint }) => opened.push(fingerprint),
        onscene: () => undefined,
        onrun: ({ state }) => runs.push(state),
    });
    return { sync, store, shapes, scenes, asked, answers, opened, told, runs };
}

/** @param {ShapeCache} shapes @param {number[]} scenes @param {number} frame whether it is asked for again */
async function stale(shapes, scenes, frame) {
    const before = scenes.length;
    shapes.want(frame);
    await new Promise((resolve) => setImmediate(resolve));
    return scenes.length > before;
}

test("no answer is told of only while the server is thought to be there", async () => {
    const { sync, store, answers, told } = made();
    answers.fails = true;
    store.set({ connection: "lost" });
    await sync.reload();
    assert.deepEqual(told, []);
    store.set({ connection: "live" });
    await sync.project.now();
    assert.equal(told.length, 1);
});

test("what changed between the first answer and the connection is asked for", async () => {
    const { sync, asked } = made();
    await sync.start();
    sync.take({ type: "hello", revision: 6 });
    await new Promise((resolve) => setImmediate(resolve));
    assert.equal(asked.timeline, 2);
});

test("another video is opened once, an object that is gone is no longer selected", async () => {
    const { sync, store, answers, opened } = made();
    await sync.reload();
    store.set({ selected: 1 });
    answers.project = projectOf({ objects: [item(2)] });
    await sync.reload();
    assert.equal(store.state.selected, null);
    assert.deepEqual(opened, ["f"]);
    answers.project = projectOf({ source: { ...projectOf().source, fingerprint: "g" } });
    await sync.reload();
    assert.deepEqual(opened, ["f", "g"]);
});

test("a change made elsewhere is asked for, one's own is not", async () => {
    const { sync, shapes, scenes } = made();
    await sync.reload();
    await stale(shapes, scenes, 4);
    await stale(shapes, scenes, 5);
    sync.heard(6);
    sync.take({ type: "changed", revision: 6, objects: false, shapes: [[1, 4]] });
    assert.equal(await stale(shapes, scenes, 4), false);
    sync.take({ type: "changed", revision: 7, objects: false, shapes: [[1, 4]] });
    assert.equal(await stale(shapes, scenes, 4), true);
    assert.equal(await stale(shapes, scenes, 5), false, "the other frame is as it was");
});

test("a keyframe of a track changes other frames too", async () => {
    const { sync, shapes, scenes } = made();
    await sync.reload();
    await stale(shapes, scenes, 5);
    sync.take({ type: "changed", revision: 7, objects: false, shapes: [[2, 4]] });
    assert.equal(await stale(shapes, scenes, 5), true);
});

test("an object that came back or was changed may be seen on any frame", async () => {
    const { sync, shapes, scenes } = made();
    await sync.reload();
    await stale(shapes, scenes, 5);
    sync.take({ type: "changed", revision: 7, objects: true, shapes: [[1, 4]] });
    assert.equal(await stale(shapes, scenes, 5), true);
    sync.take({ type: "changed", revision: 8, objects: false, shapes: [[3, 4]] });
    assert.equal(await stale(shapes, scenes, 5), true, "one that is not known here");
    sync.take({ type: "changed", revision: 9, objects: true, shapes: [] });
    assert.equal(await stale(shapes, scenes, 5), true, "as when it is no track any more");
});

test("which object is tracked both ways is for the server to say", async () => {
    const { sync, store, answers } = made();
    answers.project = projectOf({ comparing: 2 });
    await sync.reload();
    assert.equal(store.state.comparing, 2);
    answers.project = projectOf();
    await sync.reload();
    assert.equal(store.state.comparing, null, "as after the server was killed");
});

test("a run's frames are taken over as they come; when it ends, everything is asked for again", async () => {
    const { sync, store, shapes, scenes, runs, asked } = made();
    await sync.reload();
    sync.take({ type: "run", revision: 8, run: RUN, shapes: [shapeAt(1, 2, 0.7)], removed: [[1, 3]] });
    assert.equal(shapes.get(2)?.shapes.get(1)?.score, 0.7);
    assert.equal(shapes.get(3)?.shapes.has(1), false);
    assert.deepEqual(
        store.state.timeline.map(({ frames }) => frames),
        [[2]],
    );
    assert.equal(store.state.project?.run?.done, 2);
    await stale(shapes, scenes, 2);
    const before = asked.project;
    sync.take({ type: "run", revision: 9, run: { ...RUN, state: "done" }, shapes: [], removed: [] });
    assert.equal(store.state.project?.run, null);
    assert.equal(await stale(shapes, scenes, 2), true);
    await sync.project.now();
    assert.ok(asked.project > before);
    assert.deepEqual(runs, ["running", "done"]);
});

test("an answer that is older than the news of the model is not the last word", async (context) => {
    context.mock.timers.enable({ apis: ["setTimeout"] });
    const { sync, store, answers } = made();
    answers.project = projectOf({ model: { name: "pocket", state: "loading" } });
    const asked = sync.project.now();
    answers.project = projectOf();
    sync.take({ type: "model", revision: 5, model: { name: "pocket", state: "ready" } });
    await asked;
    assert.equal(store.state.project?.model.state, "loading");
    context.mock.timers.tick(1000);
    await new Promise((resolve) => setImmediate(resolve));
    assert.equal(store.state.project?.model.state, "ready");
});

test("the model's state and the end of tracking both ways are heard of", async () => {
    const { sync, store, told } = made();
    await sync.reload();
    sync.take({ type: "model", revision: 5, model: { name: "pocket", state: "failed", error: "No file." } });
    assert.equal(store.state.project?.model.error, "No file.");
    store.set({ comparing: 1 });
    sync.take({ type: "review", revision: 5, object: 1 });
    assert.equal(store.state.comparing, 1, "the ranking changed, it goes on");
    sync.take({ type: "review", revision: 5, object: 1, state: "interrupted", error: "The disk is full." });
    assert.equal(store.state.comparing, null);
    assert.deepEqual(told, ["error: The disk is full."]);
    sync.take({ type: "review", revision: 5, object: 1, state: "cancelled" });
    assert.equal(told.length, 1);
    sync.take({ type: "review", revision: 5, object: 1, state: "done" });
    assert.match(told[1], /both ways/);
});

test("after a break all is asked for again, at first only what may have been missed", async (context) => {
    const { sync, shapes, scenes, asked } = made();
    await sync.start();
    await stale(shapes, scenes, 4);
    const before = { ...asked };
    context.mock.timers.enable({ apis: ["setTimeout"] });
    sync.take({ type: "hello", revision: 5 });
    await new Promise((resolve) => setImmediate(resolve));
    context.mock.timers.tick(1000);
    assert.equal(await stale(shapes, scenes, 4), false);
    assert.deepEqual([asked.project, asked.timeline], [before.project + 1, before.timeline]);
    sync.take({ type: "hello", revision: 5 });
    await new Promise((resolve) => setImmediate(resolve));
    assert.ok(asked.timeline > before.timeline);
    assert.equal(await stale(shapes, scenes, 4), true);
});
