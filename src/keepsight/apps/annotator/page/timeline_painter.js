/** Draws the timeline: a ruler, and a row for every object. */

import { columnsOf } from "./timeline_rows.js";

export const ROW = 22; // CSS pixels
export const RULER = 20;
const STRIPE = 4;

/**
 * @typedef {import("./timeline_rows.js").Scale} Scale
 * @typedef {import("./wire").TimelineRow} TimelineRow
 * @typedef {import("./wire").Item} Item
 * @typedef {import("./wire").Run} Run
 * @typedef {import("./wire").Stretch} Stretch
 *
 * @typedef {object} Colours
 * @property {string} ink
 * @property {string} dim
 * @property {string} line
 * @property {string} track what a row has where there is nothing
 * @property {string} accent
 * @property {string} warning
 * @property {string} chosen
 * @property {string} onAccent
 *
 * @typedef {object} Lane
 * @property {Item} item
 * @property {TimelineRow} row
 * @property {Stretch[]} stretches suspected
 * @property {boolean} selected
 */

/**
 * @param {HTMLElement} element
 * @returns {Colours} as the style sheet has them now
 */
export function coloursOf(element) {
    // What a variable says ("light-dark(...)") is no colour yet; a property that uses it is.
    const probe = document.createElement("span");
    element.append(probe);
    /** @param {string} name */
    const colour = (name) => {
        probe.style.color = `var(--${name})`;
        return getComputedStyle(probe).color;
    };
    const colours = {
        ink: colour("ink"),
        dim: colour("dim"),
        line: colour("line"),
        track: colour("track"),
        accent: colour("accent"),
        warning: colour("warning"),
        chosen: colour("chosen"),
        onAccent: colour("on-accent"),
    };
    probe.remove();
    return colours;
}

/**
 * @param {HTMLCanvasElement} canvas
 * @param {number} width CSS pixels
 * @param {number} height
 * @returns {CanvasRenderingContext2D | null} wiped, counting in CSS pixels
 */
export function prepared(canvas, width, height) {
    const ratio = devicePixelRatio;
    const context = canvas.getContext("2d");
    const [across, down] = [Math.round(width * ratio), Math.round(height * ratio)];
    if (canvas.width !== across || canvas.height !== down) {
        canvas.width = across;
        canvas.height = down;
        canvas.style.height = `${height}px`;
    }
    context?.setTransform(ratio, 0, 0, ratio, 0, 0);
    context?.clearRect(0, 0, width, height);
    return context;
}

/**
 * @param {CanvasRenderingContext2D} context
 * @param {Scale} scale
 * @param {Colours} colours
 * @param {{ frame: number, run: Run | null }} now
 */
export function drawRuler(context, scale, colours, { frame, run }) {
    context.font = "10.5px system-ui, sans-serif";
    context.textBaseline = "middle";
    const { stride } = scale;
    for (let mark = Math.ceil(scale.first / stride) * stride; mark < scale.last; mark += stride) {
        const x = scale.x(mark) + scale.pitch / 2;
        context.fillStyle = colours.line;
        context.fillRect(Math.round(x), RULER - 5, 1, 5);
        // The number of the frame shown takes the place of those beside it.
        if (Math.abs(scale.x(frame) - scale.x(mark)) > 34) {
            context.fillStyle = colours.dim;
            context.textAlign = x < 12 ? "left" : "center";
            context.fillText(String(mark), x < 12 ? 2 : x, 8);
        }
    }
    if (run?.state === "running") {
        drawRun(context, scale, colours, run);
    }
    const x = scale.x(frame) + scale.pitch / 2;
    const label = String(frame);
    const width = Math.max(18, context.measureText(label).width + 10);
    const left = Math.min(Math.max(0, x - width / 2), scale.width - width);
    context.fillStyle = colours.accent;
    context.beginPath();
    context.roundRect(left, 1, width, 14, 3);
    context.fill();
    context.fillRect(Math.round(x) - 0.5, 14, 1.5, RULER - 14);
    context.fillStyle = colours.onAccent;
    context.textAlign = "center";
    context.fillText(label, left + width / 2, 8.5);
}

/**
 * @param {CanvasRenderingContext2D} context
 * @param {Scale} scale
 * @param {Colours} colours
 * @param {Run} run
 */
function drawRun(context, scale, colours, run) {
    const back = run.direction === "backward";
    const [from, to] = [
        scale.x(Math.min(run.frame, run.target)),
        scale.x(Math.max(run.frame, run.target) + 1),
    ];
    const part = run.total ? Math.min(1, run.done / run.total) : 0;
    context.fillStyle = colours.track;
    context.fillRect(from, RULER - 3, to - from, 3);
    context.fillStyle = colours.accent;
    const length = (to - from) * part;
    context.fillRect(back ? to - length : from, RULER - 3, length, 3);
}

