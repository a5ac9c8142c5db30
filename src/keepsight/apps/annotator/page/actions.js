/** What a person does to the annotation: asked of the server, shown at once where the outcome is known. */

import { encode, filled } from "./masks.js";
import { Prompting, Target } from "./prompting.js";
import { itemToDraw, refusal, selectedItem, toolRefusal } from "./state.js";

/**
 * @typedef {import("./wire").Item} Item
 * @typedef {import("./wire").Kind} Kind
 * @typedef {import("./wire").Shape} Shape
 */

export class Actions {
    /** @type {Map<number, Target>} */
    #targets = new Map();
    /** @type {Target | null} */
    #creating = null;
    /** @type {Promise<unknown>} what was drawn is sent one after the other */
    #line = Promise.resolve();

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

    /** The next thing drawn begins a new object. */
    startAfresh() {
        this.#creating = null;
        this.store.set({ fresh: true, tool: this.store.state.lastTool });
    }

    /**
     * Says something about the selected object, or a new one, on the frame shown.
     *
     * @param {import("./prompting.js").Saying} saying
     */
    say(saying) {
        const { state } = this.store;
        const reason = toolRefusal(state, "click");
        if (reason) {
            this.toasts.error(reason);
            return;
        }
        this.prompting.say(this.#target(state.newKind), state.frame, saying);
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
     * Gives the selected object, or a new one, this shape on the frame shown.
     *
     * @param {Kind} kind of the points
     * @param {number[]} points
     */
    async draw(kind, points) {
        const { state } = this.store;
        const item = itemToDraw(state);
        const drawn =
            item?.kind === "mask" && kind === "polygon" ? encode(filled(points, this.#size())) : points;
        if (refusal(state) || item?.locked || !drawn) {
            this.toasts.error(
                refusal(state) ?? (drawn ? `${item?.name} is locked.` : "That holds no pixel."),
            );
            return;
        }
        await this.#put(this.#target(kind), { frame: state.frame, points: drawn, outside: false });
    }

    /**
     * @param {Item} item
     * @param {number[]} points
     */
    async reshape(item, points) {
        await this.#put(this.#targetOf(item.id), { frame: this.store.state.frame, points, outside: false });
    }

    /** Says that the selected object is out of view from here on, or takes that back. */
    async toggleOutside() {
        const item = this.#changeable();
        const { frame } = this.store.state;
        if (!item) {
            return;
        }
        try {
            const stored = await this.api.stored(item.id, frame);
            const back = stored?.outside && stored.points.length > 0;
            const points = back ? stored.points : [];
            await this.#put(this.#targetOf(item.id), { frame, points, outside: !back });
        } catch (error) {
            this.#failed(error);
        }
    }

    /** Deletes the selected object's shape on the frame shown. */
    async eraseShape() {
        const item = this.#changeable();
        const { frame } = this.store.state;
        if (item) {
            await this.#ask(async () => {
                const { revision } = await this.api.eraseShape(item.id, frame);
                this.sync.heard(revision);
                this.sync.put(frame, item.id, { shape: null, prompt: null });
            });
        }
    }

    async removeObject() {
        const item = this.#changeable();
        if (item && (await this.#ask(() => this.api.removeObject(item.id)))) {
            this.#targets.delete(item.id);
            this.toasts.note(`${item.name} is deleted. Ctrl+Z brings it back.`);
        }
    }

    /** @param {Kind} kind an object without a shape yet */
    async addObject(kind) {
        await this.#target(kind, true).ready.catch((error) => this.#failed(error));
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
     */
    async #put(target, drawing) {
        const { id } = target;
        if (id !== null) {
            /** @type {Shape} */
            const shape = { object: id, ...drawing, source: "manual", score: null, presence: null };
            this.sync.put(drawing.frame, id, { shape, prompt: null });
        }
        await this.#ask(async () => {
            const object = await target.ready;
            const { shape, revision } = await this.api.draw(object, drawing);
            this.sync.heard(revision);
            this.sync.put(drawing.frame, object, { shape, prompt: null });
        });
    }

    /** @returns {Item | null} the selected object, if it may be changed */
    #changeable() {
        const item = selectedItem(this.store.state);
        const reason = refusal(this.store.state) ?? (item ? null : "Select an object first.");
        if (reason || item?.locked) {
            this.toasts.error(reason ?? `${item?.name} is locked (L unlocks it).`);
            return null;
        }
        return item;
    }

    /**
     * @param {Kind} kind of a new object
     * @param {boolean} [fresh] a new one in any case
     * @returns {Target}
     */
    #target(kind, fresh = false) {
        const item = fresh ? null : itemToDraw(this.store.state);
        if (item) {
            return this.#targetOf(item.id);
        }
        if (this.#creating && !fresh) {
            return this.#creating;
        }
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
