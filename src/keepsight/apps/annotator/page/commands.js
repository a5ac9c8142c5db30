/**
 * Everything the page can do at a key, as annotators know the keys from CVAT. The help sheet is made of it.
 *
 * A key is written as `event.key` has it, letters small, after "Ctrl+" and "Shift+" where they are held.
 * Command on a Mac counts as Ctrl.
 *
 * @typedef {object} Command
 * @property {string} id
 * @property {string} label
 * @property {string} group
 * @property {string[]} keys the first one is shown on buttons
 * @property {boolean} [repeats] whether holding the key does it again
 */

/** @type {Command[]} */
export const COMMANDS = [
    { id: "next", group: "Frames", label: "Next frame", keys: ["f"], repeats: true },
    { id: "previous", group: "Frames", label: "Previous frame", keys: ["d"], repeats: true },
    { id: "forward", group: "Frames", label: "10 frames on", keys: ["v"], repeats: true },
    { id: "back", group: "Frames", label: "10 frames back", keys: ["c"], repeats: true },
    { id: "play", group: "Frames", label: "Play or pause", keys: [" "] },
    { id: "jump", group: "Frames", label: "Jump to a frame by its number", keys: ["g", "`"] },
    { id: "first", group: "Frames", label: "First frame", keys: ["Home"] },
    { id: "last", group: "Frames", label: "Last frame", keys: ["End"] },
    { id: "nextEdit", group: "Frames", label: "Next frame edited by hand", keys: ["."] },
    { id: "previousEdit", group: "Frames", label: "Previous frame edited by hand", keys: [","] },

    {
        id: "click",
        group: "Draw",
        label: "Click what belongs to it (Shift or right button: what does not)",
        keys: ["m"],
    },
    { id: "reject", group: "Draw", label: "Click what does not belong to it", keys: ["k"] },
    { id: "box", group: "Draw", label: "Box around it", keys: ["b"] },
    { id: "polygon", group: "Draw", label: "Polygon", keys: ["p"] },
    { id: "brush", group: "Draw", label: "Brush", keys: ["t"] },
    { id: "eraser", group: "Draw", label: "Eraser", keys: ["e"] },
    { id: "select", group: "Draw", label: "Select, move and reshape", keys: ["s"] },
    {
        id: "again",
        group: "Draw",
        label: "Draw a new object with the last tool; finish a polygon",
        keys: ["n"],
    },
    { id: "finish", group: "Draw", label: "Finish a polygon", keys: ["Enter"] },
    { id: "smaller", group: "Draw", label: "Smaller brush", keys: ["["], repeats: true },
    { id: "larger", group: "Draw", label: "Larger brush", keys: ["]"], repeats: true },
    {
        id: "abandon",
        group: "Draw",
        label: "Abandon what is drawn; cancel a run; select nothing",
        keys: ["Escape"],
    },

    { id: "run", group: "Work", label: "Run action: track objects to a frame", keys: ["Ctrl+e"] },
    {
        id: "worst",
        group: "Work",
        label: "Go to the frame most in need of review, then the next",
        keys: ["r"],
    },
    { id: "undo", group: "Work", label: "Undo", keys: ["Ctrl+z"], repeats: true },
    { id: "redo", group: "Work", label: "Redo", keys: ["Ctrl+y", "Ctrl+Shift+z"], repeats: true },
    { id: "export", group: "Work", label: "Export", keys: ["Ctrl+Shift+e"] },
    { id: "import", group: "Work", label: "Import", keys: ["Ctrl+Shift+i"] },

    { id: "hide", group: "Objects", label: "Hide or show the object", keys: ["h"] },
    { id: "lock", group: "Objects", label: "Lock or unlock the object", keys: ["l"] },
    { id: "erase", group: "Objects", label: "Delete its shape on this frame", keys: ["Delete", "Backspace"] },
    { id: "remove", group: "Objects", label: "Delete the object", keys: ["Shift+Delete", "Shift+Backspace"] },
    {
        id: "outside",
        group: "Objects",
        label: "Out of view here (a track: from here on), or not",
        keys: ["o"],
    },
    { id: "rename", group: "Objects", label: "Rename it", keys: ["F2"] },

    { id: "closer", group: "View", label: "Zoom in", keys: ["+", "="], repeats: true },
    { id: "farther", group: "View", label: "Zoom out", keys: ["-"], repeats: true },
    { id: "fit", group: "View", label: "Fit the frame", keys: ["0"] },
    { id: "help", group: "View", label: "This sheet", keys: ["?", "F1"] },
];

