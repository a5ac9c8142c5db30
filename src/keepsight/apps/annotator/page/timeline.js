/** The timeline: where one is, what each object has on each frame, and a slider to go elsewhere. */

import { find, make, say } from "./elements.js";
import { timeOf } from "./state.js";
import { ROW, RULER, coloursOf, drawLanes, drawRuler, prepared } from "./timeline_painter.js";
import { Scale, emptyRow, placeOf } from "./timeline_rows.js";

/** @typedef {import("./state.js").State} State */

export class Timeline {
    #scale = new Scale(1, 1);
    #shown = -1; // the frame that was in view last: the view follows it, not it the view
    #waiting = false;
    /** @type {{ objects: readonly object[] | undefined, selected: number | null }} */
    #named = { objects: undefined, selected: null };
    /** @type {import("./timeline_painter.js").Colours | null} */
    #colours = null;

    /**
     * @param {import("./store.js").Store<State>} store
     * @param {import("./film.js").Film} film
     * @param {(id: number) => void} select
     */
    constructor(store, film, select) {
        this.store = store;
        this.film = film;
        this.select = select;
        this.element = find("timeline", HTMLDivElement);
        this.slider = find("slider", HTMLDivElement);
        this.ruler = find("ruler", HTMLCanvasElement);
        this.lanes = find("lanes", HTMLCanvasElement);
        this.names = find("lane-names", HTMLDivElement);
        this.hover = find("hover", HTMLOutputElement);
        this.#listen();
        new ResizeObserver(() => this.redraw()).observe(this.slider);
        store.watch(["project", "frame", "timeline", "review", "selected"], () => this.redraw());
        store.watch(["project", "selected"], () => this.#label());
        store.watch(["frame", "project", "timeline"], () => this.#describe());
    }

    /** The style sheet's colours have changed. */
    recolour() {
        this.#colours = null;
        this.redraw();
    }

    redraw() {
        if (!this.#waiting) {
            this.#waiting = true;
            requestAnimationFrame(() => this.#draw());
        }
    }

    #listen() {
        const { slider } = this;
        slider.addEventListener("pointerdown", (event) => {
            slider.setPointerCapture(event.pointerId);
            this.#seek(event);
            this.#selectAt(event);
        });
        slider.addEventListener("pointermove", (event) => {
            if (event.buttons & 1) {
                this.#seek(event);
            }
            this.#hoverAt(event);
        });
        slider.addEventListener("pointerleave", () => say(this.hover, ""));
        // At once: what is being typed elsewhere is taken over after it, and makes these rows anew.
        this.names.addEventListener("pointerdown", ({ target }) => {
            const lane = target instanceof Element ? target.closest(".lane") : null;
            const item = this.store.state.project?.objects[[...this.names.children].indexOf(lane ?? slider)];
            if (item) {
                this.select(item.id);
            }
        });
        slider.addEventListener("keydown", (event) => this.#key(event));
        slider.addEventListener("wheel", (event) => this.#wheel(event), { passive: false });
    }

    /** @param {KeyboardEvent} event */
    #key(event) {
        /** @type {Record<string, number>} */
        const steps = { ArrowRight: 1, ArrowUp: 1, ArrowLeft: -1, ArrowDown: -1, PageUp: 10, PageDown: -10 };
        const step = steps[event.key];
        if (step && !event.ctrlKey && !event.altKey) {
            this.film.step(step);
            event.preventDefault();
        }
    }

    /** @param {WheelEvent} event */
    #wheel(event) {
        const sideways = event.shiftKey ? event.deltaY : event.deltaX;
        if (event.ctrlKey) {
            const { left } = this.slider.getBoundingClientRect();
            this.#scale = this.#scale.zoomed(Math.exp(-event.deltaY * 0.003), event.clientX - left);
        } else if (sideways) {
            this.#scale = this.#scale.moved(sideways / this.#scale.pitch);
        } else {
            return; // scrolls the rows
        }
        event.preventDefault();
        this.redraw();
    }

    /** @param {PointerEvent} event */
    #seek(event) {
        const { left } = this.slider.getBoundingClientRect();
        this.film.visit(this.#scale.frame(event.clientX - left));
    }

    /** @param {PointerEvent} event */
    #selectAt(event) {
        const { top } = this.lanes.getBoundingClientRect();
        const item = this.store.state.project?.objects[Math.floor((event.clientY - top) / ROW)];
        if (item && event.clientY >= top) {
            this.select(item.id);
        }
    }

    /** @param {PointerEvent} event */
    #hoverAt(event) {
        const { left, top } = this.slider.getBoundingClientRect();
        const x = event.clientX - left;
        const frame = this.#scale.frame(x);
        const lane = Math.floor((event.clientY - this.lanes.getBoundingClientRect().top) / ROW);
        const item = event.clientY - top > RULER ? this.store.state.project?.objects[lane] : undefined;
        say(
            this.hover,
            item ? `${frame} · ${item.name}: ${describe(this.store.state, item.id, frame)}` : String(frame),
        );
        this.hover.style.left = `${Math.min(x, this.slider.clientWidth - this.hover.offsetWidth)}px`;
    }

