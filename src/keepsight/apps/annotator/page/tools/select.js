/** Selecting objects in the picture; moving and reshaping polygons and rectangles. */

import { covers } from "../masks.js";
import { maskPicture } from "../mask_picture.js";
import {
    cornerAt,
    extentOf,
    handlesOf,
    moved,
    nearestEdge,
    resized,
    surrounds,
    withCorner,
    withMore,
    withoutCorner,
} from "../outlines.js";
import { selectedItem } from "../state.js";
import { Tool } from "./tool.js";

/**
 * @typedef {import("./tool.js").Pointer} Pointer
 * @typedef {import("../wire").Item} Item
 * @typedef {import("../wire").Shape} Shape
 * @typedef {(x: number, y: number) => number[]} Change points for where the pointer is
 *
 * @typedef {object} Grip
 * @property {Item} item
 * @property {Change} change
 * @property {Pointer} start
 * @property {number[]} points as they are now
 * @property {number} frame
 * @property {boolean} begun whether the pointer has moved far enough to mean it
 */

export class SelectTool extends Tool {
    /** @override */
    drags = true;
    /** @override */
    cursor = "default";
    /** @override */
    hint = "Click an object. Drag a corner or an edge to reshape it; Alt takes a corner away.";
    /** @override */
    touchHint = "Tap an object. Drag a corner or an edge to reshape it.";
    /** @type {Grip | null} */
    #grip = null;

    /** @param {import("./tool.js").Desk} desk */
    constructor(desk) {
        super("select", desk);
    }

    /** @param {Pointer} pointer @override */
    down(pointer) {
        if (pointer.button === 0 && this.#takeHold(pointer)) {
            return;
        }
        const item = this.#itemAt(pointer.x, pointer.y);
        if (pointer.inside || item) {
            this.desk.actions.select(item?.id ?? null);
        }
        if (item && pointer.button === 0) {
            this.#takeHold(pointer);
        }
    }

    /** @param {Pointer} pointer @override */
    move(pointer) {
        const grip = this.#grip;
        if (!grip) {
            return;
        }
        const { start } = grip;
        grip.begun ||= Math.hypot(pointer.x - start.x, pointer.y - start.y) > pointer.reach / 3;
        if (grip.begun) {
            grip.points = grip.change(pointer.x, pointer.y);
            this.desk.redraw();
        }
    }

    /** @param {Pointer} _pointer @override */
    up(_pointer) {
        const grip = this.#grip;
        this.#grip = null;
        if (grip?.begun && grip.frame === this.desk.state().frame) {
            void this.desk.actions.reshape(grip.item, grip.points);
        }
        this.desk.redraw();
    }

    /** @override */
    abandon() {
        const begun = this.#grip !== null;
        this.#grip = null;
        this.desk.redraw();
        return begun;
    }

