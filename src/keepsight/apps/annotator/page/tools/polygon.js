/** A polygon, corner by corner. */

import { areaOf } from "../outlines.js";
import { toolRefusal } from "../state.js";
import { Tool } from "./tool.js";

/** @typedef {import("./tool.js").Pointer} Pointer */

export class PolygonTool extends Tool {
    /** @override */
    hint =
        "Click the corners. Enter, N or the first corner finishes; right button or Backspace takes one back.";
    /** @override */
    touchHint = "Tap the corners; the first one again finishes.";
    /** @type {[number, number][]} */
    #corners = [];
    /** Whether corners were made since the last polygon was finished or left. */
    #begun = false;
    /** @type {[number, number] | null} */
    #next = null;
    /** @type {Pointer | null} */
    #pressed = null;

    /** @param {import("./tool.js").Desk} desk */
    constructor(desk) {
        super("polygon", desk);
    }

    /** @param {Pointer} pointer @override */
    down(pointer) {
        if (pointer.coarse) {
            this.#pressed = pointer;
        } else if (pointer.button === 2) {
            this.back();
        } else {
            this.#add(pointer);
        }
    }

    /** @param {Pointer} pointer @override */
    move(pointer) {
        this.#next = [pointer.x, pointer.y];
        if (this.#corners.length) {
            this.desk.redraw();
        }
    }

    /** @param {Pointer} pointer @override */
    up(pointer) {
        if (this.#pressed) {
            this.#pressed = null;
            this.#add(pointer);
        }
    }

    /** @override */
    leave() {
        this.#next = null;
        this.desk.redraw();
    }

    /** @override */
    abandon() {
        // A second finger takes back the touch of the first, not what was drawn before.
        if (this.#pressed) {
            this.#pressed = null;
            return true;
        }
        const begun = this.#begun;
        this.#corners = [];
        this.#begun = false;
        this.desk.redraw();
        return begun;
    }

    /** @override */
    finish() {
        if (!this.#corners.length) {
            return false;
        }
        const points = this.#corners.flat();
        if (this.#corners.length < 3 || areaOf(points) < 1) {
            this.desk.refuse("A polygon needs three corners or more that are not on one line.");
            return true;
        }
        const { actions, state } = this.desk;
        const reason = toolRefusal(state(), "polygon");
        if (reason) {
            this.desk.refuse(reason);
            return true;
        }
        const [corners, place] = [this.#corners, actions.place()];
        this.#corners = [];
        this.#begun = false;
        void actions.draw("polygon", points, place).then((done) => {
            // What could not be sent is there to be finished again.
            if (!done && !this.#begun && this.desk.state().frame === place.frame) {
                this.#corners = corners;
                this.#begun = true;
                this.desk.redraw();
            }
        });
        return true;
    }

    /** @override */
    back() {
        const gone = this.#corners.pop();
        if (!gone && this.#begun) {
            this.desk.refuse("No corner is left to take back. Esc leaves the polygon.");
        }
        this.desk.redraw();
        return this.#begun;
    }

    /** @param {Pointer} pointer */
    #add({ x, y, reach }) {
        const [first, last] = [this.#corners[0], this.#corners[this.#corners.length - 1]];
        /** @param {[number, number]} corner */
        const near = (corner) => Math.hypot(corner[0] - x, corner[1] - y) <= reach;
        if (this.#corners.length >= 3 && (near(first) || near(last))) {
            this.finish();
        } else if (!last || !near(last)) {
            this.#corners.push([x, y]);
            this.#begun = true;
        }
        this.desk.redraw();
    }

    /** @param {import("./tool.js").Sketch} sketch @override */
    draw({ context, scale }) {
        if (!this.#corners.length) {
            return;
        }
        const path = new Path2D();
        for (const [x, y] of [...this.#corners, ...(this.#next ? [this.#next] : [])]) {
            path.lineTo(x, y);
        }
        context.lineWidth = 3 / scale;
        context.strokeStyle = "rgb(0 0 0 / 0.6)";
        context.stroke(path);
        context.lineWidth = 1.5 / scale;
        context.strokeStyle = "#fff";
        context.stroke(path);
        this.#corners.forEach(([x, y], index) => {
            context.beginPath();
            context.arc(x, y, (index === 0 ? 5.5 : 3.5) / scale, 0, 7);
            context.fillStyle = index === 0 ? "#ffd34d" : "#fff";
            context.fill();
            context.strokeStyle = "rgb(0 0 0 / 0.7)";
            context.lineWidth = 1 / scale;
            context.stroke();
        });
    }
}
