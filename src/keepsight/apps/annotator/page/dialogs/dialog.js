/** Windows above the page, as the browser makes them: they keep the focus, and Esc closes them. */

import { find } from "../elements.js";

export class Dialog {
    /** @param {string} id of a <dialog> with a <form>, a place for errors and buttons */
    constructor(id) {
        this.element = find(id, HTMLDialogElement);
        const form = this.element.querySelector("form");
        const problem = this.element.querySelector(".problem");
        if (!form || !(problem instanceof HTMLElement)) {
            throw new TypeError(`Expected #${id} to hold a form and a place for errors.`);
        }
        this.form = form;
        this.problem = problem;
        for (const button of this.element.querySelectorAll("[data-close]")) {
            button.addEventListener("click", () => this.close());
        }
        // The backdrop counts as the dialog itself. Who lets go there of what was pressed within marks text.
        let pressed = false;
        this.element.addEventListener("pointerdown", (event) => (pressed = event.target === this.element));
        this.element.addEventListener("click", (event) => {
            if (event.target === this.element && pressed) {
                this.close();
            }
        });
        form.addEventListener("submit", (event) => {
            event.preventDefault();
            void this.#send();
        });
    }

    open() {
        this.fail("");
        this.prepare();
        if (!this.element.open) {
            this.element.showModal();
        }
    }

    close() {
        this.element.close();
    }

    /** Fills the form from what is the case now. */
    prepare() {}

    /**
     * Does what the dialog is for; a failure is shown in it.
     *
     * @returns {Promise<void>}
     */
    async submit() {}

    /** @param {string} sentence */
    fail(sentence) {
        this.problem.textContent = sentence;
        this.problem.hidden = !sentence;
    }

    async #send() {
        this.fail("");
        this.element.setAttribute("aria-busy", "true");
        try {
            await this.submit();
        } catch (error) {
            this.fail(error instanceof Error ? error.message : String(error));
        } finally {
            this.element.removeAttribute("aria-busy");
        }
    }
}
