/** What a person does to the annotation: asked of the server, shown at once where the outcome is known. */

import { encode, filled } from "./masks.js";
import { Prompting, Target } from "./prompting.js";
import { itemRefusal, itemToDraw, lockRefusal, refusal, selectedItem, toolRefusal } from "./state.js";

/**
 * @typedef {import("./wire").Item} Item
 * @typedef {import("./wire").Kind} Kind
 * @typedef {import("./wire").Shape} Shape
 *
 * @typedef {object} Place where something is drawn: what is begun in one is not finished in another
 * @property {number} frame
 * @property {number | null} object null for a new one
 * @property {Target | null} making the new one, where it is being made already
 */

export class Actions {
    /** @type {Map<number, Target>} */
    #targets = new Map();
    /** @type {Target | null} */
    #creating = null;
    /** @type {Promise<unknown>} what was drawn is sent one after the other */
    #line = Promise.resolve();
    /** @type {Map<string, Shape | null>} what was stored where an object was then said to be out of view */
    #hidden = new Map();

    /**
     * @param {object} parts
     * @param {import("./api.js").Api} parts.api
     * @param {import("./store.js").Store<import("./state.js").State>} parts.store
     * @param {import("./sync.js").Sync} parts.sync
     * @param {import("./toasts.js").Toasts} parts.toasts
     */
    constructor({ api, store, sync, toasts }) {
        this.api = api;
        this.store = store;
        this.sync = sync;
        this.toasts = toasts;
        this.prompting = new Prompting({
            send: async (object, frame, saying) => {
                const answer = await api.prompt(object, frame, saying);
                sync.heard(answer.revision);
                return answer;
            },
            onanswer: (object, frame, { shape, prompt }) => {
                sync.put(frame, object, { shape, prompt: prompt && { ...prompt, object } });
            },
            onfail: (error) => this.#failed(error),
            onpending: (pending) => store.set({ pending }),
        });
    }

    /** @param {number | null} id */
    select(id) {
        this.#creating = null;
        this.store.set({ selected: id, fresh: false });
    }

    /** @returns {Place} for what is drawn now */
    place() {
        const { state } = this.store;
        return { frame: state.frame, object: itemToDraw(state)?.id ?? null, making: this.#creating };
    }

    /** The next thing drawn begins a new object. */
    startAfresh() {
        this.#creating = null;
        this.store.set({ fresh: true, tool: this.store.state.lastTool });
    }

    /**
     * Says something about an object, or a new one.
     *
     * @param {import("./prompting.js").Saying} saying
     * @param {Place} [place]
     */
    say(saying, place = this.place()) {
        const { state } = this.store;
        const first = place.object === null && !place.making;
        const reason =
            toolRefusal(state, "click") ??
            (first && !saying.box && !saying.labels.includes(1)
                ? "Click what belongs to the object first, then what does not."
                : null);
        if (reason) {
            this.toasts.error(reason);
            return;
        }
        this.prompting.say(this.#target(state.newKind, place), place.frame, saying);
    }

    /** Forgets all that was said about the selected object on the frame shown. */
    async takeBackPrompt() {
        const item = selectedItem(this.store.state);
        const { frame } = this.store.state;
        if (item) {
            await this.#ask(() => this.api.takeBackPrompt(item.id, frame));
        }
    }

    /**
     * Gives an object, or a new one, this shape.
     *
     * @param {Kind} kind of the points
     * @param {number[]} points
     * @param {Place} [place]
     * @returns {Promise<boolean>} whether it was done
     */
    async draw(kind, points, place = this.place()) {
        const { state } = this.store;
        const item = this.#item(place.object);
        const drawn =
            item?.kind === "mask" && kind === "polygon" ? encode(filled(points, this.#size())) : points;
        const reason =
            refusal(state) ?? (item && itemRefusal(item)) ?? (drawn ? null : "That holds no pixel.");
        if (reason || !drawn) {
            this.toasts.error(reason);
            return false;
        }
        const target = this.#target(kind, place);
        return this.#put(target, { frame: place.frame, points: drawn, outside: false });
    }

    /**
     * @param {Item} item
     * @param {number[]} points
     */
    async reshape(item, points) {
        await this.#put(this.#targetOf(item.id), { frame: this.store.state.frame, points, outside: false });
    }

    /** Says that the selected object is out of view here (a track: from here on), or takes that back. */
    async toggleOutside() {
        const item = this.#changeable();
        const { frame } = this.store.state;
        if (!item) {
            return;
        }
        const place = `${item.id} ${frame}`;
        try {
            const stored = await this.api.stored(item.id, frame);
            const before = this.#hidden.get(place);
            if (!stored?.outside) {
                this.#hidden.set(place, stored);
                await this.#put(this.#targetOf(item.id), { frame, points: [], outside: true });
            } else if (before) {
                await this.#put(this.#targetOf(item.id), { frame, points: before.points, outside: false });
            } else {
                await this.eraseShape({ frame, object: item.id, making: null });
            }
        } catch (error) {
            this.#failed(error);
        }
    }

    /**
     * Deletes an object's shape on a frame.
     *
     * @param {Place} [place]
     * @returns {Promise<boolean>} whether it was done
     */
    async eraseShape(place = this.place()) {
        const item = this.#changeable(place.object);
        if (!item) {
            return false;
        }
        return this.#ask(async () => {
            const { revision } = await this.api.eraseShape(item.id, place.frame);
            this.sync.heard(revision);
            this.sync.put(place.frame, item.id, { shape: null, prompt: null });
        });
    }

    async removeObject() {
        const item = this.#changeable(this.store.state.selected, lockRefusal);
        if (item && (await this.#ask(() => this.api.removeObject(item.id)))) {
            this.#targets.delete(item.id);
            this.toasts.note(`${item.name} is deleted. Ctrl+Z brings it back.`);
        }
    }

    /** @param {Kind} kind an object without a shape yet */
    async addObject(kind) {
        await this.#new(kind).ready.catch((error) => this.#failed(error));
    }

    /**
     * @param {number} id
     * @param {Partial<Omit<Item, "id">>} change is shown at once
     */
    async change(id, change) {
        const { project } = this.store.state;
        if (project) {
            const objects = project.objects.map((item) => (item.id === id ? { ...item, ...change } : item));
            // Another kind means other points, which only the server has.
            if (!change.kind) {
                this.store.set({ project: { ...project, objects } });
            }
        }
        await this.#ask(() => this.api.changeObject(id, change));
    }

    async undo() {
        await this.#ask(() => this.api.undo());
    }

    async redo() {
        await this.#ask(() => this.api.redo());
    }

    /** @param {import("./wire").RunRequest} request */
    async run(request) {
        this.store.set({ follow: true });
        await this.#ask(() => this.api.run(request), true);
    }

    /** @param {boolean} keep what is done so far */
    async cancelRun(keep) {
        await this.#ask(() => this.api.cancelRun(keep));
    }

    /** @param {boolean} resume the unfinished run, rather than leave it */
    async decideUnfinished(resume) {
        await this.#ask(() => (resume ? this.api.resumeRun() : this.api.forgetRun()));
    }

    /** @param {number} object */
    async reviewBothWays(object) {
        this.store.set({ comparing: object });
        if (!(await this.#ask(() => this.api.bothWays(object)))) {
            this.store.set({ comparing: null });
        }
    }

    /**
     * @param {() => Promise<unknown>} request is made after all that was asked before
     * @param {boolean} [thrown] whether whoever asked shows the failure
     * @returns {Promise<boolean>} whether it was done
     */
    async #ask(request, thrown = false) {
        const before = this.#line;
        const asked = before.then(() => this.prompting.idle()).then(request);
        this.#line = asked.catch(() => undefined);
        try {
            await asked;
            return true;
        } catch (error) {
            if (thrown) {
                throw error;
            }
            this.#failed(error);
            return false;
        } finally {
            this.sync.refresh();
        }
    }

    /**
     * @param {Target} target
     * @param {{ frame: number, points: number[], outside: boolean }} drawing
     * @returns {Promise<boolean>} whether it was done
     */
    async #put(target, drawing) {
        const { id } = target;
        if (id !== null) {
            /** @type {Shape} */
            const shape = { object: id, ...drawing, source: "manual", score: null, presence: null };
            this.sync.put(drawing.frame, id, { shape, prompt: null });
        }
        return this.#ask(async () => {
            const object = await target.ready;
            const { shape, revision } = await this.api.draw(object, drawing);
            this.sync.heard(revision);
            this.sync.put(drawing.frame, object, { shape, prompt: null });
        });
    }

