/**
 * Which frame is shown next. A frame is left only when it has been drawn (or has had time enough), so that
 * someone who scrubs sees as many frames as the machine can show rather than none until they stop.
 */

// Milliseconds for a frame that does not come. Asking for another one before that costs the server more.
const PATIENCE = 2500;

export class Navigator {
    /** @type {number | null} */
    #goal = null;
    #drawn = true;
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    #timer;

    /**
     * @param {object} options
     * @param {(frame: number, direction: number) => void} options.show
     * @param {number} [options.count] frames of the video
     */
    constructor({ show, count = 1 }) {
        this.show = show;
        this.count = count;
        this.frame = 0;
        this.direction = 1;
    }

    /** @returns {number} the frame that is gone to, or is shown if none is */
    get goal() {
        return this.#goal ?? this.frame;
    }

    /** @param {number} frame is clipped to the video */
    seek(frame) {
        const goal = Math.min(this.count - 1, Math.max(0, Math.round(frame)));
        if (this.#drawn) {
            this.#go(goal);
        } else {
            this.#goal = goal;
        }
    }

    /** @param {number} frames forward, or back if negative */
    step(frames) {
        this.seek(this.goal + frames);
    }

    /** @param {number} frame is on the screen now */
    drawn(frame) {
        if (frame === this.frame) {
            this.#arrive();
        }
    }

    #arrive() {
        clearTimeout(this.#timer);
        this.#drawn = true;
        const goal = this.#goal;
        this.#goal = null;
        if (goal !== null) {
            this.#go(goal);
        }
    }

    /** @param {number} frame */
    #go(frame) {
        if (frame === this.frame) {
            return;
        }
        this.direction = frame > this.frame ? 1 : -1;
        this.frame = frame;
        this.#drawn = false;
        clearTimeout(this.#timer);
        this.#timer = setTimeout(() => this.#arrive(), PATIENCE);
        this.show(frame, this.direction);
    }
}