/** Keys that have no command of their own in the table, for the help sheet. */
export const OTHER_KEYS = [
    { group: "Objects", label: "Select an object by its place in the list", keys: ["1", "…", "9"] },
    { group: "Objects", label: "In the picture: the next or previous object", keys: ["Tab", "Shift+Tab"] },
    { group: "Draw", label: "In the picture: move the cross; Enter clicks there", keys: ["← ↑ → ↓"] },
    { group: "Draw", label: "Take a click or a corner of a polygon away", keys: ["Alt+click"] },
    { group: "View", label: "Zoom the picture", keys: ["Wheel"] },
    { group: "View", label: "Zoom the timeline", keys: ["Ctrl+Wheel"] },
    { group: "View", label: "Move the picture (or the middle button, or two fingers)", keys: ["Space+drag"] },
];

/**
 * @param {Pick<KeyboardEvent, "key" | "code" | "ctrlKey" | "metaKey" | "shiftKey" | "altKey">} event
 * @returns {string} the key as the table writes it
 */
export function keyOf({ key, code, ctrlKey, metaKey, shiftKey, altKey }) {
    if (altKey) {
        return "";
    }
    // On a keyboard of another script a letter's place counts.
    const letter = /^Key([A-Z])$/.exec(code);
    const name =
        letter && !/^[a-z]$/i.test(key)
            ? letter[1].toLowerCase()
            : key.length === 1
              ? key.toLowerCase()
              : key;
    const control = ctrlKey || metaKey;
    // A sign such as "?" says by itself that Shift was held.
    const shift = shiftKey && (name.length > 1 || /[a-z]/.test(name));
    return `${control ? "Ctrl+" : ""}${shift ? "Shift+" : ""}${name}`;
}

/**
 * @param {string} key as `keyOf` gives it
 * @returns {Command | null}
 */
export function commandAt(key) {
    return COMMANDS.find(({ keys }) => keys.includes(key)) ?? null;
}

/**
 * @param {string} id
 * @returns {Command}
 */
export function command(id) {
    const found = COMMANDS.find((other) => other.id === id);
    if (!found) {
        throw new RangeError(`Expected a command, but got "${id}".`);
    }
    return found;
}

/**
 * @param {string} key as the table writes it
 * @returns {string} for people
 */
export function keyName(key) {
    const names = /** @type {Record<string, string>} */ ({ " ": "Space", Escape: "Esc", Delete: "Del" });
    return key
        .split(/(?<=\w)\+/)
        .map((part) => names[part] ?? (part.length === 1 ? part.toUpperCase() : part))
        .join("+");
}

/**
 * @param {{ tagName: string, type?: string, isContentEditable?: boolean }} target what has the focus
 * @param {string} key as `keyOf` gives it
 * @returns {boolean} whether the key is for that element rather than for the page
 */
export function isForElement({ tagName, type = "", isContentEditable = false }, key) {
    const typing =
        isContentEditable ||
        tagName === "TEXTAREA" ||
        tagName === "SELECT" ||
        (tagName === "INPUT" && !["checkbox", "radio", "button", "range", "color"].includes(type));
    if (typing) {
        return !["Ctrl+e", "F1"].includes(key);
    }
    const pressable = ["BUTTON", "A", "SUMMARY", "INPUT"].includes(tagName);
    return pressable && [" ", "Enter"].includes(key);
}
