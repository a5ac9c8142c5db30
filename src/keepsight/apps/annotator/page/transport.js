/** Below the picture: the frame's number and time, playing, and the run that is going on. */

import { find, say } from "./elements.js";
import { counted, timeOf } from "./state.js";

/** @typedef {import("./state.js").State} State */

export class Transport {
    /**
     * @param {import("./store.js").Store<State>} store
     * @param {(frame: number) => void} seek
     */
    constructor(store, seek) {
        this.store = store;
        this.number = find("frame-number", HTMLInputElement);
        this.time = find("frame-time", HTMLSpanElement);
        this.play = find("play", HTMLButtonElement);
        this.strip = find("run-strip", HTMLDivElement);
        this.follow = find("follow", HTMLInputElement);
        this.number.onchange = () => {
            const frame = Number.parseInt(this.number.value, 10);
            if (Number.isFinite(frame)) {
                seek(frame);
            }
            this.number.value = String(store.state.frame);
        };
        this.number.onkeydown = (event) => {
            if (event.key === "Enter") {
                this.number.blur();
            }
        };
        this.follow.onchange = () => store.set({ follow: this.follow.checked });
        store.watch(["frame", "project"], (state) => this.#place(state));
        store.watch(["playing"], ({ playing }) => {
            this.play.setAttribute("aria-pressed", String(playing));
            this.play.setAttribute("aria-label", playing ? "Pause" : "Play");
            this.play.querySelector("use")?.setAttribute("href", playing ? "#i-pause" : "#i-play");
        });
        store.watch(["follow"], ({ follow }) => (this.follow.checked = follow));
        store.watch(["project"], (state) => this.#showRun(state));
    }

    /** Takes the focus to the frame's number. */
    jump() {
        this.number.focus();
        this.number.select();
    }

    /** @param {Readonly<State>} state */
    #place({ frame, project }) {
        if (document.activeElement !== this.number) {
            this.number.value = String(frame);
        }
        if (project) {
            this.number.max = String(project.source.frames - 1);
            say(find("frame-last", HTMLSpanElement), `/ ${project.source.frames - 1}`);
            say(this.time, timeOf(project, frame));
        }
    }

    /** @param {Readonly<State>} state */
    #showRun({ project }) {
        const run = project?.run?.state === "running" ? project.run : null;
        this.strip.hidden = !run;
        if (!run || !project) {
            return;
        }
        const bar = find("run-bar", HTMLProgressElement);
        bar.max = Math.max(1, run.total);
        bar.value = run.done;
        say(find("run-what", HTMLSpanElement), `Tracking ${runNames(project, run)} to frame ${run.target}`);
        say(find("run-figures", HTMLSpanElement), runFigures(run));
    }
}

/**
 * @param {import("./wire").Project} project
 * @param {import("./wire").Run} run
 * @returns {string} the objects, for people
 */
export function runNames(project, run) {
    const names = project.objects.filter(({ id }) => run.objects.includes(id)).map(({ name }) => name);
    return names.length === 1 || names.length === 2
        ? names.join(" and ")
        : counted(run.objects.length, "object");
}

/**
 * @param {import("./wire").Run} run
 * @returns {string} how far it is, how fast, and how long it will still take
 */
export function runFigures({ done, total, speed }) {
    const parts = [`${done} of ${counted(total, "frame")}`];
    if (speed) {
        const left = Math.ceil((total - done) / speed);
        parts.push(`${speed.toFixed(1)} frames/s`);
        parts.push(left >= 60 ? `${Math.ceil(left / 60)} min left` : `${left} s left`);
    }
    return parts.join(" · ");
}
