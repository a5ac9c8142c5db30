/** Run actions (Ctrl+E): "Segment Anything 2: Tracker". */

import { find, make } from "../elements.js";
import { counted, itemRefusal, selectedItem } from "../state.js";
import { Dialog } from "./dialog.js";

/**
 * @typedef {import("../state.js").State} State
 * @typedef {import("../wire").Direction} Direction
 * @typedef {import("../wire").Item} Item
 */

export class RunDialog extends Dialog {
    #frame = 0; // from which is tracked: that which was shown when it was opened

    /**
     * @param {import("../store.js").Store<State>} store
     * @param {import("../actions.js").Actions} actions
     * @param {import("../shape_cache.js").ShapeCache} shapes
     */
    constructor(store, actions, shapes) {
        super("run-dialog");
        this.store = store;
        this.actions = actions;
        this.shapes = shapes;
        this.target = find("run-target", HTMLInputElement);
        this.model = find("run-model", HTMLSelectElement);
        this.policy = find("run-policy", HTMLSelectElement);
        this.convert = find("run-convert", HTMLInputElement);
        this.scope = find("run-scope", HTMLFieldSetElement);
        this.form.addEventListener("change", (event) => this.#changed(event));
        store.watch(["project"], () => {
            // What it was opened on may have been about to change.
            if (this.element.open) {
                this.#offerConversion();
            }
        });
    }

    /** @override */
    prepare() {
        const { project, frame, selected } = this.store.state;
        if (!project) {
            return;
        }
        const last = project.source.frames - 1;
        this.#frame = frame;
        this.target.max = String(last);
        this.#choose("direction", frame < last ? "forward" : "backward");
        this.#setTarget();
        fill(this.model, project.models, project.model.name);
        fill(this.policy, project.policies, project.policy);
        const item = selectedItem(this.store.state);
        const scene = this.shapes.get(frame);
        const visible = project.objects.filter(
            (other) => !itemRefusal(other) && (!scene || scene.shapes.get(other.id)?.outside === false),
        );
        this.#choose("scope", selected !== null ? "selected" : "visible");
        const one = find("run-selected", HTMLInputElement);
        one.disabled = !item;
        find("run-selected-name", HTMLSpanElement).textContent = item
            ? item.name
            : "the selected object (none)";
        find("run-visible-count", HTMLSpanElement).textContent =
            `all visible here and unlocked (${counted(visible.length, "object")})`;
        this.#offerConversion();
        find("run-from", HTMLSpanElement).textContent = `from frame ${frame}`;
    }

    /** @override */
    async submit() {
        const frame = this.#frame;
        const { selected } = this.store.state;
        const target = Number.parseInt(this.target.value, 10);
        const reason = targetProblem(frame, target, this.#direction, this.#last);
        if (reason) {
            this.target.focus();
            throw new Error(reason);
        }
        await this.actions.run({
            objects: this.#scope === "selected" && selected !== null ? [selected] : "visible",
            frame,
            target,
            direction: this.#direction,
            model: this.model.value,
            policy: this.policy.value,
            convert: this.convert.checked && !this.convert.disabled,
        });
        this.close();
    }

    /** @returns {Direction} */
    get #direction() {
        return /** @type {Direction} */ (new FormData(this.form).get("direction") ?? "forward");
    }

    get #last() {
        return (this.store.state.project?.source.frames ?? 1) - 1;
    }

    get #scope() {
        return new FormData(this.form).get("scope");
    }

    /** @param {Event} event */
    #changed(event) {
        const { target } = event;
        if (target instanceof HTMLInputElement && target.name === "direction") {
            const typed = Number.parseInt(this.target.value, 10);
            // A target that was typed stays, unless there is no way to it now.
            if (targetProblem(this.#frame, typed, this.#direction, this.#last)) {
                this.#setTarget();
            }
        }
        this.#offerConversion();
        this.fail("");
    }

    #setTarget() {
        const back =
            this.#direction === "backward" || (this.#direction === "both" && this.#frame === this.#last);
        this.target.value = String(back ? 0 : this.#last);
    }

    /**
     * @param {string} name
     * @param {string} value
     */
    #choose(name, value) {
        const choice = this.form.querySelector(`input[name="${name}"][value="${value}"]`);
        if (choice instanceof HTMLInputElement) {
            choice.checked = true;
        }
    }

    /** Converting makes sense for shapes that are no tracks yet. */
    #offerConversion() {
        const { project, selected } = this.store.state;
        const items = (project?.objects ?? []).filter(({ id, shown }) =>
            this.#scope === "selected" ? id === selected : shown,
        );
        const some = items.some(({ kind, tracked }) => kind === "polygon" && !tracked);
        this.convert.disabled = !some;
        find("run-convert-why", HTMLSpanElement).hidden = some;
    }
}

/**
 * @param {number} frame from which is tracked
 * @param {number} target
 * @param {Direction} direction
 * @param {number} last frame of the video
 * @returns {string | null} what is wrong with the target, or null
 */
export function targetProblem(frame, target, direction, last) {
    if (!Number.isInteger(target) || target < 0 || target > last) {
        return `The target must be a frame from 0 to ${last}.`;
    }
    if (target === frame) {
        return `The target must not be frame ${frame} itself.`;
    }
    if (direction === "forward" && target < frame) {
        return `Forward, the target must be greater than the current frame, ${frame}.`;
    }
    if (direction === "backward" && target > frame) {
        return `Backward, the target must be less than the current frame, ${frame}.`;
    }
    return null;
}

/**
 * @param {HTMLSelectElement} select
 * @param {string[]} names
 * @param {string} chosen
 */
function fill(select, names, chosen) {
    select.replaceChildren(...names.map((name) => make("option", { value: name }, name)));
    select.value = chosen;
}
