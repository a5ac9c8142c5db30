/** Short messages at the edge of the page; errors interrupt a screen reader, the rest waits its turn. */

import { icon, make } from "./elements.js";

const SHOWN = { error: 12_000, note: 6_000 }; // milliseconds
const MOST = 4;

export class Toasts {
    /** @param {HTMLElement} place */
    constructor(place) {
        this.place = place;
    }

    /** @param {unknown} error */
    error(error) {
        this.#show("error", error instanceof Error ? error.message : String(error));
    }

    /** @param {string} sentence */
    note(sentence) {
        this.#show("note", sentence);
    }

    /**
     * @param {"error" | "note"} kind
     * @param {string} sentence
     */
    #show(kind, sentence) {
        for (const toast of [...this.place.children]) {
            if (toast.textContent === sentence) {
                toast.remove();
            }
        }
        const toast = make("div", { class: `toast ${kind}`, role: kind === "error" ? "alert" : "status" });
        const close = make("button", { class: "quiet", type: "button", "aria-label": "Close this message" });
        close.append(icon("i-close"));
        close.onclick = () => toast.remove();
        toast.append(icon(kind === "error" ? "i-warning" : "i-check"), make("p", {}, sentence), close);
        this.place.append(toast);
        while (this.place.children.length > MOST) {
            this.place.firstElementChild?.remove();
        }
        this.#fade(toast, SHOWN[kind]);
    }

    /**
     * @param {HTMLElement} toast stays while it is pointed at or has the focus
     * @param {number} delay
     */
    #fade(toast, delay) {
        setTimeout(() => {
            if (toast.matches(":hover, :focus-within")) {
                this.#fade(toast, delay);
            } else {
                toast.remove();
            }
        }, delay);
    }
}
