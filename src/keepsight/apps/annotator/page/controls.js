/** What every command does, and the buttons that call for it. */

import { find } from "./elements.js";
import { isRunning, refusal, runRefusal, selectedItem } from "./state.js";
import { nextEdit } from "./timeline_rows.js";

/**
 * @typedef {import("./state.js").ToolName} ToolName
 * @typedef {import("./dialogs/dialog.js").Dialog} Dialog
 *
 * @typedef {object} Parts
 * @property {import("./store.js").Store<import("./state.js").State>} store
 * @property {import("./actions.js").Actions} actions
 * @property {import("./stage.js").Stage} stage
 * @property {import("./film.js").Film} film
 * @property {import("./objects.js").ObjectList} objects
 * @property {import("./review.js").ReviewPanel} review
 * @property {import("./transport.js").Transport} transport
 * @property {Record<"run" | "cancel" | "export" | "import" | "help", Dialog>} dialogs
 * @property {import("./toasts.js").Toasts} toasts
 */

/** @typedef {{ run: (id: string) => void, reconnect: () => void }} Calls */

/**
 * @param {Parts} parts
 * @returns {Record<string, () => unknown>} by the command's id
 */
export function handlers(parts) {
    return {
        ...frameHandlers(parts),
        ...drawHandlers(parts),
        ...workHandlers(parts),
        ...objectHandlers(parts),
    };
}

/** @param {Parts} parts @returns {Record<string, () => unknown>} */
function frameHandlers({ store, film, transport, toasts }) {
    const edit = (/** @type {1 | -1} */ direction) => {
        const { timeline, selected } = store.state;
        const frame = nextEdit(timeline, film.navigator.goal, direction, selected);
        if (frame === null) {
            toasts.note(`No frame ${direction > 0 ? "after" : "before"} this one was edited by hand.`);
        } else {
            film.visit(frame);
        }
    };
    return {
        next: () => film.step(1),
        previous: () => film.step(-1),
        forward: () => film.step(10),
        back: () => film.step(-10),
        first: () => film.visit(0),
        last: () => film.visit(Infinity),
        play: () => film.toggle(),
        jump: () => transport.jump(),
        nextEdit: () => edit(1),
        previousEdit: () => edit(-1),
    };
}

/** @param {Parts} parts @returns {Record<string, () => unknown>} */
function drawHandlers({ store, actions, stage, dialogs }) {
    const pick = (/** @type {ToolName} */ tool) => () => {
        store.set(tool === "select" ? { tool } : { tool, lastTool: tool });
    };
    const resize = (/** @type {number} */ factor) => () => {
        const brush = Math.round(store.state.brush * factor);
        store.set({
            brush: Math.min(
                100,
                Math.max(1, brush === store.state.brush ? brush + Math.sign(factor - 1) : brush),
            ),
        });
    };
    return {
        select: pick("select"),
        click: pick("click"),
        reject: pick("reject"),
        box: pick("box"),
        polygon: pick("polygon"),
        brush: pick("brush"),
        eraser: pick("eraser"),
        smaller: resize(1 / 1.25),
        larger: resize(1.25),
        again: () => stage.tool.finish() || actions.startAfresh(),
        finish: () => stage.tool.finish(),
        abandon: () => {
            stage.cross.hide();
            if (stage.tool.abandon()) {
                return;
            }
            if (isRunning(store.state)) {
                dialogs.cancel.open();
            } else if (store.state.tool !== "select") {
                store.set({ tool: "select" });
            } else {
                actions.select(null);
            }
        },
    };
}

/** @param {Parts} parts @returns {Record<string, () => unknown>} */
function workHandlers({ store, actions, stage, film, review, dialogs, toasts }) {
    const offered = (/** @type {string | null} */ reason, /** @type {() => unknown} */ then) => {
        if (reason) {
            toasts.error(reason);
        } else {
            then();
        }
    };
    return {
        run: () =>
            offered(runRefusal(store.state), () => {
                film.stay();
                dialogs.run.open();
            }),
        worst: () => review.next(),
        // Whether there is a step is for the server to say: another may have been made a moment ago.
        undo: () => offered(refusal(store.state), () => actions.undo()),
        redo: () => offered(refusal(store.state), () => actions.redo()),
        export: () => offered(refusal(store.state), () => dialogs.export.open()),
        import: () => offered(refusal(store.state), () => dialogs.import.open()),
        help: () => dialogs.help.open(),
        closer: () => stage.setView(stage.view.zoomed(1.25)),
        farther: () => stage.setView(stage.view.zoomed(0.8)),
        fit: () => stage.fit(),
    };
}

/** @param {Parts} parts @returns {Record<string, () => unknown>} */
function objectHandlers({ store, actions, stage, objects, toasts }) {
    const change = (/** @type {"shown" | "locked"} */ what) => () => {
        const item = selectedItem(store.state);
        if (item) {
            void actions.change(item.id, { [what]: !item[what] });
        } else {
            toasts.error("Select an object first.");
        }
    };
    return {
        hide: change("shown"),
        lock: change("locked"),
        erase: () => stage.tool.back() || actions.eraseShape(),
        remove: () => actions.removeObject(),
        outside: () => actions.toggleOutside(),
        rename: () => objects.rename(),
    };
}

/**
 * @param {Pick<Parts, "store" | "actions" | "dialogs"> & Calls} parts
 */
export function listenToButtons({ store, actions, dialogs, run, reconnect }) {
    for (const button of document.querySelectorAll("button[data-command]")) {
        // A button that is refused still says why, as a key does.
        button.addEventListener("click", () => run(button.getAttribute("data-command") ?? ""));
    }
    for (const button of document.querySelectorAll("button[data-tool]")) {
        button.addEventListener("click", () => run(button.getAttribute("data-tool") ?? ""));
    }
    find("brush-size", HTMLInputElement).oninput = (event) => {
        store.set({ brush: Number(/** @type {HTMLInputElement} */ (event.target).value) });
    };
    find("run-cancel", HTMLButtonElement).onclick = () => dialogs.cancel.open();
    find("resume", HTMLButtonElement).onclick = () => void actions.decideUnfinished(true);
    find("forget", HTMLButtonElement).onclick = () => void actions.decideUnfinished(false);
    find("reconnect", HTMLButtonElement).onclick = reconnect;
    const notes = find("notes", HTMLDivElement);
    store.watch(["project"], ({ project }) => {
        const text = project?.notes.join(" ") ?? "";
        const old = notes.dataset.seen === text;
        notes.hidden = !text || old;
        find("notes-text", HTMLSpanElement).textContent = text;
        find("notes-close", HTMLButtonElement).onclick = () => {
            notes.dataset.seen = text;
            notes.hidden = true;
        };
    });
}
