/** Turns what mouse, pen, fingers and keyboard do on the stage into tools' work, moving and zooming. */

import { within } from "./outlines.js";

/**
 * @typedef {import("./tools/tool.js").Pointer} Pointer
 * @typedef {import("./tools/tool.js").Tool} Tool
 * @typedef {import("./view.js").View} View
 *
 * @typedef {object} Stage what the gestures act on
 * @property {HTMLElement} element
 * @property {() => View} view
 * @property {(view: View) => void} setView
 * @property {() => Tool} tool
 * @property {(tool: Tool) => string | null} refusal why the tool cannot be used now
 * @property {(sentence: string) => void} refuse
 * @property {() => void} onwork a tool is about to begin
 */

const REACH = { fine: 8, coarse: 16 }; // CSS pixels

export class Gestures {
    /** @type {Map<number, { x: number, y: number }>} fingers and buttons that are down, on the stage */
    #down = new Map();
    /** @type {"none" | "tool" | "pan" | "pinch"} */
    #doing = "none";
    /** Space is held, which moves the picture. */
    panning = false;
    /** Whether the picture was moved while Space was held. */
    panned = false;

    /** @param {Stage} stage */
    constructor(stage) {
        this.stage = stage;
        const { element } = stage;
        element.addEventListener("pointerdown", (event) => this.#press(event));
        element.addEventListener("pointermove", (event) => this.#move(event));
        element.addEventListener("pointerup", (event) => this.#release(event, true));
        element.addEventListener("pointercancel", (event) => this.#release(event, false));
        element.addEventListener("pointerleave", () => this.#doing === "none" && stage.tool().leave());
        element.addEventListener("wheel", (event) => this.#wheel(event), { passive: false });
        element.addEventListener("contextmenu", (event) => event.preventDefault());
    }

    /** @param {PointerEvent} event */
    #press(event) {
        if (event.button > 2) {
            return; // a mouse's buttons for back and forward
        }
        const place = this.#place(event);
        this.stage.element.focus({ preventScroll: true });
        this.stage.element.setPointerCapture(event.pointerId);
        this.#down.set(event.pointerId, place);
        event.preventDefault();
        if (this.#down.size === 2 && event.pointerType === "touch") {
            this.stage.tool().abandon();
            this.#doing = "pinch";
        } else if (event.button === 1 || (event.button === 0 && this.panning)) {
            this.#doing = "pan";
            this.panned = true;
        } else if (this.#doing === "none") {
            const tool = this.stage.tool();
            const reason = this.stage.refusal(tool);
            if (reason) {
                this.stage.refuse(reason);
                return;
            }
            this.#doing = "tool";
            this.stage.onwork();
            tool.down(this.#pointer(event, place));
        }
    }

    /** @param {PointerEvent} event */
    #move(event) {
        const place = this.#place(event);
        const before = this.#down.get(event.pointerId);
        if (before) {
            this.#down.set(event.pointerId, place);
        }
        if (this.#doing === "pan" && before) {
            this.stage.setView(this.stage.view().panned(place.x - before.x, place.y - before.y));
        } else if (this.#doing === "pinch" && before) {
            this.#pinch(event.pointerId, before, place);
        } else if (this.#doing === "tool" || event.pointerType !== "touch") {
            // The points between two refreshes matter to a brush.
            const all = this.#doing === "tool" ? (event.getCoalescedEvents?.() ?? []) : [];
            for (const each of all.length ? all : [event]) {
                this.stage.tool().move(this.#pointer(each, this.#place(each)));
            }
        }
    }

    /**
     * @param {PointerEvent} event
     * @param {boolean} done rather than taken away by the system
     */
    #release(event, done) {
        const known = this.#down.delete(event.pointerId);
        if (this.#doing === "tool" && known) {
            if (done) {
                this.stage.tool().up(this.#pointer(event, this.#place(event)));
            } else {
                this.stage.tool().abandon();
            }
        }
        if (!this.#down.size) {
            this.#doing = "none";
        }
    }

    /**
     * @param {number} id of the finger that moved
     * @param {{ x: number, y: number }} before
     * @param {{ x: number, y: number }} now
     */
    #pinch(id, before, now) {
        const other = [...this.#down].find(([each]) => each !== id)?.[1];
        if (!other) {
            return;
        }
        const [from, to] = [distance(before, other), distance(now, other)];
        const [x, y] = [(now.x + other.x) / 2, (now.y + other.y) / 2];
        const view = this.stage.view().panned((now.x - before.x) / 2, (now.y - before.y) / 2);
        this.stage.setView(from > 0 && to > 0 ? view.zoomed(to / from, x, y) : view);
    }

    /** @param {WheelEvent} event */
    #wheel(event) {
        event.preventDefault();
        const { x, y } = this.#place(event);
        // A trackpad's pinch comes as a wheel with Ctrl and small numbers; some mice count in lines.
        const lines = event.deltaMode === WheelEvent.DOM_DELTA_LINE ? 33 : 1;
        const factor = Math.exp(-event.deltaY * lines * (event.ctrlKey ? 0.01 : 0.0015));
        this.stage.setView(this.stage.view().zoomed(factor, x, y));
    }

    /**
     * @param {MouseEvent} event
     * @returns {{ x: number, y: number }} in CSS pixels of the stage
     */
    #place(event) {
        const { left, top } = this.stage.element.getBoundingClientRect();
        return { x: event.clientX - left, y: event.clientY - top };
    }

    /**
     * @param {PointerEvent} event
     * @param {{ x: number, y: number }} place
     * @returns {Pointer}
     */
    #pointer(event, place) {
        const coarse = event.pointerType === "touch";
        const { shiftKey: shift, altKey: alt } = event;
        return pointerAt(this.stage.view(), place, {
            button: event.button === 2 ? 2 : 0,
            shift,
            alt,
            coarse,
        });
    }
}

/**
 * @param {View} view
 * @param {{ x: number, y: number }} place in CSS pixels of the stage
 * @param {Pick<Pointer, "button" | "shift" | "alt" | "coarse">} how
 * @returns {Pointer}
 */
export function pointerAt(view, place, how) {
    const [rawX, rawY] = view.toFrame(place.x, place.y);
    const [x, y] = within(rawX, rawY, view.frame);
    const inside = rawX >= 0 && rawY >= 0 && rawX <= view.frame.width && rawY <= view.frame.height;
    const reach = (how.coarse ? REACH.coarse : REACH.fine) / view.scale;
    return { ...how, x, y, free: [rawX, rawY], inside, reach };
}

/**
 * @param {{ x: number, y: number }} one
 * @param {{ x: number, y: number }} other
 */
function distance(one, other) {
    return Math.hypot(one.x - other.x, one.y - other.y);
}
