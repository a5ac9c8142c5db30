import assert from "node:assert/strict";
import { test } from "node:test";

import { Prompting, Target, joined } from "../../../../src/keepsight/apps/annotator/page/prompting.js";

/** @typedef {import("../../../../src/keepsight/apps/annotator/page/prompting.js").Saying} Saying */

/**
 * @typedef {object} Sent
 * @property {number} object
 * @property {number} frame
 * @property {Saying} saying
 * @property {() => void} done
 * @property {(error: Error) => void} fail
 */

/** @param {number} x @returns {Saying} */
function click(x) {
    return { points: [[x, x]], labels: [1], box: null, replace: false };
}

function settled() {
    return new Promise((resolve) => setImmediate(resolve));
}

function made() {
    /** @type {Sent[]} */
    const sent = [];
    /** @type {[number, number][]} */
    const answered = [];
    /** @type {unknown[]} */
    const failed = [];
    let pending = 0;
    const prompting = new Prompting({
        send: (object, frame, saying) =>
            new Promise((resolve, fail) => {
                sent.push({
                    object,
                    frame,
                    saying,
                    fail,
                    done: () => resolve({ shape: null, prompt: null }),
                });
            }),
        onanswer: (object, frame) => answered.push([object, frame]),
        onfail: (error) => failed.push(error),
        onpending: (list) => (pending = list.length),
    });
    return { prompting, sent, answered, failed, pending: () => pending };
}

test("a refusal is told, what was said on top of it is dropped, and the next click starts anew", async () => {
    const { prompting, sent, failed, pending } = made();
    const target = new Target(1);
    prompting.say(target, 0, click(1));
    prompting.say(target, 0, click(2));
    await settled();
    const refusal = new Error("The network finds nothing there.");
    sent[0].fail(refusal);
    await settled();
    assert.deepEqual(failed, [refusal]);
    assert.equal(sent.length, 1);
    assert.equal(pending(), 0);
    prompting.say(target, 0, click(3));
    await settled();
    assert.deepEqual(sent[1].saying.points, [[3, 3]]);
});

test("an object that could not be made fails all that was said about it", async () => {
    const { prompting, sent, failed, pending } = made();
    const target = new Target(Promise.reject(new Error("The disk is full.")));
    prompting.say(target, 0, click(1));
    prompting.say(target, 3, click(2));
    await settled();
    assert.equal(failed.length, 2);
    assert.equal(sent.length, 0);
    assert.equal(pending(), 0);
});

test("quick clicks go in order, those that wait together", async () => {
    const { prompting, sent, answered, pending } = made();
    const target = new Target(7);
    prompting.say(target, 4, click(1));
    await settled();
    prompting.say(target, 4, click(2));
    prompting.say(target, 4, click(3));
    await settled();
    assert.equal(sent.length, 1);
    assert.equal(pending(), 2);
    sent[0].done();
    await settled();
    assert.deepEqual(sent[1].saying.points, [
        [2, 2],
        [3, 3],
    ]);
    sent[1].done();
    await settled();
    assert.deepEqual(answered, [
        [7, 4],
        [7, 4],
    ]);
    assert.equal(pending(), 0);
});

test("clicks on an object that is being made wait for it", async () => {
    const { prompting, sent } = made();
    /** @type {(id: number) => void} */
    let arrive = () => undefined;
    const target = new Target(new Promise((resolve) => (arrive = resolve)));
    prompting.say(target, 0, click(1));
    prompting.say(target, 0, click(2));
    await settled();
    assert.equal(sent.length, 0);
    arrive(12);
    await settled();
    assert.equal(sent.length, 1);
    assert.equal(sent[0].object, 12);
    assert.equal(sent[0].saying.points.length, 2);
    assert.equal(target.id, 12);
});

test("an answer says which object and frame it is for, wherever one went meanwhile", async () => {
    const { prompting, sent, answered } = made();
    const [one, two] = [new Target(1), new Target(2)];
    prompting.say(one, 10, click(1));
    prompting.say(two, 20, click(2));
    await settled();
    sent[1].done();
    await settled();
    sent[0].done();
    await settled();
    assert.deepEqual(answered, [
        [2, 20],
        [1, 10],
    ]);
});

test("one can wait until all is answered", async () => {
    const { prompting, sent } = made();
    prompting.say(new Target(1), 0, click(1));
    let idle = false;
    void prompting.idle().then(() => (idle = true));
    await settled();
    assert.equal(idle, false);
    sent[0].done();
    await settled();
    assert.equal(idle, true);
});

test("what is said in place of the rest takes its place", () => {
    const anew = { ...click(5), replace: true };
    assert.deepEqual(joined(click(1), anew), anew);
    assert.deepEqual(joined(anew, click(2)).replace, true);
    const box = /** @type {[number, number, number, number]} */ ([1, 2, 3, 4]);
    assert.deepEqual(joined(click(1), { points: [], labels: [], box, replace: false }).box, box);
});
