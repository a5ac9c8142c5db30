/**
 * Masks of one bit a pixel within their box, and CVAT's run-length form of them: `[runs..., left, top, right,
 * bottom]`, runs row by row within the box, background first, right and bottom inclusive.
 *
 * @typedef {object} Patch
 * @property {number} left in pixels of the frame
 * @property {number} top
 * @property {number} width of the box, 0 for a mask without pixels
 * @property {number} height
 * @property {Uint8Array} bits one byte a pixel, 0 or 1, row by row
 */

const TAIL = 4; // left, top, right, bottom

/** @returns {Patch} a mask without pixels */
export function emptyPatch() {
    return { left: 0, top: 0, width: 0, height: 0, bits: new Uint8Array(0) };
}

/**
 * @param {ArrayLike<number>} points the run-length form
 * @returns {Patch}
 */
export function decode(points) {
    const count = points.length - TAIL;
    const [left, top, right, bottom] = [
        points[count],
        points[count + 1],
        points[count + 2],
        points[count + 3],
    ];
    const [width, height] = [right - left + 1, bottom - top + 1];
    if (count < 1 || !(width > 0) || !(height > 0)) {
        throw new RangeError(`Expected a mask as runs and a box, but got ${points.length} numbers.`);
    }
    const bits = new Uint8Array(width * height);
    let place = 0;
    for (let run = 0; run < count; run++) {
        if (run % 2) {
            bits.fill(1, place, place + points[run]);
        }
        place += points[run];
    }
    if (place !== bits.length) {
        throw new RangeError(`Expected runs that fill ${bits.length} pixels, but they hold ${place}.`);
    }
    return { left, top, width, height, bits };
}

/**
 * @param {Patch} patch
 * @returns {number[] | null} its run-length form, the box as small as can be; null for a mask without pixels
 */
export function encode(patch) {
    const tight = trimmed(patch);
    if (!tight.width) {
        return null;
    }
    /** @type {number[]} */
    const runs = [];
    let start = 0;
    let value = 0;
    for (let place = 0; place < tight.bits.length; place++) {
        if (tight.bits[place] !== value) {
            runs.push(place - start);
            start = place;
            value = 1 - value;
        }
    }
    runs.push(tight.bits.length - start);
    return [...runs, tight.left, tight.top, tight.left + tight.width - 1, tight.top + tight.height - 1];
}

/**
 * @param {ArrayLike<number>} points the run-length form
 * @returns {number} pixels, without decoding
 */
export function area(points) {
    let pixels = 0;
    for (let run = 1; run < points.length - TAIL; run += 2) {
        pixels += points[run];
    }
    return pixels;
}

/**
 * @param {Patch} patch
 * @param {number} x in pixels of the frame, whole or not
 * @param {number} y
 * @returns {boolean}
 */
export function covers(patch, x, y) {
    const [column, row] = [Math.floor(x) - patch.left, Math.floor(y) - patch.top];
    const inside = column >= 0 && row >= 0 && column < patch.width && row < patch.height;
    return inside && patch.bits[row * patch.width + column] === 1;
}

/**
 * The same mask in another box, which may be larger or smaller.
 *
 * @param {Patch} patch
 * @param {number} left
 * @param {number} top
 * @param {number} width
 * @param {number} height
 * @returns {Patch}
 */
export function reboxed(patch, left, top, width, height) {
    const bits = new Uint8Array(width * height);
    const first = Math.max(left, patch.left);
    const last = Math.min(left + width, patch.left + patch.width);
    const end = Math.min(top + height, patch.top + patch.height);
    for (let y = Math.max(top, patch.top); y < end && first < last; y++) {
        const from = (y - patch.top) * patch.width - patch.left;
        bits.set(patch.bits.subarray(from + first, from + last), (y - top) * width + first - left);
    }
    return { left, top, width, height, bits };
}

/**
 * @param {Patch} patch
 * @returns {Patch} in the smallest box
 */
export function trimmed(patch) {
    let [left, top, right, bottom] = [patch.width, patch.height, -1, -1];
    for (let y = 0; y < patch.height; y++) {
        const row = patch.bits.subarray(y * patch.width, (y + 1) * patch.width);
        const first = row.indexOf(1);
        if (first >= 0) {
            top = Math.min(top, y);
            bottom = y;
            left = Math.min(left, first);
            right = Math.max(right, row.lastIndexOf(1));
        }
    }
    if (bottom < 0) {
        return emptyPatch();
    }
    return reboxed(patch, patch.left + left, patch.top + top, right - left + 1, bottom - top + 1);
}

/**
 * Paints or rubs out along a line with a round brush; the box grows as needed and never leaves the frame.
 *
 * @param {Patch} patch is left as it is
 * @param {{ from: [number, number], to: [number, number], radius: number, paint: boolean }} stroke
 * @param {{ width: number, height: number }} frame
 * @returns {Patch}
 */
