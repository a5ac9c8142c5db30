/**
 * Plays at the source's rate by the clock: frames that are overdue are skipped for one that is there, and the
 * clock waits where none is.
 */
export class Playback {
    #playing = false;
    #start = { time: 0, frame: 0 };

    /**
     * @param {object} options
     * @param {() => number} options.now in milliseconds
     * @param {(callback: () => void) => void} options.tick calls back at the screen's next refresh
     * @param {() => number} options.frame that is shown
     * @param {(frame: number) => boolean} options.ready whether a frame could be shown at once
     * @param {(frame: number) => void} options.seek
     * @param {(playing: boolean) => void} options.onchange
     */
    constructor(options) {
        this.options = options;
        this.rate = 25;
        this.count = 1;
    }

    get playing() {
        return this.#playing;
    }

    toggle() {
        if (this.#playing) {
            this.stop();
        } else {
            this.play();
        }
    }

    play() {
        const { frame, seek, onchange } = this.options;
        const first = frame() >= this.count - 1 ? 0 : frame();
        seek(first);
        this.#playing = true;
        this.#rebase(first);
        onchange(true);
        this.#next();
    }

    stop() {
        if (this.#playing) {
            this.#playing = false;
            this.options.onchange(false);
        }
    }

    /** @param {number} frame from which time counts */
    #rebase(frame) {
        this.#start = { time: this.options.now(), frame };
    }

    #next() {
        this.options.tick(() => {
            if (this.#playing) {
                this.#advance();
                this.#next();
            }
        });
    }

    #advance() {
        const { now, frame, ready, seek } = this.options;
        const shown = frame();
        if (shown >= this.count - 1) {
            this.stop();
            return;
        }
        const passed = ((now() - this.#start.time) * this.rate) / 1000;
        const due = Math.min(this.count - 1, this.#start.frame + Math.floor(passed + 1e-6));
        for (let next = due; next > shown; next--) {
            if (ready(next)) {
                seek(next);
                return;
            }
        }
        if (due > shown) {
            this.#rebase(shown);
        }
    }
}
