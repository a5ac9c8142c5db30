/** A box: what the model is to look for, or a rectangle by hand. */

import { spanned } from "../outlines.js";
import { asksModel } from "../state.js";
import { Tool } from "./tool.js";

/** @typedef {import("./tool.js").Pointer} Pointer */

export class BoxTool extends Tool {
    /** @override */
    drags = true;
    /** @override */
    hint = "Draw a box around the object.";
    /** @type {Pointer | null} */
    #start = null;
    /** @type {Pointer | null} */
    #end = null;
    /** @type {import("../actions.js").Place | undefined} where it was begun */
    #place;

    /** @param {import("./tool.js").Desk} desk */
    constructor(desk) {
        super("box", desk);
    }

    /** @param {Pointer} pointer @override */
    down(pointer) {
        this.#start = pointer;
        this.#end = pointer;
        this.#place = this.desk.actions.place();
    }

    /** @param {Pointer} pointer @override */
    move(pointer) {
        if (this.#start) {
            this.#end = pointer;
            this.desk.redraw();
        }
    }

    /** @param {Pointer} pointer @override */
    up(pointer) {
        const start = this.#start;
        this.abandon();
        if (!start) {
            return;
        }
        const box = spanned([start.x, start.y], [pointer.x, pointer.y]);
        if (Math.min(box[2] - box[0], box[3] - box[1]) < Math.min(4, pointer.reach)) {
            return;
        }
        const { actions, state } = this.desk;
        if (asksModel(state(), "box")) {
            actions.say({ points: [], labels: [], box, replace: false }, this.#place);
        } else {
            void actions.draw("rectangle", box, this.#place);
        }
    }

    /** @override */
    abandon() {
        const begun = this.#start !== null;
        this.#start = null;
        this.#end = null;
        this.desk.redraw();
        return begun;
    }

    /** @param {import("./tool.js").Sketch} sketch @override */
    draw({ context, scale }) {
        if (!this.#start || !this.#end) {
            return;
        }
        const [left, top, right, bottom] = spanned(
            [this.#start.x, this.#start.y],
            [this.#end.x, this.#end.y],
        );
        context.lineWidth = 3 / scale;
        context.strokeStyle = "rgb(0 0 0 / 0.6)";
        context.strokeRect(left, top, right - left, bottom - top);
        context.lineWidth = 1.5 / scale;
        context.strokeStyle = "#fff";
        context.setLineDash([5 / scale, 4 / scale]);
        context.strokeRect(left, top, right - left, bottom - top);
        context.setLineDash([]);
    }
}