    /**
     * @param {Pointer} pointer
     * @returns {boolean} whether a part of the selected object was taken hold of
     */
    #takeHold(pointer) {
        const item = selectedItem(this.desk.state());
        const shape = item ? this.#shapeOf(item) : null;
        if (!item || !shape || item.locked || item.kind === "mask") {
            return false;
        }
        const points = shape.points;
        if (item.kind === "polygon" && pointer.alt) {
            const corner = cornerAt(points, pointer.x, pointer.y, pointer.reach);
            if (corner >= 0) {
                void this.desk.actions.reshape(item, withoutCorner(points, corner));
            }
            return corner >= 0;
        }
        const change =
            item.kind === "polygon" ? this.#corner(points, pointer) : this.#handle(points, pointer);
        const whole = change ?? this.#whole(item, shape, pointer);
        if (whole) {
            const frame = this.desk.state().frame;
            this.#grip = { item, change: whole, start: pointer, points, frame, begun: false };
        }
        return whole !== null;
    }

    /**
     * @param {number[]} points of a polygon
     * @param {Pointer} pointer
     * @returns {Change | null}
     */
    #corner(points, { x, y, reach }) {
        const corner = cornerAt(points, x, y, reach);
        if (corner >= 0) {
            return (px, py) => withCorner(points, corner, px, py);
        }
        const { edge, distance } = nearestEdge(points, x, y);
        return distance <= reach / 2 ? (px, py) => withMore(points, edge, px, py) : null;
    }

    /**
     * @param {number[]} box
     * @param {Pointer} pointer
     * @returns {Change | null}
     */
    #handle(box, { x, y, reach }) {
        const handle = handlesOf(box).find((other) => Math.hypot(other.x - x, other.y - y) <= reach);
        return handle ? (px, py) => resized(box, handle.name, px, py) : null;
    }

    /**
     * @param {Item} item
     * @param {Shape} shape
     * @param {Pointer} pointer
     * @returns {Change | null}
     */
    #whole(item, shape, { x, y }) {
        const size = this.desk.size();
        return isOn(item, shape, x, y) ? (px, py) => moved(shape.points, px - x, py - y, size) : null;
    }

    /**
     * @param {Item} item
     * @returns {Shape | null}
     */
    #shapeOf(item) {
        const shape = this.desk.scene()?.shapes.get(item.id);
        return shape && !shape.outside && item.shown ? shape : null;
    }

    /**
     * @param {number} x
     * @param {number} y
     * @returns {Item | null} the topmost object there
     */
    #itemAt(x, y) {
        const items = this.desk.state().project?.objects ?? [];
        return (
            [...items].reverse().find((item) => {
                const shape = this.#shapeOf(item);
                return shape && isOn(item, shape, x, y);
            }) ?? null
        );
    }

    /** @param {import("./tool.js").Sketch} sketch @override */
    draw({ context, scale }) {
        const item = selectedItem(this.desk.state());
        const shape = item ? this.#shapeOf(item) : null;
        if (!item || !shape || item.kind === "mask") {
            return;
        }
        const points = this.#grip?.points ?? shape.points;
        if (this.#grip?.begun) {
            const path = new Path2D();
            const ring = item.kind === "polygon" ? points : cornersOf(points);
            for (let index = 0; index < ring.length; index += 2) {
                path.lineTo(ring[index], ring[index + 1]);
            }
            path.closePath();
            context.lineWidth = 1.5 / scale;
            context.strokeStyle = "#fff";
            context.stroke(path);
        }
        if (!item.locked) {
            drawHandles(context, scale, item.kind === "polygon" ? points : cornersAndMiddles(points));
        }
    }
}

/**
 * @param {Item} item
 * @param {Shape} shape
 * @param {number} x
 * @param {number} y
 * @returns {boolean}
 */
function isOn(item, shape, x, y) {
    if (item.kind === "mask") {
        return covers(maskPicture(shape, item.colour).patch, x, y);
    }
    if (item.kind === "polygon") {
        return surrounds(shape.points, x, y);
    }
    const [left, top, right, bottom] = extentOf(shape.points);
    return x >= left && x <= right && y >= top && y <= bottom;
}

/** @param {number[]} box @returns {number[]} its corners in turn */
function cornersOf([left, top, right, bottom]) {
    return [left, top, right, top, right, bottom, left, bottom];
}

/** @param {number[]} box @returns {number[]} */
function cornersAndMiddles(box) {
    return handlesOf(box).flatMap(({ x, y }) => [x, y]);
}

/**
 * @param {CanvasRenderingContext2D} context
 * @param {number} scale
 * @param {number[]} points
 */
function drawHandles(context, scale, points) {
    // Tracked outlines have many corners: they stay small then.
    const radius = (points.length > 120 ? 2.25 : 4) / scale;
    context.fillStyle = "#fff";
    context.strokeStyle = "rgb(0 0 0 / 0.75)";
    context.lineWidth = 1 / scale;
    for (let index = 0; index < points.length; index += 2) {
        context.beginPath();
        context.arc(points[index], points[index + 1], radius, 0, 7);
        context.fill();
        context.stroke();
    }
}
