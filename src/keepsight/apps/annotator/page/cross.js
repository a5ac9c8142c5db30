/** A cross on the stage that the arrow keys move, for working without a mouse. */

import { pointerAt } from "./gestures.js";

const STEP = 12; // CSS pixels; one with Shift

/** @type {Record<string, [number, number]>} */
const WAYS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

export class Cross {
    /** @type {{ x: number, y: number } | null} in pixels of the frame; null while it is not used */
    place = null;
    #pressed = false;

    /**
     * @param {import("./gestures.js").Stage} stage
     * @param {object} listeners
     * @param {() => void} listeners.redraw
     * @param {(sentence: string) => void} listeners.say
     */
    constructor(stage, { redraw, say }) {
        this.stage = stage;
        this.redraw = redraw;
        this.say = say;
        stage.element.addEventListener("pointerdown", () => this.hide());
    }

    hide() {
        if (this.place) {
            this.place = null;
            this.#pressed = false;
            this.redraw();
        }
    }

    /**
     * @param {KeyboardEvent} event on the stage
     * @returns {boolean} whether it was for the cross
     */
    take(event) {
        const way = WAYS[event.key];
        if (way && !event.ctrlKey && !event.metaKey) {
            this.#move(way, event.shiftKey ? 1 : STEP);
            return true;
        }
        if (event.key === "Enter" && this.place && !event.ctrlKey) {
            this.#press(event.shiftKey);
            return true;
        }
        return false;
    }

    /**
     * @param {[number, number]} way
     * @param {number} step
     */
    #move([dx, dy], step) {
        const view = this.stage.view();
        const { width, height } = view.frame;
        const from = this.place ?? { x: width / 2, y: height / 2 };
        const clip = (/** @type {number} */ value, /** @type {number} */ most) =>
            Math.min(most, Math.max(0, value));
        this.place = {
            x: clip(from.x + (dx * step) / view.scale, width - 0.5),
            y: clip(from.y + (dy * step) / view.scale, height - 0.5),
        };
        this.stage.tool().move(this.#pointer(false));
        this.say(`${Math.round(this.place.x)}, ${Math.round(this.place.y)}`);
        this.redraw();
    }

    /** @param {boolean} shift */
    #press(shift) {
        const tool = this.stage.tool();
        const reason = this.stage.refusal(tool);
        if (reason) {
            this.stage.refuse(reason);
            return;
        }
        // A tool that drags is pressed with one Enter and let go with the next.
        if (!tool.drags || !this.#pressed) {
            this.stage.onwork();
            tool.down(this.#pointer(shift));
        }
        if (!tool.drags || this.#pressed) {
            tool.up(this.#pointer(shift));
        }
        this.#pressed = tool.drags && !this.#pressed;
    }

    /** @param {boolean} shift */
    #pointer(shift) {
        const view = this.stage.view();
        const [x, y] = view.toStage(this.place?.x ?? 0, this.place?.y ?? 0);
        return pointerAt(view, { x, y }, { button: 0, shift, alt: false, coarse: false });
    }
}
