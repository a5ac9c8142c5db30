/** Light or dark: as the system has it, unless the reader chose. */

const KEY = "keepsight.theme";

/** @typedef {"light" | "dark"} Theme */

export class ThemeSwitch {
    /**
     * @param {HTMLElement} root
     * @param {HTMLButtonElement} button
     * @param {() => void} onchange for what is drawn rather than styled
     */
    constructor(root, button, onchange) {
        this.root = root;
        this.button = button;
        this.system = matchMedia("(prefers-color-scheme: dark)");
        const kept = read();
        if (kept) {
            root.dataset.theme = kept;
        }
        button.onclick = () => {
            const theme = this.now === "dark" ? "light" : "dark";
            root.dataset.theme = theme;
            write(theme);
            this.#label();
            onchange();
        };
        this.system.addEventListener("change", () => {
            this.#label();
            onchange();
        });
        this.#label();
    }

    /** @returns {Theme} */
    get now() {
        const chosen = this.root.dataset.theme;
        return chosen === "light" || chosen === "dark" ? chosen : this.system.matches ? "dark" : "light";
    }

    #label() {
        const label = this.now === "dark" ? "Light colours" : "Dark colours";
        this.button.setAttribute("aria-label", label);
        this.button.title = label;
    }
}

/** @returns {Theme | null} */
function read() {
    try {
        const kept = localStorage.getItem(KEY);
        return kept === "light" || kept === "dark" ? kept : null;
    } catch {
        return null; // storage may be forbidden
    }
}

/** @param {Theme} theme */
function write(theme) {
    try {
        localStorage.setItem(KEY, theme);
    } catch {
        // Then it holds for this visit only.
    }
}