    #draw() {
        this.#waiting = false;
        const { project, frame, timeline, review, selected } = this.store.state;
        const width = this.slider.clientWidth;
        if (!project || !width) {
            return;
        }
        const scale = this.#scale.resized(project.source.frames, width);
        this.#scale = frame === this.#shown ? scale : scale.showing(frame);
        this.#shown = frame;
        const colours = this.#colours ?? coloursOf(this.element);
        this.#colours = colours;
        const ruler = prepared(this.ruler, width, RULER);
        const lanes = prepared(this.lanes, width, Math.max(1, project.objects.length) * ROW);
        if (ruler && lanes) {
            drawRuler(ruler, this.#scale, colours, { frame, run: project.run });
            const rows = project.objects.map((item) => ({
                item,
                row: timeline.find(({ object }) => object === item.id) ?? emptyRow(item.id),
                stretches: review.filter(({ object }) => object === item.id),
                selected: item.id === selected,
            }));
            drawLanes(lanes, this.#scale, colours, rows, frame);
        }
    }

    #label() {
        const { project, selected } = this.store.state;
        const shown = project?.objects;
        if (shown === this.#named.objects && selected === this.#named.selected) {
            return;
        }
        this.#named = { objects: shown, selected };
        this.names.replaceChildren(
            ...(project?.objects ?? []).map((item) => {
                const swatch = make("span", { class: "swatch" });
                swatch.style.background = item.colour;
                const row = make("div", { class: item.id === selected ? "lane chosen" : "lane" }, swatch);
                row.append(make("span", { class: "ellipsis" }, item.name));
                return row;
            }),
        );
        this.names.querySelector(".chosen")?.scrollIntoView({ block: "nearest" });
    }

    #describe() {
        const { project, frame, selected } = this.store.state;
        if (!project) {
            return;
        }
        const { slider } = this;
        slider.setAttribute("aria-valuemax", String(project.source.frames - 1));
        slider.setAttribute("aria-valuenow", String(frame));
        const item = project.objects.find(({ id }) => id === selected);
        const about = item ? `, ${item.name}: ${describe(this.store.state, item.id, frame)}` : "";
        slider.setAttribute("aria-valuetext", `frame ${frame}, ${timeOf(project, frame)}${about}`);
    }
}

/**
 * @param {State} state
 * @param {number} object
 * @param {number} frame
 * @returns {string} what is known of the object there
 */
export function describe({ project, timeline }, object, frame) {
    const row = timeline.find((other) => other.object === object);
    const place = row ? placeOf(row.frames, frame) : 0;
    if (!row || row.frames[place] !== frame) {
        const before = place > 0 && !row?.outside[place - 1] ? row?.frames[place - 1] : undefined;
        const holds = project?.objects.find(({ id }) => id === object)?.tracked;
        return holds && before !== undefined ? `from frame ${before}` : "nothing stored";
    }
    if (row.outside[place]) {
        return "out of view";
    }
    const kinds = /** @type {Record<string, string>} */ ({
        a: "tracked",
        m: "drawn by hand",
        p: "by clicks",
    });
    const score = row.score[place];
    const presence = row.presence[place];
    const figures = [
        score === null ? null : `score ${score.toFixed(2)}`,
        presence === null ? null : `presence ${presence.toFixed(2)}`,
    ];
    return [kinds[row.source[place]] ?? "stored", ...figures.filter((figure) => figure !== null)].join(", ");
}
