/** Polygons as x1, y1, x2, y2, ... and rectangles as left, top, right, bottom, in pixels of the frame. */

/**
 * @param {ArrayLike<number>} points
 * @returns {[number, number, number, number]} left, top, right, bottom
 */
export function extentOf(points) {
    let [left, top, right, bottom] = [Infinity, Infinity, -Infinity, -Infinity];
    for (let index = 0; index < points.length; index += 2) {
        left = Math.min(left, points[index]);
        right = Math.max(right, points[index]);
        top = Math.min(top, points[index + 1]);
        bottom = Math.max(bottom, points[index + 1]);
    }
    return [left, top, right, bottom];
}

/**
 * @param {ArrayLike<number>} points
 * @returns {number} in pixels, whichever way it is drawn
 */
export function areaOf(points) {
    let twice = 0;
    for (let index = 0; index < points.length; index += 2) {
        const next = (index + 2) % points.length;
        twice += points[index] * points[next + 1] - points[next] * points[index + 1];
    }
    return Math.abs(twice) / 2;
}

/**
 * @param {ArrayLike<number>} points
 * @param {number} x
 * @param {number} y
 * @returns {boolean} whether the polygon winds around the point
 */
export function surrounds(points, x, y) {
    let winding = 0;
    for (let index = 0; index < points.length; index += 2) {
        const next = (index + 2) % points.length;
        const [x1, y1, x2, y2] = [points[index], points[index + 1], points[next], points[next + 1]];
        if (y1 <= y !== y2 <= y && x1 + ((y - y1) * (x2 - x1)) / (y2 - y1) < x) {
            winding += y2 > y1 ? 1 : -1;
        }
    }
    return winding !== 0;
}

/**
 * @param {ArrayLike<number>} points
 * @param {number} x
 * @param {number} y
 * @returns {{ edge: number, distance: number }} the nearest edge, by the number of its first corner
 */
export function nearestEdge(points, x, y) {
    let best = { edge: 0, distance: Infinity };
    for (let index = 0; index < points.length; index += 2) {
        const next = (index + 2) % points.length;
        const [dx, dy] = [points[next] - points[index], points[next + 1] - points[index + 1]];
        const length = dx * dx + dy * dy;
        const [px, py] = [x - points[index], y - points[index + 1]];
        const along = length ? Math.min(1, Math.max(0, (px * dx + py * dy) / length)) : 0;
        const distance = Math.hypot(px - along * dx, py - along * dy);
        if (distance < best.distance) {
            best = { edge: index / 2, distance };
        }
    }
    return best;
}

/**
 * @param {ArrayLike<number>} points
 * @param {number} x
 * @param {number} y
 * @param {number} reach in pixels of the frame
 * @returns {number} the nearest corner within reach, or -1
 */
export function cornerAt(points, x, y, reach) {
    let [best, nearest] = [-1, reach];
    for (let index = 0; index < points.length; index += 2) {
        const distance = Math.hypot(points[index] - x, points[index + 1] - y);
        if (distance <= nearest) {
            [best, nearest] = [index / 2, distance];
        }
    }
    return best;
}

/**
 * @param {readonly number[]} points
 * @param {number} corner
 * @param {number} x
 * @param {number} y
 * @returns {number[]} with that corner elsewhere
 */
export function withCorner(points, corner, x, y) {
    return points.map((value, index) => (index === 2 * corner ? x : index === 2 * corner + 1 ? y : value));
}

/**
 * @param {readonly number[]} points
 * @param {number} edge is split
 * @param {number} x
 * @param {number} y
 * @returns {number[]} with one corner more
 */
export function withMore(points, edge, x, y) {
    return [...points.slice(0, 2 * edge + 2), x, y, ...points.slice(2 * edge + 2)];
}

/**
 * @param {readonly number[]} points
 * @param {number} corner
 * @returns {number[]} with that corner gone; the same if three or fewer are left
 */
export function withoutCorner(points, corner) {
    return points.length <= 6 ? [...points] : points.filter((_, index) => Math.floor(index / 2) !== corner);
}

/**
 * Moves a polygon or rectangle, but not out of the frame.
 *
 * @param {readonly number[]} points
 * @param {number} dx
 * @param {number} dy
 * @param {{ width: number, height: number }} frame
 * @returns {number[]}
 */
export function moved(points, dx, dy, frame) {
    const [left, top, right, bottom] = extentOf(points);
    const x = Math.min(Math.max(dx, -left), frame.width - right);
    const y = Math.min(Math.max(dy, -top), frame.height - bottom);
    return points.map((value, index) => value + (index % 2 ? y : x));
}

/** @typedef {"nw" | "n" | "ne" | "e" | "se" | "s" | "sw" | "w"} Handle */

/**
 * @param {readonly number[]} box left, top, right, bottom
 * @returns {{ name: Handle, x: number, y: number }[]} where a rectangle can be taken hold of, corners first
 */
export function handlesOf(box) {
    const [left, top, right, bottom] = box;
    const [x, y] = [(left + right) / 2, (top + bottom) / 2];
    return [
        { name: "nw", x: left, y: top },
        { name: "ne", x: right, y: top },
        { name: "se", x: right, y: bottom },
        { name: "sw", x: left, y: bottom },
        { name: "n", x, y: top },
        { name: "e", x: right, y },
        { name: "s", x, y: bottom },
        { name: "w", x: left, y },
    ];
}

/**
 * @param {readonly number[]} box left, top, right, bottom
 * @param {Handle} handle
 * @param {number} x where the handle is drawn to
 * @param {number} y
 * @returns {[number, number, number, number]} never inverted
 */
export function resized(box, handle, x, y) {
    let [left, top, right, bottom] = box;
    left = handle.includes("w") ? x : left;
    right = handle.includes("e") ? x : right;
    top = handle.startsWith("n") ? y : top;
    bottom = handle.startsWith("s") ? y : bottom;
    return spanned([left, top], [right, bottom]);
}

/**
 * @param {readonly [number, number]} one
 * @param {readonly [number, number]} other
 * @returns {[number, number, number, number]} the box that two opposite corners span
 */
export function spanned(one, other) {
    return [
        Math.min(one[0], other[0]),
        Math.min(one[1], other[1]),
        Math.max(one[0], other[0]),
        Math.max(one[1], other[1]),
    ];
}

/**
 * @param {number} x
 * @param {number} y
 * @param {{ width: number, height: number }} frame
 * @returns {[number, number]} the nearest place on the frame, to a tenth of a pixel
 */
export function within(x, y, frame) {
    /** @param {number} value @param {number} most */
    const clipped = (value, most) => Math.round(Math.min(Math.max(value, 0), most) * 10) / 10;
    return [clipped(x, frame.width), clipped(y, frame.height)];
}
