/**
 * What the page shows, in one place; who shows it watches the parts that matter to it.
 *
 * @template {object} T
 */
export class Store {
    /** @type {{ keys: readonly (keyof T)[], listener: (state: Readonly<T>) => void }[]} */
    #watchers = [];

    /** @param {T} state */
    constructor(state) {
        /** @type {Readonly<T>} */
        this.state = state;
    }

    /**
     * Watchers hear of it at once, each of them one time at most, and not if nothing has changed.
     *
     * @param {Partial<T>} patch
     */
    set(patch) {
        const before = this.state;
        const changed = /** @type {(keyof T)[]} */ (Object.keys(patch)).filter(
            (key) => !Object.is(before[key], patch[key]),
        );
        if (!changed.length) {
            return;
        }
        this.state = { ...before, ...patch };
        for (const { keys, listener } of [...this.#watchers]) {
            if (keys.some((key) => changed.includes(key))) {
                listener(this.state);
            }
        }
    }

    /**
     * @param {readonly (keyof T)[]} keys
     * @param {(state: Readonly<T>) => void} listener called now and after each change of one of the keys
     */
    watch(keys, listener) {
        this.#watchers.push({ keys, listener });
        listener(this.state);
    }
}
