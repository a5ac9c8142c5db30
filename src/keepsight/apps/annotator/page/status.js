/** What the page says about itself: the clip, the model, the connection, and which tools can be used. */

import { find, say } from "./elements.js";
import { counted, itemToDraw, runRefusal, toolRefusal } from "./state.js";
import { runNames } from "./transport.js";

/**
 * @typedef {import("./state.js").State} State
 * @typedef {import("./state.js").ToolName} ToolName
 */

const MODEL = { loading: "is being loaded", ready: "ready", failed: "failed" };

export class Status {
    /**
     * @param {import("./store.js").Store<State>} store
     * @param {(tool: ToolName) => string} hint of a tool
     */
    constructor(store, hint) {
        this.store = store;
        this.hint = hint;
        this.tools = /** @type {HTMLButtonElement[]} */ ([...document.querySelectorAll("button[data-tool]")]);
        store.watch(["project"], (state) => this.#name(state));
        store.watch(["connection"], ({ connection }) => {
            find("lost", HTMLDivElement).hidden = connection !== "lost";
            document.body.dataset.connection = connection;
        });
        store.watch(["project"], (state) => this.#unfinished(state));
        store.watch(["project", "connection", "tool", "selected", "fresh", "newKind"], (state) =>
            this.#tools(state),
        );
        store.watch(["project", "connection"], (state) => this.#commands(state));
        store.watch(["brush"], ({ brush }) => {
            find("brush-size", HTMLInputElement).value = String(brush);
            say(find("brush-figure", HTMLOutputElement), `${brush} px`);
        });
    }

    /** @param {Readonly<State>} state */
    #name({ project }) {
        if (!project) {
            return;
        }
        const { source, model } = project;
        document.title = `${source.name} · keepsight`;
        say(find("clip-name", HTMLSpanElement), source.name);
        const rate = source.rate
            ? `${Number(source.rate.toFixed(2))} frames/s`
            : counted(source.frames, "image");
        say(find("clip-facts", HTMLSpanElement), `${source.width} × ${source.height} · ${rate}`);
        const chip = find("model", HTMLSpanElement);
        chip.dataset.state = model.state;
        chip.title = model.error ?? "";
        say(find("model-name", HTMLSpanElement), `${model.name} ${MODEL[model.state]}`);
    }

    /** @param {Readonly<State>} state */
    #unfinished({ project }) {
        const run = project?.unfinished ?? null;
        find("unfinished", HTMLDivElement).hidden = !run;
        if (run && project) {
            const what = `Tracking ${runNames(project, run)} to frame ${run.target} was interrupted`;
            say(
                find("unfinished-what", HTMLSpanElement),
                `${what} after ${run.done} of ${run.total} frames.`,
            );
        }
    }

    /** @param {Readonly<State>} state */
    #tools(state) {
        for (const button of this.tools) {
            const tool = /** @type {ToolName} */ (button.dataset.tool);
            const reason = toolRefusal(state, tool);
            button.setAttribute("aria-pressed", String(state.tool === tool));
            button.setAttribute("aria-disabled", String(reason !== null));
            button.title = reason ?? button.dataset.title ?? "";
        }
        const reason = toolRefusal(state, state.tool);
        const item = itemToDraw(state);
        const target = state.tool === "select" ? "" : item ? `${item.name}: ` : "New object: ";
        const hint = find("hint", HTMLParagraphElement);
        hint.classList.toggle("refused", reason !== null);
        say(hint, reason ?? `${target}${this.hint(state.tool)}`);
        find("brush-row", HTMLLabelElement).hidden = state.tool !== "brush" && state.tool !== "eraser";
    }

    /** @param {Readonly<State>} state */
    #commands(state) {
        const { project, connection } = state;
        this.#enable(
            "undo",
            connection === "live" && project?.undo ? null : "Nothing to undo",
            project?.undo,
        );
        this.#enable(
            "redo",
            connection === "live" && project?.redo ? null : "Nothing to redo",
            project?.redo,
        );
        this.#enable("run", runRefusal(state), "Run action");
    }

    /**
     * @param {string} id of a command with a button
     * @param {string | null} reason why not
     * @param {string | null | undefined} what it does now
     */
    #enable(id, reason, what) {
        for (const button of document.querySelectorAll(`button[data-command="${id}"]`)) {
            button.setAttribute("aria-disabled", String(reason !== null));
            const label = button.getAttribute("data-title") ?? "";
            button.setAttribute(
                "title",
                reason ?? (what && !label.startsWith(what) ? `${label}: ${what}` : label),
            );
        }
    }
}
