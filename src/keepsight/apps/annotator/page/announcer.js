/** Tells screen readers what happened, one sentence at a time and not more often than they can be read. */

const PAUSE = 700; // milliseconds

export class Announcer {
    #last = "";
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    #timer;

    /** @param {{ textContent: string | null }} region with aria-live */
    constructor(region) {
        this.region = region;
    }

    /**
     * The newest sentence takes the place of one that was not read yet.
     *
     * @param {string} sentence
     */
    say(sentence) {
        if (sentence === this.#last) {
            return;
        }
        this.#last = sentence;
        clearTimeout(this.#timer);
        this.#timer = setTimeout(() => {
            this.region.textContent = sentence;
        }, PAUSE);
    }
}
