import assert from "node:assert/strict";
import { test } from "node:test";

import { Navigator } from "../../../../src/keepsight/apps/annotator/page/navigator.js";
import { Playback } from "../../../../src/keepsight/apps/annotator/page/playback.js";

function navigated(count = 100) {
    /** @type {[number, number][]} */
    const shown = [];
    const navigator = new Navigator({ show: (frame, direction) => shown.push([frame, direction]), count });
    return { navigator, shown };
}

test("places beyond the video are its ends", () => {
    const { navigator, shown } = navigated(10);
    navigator.seek(99);
    navigator.drawn(9);
    navigator.seek(-5);
    assert.deepEqual(shown, [
        [9, 1],
        [0, -1],
    ]);
    navigator.drawn(0);
    navigator.seek(Infinity);
    assert.equal(navigator.frame, 9);
});

test("a frame is left only when it has been drawn, and then for the newest goal", () => {
    const { navigator, shown } = navigated();
    navigator.seek(1);
    navigator.seek(2);
    navigator.seek(7);
    assert.deepEqual(shown, [[1, 1]]);
    assert.equal(navigator.goal, 7);
    navigator.drawn(0);
    assert.deepEqual(shown, [[1, 1]], "another frame was drawn");
    navigator.drawn(1);
    assert.deepEqual(shown, [
        [1, 1],
        [7, 1],
    ]);
});

test("steps add up while a frame is waited for", () => {
    const { navigator } = navigated();
    navigator.step(1);
    navigator.step(1);
    navigator.step(10);
    navigator.drawn(1);
    assert.equal(navigator.frame, 12);
});

test("a frame that never comes does not hold one up", (context) => {
    context.mock.timers.enable({ apis: ["setTimeout"] });
    const { navigator } = navigated();
    navigator.seek(1);
    navigator.seek(2);
    context.mock.timers.tick(3000);
    assert.equal(navigator.frame, 2);
});

/** @param {(frame: number) => boolean} ready */
function player(ready = () => true) {
    let [time, shown] = [0, 0];
    /** @type {(() => void)[]} */
    const ticks = [];
    /** @type {boolean[]} */
    const changes = [];
    const playback = new Playback({
        now: () => time,
        tick: (callback) => ticks.push(callback),
        frame: () => shown,
        ready,
        seek: (frame) => (shown = frame),
        onchange: (playing) => changes.push(playing),
    });
    playback.count = 100;
    playback.rate = 25;
    const refresh = (/** @type {number} */ milliseconds) => {
        time += milliseconds;
        for (const tick of ticks.splice(0)) {
            tick();
        }
    };
    return {
        playback,
        refresh,
        changes,
        frame: () => shown,
        go: (/** @type {number} */ frame) => (shown = frame),
    };
}

test("it plays at the source's rate, whatever the screen's", () => {
    for (const step of [5, 16.7, 33.3]) {
        const { playback, refresh, frame } = player();
        playback.play();
        for (let time = 0; time < 1999; time += step) {
            refresh(step);
        }
        assert.ok(Math.abs(frame() - 50) <= 1, `${frame()} after two seconds in steps of ${step}`);
    }
});

test("late frames are skipped, frames that are not there are waited for", () => {
    let decoded = 5;
    const { playback, refresh, frame } = player((index) => index <= decoded);
    playback.play();
    refresh(1000);
    assert.equal(frame(), 5);
    refresh(1000);
    assert.equal(frame(), 5);
    decoded = 99;
    refresh(39);
    assert.equal(frame(), 5, "time that passed while waiting is not made up for");
    refresh(2);
    assert.equal(frame(), 6);
});

test("it stops at the end, and begins at the start from there", () => {
    const { playback, refresh, frame, changes, go } = player();
    go(98);
    playback.play();
    refresh(100);
    refresh(100);
    assert.equal(frame(), 99);
    assert.deepEqual(changes, [true, false]);
    playback.toggle();
    assert.equal(frame(), 0);
    playback.toggle();
    assert.equal(playback.playing, false);
});
