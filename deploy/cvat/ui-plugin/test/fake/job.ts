// A job in memory that treats objects as cvat-core does: what it shows of a track between keyframes, what it
// refuses to import, and one undo step per commit.
import type {
    Collection,
    Job,
    Keyframe,
    Label,
    ObjectState,
    SerializedShape,
    SerializedTrack,
} from '../../src/ts/cvat';

type Kind = 'shapes' | 'tracks';
interface Entry {
    kind: Kind;
    data: SerializedShape | SerializedTrack;
    removed: boolean;
    lock: boolean;
    hidden: boolean;
}

export interface FakeJobOptions {
    start?: number;
    stop?: number;
    deleted?: number[];
    labels?: Label[];
    shapes?: SerializedShape[];
    tracks?: SerializedTrack[];
    dimension?: '2d' | '3d';
}

export class FakeJob implements Job {
    public readonly id = 7;
    public readonly taskId = 42;
    public readonly startFrame: number;
    public readonly stopFrame: number;
    public readonly dimension: '2d' | '3d';
    public readonly labels: Label[];
    public readonly undoSteps: (() => void)[] = [];
    #entries = new Map<number, Entry>();
    #deletedFrames: Set<number>;

    public constructor(options: FakeJobOptions = {}) {
        this.startFrame = options.start ?? 0;
        this.stopFrame = options.stop ?? 9;
        this.dimension = options.dimension ?? '2d';
        this.labels = options.labels ?? [{ id: 1, attributes: [] }];
        this.#deletedFrames = new Set(options.deleted);
        this.#import({ shapes: options.shapes ?? [], tracks: options.tracks ?? [], tags: [] });
    }

    public readonly annotations = {
        get: async (frame: number): Promise<ObjectState[]> => this.statesOn(frame),
        export: async (): Promise<Collection> => this.exported(),
        commit: async (created: Collection, deleted: Collection): Promise<void> =>
            this.#commit(created, deleted),
    };

    public readonly frames = {
        frameNumbers: async (): Promise<number[]> => {
            const count = this.stopFrame - this.startFrame + 1;
            return Array.from({ length: count }, (_, index) => this.startFrame + index);
        },
        get: async (frame: number): Promise<{ deleted: boolean }> => {
            if (frame < this.startFrame || frame > this.stopFrame) {
                throw new Error(`Frame ${frame} doesn't belong to the job`);
            }
            return { deleted: this.#deletedFrames.has(frame) };
        },
    };

    public set(clientID: number, flags: Partial<Pick<Entry, 'lock' | 'hidden'>>): void {
        Object.assign(this.#entry(clientID), flags);
    }

    /** As a user who edits a shape by hand: CVAT turns its source from auto to semi-auto. */
    public edit(clientID: number, points: number[]): void {
        const { data } = this.#entry(clientID);
        Object.assign(data, { points: [...points], source: data.source === 'auto' ? 'semi-auto' : 'manual' });
    }

    public undo(): void {
        this.undoSteps.pop()?.();
    }

    public exported(): Collection {
        const collection: Collection = { shapes: [], tracks: [], tags: [] };
        for (const [clientID, { kind, data, removed }] of this.#entries) {
            if (!removed) {
                (collection[kind] as unknown[]).push({ ...structuredClone(data), clientID });
            }
        }
        return collection;
    }

    /** What CVAT lists on a frame. */
    public statesOn(frame: number): ObjectState[] {
        if (this.#deletedFrames.has(frame)) {
            return [];
        }
        const states: ObjectState[] = [];
        for (const [clientID, { kind, data, removed, lock, hidden }] of this.#entries) {
            const seen = removed ? null : this.#seen(kind, data, frame);
            if (seen) {
                states.push({
                    ...seen,
                    clientID,
                    objectType: kind === 'tracks' ? 'track' : 'shape',
                    lock,
                    hidden,
                });
            }
        }
        return states;
    }

    #seen(
        kind: Kind,
        data: SerializedShape | SerializedTrack,
        frame: number,
    ): Omit<ObjectState, 'clientID' | 'objectType' | 'lock' | 'hidden'> | null {
        if (kind === 'shapes') {
            const shape = data as SerializedShape;
            return shape.frame === frame ? stateOf(shape) : null;
        }
        // Keyframes on deleted frames do not count.
        const keyframes = (data as SerializedTrack).shapes.filter(
            (keyframe) => !this.#deletedFrames.has(keyframe.frame),
        );
        const left = keyframes.filter((keyframe) => keyframe.frame <= frame).at(-1);
        const right = keyframes.find((keyframe) => keyframe.frame > frame);
        if (!left || (left.outside && left.frame !== frame)) {
            return null;
        }
        return stateOf(right && left.frame !== frame ? between(left, right, frame) : left);
    }

    #entry(clientID: number): Entry {
        const entry = this.#entries.get(clientID);
        if (!entry || entry.removed) {
            throw new Error('Objects required to be deleted were not found in the collection');
        }
        return entry;
    }

    #commit(created: Collection, deleted: Collection): void {
        const removed = [...deleted.shapes, ...deleted.tracks].map(({ clientID }) =>
            this.#entry(clientID ?? -1),
        );
        const imported = this.#import(created);
        if (removed.length === 0 && imported.length === 0) {
            return;
        }
        const flag = (entries: Entry[], isRemoved: boolean): void => {
            entries.forEach((entry) => {
                entry.removed = isRemoved;
            });
        };
        flag(removed, true);
        this.undoSteps.push(() => {
            flag(removed, false);
            flag(imported, true);
        });
    }

    #import(collection: Collection): Entry[] {
        const entries: Entry[] = [];
        const add = (kind: Kind, data: SerializedShape | SerializedTrack): void => {
            const entry: Entry = {
                kind,
                data: structuredClone(data),
                removed: false,
                lock: false,
                hidden: false,
            };
            this.#entries.set(this.#entries.size + 1, entry);
            entries.push(entry);
        };
        for (const shape of collection.shapes) {
            checkPoints(shape);
            add('shapes', shape);
            if (shape.type === 'mask') {
                shape.points?.splice(-4); // cvat-core takes the box off the array that it was given
            }
        }
        for (const track of collection.tracks) {
            if (track.shapes[0]?.type === 'mask') {
                throw new Error('An unexpected type of track "mask"');
            }
            track.shapes.forEach(checkPoints);
            add('tracks', track);
        }
        return entries;
    }
}

function stateOf({
    type,
    points,
    rotation,
    occluded,
    outside,
    z_order,
}: Omit<Keyframe, 'frame' | 'attributes'>): Omit<ObjectState, 'clientID' | 'objectType' | 'lock' | 'hidden'> {
    return { shapeType: type, points: [...(points ?? [])], rotation, occluded, outside, zOrder: z_order };
}

// Enough for boxes and for polygons of equally many corners.
function between(left: Keyframe, right: Keyframe, frame: number): Keyframe {
    const share = (frame - left.frame) / (right.frame - left.frame);
    const points = left.points?.map(
        (value, index) => value + share * ((right.points?.[index] ?? value) - value),
    );
    return { ...left, points: points ?? [] };
}

function checkPoints({ type, points = [] }: { type: string; points?: number[] }): void {
    const isSound = type === 'rectangle' ? points.length === 4 : points.length >= 6;
    if (!isSound) {
        throw new Error(`${type} with ${points.length} numbers`);
    }
}
