/**
 * What the page knows and shows, and what follows from it.
 *
 * @typedef {import("./wire").Project} Project
 * @typedef {import("./wire").Item} Item
 * @typedef {import("./wire").Kind} Kind
 * @typedef {"select" | "click" | "reject" | "box" | "polygon" | "brush" | "eraser"} ToolName
 *
 * @typedef {object} State
 * @property {Project | null} project null until the server has answered
 * @property {"connecting" | "live" | "lost"} connection
 * @property {number} frame that is shown
 * @property {boolean} playing
 * @property {number | null} selected object
 * @property {boolean} fresh whether the next thing drawn begins a new object
 * @property {ToolName} tool
 * @property {ToolName} lastTool that draws
 * @property {Kind} newKind of objects to come
 * @property {number} brush radius in pixels of the frame
 * @property {import("./wire").TimelineRow[]} timeline
 * @property {import("./wire").Stretch[]} review most suspect first
 * @property {import("./prompting.js").Pending[]} pending what was said and is not answered
 * @property {number | null} comparing the object that is tracked both ways
 * @property {boolean} follow whether the frame shown goes along with a run
 */

/** @returns {State} */
export function firstState() {
    return {
        project: null,
        connection: "connecting",
        frame: 0,
        playing: false,
        selected: null,
        fresh: false,
        tool: "click",
        lastTool: "click",
        newKind: "mask",
        brush: 12,
        timeline: [],
        review: [],
        pending: [],
        comparing: null,
        follow: true,
    };
}

/**
 * @param {Pick<State, "project" | "selected">} state
 * @returns {Item | null}
 */
export function selectedItem({ project, selected }) {
    return project?.objects.find(({ id }) => id === selected) ?? null;
}

/**
 * The object that the next thing drawn is for, or null for a new one.
 *
 * @param {State} state
 * @returns {Item | null}
 */
export function itemToDraw(state) {
    return state.fresh ? null : selectedItem(state);
}

/** @param {State} state @returns {boolean} whether the tracker is at work */
export function isRunning({ project }) {
    return project?.run?.state === "running";
}

/**
 * @param {State} state
 * @returns {string | null} why nothing can be changed now, or null
 */
export function refusal(state) {
    if (state.connection === "lost") {
        return "The connection to the server is lost.";
    }
    return state.project ? null : "The project is still being opened.";
}

/** @type {Record<ToolName, Kind[]>} kinds of objects that a tool can draw */
const DRAWS = {
    select: ["mask", "polygon", "rectangle"],
    click: ["mask", "polygon", "rectangle"],
    reject: ["mask", "polygon", "rectangle"],
    box: ["mask", "polygon", "rectangle"],
    polygon: ["mask", "polygon"],
    brush: ["mask"],
    eraser: ["mask"],
};

/**
 * @param {State} state
 * @param {ToolName} tool
 * @returns {string | null} why the tool cannot be used now, or null
 */
export function toolRefusal(state, tool) {
    const item = itemToDraw(state);
    if (tool === "select") {
        return null;
    }
    if (refusal(state)) {
        return refusal(state);
    }
    if (asksModel(state, tool) && modelRefusal(state)) {
        return modelRefusal(state);
    }
    if (item && itemRefusal(item)) {
        return itemRefusal(item);
    }
    if (item && !DRAWS[tool].includes(item.kind)) {
        return `${item.name} is a ${item.kind}. Make it a mask to use this tool, or press N.`;
    }
    return null;
}

/**
 * @param {Item} item
 * @returns {string | null} why it cannot be changed or deleted now, or null
 */
export function lockRefusal(item) {
    return item.locked ? `${item.name} is locked (L unlocks it).` : null;
}

/**
 * @param {Item} item
 * @returns {string | null} why its shapes cannot be changed now, or null
 */
export function itemRefusal(item) {
    return lockRefusal(item) ?? (item.shown ? null : `${item.name} is hidden (H shows it).`);
}

/**
 * @param {State} state
 * @param {ToolName} tool
 * @returns {boolean} whether what is drawn is for the model to answer
 */
export function asksModel(state, tool) {
    const kind = itemToDraw(state)?.kind ?? state.newKind;
    return tool === "click" || tool === "reject" || (tool === "box" && kind !== "rectangle");
}

/**
 * @param {Pick<State, "project">} state
 * @returns {string | null} why the model cannot be asked now, or null
 */
export function modelRefusal({ project }) {
    const model = project?.model;
    if (!model || model.state === "ready") {
        return null;
    }
    return model.state === "loading"
        ? `The model ${model.name} is still being loaded.`
        : `The model ${model.name} could not be loaded: ${model.error ?? "unknown error"}`;
}

/**
 * @param {State} state
 * @returns {string | null} why no run can be started, or null
 */
export function runRefusal(state) {
    if (refusal(state) ?? modelRefusal(state)) {
        return refusal(state) ?? modelRefusal(state);
    }
    if (isRunning(state)) {
        return "A run is going on.";
    }
    return state.project?.objects.length ? null : "There is no object yet: click one in the picture first.";
}

const RATE = 25; // frames a second, to play images that have no time of their own

/**
 * @param {import("./wire").Source} source
 * @returns {number} frames a second at which it is played
 */
export function rateOf({ rate }) {
    return rate && rate > 0 ? rate : RATE;
}

/**
 * @param {Project} project
 * @param {number} frame
 * @returns {string} as minutes, seconds and hundredths
 */
export function timeOf({ source }, frame) {
    const seconds = frame / rateOf(source);
    const minutes = Math.floor(seconds / 60);
    return `${minutes}:${(seconds - 60 * minutes).toFixed(2).padStart(5, "0")}`;
}

/**
 * @param {number} count
 * @param {string} one
 * @param {string} [several]
 * @returns {string} the count with its noun
 */
export function counted(count, one, several = `${one}s`) {
    return `${count.toLocaleString("en")} ${count === 1 ? one : several}`;
}
