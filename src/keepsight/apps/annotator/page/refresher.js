/**
 * Fetches something again when asked to, not more often than useful: calls that come while a fetch is waited
 * for or under way lead to one more fetch, after it.
 */
export class Refresher {
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    #timer;
    #busy = false;
    #again = false;

    /**
     * @param {() => Promise<void>} load must not throw
     * @param {number} delay milliseconds
     */
    constructor(load, delay) {
        this.load = load;
        this.delay = delay;
    }

    soon() {
        if (this.#busy) {
            this.#again = true;
        } else if (this.#timer === undefined) {
            this.#timer = setTimeout(() => void this.now(), this.delay);
        }
    }

    /** @returns {Promise<void>} */
    async now() {
        clearTimeout(this.#timer);
        this.#timer = undefined;
        this.#busy = true;
        this.#again = false;
        await this.load();
        this.#busy = false;
        if (this.#again) {
            this.soon();
        }
    }
}