export function stroked(patch, stroke, frame) {
    const { from, to, radius, paint } = stroke;
    const left = Math.max(0, Math.floor(Math.min(from[0], to[0]) - radius));
    const top = Math.max(0, Math.floor(Math.min(from[1], to[1]) - radius));
    const right = Math.min(frame.width, Math.ceil(Math.max(from[0], to[0]) + radius));
    const bottom = Math.min(frame.height, Math.ceil(Math.max(from[1], to[1]) + radius));
    if (left >= right || top >= bottom) {
        return patch;
    }
    const result = paint ? grownTo(patch, left, top, right, bottom) : { ...patch, bits: patch.bits.slice() };
    const value = paint ? 1 : 0;
    const [dx, dy] = [to[0] - from[0], to[1] - from[1]];
    const length = dx * dx + dy * dy;
    for (let y = Math.max(top, result.top); y < Math.min(bottom, result.top + result.height); y++) {
        for (let x = Math.max(left, result.left); x < Math.min(right, result.left + result.width); x++) {
            const [px, py] = [x + 0.5 - from[0], y + 0.5 - from[1]];
            const along = length ? Math.min(1, Math.max(0, (px * dx + py * dy) / length)) : 0;
            if ((px - along * dx) ** 2 + (py - along * dy) ** 2 <= radius * radius) {
                result.bits[(y - result.top) * result.width + x - result.left] = value;
            }
        }
    }
    return result;
}

/**
 * @param {Patch} patch
 * @param {number} left
 * @param {number} top
 * @param {number} right exclusive
 * @param {number} bottom exclusive
 * @returns {Patch} a copy whose box holds both
 */
function grownTo(patch, left, top, right, bottom) {
    if (!patch.width) {
        return reboxed(patch, left, top, right - left, bottom - top);
    }
    const [x, y] = [Math.min(left, patch.left), Math.min(top, patch.top)];
    const width = Math.max(right, patch.left + patch.width) - x;
    const height = Math.max(bottom, patch.top + patch.height) - y;
    return reboxed(patch, x, y, width, height);
}

/**
 * The pixels whose centres a polygon winds around (nonzero rule), as the server fills them.
 *
 * @param {ArrayLike<number>} points x, y pairs in pixels of the frame
 * @param {{ width: number, height: number }} frame
 * @returns {Patch}
 */
export function filled(points, frame) {
    const bits = new Uint8Array(frame.width * frame.height);
    for (let row = 0; row < frame.height; row++) {
        const crossings = crossingsOf(points, row + 0.5);
        let winding = 0;
        for (let index = 0; index + 1 < crossings.length; index++) {
            winding += crossings[index].turn;
            const first = Math.max(0, Math.ceil(crossings[index].x - 0.5));
            const last = Math.min(frame.width, Math.ceil(crossings[index + 1].x - 0.5));
            if (winding && first < last) {
                bits.fill(1, row * frame.width + first, row * frame.width + last);
            }
        }
    }
    return trimmed({ left: 0, top: 0, width: frame.width, height: frame.height, bits });
}

/**
 * @param {ArrayLike<number>} points
 * @param {number} y
 * @returns {{ x: number, turn: number }[]} from left to right; 1 where an edge goes down, -1 where it goes up
 */
function crossingsOf(points, y) {
    const crossings = [];
    for (let index = 0; index < points.length; index += 2) {
        const next = (index + 2) % points.length;
        const down = points[index + 1] < points[next + 1];
        // Always from the upper end, multiplied before divided: shapes that share an edge agree on it.
        const [upper, lower] = down ? [index, next] : [next, index];
        const [x1, y1, x2, y2] = [points[upper], points[upper + 1], points[lower], points[lower + 1]];
        if (y1 <= y && y < y2) {
            crossings.push({ x: x1 + ((y - y1) * (x2 - x1)) / (y2 - y1), turn: down ? 1 : -1 });
        }
    }
    return crossings.sort((one, other) => one.x - other.x);
}

/**
 * The border between a mask and what is not it, along the pixels' edges.
 *
 * @param {Patch} patch
 * @returns {[number, number, number, number][]} lines x1, y1, x2, y2 in pixels of the frame
 */
export function border({ left, top, width, height, bits }) {
    /** @type {[number, number, number, number][]} */
    const lines = [];
    // Where the upright line at each x that is being followed began, -1 for none.
    const began = new Int32Array(width + 1).fill(-1);
    const nothing = new Uint8Array(width);
    /** @type {Uint8Array} */
    let above = nothing;
    for (let y = 0; y <= height; y++) {
        const row = y < height ? bits.subarray(y * width, (y + 1) * width) : nothing;
        let start = -1;
        let before = 0;
        for (let x = 0; x <= width; x++) {
            const here = x < width ? row[x] : 0;
            const lies = x < width && here !== above[x];
            if (lies && start < 0) {
                start = x;
            } else if (!lies && start >= 0) {
                lines.push([left + start, top + y, left + x, top + y]);
                start = -1;
            }
            const stands = here !== before;
            if (stands && began[x] < 0) {
                began[x] = y;
            } else if (!stands && began[x] >= 0) {
                lines.push([left + x, top + began[x], left + x, top + y]);
                began[x] = -1;
            }
            before = here;
        }
        above = row;
    }
    return lines;
}
