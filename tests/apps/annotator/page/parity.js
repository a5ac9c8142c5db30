/** Answers, on standard output, what the page's code makes of masks and polygons that are given as JSON. */

import { readFileSync } from "node:fs";

import { decode, encode, filled } from "../../../../src/keepsight/apps/annotator/page/masks.js";

/** @type {{ codes: number[][], polygons: { points: number[], width: number, height: number }[] }} */
const given = JSON.parse(readFileSync(0, "utf8"));
const answer = {
    masks: given.codes.map((code) => {
        const patch = decode(code);
        return { ...patch, bits: Array.from(patch.bits) };
    }),
    codes: given.codes.map((code) => encode(decode(code))),
    filled: given.polygons.map(({ points, ...frame }) => encode(filled(points, frame))),
};
process.stdout.write(JSON.stringify(answer));
