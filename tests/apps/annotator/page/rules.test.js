import assert from "node:assert/strict";
import { test } from "node:test";

import {
    COMMANDS,
    OTHER_KEYS,
    command,
    commandAt,
    isForElement,
    keyName,
    keyOf,
} from "../../../../src/keepsight/apps/annotator/page/commands.js";
import { formatOf } from "../../../../src/keepsight/apps/annotator/page/dialogs/exchange.js";
import { targetProblem } from "../../../../src/keepsight/apps/annotator/page/dialogs/run.js";
import { outcome, sizeOf } from "../../../../src/keepsight/apps/annotator/page/narrator.js";
import { following } from "../../../../src/keepsight/apps/annotator/page/review.js";
import {
    asksModel,
    counted,
    firstState,
    modelRefusal,
    runRefusal,
    timeOf,
    toolRefusal,
} from "../../../../src/keepsight/apps/annotator/page/state.js";
import { Store } from "../../../../src/keepsight/apps/annotator/page/store.js";
import { runFigures } from "../../../../src/keepsight/apps/annotator/page/transport.js";

/** @typedef {import("../../../../src/keepsight/apps/annotator/page/wire").Item} Item */

/** @param {Partial<KeyboardEvent>} event */
function pressed(event) {
    return keyOf({
        code: "",
        ctrlKey: false,
        metaKey: false,
        shiftKey: false,
        altKey: false,
        key: "",
        ...event,
    });
}

/** @param {Partial<Item>} [more] @returns {Item} */
function item(more = {}) {
    return {
        id: 1,
        name: "fish",
        colour: "#2696ff",
        kind: "mask",
        tracked: false,
        shown: true,
        locked: false,
        ...more,
    };
}

/**
 * @param {Item[]} objects
 * @param {Partial<import("../../../../src/keepsight/apps/annotator/page/state.js").State>} [more]
 * @returns {import("../../../../src/keepsight/apps/annotator/page/state.js").State}
 */
function stateOf(objects, more = {}) {
    const source = { name: "a.mp4", width: 8, height: 8, frames: 100, rate: 25, fingerprint: "f" };
    const project = {
        revision: 1,
        source,
        model: { name: "pocket", state: /** @type {const} */ ("ready") },
        models: ["pocket"],
        policies: ["sam2"],
        policy: "sam2",
        objects,
        undo: null,
        redo: null,
        run: null,
        unfinished: null,
        comparing: null,
        notes: [],
    };
    return { ...firstState(), connection: "live", project, ...more };
}

test("no two commands share a key or a name", () => {
    const keys = COMMANDS.flatMap((each) => each.keys);
    assert.equal(new Set(keys).size, keys.length);
    assert.equal(new Set(COMMANDS.map(({ id }) => id)).size, COMMANDS.length);
    assert.throws(() => command("nonesuch"), RangeError);
    assert.ok(!keys.some((key) => /^[1-9]$/.test(key)), "digits select objects");
});

test("annotators find CVAT's keys", () => {
    const known = {
        f: "next",
        d: "previous",
        v: "forward",
        c: "back",
        n: "again",
        "Ctrl+e": "run",
        "Ctrl+z": "undo",
        "Ctrl+y": "redo",
        "Ctrl+Shift+z": "redo",
        Delete: "erase",
        Escape: "abandon",
        " ": "play",
        r: "worst",
        "?": "help",
        h: "hide",
        l: "lock",
    };
    for (const [key, id] of Object.entries(known)) {
        assert.equal(commandAt(key)?.id, id, key);
    }
    for (const { group, label } of [...COMMANDS, ...OTHER_KEYS]) {
        assert.ok(group && label);
    }
});

test("a key is read the same on any keyboard", () => {
    assert.equal(pressed({ key: "F", shiftKey: true, code: "KeyF" }), "Shift+f");
    assert.equal(pressed({ key: "F", code: "KeyF" }), "f", "caps lock");
    assert.equal(pressed({ key: "а", code: "KeyF" }), "f", "a Cyrillic keyboard");
    assert.equal(pressed({ key: "e", code: "KeyE", metaKey: true }), "Ctrl+e", "a Mac");
    assert.equal(pressed({ key: "?", shiftKey: true, code: "Slash" }), "?");
    assert.equal(pressed({ key: "+", shiftKey: true, code: "Equal" }), "+");
    assert.equal(pressed({ key: "Z", ctrlKey: true, shiftKey: true, code: "KeyZ" }), "Ctrl+Shift+z");
    assert.equal(pressed({ key: "Delete", shiftKey: true, code: "Delete" }), "Shift+Delete");
    assert.equal(pressed({ key: "f", altKey: true, code: "KeyF" }), "", "Alt is the browser's");
    assert.equal(keyName("Ctrl+Shift+z"), "Ctrl+Shift+Z");
    assert.equal(keyName(" "), "Space");
    assert.equal(keyName("+"), "+");
});

