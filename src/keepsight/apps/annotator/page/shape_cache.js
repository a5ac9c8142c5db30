/**
 * What is visible on each frame, as the server last said or as it was just drawn here; a bounded number.
 *
 * An entry that may be out of date is still shown until the server's answer comes, and an answer to a
 * question asked before a change is not taken for the state after it.
 *
 * @typedef {import("./wire").Shape} Shape
 * @typedef {import("./wire").Prompt} Prompt
 * @typedef {{ shapes: Map<number, Shape>, prompts: Map<number, Prompt> }} Scene by object
 * @typedef {{ shapes: Shape[], prompts: Prompt[] }} Answer
 */

export class ShapeCache {
    /** @type {Map<number, { scene: Scene, fresh: boolean }>} least recently used first */
    #scenes = new Map();
    /** @type {Map<number, { stale: boolean, controller: AbortController }>} */
    #loading = new Map();
    /** Asks for what was wanted last and is not there yet. */
    #again = () => {};

    /**
     * @param {object} options
     * @param {(frame: number, signal: AbortSignal) => Promise<Answer>} options.load
     * @param {(frame: number) => void} options.onload
     * @param {(frame: number, sentence: string) => void} options.onfail
     * @param {number} options.count frames of the video
     * @param {(object: number) => import("./wire").Kind | undefined} [options.kindOf] an object, as known now
     * @param {number} [options.capacity] frames kept
     * @param {number} [options.ahead] frames asked for in advance
     * @param {number} [options.parallel] questions at a time
     */
    constructor({ load, onload, onfail, count, kindOf, capacity = 256, ahead = 6, parallel = 2 }) {
        this.load = load;
        this.onload = onload;
        this.onfail = onfail;
        this.count = count;
        this.kindOf = kindOf ?? (() => undefined);
        this.capacity = capacity;
        this.ahead = ahead;
        this.parallel = parallel;
    }

    /**
     * Points are drawn as the kind that they came as: a shape of another kind than its object has now is left
     * out, as one of the two is about to be replaced.
     *
     * @param {number} frame
     * @returns {Scene | null} the last known; null if nothing is
     */
    get(frame) {
        const scene = this.#scenes.get(frame)?.scene ?? null;
        const fits = (/** @type {Shape} */ { object, kind }) => (this.kindOf(object) ?? kind) === kind;
        if (!scene || [...scene.shapes.values()].every(fits)) {
            return scene;
        }
        return { ...scene, shapes: new Map([...scene.shapes].filter(([, shape]) => fits(shape))) };
    }

    /** @returns {number} frames held */
    get size() {
        return this.#scenes.size;
    }

    /**
     * Asks for a frame, unless what is known of it is up to date, and for some that follow.
     *
     * @param {number} frame
     * @param {number} direction of travel, 1 or -1
     * @param {boolean} rushing through the video by leaps
     */
    want(frame, direction = 1, rushing = false) {
        const wanted = [];
        for (let step = 0; step <= (rushing ? 0 : this.ahead); step++) {
            wanted.push(frame + step * direction);
        }
        this.#again = () => this.want(frame, direction, rushing);
        for (const [other, { controller }] of this.#loading) {
            if (!wanted.includes(other)) {
                controller.abort();
                this.#loading.delete(other);
            }
        }
        for (const other of wanted) {
            const room = other === frame || this.#loading.size < this.parallel;
            if (room && other >= 0 && other < this.count && !this.#scenes.get(other)?.fresh) {
                this.#ask(other);
            }
        }
    }

    /**
     * Takes over what one object looks like on a frame now.
     *
     * @param {number} frame
     * @param {number} object
     * @param {{ shape?: Shape | null, prompt?: Prompt | null }} news null: there is none any more
     */
    put(frame, object, news) {
        this.#outdate(frame);
        const entry = this.#scenes.get(frame);
        const shapes = new Map(entry?.scene.shapes);
        const prompts = new Map(entry?.scene.prompts);
        if (news.shape !== undefined) {
            const kind = this.kindOf(object);
            replace(shapes, object, news.shape && kind ? { ...news.shape, kind } : news.shape);
        }
        if (news.prompt !== undefined) {
            replace(prompts, object, news.prompt);
        }
        this.#keep(frame, { shapes, prompts }, entry?.fresh ?? false);
    }

    /**
     * Says that frames may have changed; they are shown as they were until they are wanted again.
     *
     * @param {Iterable<number> | null} frames null: any
     */
    spoil(frames = null) {
        for (const frame of frames ?? new Set([...this.#scenes.keys(), ...this.#loading.keys()])) {
            this.#outdate(frame);
            const entry = this.#scenes.get(frame);
            if (entry) {
                entry.fresh = false;
            }
        }
    }

    /** Forgets everything. */
    clear() {
        this.spoil();
        this.#scenes.clear();
    }

    /** @param {number} frame whose question under way was asked before a change */
    #outdate(frame) {
        const question = this.#loading.get(frame);
        if (question) {
            question.stale = true;
        }
    }

    /** @param {number} frame */
    #ask(frame) {
        const before = this.#loading.get(frame);
        if (before && !before.stale) {
            return;
        }
        before?.controller.abort();
        const question = { stale: false, controller: new AbortController() };
        this.#loading.set(frame, question);
        this.load(frame, question.controller.signal).then(
            (answer) => {
                if (this.#loading.get(frame) !== question) {
                    return;
                }
                this.#loading.delete(frame);
                if (!question.stale) {
                    this.#keep(frame, sceneOf(answer), true);
                    this.onload(frame);
                }
                this.#again();
            },
            (error) => {
                if (this.#loading.get(frame) === question) {
                    this.#loading.delete(frame);
                    this.onfail(frame, error instanceof Error ? error.message : String(error));
                }
            },
        );
    }

    /**
     * @param {number} frame
     * @param {Scene} scene
     * @param {boolean} fresh
     */
    #keep(frame, scene, fresh) {
        this.#scenes.delete(frame);
        this.#scenes.set(frame, { scene, fresh });
        for (const other of this.#scenes.keys()) {
            if (this.#scenes.size <= this.capacity) {
                break;
            }
            this.#scenes.delete(other);
        }
    }
}

/**
 * @template V
 * @param {Map<number, V>} map
 * @param {number} key
 * @param {V | null} value
 */
function replace(map, key, value) {
    if (value === null) {
        map.delete(key);
    } else {
        map.set(key, value);
    }
}

/**
 * @param {Answer} answer
 * @returns {Scene}
 */
function sceneOf({ shapes, prompts }) {
    return {
        shapes: new Map(shapes.map((shape) => [shape.object, shape])),
        prompts: new Map(prompts.map((prompt) => [prompt.object, prompt])),
    };
}
