/** What becomes of a run that is cancelled: kept as far as it is, or taken back. */

import { counted } from "../state.js";
import { find } from "../elements.js";
import { Dialog } from "./dialog.js";

export class CancelDialog extends Dialog {
    /**
     * @param {import("../store.js").Store<import("../state.js").State>} store
     * @param {import("../actions.js").Actions} actions
     */
    constructor(store, actions) {
        super("cancel-dialog");
        this.store = store;
        this.actions = actions;
        find("cancel-keep", HTMLButtonElement).onclick = () => this.#cancel(true);
        find("cancel-back", HTMLButtonElement).onclick = () => this.#cancel(false);
        store.watch(["project"], ({ project }) => {
            const run = project?.run;
            if (run?.state === "running") {
                find("cancel-keep", HTMLButtonElement).textContent =
                    `Keep the ${counted(run.done, "frame")} done`;
            } else if (this.element.open) {
                this.close();
            }
        });
    }

    /** @param {boolean} keep */
    #cancel(keep) {
        this.close();
        void this.actions.cancelRun(keep);
    }
}
