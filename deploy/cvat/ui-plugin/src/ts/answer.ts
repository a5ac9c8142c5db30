// What a tracker answered, checked before anything of it can reach the job: CVAT's server checks none of it,
// and CVAT's client fails halfway through a commit over a polygon of two points, or opens the job no more.
import type { PlainShape, ShapeType } from './cvat';
import { boxAround } from './geometry';

const FEWEST: Partial<Record<ShapeType, number>> = { rectangle: 4, polygon: 6, mask: 6 };

/** The states in an answer, one per object. */
export function statesIn(answer: unknown, count: number): unknown[] {
    return listIn(answer, 'states', count);
}

/** The place of each object in an answer; null where the tracker did not find it. */
export function placesIn(answer: unknown, seeds: PlainShape[]): (number[] | null)[] {
    const shapes = listIn(answer, 'shapes', seeds.length);
    return seeds.map((seed, index) => placeIn(shapes[index], seed.type));
}

function listIn(answer: unknown, name: 'states' | 'shapes', count: number): unknown[] {
    const list = (answer as Record<string, unknown> | null | undefined)?.[name];
    if (!Array.isArray(list) || list.length !== count) {
        const got = Array.isArray(list) ? `${list.length}` : 'none';
        throw new Error(
            `Expected ${count} ${name} from the tracker, but got ${got}. See the log of its function.`,
        );
    }
    return list;
}

function placeIn(shape: unknown, type: ShapeType): number[] | null {
    if (shape === null) {
        return null;
    }
    const { type: found, points } = (shape ?? {}) as Partial<PlainShape>;
    if (found !== type) {
        throw new Error(`Expected a ${type} from the tracker, but got ${found ?? 'no shape'}.`);
    }
    if (!Array.isArray(points) || !points.every((value) => Number.isFinite(value))) {
        throw new Error(
            `Expected the points of a ${type} from the tracker to be numbers, but got something else.`,
        );
    }
    if (points.length < (FEWEST[type] ?? 0)) {
        return null; // nothing that can be drawn
    }
    if (type === 'mask') {
        return checkedMask(points);
    }
    return type === 'rectangle' ? checkedBox(points) : checkedPolygon(points);
}

function checkedBox(points: number[]): number[] | null {
    // Some trackers answer with the four corners of a turned box.
    const box = boxAround(points) as [number, number, number, number];
    return box[2] > box[0] && box[3] > box[1] ? box : null;
}

function checkedPolygon(points: number[]): number[] {
    if (points.length % 2 !== 0) {
        throw new Error(
            `Expected an even count of numbers in a polygon from the tracker, but got ${points.length}.`,
        );
    }
    return [...points];
}

// Runs of a row-major box, zeros first, then left, top, right and bottom, the last two inclusive.
function checkedMask(points: number[]): number[] {
    const runs = points.slice(0, -4);
    const [left, top, right, bottom] = points.slice(-4) as [number, number, number, number];
    const area = (right - left + 1) * (bottom - top + 1);
    const covered = runs.reduce((sum, run) => sum + run, 0);
    if (
        !points.every((value) => Number.isInteger(value) && value >= 0) ||
        right < left ||
        bottom < top ||
        covered !== area
    ) {
        throw new Error(
            `Expected the runs of a mask from the tracker to fill its box of ${area} pixels, ` +
                `but they fill ${covered}.`,
        );
    }
    return [...points];
}
