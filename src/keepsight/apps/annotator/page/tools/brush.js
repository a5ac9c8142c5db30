/** Brush and eraser: masks by hand. */

import { decode, emptyPatch, encode, stroked } from "../masks.js";
import { itemToDraw } from "../state.js";
import { Tool } from "./tool.js";

/**
 * @typedef {import("./tool.js").Pointer} Pointer
 * @typedef {import("../masks.js").Patch} Patch
 */

export class BrushTool extends Tool {
    /** @override */
    drags = true;
    /** @override */
    cursor = "none";
    /** @type {(import("../actions.js").Place & { patch: Patch, colour: string }) | null} */
    #work = null;
    /** @type {Pointer | null} */
    #at = null;
    #painting = false;
    #rubbing = false;

    /**
     * @param {"brush" | "eraser"} name
     * @param {import("./tool.js").Desk} desk
     */
    constructor(name, desk) {
        super(name, desk);
        const [does, other] = name === "brush" ? ["paint", "erases"] : ["erase", "paints"];
        this.hint = `Drag to ${does}. Shift or the right button ${other}. [ and ] size.`;
        this.touchHint =
            name === "brush" ? "Paint with a finger; two move the picture." : "Erase with a finger.";
    }

    /** @param {Pointer} pointer @override */
    down(pointer) {
        this.#rubbing = (this.name === "eraser") !== (pointer.shift || pointer.button === 2);
        if (!this.#begin()) {
            return;
        }
        this.#painting = true;
        this.#stroke(pointer, pointer);
        this.#at = pointer;
    }

    /** @param {Pointer} pointer @override */
    move(pointer) {
        if (this.#painting) {
            this.#stroke(this.#at ?? pointer, pointer);
        }
        this.#at = pointer;
        this.desk.redraw();
    }

    /** @param {Pointer} pointer @override */
    up(pointer) {
        this.#at = pointer.coarse ? null : pointer;
        const work = this.#work;
        if (!this.#painting || !work) {
            return;
        }
        this.#painting = false;
        const points = encode(work.patch);
        const { actions } = this.desk;
        const done = points ? actions.draw("mask", points, work) : actions.eraseShape(work);
        // Shown until the answer is, unless another stroke went on from it.
        void done.finally(() => {
            if (this.#work === work && !this.#painting) {
                this.#work = null;
                this.desk.redraw();
            }
        });
    }

    /** @override */
    leave() {
        if (!this.#painting) {
            this.#at = null;
            this.desk.redraw();
        }
    }

    /** @override */
    abandon() {
        const begun = this.#painting;
        this.#painting = false;
        this.#work = null;
        this.desk.redraw();
        return begun;
    }

    /** @override */
    get draft() {
        const work = this.#work;
        return work && work.frame === this.desk.state().frame ? work : null;
    }

    /** @returns {boolean} whether there is something to paint on */
    #begin() {
        const state = this.desk.state();
        const item = itemToDraw(state);
        const place = this.desk.actions.place();
        if (this.#work?.frame === place.frame && this.#work.object === place.object) {
            this.#work = { ...this.#work, ...place };
            return true;
        }
        const shape = item ? this.desk.scene()?.shapes.get(item.id) : null;
        const patch = shape && !shape.outside ? decode(shape.points) : emptyPatch();
        if (this.#rubbing && !patch.width) {
            this.desk.refuse("There is no mask to erase on this frame: select an object that has one.");
            return false;
        }
        this.#work = {
            patch,
            ...place,
            colour: item?.colour ?? "#ffffff",
        };
        return true;
    }

    /**
     * @param {Pointer} from
     * @param {Pointer} to
     */
    #stroke(from, to) {
        if (!this.#work) {
            return;
        }
        const stroke = {
            from: from.free,
            to: to.free,
            radius: this.desk.state().brush,
            paint: !this.#rubbing,
        };
        this.#work = { ...this.#work, patch: stroked(this.#work.patch, stroke, this.desk.size()) };
        this.desk.redraw();
    }

    /** @param {import("./tool.js").Sketch} sketch @override */
    draw({ context, scale }) {
        if (!this.#at) {
            return;
        }
        context.beginPath();
        context.arc(this.#at.x, this.#at.y, this.desk.state().brush, 0, 7);
        context.lineWidth = 3 / scale;
        context.strokeStyle = "rgb(0 0 0 / 0.6)";
        context.stroke();
        context.lineWidth = 1.25 / scale;
        context.strokeStyle = "#fff";
        context.setLineDash(this.name === "eraser" ? [4 / scale, 3 / scale] : []);
        context.stroke();
        context.setLineDash([]);
    }
}
