/**
 * Sends what is said about objects, in order: per object and frame one request is under way at a time, and
 * what is said meanwhile goes along in the next one.
 *
 * @typedef {import("./wire").Prompt} Prompt
 * @typedef {import("./wire").Shape} Shape
 * @typedef {{ points: [number, number][], labels: number[], box: [number, number, number, number] | null,
 *     replace: boolean }} Saying
 * @typedef {{ shape: Shape | null, prompt: Prompt | null }} Answer
 */

/** An object that may not exist yet: the server is still to give it a number. */
export class Target {
    /** @param {number | Promise<number>} object */
    constructor(object) {
        /** @type {number | null} */
        this.id = typeof object === "number" ? object : null;
        this.ready = Promise.resolve(object).then((id) => {
            this.id = id;
            return id;
        });
        // Whoever waits for it hears of a failure; nobody else must.
        this.ready.catch(() => undefined);
    }
}

/**
 * What was said and is not answered yet.
 *
 * @typedef {{ target: Target, frame: number, saying: Saying }} Pending
 */

export class Prompting {
    /** @type {Map<Target, Map<number, { sent: Saying | null, waiting: Saying | null }>>} */
    #lanes = new Map();
    /** @type {Set<Promise<void>>} */
    #work = new Set();

    /**
     * @param {object} options
     * @param {(object: number, frame: number, saying: Saying) => Promise<Answer>} options.send
     * @param {(object: number, frame: number, answer: Answer) => void} options.onanswer
     * @param {(error: unknown) => void} options.onfail
     * @param {(pending: Pending[]) => void} options.onpending
     */
    constructor({ send, onanswer, onfail, onpending }) {
        this.send = send;
        this.onanswer = onanswer;
        this.onfail = onfail;
        this.onpending = onpending;
    }

    /**
     * @param {Target} target
     * @param {number} frame
     * @param {Saying} saying
     */
    say(target, frame, saying) {
        const frames = this.#lanes.get(target) ?? new Map();
        this.#lanes.set(target, frames);
        const lane = frames.get(frame);
        if (lane) {
            lane.waiting = lane.waiting ? joined(lane.waiting, saying) : saying;
        } else {
            frames.set(frame, { sent: null, waiting: saying });
            const work = this.#send(target, frame);
            this.#work.add(work);
            void work.finally(() => this.#work.delete(work));
        }
        this.onpending(this.#pending());
    }

    /** @returns {Promise<void>} kept when everything said so far is answered or failed */
    async idle() {
        await Promise.all([...this.#work]);
    }

    /**
     * @param {Target} target
     * @param {number} frame
     */
    async #send(target, frame) {
        const frames = this.#lanes.get(target);
        const lane = frames?.get(frame);
        try {
            const object = await target.ready;
            while (lane?.waiting) {
                lane.sent = lane.waiting;
                lane.waiting = null;
                const answer = await this.send(object, frame, lane.sent);
                lane.sent = null;
                this.onanswer(object, frame, answer);
                this.onpending(this.#pending());
            }
        } catch (error) {
            // What was said after it was meant on top of it, so it is not sent by itself.
            this.onfail(error);
        } finally {
            frames?.delete(frame);
            if (!frames?.size) {
                this.#lanes.delete(target);
            }
            this.onpending(this.#pending());
        }
    }

    /** @returns {Pending[]} */
    #pending() {
        const pending = [];
        for (const [target, frames] of this.#lanes) {
            for (const [frame, { sent, waiting }] of frames) {
                for (const saying of [sent, waiting]) {
                    if (saying) {
                        pending.push({ target, frame, saying });
                    }
                }
            }
        }
        return pending;
    }
}

/**
 * @param {Saying} first
 * @param {Saying} second
 * @returns {Saying} both in one
 */
export function joined(first, second) {
    if (second.replace) {
        return second;
    }
    return {
        points: [...first.points, ...second.points],
        labels: [...first.labels, ...second.labels],
        box: second.box ?? first.box,
        replace: first.replace,
    };
}
