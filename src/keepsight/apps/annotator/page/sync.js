/** Keeps what the page shows the same as what the server holds, whoever changed it. */

import { isAborted } from "./api.js";
import { Refresher } from "./refresher.js";
import { emptyRow, withShape, withShapes } from "./timeline_rows.js";

/**
 * @typedef {import("./wire").ServerEvent} ServerEvent
 * @typedef {import("./wire").Run} Run
 */

export class Sync {
    /** @type {Set<number>} revisions that were made here */
    #own = new Set();
    #known = -1;
    #opened = "";
    /** @type {Promise<void> | null} everything asked for at first, until there is a connection */
    #started = null;

    /**
     * @param {object} parts
     * @param {import("./api.js").Api} parts.api
     * @param {import("./store.js").Store<import("./state.js").State>} parts.store
     * @param {import("./shape_cache.js").ShapeCache} parts.shapes
     * @param {import("./toasts.js").Toasts} parts.toasts
     * @param {(source: import("./wire").Source) => void} parts.onsource another video is shown
     * @param {() => void} parts.onscene what is visible may have changed
     * @param {(run: Run) => void} parts.onrun a run went on or ended
     */
    constructor({ api, store, shapes, toasts, onsource, onscene, onrun }) {
        this.api = api;
        this.store = store;
        this.shapes = shapes;
        this.toasts = toasts;
        this.onsource = onsource;
        this.onscene = onscene;
        this.onrun = onrun;
        this.project = new Refresher(() => this.#quietly(() => this.#loadProject()), 30);
        this.timeline = new Refresher(() => this.#quietly(() => this.#loadTimeline()), 250);
        this.review = new Refresher(() => this.#quietly(() => this.#loadReview()), 600);
    }

    /** Asks for everything, before there is a connection for events. */
    async start() {
        this.#started = this.reload();
        await this.#started;
    }

    /** Asks for everything again, as after a break. */
    async reload() {
        this.shapes.spoil();
        await Promise.all([this.project.now(), this.timeline.now()]);
        this.onscene();
        this.review.soon();
    }

    /** Something was changed: lists and names are asked for again soon. */
    refresh() {
        this.project.soon();
        this.timeline.soon();
        this.review.soon();
        this.onscene();
    }

    /** @param {number} revision that a change made here has led to, so that its event is no news */
    heard(revision) {
        this.#own.add(revision);
        if (this.#own.size > 1000) {
            this.#own = new Set([revision]);
        }
    }

    /**
     * @param {number} frame
     * @param {number} object
     * @param {Parameters<import("./shape_cache.js").ShapeCache["put"]>[2]} news
     */
    put(frame, object, news) {
        this.shapes.put(frame, object, news);
        const { shape } = news;
        if (shape !== undefined) {
            const { timeline, project } = this.store.state;
            const row = timeline.find((other) => other.object === object) ?? emptyRow(object);
            const others = timeline.filter((other) => other !== row);
            this.store.set({ timeline: [...others, withShape(row, frame, shape)] });
            if (project?.objects.find(({ id }) => id === object)?.tracked) {
                this.shapes.spoil();
            }
        }
        this.timeline.soon();
        this.review.soon();
        this.onscene();
    }

    /** @param {ServerEvent} event */
    take(event) {
        switch (event.type) {
            case "hello":
                void this.#greeted(event.revision);
                break;
            case "model":
                this.#patch({ model: event.model });
                // An answer that is on its way may be older than this, and would be believed for good.
                this.project.soon();
                break;
            case "changed":
                this.#changed(event);
                break;
            case "run":
                this.#run(event);
                break;
            case "review":
                this.review.soon();
                if (event.state) {
                    this.#compared(event.state, event.error ?? null);
                }
                break;
        }
    }

    /** @param {number} revision */
    async #greeted(revision) {
        const started = this.#started;
        this.#started = null;
        await started;
        if (started && revision === this.#known) {
            // The first connection: unknown is only what was told just before it, as the model's state.
            this.project.soon();
        } else {
            await this.reload();
        }
    }

    /** @param {Extract<ServerEvent, { type: "changed" }>} event */
    #changed({ revision, objects, shapes: places }) {
        if (!this.#own.delete(revision)) {
            // Of single shapes only the frames named have changed. A track is seen between its keyframes too,
            // and an object that has come back or changed may be one.
            const single = new Set(
                this.store.state.project?.objects.filter((item) => !item.tracked).map(({ id }) => id),
            );
            const few = !objects && places?.every(([object]) => single.has(object));
            this.shapes.spoil(few && places ? places.map(([, frame]) => frame) : null);
        }
        this.refresh();
    }

    /**
     * @param {"done" | "cancelled" | "interrupted"} state in which tracking both ways has ended
     * @param {string | null} error
     */
    #compared(state, error) {
        this.store.set({ comparing: null });
        if (error) {
            this.toasts.error(error);
        } else if (state === "done") {
            this.toasts.note("Tracked both ways: where the two differ, frames are ranked higher now.");
        }
    }

    /** @param {Extract<ServerEvent, { type: "run" }>} event */
    #run({ run, shapes, removed }) {
        for (const shape of shapes) {
            this.shapes.put(shape.frame, shape.object, { shape });
        }
        for (const [object, frame] of removed) {
            this.shapes.put(frame, object, { shape: null });
        }
        if (shapes.length || removed.length) {
            this.store.set({ timeline: withShapes(this.store.state.timeline, shapes, removed) });
        }
        this.#patch({ run: run.state === "running" ? run : null });
        if (run.state === "running") {
            this.onscene();
        } else {
            this.shapes.spoil();
            this.refresh();
        }
        this.onrun(run);
    }

    /** @param {Partial<import("./wire").Project>} patch */
    #patch(patch) {
        const { project } = this.store.state;
        if (project) {
            this.store.set({ project: { ...project, ...patch } });
        }
    }

    async #loadProject() {
        const project = await this.api.project();
        const { fingerprint } = project.source;
        if (this.#known !== -1 && project.revision < this.#known) {
            // A server that was killed may have lost the last change: what is shown is asked for again.
            this.shapes.spoil();
        }
        this.#known = project.revision;
        const { selected, fresh } = this.store.state;
        const alive = project.objects.some(({ id }) => id === selected);
        const { comparing } = project;
        this.store.set({ project, selected: alive ? selected : null, fresh: alive && fresh, comparing });
        if (fingerprint !== this.#opened) {
            this.#opened = fingerprint;
            this.onsource(project.source);
        }
    }

    async #loadTimeline() {
        const { objects } = await this.api.timeline();
        this.store.set({ timeline: objects });
    }

    async #loadReview() {
        const { stretches } = await this.api.review();
        this.store.set({ review: stretches });
    }

    /**
     * A failed look does no harm: the connection's own state says that the server is gone.
     *
     * @param {() => Promise<void>} load
     */
    async #quietly(load) {
        try {
            await load();
        } catch (error) {
            const { connection } = this.store.state;
            if (connection === "live" && !isAborted(error)) {
                this.toasts.error(error);
            }
        }
    }
}