/**
 * @param {CanvasRenderingContext2D} context
 * @param {Scale} scale
 * @param {Colours} colours
 * @param {Lane[]} lanes
 * @param {number} frame shown
 */
export function drawLanes(context, scale, colours, lanes, frame) {
    lanes.forEach((lane, index) => {
        context.save();
        context.translate(0, index * ROW);
        drawLane(context, scale, colours, lane);
        context.restore();
    });
    const x = scale.x(frame) + scale.pitch / 2;
    context.fillStyle = colours.accent;
    context.fillRect(Math.round(x) - 0.5, 0, 1.5, lanes.length * ROW);
}

/**
 * @param {CanvasRenderingContext2D} context at the row's upper left corner
 * @param {Scale} scale
 * @param {Colours} colours
 * @param {Lane} lane
 */
function drawLane(context, scale, colours, { item, row, stretches, selected }) {
    const [top, height] = [4, ROW - 8];
    if (selected) {
        context.fillStyle = colours.chosen;
        context.fillRect(0, 0, scale.width, ROW);
    }
    context.fillStyle = colours.track;
    context.fillRect(0, top, scale.width, height);
    const columns = columnsOf(row, scale, item.tracked);
    drawColumns(context, scale, columns, item.colour, colours.dim, { top, height });
    for (const stretch of stretches) {
        drawStretch(context, scale, colours, stretch);
    }
    drawHandEdits(context, scale, row, top + height / 2);
}

/**
 * Striped like a warning tape, which differs from an object of any colour.
 *
 * @param {CanvasRenderingContext2D} context
 * @param {Scale} scale
 * @param {Colours} colours
 * @param {Stretch} stretch
 */
function drawStretch(context, scale, colours, { start, stop, risk }) {
    const [left, right] = [Math.max(0, scale.x(start)), Math.min(scale.width, scale.x(stop))];
    context.globalAlpha = 0.5 + 0.5 * Math.min(1, risk);
    for (let x = left; x < Math.max(right, left + 2); x += STRIPE) {
        context.fillStyle = Math.round((x - left) / STRIPE) % 2 ? colours.ink : colours.warning;
        context.fillRect(x, ROW - 3.5, Math.min(STRIPE, Math.max(2, right - x)), 3);
    }
    context.globalAlpha = 1;
}

/**
 * @param {CanvasRenderingContext2D} context
 * @param {Scale} scale
 * @param {import("./timeline_rows.js").Column[]} columns
 * @param {string} colour of the object
 * @param {string} absent the colour of what is known not to be there
 * @param {{ top: number, height: number }} place
 */
function drawColumns(context, scale, columns, colour, absent, { top, height }) {
    const pitch = scale.width / Math.max(1, columns.length);
    const gap = pitch > 6 ? 1 : 0;
    columns.forEach(({ state, score, presence }, index) => {
        const [left, right] = [index * pitch, (index + 1) * pitch - gap];
        if (state === "absent") {
            // A line along the bottom.
            context.fillStyle = absent;
            context.fillRect(left, top + height - 2, right - left, 2);
        } else if (state !== "none") {
            const part = state === "held" ? 0 : heightOf(score);
            context.globalAlpha = 0.35;
            context.fillStyle = colour;
            context.fillRect(left, top, right - left, height);
            // Present for certain: the full colour. As likely gone as there: half of it.
            context.globalAlpha = presence ?? 1;
            context.fillRect(left, top + height * (1 - part), right - left, height * part);
            context.globalAlpha = 1;
        }
    });
}

/**
 * Scores that matter lie between a half and one, so that is where most of the height goes.
 *
 * @param {number | null} score
 * @returns {number} part of a row's height
 */
function heightOf(score) {
    return score === null ? 1 : Math.min(1, Math.max(0.12, (score - 0.4) / 0.6));
}

/**
 * @param {CanvasRenderingContext2D} context
 * @param {Scale} scale
 * @param {TimelineRow} row
 * @param {number} y
 */
function drawHandEdits(context, scale, row, y) {
    row.frames.forEach((frame, index) => {
        const source = row.source[index];
        if (source === "a" || frame < scale.first || frame >= scale.last) {
            return;
        }
        const x = scale.x(frame) + scale.pitch / 2;
        context.beginPath();
        if (source === "m") {
            // Drawn by hand: a diamond; said by clicks: a disc.
            context.moveTo(x, y - 5.5);
            context.lineTo(x + 5.5, y);
            context.lineTo(x, y + 5.5);
            context.lineTo(x - 5.5, y);
            context.closePath();
        } else {
            context.arc(x, y, 4.25, 0, 7);
        }
        context.fillStyle = "#fff";
        context.fill();
        context.lineWidth = 1.5;
        context.strokeStyle = "#1b1f24";
        context.stroke();
    });
}