    /**
     * @param {number | null} object
     * @param {(item: Item) => string | null} [refused] why it must stay as it is
     * @returns {Item | null} the object, if it may be changed; else it is said why not
     */
    #changeable(object = itemToDraw(this.store.state)?.id ?? null, refused = itemRefusal) {
        const item = this.#item(object);
        const reason = refusal(this.store.state) ?? (item ? refused(item) : "Select an object first.");
        if (reason) {
            this.toasts.error(reason);
            return null;
        }
        return item;
    }

    /** @param {number | null} object @returns {Item | null} */
    #item(object) {
        return this.store.state.project?.objects.find(({ id }) => id === object) ?? null;
    }

    /**
     * @param {Kind} kind of a new object
     * @param {Place} place
     * @returns {Target}
     */
    #target(kind, { object, making }) {
        return object === null ? (making ?? this.#new(kind)) : this.#targetOf(object);
    }

    /** @param {Kind} kind @returns {Target} */
    #new(kind) {
        /** @type {Target} */
        const target = new Target(
            this.api.addObject({ kind }).then(({ object }) => this.#created(target, object)),
        );
        this.#creating = target;
        target.ready.catch(() => {
            this.#creating = this.#creating === target ? null : this.#creating;
        });
        return target;
    }

    /**
     * @param {Target} target
     * @param {Item} item
     * @returns {number}
     */
    #created(target, item) {
        this.#targets.set(item.id, target);
        const { project } = this.store.state;
        if (project && !project.objects.some(({ id }) => id === item.id)) {
            this.store.set({ project: { ...project, objects: [...project.objects, item] } });
        }
        if (this.#creating === target) {
            this.select(item.id);
        }
        this.sync.refresh();
        return item.id;
    }

    /** @param {number} id @returns {Target} */
    #targetOf(id) {
        const target = this.#targets.get(id) ?? new Target(id);
        this.#targets.set(id, target);
        return target;
    }

    /** @returns {{ width: number, height: number }} */
    #size() {
        return this.store.state.project?.source ?? { width: 1, height: 1 };
    }

    /** @param {unknown} error */
    #failed(error) {
        this.toasts.error(error);
        // What was shown beforehand may not hold.
        this.sync.shapes.spoil();
        this.sync.refresh();
    }
}
