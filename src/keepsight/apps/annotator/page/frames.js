const AHEAD = 16; // frames at most

/**
 * Decoded frames, a bounded number: the wanted one first, then those that follow in the direction of travel.
 *
 * @template P
 */
export class FrameCache {
    /** @type {Map<number, P>} least recently used first */
    #pictures = new Map();
    /** @type {Map<number, AbortController>} */
    #loading = new Map();
    /** @type {Map<number, string>} */
    #failed = new Map();
    #focus = 0;
    #direction = 1;
    #rushing = false;

    /**
     * @param {object} options
     * @param {(index: number, signal: AbortSignal) => Promise<P>} options.load
     * @param {(picture: P) => void} options.release called for a picture that is let go of
     * @param {(index: number) => void} options.onload
     * @param {(index: number, sentence: string) => void} options.onfail
     * @param {number} options.count frames of the video
     * @param {number} options.capacity pictures kept, at least 2
     * @param {number} [options.parallel] requests at a time, besides that for the wanted frame
     */
    constructor({ load, release, onload, onfail, count, capacity, parallel = 3 }) {
        this.load = load;
        this.release = release;
        this.onload = onload;
        this.onfail = onfail;
        this.count = count;
        this.capacity = Math.max(2, capacity);
        this.parallel = parallel;
        // The rest is for frames that were just seen, for going back and forth.
        this.ahead = Math.max(1, Math.min(AHEAD, Math.floor(this.capacity * 0.75) - 1));
    }

    /**
     * @param {number} index
     * @returns {P | null} the picture, if it is decoded
     */
    get(index) {
        return this.#pictures.get(index) ?? null;
    }

    /**
     * @param {number} index
     * @returns {string | null} why there is no picture of it, if it was asked for in vain
     */
    failure(index) {
        return this.#failed.get(index) ?? null;
    }

    /** @param {number} index @returns {boolean} whether there is a picture of it, or will be none */
    isKnown(index) {
        return this.#pictures.has(index) || this.#failed.has(index);
    }

    /** Lets what was asked for in vain be asked for again. */
    forgive() {
        this.#failed.clear();
    }

    /** @returns {number} pictures held */
    get size() {
        return this.#pictures.size;
    }

    /**
     * Turns to a frame: it is loaded before all others, and what lies far from it is no longer loaded.
     *
     * @param {number} index
     * @param {number} direction of travel, 1 or -1
     * @param {boolean} rushing through the video by leaps, so that what follows is not what comes next
     */
    want(index, direction = 1, rushing = false) {
        if (index !== this.#focus) {
            this.#failed.delete(index); // whoever comes back tries again
        }
        this.#focus = index;
        this.#direction = direction;
        this.#rushing = rushing;
        const picture = this.#pictures.get(index);
        if (picture !== undefined) {
            this.#pictures.delete(index);
            this.#pictures.set(index, picture);
        }
        const plan = this.#plan();
        for (const [other, controller] of this.#loading) {
            if (!plan.includes(other)) {
                controller.abort();
                this.#loading.delete(other);
            }
        }
        this.#pump();
    }

    /** Lets go of everything, for another video or one that changed. */
    clear() {
        for (const controller of this.#loading.values()) {
            controller.abort();
        }
        this.#loading.clear();
        this.#failed.clear();
        for (const picture of this.#pictures.values()) {
            this.release(picture);
        }
        this.#pictures.clear();
    }

    /** @returns {number[]} the frames worth having now, most wanted first */
    #plan() {
        const plan = [this.#focus];
        for (let step = 1; step <= (this.#rushing ? 0 : this.ahead); step++) {
            plan.push(this.#focus + step * this.#direction);
        }
        return plan.filter((index) => index >= 0 && index < this.count);
    }

    #pump() {
        for (const index of this.#plan()) {
            // The frame in view does not wait for those fetched ahead of it, but they wait for it.
            const waits = this.#loading.has(this.#focus) || this.#loading.size >= this.parallel;
            const room = index === this.#focus || !waits;
            if (room && !this.#pictures.has(index) && !this.#loading.has(index) && !this.#failed.has(index)) {
                void this.#fetch(index);
            }
        }
    }

    /** @param {number} index */
    async #fetch(index) {
        const controller = new AbortController();
        this.#loading.set(index, controller);
        try {
            const picture = await this.load(index, controller.signal);
            if (controller.signal.aborted) {
                this.release(picture);
                return;
            }
            this.#loading.delete(index);
            this.#keep(index, picture);
            this.onload(index);
        } catch (error) {
            if (controller.signal.aborted) {
                return;
            }
            this.#loading.delete(index);
            const sentence = error instanceof Error ? error.message : String(error);
            this.#failed.set(index, sentence);
            this.onfail(index, sentence);
        }
        this.#pump();
    }

    /**
     * @param {number} index
     * @param {P} picture
     */
    #keep(index, picture) {
        this.#pictures.set(index, picture);
        const plan = new Set(this.#plan());
        const spare = [...this.#pictures.keys()].filter((other) => !plan.has(other));
        while (this.#pictures.size > this.capacity && spare.length) {
            const other = /** @type {number} */ (spare.shift());
            this.release(/** @type {P} */ (this.#pictures.get(other)));
            this.#pictures.delete(other);
        }
    }
}

const BUDGET = 192 * 2 ** 20; // bytes of decoded frames

/**
 * @param {{ width: number, height: number }} source
 * @returns {number} how many decoded frames of that size the page keeps
 */
export function framesKept({ width, height }) {
    return Math.min(64, Math.max(4, Math.floor(BUDGET / (4 * width * height))));
}
