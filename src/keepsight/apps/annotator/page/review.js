/** The stretches of frames that are most likely wrong, and going through them. */

import { find, make, say } from "./elements.js";
import { isRunning, modelRefusal } from "./state.js";

/**
 * @typedef {import("./state.js").State} State
 * @typedef {import("./wire").Stretch} Stretch
 */

export class ReviewPanel {
    /** @type {Stretch | null} the one gone to last */
    #current = null;
    /** @type {{ review: readonly object[] | null, objects: readonly object[] | undefined }} */
    #drawn = { review: null, objects: undefined };

    /**
     * @param {import("./store.js").Store<State>} store
     * @param {import("./actions.js").Actions} actions
     * @param {(frame: number) => void} seek
     * @param {(sentence: string) => void} announce
     * @param {(sentence: string) => void} note on the screen, too
     */
    constructor(store, actions, seek, announce, note) {
        this.store = store;
        this.actions = actions;
        this.seek = seek;
        this.announce = announce;
        this.note = note;
        this.list = find("review", HTMLOListElement);
        this.empty = find("review-empty", HTMLParagraphElement);
        this.bothWays = find("both-ways", HTMLButtonElement);
        this.bothWays.onclick = () => {
            const { selected, comparing } = this.store.state;
            if (comparing !== null) {
                void this.actions.cancelRun(true);
            } else if (selected !== null) {
                void this.actions.reviewBothWays(selected);
            }
        };
        store.watch(["review", "project"], () => this.#draw());
        store.watch(["frame"], () => this.#mark());
        store.watch(["selected", "project", "comparing"], (state) => {
            const { selected, comparing } = state;
            this.bothWays.disabled =
                comparing === null && (selected === null || isRunning(state) || modelRefusal(state) !== null);
            this.bothWays.classList.toggle("busy", comparing !== null);
            say(this.bothWays, comparing === null ? "Both ways" : "Cancel");
        });
    }

    /** Goes to the worst stretch; from one of the list, to the next. */
    next() {
        const stretches = this.#shown();
        if (!stretches.length) {
            this.note("There is nothing to review: no frame is suspected to be wrong.");
            return;
        }
        this.#go(following(stretches, this.#current, this.store.state.frame));
    }

    /** @param {Stretch} stretch */
    #go(stretch) {
        this.#current = stretch;
        this.actions.select(stretch.object);
        this.seek(stretch.frame);
        this.announce(`Review: ${this.#title(stretch)}, ${stretch.reasons.join(", ")}.`);
        this.#mark();
    }

    /** @returns {Stretch[]} of objects that still exist */
    #shown() {
        const alive = new Set(this.store.state.project?.objects.map(({ id }) => id));
        return this.store.state.review.filter(({ object }) => alive.has(object));
    }

    /** @param {Stretch} stretch */
    #name({ object }) {
        return this.store.state.project?.objects.find(({ id }) => id === object)?.name ?? "object";
    }

    /** @param {Stretch} stretch */
    #title(stretch) {
        const { start, stop, frame } = stretch;
        const span = stop - start > 1 ? ` (${start} to ${stop - 1})` : "";
        return `${this.#name(stretch)}, frame ${frame}${span}`;
    }

    #draw() {
        const { review, project } = this.store.state;
        if (review === this.#drawn.review && project?.objects === this.#drawn.objects) {
            return;
        }
        this.#drawn = { review, objects: project?.objects };
        const stretches = this.#shown();
        const focused = [...this.list.querySelectorAll("button")].findIndex(
            (button) => button === document.activeElement,
        );
        this.list.replaceChildren(
            ...stretches.map((stretch) => {
                const button = make("button", {
                    type: "button",
                    class: "stretch",
                    "data-frame": stretch.frame,
                });
                const colour =
                    this.store.state.project?.objects.find(({ id }) => id === stretch.object)?.colour ?? "";
                const swatch = make("span", { class: "swatch" });
                swatch.style.background = colour;
                const bar = make("span", { class: "risk", title: `Risk ${stretch.risk.toFixed(2)}` });
                bar.style.setProperty("--risk", String(Math.min(1, Math.max(0, stretch.risk))));
                const { frame, start, stop, reasons } = stretch;
                const line = make("span", { class: "row" }, swatch);
                line.append(
                    make("span", { class: "ellipsis grow" }, this.#name(stretch)),
                    make("b", { class: "figure" }, String(frame)),
                    make("span", { class: "span" }, stop - start > 1 ? `${start}–${stop - 1}` : ""),
                    bar,
                );
                button.append(line, make("span", { class: "reasons" }, reasons.join(" · ")));
                button.title = this.#title(stretch);
                button.onclick = () => this.#go(stretch);
                return make("li", {}, button);
            }),
        );
        this.empty.hidden = stretches.length > 0;
        if (focused >= 0) {
            // The place in the list keeps the focus, whatever stands there now.
            const buttons = this.list.querySelectorAll("button");
            (buttons[Math.min(focused, buttons.length - 1)] ?? this.bothWays).focus();
        }
        this.#mark();
    }

    #mark() {
        const { frame } = this.store.state;
        for (const button of this.list.querySelectorAll("button")) {
            button.setAttribute("aria-current", String(Number(button.dataset.frame) === frame));
        }
    }
}

/**
 * @param {readonly Stretch[]} stretches worst first
 * @param {Stretch | null} current gone to last
 * @param {number} frame shown
 * @returns {Stretch} the worst, or the one after the current if that is what is shown
 */
export function following(stretches, current, frame) {
    const place = stretches.findIndex(
        ({ object, frame: other }) => object === current?.object && other === current?.frame,
    );
    const there = place >= 0 && stretches[place].frame === frame;
    return stretches[there ? (place + 1) % stretches.length : 0];
}
