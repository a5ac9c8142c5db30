/** The video as the page moves through it: decoded frames, the one shown, playing, following a run. */

import { FrameCache, framesKept } from "./frames.js";
import { Navigator } from "./navigator.js";
import { Playback } from "./playback.js";
import { rateOf } from "./state.js";

const NEAR = 3; // frames: a longer way is a leap
const REST = 150; // milliseconds on a frame until those that follow are fetched

export class Film {
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    #timer;

    /** @type {FrameCache<ImageBitmap> | null} */
    frames = null;

    /**
     * @param {object} parts
     * @param {import("./store.js").Store<import("./state.js").State>} parts.store
     * @param {import("./shape_cache.js").ShapeCache} parts.shapes
     * @param {(index: number, fingerprint: string, signal: AbortSignal) => Promise<Blob>} parts.load
     * @param {() => void} parts.onframe the frame shown is decoded
     * @param {(sentence: string) => void} parts.onfail
     */
    constructor({ store, shapes, load, onframe, onfail }) {
        this.store = store;
        this.shapes = shapes;
        this.load = load;
        this.onframe = onframe;
        this.onfail = onfail;
        this.navigator = new Navigator({ show: (frame, direction) => this.#show(frame, direction) });
        this.playback = new Playback({
            now: () => performance.now(),
            tick: (callback) => requestAnimationFrame(callback),
            frame: () => this.navigator.frame,
            ready: (frame) => (this.frames?.isKnown(frame) ?? true) && this.shapes.get(frame) !== null,
            seek: (frame) => this.navigator.seek(frame),
            onchange: (playing) => store.set({ playing }),
        });
    }

    /** @param {import("./wire").Source} source */
    open(source) {
        this.frames?.clear();
        this.frames = new FrameCache({
            load: async (index, signal) =>
                createImageBitmap(await this.load(index, source.fingerprint, signal)),
            release: (picture) => picture.close(),
            onload: (index) => index === this.store.state.frame && this.onframe(),
            onfail: (index, sentence) => {
                if (index === this.store.state.frame) {
                    this.onfail(sentence);
                    this.onframe();
                }
            },
            count: source.frames,
            capacity: framesKept(source),
        });
        this.shapes.count = source.frames;
        this.navigator.count = source.frames;
        this.playback.count = source.frames;
        this.playback.rate = rateOf(source);
        this.navigator.seek(this.store.state.frame);
        this.#fetch();
    }

    /** @param {number} frame goes there, and no longer along with a run */
    visit(frame) {
        this.stay();
        this.navigator.seek(frame);
    }

    /** Stays on the frame shown, as something is done on it. */
    stay() {
        this.playback.stop();
        this.store.set({ follow: false });
    }

    /** @param {number} frames forward, or back if negative */
    step(frames) {
        this.visit(this.navigator.goal + frames);
    }

    /** Plays from here, or stops. */
    toggle() {
        this.store.set({ follow: false });
        this.playback.toggle();
        if (this.playback.playing) {
            // Whoever came here backwards has the wrong frames ready.
            this.navigator.direction = 1;
            this.#fetch();
        }
    }

    /** @param {number} frame is on the screen */
    drawn(frame) {
        clearTimeout(this.#timer);
        // Who goes on meanwhile has no use for what follows this frame, and would wait for it.
        this.#timer = setTimeout(() => this.#fetch(), REST);
        this.navigator.drawn(frame);
    }

    /** @param {import("./wire").Run} run */
    follow(run) {
        if (run.state === "running" && run.frame_now !== null && this.store.state.follow) {
            this.navigator.seek(run.frame_now);
        }
    }

    /** Asks again for what could not be had. */
    retry() {
        this.frames?.forgive();
        this.#fetch();
    }

    /**
     * @param {number} frame
     * @param {number} direction
     */
    #show(frame, direction) {
        const leap = Math.abs(frame - this.store.state.frame) > NEAR;
        this.store.set({ frame });
        this.#fetch(direction, leap);
        clearTimeout(this.#timer);
        this.onframe();
    }

    #fetch(direction = this.navigator.direction, rushing = false) {
        const { frame } = this.store.state;
        this.frames?.want(frame, direction, rushing);
        this.shapes.want(frame, direction, rushing);
    }
}
