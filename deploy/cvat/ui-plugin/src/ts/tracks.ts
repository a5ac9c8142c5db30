// A path as keyframes of a track.
import type { Keyframe, Label, SerializedShape, SerializedTrack } from './cvat';
import type { Path } from './following';
import type { ShapeTarget, TrackTarget } from './targets';

/** A track of one keyframe in the place of a shape, with the shape's attributes. */
export function trackFrom({ object }: ShapeTarget, labels: Label[]): SerializedTrack {
    return {
        label_id: object.label_id,
        group: object.group,
        frame: object.frame,
        source: 'auto',
        attributes: attributesThat(object, labels, false),
        shapes: [
            {
                frame: object.frame,
                type: object.type,
                points: [...(object.points ?? [])],
                occluded: object.occluded,
                outside: false,
                rotation: object.rotation,
                z_order: object.z_order,
                attributes: attributesThat(object, labels, true),
            },
        ],
        elements: [],
    };
}

// A track of CVAT holds its immutable attributes itself and the mutable ones in its keyframes.
function attributesThat(
    object: SerializedShape,
    labels: Label[],
    areMutable: boolean,
): Keyframe['attributes'] {
    const label = labels.find(({ id }) => id === object.label_id);
    return object.attributes
        .filter(({ spec_id }) =>
            label?.attributes.some(({ id, mutable }) => id === spec_id && mutable === areMutable),
        )
        .map((attribute) => ({ ...attribute }));
}

/**
 * The track with a keyframe on every frame of the path.
 *
 * A keyframe that is there already gets the new place and keeps its attributes and its occlusion. An object
 * that was not found is outside, in its last place. `closing` is the first frame after the path: where the
 * track has no keyframe from there on it ends there, since CVAT would show it to the end of the job.
 */
export function withPath(
    track: SerializedTrack,
    { state }: TrackTarget | ShapeTarget,
    start: number,
    path: Path,
    closing: number | null,
): SerializedTrack {
    const keyframes = new Map(track.shapes.map((keyframe) => [keyframe.frame, copyOf(keyframe)]));
    const common = {
        type: state.shapeType as Keyframe['type'],
        occluded: state.occluded,
        z_order: state.zOrder,
    };
    let last = { points: state.points ?? [], rotation: state.rotation ?? 0, outside: false };
    const put = (frame: number): void => {
        const present = keyframes.get(frame) ?? { ...common, frame, attributes: [] };
        keyframes.set(frame, { ...present, ...last, points: [...last.points] });
    };
    if (!keyframes.has(start)) {
        // Without it, the frames up to here would be interpolated towards the first tracked one.
        put(start);
    }
    for (const [frame, place] of path) {
        last = place ? { points: place, rotation: 0, outside: false } : { ...last, outside: true };
        put(frame);
    }
    if (closing !== null && !last.outside && ![...keyframes.keys()].some((frame) => frame >= closing)) {
        last = { ...last, outside: true };
        put(closing);
    }
    const shapes = [...keyframes.values()].sort((a, b) => a.frame - b.frame);
    // The number on the server stays, so that saving changes the track there instead of replacing it.
    return { ...track, clientID: undefined, shapes };
}

function copyOf(keyframe: Keyframe): Keyframe {
    return { ...keyframe, points: [...(keyframe.points ?? [])] };
}
