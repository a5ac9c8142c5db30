// Which objects of the current frame are followed, and what becomes of them.
import type { Collection, ObjectState, PlainShape, SerializedShape, SerializedTrack } from './cvat';
import { uprightBox } from './geometry';
import type { TrackableType } from './trackers';

interface Followed {
    state: ObjectState; // as the object is seen on the current frame
    seed: PlainShape; // what the tracker is shown
}

export interface TrackTarget extends Followed {
    becomes: 'longer track';
    object: SerializedTrack;
}

export interface ShapeTarget extends Followed {
    becomes: 'track' | 'shapes';
    object: SerializedShape;
}

export type Target = TrackTarget | ShapeTarget;

/** Whether the object may be followed at all: it is seen, not locked, and of a kind that is among `types`. */
export function canFollow(state: ObjectState, types: readonly TrackableType[]): boolean {
    if (state.objectType !== 'shape' && state.objectType !== 'track') {
        return false;
    }
    // CVAT cannot open a job that has a track of masks.
    const isMaskTrack = state.objectType === 'track' && state.shapeType === 'mask';
    return (
        !state.outside &&
        !state.hidden &&
        !state.lock &&
        !isMaskTrack &&
        types.some((type) => type === state.shapeType)
    );
}

/** The objects of `types` that may be on `frame`; whether they are seen there is looked at later. */
export function candidates(
    collection: Collection,
    frame: number,
    types: readonly TrackableType[],
): Collection {
    const isWanted = (type: string | undefined): boolean => types.some((wanted) => wanted === type);
    return {
        shapes: collection.shapes.filter((shape) => shape.frame === frame && isWanted(shape.type)),
        tracks: collection.tracks.filter((track) => {
            const type = track.shapes[0]?.type;
            return (
                type !== 'mask' && isWanted(type) && track.shapes.some((keyframe) => keyframe.frame <= frame)
            );
        }),
        tags: [],
    };
}

/**
 * The objects to follow.
 *
 * A track is there only where CVAT shows it: its last keyframe up to the frame is not an outside one. What
 * the tracker is shown is what the user sees: for a track between two keyframes, an interpolated place.
 */
export function targetsOf(
    collection: Collection,
    states: ObjectState[],
    types: readonly TrackableType[],
    convertPolygons: boolean,
): Target[] {
    const seen = new Map(states.map((state) => [state.clientID, state]));
    const stateOf = (object: { clientID?: number | undefined }): ObjectState | null => {
        const state = seen.get(object.clientID ?? null);
        return state && canFollow(state, types) && state.points?.length ? state : null;
    };
    const targets: Target[] = [];
    for (const object of collection.shapes) {
        const state = stateOf(object);
        if (state) {
            const becomes = convertPolygons && object.type === 'polygon' ? 'track' : 'shapes';
            targets.push({ becomes, object, state, seed: seedOf(state) });
        }
    }
    for (const object of collection.tracks) {
        const state = stateOf(object);
        if (state) {
            targets.push({ becomes: 'longer track', object, state, seed: seedOf(state) });
        }
    }
    return targets;
}

function seedOf(state: ObjectState): PlainShape {
    const { points, shapeType: type } = state as { points: number[]; shapeType: TrackableType };
    // The protocol has no rotation: a turned rectangle is shown as the upright box around it.
    return { type, points: type === 'rectangle' ? uprightBox(points, state.rotation ?? 0) : [...points] };
}
