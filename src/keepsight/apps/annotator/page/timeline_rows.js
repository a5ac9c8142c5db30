/**
 * Rows of the timeline: which frame lies where, and how a row changes with a frame.
 *
 * @typedef {import("./wire").TimelineRow} TimelineRow
 * @typedef {import("./wire").Shape} Shape
 */

/** Frames along a line of pixels: the part [first, last) of a video. */
export class Scale {
    /**
     * @param {number} count frames of the video
     * @param {number} width pixels
     * @param {number} first
     * @param {number} last exclusive
     */
    constructor(count, width, first = 0, last = count) {
        this.count = count;
        this.width = width;
        this.first = first;
        this.last = last;
    }

    /** @returns {number} pixels for a frame */
    get pitch() {
        return this.width / Math.max(1, this.last - this.first);
    }

    /** @param {number} frame @returns {number} the pixel where it begins */
    x(frame) {
        return (frame - this.first) * this.pitch;
    }

    /** @param {number} x @returns {number} the frame there, within the video */
    frame(x) {
        return Math.min(this.count - 1, Math.max(0, Math.floor(this.first + x / this.pitch)));
    }

    /**
     * @param {number} factor above 1 to see fewer frames
     * @param {number} x the pixel that keeps its frame
     * @returns {Scale}
     */
    zoomed(factor, x) {
        const span = Math.min(
            this.count,
            Math.max(Math.min(20, this.count), (this.last - this.first) / factor),
        );
        const held = this.first + x / this.pitch;
        return this.#at(held - (x / this.width) * span, span);
    }

    /** @param {number} frame @returns {Scale} moved no more than needed to show it */
    showing(frame) {
        const span = this.last - this.first;
        if (frame >= this.first && frame + 1 <= this.last) {
            return this;
        }
        return this.#at(frame - span / 2, span);
    }

    /** @param {number} frames @returns {Scale} */
    moved(frames) {
        return this.#at(this.first + frames, this.last - this.first);
    }

    /** @param {number} count @param {number} width @returns {Scale} */
    resized(count, width) {
        const whole = this.count !== count || this.last - this.first >= this.count;
        return whole ? new Scale(count, width) : new Scale(count, width, this.first, this.last);
    }

    /**
     * @param {number} first
     * @param {number} span
     */
    #at(first, span) {
        const start = Math.min(Math.max(0, first), this.count - span);
        return new Scale(this.count, this.width, start, start + span);
    }

    /** @returns {number} frames between two marks of the ruler that leave room for a number */
    get stride() {
        const least = 56 / this.pitch;
        const steps = [1, 2, 5];
        for (let power = 1; ; power *= 10) {
            const step = steps.find((each) => each * power >= least);
            if (step) {
                return step * power;
            }
        }
    }
}

/**
 * @param {readonly number[]} frames in order
 * @param {number} frame
 * @returns {number} how many are smaller
 */
export function placeOf(frames, frame) {
    let [low, high] = [0, frames.length];
    while (low < high) {
        const middle = (low + high) >> 1;
        if (frames[middle] < frame) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

/**
 * @param {number} object
 * @returns {TimelineRow} without frames
 */
export function emptyRow(object) {
    return { object, frames: [], score: [], presence: [], source: "", outside: [] };
}

/**
 * @param {TimelineRow} row
 * @param {number} frame
 * @param {Shape | null} shape null: none any more
 * @returns {TimelineRow} another one, with what is now on that frame
 */
export function withShape(row, frame, shape) {
    const place = placeOf(row.frames, frame);
    const old = row.frames[place] === frame ? 1 : 0;
    /** @template T @param {readonly T[]} list @param {T[]} news @returns {T[]} */
    const spliced = (list, news) => [...list.slice(0, place), ...news, ...list.slice(place + old)];
    return {
        object: row.object,
        frames: spliced(row.frames, shape ? [frame] : []),
        score: spliced(row.score, shape ? [shape.score] : []),
        presence: spliced(row.presence, shape ? [shape.presence] : []),
        source: row.source.slice(0, place) + (shape ? shape.source[0] : "") + row.source.slice(place + old),
        outside: spliced(row.outside, shape ? [shape.outside ? 1 : 0] : []),
    };
}

/**
 * @param {readonly TimelineRow[]} rows
 * @param {readonly Shape[]} shapes
 * @param {readonly [number, number][]} [removed] object and frame of shapes that are gone
 * @returns {TimelineRow[]}
 */
export function withShapes(rows, shapes, removed = []) {
    const changed = new Map(rows.map((row) => [row.object, row]));
    for (const shape of shapes) {
        const row = changed.get(shape.object) ?? emptyRow(shape.object);
        changed.set(shape.object, withShape(row, shape.frame, shape));
    }
    for (const [object, frame] of removed) {
        changed.set(object, withShape(changed.get(object) ?? emptyRow(object), frame, null));
    }
    return [...changed.values()];
}

/**
 * @param {readonly TimelineRow[]} rows
 * @param {number} frame
 * @param {1 | -1} direction
 * @param {number | null} object null: any
 * @returns {number | null} the next frame edited by hand
 */
export function nextEdit(rows, frame, direction, object) {
    /** @type {number | null} */
    let best = null;
    for (const row of rows) {
        if (object !== null && row.object !== object) {
            continue;
        }
        row.frames.forEach((other, index) => {
            const ahead = (other - frame) * direction;
            if (row.source[index] !== "a" && ahead > 0 && (best === null || (other - best) * direction < 0)) {
                best = other;
            }
        });
    }
    return best;
}

/**
 * @typedef {object} Column what of a row falls into one pixel
 * @property {"none" | "absent" | "held" | "present"} state held: from an earlier keyframe
 * @property {number | null} score the lowest
 * @property {number | null} presence the lowest
 */

/**
 * @param {TimelineRow} row
 * @param {Scale} scale
 * @param {boolean} held whether a shape holds until the next one
 * @returns {Column[]} one a pixel, or one a frame if frames are wider than that
 */
export function columnsOf(row, scale, held) {
    const count = Math.ceil(Math.min(scale.width, scale.last - scale.first));
    const step = (scale.last - scale.first) / Math.max(1, count);
    /** @type {Column[]} */
    const columns = [];
    let place = placeOf(row.frames, Math.floor(scale.first));
    for (let index = 0; index < count; index++) {
        const stop = scale.first + (index + 1) * step;
        /** @type {Column} */
        const column = { state: "none", score: null, presence: null };
        if (held && place > 0) {
            column.state = row.outside[place - 1] ? "absent" : "held";
        }
        for (; place < row.frames.length && row.frames[place] < stop; place++) {
            column.state = stateAt(row, place);
            column.score = lower(column.score, row.score[place]);
            column.presence = lower(column.presence, row.presence[place]);
        }
        columns.push(column);
    }
    return columns;
}

/**
 * @param {number | null} one
 * @param {number | null} other
 * @returns {number | null} the lower of those that are known
 */
function lower(one, other) {
    return one === null || other === null ? (one ?? other) : Math.min(one, other);
}

/**
 * @param {TimelineRow} row
 * @param {number} place
 * @returns {"absent" | "present"}
 */
function stateAt(row, place) {
    return row.outside[place] || (row.presence[place] ?? 1) < 0.5 ? "absent" : "present";
}
