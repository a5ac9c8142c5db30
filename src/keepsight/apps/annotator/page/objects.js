/** The list of objects, and what can be changed about the one that is selected. */

import { find, say } from "./elements.js";
import { ObjectRow } from "./object_row.js";
import { selectedItem } from "./state.js";

/**
 * @typedef {import("./state.js").State} State
 * @typedef {import("./wire").Item} Item
 * @typedef {import("./wire").Kind} Kind
 */

export class ObjectList {
    /** @type {Map<number, ObjectRow>} */
    #rows = new Map();
    /** @type {Item | null} whose details are shown */
    #filled = null;
    /** Changes on their way: a project that was asked for before them must not take them back on sight. */
    #changing = 0;
    /** @type {number | null} the object whose name is being typed, whichever is selected meanwhile */
    #named = null;

    /**
     * @param {import("./store.js").Store<State>} store
     * @param {import("./actions.js").Actions} actions
     * @param {import("./shape_cache.js").ShapeCache} shapes
     */
    constructor(store, actions, shapes) {
        this.store = store;
        this.actions = actions;
        this.shapes = shapes;
        this.list = find("objects", HTMLUListElement);
        this.details = find("details", HTMLFormElement);
        this.name = find("object-name", HTMLInputElement);
        this.colour = find("object-colour", HTMLInputElement);
        this.kind = find("object-kind", HTMLSelectElement);
        this.tracked = find("object-tracked", HTMLInputElement);
        this.newKind = find("new-kind", HTMLSelectElement);
        this.#listen();
        store.watch(["project", "selected", "frame", "fresh"], () => this.redraw());
        this.details.hidden = true;
        store.watch(["project", "selected"], () => this.#fill());
        store.watch(["newKind"], ({ newKind }) => (this.newKind.value = newKind));
    }

    /** Shows the list again, for what is visible on the frame too. */
    redraw() {
        const { project, selected, frame, fresh } = this.store.state;
        const items = project?.objects ?? [];
        const scene = this.shapes.get(frame);
        for (const id of [...this.#rows.keys()].filter((id) => !items.some((item) => item.id === id))) {
            this.#rows.get(id)?.element.remove();
            this.#rows.delete(id);
        }
        items.forEach((item, place) => {
            const row = this.#rows.get(item.id) ?? new ObjectRow(item.id, this.actions, () => this.rename());
            this.#rows.set(item.id, row);
            // An element that is replaced under the mouse gets no click: rows stay as long as their objects.
            if (this.list.children[place] !== row.element) {
                this.list.insertBefore(row.element, this.list.children[place] ?? null);
            }
            row.show(item, item.id === selected && !fresh, scene?.shapes.get(item.id) ?? null);
        });
        const active = selected === null ? undefined : this.#rows.get(selected)?.element;
        const before = this.list.getAttribute("aria-activedescendant");
        if (!active) {
            this.list.removeAttribute("aria-activedescendant");
        } else if (active.id !== before) {
            this.list.setAttribute("aria-activedescendant", active.id);
            active.scrollIntoView({ block: "nearest" });
        }
        find("objects-empty", HTMLParagraphElement).hidden = items.length > 0 || !project;
    }

    /**
     * @param {number} step
     * @returns {boolean} whether there was another object that way
     */
    move(step) {
        const items = this.store.state.project?.objects ?? [];
        const place = items.findIndex(({ id }) => id === this.store.state.selected);
        const next = items[place < 0 && step < 0 ? items.length - 1 : place + step];
        if (next) {
            this.actions.select(next.id);
        }
        return next !== undefined;
    }

    rename() {
        if (selectedItem(this.store.state)) {
            this.name.focus();
            this.name.select();
        }
    }

    #listen() {
        this.list.addEventListener("keydown", (event) => {
            /** @type {Record<string, number>} */
            const steps = { ArrowDown: 1, ArrowUp: -1, Home: -Infinity, End: Infinity };
            const step = steps[event.key];
            if (step) {
                event.preventDefault();
                event.stopPropagation();
                this.#jump(step);
            }
        });
        this.details.onsubmit = (event) => {
            event.preventDefault();
            this.name.blur();
        };
        this.name.onfocus = () => {
            this.#named = this.store.state.selected;
        };
        this.name.onblur = () => {
            const item = this.store.state.project?.objects.find(({ id }) => id === this.#named);
            const name = this.name.value.trim();
            this.#named = null;
            if (item && name && name !== item.name) {
                void this.actions.change(item.id, { name });
            }
            this.name.value = selectedItem(this.store.state)?.name ?? "";
        };
        this.colour.onchange = () => this.#change({ colour: this.colour.value });
        this.kind.onchange = () => this.#change({ kind: /** @type {Kind} */ (this.kind.value) });
        this.tracked.onchange = () => this.#change({ tracked: this.tracked.checked });
        this.newKind.onchange = () => this.store.set({ newKind: /** @type {Kind} */ (this.newKind.value) });
    }

    /** @param {number} step infinite for the end of the list */
    #jump(step) {
        const items = this.store.state.project?.objects ?? [];
        if (Number.isFinite(step)) {
            this.move(step);
        } else if (items.length) {
            this.actions.select(items[step < 0 ? 0 : items.length - 1].id);
        }
    }

    /** @param {Partial<Omit<Item, "id">>} change */
    async #change(change) {
        const { selected } = this.store.state;
        if (selected === null) {
            return;
        }
        this.#changing += 1;
        try {
            await this.actions.change(selected, change);
        } finally {
            this.#changing -= 1; // the project, which is asked for again, fills the form
        }
    }

    #fill() {
        const item = selectedItem(this.store.state);
        if (item === this.#filled || (this.#changing && item?.id === this.#filled?.id)) {
            return;
        }
        this.#filled = item;
        this.details.hidden = !item;
        if (!item) {
            return;
        }
        if (document.activeElement !== this.name) {
            this.name.value = item.name;
        }
        this.colour.value = item.colour;
        this.kind.value = item.kind;
        this.tracked.checked = item.tracked;
        for (const control of [this.name, this.colour, this.kind, this.tracked]) {
            control.disabled = item.locked;
        }
        const [hide, lock] = [find("hide-button", HTMLButtonElement), find("lock-button", HTMLButtonElement)];
        hide.setAttribute("aria-pressed", String(!item.shown));
        lock.setAttribute("aria-pressed", String(item.locked));
        say(find("details-title", HTMLHeadingElement), item.name);
    }
}
