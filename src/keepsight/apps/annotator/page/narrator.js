/** Says in words what the picture shows, for those who do not see it. */

import { area } from "./masks.js";
import { areaOf, extentOf } from "./outlines.js";
import { counted, selectedItem } from "./state.js";
import { runNames } from "./transport.js";

/**
 * @typedef {import("./state.js").State} State
 * @typedef {import("./wire").Run} Run
 */

export class Narrator {
    #told = 0; // percent of a run
    #waits = false; // whether what is on the frame shown is not known yet

    /**
     * @param {import("./store.js").Store<State>} store
     * @param {import("./shape_cache.js").ShapeCache} shapes
     * @param {import("./announcer.js").Announcer} announcer
     * @param {import("./toasts.js").Toasts} toasts
     */
    constructor(store, shapes, announcer, toasts) {
        this.store = store;
        this.shapes = shapes;
        this.announcer = announcer;
        this.toasts = toasts;
        store.watch(["frame", "selected", "timeline"], () => this.#scene());
    }

    /** What is on the frame shown has come. */
    loaded() {
        if (this.#waits) {
            this.#scene();
        }
    }

    #scene() {
        const { state } = this.store;
        this.#waits = false;
        if (!state.project || state.playing || state.project.run) {
            return;
        }
        const item = selectedItem(state);
        const scene = this.shapes.get(state.frame);
        const shape = item ? scene?.shapes.get(item.id) : null;
        this.#waits = item !== null && scene === null;
        const about =
            item && scene ? `, ${item.name}: ${shape ? sizeOf(item, shape) : "no shape"}` : "";
        this.announcer.say(`Frame ${state.frame}${about}`);
    }

    /** @param {Run} run that went on or ended */
    run(run) {
        const { project } = this.store.state;
        if (!project) {
            return;
        }
        const names = runNames(project, run);
        if (run.state === "running") {
            const percent = Math.floor((10 * run.done) / Math.max(1, run.total)) * 10;
            if (percent !== this.#told) {
                this.#told = percent;
                this.announcer.say(`Tracking ${names}: ${percent} percent`);
            }
            return;
        }
        this.#told = 0;
        const sentence = outcome(run, names);
        if (run.error) {
            this.toasts.error(sentence);
        } else {
            this.toasts.note(sentence);
        }
    }
}

/**
 * @param {Run} run that ended
 * @param {string} names of its objects
 * @returns {string}
 */
export function outcome(run, names) {
    const frames = counted(run.done, "frame");
    const speed = run.speed ? `, ${run.speed.toFixed(1)} frames/s` : "";
    if (run.error) {
        return `Tracking ${names} stopped after ${frames}: ${run.error}`;
    }
    return run.state === "done" ? `Tracked ${names}: ${frames}${speed}.` : `Tracking ${names} was cancelled.`;
}

/**
 * @param {import("./wire").Item} item
 * @param {import("./wire").Shape} shape
 * @returns {string} what it is and how large
 */
export function sizeOf(item, shape) {
    if (shape.outside) {
        return "out of view";
    }
    if (item.kind === "rectangle") {
        const [left, top, right, bottom] = extentOf(shape.points).map(Math.round);
        return `rectangle of ${right - left} by ${bottom - top} pixels at ${left}, ${top}`;
    }
    const pixels = item.kind === "mask" ? area(shape.points) : Math.round(areaOf(shape.points));
    return `${item.kind} of ${counted(pixels, "pixel")}`;
}
