/** Export and import. */

import { isAborted } from "../api.js";
import { find } from "../elements.js";
import { counted } from "../state.js";
import { Dialog } from "./dialog.js";

/**
 * @typedef {import("../wire").ExportFormat} ExportFormat
 * @typedef {import("../wire").ImportFormat} ImportFormat
 */

/** @type {Record<ExportFormat, string>} */
const SUFFIXES = { cvat: ".xml", coco: ".json", davis: ".zip", jsonl: ".jsonl", overlay: ".mp4" };

export class ExportDialog extends Dialog {
    /** @type {AbortController | null} */
    #request = null;

    /**
     * @param {import("../store.js").Store<import("../state.js").State>} store
     * @param {import("../api.js").Api} api
     */
    constructor(store, api) {
        super("export-dialog");
        this.store = store;
        this.api = api;
        this.element.addEventListener("close", () => this.#request?.abort());
    }

    /** @override */
    async submit() {
        if (this.#request) {
            return;
        }
        const format = /** @type {ExportFormat} */ (new FormData(this.form).get("format"));
        this.#request = new AbortController();
        try {
            const { blob, name } = await this.api.exportFile(format, this.#request.signal);
            const stem = (this.store.state.project?.source.name ?? "clip").replace(/\.[^.]+$/, "");
            save(blob, name ?? `${stem}${SUFFIXES[format]}`);
            this.close();
        } catch (error) {
            if (!isAborted(error)) {
                throw error;
            }
        } finally {
            this.#request = null;
        }
    }
}

export class ImportDialog extends Dialog {
    #sending = false;

    /**
     * @param {import("../api.js").Api} api
     * @param {import("../sync.js").Sync} sync
     * @param {(sentence: string) => void} note
     */
    constructor(api, sync, note) {
        super("import-dialog");
        this.api = api;
        this.sync = sync;
        this.note = note;
        this.file = find("import-file", HTMLInputElement);
        this.format = find("import-format", HTMLSelectElement);
        this.file.onchange = () => {
            const format = formatOf(this.file.files?.[0]?.name ?? "");
            this.format.value = format ?? this.format.value;
        };
    }

    /** @override */
    prepare() {
        this.form.reset();
    }

    /** @override */
    async submit() {
        const file = this.file.files?.[0];
        if (!file) {
            throw new Error("Choose a file first.");
        }
        if (this.#sending) {
            return;
        }
        this.#sending = true;
        const format = /** @type {ImportFormat} */ (this.format.value);
        const sent = this.api.importFile(format, file).finally(() => (this.#sending = false));
        const { objects, shapes, passed_over: passed } = await sent;
        this.sync.shapes.spoil();
        this.sync.refresh();
        const beyond = passed ? ` ${counted(passed, "shape")} of frames that are not there passed over.` : "";
        const brought = `${counted(objects, "object")} with ${counted(shapes, "shape")}`;
        this.note(`Imported ${brought}.${beyond} Ctrl+Z takes it back.`);
        this.close();
    }
}

/**
 * @param {string} name of a file
 * @returns {ImportFormat | null} what it is likely to be
 */
export function formatOf(name) {
    const suffix = /\.[^.]+$/.exec(name.toLowerCase())?.[0];
    const formats = /** @type {[ImportFormat, string][]} */ (Object.entries(SUFFIXES));
    return formats.find(([format, other]) => other === suffix && format in IMPORTED)?.[0] ?? null;
}

/** @type {Record<ImportFormat, true>} */
const IMPORTED = { cvat: true, coco: true, davis: true, jsonl: true };

/**
 * @param {Blob} blob
 * @param {string} name
 */
function save(blob, name) {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(blob);
    link.download = name;
    link.click();
    // The download has its own hold on the data by then.
    setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}
