/** Draws what lies above the objects: clicks, boxes, what waits for an answer, the tool at work. */

import { begin } from "./painter.js";
import { extentOf } from "./outlines.js";

const AGAINST = "#e5484d";
const FOR = "#30a46c";

/**
 * @typedef {import("./wire").Prompt} Prompt
 * @typedef {import("./wire").Item} Item
 *
 * @typedef {object} Layer
 * @property {import("./view.js").View} view
 * @property {Prompt | null} prompt of the selected object on this frame
 * @property {import("./prompting.js").Saying[]} pending said on this frame and not answered
 * @property {{ item: Item, points: number[] } | null} named the selected object and its shape
 * @property {import("./tools/tool.js").Tool} tool
 * @property {{ x: number, y: number } | null} cross
 * @property {number} turn of what shows that an answer is waited for, in radians
 */

export class Overlay {
    /** @param {HTMLCanvasElement} canvas */
    constructor(canvas) {
        this.canvas = canvas;
        const context = canvas.getContext("2d");
        if (!context) {
            throw new Error("This browser gives no canvas to draw on.");
        }
        this.context = context;
    }

    /** @param {Layer} layer */
    draw({ view, prompt, pending, named, tool, cross, turn }) {
        const { context } = this;
        begin(this.canvas, context, view);
        const { scale } = view;
        if (named) {
            this.#name(named.item, named.points, view);
        }
        if (prompt) {
            this.#box(prompt.box, scale, 1);
            prompt.points.forEach((place, index) => this.#mark(place, prompt.labels[index], scale));
        }
        for (const saying of pending) {
            this.#box(saying.box, scale, 0.6);
            saying.points.forEach((place, index) => this.#mark(place, saying.labels[index], scale));
            saying.points.forEach((place) => this.#spinner(place, scale, turn));
            if (saying.box) {
                const [left, top, right, bottom] = saying.box;
                this.#spinner([(left + right) / 2, (top + bottom) / 2], scale, turn);
            }
        }
        tool.draw({ context, scale });
        if (cross) {
            this.#cross(cross, scale);
        }
    }

    /**
     * @param {[number, number]} place
     * @param {number} label
     * @param {number} scale
     */
    #mark([x, y], label, scale) {
        const { context } = this;
        context.beginPath();
        context.arc(x, y, 6.5 / scale, 0, 7);
        context.fillStyle = label ? FOR : AGAINST;
        context.fill();
        context.lineWidth = 1.5 / scale;
        context.strokeStyle = "#fff";
        context.stroke();
        const arm = 3 / scale;
        context.beginPath();
        context.moveTo(x - arm, y);
        context.lineTo(x + arm, y);
        if (label) {
            context.moveTo(x, y - arm);
            context.lineTo(x, y + arm);
        }
        context.stroke();
    }

    /**
     * @param {readonly number[] | null} box
     * @param {number} scale
     * @param {number} alpha
     */
    #box(box, scale, alpha) {
        if (!box) {
            return;
        }
        const { context } = this;
        const [left, top, right, bottom] = box;
        context.globalAlpha = alpha;
        context.lineWidth = 3 / scale;
        context.strokeStyle = "rgb(0 0 0 / 0.5)";
        context.strokeRect(left, top, right - left, bottom - top);
        context.setLineDash([5 / scale, 4 / scale]);
        context.lineWidth = 1.5 / scale;
        context.strokeStyle = "#fff";
        context.strokeRect(left, top, right - left, bottom - top);
        context.setLineDash([]);
        context.globalAlpha = 1;
    }

    /**
     * @param {[number, number]} place
     * @param {number} scale
     * @param {number} turn
     */
    #spinner([x, y], scale, turn) {
        const { context } = this;
        context.lineWidth = 2.5 / scale;
        context.lineCap = "round";
        context.strokeStyle = "rgb(0 0 0 / 0.45)";
        context.beginPath();
        context.arc(x, y, 11 / scale, 0, 7);
        context.stroke();
        context.strokeStyle = "#fff";
        context.beginPath();
        context.arc(x, y, 11 / scale, turn, turn + 1.8);
        context.stroke();
    }

    /**
     * @param {Item} item
     * @param {number[]} points
     * @param {import("./view.js").View} view
     */
    #name(item, points, view) {
        const { context } = this;
        const [left, top] = item.kind === "mask" ? points.slice(-4) : extentOf(points);
        const ratio = devicePixelRatio;
        const [x, y] = view.toStage(left, top);
        context.save();
        context.setTransform(ratio, 0, 0, ratio, 0, 0);
        context.font = "600 11px system-ui, sans-serif";
        const width = context.measureText(item.name).width + 12;
        const [px, py] = [
            Math.min(Math.max(4, x), view.stage.width - width - 4),
            Math.min(Math.max(4, y - 22), view.stage.height - 22),
        ];
        context.fillStyle = item.colour;
        context.beginPath();
        context.roundRect(px, py, width, 18, 4);
        context.fill();
        context.fillStyle = inkOn(item.colour);
        context.textBaseline = "middle";
        context.fillText(item.name, px + 6, py + 9.5);
        context.restore();
    }

    /**
     * @param {{ x: number, y: number }} place
     * @param {number} scale
     */
    #cross({ x, y }, scale) {
        const { context } = this;
        const path = new Path2D();
        const [near, far] = [4 / scale, 16 / scale];
        for (const [dx, dy] of [
            [1, 0],
            [-1, 0],
            [0, 1],
            [0, -1],
        ]) {
            path.moveTo(x + dx * near, y + dy * near);
            path.lineTo(x + dx * far, y + dy * far);
        }
        for (const [colour, width] of /** @type {[string, number][]} */ ([
            ["rgb(0 0 0 / 0.7)", 4],
            ["#fff", 2],
        ])) {
            context.strokeStyle = colour;
            context.lineWidth = width / scale;
            context.stroke(path);
        }
    }
}

/**
 * @param {string} colour "#rrggbb"
 * @returns {string} black or white, whichever is read more easily on it
 */
export function inkOn(colour) {
    const value = Number.parseInt(colour.slice(1), 16);
    const [red, green, blue] = [value >> 16, (value >> 8) & 255, value & 255];
    return 0.299 * red + 0.587 * green + 0.114 * blue > 140 ? "#101214" : "#ffffff";
}
