/** An object's line in the list. */

import { icon, make, say } from "./elements.js";

/**
 * @typedef {import("./wire").Item} Item
 * @typedef {import("./wire").Shape} Shape
 */

const KINDS = /** @type {const} */ ({ mask: "i-mask", polygon: "i-polygon", rectangle: "i-box" });

export class ObjectRow {
    /** @type {Item | null} as it was shown last */
    #item = null;

    /**
     * @param {number} id
     * @param {import("./actions.js").Actions} actions
     * @param {() => void} rename the object that is selected
     */
    constructor(id, actions, rename) {
        this.actions = actions;
        this.element = make("li", { id: `object-${id}`, role: "option" });
        this.swatch = make("span", { class: "swatch" });
        this.kind = icon("i-mask");
        this.kind.classList.add("small");
        this.name = make("span", { class: "ellipsis grow" });
        this.figure = make("span", { class: "figure", title: "Score on this frame" });
        this.eye = this.#toggle((item) => ({ shown: !item.shown }));
        this.key = this.#toggle((item) => ({ locked: !item.locked }));
        this.element.append(this.swatch, this.kind, this.name, this.figure, this.eye, this.key);
        this.element.onclick = () => actions.select(id);
        this.element.ondblclick = rename;
    }

    /**
     * @param {Item} item
     * @param {boolean} selected
     * @param {Shape | null} shape on the frame shown
     */
    show(item, selected, shape) {
        this.element.setAttribute("aria-selected", String(selected));
        const score = shape && !shape.outside ? shape.score : undefined;
        say(this.figure, score === undefined ? "–" : score === null ? "✓" : score.toFixed(2));
        if (item === this.#item) {
            return;
        }
        this.#item = item;
        const state = [item.kind, item.shown ? "" : "hidden", item.locked ? "locked" : ""].filter(Boolean);
        this.element.setAttribute("aria-label", `${item.name}, ${state.join(", ")}`);
        this.element.className = item.shown ? "object" : "object faint";
        this.swatch.style.background = item.colour;
        say(this.name, item.name);
        draw(this.kind, KINDS[item.kind]);
        draw(this.eye, item.shown ? "i-eye" : "i-eye-off");
        draw(this.key, item.locked ? "i-lock" : "i-unlock");
        this.eye.title = item.shown ? "Hide (H)" : "Show (H)";
        this.key.title = item.locked ? "Unlock (L)" : "Lock (L)";
    }

    /**
     * For the mouse only: an option of a list cannot hold buttons; the same buttons are below the list.
     *
     * @param {(item: Item) => Partial<Omit<Item, "id">>} change
     * @returns {HTMLSpanElement}
     */
    #toggle(change) {
        const toggle = make("span", { class: "toggle", "aria-hidden": "true" });
        toggle.append(icon("i-eye"));
        toggle.onclick = (event) => {
            event.stopPropagation();
            if (this.#item) {
                void this.actions.change(this.#item.id, change(this.#item));
            }
        };
        return toggle;
    }
}

/**
 * @param {Element} place
 * @param {string} name of a symbol
 */
function draw(place, name) {
    place.querySelector("use")?.setAttribute("href", `#${name}`);
}
