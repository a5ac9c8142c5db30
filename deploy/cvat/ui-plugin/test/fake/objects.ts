// Objects to put into a job.
import type { Keyframe, SerializedShape, SerializedTrack, ShapeType } from '../../src/ts/cvat';

export const BOX = [10, 20, 30, 40];
export const TRIANGLE = [10, 20, 60, 22.5, 55, 80];
export const MASK = [1, 7, 1, 2, 4, 3]; // columns 1 to 4 of rows 2 and 3, the first pixel clear
export const POINTS: Partial<Record<ShapeType, number[]>> = { rectangle: BOX, polygon: TRIANGLE, mask: MASK };

export function shape(type: ShapeType, frame: number, more: Partial<SerializedShape> = {}): SerializedShape {
    return {
        type,
        frame,
        label_id: 1,
        group: 0,
        source: 'manual',
        points: [...(POINTS[type] ?? [])],
        occluded: false,
        outside: false,
        rotation: 0,
        z_order: 0,
        attributes: [],
        elements: [],
        ...more,
    };
}

export function keyframe(type: ShapeType, frame: number, more: Partial<Keyframe> = {}): Keyframe {
    return {
        type,
        frame,
        points: [...(POINTS[type] ?? [])],
        occluded: false,
        outside: false,
        rotation: 0,
        z_order: 0,
        attributes: [],
        ...more,
    };
}

export function track(keyframes: Keyframe[], more: Partial<SerializedTrack> = {}): SerializedTrack {
    return {
        label_id: 1,
        group: 0,
        frame: keyframes[0]?.frame ?? 0,
        source: 'manual',
        attributes: [],
        shapes: keyframes,
        elements: [],
        ...more,
    };
}
