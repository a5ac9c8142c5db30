// A path as independent shapes, one per frame, which a group holds together: CVAT has no tracks of masks.
import type { Collection, SerializedShape } from './cvat';
import type { Path } from './following';
import type { ShapeTarget } from './targets';

export interface ShapeChanges {
    created: SerializedShape[];
    deleted: SerializedShape[];
}

/** The highest number of a group in the job; higher ones are free. */
export function highestGroup(whole: Collection): number {
    return [...whole.shapes, ...whole.tracks].reduce(
        (highest, { group }) => Math.max(highest, group ?? 0),
        0,
    );
}

/**
 * The shapes of a path.
 *
 * They share the group of the shape that was followed; one without a group gets `freeGroup` and is written
 * anew with it. What an earlier run wrote on these frames is found by the group and is replaced. A shape of
 * the group that a hand has touched stays, and nothing is written beside it.
 */
export function shapesOf(
    target: ShapeTarget,
    path: Path,
    whole: Collection,
    freeGroup: number,
): ShapeChanges {
    const { object } = target;
    const created: SerializedShape[] = [];
    const deleted: SerializedShape[] = [];
    const group = object.group || freeGroup;
    const earlier = object.group ? earlierShapes(object, path, whole) : [];
    const handMade = new Set(earlier.filter(({ source }) => source !== 'auto').map(({ frame }) => frame));
    deleted.push(...earlier.filter(({ source }) => source === 'auto'));
    for (const [frame, points] of path) {
        if (points && !handMade.has(frame)) {
            created.push(copyOf(object, { frame, points: [...points], group }));
        }
    }
    if (!object.group && created.length > 0) {
        deleted.push(object);
        created.push({ ...object, clientID: undefined, group, points: [...(object.points ?? [])] });
    }
    return { created, deleted };
}

// Empty where the group holds several such shapes on the first frame: whose the others are, nobody knows.
function earlierShapes(object: SerializedShape, path: Path, whole: Collection): SerializedShape[] {
    const alike = whole.shapes.filter(
        (shape) =>
            shape.group === object.group && shape.label_id === object.label_id && shape.type === object.type,
    );
    const isAlone = alike.filter(({ frame }) => frame === object.frame).length === 1;
    return isAlone ? alike.filter(({ frame }) => path.has(frame)) : [];
}

function copyOf(
    object: SerializedShape,
    placed: Pick<SerializedShape, 'frame' | 'group'> & { points: number[] },
): SerializedShape {
    return {
        ...placed,
        type: object.type,
        label_id: object.label_id,
        source: 'auto',
        attributes: object.attributes.map((attribute) => ({ ...attribute })),
        occluded: object.occluded,
        outside: false,
        rotation: 0,
        z_order: object.z_order,
        elements: [],
    };
}
