/**
 * What every tool has. Places are in pixels of the frame.
 *
 * @typedef {import("../state.js").State} State
 * @typedef {import("../state.js").ToolName} ToolName
 *
 * @typedef {object} Pointer
 * @property {number} x on the frame, clipped to it
 * @property {number} y
 * @property {[number, number]} free x and y as they are, on the frame or beside it
 * @property {boolean} inside whether it really is on the frame
 * @property {number} button 0 left, 2 right
 * @property {boolean} shift
 * @property {boolean} alt
 * @property {boolean} coarse a finger, which may turn out to be one of two
 * @property {number} reach how near is near enough to take hold of something
 *
 * @typedef {object} Desk what tools work on
 * @property {() => State} state
 * @property {() => import("../view.js").Size} size of the frame
 * @property {() => import("../shape_cache.js").Scene | null} scene of the frame shown
 * @property {() => void} redraw
 * @property {(sentence: string) => void} refuse
 * @property {import("../actions.js").Actions} actions
 *
 * @typedef {object} Sketch what a tool draws with
 * @property {CanvasRenderingContext2D} context that counts in pixels of the frame
 * @property {number} scale CSS pixels for a pixel of the frame
 */

export class Tool {
    /** Whether it works from pressing to letting go, rather than with clicks. */
    drags = false;
    cursor = "crosshair";
    hint = "";
    /** The same for fingers, where it differs. */
    touchHint = "";

    /**
     * @param {ToolName} name
     * @param {Desk} desk
     */
    constructor(name, desk) {
        this.name = name;
        this.desk = desk;
    }

    /** @param {Pointer} _pointer */
    down(_pointer) {}

    /** @param {Pointer} _pointer */
    move(_pointer) {}

    /** @param {Pointer} _pointer */
    up(_pointer) {}

    /** The pointer has left the stage. */
    leave() {}

    /** @returns {boolean} whether something was begun, which is now gone */
    abandon() {
        return false;
    }

    /** @returns {boolean} whether something was begun, which is now done */
    finish() {
        return false;
    }

    /** @returns {boolean} whether a last step of something begun was taken back */
    back() {
        return false;
    }

    /** @param {Sketch} _sketch */
    draw(_sketch) {}

    /** @returns {import("../painter.js").Draft | null} a mask at work */
    get draft() {
        return null;
    }
}
