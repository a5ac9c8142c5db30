/** Draws the frame and the objects on it. */

import { maskPicture, pictureOf } from "./mask_picture.js";

const HALO = "rgb(0 0 0 / 0.55)"; // keeps a line legible on a ground of its own colour
const FILL = { plain: 0.3, selected: 0.42 };

/**
 * @typedef {import("./wire").Item} Item
 * @typedef {import("./wire").Shape} Shape
 * @typedef {import("./masks.js").Patch} Patch
 * @typedef {{ object: number | null, patch: Patch, colour: string }} Draft a mask at work
 *
 * @typedef {object} Sight
 * @property {CanvasImageSource | string | null} picture or a sentence in its place
 * @property {import("./view.js").View} view
 * @property {import("./shape_cache.js").Scene | null} scene
 * @property {Item[]} items from the bottom to the top
 * @property {number | null} selected
 * @property {Draft | null} draft takes the place of that object's shape
 */

export class Painter {
    /** @param {HTMLCanvasElement} canvas */
    constructor(canvas) {
        this.canvas = canvas;
        const context = canvas.getContext("2d");
        if (!context) {
            throw new Error("This browser gives no canvas to draw on.");
        }
        this.context = context;
    }

    /** @param {Sight} sight */
    draw({ picture, view, scene, items, selected, draft }) {
        const { context } = this;
        begin(this.canvas, context, view);
        if (typeof picture === "string") {
            drawSentence(context, view, picture);
        } else if (picture) {
            const enlarged = view.scale * devicePixelRatio;
            context.imageSmoothingEnabled = enlarged < 3;
            // Made larger, the better filters look the same and take three times as long without a GPU.
            context.imageSmoothingQuality = enlarged < 1 ? "medium" : "low";
            context.drawImage(picture, 0, 0, view.frame.width, view.frame.height);
        }
        // The selected one last, so that nothing covers it.
        const order = [...items].sort(
            (one, other) => Number(one.id === selected) - Number(other.id === selected),
        );
        for (const item of order) {
            const shape = scene?.shapes.get(item.id);
            if (shape && !shape.outside && item.shown && draft?.object !== item.id) {
                this.#drawShape(shape, item, view.scale, item.id === selected);
            }
        }
        if (draft) {
            const { image, path, patch } = pictureOf(draft.patch, draft.colour);
            this.#drawMask(image, path, patch, draft.colour, view.scale, true);
        }
    }

    /**
     * @param {Shape} shape
     * @param {Item} item
     * @param {number} scale
     * @param {boolean} selected
     */
    #drawShape(shape, item, scale, selected) {
        if (item.kind === "mask") {
            const { image, path, patch } = maskPicture(shape, item.colour);
            this.#drawMask(image, path, patch, item.colour, scale, selected);
            return;
        }
        const { context } = this;
        const path = item.kind === "polygon" ? polygonPath(shape.points) : rectanglePath(shape.points);
        context.globalAlpha = (selected ? FILL.selected : FILL.plain) * 0.6;
        context.fillStyle = item.colour;
        context.fill(path);
        context.globalAlpha = 1;
        this.#outline(path, item.colour, scale, { selected, dashed: shape.interpolated ?? false });
    }

    /**
     * @param {CanvasImageSource} image
     * @param {Path2D} path
     * @param {import("./masks.js").Patch} patch
     * @param {string} colour
     * @param {number} scale
     * @param {boolean} selected
     */
    #drawMask(image, path, patch, colour, scale, selected) {
        const { context } = this;
        context.imageSmoothingEnabled = false;
        context.globalAlpha = selected ? FILL.selected : FILL.plain;
        context.drawImage(image, patch.left, patch.top);
        context.globalAlpha = 1;
        this.#outline(path, colour, scale, { selected, dashed: false });
    }

    /**
     * @param {Path2D} path
     * @param {string} colour
     * @param {number} scale
     * @param {{ selected: boolean, dashed: boolean }} style
     */
    #outline(path, colour, scale, { selected, dashed }) {
        const { context } = this;
        context.lineCap = "square";
        context.lineJoin = "round";
        context.setLineDash(dashed ? [6 / scale, 4 / scale] : []);
        context.strokeStyle = HALO;
        context.lineWidth = (selected ? 3 : 2.5) / scale;
        context.stroke(path);
        context.strokeStyle = colour;
        context.lineWidth = (selected ? 1.5 : 1.25) / scale;
        context.stroke(path);
        context.setLineDash([]);
    }
}

/**
 * Makes a canvas as sharp as the screen, wipes it and lets drawing count in pixels of the frame.
 *
 * @param {HTMLCanvasElement} canvas
 * @param {CanvasRenderingContext2D} context
 * @param {import("./view.js").View} view
 */
export function begin(canvas, context, view) {
    const ratio = devicePixelRatio;
    const [width, height] = [Math.round(view.stage.width * ratio), Math.round(view.stage.height * ratio)];
    if (canvas.width !== width || canvas.height !== height) {
        canvas.width = width;
        canvas.height = height;
    }
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.clearRect(0, 0, width, height);
    context.setTransform(view.scale * ratio, 0, 0, view.scale * ratio, view.left * ratio, view.top * ratio);
}

/**
 * @param {CanvasRenderingContext2D} context that counts in pixels of the frame
 * @param {import("./view.js").View} view
 * @param {string} sentence in the place of a picture
 */
function drawSentence(context, view, sentence) {
    const { width, height } = view.frame;
    context.fillStyle = "#333";
    context.fillRect(0, 0, width, height);
    context.fillStyle = "#fff";
    context.font = `${15 / view.scale}px sans-serif`;
    context.textAlign = "center";
    context.fillText(sentence, width / 2, height / 2, width);
}

/** @param {ArrayLike<number>} points @returns {Path2D} */
export function polygonPath(points) {
    const path = new Path2D();
    for (let index = 0; index < points.length; index += 2) {
        path.lineTo(points[index], points[index + 1]);
    }
    path.closePath();
    return path;
}

/** @param {ArrayLike<number>} points left, top, right, bottom @returns {Path2D} */
export function rectanglePath(points) {
    const path = new Path2D();
    path.rect(points[0], points[1], points[2] - points[0], points[3] - points[1]);
    return path;
}
