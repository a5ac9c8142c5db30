/** Clicks: what belongs to the object, and what does not. */

import { itemToDraw } from "../state.js";
import { Tool } from "./tool.js";

/** @typedef {import("./tool.js").Pointer} Pointer */

export class ClickTool extends Tool {
    /** @type {Pointer | null} */
    #pressed = null;

    /**
     * @param {"click" | "reject"} name
     * @param {import("./tool.js").Desk} desk
     */
    constructor(name, desk) {
        super(name, desk);
        this.hint =
            name === "click"
                ? "Click what belongs to it. Shift or the right button: what does not. Alt takes one away."
                : "Click what does not belong to it. Alt takes a click away.";
        this.touchHint = name === "click" ? "Tap what belongs to it." : "Tap what does not belong to it.";
    }

    /** @param {Pointer} pointer @override */
    down(pointer) {
        if (pointer.coarse) {
            this.#pressed = pointer;
        } else {
            this.#click(pointer);
        }
    }

    /** @param {Pointer} pointer @override */
    move(pointer) {
        const start = this.#pressed;
        if (start && Math.hypot(pointer.x - start.x, pointer.y - start.y) > pointer.reach) {
            this.#pressed = null;
        }
    }

    /** @param {Pointer} _pointer @override */
    up(_pointer) {
        if (this.#pressed) {
            this.#click(this.#pressed);
            this.#pressed = null;
        }
    }

    /** @override */
    abandon() {
        const begun = this.#pressed !== null;
        this.#pressed = null;
        return begun;
    }

    /** @param {Pointer} pointer */
    #click(pointer) {
        const { actions, size } = this.desk;
        if (!pointer.inside) {
            return;
        }
        if (pointer.alt) {
            this.#takeAway(pointer);
            return;
        }
        const against = this.name === "reject" || pointer.shift || pointer.button === 2;
        // The server counts a place on the frame's far edge as outside.
        const x = Math.min(pointer.x, size().width - 0.5);
        const y = Math.min(pointer.y, size().height - 0.5);
        actions.say({ points: [[x, y]], labels: [against ? 0 : 1], box: null, replace: false });
    }

    /** @param {Pointer} pointer */
    #takeAway({ x, y, reach }) {
        const item = itemToDraw(this.desk.state());
        const prompt = item ? this.desk.scene()?.prompts.get(item.id) : null;
        if (!prompt) {
            return;
        }
        const distances = prompt.points.map(([px, py]) => Math.hypot(px - x, py - y));
        const nearest = distances.indexOf(Math.min(...distances));
        if (nearest < 0 || distances[nearest] > reach) {
            return;
        }
        const points = prompt.points.filter((_, index) => index !== nearest);
        const labels = prompt.labels.filter((_, index) => index !== nearest);
        if (points.length || prompt.box) {
            this.desk.actions.say({ points, labels, box: prompt.box, replace: true });
        } else {
            void this.desk.actions.takeBackPrompt();
        }
    }
}