test("who types or presses a button is left alone", () => {
    assert.ok(isForElement({ tagName: "INPUT", type: "text" }, "f"));
    assert.ok(isForElement({ tagName: "INPUT", type: "number" }, "Ctrl+z"));
    assert.ok(!isForElement({ tagName: "INPUT", type: "text" }, "Ctrl+e"));
    assert.ok(isForElement({ tagName: "BUTTON" }, " "));
    assert.ok(isForElement({ tagName: "INPUT", type: "checkbox" }, " "));
    assert.ok(!isForElement({ tagName: "INPUT", type: "checkbox" }, "f"));
    assert.ok(!isForElement({ tagName: "BUTTON" }, "f"));
    assert.ok(!isForElement({ tagName: "DIV" }, " "));
});

test("tools say why they cannot be used", () => {
    const loading = stateOf([]);
    assert.equal(toolRefusal(loading, "click"), null);
    const project = loading.project;
    assert.ok(project);
    /** @type {typeof loading} */
    const waiting = { ...loading, project: { ...project, model: { name: "pocket", state: "loading" } } };
    assert.match(toolRefusal(waiting, "click") ?? "", /still being loaded/);
    assert.match(toolRefusal(waiting, "box") ?? "", /still being loaded/);
    assert.equal(toolRefusal(waiting, "polygon"), null);
    assert.equal(
        toolRefusal({ ...waiting, newKind: "rectangle" }, "box"),
        null,
        "a rectangle needs no model",
    );
    assert.match(
        modelRefusal({ project: { ...project, model: { name: "x", state: "failed", error: "No file." } } }) ??
            "",
        /No file/,
    );
    assert.match(toolRefusal(stateOf([item({ locked: true })], { selected: 1 }), "click") ?? "", /locked/);
    assert.equal(toolRefusal(stateOf([item({ locked: true })], { selected: 1 }), "select"), null);
    assert.match(toolRefusal(stateOf([item({ shown: false })], { selected: 1 }), "brush") ?? "", /hidden/);
    assert.equal(toolRefusal(stateOf([item({ shown: false })], { selected: 1, fresh: true }), "brush"), null);
    assert.match(
        toolRefusal(stateOf([item({ kind: "polygon" })], { selected: 1 }), "brush") ?? "",
        /is a polygon/,
    );
    assert.equal(
        toolRefusal(stateOf([item({ kind: "polygon" })], { selected: 1, fresh: true }), "brush"),
        null,
    );
    assert.match(toolRefusal(stateOf([], { connection: "lost" }), "polygon") ?? "", /lost/);
    assert.match(toolRefusal(stateOf([], { project: null }), "polygon") ?? "", /being opened/);
});

test("a box is for the model, unless it is a rectangle by hand", () => {
    assert.ok(asksModel(stateOf([item()], { selected: 1 }), "box"));
    assert.ok(!asksModel(stateOf([item({ kind: "rectangle" })], { selected: 1 }), "box"));
    assert.ok(asksModel(stateOf([item({ kind: "rectangle" })], { selected: 1 }), "click"));
});

test("a run needs something to track, and none that goes on", () => {
    assert.match(runRefusal(stateOf([])) ?? "", /no object yet/);
    assert.equal(runRefusal(stateOf([item()])), null);
    const state = stateOf([item()]);
    const run = /** @type {any} */ ({ state: "running" });
    assert.ok(state.project);
    assert.match(runRefusal({ ...state, project: { ...state.project, run } }) ?? "", /going on/);
});

