/** Masks as something a canvas can draw: filled pixels in a colour and their border as a path. */

import { border, decode } from "./masks.js";

/** @typedef {{ image: OffscreenCanvas, path: Path2D, patch: import("./masks.js").Patch }} MaskPicture */

/** @type {WeakMap<object, { colour: string, picture: MaskPicture }>} */
const drawn = new WeakMap();

/**
 * @param {import("./wire").Shape} shape of a mask; kept drawn as long as the shape itself is kept
 * @param {string} colour "#rrggbb"
 * @returns {MaskPicture}
 */
export function maskPicture(shape, colour) {
    const kept = drawn.get(shape);
    if (kept?.colour === colour) {
        return kept.picture;
    }
    const picture = pictureOf(kept?.picture.patch ?? decode(shape.points), colour);
    drawn.set(shape, { colour, picture });
    return picture;
}

/**
 * @param {import("./masks.js").Patch} patch
 * @param {string} colour "#rrggbb"
 * @returns {MaskPicture}
 */
export function pictureOf(patch, colour) {
    const image = new OffscreenCanvas(Math.max(1, patch.width), Math.max(1, patch.height));
    const context = image.getContext("2d");
    if (context && patch.width) {
        const pixels = context.createImageData(patch.width, patch.height);
        new Uint32Array(pixels.data.buffer).set(tinted(patch.bits, colour));
        context.putImageData(pixels, 0, 0);
    }
    const path = new Path2D();
    for (const [x1, y1, x2, y2] of border(patch)) {
        path.moveTo(x1, y1);
        path.lineTo(x2, y2);
    }
    return { image, path, patch };
}

/**
 * @param {Uint8Array} bits
 * @param {string} colour "#rrggbb"
 * @returns {Uint32Array} pixels as a canvas has them, red in the lowest byte
 */
function tinted(bits, colour) {
    const value = Number.parseInt(colour.slice(1), 16);
    const [red, green, blue] = [value >> 16, (value >> 8) & 255, value & 255];
    const pixel = ((255 << 24) | (blue << 16) | (green << 8) | red) >>> 0;
    return Uint32Array.from(bits, (bit) => (bit ? pixel : 0));
}