test("a target must lie on its side of the current frame", () => {
    assert.match(targetProblem(10, NaN, "forward", 99) ?? "", /0 to 99/);
    assert.match(targetProblem(10, 100, "forward", 99) ?? "", /0 to 99/);
    assert.match(targetProblem(10, -1, "backward", 99) ?? "", /0 to 99/);
    assert.match(targetProblem(10, 10, "both", 99) ?? "", /10 itself/);
    assert.match(targetProblem(10, 5, "forward", 99) ?? "", /greater than the current frame/);
    assert.match(targetProblem(10, 15, "backward", 99) ?? "", /less than/);
    assert.equal(targetProblem(10, 5, "backward", 99), null);
    assert.equal(targetProblem(10, 15, "forward", 99), null);
    assert.equal(targetProblem(10, 5, "both", 99), null);
});

test("review goes to the worst, then through the list, and round", () => {
    const stretch = (/** @type {number} */ frame) => ({
        object: 1,
        start: frame,
        stop: frame + 2,
        frame,
        risk: 1,
        reasons: [],
    });
    const list = [stretch(40), stretch(7), stretch(90)];
    assert.equal(following(list, null, 0).frame, 40);
    assert.equal(following(list, list[0], 40).frame, 7);
    assert.equal(following(list, list[2], 90).frame, 40);
    assert.equal(following(list, list[1], 12).frame, 40, "from elsewhere, the worst");
    assert.equal(following(list, stretch(55), 55).frame, 40, "after a correction it is gone from the list");
});

test("a file's format is read from its name", () => {
    assert.equal(formatOf("annotations.XML"), "cvat");
    assert.equal(formatOf("a.b.json"), "coco");
    assert.equal(formatOf("masks.zip"), "davis");
    assert.equal(formatOf("a.jsonl"), "jsonl");
    assert.equal(formatOf("clip.mp4"), null);
    assert.equal(formatOf("noname"), null);
});

test("what is said for people", () => {
    assert.equal(counted(1, "frame"), "1 frame");
    assert.equal(counted(1234, "pixel"), "1,234 pixels");
    const { project } = stateOf([]);
    assert.ok(project);
    assert.equal(timeOf(project, 1512), "1:00.48");
    assert.equal(timeOf({ ...project, source: { ...project.source, rate: null } }, 30), "0:01.20");
    const run = /** @type {any} */ ({ done: 20, total: 100, speed: 4, state: "done" });
    assert.equal(runFigures(run), "20 of 100 frames · 4.0 frames/s · 20 s left");
    assert.equal(runFigures({ ...run, speed: null }), "20 of 100 frames");
    assert.equal(runFigures({ ...run, speed: 0.5 }), "20 of 100 frames · 0.5 frames/s · 3 min left");
    assert.equal(outcome(run, "fish"), "Tracked fish: 20 frames, 4.0 frames/s.");
    assert.equal(outcome({ ...run, state: "cancelled" }, "fish"), "Tracking fish was cancelled.");
    assert.equal(
        outcome({ ...run, state: "interrupted", error: "The disk is full." }, "fish"),
        "Tracking fish stopped after 20 frames: The disk is full.",
    );
    const shape = {
        object: 1,
        frame: 0,
        source: /** @type {const} */ ("auto"),
        outside: false,
        score: 1,
        presence: 1,
    };
    assert.equal(sizeOf(item(), { ...shape, points: [1, 7, 1, 2, 4, 3] }), "mask of 7 pixels");
    assert.equal(
        sizeOf(item({ kind: "polygon" }), { ...shape, points: [0, 0, 4, 0, 4, 4, 0, 4] }),
        "polygon of 16 pixels",
    );
    assert.match(
        sizeOf(item({ kind: "rectangle" }), { ...shape, points: [1, 2, 4, 8] }),
        /3 by 6 pixels at 1, 2/,
    );
    assert.equal(sizeOf(item(), { ...shape, points: [], outside: true }), "out of view");
});

test("watchers of the store hear what they watch, once a change, and nothing that is the same", () => {
    const store = new Store({ a: 1, b: 2, c: 3 });
    /** @type {string[]} */
    const heard = [];
    store.watch(["a", "b"], ({ a, b }) => heard.push(`${a} ${b}`));
    store.set({ a: 5, b: 6 });
    store.set({ c: 9 });
    store.set({ a: 5 });
    store.set({});
    assert.deepEqual(heard, ["1 2", "5 6"]);
    store.watch(["c"], ({ c }) => c < 12 && store.set({ c: c + 1 }));
    assert.equal(store.state.c, 12, "a watcher may change it again");
});
